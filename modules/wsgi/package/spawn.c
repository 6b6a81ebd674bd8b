/*
 * spawn.c: Python functions on coroutines of their own.
 *
 * A spawned function runs on a coroutine with a PyThreadState of its own, so all that is per thread in Python is its
 * own too, in a copy of the context of who spawned it, as asyncio does it for tasks. It ends as a thread does: what it
 * raises goes to sys.unraisablehook, SystemExit and Killed end it without a word, and nothing else ends with it.
 */
#include "package/spawn.h"

#include <errno.h>

#include "syncless.h"
#include "threads/child.h"
#include "threads/interrupt.h"
#include "threads/tstate.h"

struct call {
    PyObject *function, *args, *kwargs, *context; /* kwargs may be NULL */
};

static void call_free(struct call *call)
{
    Py_DECREF(call->function);
    Py_XDECREF(call->args);
    Py_XDECREF(call->kwargs);
    Py_XDECREF(call->context);
    PyMem_RawFree(call);
}

static struct call *call_new(PyObject *args, PyObject *kwargs)
{
    struct call *call = PyMem_RawCalloc(1, sizeof *call);

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
    call_free(call);
    return NULL;
}

static PyObject *invoke(const struct call *call)
{
    PyObject *result;

    if (PyContext_Enter(call->context) < 0)
        return NULL;
    result = PyObject_Call(call->function, call->args, call->kwargs);
    child_end();
    if (PyContext_Exit(call->context) < 0)
        Py_CLEAR(result);
    return result;
}

static void run(void *arg)
{
    struct call *call = arg;
    PyObject *result;

    if (!Py_IsInitialized()) /* the program ends before this has begun */
        return;
    if (tstate_enter_fresh() < 0) {
        sl_log(NULL, SL_ERROR, "a spawned coroutine does not run: no memory for its thread state");
        return;
    }
    result = invoke(call);
    if (!result && (PyErr_ExceptionMatches(PyExc_SystemExit) || interrupt_is_kill()))
        PyErr_Clear();
    else if (!result)
        PyErr_WriteUnraisable(call->function);
    Py_XDECREF(result);
    call_free(call);
    tstate_leave_fresh();
}

PyObject *spawn_call(PyObject *module, PyObject *args, PyObject *kwargs)
{
    struct call *call;
    int rc;

    if (PyTuple_GET_SIZE(args) < 1 || !PyCallable_Check(PyTuple_GET_ITEM(args, 0))) {
        PyErr_SetString(PyExc_TypeError, "spawn() needs a callable as its first argument");
        return NULL;
    }
    call = call_new(args, kwargs);
    if (!call)
        return NULL;
    rc = sl_spawn(run, call);
    if (rc == 0)
        return Py_NewRef(Py_None);
    if (rc == -EPERM)
        PyErr_SetString(PyExc_RuntimeError, "a forked child process has no coroutines");
    else
        PyErr_SetString(PyExc_MemoryError, "no stack for another coroutine");
    call_free(call);
    return NULL;
}
