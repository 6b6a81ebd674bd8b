/*
 * response_head.c: the status and the header list of start_response.
 *
 * They go to the server as soon as the application gives them, so that it checks them while the application's frames
 * are still there for a traceback. Only for those that it refuses we look again, to say why. Until the first byte of
 * the body the application may replace them (exc_info): then the server drops the old ones first.
 *
 * PEP 3333 wants a list of tuples. As elsewhere any iterable of pairs will do.
 */
#include "request/response_head.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "interp/compat.h"
#include "request/convert.h"
#include "request/exchange.h"
#include "syncless.h"

struct text {
    const char *at;
    size_t size;
};

/* Sets an exception whose message shows the object. The object is borrowed, and its __repr__ may drop the reference
 * that it is borrowed from. Returns -1. */
static int refuse_object(PyObject *object, PyObject *type, const char *format, ...)
{
    va_list args;

    Py_INCREF(object);
    va_start(args, format);
    PyErr_FormatV(type, format, args);
    va_end(args);
    Py_DECREF(object);
    return -1;
}

/* Borrows the bytes of a str of latin-1 characters. */
static int get_text(PyObject *object, const char *what, struct text *text)
{
    if (!PyUnicode_Check(object))
        return refuse_object(object, PyExc_TypeError, "%s must be str, not %s: %R", what, Py_TYPE(object)->tp_name,
                             object);
    if (compat_text_ready(object) < 0)
        return -1;
    if (PyUnicode_KIND(object) != PyUnicode_1BYTE_KIND)
        return refuse_object(object, PyExc_ValueError, "%s has characters that are not in latin-1: %R", what, object);
    text->at = (const char *)PyUnicode_1BYTE_DATA(object);
    text->size = (size_t)PyUnicode_GET_LENGTH(object);
    return 0;
}

static bool is_name(struct text t, const char *name)
{
    return strlen(name) == t.size && !strncasecmp(t.at, name, t.size);
}

static bool is_content_length(struct text t)
{
    return t.size == 14 && is_name(t, "Content-Length");
}

/* Returns a decimal number of up to 18 digits, or -1. */
static int64_t parse_length(struct text t)
{
    int64_t n = 0;

    if (t.size == 0 || t.size > 18)
        return -1;
    for (size_t i = 0; i < t.size; i++) {
        if (t.at[i] < '0' || t.at[i] > '9')
            return -1;
        n = n * 10 + (t.at[i] - '0');
    }
    return n;
}

/* Returns the number in "200 OK" or "200", or -1. */
static int parse_status(struct text t)
{
    int status = 0;

    if (t.size < 3 || (t.size > 3 && t.at[3] != ' '))
        return -1;
    for (int i = 0; i < 3; i++) {
        if (t.at[i] < '0' || t.at[i] > '9')
            return -1;
        status = status * 10 + (t.at[i] - '0');
    }
    return status >= 200 ? status : -1;
}

/* Here and below a loop, or a look at the first character, is faster than a call of libc for so few bytes. */
static bool has_nul(const char *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (at[i] == '\0')
            return true;
    return false;
}

static bool is_head(const char *method)
{
    return *method == 'H' && !strcmp(method, "HEAD");
}

static int set_status(struct exchange *x, PyObject *object)
{
    struct text t;
    int status;

    if (get_text(object, "status", &t) < 0)
        return -1;
    status = parse_status(t);
    x->bodiless = status == 204 || status == 205 || status == 304 || is_head(x->req->method);
    if (status > 0 && !has_nul(t.at + 3, t.size - 3) && sl_status(x->req, status, t.size > 4 ? t.at + 4 : NULL) == 0)
        return 0;
    return refuse_object(object, PyExc_ValueError,
                         "status must be a number from 200 to 999, a space and a reason, like '200 OK', not %R",
                         object);
}

/* Borrows the name and the value of a header tuple. */
static int get_header(PyObject *header, struct text *name, struct text *value)
{
    if (PyTuple_GET_SIZE(header) != 2)
        return refuse_object(header, PyExc_TypeError, "a header must be a tuple (name, value), not %R", header);
    if (get_text(PyTuple_GET_ITEM(header, 0), "header name", name) < 0)
        return -1;
    return get_text(PyTuple_GET_ITEM(header, 1), "header value", value);
}

