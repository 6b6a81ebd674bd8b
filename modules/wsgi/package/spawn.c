/*
 * spawn.c: Python functions on coroutines of their own.
 *
 * A spawned function runs on a coroutine with a PyThreadState of its own, so all that is per thread in Python is its
 * own too, and in a copy of the spawning coroutine's context, as tasks in asyncio do. It ends as a thread does: what it
 * raises goes to sys.unraisablehook, but SystemExit and Killed end it silently, and nothing else ends with it.
 */
#include "package/spawn.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "syncless.h"
#include "threads/app_child.h"
#include "threads/interrupt.h"
#include "threads/tstate.h"

/* A function to be called on a coroutine. All are owned; kwargs may be NULL. */
struct spawned_call {
    PyObject *function, *args, *kwargs, *context;
};

static void spawned_call_free(struct spawned_call *call)
{
    Py_DECREF(call->function);
    Py_XDECREF(call->args);
    Py_XDECREF(call->kwargs);
    Py_XDECREF(call->context);
    PyMem_RawFree(call);
}

static struct spawned_call *spawned_call_new(PyObject *args, PyObject *kwargs)
{
    struct spawned_call *call = PyMem_RawCalloc(1, sizeof(*call));

    if (!call) {
        PyErr_NoMemory();
        return NULL;
    }
    call->function = Py_NewRef(PyTuple_GET_ITEM(args, 0));
    call->args = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
    call->kwargs = Py_XNewRef(kwargs);
    call->context = PyContext_CopyCurrent();
    if (call->args && call->context)
        return call;
    spawned_call_free(call);
    return NULL;
}

static PyObject *spawned_call_invoke(const struct spawned_call *call)
{
    PyObject *result;

    if (PyContext_Enter(call->context) < 0)
        return NULL;
    result = PyObject_Call(call->function, call->args, call->kwargs);
    app_child_end();
    if (PyContext_Exit(call->context) < 0)
        Py_CLEAR(result);
    return result;
}

static void spawned_call_run(void *arg)
{
    struct spawned_call *call = arg;
    PyObject *result;

    if (!Py_IsInitialized())
        return; /* the program ends before this has begun */
    if (tstate_enter_fresh(call->function) < 0) {
        sl_log(NULL, SL_ERROR, "wsgi: cannot run a spawned coroutine: no memory for its thread state");
        return;
    }
    result = spawned_call_invoke(call);
    if (!result && (PyErr_ExceptionMatches(PyExc_SystemExit) || interrupt_is_kill()))
        PyErr_Clear();
    else if (!result)
        PyErr_WriteUnraisable(call->function);
    Py_XDECREF(result);
    spawned_call_free(call);
    tstate_leave_fresh();
}

PyObject *spawn_call(PyObject *module, PyObject *args, PyObject *kwargs)
{
    struct spawned_call *call;
    int err;

    if (PyTuple_GET_SIZE(args) < 1 || !PyCallable_Check(PyTuple_GET_ITEM(args, 0))) {
        PyErr_SetString(PyExc_TypeError, "the first argument of spawn() must be callable");
        return NULL;
    }
    call = spawned_call_new(args, kwargs);
    if (!call)
        return NULL;
    err = sl_spawn(spawned_call_run, call);
    if (err == 0)
        return Py_NewRef(Py_None);
    if (err == -EPERM)
        PyErr_SetString(PyExc_RuntimeError, "a forked child process has no coroutines");
    else if (err == -ENXIO)
        PyErr_SetString(PyExc_RuntimeError, "with preload there are no coroutines before a worker has started");
    else
        PyErr_SetString(PyExc_MemoryError, "no memory for the stack of another coroutine");
    spawned_call_free(call);
    return NULL;
}

/* ---- when the worker ends ---- */

static PyObject *drain_function; /* owned, or NULL */

static void drain_run(void *arg)
{
    PyObject *result;

    if (!Py_IsInitialized() || tstate_enter_fresh(drain_function) < 0)
        return;
    result = PyObject_CallNoArgs(drain_function);
    if (!result)
        PyErr_WriteUnraisable(drain_function);
    Py_XDECREF(result);
    tstate_leave_fresh();
}

static void on_worker_drain(void)
{
    int err = sl_spawn(drain_run, NULL);

    if (err)
        sl_log(NULL, SL_WARN, "wsgi: cannot tell the application that the worker ends: %s", strerror(-err));
}

PyObject *spawn_on_drain(PyObject *module, PyObject *function)
{
    bool is_first = !drain_function;

    Py_INCREF(function);
    Py_XSETREF(drain_function, function);
    if (is_first && sl_on_drain(on_worker_drain) < 0)
        return PyErr_Format(PyExc_RuntimeError, "too many functions wait for the end of the worker");
    return Py_NewRef(Py_None);
}
