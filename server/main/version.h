/* version.h: the version, and what the program was built from. */
#ifndef MAIN_VERSION_H
#define MAIN_VERSION_H

struct conf;

/* Returns "syncless-server 0.1.0\n". */
const char *version_line(void);

/* Returns the same, then the compiler, its flags and the versions of the loaded libraries, a line each; static. */
const char *version_details(void);

/* Write the Python in whose process this is, and the file of the bridge; or why there is none. */
void version_print_python(struct conf *c, const char *const *module_path, const char *why);

#endif
