/*
 * head.c: the status and the header list of start_response.
 *
 * They are checked when the application gives them, while its frames are still there for the traceback, and handed to
 * the server with the first byte of the body, since until then the application may replace them (exc_info).
 */
#include "bridge.h"
#include "compat.h"

#include <string.h>
#include <strings.h>

struct text {
    const char *at;
    size_t size;
};

/* The bytes of a str of latin-1 characters, borrowed from it. */
static int text_of(PyObject *object, const char *what, struct text *text)
{
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be str, not %s: %R", what, Py_TYPE(object)->tp_name, object);
        return -1;
    }
    if (compat_text_ready(object) < 0)
        return -1;
    if (PyUnicode_KIND(object) != PyUnicode_1BYTE_KIND) {
        PyErr_Format(PyExc_ValueError, "%s has characters that are not in latin-1: %R", what, object);
        return -1;
    }
    text->at = (const char *)PyUnicode_1BYTE_DATA(object);
    text->size = (size_t)PyUnicode_GET_LENGTH(object);
    return 0;
}

/* Control characters, among them those that would begin another header line. */
static bool has_control(struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        unsigned char c = (unsigned char)t.at[i];

        if ((c < ' ' && c != '\t') || c == 127)
            return true;
    }
    return false;
}

/* A token of RFC 9110 section 5.6.2. */
static bool is_token(struct text t)
{
    static const char others[128] = {
        ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
        ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1,  ['~'] = 1};

    for (size_t i = 0; i < t.size; i++) {
        unsigned char c = (unsigned char)t.at[i], letter = c | 0x20;

        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && (c > 127 || !others[c]))
            return false;
    }
    return t.size > 0;
}

static bool is_name(struct text t, const char *name)
{
    return strlen(name) == t.size && strncasecmp(t.at, name, t.size) == 0;
}

/* Fields that speak about one connection, which is the server's: RFC 2616 section 13.5.1, as PEP 3333 has it. */
static bool is_hop_by_hop(struct text t)
{
    switch (t.size) {
    case 2:
        return is_name(t, "TE");
    case 7:
        return is_name(t, "Upgrade") || is_name(t, "Trailer");
    case 8:
        return is_name(t, "Trailers");
    case 10:
        return is_name(t, "Connection") || is_name(t, "Keep-Alive");
    case 16:
        return is_name(t, "Proxy-Connection");
    case 17:
        return is_name(t, "Transfer-Encoding");
    case 18:
        return is_name(t, "Proxy-Authenticate");
    case 19:
        return is_name(t, "Proxy-Authorization");
    default:
        return false;
    }
}

static bool is_content_length(struct text t)
{
    return t.size == 14 && is_name(t, "Content-Length");
}

/* A decimal number that fits, or -1. */
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

/* The number in "200 OK", or -1. */
static int parse_status(struct text t)
{
    int status = 0;

    if (t.size < 4 || t.at[3] != ' ')
        return -1;
    for (int i = 0; i < 3; i++) {
        if (t.at[i] < '0' || t.at[i] > '9')
            return -1;
        status = status * 10 + (t.at[i] - '0');
    }
    return status >= 200 && status <= 599 ? status : -1;
}

static int status_check(PyObject *status)
{
    struct text t;

    if (text_of(status, "status", &t) < 0)
        return -1;
    if (parse_status(t) < 0 || has_control(t)) {
        PyErr_Format(PyExc_ValueError,
                     "status must be a number from 200 to 599, a space and a reason, like '200 OK', not %R", status);
        return -1;
    }
    return 0;
}

/* The name and the value of a header tuple. */
static int header_of(PyObject *header, struct text *name, struct text *value)
{
    if (!PyTuple_Check(header) || PyTuple_GET_SIZE(header) != 2) {
        PyErr_Format(PyExc_TypeError, "a header must be a tuple (name, value), not %R", header);
        return -1;
    }
    if (text_of(PyTuple_GET_ITEM(header, 0), "header name", name) < 0)
        return -1;
    return text_of(PyTuple_GET_ITEM(header, 1), "header value", value);
}

static int header_check(PyObject *header, bool *has_length)
{
    const char *wrong = NULL;
    struct text name, value;

    if (header_of(header, &name, &value) < 0)
        return -1;
    if (!is_token(name))
        wrong = "the name of header %R must consist of letters, digits and hyphens";
    else if (has_control(value))
        wrong = "the value of header %R has a control character or a line break";
    else if (is_hop_by_hop(name))
        wrong = "header %R is hop-by-hop: the server sets it, an application may not";
    else if (is_content_length(name) && parse_length(value) < 0)
        wrong = "header %R must be a number of bytes";
    else if (is_content_length(name) && *has_length)
        wrong = "header %R is there for the second time";
    if (wrong) {
        PyErr_Format(PyExc_ValueError, wrong, header);
        return -1;
    }
    *has_length |= is_content_length(name);
    return 0;
}

int head_check(PyObject *status, PyObject *headers)
{
    bool has_length = false;

    if (status_check(status) < 0)
        return -1;
    if (!PyList_Check(headers)) {
        PyErr_Format(PyExc_TypeError, "headers must be a list of tuples (name, value), not %s",
                     Py_TYPE(headers)->tp_name);
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(headers); i++)
        if (header_check(PyList_GET_ITEM(headers, i), &has_length) < 0)
            return -1;
    return 0;
}

static int send_status(struct exchange *x)
{
    struct text t;
    int status;

    if (text_of(x->status, "status", &t) < 0)
        return -1;
    status = parse_status(t);
    x->bodiless = status == 204 || status == 304 || strcmp(x->req->method, "HEAD") == 0;
    if (sl_status(x->req, status, t.at + 4) == 0)
        return 0;
    PyErr_Format(PyExc_ValueError, "the server refuses the status %R", x->status);
    return -1;
}

static int send_header(struct exchange *x, PyObject *header)
{
    struct text name, value;

    if (header_of(header, &name, &value) < 0)
        return -1;
    if (is_content_length(name))
        x->length = parse_length(value);
    if (sl_header_n(x->req, name.at, name.size, value.at, value.size) == 0)
        return 0;
    PyErr_Format(PyExc_ValueError, "the server refuses the header %R", header);
    return -1;
}

/* The application's Content-Length, if it gave none. Not where the size of the body says nothing: an application may
 * well answer HEAD with an empty one. */
static int send_length(struct exchange *x, int64_t length)
{
    char digits[20], *end = digits + sizeof digits, *at;

    if (length < 0 || x->length >= 0 || (x->bodiless && length == 0))
        return 0;
    x->length = length;
    at = decimal(end, (uint64_t)length);
    return sl_header_n(x->req, "Content-Length", 14, at, (size_t)(end - at));
}

int head_send(struct exchange *x, int64_t length)
{
    if (!x->status) {
        PyErr_SetString(PyExc_AssertionError,
                        "the application did not call start_response before the first byte of its body");
        return -1;
    }
    if (send_status(x) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(x->headers); i++)
        if (send_header(x, PyList_GET_ITEM(x->headers, i)) < 0)
            return -1;
    x->head_sent = true;
    return send_length(x, length);
}
