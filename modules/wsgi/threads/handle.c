/*
 * handle.c: _syncless.Handle, what Python code holds of a coroutine: by it an exception is sent there.
 *
 * A handle is made when somebody first asks for it and outlives its coroutine, which tells it of its end. Exceptions
 * are raised in the order in which they were sent, one at a time: of two Timeouts, one inside of the other, none must
 * get lost because both are over. One that is still on its way can be taken back. Senders are to remind until they are
 * heard: what a library in C makes of an interrupt is its own affair, and only the second one ends its wait for sure;
 * and the second exception is sent by its first reminder. (Sent at once it would be raised in the main coroutine, which
 * hears signals between any two lines, before the first has been caught.)
 *
 * The attribute owner is for the package: its object for that coroutine. Both point at each other until the end.
 */
#include "bridge.h"

#include <structmember.h>

struct handle {
    PyObject_HEAD
    struct interrupt *interrupt; /* of the coroutine; NULL when it has ended */
    unsigned long ident;         /* threading.get_ident() of it */
    PyObject *queue;             /* list of exceptions that were sent and not raised */
    PyObject *owner;             /* anything, or NULL */
};

/* ---- exceptions ---- */

/* Set the exception that was sent first. */
static void raise_first(void *arg)
{
    struct handle *h = arg;
    PyObject *raised = Py_NewRef(PyList_GET_ITEM(h->queue, 0));

    if (PySequence_DelItem(h->queue, 0) == 0)
        PyErr_SetObject((PyObject *)Py_TYPE(raised), raised);
    Py_DECREF(raised);
}

/* Where in the queue it is; -1: it is not. */
static Py_ssize_t find(const struct handle *h, PyObject *exception)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(h->queue); i++)
        if (PyList_GET_ITEM(h->queue, i) == exception)
            return i;
    return -1;
}

/* Whether it is to be sent: false with an exception set, or if the coroutine has ended. */
static bool is_for(const struct handle *h, PyObject *exception)
{
    if (PyExceptionInstance_Check(exception))
        return h->interrupt != NULL;
    PyErr_Format(PyExc_TypeError, "expected an exception, not %s", Py_TYPE(exception)->tp_name);
    return false;
}

static PyObject *handle_interrupt(PyObject *self, PyObject *exception)
{
    struct handle *h = (struct handle *)self;

    if (!is_for(h, exception))
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    if (PyList_Append(h->queue, exception) < 0)
        return NULL;
    if (PyList_GET_SIZE(h->queue) == 1)
        interrupt_send(h->interrupt, raise_first, h);
    return Py_NewRef(Py_True);
}

static PyObject *handle_remind(PyObject *self, PyObject *exception)
{
    struct handle *h = (struct handle *)self;

    if (!h->interrupt || find(h, exception) < 0)
        return Py_NewRef(Py_False);
    interrupt_send(h->interrupt, raise_first, h);
    return Py_NewRef(Py_True);
}

static PyObject *handle_withdraw(PyObject *self, PyObject *exception)
{
    struct handle *h = (struct handle *)self;
    Py_ssize_t i = find(h, exception);

    if (i < 0)
        return Py_NewRef(Py_False);
    if (PySequence_DelItem(h->queue, i) < 0)
        return NULL;
    if (PyList_GET_SIZE(h->queue) == 0)
        interrupt_withdraw(h->interrupt, raise_first);
    return Py_NewRef(Py_True);
}

/* ---- the type ---- */

static void handle_dealloc(PyObject *self)
{
    struct handle *h = (struct handle *)self;

    Py_CLEAR(h->queue);
    Py_CLEAR(h->owner);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *handle_alive(PyObject *self, void *unused)
{
    return PyBool_FromLong(((struct handle *)self)->interrupt != NULL);
}

static PyMethodDef methods[] = {
    {"interrupt", handle_interrupt, METH_O,
     "interrupt(exception)\n--\n\n"
     "Have the exception raised where the coroutine waits, or will wait next. False if it has ended."},
    {"remind", handle_remind, METH_O,
     "remind(exception)\n--\n\n"
     "Send it once more, the first one such that code in C hears it as ECANCELED. False if it was raised or taken back "
     "already."},
    {"withdraw", handle_withdraw, METH_O,
     "withdraw(exception)\n--\n\nTake it back. False if that is too late: it was raised."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"ident", T_ULONG, offsetof(struct handle, ident), READONLY, "threading.get_ident() of the coroutine."},
    {"owner", T_OBJECT, offsetof(struct handle, owner), 0, "Whatever its user puts there; None when it has ended."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef getters[] = {
    {"alive", handle_alive, NULL, "Whether the coroutine has not ended.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "_syncless.Handle",
    .tp_doc = "A coroutine.",
    .tp_basicsize = sizeof(struct handle),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = handle_dealloc,
    .tp_methods = methods,
    .tp_members = members,
    .tp_getset = getters,
};

int handle_init(void)
{
    return PyType_Ready(&type);
}

PyObject *handle_of(struct interrupt *i, unsigned long ident)
{
    struct handle *h = (struct handle *)i->handle;

    if (h)
        return Py_NewRef((PyObject *)h);
    h = PyObject_New(struct handle, &type);
    if (!h)
        return NULL;
    h->interrupt = i;
    h->ident = ident;
    h->owner = NULL;
    h->queue = PyList_New(0);
    if (!h->queue) {
        Py_DECREF(h);
        return NULL;
    }
    i->handle = (PyObject *)h;
    return Py_NewRef(i->handle);
}

void handle_end(struct interrupt *i)
{
    struct handle *h;

    while ((h = (struct handle *)i->handle)) { /* what is freed here may ask for a handle once more */
        i->handle = NULL;
        h->interrupt = NULL;
        PyList_SetSlice(h->queue, 0, PyList_GET_SIZE(h->queue), NULL);
        Py_CLEAR(h->owner);
        Py_DECREF(h);
    }
}
