/*
 * upgrade.c: a request whose connection goes on in another protocol, for syncless.websocket.
 *
 * environ['syncless.websocket'] is one function for all requests: whose it is to be is known from the coroutine, as
 * with wsgi.errors, so requests that want none of it pay nothing. Called, it imports the package, which does the
 * handshake by upgrade() and speaks the protocol over the Stream that it gets: bytes in and out, on any coroutine, one
 * reading and one writing, until the request ends.
 */
#include "bridge.h"

#include <errno.h>
#include <string.h>

#define LARGEST (64 << 10) /* bytes that one recv allocates */

struct stream {
    PyObject_HEAD struct exchange *x; /* NULL: the request is over */
};

static struct exchange *exchange_of(PyObject *self)
{
    struct exchange *x = ((struct stream *)self)->x;

    if (!x)
        PyErr_SetString(PyExc_ConnectionAbortedError, "the request that this connection came with is over");
    return x;
}

static PyObject *stream_recv(PyObject *self, PyObject *arg)
{
    struct exchange *x = exchange_of(self);
    Py_ssize_t size = PyLong_AsSsize_t(arg);
    PyObject *bytes;
    ssize_t n;

    if (!x || (size == -1 && PyErr_Occurred()))
        return NULL;
    bytes = PyBytes_FromStringAndSize(NULL, size < 1 ? 1 : size > LARGEST ? LARGEST : size);
    if (!bytes)
        return NULL;
    n = sl_body(x->req, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    if (n < 0) {
        Py_DECREF(bytes);
        report_connection(x, (int)n, "nothing can be received");
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ConnectionError, "nothing can be received");
    }
    _PyBytes_Resize(&bytes, n);
    return bytes;
}

static PyObject *stream_send(PyObject *self, PyObject *bytes)
{
    struct exchange *x = exchange_of(self);
    char *data;
    Py_ssize_t size;
    int rc;

    if (!x || PyBytes_AsStringAndSize(bytes, &data, &size) < 0)
        return NULL;
    rc = sl_write(x->req, data, (size_t)size);
    if (rc == 0)
        rc = sl_flush(x->req);
    if (rc == 0)
        Py_RETURN_NONE;
    report_connection(x, rc, "nothing can be sent");
    return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ConnectionError, "nothing can be sent");
}

static PyMethodDef stream_methods[] = {
    {"recv", stream_recv, METH_O, "recv(size)\n--\n\nBytes, at most so many; none when the client sends no more."},
    {"send", stream_send, METH_O, "send(bytes)\n--\n\nSend all of them. OSError when the client is gone."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject stream_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "_syncless.Stream",
    .tp_doc = "A connection after an upgrade.",
    .tp_basicsize = sizeof(struct stream),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = stream_methods,
};

int upgrade_init(void)
{
    return PyType_Ready(&stream_type);
}

void upgrade_end(struct exchange *x)
{
    if (x->stream)
        ((struct stream *)x->stream)->x = NULL;
    Py_CLEAR(x->stream);
}

/* The request of this coroutine, if there is one that has not been answered. */
static struct exchange *present(void)
{
    struct exchange *x = tstate_exchange();

    if (!x)
        PyErr_SetString(PyExc_RuntimeError, "this coroutine serves no request");
    return x;
}

PyObject *upgrade_field(PyObject *module, PyObject *name)
{
    struct exchange *x = present();
    const char *text = x ? PyUnicode_AsUTF8(name) : NULL, *value;

    if (!text)
        return NULL;
    value = sl_find(x->req, text);
    return value ? latin1(value, strlen(value)) : Py_NewRef(Py_None);
}

/* Add the fields, a list of pairs, to the response. */
static int add_fields(struct exchange *x, PyObject *fields)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(fields); i++) {
        const char *name, *value;

        if (!PyArg_ParseTuple(PyList_GET_ITEM(fields, i), "ss", &name, &value))
            return -1;
        if (sl_header(x->req, name, value) < 0) {
            PyErr_Format(PyExc_ValueError, "the field %s: %s cannot be sent", name, value);
            return -1;
        }
    }
    return 0;
}

PyObject *upgrade_run(PyObject *module, PyObject *args)
{
    struct exchange *x = present();
    PyObject *fields;
    int rc;

    if (!x || !PyArg_ParseTuple(args, "O!:upgrade", &PyList_Type, &fields) || add_fields(x, fields) < 0)
        return NULL;
    rc = sl_upgrade(x->req, "websocket");
    if (rc == -EINVAL || rc == -EALREADY)
        return PyErr_Format(PyExc_ValueError,
                            rc == -EINVAL ? "the client does not ask for a WebSocket" : "the response has begun");
    if (rc < 0) {
        report_connection(x, rc, "the handshake cannot be sent");
        return NULL;
    }
    x->stream = (PyObject *)PyObject_New(struct stream, &stream_type);
    if (x->stream)
        ((struct stream *)x->stream)->x = x;
    return Py_XNewRef(x->stream);
}

/* environ['syncless.websocket'](**options) */
static PyObject *websocket(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *module = PyImport_ImportModule("syncless.websocket");
    PyObject *accept = module ? PyObject_GetAttrString(module, "accept") : NULL;
    PyObject *result = accept ? PyObject_Call(accept, args, kwargs) : NULL;

    Py_XDECREF(module);
    Py_XDECREF(accept);
    return result;
}

PyObject *upgrade_function(void)
{
    static PyMethodDef method = {"websocket", (PyCFunction)(void *)websocket, METH_VARARGS | METH_KEYWORDS,
                                 "See syncless.websocket.accept."};

    return PyCFunction_New(&method, NULL);
}
