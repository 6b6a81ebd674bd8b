/* version.h: the version, and what the program was built from. */
#ifndef MAIN_VERSION_H
#define MAIN_VERSION_H

/* Returns "syncless-server 0.1.0\n". */
const char *version_line(void);

/* Returns the same, then the compiler, its flags and the versions of the loaded libraries, a line each; static. */
const char *version_details(void);

#endif
