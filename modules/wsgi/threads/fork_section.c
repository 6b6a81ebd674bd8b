/*
 * fork_section.c: C code that forks keeps the GIL to be alone.
 *
 * Who forks in C calls PyOS_BeforeFork first and PyOS_AfterFork_Parent in the end, and has the GIL all the time. Some
 * wait in between, until the child executes its program: uv_spawn reads from a pipe. uvloop has global variables during
 * that, which nothing guards but the GIL. A coroutine that waits gives the GIL away; but not here (sl_stay_alone). That
 * cannot deadlock where threads would not: the others would wait for the GIL.
 *
 * CPython calls functions that are registered for this. Those of before run last first, so ours, the first of all, is
 * the last, and the other ones wait as usual.
 */
#include "threads/fork_section.h"

#include <stdbool.h>

#include "interp/cpython.h"
#include "syncless/runtime.h"

static PyObject *fork_section_begin(PyObject *self, PyObject *unused)
{
    sl_stay_alone(true);
    Py_RETURN_NONE;
}

static PyObject *fork_section_end(PyObject *self, PyObject *unused)
{
    sl_stay_alone(false);
    Py_RETURN_NONE;
}

static int fork_section_register(PyObject *begin, PyObject *end)
{
    PyObject *os = PyImport_ImportModule("os"), *done = NULL;
    PyObject *function = os ? PyObject_GetAttrString(os, "register_at_fork") : NULL, *args = PyTuple_New(0);
    PyObject *keys = Py_BuildValue("{sOsOsO}", "before", begin, "after_in_parent", end, "after_in_child", end);

    if (function && args && keys)
        done = PyObject_Call(function, args, keys);
    Py_XDECREF(os);
    Py_XDECREF(function);
    Py_XDECREF(args);
    Py_XDECREF(keys);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int fork_section_init(void)
{
    static PyMethodDef methods[] = {{"fork_begins", fork_section_begin, METH_NOARGS, NULL},
                                    {"fork_ends", fork_section_end, METH_NOARGS, NULL}};
    static bool done;
    PyObject *begin, *end;

    if (done)
        return 0;
    begin = PyCFunction_New(&methods[0], NULL);
    end = PyCFunction_New(&methods[1], NULL);
    done = begin && end && fork_section_register(begin, end) == 0;
    Py_XDECREF(begin);
    Py_XDECREF(end);
    return done ? 0 : -1;
}
