/*
 * response_body.c: what an application returns, to the client.
 *
 * Lists and tuples are complete, so the size of the body is known before its first byte, and no item needs a flush. The
 * same is true of an object whose iterator is one of a list or tuple, as for Django's responses. Files go by sendfile.
 * Everything else is iterated as PEP 3333 demands: an item is handed to the kernel before the next one is asked for,
 * which may take any time.
 *
 * Items are bytes, or objects with a buffer of bytes (bytearray, memoryview), which are copied: the application may
 * change them while the client is slow. A result that is such an object itself is one item.
 *
 * Calls of the server that may wait are made with the GIL held: they rarely wait, and if they do, the park hook of
 * threads/tstate.c releases it. Only sendfile, which may wait for the disk without parking, is called without the GIL.
 */
#include "request/response_body.h"

#include <errno.h>
#include <stdbool.h>

#include "request/exchange.h"
#include "request/file_wrapper.h"
#include "request/response_head.h"
#include "syncless.h"
#include "threads/app_child.h"

/* Raises an exception for err, what the server returned; if it is 0, counts size bytes as sent. */
static int check_sent(struct exchange *x, int err, size_t size)
{
    if (err == 0) {
        x->sent += (int64_t)size;
        return 0;
    }
    if (err == -EMSGSIZE) {
        PyErr_Format(PyExc_ValueError, "the response body is longer than the %lld bytes of its Content-Length",
                     (long long)x->length);
        x->error = err;
    } else {
        exchange_raise(x, err, "cannot send the response");
    }
    return -1;
}

/* Returns the bytes of an item that is not bytes as a new reference. */
static PyObject *copy_item(PyObject *item)
{
    if (PyObject_CheckBuffer(item))
        return PyBytes_FromObject(item);
    return PyErr_Format(PyExc_TypeError, "the response body must consist of bytes, not %s", Py_TYPE(item)->tp_name);
}

__attribute__((cold, noinline)) static int put_copy(struct exchange *x, PyObject *item, int64_t length)
{
    PyObject *bytes = copy_item(item);
    int result = bytes ? response_body_put(x, bytes, length) : -1;

    Py_XDECREF(bytes);
    return result;
}

int response_body_put(struct exchange *x, PyObject *bytes, int64_t length)
{
    size_t size;

    if (!PyBytes_Check(bytes))
        return put_copy(x, bytes, length);
    size = (size_t)PyBytes_GET_SIZE(bytes);
    if (size == 0 || x->stream)
        return 0;
    if (!x->head_sent && response_head_complete(x, length) < 0)
        return -1;
    if (x->bodiless)
        return 0;
    return check_sent(x, sl_write(x->req, PyBytes_AS_STRING(bytes), size), size);
}

int response_body_push(struct exchange *x)
{
    return x->head_sent ? check_sent(x, sl_flush(x->req), 0) : 0;
}

int response_body_end(struct exchange *x)
{
    int err = sl_end(x->req);

    if (err == 0)
        err = sl_flush(x->req);
    return err == -EPROTO ? 0 : check_sent(x, err, 0); /* the server logs a body that is too short */
}

/* Returns the number of bytes in an item that is not bytes; 0 if it has none: it is refused later. */
__attribute__((cold, noinline)) static Py_ssize_t buffer_size(PyObject *item)
{
    Py_buffer view;
    Py_ssize_t size;

    if (!PyObject_CheckBuffer(item))
        return 0;
    if (PyObject_GetBuffer(item, &view, PyBUF_FULL_RO) < 0) {
        PyErr_Clear();
        return 0;
    }
    size = view.len;
    PyBuffer_Release(&view);
    return size;
}

static inline Py_ssize_t item_size(PyObject *item)
{
    return PyBytes_Check(item) ? PyBytes_GET_SIZE(item) : buffer_size(item);
}

/* Returns the number of bytes in all items of a list or tuple. */
static int64_t total_size(PyObject *sequence)
{
    int64_t size = 0;

    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence); i++)
        size += item_size(PySequence_Fast_GET_ITEM(sequence, i));
    return size;
}

