/*
 * request_cancel.c: requests that are ended before their time: request-timeout, a client that is gone, a worker that
 * stops.
 *
 * The application gets an exception where it waits (threads/interrupt.c), so that its finally blocks run. They may wait
 * too, so for a few seconds no further exception is raised. One that computes instead of waiting is reached by
 * deadline_watchdog.c: if it is preempted, by a second call a second later; if it blocks the loop, by the watchdog.
 */
#include "request/request_cancel.h"

#include <errno.h>

#include "interp/report.h"
#include "request/deadline_watchdog.h"
#include "request/exchange.h"
#include "threads/interrupt.h"

#define GRACE 4000 /* milliseconds that finally blocks have before the next exception */

static PyObject *timeout_type, *gone_type;

int request_cancel_init_types(void)
{
    if (gone_type)
        return 0;
    timeout_type = PyErr_NewExceptionWithDoc("syncless.RequestTimeout", "The request has run for its request-timeout.",
                                             PyExc_BaseException, NULL);
    if (timeout_type)
        gone_type = PyErr_NewExceptionWithDoc("syncless.ClientGone", "The client has closed the connection.",
                                              PyExc_BaseException, NULL);
    return gone_type ? 0 : -1;
}

int request_cancel_add_types(PyObject *module)
{
    if (PyModule_AddObjectRef(module, "RequestTimeout", timeout_type) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "ClientGone", gone_type);
}

PyObject *request_cancel_timeout_type(void)
{
    return timeout_type;
}

static void raise_timeout(void)
{
    PyErr_SetString(timeout_type, "the request has run for its request-timeout and is ended here");
}

static void raise_gone(void)
{
    PyErr_SetString(gone_type, "the client has closed the connection, the request is ended here");
}

bool request_cancel_begin(struct exchange *x)
{
    int64_t now = exchange_now();

    if (now < x->quiet_until)
        return false;
    x->quiet_until = now + GRACE;
    return true;
}

void request_cancel(void *self, struct sl_request *req, int why)
{
    struct exchange *x = req->local;

    if (!x)
        return;
    if (request_cancel_begin(x))
        interrupt_send(x->interrupt, why == -ETIMEDOUT ? raise_timeout : raise_gone);
    else if (why == -ETIMEDOUT && interrupt_is_sent(x->interrupt)) /* a second ago, and it has not waited since */
        deadline_watchdog_note(x);
}

int request_cancel_conclude(const struct sl_request *req)
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
