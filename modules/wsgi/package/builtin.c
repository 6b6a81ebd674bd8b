/*
 * builtin.c: _syncless, the module in C behind the package syncless.
 */
#include "package/builtin.h"

#include <arpa/nameser.h>
#include <errno.h>

#include "package/serve.h"
#include "package/operator.h"
#include "package/spawn.h"
#include "request/request_cancel.h"
#include "request/websocket.h"
#include "syncless.h"
#include "syncless/runtime.h"
#include "threads/handle.h"
#include "threads/interrupt.h"
#include "threads/tstate.h"

static PyObject *builtin_yield_now(PyObject *module, PyObject *unused)
{
    sl_yield();
    Py_RETURN_NONE;
}

static PyObject *builtin_steady(PyObject *module, PyObject *on)
{
    tstate_steady(on == Py_True);
    Py_RETURN_NONE;
}

static PyObject *builtin_watch_files(PyObject *module, PyObject *lines)
{
    const char *text = PyUnicode_AsUTF8(lines);

    return text ? PyBool_FromLong(sl_watch_files(text) != -EAGAIN) : NULL;
}

static PyObject *builtin_start_real_threads(PyObject *module, PyObject *on)
{
    tstate_start_real_threads(on == Py_True);
    Py_RETURN_NONE;
}

static PyObject *builtin_handle(PyObject *module, PyObject *unused)
{
    return tstate_handle();
}

static PyObject *builtin_handles(PyObject *module, PyObject *unused)
{
    return tstate_handles();
}

static PyObject *builtin_query(PyObject *module, PyObject *args)
{
    char reply[NS_MAXMSG];
    const char *name;
    ssize_t size;
    int type;

    if (!PyArg_ParseTuple(args, "si:query", &name, &type))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    size = sl_resolve(name, type, reply, sizeof(reply));
    Py_END_ALLOW_THREADS;
    if (size >= 0)
        return PyBytes_FromStringAndSize(reply, size);
    errno = (int)-size;
    return PyErr_SetFromErrno(PyExc_OSError);
}

static PyMethodDef builtin_methods[] = {
    {"spawn", (PyCFunction)(void *)spawn_call, METH_VARARGS | METH_KEYWORDS,
     "spawn(function, *args, **kwargs)\n--\n\n"
     "Call the function on a coroutine of its own, which begins when this one waits. Any thread may call spawn."},
    {"yield_now", builtin_yield_now, METH_NOARGS,
     "yield_now()\n--\n\nLet all coroutines that are ready run first. In an OS thread it does nothing."},
    {"start_real_threads", builtin_start_real_threads, METH_O,
     "start_real_threads(on)\n--\n\nThreads that this coroutine starts are threads of the system, until it is off."},
    {"steady", builtin_steady, METH_O,
     "steady(on)\n--\n\nThis coroutine is not preempted until steady(False), called as often as steady(True). It may "
     "wait. In an OS thread it does nothing."},
    {"hold", operator_hold, METH_O,
     "hold(on)\n--\n\nThe time of the request that this coroutine serves does not run until hold(False)."},
    {"query", builtin_query, METH_VARARGS,
     "query(name, type)\n--\n\nReturn the message by which DNS answers. Raise OSError if there is no answer."},
    {"serve", (PyCFunction)(void *)serve_start, METH_VARARGS | METH_KEYWORDS,
     "serve(fd, app, accepts, tls, limits)\n--\n\n"
     "Serve a WSGI application, see sl_serve in syncless/serve.h. limits is a list of pairs (key, value). "
     "Return the server."},
    {"serve_connection", serve_accepted, METH_VARARGS,
     "serve_connection(server, fd, host, port)\n--\n\nServe a connection that was accepted; host and port are the "
     "client's."},
    {"serve_plain", serve_plain, METH_O,
     "serve_plain(server)\n--\n\nReturn a server for the same application, whose clients do not speak TLS."},
    {"serve_end", serve_end, METH_O, "serve_end(server)\n--\n\nAccept no more."},
    {"fields", websocket_fields, METH_O,
     "fields(name)\n--\n\nReturn the values of the header fields of that name in the request that this coroutine "
     "serves; for \":method\" its method, for \":version\" 1.0 or 1.1."},
    {"hand_over", websocket_hand_over, METH_O,
     "hand_over(socket)\n--\n\nLeave the connection of this request to the socket, whose end() is called when the "
     "request is over. Return its descriptor, and the bytes that were received already."},
    {"on_drain", spawn_on_drain, METH_O,
     "on_drain(function)\n--\n\nCall the function on a coroutine when the worker begins to end."},
    {"watch_files", builtin_watch_files, METH_O,
     "watch_files(lines)\n--\n\nHave the server watch files. Return whether it has been told of them."},
    {"upgrade", websocket_upgrade, METH_VARARGS,
     "upgrade(fields)\n--\n\nAnswer 101 with these fields. Return the connection as a Stream."},
    {"handle", builtin_handle, METH_NOARGS,
     "handle()\n--\n\nReturn the Handle of this coroutine; None in an OS thread."},
    {"handles", builtin_handles, METH_NOARGS,
     "handles()\n--\n\nReturn the Handles of all coroutines that run Python code or wait in it."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef builtin_definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_syncless",
    .m_doc = "Coroutines that are threads to Python.",
    .m_size = -1,
    .m_methods = builtin_methods,
};

PyObject *builtin_init(void)
{
    PyObject *module;

    if (tstate_init_types() < 0 || request_cancel_init_types() < 0)
        return NULL;
    module = PyModule_Create(&builtin_definition);
    if (module &&
        (PyModule_AddStringConstant(module, "version", VERSION) < 0 || interrupt_add_types(module) < 0 ||
         request_cancel_add_types(module) < 0 || handle_add_type(module) < 0 || websocket_add_type(module) < 0))
        Py_CLEAR(module);
    return module;
}
