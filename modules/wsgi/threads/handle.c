/*
 * handle.c: _syncless.Handle, by which Python code refers to a coroutine and sends it exceptions.
 *
 * A handle is made when it is first asked for. It may outlive its coroutine, and is told of its end. Exceptions are
 * raised in the order in which they were sent, one in each wait: if two nested Timeouts expire, neither must get lost.
 * One that was not raised yet can be taken back.
 *
 * The attribute owner is for the package: its object for that coroutine. The two refer to each other until the end. So
 * do the handle and the coroutine's threading.Thread, which is made when it is first asked for as well.
 */
#include "threads/handle.h"

#include <structmember.h>

#include "threads/interrupt.h"
#include "threads/thread_object.h"

#define MAX_LIVES 4 /* handles that one request or function has in turn, see handle_end */

struct handle {
    PyObject_HEAD
    struct interrupt *interrupt; /* of the coroutine; NULL when it has ended */
    unsigned long ident;         /* its threading.get_ident() */
    PyObject *owner;             /* owned; anything, or NULL */
    PyObject *thread;            /* owned: its threading.Thread, or NULL; in threading._active unless internal */
    char internal;               /* whether it is one of the package's own, which threading does not list */
};

static void (*handle_reach)(struct interrupt *i);

/* ---- exceptions and functions ---- */

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

static PyObject *handle_call(PyObject *self, PyObject *function)
{
    struct handle *h = (struct handle *)self;

    if (!PyCallable_Check(function) || PyExceptionInstance_Check(function))
        return PyErr_Format(PyExc_TypeError, "expected a function, not %s", Py_TYPE(function)->tp_name);
    if (!h->interrupt)
        return Py_NewRef(Py_False);
    if (interrupt_call(h->interrupt, function) < 0)
        return NULL;
    handle_reach(h->interrupt);
    return Py_NewRef(Py_True);
}

/* ---- the type ---- */

