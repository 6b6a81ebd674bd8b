/*
 * websocket.c: a request whose connection goes on in another protocol, for syncless.websocket.
 *
 * environ['syncless.websocket'] is one function for all requests: as with wsgi.errors, the coroutine tells which
 * request it is for, so requests that do not use it pay nothing. The function imports the package, which does the
 * handshake by upgrade() and speaks the protocol over the Stream that it returns: bytes in and out, on any coroutine,
 * one reading and one writing, until the request ends. Calls that are under way then use memory of the request: they
 * are cancelled, and the request waits until they have returned.
 *
 * Libraries that speak the protocol themselves get the socket. From then on the server leaves the connection to them.
 */
#include "request/websocket.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>
#include <strings.h>

#include "interp/report.h"
#include "request/convert.h"
#include "request/exchange.h"
#include "syncless.h"
#include "threads/interrupt.h"
#include "threads/tstate.h"

#define MAX_RECV    (64 << 10) /* bytes that one recv allocates */
#define MAX_TIMEOUT 1000000000 /* seconds */

enum stream_call { RECV, SEND, STREAM_CALLS };

struct stream {
    PyObject_HEAD
    struct exchange *x;         /* borrowed; NULL: the request is over */
    void *inside[STREAM_CALLS]; /* sl_self() of the coroutine that is in that call, or NULL */
    sem_t left;                 /* posted by calls that return when the request is over */
};

/* Owned, of the package's module websocket; NULL before websocket_import. */
static PyObject *accept_function, *handshake_error, *connection_closed, *socket_class;

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
        sem_post(&s->left);
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
    if (n == -ETIMEDOUT && s->x) {
        s->inside[RECV] = NULL;
        Py_DECREF(bytes);
        Py_RETURN_NONE;
    }
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

static PyObject *stream_timeout(PyObject *self, PyObject *seconds)
{
    const struct stream *s = (struct stream *)self;
    double value = PyFloat_AsDouble(seconds);

    if (value == -1 && PyErr_Occurred())
        return NULL;
    if (!(value >= 0 && value <= MAX_TIMEOUT))
        return PyErr_Format(PyExc_ValueError, "a timeout has 0 to %d seconds", MAX_TIMEOUT);
    if (s->x)
        sl_body_timeout(s->x->req, value > 0 && value < 0.001 ? 1 : (int64_t)(value * 1000));
    Py_RETURN_NONE;
}

static PyObject *stream_stop(PyObject *self, PyObject *none)
{
    const struct stream *s = (struct stream *)self;

    if (s->x)
        sl_body_cancel(s->x->req);
    Py_RETURN_NONE;
}

