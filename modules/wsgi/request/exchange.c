/*
 * exchange.c: what many parts of a request need: its deadline, and the exception for a connection that fails.
 *
 * That is an OSError. The server's errno is kept too: if the application then fails by that OSError, it is not at
 * fault, and its request ends as the connection did (application.c).
 */
#include "request/exchange.h"

#include <errno.h>
#include <time.h>

int64_t exchange_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool exchange_is_overdue(const struct exchange *x)
{
    return x->req->deadline && exchange_now() >= x->req->deadline;
}

/* Whether the client caused the error, so that an application that fails by it is not at fault. */
static bool is_by_client(int error)
{
    return error != -EINTR && error != -ECANCELED && error != -EIO && error != -EBADF;
}

void exchange_raise(struct exchange *x, int error, const char *doing)
{
    PyObject *raised;

    if (!x->error && is_by_client(error))
        x->error = error;
    if (error == -EINTR && PyErr_CheckSignals() < 0) /* threads/interrupt.c */
        return;
    raised = PyObject_CallFunction(PyExc_OSError, "is", -error, doing);
    if (raised)
        PyErr_SetObject((PyObject *)Py_TYPE(raised), raised);
    Py_XDECREF(raised);
}
