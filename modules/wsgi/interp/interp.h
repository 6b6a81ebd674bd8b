/*
 * interp.h: configures and starts CPython, one interpreter for all instances of a worker.
 */
#ifndef INTERP_H
#define INTERP_H

#include <stdbool.h>

/* How Python is to be set up: keys of a [wsgi] section. Strings and lists are borrowed; each may be NULL. */
struct interp_config {
    const char *virtualenv;
    const char *chdir;
    const char *const *pythonpath; /* NULL-terminated */
    const char *const *env;        /* NAME=VALUE, NULL-terminated */
    bool console;                  /* a prompt is open from the start */
};

/* Whether the values can be used at all, without Python. Returns 0 or a negative errno, with the reason in the log. */
int interp_check(const struct interp_config *config);

/* Starts Python, which leaves the GIL held. On the main thread. Returns 0 or a negative errno, with the reason in the
 * log. */
int interp_start(const struct interp_config *config);

/* Puts a directory at the front of sys.path, unless it is somewhere in it. */
int interp_insert_path(const char *directory);

/* Puts chdir and pythonpath in front of sys.path. */
int interp_add_paths(const struct interp_config *config);

/* Logs in which interpreter modules were looked for, and where. */
void interp_log_paths(void);

/* Has faulthandler write the Python stack to standard error when the process crashes. */
int interp_enable_faulthandler(void);

/* Makes sys.stdout write whole lines at once. */
int interp_buffer_lines(void);

#endif
