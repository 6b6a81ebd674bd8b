/*
 * wsgi_input.c: wsgi.input, the body of the request as a binary file.
 *
 * read() receives directly into the bytes object that it returns; only readline and iteration use a buffer. The size
 * that a client announces is never allocated before the bytes have arrived. The end of the body is the end of the file,
 * chunked or not (wsgi.input_terminated). One object without a body serves all requests that have none, so close() has
 * no effect on that.
 *
 * It is an io.BufferedIOBase that cannot seek: read and readinto wait for all that is asked for, read1 and readinto1
 * for what comes next.
 *
 * Applications may keep the object, or hand it to another thread; reading from it then raises an exception.
 */
#include "request/wsgi_input.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "request/exchange.h"
#include "request/io_object.h"
#include "syncless.h"

#define BUFFER_SIZE    (8 << 10)
#define MAX_FIRST_READ (64 << 10) /* bytes that read() allocates before any have arrived */

struct input {
    PyObject_HEAD
    struct exchange *x; /* borrowed; NULL: there is no body, or the request is over */
    bool over;          /* the request is over */
    bool closed;        /* by the application */
    int64_t left;       /* bytes of body that were not received yet, -1 if not known */
    char *buffer;       /* owned, or NULL */
    size_t at, end;     /* the bytes of buffer from at to end were not read yet */
};

static PyTypeObject input_type;

static struct input *input_alloc(struct exchange *x, int64_t left)
{
    struct input *in = PyObject_New(struct input, &input_type);

    if (!in)
        return NULL;
    in->x = x;
    in->over = in->closed = false;
    in->left = left;
    in->buffer = NULL;
    in->at = in->end = 0;
    return in;
}

PyObject *wsgi_input_new(struct exchange *x)
{
    return (PyObject *)input_alloc(x, x->req->length);
}

PyObject *wsgi_input_empty(void)
{
    return (PyObject *)input_alloc(NULL, 0);
}

void wsgi_input_end(PyObject *input)
{
    struct input *in = (struct input *)input;

    in->x = NULL;
    in->over = true;
}

static void input_dealloc(PyObject *self)
{
    PyMem_Free(((struct input *)self)->buffer);
    PyObject_Free(self);
}

static int input_check(const struct input *in)
{
    if (in->over) {
        PyErr_SetString(PyExc_ValueError, "wsgi.input was used after the request had ended");
        return -1;
    }
    if (in->closed) {
        PyErr_SetString(PyExc_ValueError, "wsgi.input was used after it had been closed");
        return -1;
    }
    if (in->x && in->x->coroutine != sl_self()) {
        PyErr_SetString(PyExc_RuntimeError, "wsgi.input can be read only in the thread that called the application");
        return -1;
    }
    return 0;
}

/* Returns the number of bytes received, 0 at the end of the body, or -1. */
static Py_ssize_t input_receive(struct input *in, char *to, size_t size)
{
    ssize_t n;

    if (!in->x || in->left == 0)
        return 0;
    n = sl_body(in->x->req, to, size);
    if (n < 0) {
        exchange_raise(in->x, (int)n,
                       n == -EBADMSG ? "the request body is malformed"
                       : n == -EFBIG ? "the request body is larger than max-body-size"
                                     : "the request body cannot be read to its end");
        return -1;
    }
    if (n == 0)
        in->left = 0;
    else if (in->left > 0)
        in->left -= n;
    return n;
}

static size_t read_buffered(struct input *in, char *to, size_t size)
{
    size_t n = in->end - in->at < size ? in->end - in->at : size;

    if (n > 0)
        memcpy(to, in->buffer + in->at, n);
    in->at += n;
    return n;
}

/* Reads the next bytes, buffered ones first. Returns their number, 0 at the end of the body, or -1. */
static Py_ssize_t read_some(struct input *in, char *to, size_t size)
{
    size_t n = read_buffered(in, to, size);

    return n > 0 || size == 0 ? (Py_ssize_t)n : input_receive(in, to, size);
}

/* Returns wanted, or how many bytes can still come if that is less. */
static size_t limit_to_rest(const struct input *in, size_t wanted)
{
    size_t rest = in->left < 0 ? SIZE_MAX : (size_t)in->left + (in->end - in->at);

    return wanted < rest ? wanted : rest;
}

