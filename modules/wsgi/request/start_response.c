/*
 * start_response.c: the callable given to an application, and the write() that it returns.
 *
 * Both are bare objects with a vectorcall, one of each for a request. They may outlive it, and then raise an exception
 * when called; those that nobody kept serve the next request.
 */
#include "request/start_response.h"

#include "request/exchange.h"
#include "request/response_body.h"
#include "request/response_head.h"
#include "request/websocket.h"
#include "syncless.h"

/* start_response or write, which differ only in the function that is called. */
struct callable {
    PyObject_HEAD
    vectorcallfunc call;
    struct exchange *x; /* borrowed; NULL after the request */
};

static PyTypeObject start_response_type, write_type;

/* The arguments of start_response, borrowed. */
enum argument { STATUS, HEADERS, EXC_INFO, ARGUMENTS };

/* Returns the argument of that name, or ARGUMENTS. PEP 3333 calls the second one response_headers. */
static enum argument find_argument(PyObject *name)
{
    static const char *const names[ARGUMENTS] = {"status", "headers", "exc_info"};
    int i = 0;

    if (PyUnicode_CompareWithASCIIString(name, "response_headers") == 0)
        return HEADERS;
    while (i < ARGUMENTS && PyUnicode_CompareWithASCIIString(name, names[i]))
        i++;
    return i;
}

/* Adds the arguments that are given by name. */
__attribute__((cold, noinline)) static int parse_named(PyObject *const *values, PyObject *names,
                                                       PyObject *found[ARGUMENTS])
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        enum argument argument = find_argument(name);

        if (argument == ARGUMENTS || found[argument]) {
            PyErr_Format(PyExc_TypeError,
                         argument == ARGUMENTS ? "start_response() has no argument %R"
                                               : "start_response() has two values for %R",
                         name);
            return -1;
        }
        found[argument] = values[i];
    }
    return 0;
}

/* Sets found; EXC_INFO to NULL if it is absent or None. */
static int parse_arguments(PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject *found[ARGUMENTS])
{
    found[STATUS] = count > STATUS ? args[STATUS] : NULL;
    found[HEADERS] = count > HEADERS ? args[HEADERS] : NULL;
    found[EXC_INFO] = count > EXC_INFO ? args[EXC_INFO] : NULL;
    if (names && parse_named(args + count, names, found) < 0)
        return -1;
    if (count > ARGUMENTS || !found[STATUS] || !found[HEADERS]) {
        PyErr_SetString(PyExc_TypeError, "expected start_response(status, headers, exc_info=None)");
        return -1;
    }
    if (found[EXC_INFO] == Py_None)
        found[EXC_INFO] = NULL;
    if (found[EXC_INFO] && (!PyTuple_Check(found[EXC_INFO]) || PyTuple_GET_SIZE(found[EXC_INFO]) != 3)) {
        PyErr_Format(PyExc_TypeError, "exc_info must be a tuple like that of sys.exc_info(), not %R", found[EXC_INFO]);
        return -1;
    }
    return 0;
}

/* Raises the exception of an exc_info tuple again. */
static void reraise_exc_info(PyObject *exc_info)
{
    PyObject *type = PyTuple_GET_ITEM(exc_info, 0), *value = PyTuple_GET_ITEM(exc_info, 1);
    PyObject *traceback = PyTuple_GET_ITEM(exc_info, 2);

    if (PyExceptionInstance_Check(value) && PyTraceBack_Check(traceback))
        PyException_SetTraceback(value, traceback);
    if (PyExceptionInstance_Check(value))
        PyErr_SetObject((PyObject *)Py_TYPE(value), value);
    else
        PyErr_Format(PyExc_TypeError, "exc_info has no exception: (%R, %R)", type, value);
}

/* PEP 3333: start_response may be called again only to report an error, and only before anything was sent. */
static int check_call_order(const struct exchange *x, PyObject *exc_info)
{
    if (!x) {
        PyErr_SetString(PyExc_RuntimeError, "start_response() was called after the request had ended");
        return -1;
    }
    if (exc_info && x->head_sent) {
        reraise_exc_info(exc_info);
        return -1;
    }
    if (!exc_info && x->started) {
        PyErr_SetString(PyExc_AssertionError, "start_response() was called a second time without exc_info");
        return -1;
    }
    return 0;
}

/* The server takes status and headers in the request's own thread only; those given in another one are stored, and
 * handed over by response_head_complete. The old ones are dropped last: freeing them may run code that waits, until
 * after the end of the request. */
static void store_head(struct exchange *x, PyObject *status, PyObject *headers)
{
    PyObject *old_status = x->status, *old_headers = x->headers;

    x->status = Py_XNewRef(status);
    x->headers = Py_XNewRef(headers);
    Py_XDECREF(old_status);
    Py_XDECREF(old_headers);
}

static int set_or_store_head(struct exchange *x, PyObject *status, PyObject *headers)
{
    if (x->coroutine == sl_self()) {
        if (x->headers)
            store_head(x, NULL, NULL);
        return response_head_set(x, status, headers);
    }
    x->started = true;
    store_head(x, status, headers);
    return 0;
}

static PyObject *start_response_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    struct exchange *x = ((struct callable *)self)->x;
    PyObject *found[ARGUMENTS], *write;

    if (parse_arguments(args, PyVectorcall_NARGS(nargsf), names, found) < 0 || check_call_order(x, found[EXC_INFO]) < 0)
        return NULL;
    write = Py_NewRef(x->write);
    if (x->refused && websocket_refuse(x, found[STATUS]))
        return write;
    if (x->stream)
        return write; /* views of frameworks must return a response */
    if (set_or_store_head(x, found[STATUS], found[HEADERS]) < 0)
        Py_CLEAR(write);
    return write;
}

static PyObject *write_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    struct exchange *x = ((struct callable *)self)->x;

    if (PyVectorcall_NARGS(nargsf) != 1 || names) {
        PyErr_SetString(PyExc_TypeError, "expected write(data)");
        return NULL;
    }
    if (!x || x->coroutine != sl_self()) {
        PyErr_SetString(PyExc_RuntimeError, x ? "write() works only in the thread that called the application"
                                              : "write() was called after the request had ended");
        return NULL;
    }
    if (response_body_put(x, args[0], -1) < 0 || response_body_push(x) < 0)
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
    .tp_doc = "write(data): send bytes at once. For old code; new code returns an iterable.",
    .tp_basicsize = sizeof(struct callable),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_dealloc = callable_dealloc,
    .tp_vectorcall_offset = offsetof(struct callable, call),
    .tp_call = PyVectorcall_Call,
};

/* Owned: those of the last request, if no application kept them, for the next one. */
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
    x->start_response = callable_new(&spare_start_response, &start_response_type, start_response_call, x);
    x->write = callable_new(&spare_write, &write_type, write_call, x);
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

int start_response_init_types(void)
{
    return PyType_Ready(&start_response_type) < 0 ? -1 : PyType_Ready(&write_type);
}
