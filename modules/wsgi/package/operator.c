/*
 * operator.c: sessions that an operator has with this process: a prompt, a debugger on a request.
 *
 * The server passes the socket of syncless-ctl. A coroutine is started for it, which runs syncless/_session.py; nothing
 * of it is imported before. The debugger itself runs on the coroutine of the request, see there.
 */
#include "package/operator.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interp/report.h"
#include "request/exchange.h"
#include "syncless/runtime.h"
#include "threads/tstate.h"

/* What a coroutine is started with; owned by it. */
struct operator_session {
    int fd;                 /* owned */
    unsigned long identity; /* of the Python thread to be debugged; 0: a prompt */
};

static void call_session(const struct operator_session *s)
{
    PyObject *module = PyImport_ImportModule("syncless._session");
    PyObject *result = module ? PyObject_CallMethod(module, "serve", "ik", s->fd, s->identity) : NULL;

    if (!module)
        close(s->fd);
    if (!result)
        report_raised(NULL, "wsgi: a session has failed");
    Py_XDECREF(result);
    Py_XDECREF(module);
}

static void run_session(void *arg)
{
    struct operator_session *s = arg;

    if (!Py_IsInitialized() || tstate_enter_fresh(NULL) < 0) {
        close(s->fd);
    } else {
        call_session(s);
        tstate_leave_fresh();
    }
    free(s);
}

/* Returns whether the session begins. */
static bool start_session(int fd, unsigned long identity)
{
    struct operator_session *s = sl_must(malloc(sizeof(*s)));
    int err;

    *s = (struct operator_session){fd, identity};
    err = sl_spawn(run_session, s);
    if (!err)
        return true;
    sl_log(NULL, SL_ERROR, "wsgi: cannot begin a session: %s", strerror(-err));
    free(s);
    return false;
}

static bool start_console(int fd)
{
    return start_session(fd, 0);
}

void operator_init(void)
{
    tstate_on_sessions(start_session, start_console);
}

PyObject *operator_hold(PyObject *module, PyObject *on)
{
    struct exchange *x = tstate_exchange();

    if (x)
        sl_hold((struct sl_request *)x->req, on == Py_True);
    Py_RETURN_NONE;
}