/* Returns wanted bytes, fewer only at the end of the body. */
static PyObject *read_bytes(struct input *in, size_t wanted)
{
    size_t capacity, size = 0;
    PyObject *out;
    Py_ssize_t n = 1;

    wanted = limit_to_rest(in, wanted);
    capacity = wanted < MAX_FIRST_READ ? wanted : MAX_FIRST_READ;
    out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)capacity);
    while (out && size < wanted && n > 0) {
        if (size == capacity) {
            capacity = wanted / 2 < capacity ? wanted : capacity * 2;
            if (_PyBytes_Resize(&out, (Py_ssize_t)capacity) < 0)
                break;
        }
        n = read_some(in, PyBytes_AS_STRING(out) + size, capacity - size);
        size += n > 0 ? (size_t)n : 0;
    }
    if (n < 0)
        Py_CLEAR(out);
    if (out && size < capacity)
        _PyBytes_Resize(&out, (Py_ssize_t)size);
    return out;
}

/* Makes sure that the buffer has something. Returns 1, 0 at the end of the body, or -1. */
static int input_fill_buffer(struct input *in)
{
    Py_ssize_t n;

    if (in->at < in->end)
        return 1;
    if (!in->buffer)
        in->buffer = PyMem_Malloc(BUFFER_SIZE);
    if (!in->buffer) {
        PyErr_NoMemory();
        return -1;
    }
    n = input_receive(in, in->buffer, BUFFER_SIZE);
    in->at = 0;
    in->end = n > 0 ? (size_t)n : 0;
    return n > 0 ? 1 : (int)n;
}

/* Returns what the buffer has of the line, at most size bytes. Sets *ended if the line, or size, ends there. */
static PyObject *read_line_part(struct input *in, size_t size, bool *ended)
{
    const char *from = in->buffer + in->at, *newline;
    size_t n = in->end - in->at;

    if (n > size)
        n = size;
    newline = memchr(from, '\n', n);
    if (newline)
        n = (size_t)(newline + 1 - from);
    *ended = newline || n == size;
    in->at += n;
    return PyBytes_FromStringAndSize(from, (Py_ssize_t)n);
}

static PyObject *read_line(struct input *in, size_t size)
{
    PyObject *line = NULL;
    bool ended = size == 0;

    while (!ended) {
        int more = input_fill_buffer(in);
        PyObject *part = more > 0 ? read_line_part(in, size, &ended) : NULL;

        if (!part && PyErr_Occurred()) {
            Py_XDECREF(line);
            return NULL;
        }
        if (!part)
            break;
        size -= (size_t)PyBytes_GET_SIZE(part);
        if (!line)
            line = part;
        else
            PyBytes_ConcatAndDel(&line, part);
        if (!line)
            return NULL;
    }
    return line ? line : PyBytes_FromStringAndSize(NULL, 0);
}

/* Parses the optional argument of read and readline: absent, None or negative means all. */
static int parse_read_size(PyObject *const *args, Py_ssize_t count, const char *name, size_t *size)
{
    Py_ssize_t n;

    *size = SIZE_MAX;
    if (count > 1) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most 1 argument, not %zd", name, count);
        return -1;
    }
    if (count == 0 || args[0] == Py_None)
        return 0;
    n = PyNumber_AsSsize_t(args[0], PyExc_OverflowError);
    if (n == -1 && PyErr_Occurred())
        return -1;
    if (n >= 0)
        *size = (size_t)n;
    return 0;
}

static PyObject *input_read(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    size_t size;

    if (input_check((struct input *)self) < 0 || parse_read_size(args, count, "read", &size) < 0)
        return NULL;
    return read_bytes((struct input *)self, size);
}

static PyObject *input_readline(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    size_t size;

    if (input_check((struct input *)self) < 0 || parse_read_size(args, count, "readline", &size) < 0)
        return NULL;
    return read_line((struct input *)self, size);
}

static PyObject *input_next(PyObject *self)
{
    PyObject *line = input_check((struct input *)self) < 0 ? NULL : read_line((struct input *)self, SIZE_MAX);

    if (line && PyBytes_GET_SIZE(line) == 0)
        Py_CLEAR(line);
    return line;
}

/* Stops at the end of the body, or when the lines have at least hint bytes together. */
static PyObject *input_readlines(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    PyObject *lines, *line = NULL;
    size_t hint, size = 0;

    if (parse_read_size(args, count, "readlines", &hint) < 0)
        return NULL;
    if (hint == 0)
        hint = SIZE_MAX;
    lines = PyList_New(0);
    while (lines && size < hint && (line = input_next(self))) {
        size += (size_t)PyBytes_GET_SIZE(line);
        if (PyList_Append(lines, line) < 0)
            Py_CLEAR(lines);
        Py_DECREF(line);
    }
    if (PyErr_Occurred())
        Py_CLEAR(lines);
    return lines;
}