static void handle_dealloc(PyObject *self)
{
    struct handle *h = (struct handle *)self;

    Py_CLEAR(h->owner);
    Py_CLEAR(h->thread);
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

static PyMethodDef handle_methods[] = {
    {"interrupt", handle_interrupt, METH_O,
     "interrupt(exception)\n--\n\n"
     "Have the exception raised where the coroutine waits, or will wait next. Return False if it has ended."},
    {"call", handle_call, METH_O,
     "call(function)\n--\n\n"
     "Have function(frame) called on the coroutine, which then goes on to wait. Return False if it has ended. Where it "
     "waits in a C library, or has done so, that takes further calls, which do not queue the function again."},
    {"withdraw", handle_withdraw, METH_O,
     "withdraw(exception)\n--\n\nTake back an exception that was sent. Return False if it was raised already."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef handle_members[] = {
    {"ident", T_ULONG, offsetof(struct handle, ident), READONLY, "threading.get_ident() of the coroutine."},
    {"owner", T_OBJECT, offsetof(struct handle, owner), 0, "For the package; None when the coroutine has ended."},
    {"internal", T_BOOL, offsetof(struct handle, internal), 0,
     "For the package; whether threading.enumerate() and coroutines() leave it out."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef handle_getters[] = {
    {"alive", handle_alive, NULL, "Whether the coroutine has not ended.", NULL},
    {"failed", handle_failed, NULL,
     "Whether a wait of a C library has failed with ECANCELED since the last exception was raised or taken back.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject handle_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "_syncless.Handle",
    .tp_doc = "A coroutine.",
    .tp_basicsize = sizeof(struct handle),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = handle_dealloc,
    .tp_methods = handle_methods,
    .tp_members = handle_members,
    .tp_getset = handle_getters,
};

int handle_init_type(void (*reach)(struct interrupt *i))
{
    handle_reach = reach;
    return PyType_Ready(&handle_type);
}

int handle_add_type(PyObject *module)
{
    return PyModule_AddType(module, &handle_type);
}

/* One that belongs to no coroutine yet. */
static struct handle *handle_new(void)
{
    struct handle *h = PyObject_New(struct handle, &handle_type);

    if (!h)
        return NULL;
    h->interrupt = NULL;
    h->ident = 0;
    h->owner = h->thread = NULL;
    h->internal = false;
    return h;
}

/* Gives h, a new one, to a coroutine. */
static void handle_bind(struct handle *h, struct interrupt *i, unsigned long ident)
{
    h->interrupt = i;
    h->ident = ident;
    i->handle = Py_NewRef((PyObject *)h);
}

PyObject *handle_of(struct interrupt *i, unsigned long ident)
{
    struct handle *h;

    if (i->handle)
        return Py_NewRef(i->handle);
    h = handle_new();
    if (h)
        handle_bind(h, i, ident);
    return (PyObject *)h;
}

PyObject *handle_new_list(Py_ssize_t size)
{
    PyObject *list = PyList_New(size);

    for (Py_ssize_t n = 0; list && n < size; n++) {
        PyObject *h = (PyObject *)handle_new();

        if (h)
            PyList_SET_ITEM(list, n, h);
        else
            Py_CLEAR(list);
    }
    return list;
}

void handle_put(PyObject *list, Py_ssize_t n, struct interrupt *i, unsigned long ident)
{
    if (i->handle)
        PyList_SetItem(list, n, Py_NewRef(i->handle));
    else
        handle_bind((struct handle *)PyList_GET_ITEM(list, n), i, ident);
}

/* Makes the Thread. Meanwhile another thread may have made it, or the coroutine have ended: then there is no use for
 * this one. */
static int handle_make_thread(struct handle *h)
{
    PyObject *function = Py_XNewRef(h->interrupt->function);
    PyObject *thread = thread_object_new(function, h->owner, h->ident);

    Py_XDECREF(function);
    if (!thread)
        return -1;
    if (h->interrupt && !h->thread && (h->internal || thread_object_enter(thread, h->ident) == 0))
        h->thread = Py_NewRef(thread);
    else
        thread_object_end(thread, h->ident);
    Py_DECREF(thread);
    return PyErr_Occurred() ? -1 : 0;
}

PyObject *handle_thread(PyObject *handle)
{
    struct handle *h = (struct handle *)handle;

    if (h->interrupt && !h->thread && handle_make_thread(h) < 0)
        return NULL;
    return Py_NewRef(h->thread ? h->thread : Py_None);
}

int handle_list_thread(PyObject *handle)
{
    struct handle *h = (struct handle *)handle;

    if (!h->interrupt || h->thread || h->internal || thread_object_entered(h->ident))
        return 0;
    return handle_make_thread(h);
}

/* Freeing owner or thread may run code that asks for a handle again. Code that always does so must not keep the
 * coroutine from ending; its last handle is never freed. */
void handle_end(struct interrupt *i)
{
    struct handle *h;

    for (int n = 1; (h = (struct handle *)i->handle); n++) {
        i->handle = NULL;
        h->interrupt = NULL;
        if (h->thread)
            thread_object_end(h->thread, h->ident);
        if (n > MAX_LIVES)
            break;
        Py_CLEAR(h->owner);
        Py_CLEAR(h->thread);
        Py_DECREF(h);
    }
}

void handle_cut(struct interrupt *i)
{
    struct handle *h = (struct handle *)i->handle;
    PyObject *owner = h ? Py_XNewRef(h->owner) : NULL;
    PyObject *done = owner ? PyObject_CallMethod(owner, "_end_early", NULL) : NULL;

    if (owner && !done)
        PyErr_WriteUnraisable(owner);
    Py_XDECREF(done);
    Py_XDECREF(owner);
}

void handle_abandon(struct interrupt *i)
{
    if (i->handle)
        ((struct handle *)i->handle)->interrupt = NULL;
}
