/*
 * websocket.c: a request whose connection goes on in another protocol, for syncless.websocket.
 *
 * environ['syncless.websocket'] is one function for all requests: as with wsgi.errors, the coroutine tells which
 * request it is for, so requests that do not use it pay nothing. The function imports the package, which does the
 * handshake by upgrade() and speaks the protocol over the Stream that it returns: bytes in and out, on any coroutine,
 * one reading and one writing, until the request ends. Calls that are under way then use memory of the request: they
 * are cancelled, and the request waits until they have returned.
 */
#include "request/websocket.h"

#include <errno.h>
#include <string.h>

#include "request/convert.h"
#include "request/exchange.h"
#include "syncless.h"
#include "threads/interrupt.h"
#include "threads/tstate.h"

#define MAX_RECV (64 << 10) /* bytes that one recv allocates */

enum stream_call { RECV, SEND, STREAM_CALLS };

struct stream {
    PyObject_HEAD
    struct exchange *x;         /* borrowed; NULL: the request is over */
    void *inside[STREAM_CALLS]; /* sl_self() of the coroutine that is in that call, or NULL */
};

static int raise_over(void)
{
    PyErr_SetString(PyExc_ConnectionAbortedError, "the request of this connection is over");
    return -1;
}

/* A call begins. Fails where it is not possible. */
static int stream_enter(struct stream *s, enum stream_call call)
{
    void *coroutine = sl_self();

    if (!s->x)
        return raise_over();
    if (!coroutine || s->inside[call]) {
        PyErr_SetString(PyExc_RuntimeError,
                        coroutine ? "another coroutine is in the same call on this connection"
                                  : "a WebSocket works on coroutines only; this is an OS thread (or a forked child)");
        return -1;
    }
    s->inside[call] = coroutine;
    return 0;
}

/* The call ends, with that result of the server. Fails if it is an error. */
static int stream_leave(struct stream *s, enum stream_call call, ssize_t result, const char *doing)
{
    s->inside[call] = NULL;
    if (!s->x) {
        interrupt_renew(tstate_interrupt()); /* websocket_end has cancelled it */
        return raise_over();
    }
    if (result >= 0)
        return 0;
    exchange_raise(s->x, (int)result, doing);
    return -1;
}

static PyObject *stream_recv(PyObject *self, PyObject *arg)
{
    struct stream *s = (struct stream *)self;
    Py_ssize_t size = PyLong_AsSsize_t(arg), n;
    PyObject *bytes;

    if (size == -1 && PyErr_Occurred())
        return NULL;
    bytes = PyBytes_FromStringAndSize(NULL, size < 1 ? 1 : size > MAX_RECV ? MAX_RECV : size);
    if (!bytes || stream_enter(s, RECV) < 0) {
        Py_XDECREF(bytes);
        return NULL;
    }
    n = sl_body(s->x->req, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    if (stream_leave(s, RECV, n, "cannot receive from the client") < 0)
        Py_CLEAR(bytes);
    else
        _PyBytes_Resize(&bytes, n);
    return bytes;
}

static PyObject *stream_send(PyObject *self, PyObject *bytes)
{
    struct stream *s = (struct stream *)self;
    Py_ssize_t size;
    char *data;
    int err;

    if (PyBytes_AsStringAndSize(bytes, &data, &size) < 0 || stream_enter(s, SEND) < 0)
        return NULL;
    err = sl_write(s->x->req, data, (size_t)size);
    if (err == 0 && s->x)
        err = sl_flush(s->x->req);
    return stream_leave(s, SEND, err, "cannot send to the client") < 0 ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef stream_methods[] = {
    {"recv", stream_recv, METH_O,
     "recv(size)\n--\n\nReturn at least one and at most size bytes; b'' when the client sends no more."},
    {"send", stream_send, METH_O, "send(bytes)\n--\n\nSend all of them. Raise OSError when the client is gone."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject stream_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "_syncless.Stream",
    .tp_doc = "A connection after an upgrade.",
    .tp_basicsize = sizeof(struct stream),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = stream_methods,
};

int websocket_init_type(void)
{
    return PyType_Ready(&stream_type);
}

int websocket_add_type(PyObject *module)
{
    return PyModule_AddType(module, &stream_type);
}

void websocket_end(struct exchange *x)
{
    struct stream *s = (struct stream *)x->stream;

    if (!s)
        return;
    s->x = NULL;
    for (enum stream_call call = 0; call < STREAM_CALLS; call++)
        if (s->inside[call])
            sl_cancel(s->inside[call], ECANCELED);
    while (s->inside[RECV] || s->inside[SEND])
        sl_yield();
    Py_CLEAR(x->stream);
}

/* Returns the request that this coroutine serves, or NULL with an exception. */
static struct exchange *current_exchange(void)
{
    struct exchange *x = tstate_exchange();

    if (!x)
        PyErr_SetString(PyExc_RuntimeError, "this coroutine serves no request");
    return x;
}

PyObject *websocket_field(PyObject *module, PyObject *name)
{
    struct exchange *x = current_exchange();
    const char *text = x ? PyUnicode_AsUTF8(name) : NULL, *value;

    if (!text)
        return NULL;
    value = sl_find(x->req, text);
    return value ? convert_latin1(value, strlen(value)) : Py_NewRef(Py_None);
}

/* Adds fields, a list of pairs, to the response. */
static int add_response_fields(struct exchange *x, PyObject *fields)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(fields); i++) {
        const char *name, *value;

        if (!PyArg_ParseTuple(PyList_GET_ITEM(fields, i), "ss", &name, &value))
            return -1;
        if (sl_header(x->req, name, value) < 0) {
            PyErr_Format(PyExc_ValueError, "cannot send the field %s: %s", name, value);
            return -1;
        }
    }
    return 0;
}

static PyObject *stream_new(struct exchange *x)
{
    struct stream *s = PyObject_New(struct stream, &stream_type);

    if (!s)
        return NULL;
    s->x = x;
    s->inside[RECV] = s->inside[SEND] = NULL;
    x->stream = (PyObject *)s;
    return Py_NewRef(x->stream);
}

PyObject *websocket_upgrade(PyObject *module, PyObject *args)
{
    struct exchange *x = current_exchange();
    PyObject *fields;
    int err;

    if (!x || !PyArg_ParseTuple(args, "O!:upgrade", &PyList_Type, &fields))
        return NULL;
    if (x->head_sent || x->stream)
        return PyErr_Format(PyExc_ValueError, "the response has begun: it is too late for a WebSocket");
    if (add_response_fields(x, fields) < 0)
        return NULL;
    err = sl_upgrade(x->req, "websocket");
    if (err == -EINVAL)
        return PyErr_Format(PyExc_ValueError, "the client did not ask for a WebSocket");
    if (err < 0) {
        exchange_raise(x, err, "cannot send the handshake");
        return NULL;
    }
    return stream_new(x);
}

/* environ['syncless.websocket'](**options) */
static PyObject *websocket_accept(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *module = PyImport_ImportModule("syncless.websocket");
    PyObject *accept = module ? PyObject_GetAttrString(module, "accept") : NULL;
    PyObject *result = accept ? PyObject_Call(accept, args, kwargs) : NULL;

    Py_XDECREF(module);
    Py_XDECREF(accept);
    return result;
}

PyObject *websocket_function(void)
{
    static PyMethodDef method = {"websocket", (PyCFunction)(void *)websocket_accept, METH_VARARGS | METH_KEYWORDS,
                                 "See syncless.websocket.accept."};

    return PyCFunction_New(&method, NULL);
}
