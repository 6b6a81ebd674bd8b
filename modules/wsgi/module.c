/*
 * module.c: the WSGI bridge as a module of syncless-server: serves Python applications (PEP 3333).
 *
 * An instance is a mount point with an application. All instances of a worker share one interpreter and one OS thread;
 * each request runs on its own coroutine, with its own PyThreadState (tstate.c), so that one which waits lets the
 * others run. Where to read on: exchange.c for the course of a request, docs/wsgi.md for what users see.
 */
#include "bridge.h"

#include <errno.h>

static const struct sl_option options[] = {
    {.name = "app",
     .kind = SL_STRING,
     .offset = offsetof(struct wsgi, app),
     .help = "The application: module:attribute or module:factory(); the attribute is `application` if none is given.",
     .flags = SL_REQUIRED},
    {.name = "virtualenv",
     .kind = SL_PATH,
     .offset = offsetof(struct wsgi, virtualenv),
     .help = "Virtualenv to run in.",
     .flags = SL_PROCESS},
    {.name = "pythonpath",
     .kind = SL_PATHS,
     .offset = offsetof(struct wsgi, pythonpath),
     .help = "Directories to put in front of sys.path.",
     .flags = SL_PROCESS},
    {.name = "chdir",
     .kind = SL_PATH,
     .offset = offsetof(struct wsgi, chdir),
     .default_value = ".",
     .help = "Directory to work in, which is put into sys.path too; that of the ini file by default.",
     .flags = SL_PROCESS},
    {.name = "env",
     .kind = SL_STRINGS,
     .offset = offsetof(struct wsgi, env),
     .help = "NAME=VALUE for the environment of the process.",
     .flags = SL_PROCESS},
    {0},
};

static int load(struct wsgi *w)
{
    char what[512];

    w->callable = app_load(w->app);
    w->environ = w->callable && app_check() == 0 ? environ_new() : NULL;
    if (w->environ)
        return 0;
    snprintf(what, sizeof what, "wsgi: app = %s cannot be loaded", w->app);
    report_raised(NULL, what);
    Py_CLEAR(w->callable);
    return -ENOEXEC;
}

static int acquire(struct wsgi *w)
{
    int rc = interp_acquire(w);

    if (rc < 0)
        return rc;
    rc = load(w);
    if (rc < 0)
        interp_release();
    else
        interp_leave();
    return rc;
}

static int wsgi_preload(void *self)
{
    int rc = acquire(self);

    return rc < 0 ? rc : interp_nursery();
}

static int wsgi_start(void *self)
{
    struct wsgi *w = self;

    if (!w->callable)
        return acquire(w);
    interp_adopt();
    return 0;
}

static int wsgi_handle(void *self, struct sl_request *req)
{
    struct wsgi *w = self;
    struct exchange x = {.req = req, .coroutine = sl_self(), .length = -1};
    int rc = tstate_enter(&x);

    if (rc < 0)
        return rc;
    rc = exchange_run(w, &x);
    tstate_leave();
    return rc;
}

static void wsgi_stop(void *self)
{
    struct wsgi *w = self;

    interp_enter();
    environ_free(w->environ);
    Py_CLEAR(w->callable);
    interp_release();
}

__attribute__((visibility("default"))) const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "wsgi",
    .size = sizeof(struct wsgi),
    .options = options,
    .preload = wsgi_preload,
    .start = wsgi_start,
    .handle = wsgi_handle,
    .stop = wsgi_stop,
    .cancel = interrupt_request,
    .command = command_run,
};
