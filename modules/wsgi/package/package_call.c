/*
 * package_call.c: calls functions of the package syncless: the bridge needs them, and their module is not imported
 * before.
 */
#include "package/package_call.h"

#include <stdio.h>
#include <string.h>

#include "interp/cpython.h"
#include "interp/report.h"
#include "syncless.h"
#include "threads/tstate.h"

void package_call(const struct package_function *function)
{
    PyObject *module = PyImport_ImportModule(function->module);
    PyObject *result = module ? PyObject_CallMethod(module, function->name, NULL) : NULL;
    char what[128];

    snprintf(what, sizeof(what), "wsgi: cannot call %s.%s", function->module, function->name);
    if (!result)
        report_raised(NULL, what);
    Py_XDECREF(result);
    Py_XDECREF(module);
}

static void package_call_run(void *arg)
{
    if (!Py_IsInitialized() || tstate_enter_fresh(NULL) < 0)
        return;
    package_call(arg);
    tstate_leave_fresh();
}

void package_call_soon(const struct package_function *function)
{
    int err = sl_spawn(package_call_run, (void *)function);

    if (err)
        sl_log(NULL, SL_ERROR, "wsgi: cannot call %s.%s: %s", function->module, function->name, strerror(-err));
}