static PyMethodDef stream_methods[] = {
    {"recv", stream_recv, METH_O,
     "recv(size)\n--\n\nReturn at least one and at most size bytes; b'' when the client sends no more; None when "
     "nothing "
     "has come for the time of timeout()."},
    {"timeout", stream_timeout, METH_O, "timeout(seconds)\n--\n\nThe longest wait of recv; 0: any."},
    {"stop", stream_stop, METH_NOARGS, "stop()\n--\n\nMake recv fail with OSError from now on, where it waits too."},
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

/* Waits until no call is under way. The waits of this coroutine may fail, as it was cancelled itself; for a semaphore
 * only once. */
static void stream_await_calls(struct stream *s)
{
    while (s->inside[RECV] || s->inside[SEND])
        if (sem_wait(&s->left) < 0 && errno != EINTR)
            sl_yield();
}

static void stream_end(struct stream *s)
{
    s->x = NULL;
    for (enum stream_call call = 0; call < STREAM_CALLS; call++)
        if (s->inside[call])
            sl_cancel(s->inside[call], ECANCELED);
    stream_await_calls(s);
}

static void socket_end(struct exchange *x)
{
    PyObject *result = x->stream == Py_None ? Py_NewRef(Py_None) : PyObject_CallMethod(x->stream, "end", NULL);

    if (!result)
        report_raised(x->req, "cannot close the socket of the connection");
    Py_XDECREF(result);
}

void websocket_end(struct exchange *x)
{
    if (!x->stream)
        return;
    if (Py_IS_TYPE(x->stream, &stream_type))
        stream_end((struct stream *)x->stream);
    else
        socket_end(x);
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

static int append_latin1(PyObject *list, const char *text)
{
    PyObject *value = convert_latin1(text, strlen(text));
    int result = value ? PyList_Append(list, value) : -1;

    Py_XDECREF(value);
    return result;
}

/* Appends the values of the fields of that name. */
static int append_fields(PyObject *list, const struct sl_request *req, const char *name)
{
    if (!strcmp(name, ":method"))
        return append_latin1(list, req->method);
    if (!strcmp(name, ":version"))
        return append_latin1(list, req->http_minor ? "1.1" : "1.0");
    for (size_t i = 0; i < req->field_count; i++)
        if (!strcasecmp(req->fields[i].name, name) && append_latin1(list, req->fields[i].value) < 0)
            return -1;
    return 0;
}

PyObject *websocket_fields(PyObject *module, PyObject *name)
{
    struct exchange *x = current_exchange();
    const char *text = x ? PyUnicode_AsUTF8(name) : NULL;
    PyObject *list = text ? PyList_New(0) : NULL;

    if (list && append_fields(list, x->req, text) < 0)
        Py_CLEAR(list);
    return list;
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
    sem_init(&s->left, 0, 0);
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

/* Returns what the client has sent already. */
static PyObject *early_bytes(struct exchange *x)
{
    Py_ssize_t size = (Py_ssize_t)sl_unread(x->req);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);
    ssize_t n = bytes && size ? sl_body(x->req, PyBytes_AS_STRING(bytes), (size_t)size) : 0;

    if (n < 0) {
        exchange_raise(x, (int)n, "cannot receive from the client");
        Py_CLEAR(bytes);
    }
    return bytes;
}

PyObject *websocket_hand_over(PyObject *module, PyObject *socket)
{
    struct exchange *x = current_exchange();
    PyObject *bytes;
    int fd;

    if (!x)
        return NULL;
    if (x->head_sent || x->stream)
        return PyErr_Format(PyExc_ValueError, "the response has begun: it is too late to take the socket");
    fd = sl_hand_over(x->req);
    if (fd == -EINVAL)
        return PyErr_Format(PyExc_ValueError, "the socket of a request with a body, or of HTTP/1.0, cannot be taken");
    if (fd < 0) {
        exchange_raise(x, fd, "cannot send earlier responses");
        return NULL;
    }
    x->stream = Py_NewRef(socket);
    bytes = early_bytes(x);
    return bytes ? Py_BuildValue("iN", fd, bytes) : NULL;
}

int websocket_add_socket(PyObject *env)
{
    PyObject *socket = socket_class ? PyObject_CallNoArgs(socket_class) : NULL;
    int result = socket ? PyDict_SetItemString(env, "gunicorn.socket", socket) : socket_class ? -1 : 0;

    Py_XDECREF(socket);
    return result;
}

/* ---- the package ---- */

int websocket_import(void)
{
    PyObject *module = socket_class ? NULL : PyImport_ImportModule("syncless.websocket");

    if (!module)
        return socket_class ? 0 : -1;
    accept_function = PyObject_GetAttrString(module, "accept");
    handshake_error = PyObject_GetAttrString(module, "HandshakeError");
    connection_closed = PyObject_GetAttrString(module, "ConnectionClosed");
    socket_class = PyObject_GetAttrString(module, "ClientSocket");
    Py_DECREF(module);
    return accept_function && handshake_error && connection_closed && socket_class ? 0 : -1;
}

void websocket_clear(void)
{
    Py_CLEAR(accept_function);
    Py_CLEAR(handshake_error);
    Py_CLEAR(connection_closed);
    Py_CLEAR(socket_class);
}

/* A view has raised the exception that is set: keep it, if it says that the handshake was refused. */
static void note_refusal(struct exchange *x)
{
    PyObject *type, *error, *traceback;

    if (!x || !PyErr_ExceptionMatches(handshake_error))
        return;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    Py_XSETREF(x->refused, Py_XNewRef(error));
    PyErr_Restore(type, error, traceback);
}

/* environ['syncless.websocket'](**options) */
static PyObject *websocket_accept(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *result = websocket_import() < 0 ? NULL : PyObject_Call(accept_function, args, kwargs);

    if (!result && handshake_error)
        note_refusal(tstate_exchange());
    return result;
}

/* Answers with the status of a HandshakeError, which has its fields. Returns whether that was possible. */
static bool answer_handshake_error(struct exchange *x, PyObject *error)
{
    PyObject *code = PyObject_GetAttrString(error, "code"), *fields = PyObject_GetAttrString(error, "headers");
    PyObject *text = PyObject_Str(error);
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    bool done = code && fields && PyList_Check(fields) && utf8 && !x->started && !x->head_sent &&
                sl_status(x->req, (int)PyLong_AsLong(code), NULL) == 0 && add_response_fields(x, fields) == 0;

    if (done)
        x->head_sent = sl_reply(x->req, (int)PyLong_AsLong(code), "text/plain", utf8, strlen(utf8)) == 0;
    PyErr_Clear();
    Py_XDECREF(code);
    Py_XDECREF(fields);
    Py_XDECREF(text);
    return done;
}

bool websocket_refuse(struct exchange *x, PyObject *status)
{
    const char *text = PyUnicode_Check(status) ? PyUnicode_AsUTF8(status) : NULL;

    if (!text)
        PyErr_Clear();
    if (!text || strncmp(text, "500", 3) || x->coroutine != sl_self() || !answer_handshake_error(x, x->refused))
        return false;
    x->stream = Py_NewRef(Py_None); /* what the application answers is ignored */
    return true;
}

static bool conclude_handshake(struct exchange *x)
{
    PyObject *type, *error, *traceback;
    bool done;

    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    done = answer_handshake_error(x, error);
    if (!done) {
        PyErr_Restore(type, error, traceback);
        return false;
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    return true;
}

bool websocket_conclude(struct exchange *x)
{
    bool is_socket = x->stream && !Py_IS_TYPE(x->stream, &stream_type);

    if (!handshake_error)
        return false;
    if (!x->stream)
        return PyErr_ExceptionMatches(handshake_error) && conclude_handshake(x);
    if (!PyErr_ExceptionMatches(connection_closed) &&
        !(is_socket && (PyErr_ExceptionMatches(PyExc_StopIteration) || PyErr_ExceptionMatches(PyExc_OSError))))
        return false;
    PyErr_Clear();
    return true;
}

PyObject *websocket_function(void)
{
    static PyMethodDef method = {"websocket", (PyCFunction)(void *)websocket_accept, METH_VARARGS | METH_KEYWORDS,
                                 "See syncless.websocket.accept."};

    return PyCFunction_New(&method, NULL);
}
