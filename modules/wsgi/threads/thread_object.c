/*
 * thread_object.c: the threading.Thread object of a coroutine.
 *
 * It is a real Thread and no _DummyThread: that one never ends, cannot be joined, is a daemon, and so are the threads
 * that it starts. It is made as Thread.start and Thread._bootstrap_inner would leave it. join() and is_alive() ask up
 * to 3.12 a lock that is held until the end, and since 3.13 a handle. Which of them there is, and its name, is found
 * out by looking, since minor versions differ too. The interpreter does not wait for coroutines when it ends, so the
 * lock is not among threading._shutdown_locks.
 */
#include "threads/thread_object.h"

#include <unistd.h>

static PyObject *threading;     /* owned module */
static PyObject *threading_all; /* its __dict__, borrowed */
static PyObject *active;        /* owned: threading._active */

static const char *const handle_names[] = {"_os_thread_handle", "_handle"}; /* since 3.14; in 3.13 */

int thread_object_init(void)
{
    if (active)
        return 0;
    threading = PyImport_ImportModule("threading");
    if (!threading)
        return -1;
    threading_all = PyModule_GetDict(threading);
    active = PyObject_GetAttrString(threading, "_active");
    return active ? 0 : -1;
}

PyObject *thread_object_module(void)
{
    return threading_all;
}

PyObject *thread_object_table(void)
{
    return active;
}

/* ---- its start ---- */

static PyObject *call_constructor(PyObject *function, PyObject *owner)
{
    PyObject *type = PyObject_GetAttrString(threading, "Thread"), *args = PyTuple_New(0);
    PyObject *name = owner ? PyObject_GetAttrString(owner, "name") : Py_NewRef(Py_None), *kwargs = NULL, *thread = NULL;

    if (name)
        kwargs = Py_BuildValue("{sOsOsO}", "target", function ? function : Py_None, "name", name, "daemon", Py_False);
    if (type && args && kwargs)
        thread = PyObject_Call(type, args, kwargs);
    Py_XDECREF(type);
    Py_XDECREF(args);
    Py_XDECREF(name);
    Py_XDECREF(kwargs);
    return thread;
}

/* Sets an attribute to a new reference, which it takes; NULL is an error that is set already. */
static int set_attribute(PyObject *thread, const char *name, PyObject *value)
{
    int result = value ? PyObject_SetAttrString(thread, name, value) : -1;

    Py_XDECREF(value);
    return result;
}

/* Returns a new lock that is held. */
static PyObject *held_lock(void)
{
    PyObject *lock = PyObject_CallMethod(threading, "Lock", NULL);
    PyObject *held = lock ? PyObject_CallMethod(lock, "acquire", NULL) : NULL;

    if (!held)
        Py_CLEAR(lock);
    Py_XDECREF(held);
    return lock;
}

/* Gives it what tells others of its end. */
static int set_end_mark(PyObject *thread, unsigned long ident)
{
    if (PyObject_HasAttrString(thread, "_tstate_lock"))
        return set_attribute(thread, "_tstate_lock", held_lock());
    for (size_t n = 0; n < Py_ARRAY_LENGTH(handle_names); n++)
        if (PyObject_HasAttrString(thread, handle_names[n]))
            return set_attribute(thread, handle_names[n],
                                 PyObject_CallMethod(threading, "_make_thread_handle", "k", ident));
    PyErr_SetString(PyExc_RuntimeError, "threading.Thread of this Python is not known");
    return -1;
}

/* The OS thread of all coroutines is the first one of the process. */
static int thread_begin(PyObject *thread, unsigned long ident)
{
    PyObject *started = NULL, *set;

    if (set_attribute(thread, "_ident", PyLong_FromUnsignedLong(ident)) == 0 &&
        set_attribute(thread, "_native_id", PyLong_FromLong(getpid())) == 0 && set_end_mark(thread, ident) == 0)
        started = PyObject_GetAttrString(thread, "_started");
    set = started ? PyObject_CallMethod(started, "set", NULL) : NULL;
    Py_XDECREF(started);
    Py_XDECREF(set);
    return set ? 0 : -1;
}

PyObject *thread_object_new(PyObject *function, PyObject *owner, unsigned long ident)
{
    PyObject *thread = call_constructor(function, owner);

    if (thread && thread_begin(thread, ident) < 0)
        Py_CLEAR(thread);
    return thread;
}

int thread_object_enter(PyObject *thread, unsigned long ident)
{
    PyObject *key = PyLong_FromUnsignedLong(ident);
    int result = key ? PyDict_SetItem(active, key, thread) : -1;

    Py_XDECREF(key);
    return result;
}

bool thread_object_entered(unsigned long ident)
{
    PyObject *key = PyLong_FromUnsignedLong(ident), *found = key ? PyDict_GetItemWithError(active, key) : NULL;

    Py_XDECREF(key);
    if (PyErr_Occurred())
        PyErr_Clear();
    return found;
}

/* ---- its end ---- */

/* Removes what is in threading._active under that identity: this thread, NULL: any. */
static int take_out(PyObject *thread, unsigned long ident)
{
    PyObject *key = PyLong_FromUnsignedLong(ident);
    PyObject *found = key ? PyDict_GetItemWithError(active, key) : NULL;
    int result = PyErr_Occurred() ? -1 : 0;

    if (found && (!thread || found == thread))
        result = PyDict_DelItem(active, key);
    Py_XDECREF(key);
    return result;
}

void thread_object_forget(unsigned long ident)
{
    if (active && take_out(NULL, ident) < 0)
        PyErr_WriteUnraisable(NULL);
}

/* Lets those go on who join it. */
static int tell_end(PyObject *thread)
{
    const char *method = "release";
    PyObject *mark = PyObject_GetAttrString(thread, "_tstate_lock"), *told;

    for (size_t n = 0; !mark && n < Py_ARRAY_LENGTH(handle_names); n++) {
        PyErr_Clear();
        method = "_set_done";
        mark = PyObject_GetAttrString(thread, handle_names[n]);
    }
    told = mark && mark != Py_None ? PyObject_CallMethod(mark, method, NULL) : Py_XNewRef(mark);
    Py_XDECREF(mark);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

/* As Thread.run does. */
static void drop_arguments(PyObject *thread)
{
    static const char *const names[] = {"_target", "_args", "_kwargs"};

    for (size_t n = 0; n < Py_ARRAY_LENGTH(names); n++)
        if (PyObject_SetAttrString(thread, names[n], NULL) < 0)
            PyErr_Clear(); /* it was deleted already */
}

void thread_object_end(PyObject *thread, unsigned long ident)
{
    drop_arguments(thread);
    if (take_out(thread, ident) < 0 || tell_end(thread) < 0)
        PyErr_WriteUnraisable(thread);
}
