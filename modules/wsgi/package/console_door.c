/*
 * console_door.c: a signal opens a prompt in this process, without any code in the application.
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

static void console_door_open(void *arg)
{
    PyObject *module, *result;

    if (!Py_IsInitialized() || tstate_enter_fresh(NULL) < 0)
        return;
    module = PyImport_ImportModule("syncless.console");
    result = module ? PyObject_CallMethod(module, "open_by_signal", NULL) : NULL;
    if (!result)
        report_raised(NULL, "wsgi: cannot open a console");
    Py_XDECREF(result);
    Py_XDECREF(module);
    tstate_leave_fresh();
}

static void on_console_signal(int signum)
{
    int err = sl_spawn(console_door_open, NULL);

    if (err)
        sl_log(NULL, SL_ERROR, "wsgi: cannot open a console: %s", strerror(-err));
}

void console_door_init(void)
{
    sl_on_signal(SL_CONSOLE_SIGNAL, on_console_signal);
}
