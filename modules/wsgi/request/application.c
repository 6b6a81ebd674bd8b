/*
 * application.c: the course of a request through an application.
 *
 * Whatever an application raises, SystemExit and KeyboardInterrupt included, ends only its request: the traceback goes
 * to the log, and the client gets a plain 500, or a closed connection if the response had begun. If an application
 * fails because its client left, nothing is logged. close() of the result is called in any case.
 */
#include "request/application.h"

#include <errno.h>

#include "interp/report.h"
#include "request/deadline_watchdog.h"
#include "request/environ.h"
#include "request/exchange.h"
#include "request/fields.h"
#include "request/file_wrapper.h"
#include "request/request_cancel.h"
#include "request/response_body.h"
#include "request/start_response.h"
#include "request/websocket.h"
#include "request/wsgi_errors.h"
#include "request/wsgi_input.h"
#include "threads/app_child.h"
#include "threads/tstate.h"

int application_init(struct application *app, PyObject *callable)
{
    app->environ = environ_new();
    if (!app->environ)
        return -1;
    app->callable = Py_NewRef(callable);
    return 0;
}

void application_release(struct application *app)
{
    environ_free(app->environ);
    Py_CLEAR(app->callable);
}

/* Logs and clears the exception that is set. Returns what sl_module.handle is to return. */
static int end_failed(struct exchange *x)
{
    int status = request_cancel_conclude(x->req);

    if (status || websocket_conclude(x))
        return status;
    if (!x->error || x->error == -EMSGSIZE || !PyErr_ExceptionMatches(PyExc_OSError)) {
        report_raised(x->req, "the application failed");
        return x->error == -EMSGSIZE ? 0 : 500;
    }
    PyErr_Clear();
    return x->error == -EBADMSG ? 400 : x->error;
}

/* Returns close() of the result as a new reference; NULL if it has none, as lists and tuples. */
static PyObject *find_close(const struct exchange *x, PyObject *result)
{
    PyObject *close;

    if (PyList_CheckExact(result) || PyTuple_CheckExact(result))
        return NULL;
    close = PyObject_GetAttrString(result, "close");
    if (!close && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    else if (!close)
        report_raised(x->req, "getting close of the response failed");
    return close;
}

static void call_close(const struct exchange *x, PyObject *close)
{
    PyObject *closed = PyObject_CallNoArgs(close);

    app_child_end();
    if (!closed)
        report_raised(x->req, "close() of the response failed");
    Py_XDECREF(closed);
    Py_DECREF(close);
}

static PyObject *call_application(const struct application *app, struct exchange *x)
{
    PyObject *env = environ_make(app->environ, x), *result = NULL;

    if (env && start_response_new(x) == 0) {
        PyObject *args[] = {NULL, env, x->start_response};

        result = PyObject_Vectorcall(app->callable, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        app_child_end();
    }
    Py_XDECREF(env);
    return result;
}

static int exchange_run(const struct application *app, struct exchange *x)
{
    PyObject *result = call_application(app, x), *close;
    int status;

    if (!result)
        return end_failed(x);
    status = !x->stream && response_body_send(x, result) < 0 ? end_failed(x) : 0;
    close = find_close(x, result);
    /* The client need not wait for close(). */
    if (close && status == 0 && !x->stream && response_body_end(x) < 0)
        status = end_failed(x);
    if (close)
        call_close(x, close);
    Py_DECREF(result);
    return status;
}

static void exchange_release(struct exchange *x)
{
    if (x->input)
        wsgi_input_end(x->input);
    Py_XDECREF(x->input);
    start_response_end(x);
    Py_XDECREF(x->status);
    Py_XDECREF(x->headers);
    Py_XDECREF(x->refused);
    websocket_end(x);
    wsgi_errors_end(x);
}

/* The coroutine has ended in the middle of it. */
static void exchange_cut(struct exchange *x)
{
    x->req->local = NULL;
    exchange_release(x);
}

int application_init_types(void)
{
    static bool done;

    tstate_on_cut(exchange_cut);
    if (!done)
        done = report_init() == 0 && start_response_init_types() == 0 && file_wrapper_init_type() == 0 &&
               wsgi_input_init_type() == 0 && wsgi_errors_init_type() == 0 && websocket_init_type() == 0 &&
               request_cancel_init_types() == 0 && tstate_init_types() == 0;
    return done ? 0 : -1;
}

/* Owned: the context of the last request, if nothing was set in it, for the next one; or NULL. */
static PyObject *spare_context;

static PyObject *context_new(void)
{
    PyObject *context = spare_context;

    spare_context = NULL;
    return context ? context : PyContext_New();
}

static void context_end(const struct exchange *x, PyObject *context)
{
    if (PyContext_Exit(context) < 0)
        report_raised(x->req, "the application left its contextvars.Context");
    else if (!spare_context && Py_REFCNT(context) == 1 && PyObject_Size(context) == 0)
        spare_context = Py_NewRef(context);
    Py_DECREF(context);
}

static int exchange_run_in_context(const struct application *app, struct exchange *x)
{
    PyObject *context = context_new();
    int status = 500;

    if (context && PyContext_Enter(context) == 0) {
        status = exchange_run(app, x);
        context_end(x, context);
    } else {
        report_raised(x->req, "cannot make a contextvars.Context");
        Py_XDECREF(context);
    }
    exchange_release(x);
    return status;
}

int application_handle(const struct application *app, struct sl_request *req)
{
    struct exchange x = {.req = req, .coroutine = sl_self(), .length = -1};
    int status;

    x.interrupt = tstate_enter(&x, app->callable);
    if (!x.interrupt)
        return -ENOMEM;
    req->local = &x;
    if (req->deadline)
        deadline_watchdog_start();
    status = exchange_run_in_context(app, &x);
    req->local = NULL;
    tstate_leave();
    return status;
}

void application_clear(void)
{
    Py_CLEAR(spare_context);
    fields_clear();
    start_response_clear();
    websocket_clear();
}
