/*
 * child.c: children that an application forks and that come back from it.
 *
 * os.fork() in a request copies the worker. Mostly the child runs another program or ends by os._exit(). One that
 * returns from the application, or leaves it by sys.exit(), must not go on as if it were the worker: it would answer
 * the client for the second time, and change what the worker's own loop watches, which both share. So it ends here,
 * with the exit code that it would have in a script.
 */
#include "threads/child.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "interp/compat.h"
#include "interp/cpython.h"
#include "interp/report.h"

static bool forked;

static void note_fork(void)
{
    forked = true;
}

int child_init(void)
{
    return -pthread_atfork(NULL, NULL, note_fork);
}

void child_adopt(void)
{
    forked = false;
}

/* The exit code for a SystemExit, which is cleared. */
static int exit_code(void)
{
    PyObject *raised = compat_raised(), *code = PyObject_GetAttrString(raised, "code");
    long number = 1;

    if (code == Py_None)
        number = 0;
    else if (code && PyLong_Check(code))
        number = PyLong_AsLong(code);
    Py_XDECREF(code);
    Py_DECREF(raised);
    PyErr_Clear();
    return (int)number;
}

static void flush(const char *name)
{
    PyObject *file = PySys_GetObject(name), *result = file ? PyObject_CallMethod(file, "flush", NULL) : NULL;

    if (!result)
        PyErr_Clear();
    Py_XDECREF(result);
}

void child_end(void)
{
    int code = 0;

    if (!forked)
        return;
    if (PyErr_ExceptionMatches(PyExc_SystemExit)) {
        code = exit_code();
    } else if (PyErr_Occurred()) {
        report_raised(NULL, "wsgi: the application failed in a child process that it forked");
        code = 1;
    }
    flush("stdout");
    flush("stderr");
    _exit(code);
}
