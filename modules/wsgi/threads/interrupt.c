/*
 * interrupt.c: an exception for a coroutine that waits, raised where it waits.
 *
 * CPython has one door by which an exception reaches a thread inside a blocking call: EINTR. The call then looks
 * whether a signal came (PEP 475), runs its handler, and ends with what that raises; time.sleep, sockets, select and
 * locks all do. So a signal number is tripped that the system never sends, whose handler raises what was asked for, and
 * the coroutine's wait ends with EINTR. Handlers are for the main thread: the coroutine passes for that until its next
 * wait (sl_pose_as_main). PyThreadState_SetAsyncExc would not do: it does not reach into a call that waits, and cuts
 * finally blocks short; for code that never waits see overdue.c. Where there is a main coroutine, that may look for the
 * signal before the right one does, and finds nothing; so the signal is tripped again when the right one goes on.
 *
 * Libraries in C go on after an EINTR, as they should. For them the second attempt is ECANCELED, which they report as
 * they report any failure of a connection.
 */
#include "bridge.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#define SIGNUM    (SIGRTMAX - 1) /* valgrind keeps the last one for itself */
#define QUIET_FOR 5000           /* milliseconds that finally blocks have before the next interrupt */

static int pending; /* interrupts that were sent and not heard */
static PyObject *timeout_type, *gone_type, *killed_type;

/* ---- one coroutine ---- */

/* Take back what was not heard. */
static void forget(struct interrupt *i)
{
    i->raise = NULL;
    pending--;
    sl_interrupt(i->coroutine, 0);
}

void interrupt_send(struct interrupt *i, void (*raise)(void *arg), void *arg)
{
    bool again = i->raise != NULL;

    pending += !again;
    i->raise = raise;
    i->arg = arg;
    i->sent = true;
    PyErr_SetInterruptEx(SIGNUM);
    sl_interrupt(i->coroutine, again ? ECANCELED : EINTR);
}

void interrupt_withdraw(struct interrupt *i, void (*raise)(void *arg))
{
    if (i->raise == raise)
        forget(i);
}

void interrupt_resume(const struct interrupt *i)
{
    if (i->raise)
        PyErr_SetInterruptEx(SIGNUM);
}

void interrupt_settle(struct interrupt *i)
{
    handle_end(i);
    if (i->raise)
        forget(i);
    if (!i->sent || pending > 0)
        return;
    i->sent = false;
    sl_pose_as_main(true); /* or CPython would go on looking for the signal with every call */
    if (Py_MakePendingCalls() < 0)
        PyErr_WriteUnraisable(NULL);
    sl_pose_as_main(false);
}

/* The handler of the signal. */
static PyObject *on_signal(PyObject *self, PyObject *args)
{
    struct interrupt *i = tstate_interrupt();
    void (*raise)(void *arg);

    if (!i || !i->raise)
        return Py_NewRef(Py_None);
    raise = i->raise;
    forget(i);
    sl_pose_as_main(false);
    if (pending > 0) /* it stands for theirs too */
        PyErr_SetInterruptEx(SIGNUM);
    raise(i->arg);
    return NULL;
}

int interrupt_init(void)
{
    static PyMethodDef handler = {"interrupt", on_signal, METH_VARARGS, NULL};
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
    sl_pose_as_main(true); /* it may be that a coroutine imports _syncless first */
    if (timeout_type && gone_type && killed_type && module && function)
        before = PyObject_CallMethod(module, "signal", "iO", SIGNUM, function);
    sl_pose_as_main(false);
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

static void raise_killed(void *arg)
{
    PyErr_SetString(killed_type, "the worker stops");
}

void interrupt_kill(struct interrupt *i)
{
    interrupt_send(i, raise_killed, NULL);
}

/* ---- requests ---- */

static void raise_timeout(void *arg)
{
    PyErr_SetString(timeout_type, "the request has run for its request-timeout and is ended here");
}

static void raise_gone(void *arg)
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

    if (!x->interrupt->raise && now < x->quiet_until)
        return false;
    x->quiet_until = now + QUIET_FOR;
    return true;
}

void interrupt_request(void *self, struct sl_request *req, int why)
{
    struct exchange *x = req->local;

    if (x && interrupt_begin(x))
        interrupt_send(x->interrupt, why == -ETIMEDOUT ? raise_timeout : raise_gone, NULL);
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
