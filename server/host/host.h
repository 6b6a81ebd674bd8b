/*
 * host.h: the process of a Python interpreter, in which the server runs where a section needs Python.
 *
 * The interpreter's own executable has CPython in it as its makers optimised it, and it is the one that a virtualenv or
 * a distribution chose. So it is executed with libsyncless.so preloaded, and never gets to its main function: ours runs
 * in its place (main/libc_start.c). The bridge is linked to no libpython; it finds CPython in the process.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <limits.h>
#include <stdbool.h>

#define HOST_WHY_SIZE (4 * PATH_MAX) /* bytes of a message */

/* A program that runs in a host. */
enum host_program {
    HOST_NONE, /* the process is no host */
    HOST_SERVER,
    HOST_PYTHON, /* syncless-python */
};

/* Execute the interpreter at that path in place of this process: it runs the program with this command line. Returns
 * only if that is not possible, with the reason in why. */
void host_enter(enum host_program program, const char *python, char **argv, char why[HOST_WHY_SIZE]);

/* The first step of a process that was started in this way, and of every other: take what host_enter has put into the
 * environment out of it again. Returns the program to run. */
enum host_program host_arrive(char **envp);

/* Whether this process is that of an interpreter. */
bool host_entered(void);

/* The path by which the interpreter was started; "" without one. It may be a symbolic link, as in a virtualenv. */
const char *host_python(void);

/* The version of a module that it can run, "3.11"; "" if it can run none. And its full version, "3.11.2". */
const char *host_version(void);
const char *host_full_version(void);

/* Returns why the server cannot run Python in this interpreter, or NULL; static. */
const char *host_refusal(void);

/* The path of our executable that host_enter was called in; "" if it was not. */
const char *host_executable(void);

#endif