static PyObject *input_read1(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct input *in = (struct input *)self;
    PyObject *out;
    Py_ssize_t n;
    size_t size;

    if (input_check(in) < 0 || parse_read_size(args, count, "read1", &size) < 0)
        return NULL;
    size = size == SIZE_MAX ? BUFFER_SIZE : size < MAX_FIRST_READ ? size : MAX_FIRST_READ;
    size = limit_to_rest(in, size);
    out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    n = out ? read_some(in, PyBytes_AS_STRING(out), size) : 0;
    if (n < 0)
        Py_CLEAR(out);
    if (out && n < (Py_ssize_t)size)
        _PyBytes_Resize(&out, n);
    return out;
}

/* Fills the target, or reads once. */
static PyObject *read_into(struct input *in, PyObject *target, bool once)
{
    Py_ssize_t n, size = 0;
    Py_buffer view;

    if (input_check(in) < 0 || PyObject_GetBuffer(target, &view, PyBUF_WRITABLE) < 0)
        return NULL;
    do {
        n = read_some(in, (char *)view.buf + size, (size_t)(view.len - size));
        size += n;
    } while (n > 0 && size < view.len && !once);
    PyBuffer_Release(&view);
    return n < 0 ? NULL : PyLong_FromSsize_t(size);
}

static PyObject *input_readinto(PyObject *self, PyObject *target)
{
    return read_into((struct input *)self, target, false);
}

static PyObject *input_readinto1(PyObject *self, PyObject *target)
{
    return read_into((struct input *)self, target, true);
}

static PyObject *input_close(PyObject *self, PyObject *unused)
{
    struct input *in = (struct input *)self;

    in->closed = in->x != NULL;
    return Py_NewRef(Py_None);
}

static PyObject *input_closed(PyObject *self, void *unused)
{
    const struct input *in = (struct input *)self;

    return PyBool_FromLong(in->over || in->closed);
}

static PyMethodDef input_methods[] = {
    {"read", (PyCFunction)(void (*)(void))input_read, METH_FASTCALL,
     "read(size=-1): size bytes, fewer only at the end."},
    {"readline", (PyCFunction)(void (*)(void))input_readline, METH_FASTCALL, "readline(size=-1): the next line."},
    {"readlines", (PyCFunction)(void (*)(void))input_readlines, METH_FASTCALL, "readlines(hint=-1): a list of lines."},
    {"read1", (PyCFunction)(void (*)(void))input_read1, METH_FASTCALL,
     "read1(size=-1): the bytes that come next, at most size."},
    {"readinto", input_readinto, METH_O,
     "readinto(buffer): fill the buffer; the number of bytes, fewer only at the end."},
    {"readinto1", input_readinto1, METH_O, "readinto1(buffer): the bytes that come next; the number of them."},
    {"close", input_close, METH_NOARGS, "close(): no more is read."},
    {"flush", io_object_none, METH_NOARGS, "flush(): nothing."},
    {"readable", io_object_true, METH_NOARGS, "readable(): True."},
    {"writable", io_object_false, METH_NOARGS, "writable(): False."},
    {"seekable", io_object_false, METH_NOARGS, "seekable(): False."},
    {"isatty", io_object_false, METH_NOARGS, "isatty(): False."},
    {"__enter__", io_object_enter, METH_NOARGS, NULL},
    {"__exit__", io_object_exit, METH_VARARGS, NULL},
    IO_OBJECT_UNSUPPORTED("seek"),
    IO_OBJECT_UNSUPPORTED("tell"),
    IO_OBJECT_UNSUPPORTED("truncate"),
    IO_OBJECT_UNSUPPORTED("fileno"),
    IO_OBJECT_UNSUPPORTED("write"),
    IO_OBJECT_UNSUPPORTED("writelines"),
    IO_OBJECT_UNSUPPORTED("detach"),
    {0},
};

static PyGetSetDef input_members[] = {
    {"closed", input_closed, NULL, "Whether the file is closed, or the request over.", NULL},
    {0},
};

static PyTypeObject input_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "syncless.Input",
    .tp_doc = "wsgi.input: the body of a request.",
    .tp_basicsize = sizeof(struct input),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = input_dealloc,
    .tp_methods = input_methods,
    .tp_getset = input_members,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = input_next,
};

int wsgi_input_init_type(void)
{
    return PyType_Ready(&input_type) < 0 ? -1 : io_object_register(&input_type, "BufferedIOBase");
}
