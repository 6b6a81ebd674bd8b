/* programs.h: the programs in libsyncless.so. Each is the main function of a small executable, or runs in the process
 * of a Python interpreter. */
#ifndef MAIN_PROGRAMS_H
#define MAIN_PROGRAMS_H

#define PROGRAM_EXPORT __attribute__((visibility("default")))

PROGRAM_EXPORT int syncless_server(int argc, char **argv);
PROGRAM_EXPORT int syncless_python(int argc, char **argv);

#endif
