/*
 * console_door.c: a signal opens a prompt in this process, or the start does, without any code in the application.
 *
 * Only root and the user of the process can send it the signal, and only these are let in. Nothing is imported and no
 * socket is open before. The rest is in syncless/console.py, which also has the client.
 */
#include "package/console_door.h"

#include <signal.h>
#include <string.h>

#include "interp/cpython.h"
#include "interp/report.h"
#include "syncless/runtime.h"
#include "threads/tstate.h"

/* Calls a function of syncless/console.py. With the GIL. */
static void console_door_call(const char *function)
{
    PyObject *module = PyImport_ImportModule("syncless.console");
    PyObject *result = module ? PyObject_CallMethod(module, function, NULL) : NULL;

    if (!result)
        report_raised(NULL, "wsgi: cannot open a console");
    Py_XDECREF(result);
    Py_XDECREF(module);
}

static void console_door_open(void *function)
{
    if (!Py_IsInitialized() || tstate_enter_fresh(NULL) < 0)
        return;
    console_door_call(function);
    tstate_leave_fresh();
}

static void console_door_spawn(const char *function)
{
    int err = sl_spawn(console_door_open, (void *)function);

    if (err)
        sl_log(NULL, SL_ERROR, "wsgi: cannot open a console: %s", strerror(-err));
}

static void on_console_signal(int signum)
{
    console_door_spawn("open_by_signal");
}

void console_door_init(void)
{
    sl_on_signal(SL_CONSOLE_SIGNAL, on_console_signal);
}

void console_door_open_soon(void)
{
    console_door_spawn("open_at_start");
}

void console_door_open_now(void)
{
    console_door_call("open_at_start");
}
