/*
 * wsgi_errors.c: wsgi.errors, a text file that goes to the log.
 *
 * One object serves all requests: the coroutine tells which of them writes. The log takes whole lines, so text without
 * a line break is kept with its request until the break comes, the file is flushed or the request ends. Threads that
 * serve no request share one such partial line.
 *
 * It is an io.TextIOBase, as sys.stderr is: what asks for its encoding, for colours on a terminal or for a binary
 * buffer beneath gets an answer. Its descriptor is that of stderr, for faulthandler.
 */
#include "request/wsgi_errors.h"

#include <string.h>
#include <unistd.h>

#include "interp/report.h"
#include "request/exchange.h"
#include "request/io_object.h"
#include "syncless.h"
#include "threads/tstate.h"

#define MAX_LINE (64 << 10) /* bytes; a longer line is logged in parts */

static struct partial_line shared_line; /* of threads that serve no request */

static void log_line(const struct exchange *x, const char *text, size_t size)
{
    sl_log(x ? x->req : NULL, SL_ERROR, "%.*s", (int)size, text);
}

static void flush_line(const struct exchange *x, struct partial_line *line)
{
    if (line->size > 0)
        log_line(x, line->text, line->size);
    PyMem_Free(line->text);
    *line = (struct partial_line){0};
}

static int append_partial(struct partial_line *line, const char *text, size_t size)
{
    if (line->size + size > line->capacity) {
        size_t capacity = (line->size + size) * 2;
        char *grown = PyMem_Realloc(line->text, capacity);

        if (!grown) {
            PyErr_NoMemory();
            return -1;
        }
        line->text = grown;
        line->capacity = capacity;
    }
    memcpy(line->text + line->size, text, size);
    line->size += size;
    return 0;
}

/* Logs the lines that are complete and keeps the rest. */
static int log_lines(const struct exchange *x, struct partial_line *line, const char *text, size_t size)
{
    while (size > 0) {
        const char *newline = memchr(text, '\n', size);
        size_t part = newline ? (size_t)(newline - text) : size;

        if (part > MAX_LINE) {
            part = MAX_LINE;
            newline = NULL;
        }
        if (newline && line->size == 0) {
            log_line(x, text, part);
        } else {
            if (append_partial(line, text, part) < 0)
                return -1;
            if (newline || line->size >= MAX_LINE)
                flush_line(x, line);
        }
        part += newline != NULL;
        text += part;
        size -= part;
    }
    return 0;
}

static int errors_write_text(PyObject *text)
{
    struct exchange *x = tstate_exchange();
    PyObject *bytes;
    int result;

    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "wsgi.errors.write() takes str, not %s", Py_TYPE(text)->tp_name);
        return -1;
    }
    bytes = report_bytes(text);
    if (!bytes)
        return -1;
    result = log_lines(x, x ? &x->line : &shared_line, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return result;
}

void wsgi_errors_end(struct exchange *x)
{
    flush_line(x, &x->line);
}

static PyObject *errors_write(PyObject *self, PyObject *text)
{
    return errors_write_text(text) < 0 ? NULL : PyLong_FromSsize_t(PyUnicode_GET_LENGTH(text));
}

