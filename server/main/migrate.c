/*
 * migrate.c: --migrate, which converts the configuration of another server.
 *
 * gunicorn's is a Python program, so what converts it is one too: syncless.migrate, beside the modules of this server.
 * This process becomes it, in the interpreter in which the server would run.
 */
#include "main/migrate.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "host/host.h"
#include "host/interpreter.h"
#include "settings/module_dirs.h"

#define PROGRAM "python/syncless/migrate" /* a directory that Python runs */

/* Write the path of the program to size bytes: that in the first directory which has it. */
static int find_program(char *path, size_t size)
{
    for (const char *const *dir = module_dirs(); *dir; dir++) {
        snprintf(path, size, "%s/" PROGRAM, *dir);
        if (!access(path, R_OK))
            return 0;
    }
    return -ENOENT;
}

int migrate_run(const char *file, const char *app)
{
    struct interpreter_wish wish = {.versions = (const char *const[]){NULL}}; /* it needs no bridge */
    char path[2 * PATH_MAX], python[PATH_MAX], why[HOST_WHY_SIZE];
    char *argv[] = {python, "-B", path, (char *)file, (char *)app, NULL}; /* -B: write no bytecode beside the package */

    if (find_program(path, sizeof(path)) < 0) {
        fprintf(stderr, "syncless-server: --migrate needs the server's Python package: there is no %s\n", path);
        return EXIT_RUNTIME;
    }
    if (interpreter_find(&wish, python, why)) {
        execv(python, argv);
        snprintf(why, sizeof(why), "cannot run %s: %s", python, strerror(errno));
    }
    fprintf(stderr, "syncless-server: --migrate needs Python: %s\n", why);
    return EXIT_RUNTIME;
}
