/* version.h: what this is, and what it was built from. */
#ifndef VERSION_H
#define VERSION_H

/* "syncless-server 0.1.0\n" */
const char *version_line(void);

/* The same, with compiler, flags and the versions of libraries that are loaded, a line each. */
const char *version_details(void);

#endif