static PyObject *errors_writelines(PyObject *self, PyObject *lines)
{
    PyObject *iterator = PyObject_GetIter(lines), *line;
    int result = 0;

    while (iterator && result == 0 && (line = PyIter_Next(iterator))) {
        result = errors_write_text(line);
        Py_DECREF(line);
    }
    Py_XDECREF(iterator);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *errors_flush(PyObject *self, PyObject *unused)
{
    struct exchange *x = tstate_exchange();

    flush_line(x, x ? &x->line : &shared_line);
    return Py_NewRef(Py_None);
}

/* Of the buffer: bytes are taken for UTF-8. */
static PyObject *errors_write_bytes(PyObject *self, PyObject *object)
{
    Py_buffer bytes;
    Py_ssize_t size;
    PyObject *text;
    int result;

    if (PyObject_GetBuffer(object, &bytes, PyBUF_SIMPLE) < 0)
        return NULL;
    size = bytes.len;
    text = PyUnicode_DecodeUTF8(bytes.buf, size, "backslashreplace");
    PyBuffer_Release(&bytes);
    result = text ? errors_write_text(text) : -1;
    Py_XDECREF(text);
    return result < 0 ? NULL : PyLong_FromSsize_t(size);
}

static PyObject *errors_fileno(PyObject *self, PyObject *unused)
{
    return PyLong_FromLong(STDERR_FILENO);
}

/* value: a text, or NULL for None. */
static PyObject *errors_text(PyObject *self, void *value)
{
    return value ? PyUnicode_FromString(value) : Py_NewRef(Py_None);
}

static PyObject *errors_closed(PyObject *self, void *unused)
{
    return Py_NewRef(Py_False);
}

static PyObject *errors_line_buffering(PyObject *self, void *unused)
{
    return Py_NewRef(Py_True);
}

static PyTypeObject buffer_type;

static PyObject *errors_buffer(PyObject *self, void *unused)
{
    return (PyObject *)PyObject_New(PyObject, &buffer_type);
}

/* Methods that both have. close() does nothing, since the log stays. */
#define FILE_METHODS                                                                                                   \
    {"flush", errors_flush, METH_NOARGS, "flush(): log the unfinished line."},                                         \
        {"close", errors_flush, METH_NOARGS, "close(): the same; the log stays open."},                                \
        {"fileno", errors_fileno, METH_NOARGS, "fileno(): that of stderr."},                                           \
        {"isatty", io_object_false, METH_NOARGS, "isatty(): False."},                                                  \
        {"readable", io_object_false, METH_NOARGS, "readable(): False."},                                              \
        {"writable", io_object_true, METH_NOARGS, "writable(): True."},                                                \
        {"seekable", io_object_false, METH_NOARGS, "seekable(): False."},                                              \
        {"__enter__", io_object_enter, METH_NOARGS, NULL}, {"__exit__", io_object_exit, METH_VARARGS, NULL},           \
        IO_OBJECT_UNSUPPORTED("read"), IO_OBJECT_UNSUPPORTED("readline"), IO_OBJECT_UNSUPPORTED("readlines"),          \
        IO_OBJECT_UNSUPPORTED("seek"), IO_OBJECT_UNSUPPORTED("tell"), IO_OBJECT_UNSUPPORTED("truncate"),               \
        IO_OBJECT_UNSUPPORTED("detach")

static PyMethodDef errors_methods[] = {
    FILE_METHODS,
    {"write", errors_write, METH_O, "write(text): to the log, line by line."},
    {"writelines", errors_writelines, METH_O, "writelines(lines): the same for each of them."},
    {0},
};

static PyGetSetDef errors_members[] = {
    {"encoding", errors_text, NULL, "\"utf-8\".", "utf-8"},
    {"errors", errors_text, NULL, "\"backslashreplace\".", "backslashreplace"},
    {"newlines", errors_text, NULL, "None.", NULL},
    {"name", errors_text, NULL, "\"<wsgi.errors>\".", "<wsgi.errors>"},
    {"mode", errors_text, NULL, "\"w\".", "w"},
    {"closed", errors_closed, NULL, "False.", NULL},
    {"line_buffering", errors_line_buffering, NULL, "True.", NULL},
    {"buffer", errors_buffer, NULL, "The same file, for bytes.", NULL},
    {0},
};

static PyTypeObject errors_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "syncless.Errors",
    .tp_doc = "wsgi.errors: the log of the server.",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = errors_methods,
    .tp_getset = errors_members,
};

static PyMethodDef buffer_methods[] = {
    FILE_METHODS,
    {"write", errors_write_bytes, METH_O, "write(bytes): to the log, line by line."},
    {0},
};

static PyGetSetDef buffer_members[] = {
    {"closed", errors_closed, NULL, "False.", NULL},
    {"name", errors_text, NULL, "\"<wsgi.errors>\".", "<wsgi.errors>"},
    {"mode", errors_text, NULL, "\"wb\".", "wb"},
    {0},
};

static PyTypeObject buffer_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "syncless.ErrorsBuffer",
    .tp_doc = "wsgi.errors.buffer: the log of the server, for bytes.",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = buffer_methods,
    .tp_getset = buffer_members,
};

PyObject *wsgi_errors_new(void)
{
    return (PyObject *)PyObject_New(PyObject, &errors_type);
}

int wsgi_errors_init_type(void)
{
    if (PyType_Ready(&errors_type) < 0 || PyType_Ready(&buffer_type) < 0)
        return -1;
    return io_object_register(&errors_type, "TextIOBase") < 0 ? -1 : io_object_register(&buffer_type, "BufferedIOBase");
}
