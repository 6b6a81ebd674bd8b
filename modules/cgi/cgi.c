/*
 * cgi.c: runs programs by the Common Gateway Interface, RFC 3875. docs/cgi.md is the user's page.
 *
 * A request goes through the files in this order: script.c finds the program, env.c makes its environment,
 * script_child.c starts it, run.c moves the bytes and waits for its end; output_head.c parses the head of its output,
 * stderr_lines.c logs its stderr. This file has the options and limits the number of processes.
 *
 * That limit is needed because coroutines are cheap: a worker may serve ten thousand requests at once, but ten thousand
 * processes are too many for most machines. Requests above the limit wait for a permit, parked in sem_wait.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cgi.h"

static const struct sl_option options[] = {
    SL_OPTION("root", SL_PATH, struct cgi, root, .help = "Directory of the scripts.",
              .flags = SL_REQUIRED | SL_EXISTS | SL_FOLDER),
    SL_OPTION("index", SL_STRING, struct cgi, index, .help = "Script that answers for a directory."),
    SL_OPTION("timeout", SL_DURATION, struct cgi, timeout, .default_value = "60s",
              .help = "How long a script may be silent before it is ended; 0 for no limit."),
    SL_OPTION("max-children", SL_INTEGER, struct cgi, max_children, .default_value = "64",
              .help = "Scripts that a worker runs at once, others wait; 0 for no limit.", .max = SEM_VALUE_MAX),
    SL_OPTION("env", SL_STRINGS, struct cgi, env, .flags = SL_SECRET,
              .help = "NAME=VALUE for the environment of scripts; overrides every other variable of that name."),
    SL_OPTION("pass-env", SL_STRINGS, struct cgi, pass_env,
              .help = "Name of a variable of the server's environment to pass on."),
    SL_OPTION("interpreter", SL_STRINGS, struct cgi, interpreters,
              .help = ".EXT=/path/of/program that runs files of that extension."),
    SL_OPTION("pass-authorization", SL_BOOL, struct cgi, pass_authorization, .default_value = "no",
              .help = "Let scripts see the Authorization field."),
    SL_OPTION("follow-symlinks", SL_BOOL, struct cgi, follow_symlinks, .default_value = "no",
              .help = "Run scripts that symbolic links lead to out of root."),
    SL_OPTION("stderr-rate", SL_SIZE, struct cgi, stderr_rate, .default_value = "64k",
              .help = "Bytes of stderr that all scripts together may log in a second; 0 for no limit."),
    {.name = NULL},
};

/* Returns -EINVAL, logged, if an entry has no name or no '='. */
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
            int err = -errno;

            sl_log(NULL, SL_ERROR, "cgi: interpreter = %s: %s", *s, strerror(-err));
            return err;
        }
    }
    return 0;
}

/* Resolve root. "/" is refused, since every executable of the system would be a script. */
static int find_root(struct cgi *cgi)
{
    struct stat st;
    int err = 0;

    cgi->dir = realpath(cgi->root, NULL);
    if (!cgi->dir || stat(cgi->dir, &st) < 0)
        err = -errno;
    else if (!S_ISDIR(st.st_mode))
        err = -ENOTDIR;
    else if (!strcmp(cgi->dir, "/"))
        err = -EPERM;
    if (err)
        sl_log(NULL, SL_ERROR, "cgi: root = %s: %s", cgi->root, strerror(-err));
    return err;
}

static int cgi_find_all(struct cgi *cgi)
{
    int err;

    if ((err = check_env(cgi)) || (err = check_interpreters(cgi)))
        return err;
    return find_root(cgi);
}

static int cgi_check(void *self)
{
    struct cgi *cgi = self;
    int err = cgi_find_all(cgi);

    free(cgi->dir);
    cgi->dir = NULL;
    return err;
}

static int cgi_start(void *self)
{
    struct cgi *cgi = self;
    int err = cgi_find_all(cgi);

    if (err)
        return err;
    cgi->stderrs = sl_must(calloc(1, sizeof(*cgi->stderrs)));
    sem_init(&cgi->permits, 0, cgi->max_children);
    return 0;
}

/* Wait for a permit to run a script, no longer than a script may be silent. Returns 0, 503 or -errno. */
static int take_permit(struct cgi *cgi, const struct sl_request *req)
{
    struct timespec until;

    if (!cgi->max_children)
        return 0;
    if (!cgi->timeout)
        return sem_wait(&cgi->permits) < 0 ? -errno : 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += cgi->timeout / 1000;
    until.tv_nsec += cgi->timeout % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    if (sem_clockwait(&cgi->permits, CLOCK_MONOTONIC, &until) == 0)
        return 0;
    if (errno != ETIMEDOUT)
        return -errno;
    sl_log(req, SL_WARN, "cgi: max-children = %lld: no script has ended within the timeout",
           (long long)cgi->max_children);
    return 503;
}

static void return_permit(struct cgi *cgi)
{
    if (cgi->max_children)
        sem_post(&cgi->permits);
}

static int cgi_handle(void *self, struct sl_request *req)
{
    struct cgi *cgi = self;
    struct script script = {0};
    int result = script_find(cgi, req, &script);

    if (result || !script.file)
        return result;
    req->local = sl_self();
    result = take_permit(cgi, req);
    if (result)
        return result;
    result = run_script(cgi, req, &script);
    return_permit(cgi);
    return result;
}

/* Make the waits of handle fail, so that it kills the script. While it cleans up, local is NULL: those waits must not
 * fail, or a zombie would be left behind. */
static void cgi_cancel(void *self, struct sl_request *req, int why)
{
    if (req->local)
        sl_cancel(req->local, ECANCELED);
}

static void cgi_stop(void *self)
{
    struct cgi *cgi = self;

    sem_destroy(&cgi->permits);
    free(cgi->dir);
    free(cgi->stderrs);
}

__attribute__((visibility("default"))) const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "cgi",
    .size = sizeof(struct cgi),
    .options = options,
    .check = cgi_check,
    .start = cgi_start,
    .handle = cgi_handle,
    .cancel = cgi_cancel,
    .stop = cgi_stop,
};
