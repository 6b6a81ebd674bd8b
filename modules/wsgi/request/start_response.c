/*
 * start_response.c: the callable given to an application, and the write() that it returns.
 *
 * Both are bare objects with a vectorcall, one of each for a request. They may outlive it, then they only say so; those
 * that nobody kept serve the next request.
 */
#include "request/start_response.h"

#include "request/exchange.h"
#include "request/head.h"
#include "request/response.h"
#include "syncless.h"

/* start_response or write: they differ in the function that is called. */
struct callable {
    PyObject_HEAD
    vectorcallfunc call;
    struct exchange *x; /* NULL after the request */
};

static PyTypeObject start_response_type, write_type;

/* The third argument, by place or by name; *exc_info is NULL if it is absent or None. */
static int parse_exc_info(PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **exc_info)
{
    Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;

    if (count < 2 || count + named > 3) {
        PyErr_SetString(PyExc_TypeError, "use start_response(status, headers, exc_info=None)");
        return -1;
    }
    if (named && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "exc_info") != 0) {
        PyErr_Format(PyExc_TypeError, "start_response() has no argument %R", PyTuple_GET_ITEM(names, 0));
        return -1;
    }
    *exc_info = count + named == 3 && args[2] != Py_None ? args[2] : NULL;
    if (*exc_info && (!PyTuple_Check(*exc_info) || PyTuple_GET_SIZE(*exc_info) != 3)) {
        PyErr_Format(PyExc_TypeError, "exc_info must be a tuple as of sys.exc_info(), not %R", *exc_info);
        return -1;
    }
    return 0;
}

/* Raise the exception of an exc_info tuple again. */
static void reraise(PyObject *exc_info)
{
    PyObject *type = PyTuple_GET_ITEM(exc_info, 0), *value = PyTuple_GET_ITEM(exc_info, 1);
    PyObject *traceback = PyTuple_GET_ITEM(exc_info, 2);

    if (PyExceptionInstance_Check(value) && PyTraceBack_Check(traceback))
        PyException_SetTraceback(value, traceback);
    if (PyExceptionInstance_Check(value))
        PyErr_SetObject((PyObject *)Py_TYPE(value), value);
    else
        PyErr_Format(PyExc_TypeError, "exc_info holds no exception: (%R, %R)", type, value);
}

/* PEP 3333: only to report an error may start_response be called again, and only before anything was sent. */
static int check_order(const struct exchange *x, PyObject *exc_info)
{
    if (!x || x->stream) {
        PyErr_SetString(PyExc_RuntimeError, x ? "start_response() was called after the request became a WebSocket"
                                              : "start_response() was called after the request had ended");
        return -1;
    }
    if (exc_info && x->head_sent) {
        reraise(exc_info);
        return -1;
    }
    if (!exc_info && x->started) {
        PyErr_SetString(PyExc_AssertionError, "start_response() was called for the second time without exc_info");
        return -1;
    }
    return 0;
}

/* The server takes them in the request's own thread only; head_complete sees to those of another one. What was kept
 * before goes last: code that runs then may wait until the request is over. */
static void keep(struct exchange *x, PyObject *status, PyObject *headers)
{
    PyObject *old_status = x->status, *old_headers = x->headers;

    x->status = Py_XNewRef(status);
    x->headers = Py_XNewRef(headers);
    Py_XDECREF(old_status);
    Py_XDECREF(old_headers);
}

static int set_head(struct exchange *x, PyObject *status, PyObject *headers)
{
    if (x->coroutine == sl_self()) {
        if (x->headers)
            keep(x, NULL, NULL);
        return head_set(x, status, headers);
    }
    x->started = true;
    keep(x, status, headers);
    return 0;
}

static PyObject *start_response(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    struct exchange *x = ((struct callable *)self)->x;
    PyObject *exc_info, *write;

    if (parse_exc_info(args, PyVectorcall_NARGS(nargsf), names, &exc_info) < 0 || check_order(x, exc_info) < 0)
        return NULL;
    write = Py_NewRef(x->write);
    if (set_head(x, args[0], args[1]) < 0)
        Py_CLEAR(write);
    return write;
}

static PyObject *write_body(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    struct exchange *x = ((struct callable *)self)->x;

    if (PyVectorcall_NARGS(nargsf) != 1 || names) {
        PyErr_SetString(PyExc_TypeError, "use write(data)");
        return NULL;
    }
    if (!x || x->stream || x->coroutine != sl_self()) {
        PyErr_SetString(PyExc_RuntimeError, !x ? "write() was called after the request had ended"
                                            : x->stream
                                                ? "write() was called after the request became a WebSocket"
                                                : "write() works only in the thread that called the application");
        return NULL;
    }
    if (response_put(x, args[0], -1) < 0 || response_push(x) < 0)
        return NULL;
    return Py_NewRef(Py_None);
}

static void callable_dealloc(PyObject *self)
{
    PyObject_Free(self);
}

static PyTypeObject start_response_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "syncless.start_response",
    .tp_doc = "start_response(status, headers, exc_info=None)",
    .tp_basicsize = sizeof(struct callable),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_dealloc = callable_dealloc,
    .tp_vectorcall_offset = offsetof(struct callable, call),
    .tp_call = PyVectorcall_Call,
};

static PyTypeObject write_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "syncless.write",
    .tp_doc = "write(data): send bytes at once. New code returns an iterable instead.",
    .tp_basicsize = sizeof(struct callable),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_dealloc = callable_dealloc,
    .tp_vectorcall_offset = offsetof(struct callable, call),
    .tp_call = PyVectorcall_Call,
};

/* One of each kind that no application kept, for the next request. */
static PyObject *spare_start_response, *spare_write;

static PyObject *callable_new(PyObject **spare, PyTypeObject *type, vectorcallfunc call, struct exchange *x)
{
    struct callable *c = (struct callable *)*spare;

    *spare = NULL;
    if (!c)
        c = PyObject_New(struct callable, type);
    if (!c)
        return NULL;
    c->call = call;
    c->x = x;
    return (PyObject *)c;
}

int start_response_new(struct exchange *x)
{
    x->start_response = callable_new(&spare_start_response, &start_response_type, start_response, x);
    x->write = callable_new(&spare_write, &write_type, write_body, x);
    return x->start_response && x->write ? 0 : -1;
}

static void callable_end(PyObject *self, PyObject **spare)
{
    if (!self)
        return;
    ((struct callable *)self)->x = NULL;
    if (Py_REFCNT(self) == 1 && !*spare)
        *spare = self;
    else
        Py_DECREF(self);
}

void start_response_end(struct exchange *x)
{
    callable_end(x->start_response, &spare_start_response);
    callable_end(x->write, &spare_write);
}

void start_response_clear(void)
{
    Py_CLEAR(spare_start_response);
    Py_CLEAR(spare_write);
}

int start_response_init(void)
{
    return PyType_Ready(&start_response_type) < 0 ? -1 : PyType_Ready(&write_type);
}
