/*
 * trace_hooks.c: threading.settrace and threading.setprofile for coroutines.
 *
 * Both store a function in a global variable of threading, and Thread._bootstrap_inner hands it to sys.settrace or
 * sys.setprofile in each new thread. Coverage, debuggers and profilers see threads by this. A coroutine does the same
 * when its request or function begins: two look-ups in a dict if nobody traces.
 */
#include "threads/trace_hooks.h"

#include "threads/thread_object.h"

static PyObject *trace_name, *profile_name; /* owned str */

int trace_hooks_init(void)
{
    if (!trace_name)
        trace_name = PyUnicode_InternFromString("_trace_hook");
    if (!profile_name)
        profile_name = PyUnicode_InternFromString("_profile_hook");
    return trace_name && profile_name ? 0 : -1;
}

/* Calls a function of sys with the hook, unless it is false. */
static void set_hook(const char *function, PyObject *borrowed)
{
    PyObject *hook = Py_NewRef(borrowed);
    int set = PyObject_IsTrue(hook);
    PyObject *sys_set = set > 0 ? PySys_GetObject(function) : NULL; /* borrowed */
    PyObject *done = sys_set ? PyObject_CallOneArg(sys_set, hook) : NULL;

    if (PyErr_Occurred())
        PyErr_WriteUnraisable(hook);
    Py_XDECREF(done);
    Py_DECREF(hook);
}

void trace_hooks_begin(void)
{
    PyObject *trace = PyDict_GetItemWithError(thread_object_module(), trace_name);
    PyObject *profile;

    if (trace && trace != Py_None)
        set_hook("settrace", trace);
    profile = PyDict_GetItemWithError(thread_object_module(), profile_name);
    if (profile && profile != Py_None)
        set_hook("setprofile", profile);
}
