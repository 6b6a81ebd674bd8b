/*
 * interrupt.c: exceptions for a coroutine that waits, raised where it waits.
 *
 * CPython has one way by which an exception reaches a thread inside a blocking call: EINTR. The call then checks for
 * signals (PEP 475), runs their handlers, and fails with what they raise; time.sleep, sockets, select and locks all do.
 * So the coroutine is cancelled with EINTR (sl_cancel), and just before its wait fails we trip a signal that the system
 * never sends, whose handler raises the first pending exception. Handlers run in the main thread only, whose identity
 * the coroutine has until its next wait. When nothing is pending any more, the cancellation is cleared, so that
 * `finally` blocks may wait.
 *
 * PyThreadState_SetAsyncExc would not do: it does not reach into a call that waits, and cuts finally blocks short; for
 * code that never waits see request/deadline_watchdog.c. Libraries in C try again after an EINTR, as they should. Their
 * second attempt fails with ECANCELED, which they report as they report any failure of a connection.
 */
#include "threads/interrupt.h"

#include <errno.h>
#include <signal.h>

#include "syncless/runtime.h"

#define SIGNUM (SIGRTMAX - 1) /* valgrind keeps the last one for itself */

static PyObject *killed_type;
static struct interrupt *(*current_interrupt)(void); /* of the coroutine that runs; NULL on an OS thread */

/* ---- exceptions that are pending ---- */

bool interrupt_is_pending(const struct interrupt *i)
{
    return i->raise || (i->queue && PyList_GET_SIZE(i->queue) > 0);
}

void interrupt_renew(struct interrupt *i)
{
    sl_cancel(i->coroutine, interrupt_is_pending(i) ? EINTR : 0);
}

void interrupt_send(struct interrupt *i, void (*raise)(void))
{
    i->raise = raise;
    interrupt_renew(i);
}

bool interrupt_is_sent(const struct interrupt *i)
{
    return i->raise != NULL;
}

void interrupt_unsend(struct interrupt *i)
{
    if (i->raise)
        interrupt_send(i, NULL);
}

int interrupt_queue(struct interrupt *i, PyObject *exception)
{
    if (!i->queue && !(i->queue = PyList_New(0)))
        return -1;
    if (PyList_Append(i->queue, exception) < 0)
        return -1;
    if (PyList_GET_SIZE(i->queue) == 1)
        interrupt_renew(i);
    return 0;
}

/* Returns what is first in the queue if that is next, and a function, borrowed; or NULL. */
static PyObject *next_function(const struct interrupt *i)
{
    PyObject *next = !i->raise && i->queue && PyList_GET_SIZE(i->queue) > 0 ? PyList_GET_ITEM(i->queue, 0) : NULL;

    return next && !PyExceptionInstance_Check(next) ? next : NULL;
}

/* Returns its index in the queue, or -1. */
static Py_ssize_t interrupt_find(const struct interrupt *i, PyObject *exception)
{
    for (Py_ssize_t n = 0; i->queue && n < PyList_GET_SIZE(i->queue); n++)
        if (PyList_GET_ITEM(i->queue, n) == exception)
            return n;
    return -1;
}

int interrupt_call(struct interrupt *i, PyObject *function)
{
    return interrupt_find(i, function) < 0 ? interrupt_queue(i, function) : 0;
}

int interrupt_withdraw(struct interrupt *i, PyObject *exception)
{
    Py_ssize_t n = interrupt_find(i, exception);

    if (n < 0)
        return 0;
    if (PySequence_DelItem(i->queue, n) < 0)
        return -1;
    i->failed = false;
    if (!interrupt_is_pending(i))
        interrupt_renew(i);
    return 1;
}

void interrupt_cancelled(struct interrupt *i, int error)
{
    if (error != EINTR) {
        i->failed = true;
        return;
    }
    i->tripped = true;
    PyErr_SetInterruptEx(SIGNUM);
    if (next_function(i)) /* a library that tries again must not fail */
        sl_cancel(i->coroutine, 0);
}

void interrupt_settle(struct interrupt *i)
{
    i->raise = NULL;
    i->failed = false;
    Py_CLEAR(i->queue);
    interrupt_renew(i);
    if (!i->tripped)
        return;
    i->tripped = false;
    sl_as_main_thread(true); /* run the handler, or CPython would check for the signal at every call from now on */
    if (Py_MakePendingCalls() < 0)
        PyErr_WriteUnraisable(NULL);
    sl_as_main_thread(false);
}

/* Raises the exception that was sent first; the server's come before those of Python code. */
static void interrupt_raise(struct interrupt *i)
{
    void (*raise)(void) = i->raise;
    PyObject *exception;

    if (raise) {
        i->raise = NULL;
        raise();
        return;
    }
    exception = Py_NewRef(PyList_GET_ITEM(i->queue, 0));
    if (PySequence_DelItem(i->queue, 0) == 0)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_DECREF(exception);
}

/* Calls the function that was sent first; it may wait. */
static PyObject *interrupt_run(struct interrupt *i, PyObject *borrowed, PyObject *frame)
{
    PyObject *function = Py_NewRef(borrowed), *result = NULL;

    if (PySequence_DelItem(i->queue, 0) == 0) {
        interrupt_renew(i);
        result = PyObject_CallOneArg(function, frame);
    }
    Py_DECREF(function);
    return result;
}

/* The handler of the signal. Any coroutine may run it, but it is for the one whose wait has failed. */
static PyObject *interrupt_handle_signal(PyObject *self, PyObject *args)
{
    struct interrupt *i = current_interrupt();

    if (!i || !i->tripped)
        return Py_NewRef(Py_None);
    i->tripped = false;
    if (!interrupt_is_pending(i)) /* it was taken back */
        return Py_NewRef(Py_None);
    sl_as_main_thread(false);
    i->failed = false;
    if (next_function(i))
        return interrupt_run(i, next_function(i), PyTuple_GET_ITEM(args, 1));
    interrupt_raise(i);
    interrupt_renew(i);
    return NULL;
}

/* ---- set-up ---- */

/* Installs a Python signal handler. */
static int install_handler(PyMethodDef *handler)
{
    PyObject *module = PyImport_ImportModule("signal"), *function = PyCFunction_New(handler, NULL), *before = NULL;

    sl_as_main_thread(true); /* a coroutine may be the first to import _syncless */
    if (module && function)
        before = PyObject_CallMethod(module, "signal", "iO", SIGNUM, function);
    sl_as_main_thread(false);
    Py_XDECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(before);
    return before ? 0 : -1;
}

int interrupt_init_types(struct interrupt *(*current)(void))
{
    static PyMethodDef handler = {"interrupt", interrupt_handle_signal, METH_VARARGS, NULL};

    if (killed_type)
        return 0;
    current_interrupt = current;
    if (install_handler(&handler) < 0)
        return -1;
    killed_type = PyErr_NewExceptionWithDoc("syncless.Killed", "Raised in a coroutine that is killed, where it waits.",
                                            PyExc_BaseException, NULL);
    return killed_type ? 0 : -1;
}

int interrupt_add_types(PyObject *module)
{
    return PyModule_AddObjectRef(module, "Killed", killed_type);
}

/* ---- Killed ---- */

bool interrupt_is_kill(void)
{
    return PyErr_ExceptionMatches(killed_type);
}

static void raise_killed(void)
{
    PyErr_SetString(killed_type, "the worker stops");
}

void interrupt_kill(struct interrupt *i)
{
    interrupt_send(i, raise_killed);
}
