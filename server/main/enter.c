/*
 * enter.c: from a configuration to the Python interpreter in which the server runs.
 *
 * The sections that need Python were not checked yet, since their options are known in the interpreter only.
 */
#include "main/enter.h"

#include "conf/options.h"
#include "host/interpreter.h"
#include "mount/module_file.h"

/* Returns the first virtualenv that a section names, or NULL. */
static const char *first_virtualenv(struct conf *c)
{
    const char *path = NULL;

    for (const struct conf_section *s = conf_modules(c, NULL); s && !path; s = conf_modules(c, s))
        path = conf_unchecked_path(c, s, "virtualenv");
    return path;
}

void enter_interpreter(char **argv, struct conf *c, const struct settings *settings, const char *module,
                       char why[HOST_WHY_SIZE])
{
    struct interpreter_wish wish = {
        .python = settings->python,
        .virtualenv = first_virtualenv(c),
        .versions = module_file_versions(&c->arena, settings->module_path, module),
    };
    char path[PATH_MAX];

    if (interpreter_find(&wish, path, why))
        host_enter(HOST_SERVER, path, argv, why);
}
