/*
 * spawn.c: the module _syncless: coroutines for Python code.
 *
 * A spawned function runs on a coroutine with a PyThreadState of its own, so all that is per thread in Python is its
 * own too, in a copy of the context of who spawned it, as asyncio does it for tasks. It ends as a thread does: what it
 * raises goes to sys.unraisablehook, SystemExit and Killed end it without a word, and nothing else ends with it.
 */
#include "bridge.h"

#include <arpa/nameser.h>
#include <errno.h>

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

static PyObject *spawn(PyObject *module, PyObject *args, PyObject *kwargs)
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

static PyObject *yield_now(PyObject *module, PyObject *unused)
{
    sl_yield();
    Py_RETURN_NONE;
}

static PyObject *handle(PyObject *module, PyObject *unused)
{
    return tstate_handle();
}

static PyObject *handles(PyObject *module, PyObject *unused)
{
    return tstate_handles();
}

/* The reply of DNS, as bytes. */
static PyObject *query(PyObject *module, PyObject *args)
{
    char reply[NS_MAXMSG];
    const char *name;
    ssize_t size;
    int type;

    if (!PyArg_ParseTuple(args, "si:query", &name, &type))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    size = sl_resolve(name, type, reply, sizeof reply);
    Py_END_ALLOW_THREADS;
    if (size >= 0)
        return PyBytes_FromStringAndSize(reply, size);
    errno = (int)-size;
    return PyErr_SetFromErrno(PyExc_OSError);
}

static PyMethodDef methods[] = {
    {"spawn", (PyCFunction)(void *)spawn, METH_VARARGS | METH_KEYWORDS,
     "spawn(callable, *args, **kwargs)\n--\n\n"
     "Call it on a coroutine of its own, which starts when this one waits. May be called in any thread."},
    {"yield_now", yield_now, METH_NOARGS,
     "yield_now()\n--\n\nLet all coroutines run that are ready, and come back. Elsewhere it does nothing."},
    {"query", query, METH_VARARGS,
     "query(name, type)\n--\n\nThe message by which DNS answers. OSError if it does not."},
    {"serve", (PyCFunction)(void *)serve_start, METH_VARARGS | METH_KEYWORDS,
     "serve(fd, app, accepts, tls, limits)\n--\n\n"
     "Serve a WSGI application, see sl_serve in syncless.h. limits: a list of keys and values in turns. Returns what "
     "the other two take."},
    {"serve_connection", serve_connection, METH_VARARGS,
     "serve_connection(server, fd, host, port)\n--\n\nServe a connection that was accepted from that client."},
    {"serve_end", serve_end, METH_O, "serve_end(server)\n--\n\nAccept no more."},
    {"field", upgrade_field, METH_O,
     "field(name)\n--\n\nA header field of the request that this coroutine serves, or None."},
    {"upgrade", upgrade_run, METH_VARARGS,
     "upgrade(fields)\n--\n\nAnswer 101 with these fields, and return the Stream that the connection is then."},
    {"handle", handle, METH_NOARGS, "handle()\n--\n\nThe Handle of this coroutine; None outside of coroutines."},
    {"handles", handles, METH_NOARGS, "handles()\n--\n\nThose of all coroutines that run Python code or wait in it."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_syncless",
    .m_doc = "Coroutines that Python takes for threads.",
    .m_size = -1,
    .m_methods = methods,
};

PyObject *spawn_module(void)
{
    PyObject *module;

    if (interrupt_init() < 0 || handle_init() < 0)
        return NULL;
    module = PyModule_Create(&definition);
    if (module && interrupt_add_types(module) < 0)
        Py_CLEAR(module);
    return module;
}
