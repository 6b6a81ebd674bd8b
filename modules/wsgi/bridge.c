/*
 * bridge.c: start and end of Python in a process.
 *
 * All instances of a worker share one interpreter: the first one starts it, the last one ends it. With preload that
 * happens in the fork server, whose workers inherit the interpreter as it is. There are no sub-interpreters: too many
 * extension modules do not survive them.
 */
#include "bridge.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "interp/compat.h"
#include "interp/report.h"
#include "package/builtin.h"
#include "package/finder.h"
#include "request/application.h"
#include "request/websocket.h"
#include "syncless/runtime.h"
#include "threads/app_child.h"
#include "threads/gil.h"
#include "threads/without_gil.h"
#include "threads/stack_dump.h"
#include "threads/tstate.h"

static PyThreadState *main_state;
static int users;           /* instances that have acquired it */
static bool is_fork_server; /* this process forks workers */

int bridge_prepare(void)
{
    int err = sl_runtime((void *)Py_InitializeFromConfig);

    if (err < 0)
        return err;
    PyImport_AppendInittab("_syncless", builtin_init);
    section_init();
    err = tstate_init();
    if (err == 0)
        err = app_child_init();
    if (err < 0)
        sl_log(NULL, SL_ERROR, "wsgi: cannot add the hooks of this module: %s", strerror(-err));
    return err;
}

static void bridge_end(void)
{
    if (Py_FinalizeEx() < 0)
        sl_log(NULL, SL_WARN, "wsgi: Python could not flush its standard output");
    tstate_disown();
}

static int bridge_start(const struct interp_config *config)
{
    int err = bridge_prepare();

    if (err == 0)
        err = interp_start(config);
    if (err < 0)
        return err;
    main_state = PyThreadState_Get();
    tstate_adopt();
    if (application_init_types() == 0 && stack_dump_init() == 0 && interp_buffer_lines() == 0 &&
        interp_enable_faulthandler() == 0 && finder_init() == 0 && websocket_import() == 0)
        return 0;
    report_raised(NULL, "wsgi: cannot set up Python");
    bridge_end();
    return -EINVAL;
}

int bridge_acquire(const struct interp_config *config)
{
    int err = 0;

    if (users > 0)
        bridge_enter();
    else
        err = bridge_start(config);
    if (err < 0)
        return err;
    users++;
    if (interp_add_paths(config) == 0)
        return 0;
    report_raised(NULL, "wsgi: cannot extend sys.path");
    bridge_release();
    return -EINVAL;
}

void bridge_release(void)
{
    if (--users > 0) {
        bridge_leave();
        return;
    }
    application_clear();
    tstate_log_counts();
    app_child_leave();
    bridge_end();
}

void bridge_leave(void)
{
    tstate_disown();
    gil_give();
}

void bridge_enter(void)
{
    gil_take(main_state);
    compat_use_this_stack(main_state);
    tstate_adopt();
}

/* ---- preload ---- */

static void before_fork(void)
{
    if (!is_fork_server)
        return;
    bridge_enter();
    PyOS_BeforeFork();
}

static void after_fork_in_parent(void)
{
    if (!is_fork_server)
        return;
    PyOS_AfterFork_Parent();
    bridge_leave();
}

static void after_fork_in_child(void)
{
    if (!is_fork_server)
        return;
    PyOS_AfterFork_Child();
    bridge_leave();
}

int bridge_become_fork_server(void)
{
    static bool registered;
    int err = registered ? 0 : pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);

    registered = is_fork_server = err == 0;
    return -err;
}

void bridge_become_worker(void)
{
    is_fork_server = false;
    app_child_adopt();
}
