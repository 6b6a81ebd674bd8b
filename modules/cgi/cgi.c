/*
 * cgi.c: runs programs by the Common Gateway Interface, RFC 3875. docs/cgi.md is the user's page.
 *
 * A request goes through the files in this order: script.c finds the program, env.c describes the request to it,
 * child.c starts it, run.c moves the bytes and sees to its end, with head.c for the head of its output and lines.c for
 * its stderr. This file holds the options and the limit of processes.
 *
 * The limit is there because nothing else is: coroutines are cheap, so ten thousand requests may be in work at once,
 * and ten thousand processes would take the machine down. Requests above it wait for a place, parked in sem_wait.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgi.h"

#define OPTION(NAME, KIND, FIELD, PRESET, HELP)                                                                        \
    {                                                                                                                  \
        .name = NAME, .kind = KIND, .offset = offsetof(struct cgi, FIELD), .default_value = PRESET, .help = HELP       \
    }

static const struct sl_option options[] = {
    {.name = "root",
     .kind = SL_PATH,
     .offset = offsetof(struct cgi, root),
     .help = "Directory of the scripts.",
     .flags = SL_REQUIRED},
    OPTION("index", SL_STRING, index, NULL, "Script that answers for a directory."),
    OPTION("timeout", SL_DURATION, timeout, "60s", "Longest silence of a script before it is ended; 0 for no limit."),
    OPTION("max-children", SL_INTEGER, max_children, "64",
           "Scripts a worker runs at once, others wait; 0 for no limit."),
    OPTION("env", SL_STRINGS, env, NULL, "NAME=VALUE for the environment of scripts; wins over all else."),
    OPTION("pass-env", SL_STRINGS, pass_env, NULL, "Name of a variable of the server's environment to hand on."),
    OPTION("interpreter", SL_STRINGS, interpreters, NULL, ".EXT=/path/of/program that runs files of that extension."),
    OPTION("pass-authorization", SL_BOOL, pass_authorization, "no", "Let scripts see the Authorization field."),
    OPTION("follow-symlinks", SL_BOOL, follow_symlinks, "no", "Run scripts that symbolic links lead to out of root."),
    {.name = NULL},
};

/* Each entry needs a name before its '='. */
static int check_env(const struct cgi *cgi)
{
    for (const char *const *s = cgi->env; s && *s; s++)
        if (!strchr(*s, '=') || **s == '=') {
            sl_log(NULL, SL_ERROR, "cgi: env = %s: write NAME=VALUE", *s);
            return -EINVAL;
        }
    return 0;
}

static int check_interpreters(const struct cgi *cgi)
{
    for (const char *const *s = cgi->interpreters; s && *s; s++) {
        const char *program = strchr(*s, '=');

        if (**s != '.' || !program || program[1] != '/') {
            sl_log(NULL, SL_ERROR, "cgi: interpreter = %s: write .EXT=/absolute/path", *s);
            return -EINVAL;
        }
        if (access(program + 1, X_OK) < 0) {
            int rc = -errno;

            sl_log(NULL, SL_ERROR, "cgi: interpreter = %s: %s", *s, strerror(-rc));
            return rc;
        }
    }
    return 0;
}

static int check_max_children(const struct cgi *cgi)
{
    if (cgi->max_children >= 0 && cgi->max_children <= SEM_VALUE_MAX)
        return 0;
    sl_log(NULL, SL_ERROR, "cgi: max-children = %lld: must be 0 to %d", (long long)cgi->max_children, SEM_VALUE_MAX);
    return -EINVAL;
}

/* Resolve root, and take no root for granted: every executable of the system would be a script. */
static int find_root(struct cgi *cgi)
{
    int rc = 0;

    cgi->dir = realpath(cgi->root, NULL);
    if (!cgi->dir)
        rc = -errno;
    else if (!strcmp(cgi->dir, "/"))
        rc = -EPERM;
    if (rc)
        sl_log(NULL, SL_ERROR, "cgi: root = %s: %s", cgi->root, strerror(-rc));
    return rc;
}

static int cgi_start(void *self)
{
    struct cgi *cgi = self;
    int rc;

    if ((rc = check_env(cgi)) || (rc = check_interpreters(cgi)) || (rc = check_max_children(cgi)) ||
        (rc = find_root(cgi)))
        return rc;
    sem_init(&cgi->places, 0, cgi->max_children);
    return 0;
}

/* Wait for a place among the children, no longer than a script may be silent. 0, 503 or -errno. */
static int place_take(struct cgi *cgi, const struct sl_request *req)
{
    struct timespec until;

    if (!cgi->max_children)
        return 0;
    if (!cgi->timeout)
        return sem_wait(&cgi->places) < 0 ? -errno : 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += cgi->timeout / 1000;
    until.tv_nsec += cgi->timeout % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    if (sem_clockwait(&cgi->places, CLOCK_MONOTONIC, &until) == 0)
        return 0;
    if (errno != ETIMEDOUT)
        return -errno;
    sl_log(req, SL_WARN, "cgi: all %lld places are taken (max-children)", (long long)cgi->max_children);
    return 503;
}

static void place_give(struct cgi *cgi)
{
    if (cgi->max_children)
        sem_post(&cgi->places);
}

static int cgi_handle(void *self, struct sl_request *req)
{
    struct cgi *cgi = self;
    struct script script = {0};
    int rc = script_find(cgi, req, &script);

    if (rc || !script.file)
        return rc;
    req->local = sl_self();
    rc = place_take(cgi, req);
    if (rc)
        return rc;
    rc = run_script(cgi, req, &script);
    place_give(cgi);
    return rc;
}

/* Have the wait fail, so that the script is killed. While that is done, local is NULL: its own waits must not fail, or
 * a zombie would be left behind. */
static void cgi_cancel(void *self, struct sl_request *req, int why)
{
    if (req->local)
        sl_cancel(req->local, ECANCELED);
}

static void cgi_stop(void *self)
{
    struct cgi *cgi = self;

    sem_destroy(&cgi->places);
    free(cgi->dir);
}

__attribute__((visibility("default"))) const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "cgi",
    .size = sizeof(struct cgi),
    .options = options,
    .start = cgi_start,
    .handle = cgi_handle,
    .cancel = cgi_cancel,
    .stop = cgi_stop,
};
