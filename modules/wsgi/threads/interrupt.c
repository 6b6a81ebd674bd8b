/*
 * interrupt.c: exceptions for a coroutine that waits, raised where it waits.
 *
 * CPython has one way by which an exception reaches a thread inside a blocking call: EINTR. The call then looks whether
 * a signal came (PEP 475), runs its handler, and ends with what that raises; time.sleep, sockets, select and locks all
 * do. So the coroutine is cancelled with EINTR (sl_cancel), and just before its wait fails a signal number is tripped
 * that the system never sends, whose handler raises what is pending. Handlers are for the main thread, whose identity
 * the coroutine has until its next wait. Once nothing is pending the cancellation is cleared, so `finally` blocks may
 * wait.
 *
 * PyThreadState_SetAsyncExc would not do: it does not reach into a call that waits, and cuts finally blocks short; for
 * code that never waits see overdue.c. Libraries in C try again after an EINTR, as they should. Their second attempt
 * fails with ECANCELED, which they report as they report any failure of a connection.
 */
#include "threads/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "interp/report.h"
#include "request/exchange.h"
#include "threads/tstate.h"

#define SIGNUM (SIGRTMAX - 1) /* valgrind keeps the last one for itself */
#define GRACE  4000           /* milliseconds that finally blocks have before the request is interrupted again */

static PyObject *timeout_type, *gone_type, *killed_type;

/* ---- one coroutine ---- */

static bool interrupt_is_pending(const struct interrupt *i)
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

/* Where in the queue it is; -1: it is not. */
static Py_ssize_t interrupt_find(const struct interrupt *i, PyObject *exception)
{
    for (Py_ssize_t n = 0; i->queue && n < PyList_GET_SIZE(i->queue); n++)
        if (PyList_GET_ITEM(i->queue, n) == exception)
            return n;
    return -1;
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
    sl_as_main_thread(true); /* or CPython would look for the signal at every call from now on */
    if (Py_MakePendingCalls() < 0)
        PyErr_WriteUnraisable(NULL);
    sl_as_main_thread(false);
}

/* Set the exception that was sent first; the server's come before those of Python code. */
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

/* The handler of the signal. Others may run it too: it is for the coroutine whose wait has failed. */
static PyObject *interrupt_handle_signal(PyObject *self, PyObject *args)
{
    struct interrupt *i = tstate_interrupt();

    if (!i || !i->tripped)
        return Py_NewRef(Py_None);
    i->tripped = false;
    if (!interrupt_is_pending(i)) /* it was taken back */
        return Py_NewRef(Py_None);
    sl_as_main_thread(false);
    i->failed = false;
    interrupt_raise(i);
    interrupt_renew(i);
    return NULL;
}

int interrupt_init(void)
{
    static PyMethodDef handler = {"interrupt", interrupt_handle_signal, METH_VARARGS, NULL};
    PyObject *module, *function, *before = NULL;

    if (timeout_type)
        return 0;
    timeout_type = PyErr_NewExceptionWithDoc("syncless.RequestTimeout", "The request has run for its request-timeout.",
                                             PyExc_BaseException, NULL);
    gone_type = PyErr_NewExceptionWithDoc("syncless.ClientGone", "The client has closed the connection.",
                                          PyExc_BaseException, NULL);
    killed_type = PyErr_NewExceptionWithDoc("syncless.Killed", "Raised in a coroutine that is killed, where it waits.",
                                            PyExc_BaseException, NULL);
    module = PyImport_ImportModule("signal");
    function = PyCFunction_New(&handler, NULL);
    sl_as_main_thread(true); /* it may be that a coroutine imports _syncless first */
    if (timeout_type && gone_type && killed_type && module && function)
        before = PyObject_CallMethod(module, "signal", "iO", SIGNUM, function);
    sl_as_main_thread(false);
    Py_XDECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(before);
    return before ? 0 : -1;
}

int interrupt_add_types(PyObject *module)
{
    if (PyModule_AddObjectRef(module, "RequestTimeout", timeout_type) < 0)
        return -1;
    if (PyModule_AddObjectRef(module, "Killed", killed_type) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "ClientGone", gone_type);
}

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

/* ---- requests ---- */

static void raise_timeout(void)
{
    PyErr_SetString(timeout_type, "the request has run for its request-timeout and is ended here");
}

static void raise_gone(void)
{
    PyErr_SetString(gone_type, "the client has closed the connection, the request is ended here");
}

int64_t interrupt_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

PyObject *interrupt_timeout(void)
{
    return timeout_type;
}

bool interrupt_begin(struct exchange *x)
{
    int64_t now = interrupt_now();

    if (now < x->quiet_until)
        return false;
    x->quiet_until = now + GRACE;
    return true;
}

void interrupt_request(void *self, struct sl_request *req, int why)
{
    struct exchange *x = req->local;

    if (x && interrupt_begin(x))
        interrupt_send(x->interrupt, why == -ETIMEDOUT ? raise_timeout : raise_gone);
}

int interrupt_conclude(const struct sl_request *req)
{
    if (PyErr_ExceptionMatches(timeout_type)) {
        report_raised(req, "the request was ended by its request-timeout");
        return 504;
    }
    if (interrupt_is_kill()) {
        PyErr_Clear();
        return 503;
    }
    if (!PyErr_ExceptionMatches(gone_type))
        return 0;
    PyErr_Clear();
    return -ECONNRESET;
}
