/*
 * handle.c: _syncless.Handle, what Python code holds of a coroutine: by it an exception is sent there.
 *
 * A handle is made when somebody first asks for it and outlives its coroutine, which tells it of its end. Exceptions
 * are raised in the order in which they were sent, one in each wait: of two Timeouts, one inside of the other, none
 * must get lost because both are over. One that was not raised yet can be taken back.
 *
 * The attribute owner is for the package: its object for that coroutine. Both point at each other until the end.
 */
#include "threads/handle.h"

#include <structmember.h>

#include "threads/interrupt.h"

struct handle {
    PyObject_HEAD
    struct interrupt *interrupt; /* of the coroutine; NULL when it has ended */
    unsigned long ident;         /* threading.get_ident() of it */
    PyObject *owner;             /* anything, or NULL */
};

/* ---- exceptions ---- */

static PyObject *handle_interrupt(PyObject *self, PyObject *exception)
{
    struct handle *h = (struct handle *)self;

    if (!PyExceptionInstance_Check(exception))
        return PyErr_Format(PyExc_TypeError, "expected an exception, not %s", Py_TYPE(exception)->tp_name);
    if (!h->interrupt)
        return Py_NewRef(Py_False);
    return interrupt_queue(h->interrupt, exception) < 0 ? NULL : Py_NewRef(Py_True);
}

static PyObject *handle_withdraw(PyObject *self, PyObject *exception)
{
    struct handle *h = (struct handle *)self;
    int found = h->interrupt ? interrupt_withdraw(h->interrupt, exception) : 0;

    return found < 0 ? NULL : PyBool_FromLong(found);
}

/* ---- the type ---- */

static void handle_dealloc(PyObject *self)
{
    struct handle *h = (struct handle *)self;

    Py_CLEAR(h->owner);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *handle_alive(PyObject *self, void *unused)
{
    return PyBool_FromLong(((struct handle *)self)->interrupt != NULL);
}

static PyObject *handle_failed(PyObject *self, void *unused)
{
    const struct handle *h = (struct handle *)self;

    return PyBool_FromLong(h->interrupt && h->interrupt->failed);
}

static PyMethodDef methods[] = {
    {"interrupt", handle_interrupt, METH_O,
     "interrupt(exception)\n--\n\n"
     "Have the exception raised where the coroutine waits, or will wait next. Returns False if it has ended."},
    {"withdraw", handle_withdraw, METH_O,
     "withdraw(exception)\n--\n\nTake it back. Returns False if that is too late: it was raised."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"ident", T_ULONG, offsetof(struct handle, ident), READONLY, "threading.get_ident() of the coroutine."},
    {"owner", T_OBJECT, offsetof(struct handle, owner), 0, "Whatever its user puts there; None when it has ended."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef getters[] = {
    {"alive", handle_alive, NULL, "Whether the coroutine has not ended.", NULL},
    {"failed", handle_failed, NULL,
     "Whether a wait of a C library has failed with ECANCELED since the last exception was raised or taken back.",
     NULL},
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
    i->handle = (PyObject *)h;
    return Py_NewRef(i->handle);
}

void handle_end(struct interrupt *i)
{
    struct handle *h;

    while ((h = (struct handle *)i->handle)) { /* what is freed here may ask for a handle once more */
        i->handle = NULL;
        h->interrupt = NULL;
        Py_CLEAR(h->owner);
        Py_DECREF(h);
    }
}
