/*
 * app_child.c: children that an application forks and that come back from it.
 *
 * os.fork() in a request copies the worker. Most children run another program or end by os._exit(). One that returns
 * from the application, or leaves it by sys.exit(), must not go on as if it were the worker: it would answer the client
 * a second time, and change the epoll set that it shares with the worker. So it ends here, with the exit code that it
 * would have in a script.
 */
#include "threads/app_child.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "interp/compat.h"
#include "interp/cpython.h"
#include "interp/report.h"
#include "syncless.h"

static bool is_child;        /* the application has forked this process */
static const void *survivor; /* then the coroutine that has forked, if it goes on there; or NULL */

static void set_is_child(void)
{
    is_child = true;
    survivor = sl_self();
}

int app_child_init(void)
{
    return -pthread_atfork(NULL, NULL, set_is_child);
}

void app_child_adopt(void)
{
    is_child = false;
}

/* Returns the exit code for the SystemExit that is set, and clears it. */
static int take_exit_code(void)
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

static void flush_stream(const char *name)
{
    PyObject *file = PySys_GetObject(name), *result = file ? PyObject_CallMethod(file, "flush", NULL) : NULL;

    if (!result)
        PyErr_Clear();
    Py_XDECREF(result);
}

void app_child_end(void)
{
    int code = 0;

    if (!is_child || sl_self() != survivor) /* others were spawned in the child */
        return;
    if (PyErr_ExceptionMatches(PyExc_SystemExit)) {
        code = take_exit_code();
    } else if (PyErr_Occurred()) {
        report_raised(NULL, "wsgi: the application failed in a child process that it forked");
        code = 1;
    }
    flush_stream("stdout");
    flush_stream("stderr");
    _exit(code);
}

/* Returns the set of processes that multiprocessing has started here and that have not been waited for, a new
 * reference; NULL if there is none. */
static PyObject *find_processes(void)
{
    PyObject *name = PyUnicode_FromString("multiprocessing.process");
    PyObject *module = name ? PyImport_GetModule(name) : NULL;
    PyObject *processes = module ? PyObject_GetAttrString(module, "_children") : NULL;

    Py_XDECREF(name);
    Py_XDECREF(module);
    if (processes && !PySet_Check(processes))
        Py_CLEAR(processes);
    return processes;
}

static bool is_daemon(PyObject *process)
{
    PyObject *daemon = PyObject_GetAttrString(process, "daemon");
    int is = daemon ? PyObject_IsTrue(daemon) : 1;

    Py_XDECREF(daemon);
    return is != 0;
}

void app_child_leave(void)
{
    PyObject *processes = find_processes(), *list = processes ? PySequence_List(processes) : NULL;
    Py_ssize_t left = 0;

    for (Py_ssize_t n = 0; list && n < PyList_GET_SIZE(list); n++)
        if (!is_daemon(PyList_GET_ITEM(list, n)))
            left += PySet_Discard(processes, PyList_GET_ITEM(list, n)) > 0;
    if (left > 0)
        sl_log(NULL, SL_INFO, "wsgi: %zd processes of multiprocessing run on without this worker", left);
    PyErr_Clear();
    Py_XDECREF(list);
    Py_XDECREF(processes);
}
