/*
 * wsgi.c: the WSGI bridge as a module of syncless-server: serves Python applications (PEP 3333).
 *
 * An instance is a mount point with an application. All instances of a worker share one interpreter and one OS thread;
 * each request runs on its own coroutine, with its own PyThreadState (threads/tstate.c), so that one which waits lets
 * the others run. The rooms: interp/ starts CPython, threads/ makes coroutines its threads, request/ serves a request
 * (begin with application.c), package/ is the C side of the package syncless. Each includes only those before it.
 * docs/wsgi.md is what users see.
 */
#include <errno.h>
#include <stdio.h>

#include "bridge.h"
#include "command.h"
#include "interp/cpython.h"
#include "interp/import.h"
#include "interp/interp.h"
#include "interp/report.h"
#include "package/console_door.h"
#include "package/operator.h"
#include "package/package_call.h"
#include "request/application.h"
#include "request/request_cancel.h"
#include "syncless.h"
#include "syncless/runtime.h"

extern const struct sl_module sl_module;

/* An instance: one [wsgi /prefix] section. */
struct wsgi {
    const char *app; /* borrowed */
    struct interp_config config;
    struct application application;
};

static const struct sl_option wsgi_options[] = {
    SL_OPTION("app", SL_STRING, struct wsgi, app,
              .help = "The application: module:attribute, module:factory() or file.py:attribute; the attribute is "
                      "`application` if none is given.",
              .flags = SL_REQUIRED),
    SL_OPTION("virtualenv", SL_PATH, struct wsgi, config.virtualenv, .help = "Virtualenv to run in.",
              .flags = SL_PROCESS | SL_EXISTS | SL_FOLDER),
    SL_OPTION("pythonpath", SL_PATHS, struct wsgi, config.pythonpath,
              .help = "Directories to put in front of sys.path.", .flags = SL_PROCESS),
    SL_OPTION("chdir", SL_PATH, struct wsgi, config.chdir, .default_value = ".",
              .help = "Directory to work in, which is put into sys.path too; that of the ini file by default.",
              .flags = SL_PROCESS | SL_EXISTS | SL_FOLDER),
    SL_OPTION("env", SL_STRINGS, struct wsgi, config.env, .help = "NAME=VALUE for the environment of the process.",
              .flags = SL_PROCESS | SL_SECRET),
    SL_OPTION("console", SL_BOOL, struct wsgi, config.console, .default_value = "no",
              .help = "Whether the prompt of syncless.console is open from the start, for the user of the worker and "
                      "root.",
              .flags = SL_PROCESS),
    {0},
};

static int wsgi_load(struct wsgi *w)
{
    PyObject *callable = import_app(w->app);
    char what[512];

    if (!callable || import_check_patches() < 0 || application_init(&w->application, callable) < 0) {
        bool is_missing = PyErr_ExceptionMatches(PyExc_ModuleNotFoundError);

        snprintf(what, sizeof(what), "wsgi: cannot load the application: app = %s", w->app);
        report_raised(NULL, what);
        if (is_missing)
            interp_log_paths();
        Py_XDECREF(callable);
        return -ENOEXEC;
    }
    Py_DECREF(callable);
    return 0;
}

static int wsgi_acquire(struct wsgi *w)
{
    int err = bridge_acquire(&w->config);

    if (err < 0)
        return err;
    err = wsgi_load(w);
    if (err < 0)
        bridge_release();
    else
        bridge_leave();
    return err;
}

static int wsgi_preload(void *self)
{
    int err = wsgi_acquire(self);

    return err < 0 ? err : bridge_become_fork_server();
}

static int wsgi_check(void *self)
{
    struct wsgi *w = self;
    int err = interp_check(&w->config);

    return err ? err : import_check_file(w->app, w->config.chdir);
}

static int wsgi_start(void *self)
{
    static const struct package_function watch_loaded_files = {"syncless._loaded", "begin"};
    struct wsgi *w = self;
    int err = 0;

    console_door_init();
    operator_init();
    if (!w->application.callable)
        err = wsgi_acquire(w);
    else
        bridge_become_worker();
    if (err < 0)
        return err;
    if (w->config.console)
        console_door_open_soon();
    if (sl_watch_files("") == 0)
        package_call_soon(&watch_loaded_files);
    return 0;
}

static int wsgi_handle(void *self, struct sl_request *req)
{
    struct wsgi *w = self;

    return application_handle(&w->application, req);
}

static void wsgi_stop(void *self)
{
    struct wsgi *w = self;

    bridge_enter();
    application_release(&w->application);
    bridge_release();
}

__attribute__((visibility("default"))) const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "wsgi",
    .size = sizeof(struct wsgi),
    .options = wsgi_options,
    .check = wsgi_check,
    .preload = wsgi_preload,
    .start = wsgi_start,
    .handle = wsgi_handle,
    .stop = wsgi_stop,
    .cancel = request_cancel,
    .command = command_run,
};
