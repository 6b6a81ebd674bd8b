/*
 * response.c: what an application returns, to the client.
 *
 * Lists and tuples are complete, so their size is known before the first byte and nothing needs a flush; and so is what
 * answers iter() with an iterator of one, as Django's responses do. Files go by sendfile. Everything else is iterated
 * as PEP 3333 wants it: an item is handed to the kernel before the next one is asked for, since that may take any time.
 *
 * The calls that may wait are made with the GIL held: they rarely wait, and if they do, the park hook of tstate.c
 * releases it. Only sendfile, which may wait for the disk without parking, gives it up first.
 */
#include "request/response.h"

#include <errno.h>
#include <stdbool.h>

#include "request/exchange.h"
#include "request/file_wrapper.h"
#include "request/head.h"
#include "syncless.h"
#include "threads/child.h"

static int sent(struct exchange *x, int rc, size_t size)
{
    if (rc == 0) {
        x->sent += (int64_t)size;
        return 0;
    }
    if (rc == -EMSGSIZE) {
        PyErr_Format(PyExc_ValueError, "the response body is longer than the %lld bytes of its Content-Length",
                     (long long)x->length);
        x->error = rc;
    } else {
        exchange_raise(x, rc, "the response cannot be sent");
    }
    return -1;
}

int response_put(struct exchange *x, PyObject *bytes, int64_t length)
{
    size_t size;

    if (!PyBytes_Check(bytes)) {
        PyErr_Format(PyExc_TypeError, "the response body must consist of bytes, not %s", Py_TYPE(bytes)->tp_name);
        return -1;
    }
    size = (size_t)PyBytes_GET_SIZE(bytes);
    if (size == 0)
        return 0;
    if (!x->head_sent && head_complete(x, length) < 0)
        return -1;
    if (x->bodiless)
        return 0;
    return sent(x, sl_write(x->req, PyBytes_AS_STRING(bytes), size), size);
}

int response_push(struct exchange *x)
{
    return x->head_sent ? sent(x, sl_flush(x->req), 0) : 0;
}

int response_end(struct exchange *x)
{
    int rc = sl_end(x->req);

    if (rc == 0)
        rc = sl_flush(x->req);
    return rc == -EPROTO ? 0 : sent(x, rc, 0); /* the server logs a body that is too short */
}

/* Bytes in all items of a list or tuple; an item that is no bytes is found later. */
static int64_t total(PyObject *sequence)
{
    int64_t size = 0;

    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence); i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(sequence, i);

        size += PyBytes_Check(item) ? PyBytes_GET_SIZE(item) : 0;
    }
    return size;
}

static int send_sequence(struct exchange *x, PyObject *sequence)
{
    int64_t length = x->head_sent ? -1 : total(sequence);
    int rc = 0;

    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence) && rc == 0; i++) {
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(sequence, i));

        rc = response_put(x, item, length);
        Py_DECREF(item);
    }
    return rc;
}

static bool has_length(PyObject *object)
{
    const PyTypeObject *type = Py_TYPE(object);

    return (type->tp_as_sequence && type->tp_as_sequence->sq_length) ||
           (type->tp_as_mapping && type->tp_as_mapping->mp_length);
}

/* Whether an iterable says that it has one item, so that the first one is the whole body. Most have no length, and an
 * exception that says so would cost more than all the rest. */
static bool is_single(PyObject *result)
{
    Py_ssize_t count = has_length(result) ? PyObject_Size(result) : 0;

    if (count < 0)
        PyErr_Clear();
    return count == 1;
}

static int send_item(struct exchange *x, PyObject *item, bool single)
{
    int64_t length = single && PyBytes_Check(item) ? PyBytes_GET_SIZE(item) : -1;

    return response_put(x, item, length) < 0 ? -1 : response_push(x);
}

static int send_items(struct exchange *x, PyObject *iterator, bool single)
{
    PyObject *item;
    int rc = 0;

    while (rc == 0 && !x->bodiless && (item = PyIter_Next(iterator))) {
        child_end();
        rc = send_item(x, item, single);
        Py_DECREF(item);
    }
    child_end();
    return PyErr_Occurred() ? -1 : rc;
}

/* What is left in the iterator of a list or tuple. */
static int send_rest(struct exchange *x, PyObject *iterator)
{
    PyObject *items = PySequence_Tuple(iterator);
    int rc = items ? send_sequence(x, items) : -1;

    Py_XDECREF(items);
    return rc;
}

static int send_iterable(struct exchange *x, PyObject *result)
{
    PyObject *iterator = PyObject_GetIter(result);
    int rc;

    child_end();
    if (!iterator)
        return -1;
    if (Py_IS_TYPE(iterator, &PyListIter_Type) || Py_IS_TYPE(iterator, &PyTupleIter_Type))
        rc = send_rest(x, iterator);
    else
        rc = send_items(x, iterator, is_single(result));
    Py_DECREF(iterator);
    return rc;
}

static int send_region(struct exchange *x, const struct region *region)
{
    size_t size = region->size;
    int rc;

    if (!x->head_sent && head_complete(x, (int64_t)size) < 0)
        return -1;
    if (x->length >= 0 && x->length - x->sent < (int64_t)size)
        size = (size_t)(x->length - x->sent);
    if (x->bodiless || size == 0)
        return 0;
    Py_BEGIN_ALLOW_THREADS;
    rc = sl_sendfile(x->req, region->fd, region->offset, size);
    Py_END_ALLOW_THREADS;
    return sent(x, rc, size);
}

static int send_file(struct exchange *x, PyObject *wrapper)
{
    struct region region;
    int plain = file_wrapper_region(wrapper, &region);

    if (plain < 0)
        return -1;
    return plain ? send_region(x, &region) : send_iterable(x, wrapper);
}

static int send_any(struct exchange *x, PyObject *result)
{
    if (PyList_CheckExact(result) || PyTuple_CheckExact(result))
        return send_sequence(x, result);
    if (Py_IS_TYPE(result, &file_wrapper_type))
        return send_file(x, result);
    if (PyBytes_Check(result) || PyUnicode_Check(result) || result == Py_None) {
        PyErr_Format(PyExc_TypeError, "the application returned %s, where an iterable of bytes is needed: [body]",
                     Py_TYPE(result)->tp_name);
        return -1;
    }
    return send_iterable(x, result);
}

int response_send(struct exchange *x, PyObject *result)
{
    if (send_any(x, result) < 0)
        return -1;
    return x->head_sent ? 0 : head_complete(x, 0);
}
