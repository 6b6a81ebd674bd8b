/* interpreter.h: which Python interpreter the server is to run in. */
#ifndef HOST_INTERPRETER_H
#define HOST_INTERPRETER_H

#include <limits.h>
#include <stdbool.h>

/* What the choice depends on; all borrowed. */
struct interpreter_wish {
    const char *python;          /* the key of [server]: a path, or a name to search for; NULL: not given */
    const char *virtualenv;      /* the key of a section; NULL: not given */
    const char *const *versions; /* "3.11": those that have a bridge, NULL-terminated */
};

/* Find the interpreter: of the key, of the virtualenv, of $VIRTUAL_ENV, beside this executable, on PATH. Fills in its
 * absolute path. Returns false if there is none, with the reason in why (HOST_WHY_SIZE). */
bool interpreter_find(const struct interpreter_wish *wish, char path[PATH_MAX], char *why);

#endif
