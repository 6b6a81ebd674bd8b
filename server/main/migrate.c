/*
 * migrate.c: --migrate, which converts the configuration of another server.
 *
 * gunicorn's is a Python program, so what converts it is one too: syncless.migrate, beside the
 * modules of this server. This process becomes it.
 */
#include "main/migrate.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "settings/module_dirs.h"

#define PROGRAM "python/syncless/migrate" /* a directory that Python runs */

/* The interpreter that runs it. */
static void exec_python(char **argv)
{
    argv[0] = "python3";
    execvp(argv[0], argv);
}

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
    char path[2 * PATH_MAX];
    char *argv[] = {NULL, "-B", path, (char *)file, (char *)app, NULL}; /* -B: write no bytecode beside the package */

    if (find_program(path, sizeof(path)) < 0) {
        fprintf(stderr, "syncless-server: --migrate needs the server's Python package: there is no %s\n", path);
        return EXIT_RUNTIME;
    }
    exec_python(argv);
    fprintf(stderr, "syncless-server: --migrate: cannot run python3: %s\n", strerror(errno));
    return EXIT_RUNTIME;
}