static int send_sequence(struct exchange *x, PyObject *sequence)
{
    int64_t length = x->head_sent ? -1 : total_size(sequence);
    int result = 0;

    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence) && result == 0; i++) {
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(sequence, i));

        result = response_body_put(x, item, length);
        Py_DECREF(item);
    }
    return result;
}

static bool has_length(PyObject *object)
{
    const PyTypeObject *type = Py_TYPE(object);

    return (type->tp_as_sequence && type->tp_as_sequence->sq_length) ||
           (type->tp_as_mapping && type->tp_as_mapping->mp_length);
}

/* Whether an iterable has exactly one item, which then is the whole body. Most have no length; asking them for it would
 * raise an exception, which costs more than all the rest. */
static bool is_single(PyObject *result)
{
    Py_ssize_t count = has_length(result) ? PyObject_Size(result) : 0;

    if (count < 0)
        PyErr_Clear();
    return count == 1;
}

static int send_item(struct exchange *x, PyObject *item, bool single)
{
    int64_t length = single ? item_size(item) : -1;

    return response_body_put(x, item, length) < 0 ? -1 : response_body_push(x);
}

static int send_items(struct exchange *x, PyObject *iterator, bool single)
{
    PyObject *item;
    int result = 0;

    while (result == 0 && !x->bodiless && (item = PyIter_Next(iterator))) {
        app_child_end();
        result = send_item(x, item, single);
        Py_DECREF(item);
    }
    app_child_end();
    return PyErr_Occurred() ? -1 : result;
}

/* Sends what is left in the iterator of a list or tuple. */
static int send_list_iterator(struct exchange *x, PyObject *iterator)
{
    PyObject *items = PySequence_Tuple(iterator);
    int result = items ? send_sequence(x, items) : -1;

    Py_XDECREF(items);
    return result;
}

static int send_iterable(struct exchange *x, PyObject *result)
{
    PyObject *iterator = PyObject_GetIter(result);
    int sent;

    app_child_end();
    if (!iterator)
        return -1;
    if (Py_IS_TYPE(iterator, &PyListIter_Type) || Py_IS_TYPE(iterator, &PyTupleIter_Type))
        sent = send_list_iterator(x, iterator);
    else
        sent = send_items(x, iterator, is_single(result));
    Py_DECREF(iterator);
    return sent;
}

static int send_region(struct exchange *x, const struct region *region)
{
    size_t size = region->size;
    int err;

    if (!x->head_sent && response_head_complete(x, (int64_t)size) < 0)
        return -1;
    if (x->length >= 0 && x->length - x->sent < (int64_t)size)
        size = (size_t)(x->length - x->sent);
    if (x->bodiless || size == 0)
        return 0;
    Py_BEGIN_ALLOW_THREADS;
    err = sl_sendfile(x->req, region->fd, region->offset, size);
    Py_END_ALLOW_THREADS;
    return check_sent(x, err, size);
}

static int send_wrapped_file(struct exchange *x, PyObject *wrapper)
{
    struct region region;
    int is_regular = file_wrapper_region(wrapper, &region);

    if (is_regular < 0)
        return -1;
    return is_regular ? send_region(x, &region) : send_iterable(x, wrapper);
}

static int send_result(struct exchange *x, PyObject *result)
{
    if (PyList_CheckExact(result) || PyTuple_CheckExact(result))
        return send_sequence(x, result);
    if (Py_IS_TYPE(result, &file_wrapper_type))
        return send_wrapped_file(x, result);
    if (PyObject_CheckBuffer(result))
        return response_body_put(x, result, item_size(result));
    if (PyUnicode_Check(result) || result == Py_None) {
        PyErr_Format(PyExc_TypeError, "the application returned %s, where an iterable of bytes is needed: [body]",
                     Py_TYPE(result)->tp_name);
        return -1;
    }
    return send_iterable(x, result);
}

int response_body_send(struct exchange *x, PyObject *result)
{
    if (send_result(x, result) < 0)
        return -1;
    return x->head_sent || x->stream ? 0 : response_head_complete(x, 0);
}