/* Returns what is wrong with a header that was refused, as a format for its repr. */
static const char *why_refused(struct text name, struct text value)
{
    if (is_content_length(name))
        return "header %R must be a number of bytes";
    for (size_t i = 0; i < value.size; i++)
        if (((unsigned char)value.at[i] < ' ' && value.at[i] != '\t') || value.at[i] == 127)
            return "the value of header %R has a control character or a line break";
    return "the name of header %R must consist of letters, digits and hyphens";
}

static bool is_padding(char c)
{
    return c == ' ' || c == '\t';
}

static struct text without_blanks(struct text t)
{
    while (t.size && is_padding(t.at[t.size - 1]))
        t.size--;
    while (t.size && is_padding(*t.at)) {
        t.at++;
        t.size--;
    }
    return t;
}

static int set_header(struct exchange *x, PyObject *header)
{
    const char *wrong = NULL;
    struct text name, value;
    bool is_length;

    if (get_header(header, &name, &value) < 0)
        return -1;
    is_length = is_content_length(name);
    if (is_length)
        value = without_blanks(value);
    if (is_length && x->length >= 0)
        wrong = parse_length(value) == x->length ? NULL : "header %R is given twice";
    else if (sl_header_n(x->req, name.at, name.size, value.at, value.size) < 0)
        wrong = why_refused(name, value);
    else if (is_length)
        x->length = parse_length(value);
    return wrong ? refuse_object(header, PyExc_ValueError, wrong, header) : 0;
}

/* Whether an object is a sequence that may stand for a tuple: a text of two characters does not. */
static bool is_pair(PyObject *object)
{
    return PySequence_Check(object) && !PyUnicode_Check(object) && !PyObject_CheckBuffer(object) &&
           PySequence_Size(object) == 2;
}

/* Returns a header as a tuple, a new reference. What makes one may run code of the application, which may take the
 * header out of the list. */
__attribute__((cold, noinline)) static PyObject *tuple_of_header(PyObject *header)
{
    PyObject *kept = Py_NewRef(header), *tuple = is_pair(header) ? PySequence_Tuple(header) : NULL;

    if (!tuple && !PyErr_Occurred())
        refuse_object(header, PyExc_TypeError, "a header must be a tuple (name, value), not %R", header);
    Py_DECREF(kept);
    return tuple;
}

static int set_headers(struct exchange *x, PyObject *list)
{
    int result = 0;

    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list) && result == 0; i++) {
        PyObject *header = PyList_GET_ITEM(list, i);
        PyObject *tuple = PyTuple_Check(header) ? Py_NewRef(header) : tuple_of_header(header);

        result = tuple ? set_header(x, tuple) : -1;
        Py_XDECREF(tuple);
    }
    return result;
}

/* Returns a list of the headers as a new reference. */
__attribute__((cold, noinline)) static PyObject *list_of_headers(PyObject *headers)
{
    PyObject *iterator = PyUnicode_Check(headers) || PyObject_CheckBuffer(headers) ? NULL : PyObject_GetIter(headers);
    PyObject *list;

    if (!iterator && PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError))
        return NULL;
    if (!iterator)
        return PyErr_Format(PyExc_TypeError, "headers must be a list of tuples (name, value), not %s",
                            Py_TYPE(headers)->tp_name);
    list = PySequence_List(iterator);
    Py_DECREF(iterator);
    return list;
}

int response_head_set(struct exchange *x, PyObject *status, PyObject *headers)
{
    PyObject *list = PyList_Check(headers) ? Py_NewRef(headers) : list_of_headers(headers);
    int result;

    if (!list)
        return -1;
    sl_reset(x->req);
    x->length = -1;
    result = set_status(x, status);
    if (result == 0)
        result = set_headers(x, list);
    x->started = result == 0;
    Py_DECREF(list);
    return result;
}

/* Adds a Content-Length if the application gave none. If no body is sent, an empty one says nothing about the length:
 * applications may answer HEAD so. */
static int add_content_length(struct exchange *x, int64_t length)
{
    char digits[MAX_DECIMAL], *end = digits + sizeof(digits), *at;

    if (length < 0 || x->length >= 0 || (x->bodiless && length == 0))
        return 0;
    x->length = length;
    at = convert_decimal(end, (uint64_t)length);
    return sl_header_n(x->req, "Content-Length", 14, at, (size_t)(end - at));
}

int response_head_complete(struct exchange *x, int64_t length)
{
    if (!x->started) {
        PyErr_SetString(PyExc_AssertionError,
                        "the application did not call start_response before the first byte of its body");
        return -1;
    }
    if (x->headers && response_head_set(x, x->status, x->headers) < 0)
        return -1;
    x->head_sent = true;
    return add_content_length(x, length);
}
