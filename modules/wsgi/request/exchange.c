/*
 * exchange.c: the course of a request through an application.
 *
 * Whatever an application raises, SystemExit and KeyboardInterrupt included, ends its request only: the traceback goes
 * to the log, the client gets a plain 500, or a cut connection if the response had begun. An application that fails
 * because its client left is not at fault, and nothing is logged. close() of the result is called in any case.
 */
#include "bridge.h"

#include <errno.h>

/* Deal with the exception that is set. Returns what the server shall do. */
static int conclude(struct exchange *x)
{
    int rc = interrupt_conclude(x->req);

    if (rc)
        return rc;
    if (!x->error || x->error == -EMSGSIZE || !PyErr_ExceptionMatches(PyExc_OSError)) {
        report_raised(x->req, "the application failed");
        return x->error == -EMSGSIZE ? 0 : 500;
    }
    PyErr_Clear();
    return x->error == -EBADMSG ? 400 : x->error;
}

/* close() of the result as a new reference; NULL if it has none. Lists and tuples have none. */
static PyObject *find_close(const struct exchange *x, PyObject *result)
{
    PyObject *close;

    if (PyList_CheckExact(result) || PyTuple_CheckExact(result))
        return NULL;
    close = PyObject_GetAttrString(result, "close");
    if (!close && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    else if (!close)
        report_raised(x->req, "close of the response cannot be found");
    return close;
}

static void call_close(const struct exchange *x, PyObject *close)
{
    PyObject *closed = PyObject_CallNoArgs(close);

    child_end();
    if (!closed)
        report_raised(x->req, "close() of the response failed");
    Py_XDECREF(closed);
    Py_DECREF(close);
}

static PyObject *call(const struct wsgi *w, struct exchange *x)
{
    PyObject *environ = environ_make(w->environ, x), *result = NULL;

    if (environ && start_response_new(x) == 0) {
        PyObject *args[] = {NULL, environ, x->start_response};

        result = PyObject_Vectorcall(w->callable, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        child_end();
    }
    Py_XDECREF(environ);
    return result;
}

static int serve(const struct wsgi *w, struct exchange *x)
{
    PyObject *result = call(w, x), *close;
    int rc;

    if (!result)
        return conclude(x);
    rc = !x->stream && response_send(x, result) < 0 ? conclude(x) : 0;
    close = find_close(x, result);
    if (close && rc == 0 && !x->stream && response_end(x) < 0) /* the client need not wait for close() */
        rc = conclude(x);
    if (close)
        call_close(x, close);
    Py_DECREF(result);
    return rc;
}

static void end(struct exchange *x)
{
    if (x->input)
        input_end(x->input);
    Py_XDECREF(x->input);
    start_response_end(x);
    Py_XDECREF(x->status);
    Py_XDECREF(x->headers);
    upgrade_end(x);
    errors_end(x);
}

/* A context in which nothing was ever set is as good as a new one. */
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

int exchange_run(const struct wsgi *w, struct exchange *x)
{
    PyObject *context = context_new();
    int rc = 500;

    if (context && PyContext_Enter(context) == 0) {
        rc = serve(w, x);
        context_end(x, context);
    } else {
        report_raised(x->req, "no context");
        Py_XDECREF(context);
    }
    end(x);
    return rc;
}

void exchange_clear(void)
{
    Py_CLEAR(spare_context);
}
