/*
 * io_object.c: what files that applications get have in common with those of Python's module io.
 *
 * Wrappers such as io.TextIOWrapper, and libraries that read archives or tables, ask a file first what it can do, and
 * expect io.UnsupportedOperation for what it cannot. The types are registered with the abstract classes of io, and not
 * derived from them: their objects would have a dict and a finalizer, which every request would pay for.
 */
#include "request/io_object.h"

int io_object_register(PyTypeObject *type, const char *name)
{
    PyObject *io = PyImport_ImportModule("io");
    PyObject *base = io ? PyObject_GetAttrString(io, name) : NULL;
    PyObject *registered = base ? PyObject_CallMethod(base, "register", "O", type) : NULL;
    int result = registered ? 0 : -1;

    Py_XDECREF(registered);
    Py_XDECREF(base);
    Py_XDECREF(io);
    return result;
}

PyObject *io_object_true(PyObject *self, PyObject *unused)
{
    return Py_NewRef(Py_True);
}

PyObject *io_object_false(PyObject *self, PyObject *unused)
{
    return Py_NewRef(Py_False);
}

PyObject *io_object_none(PyObject *self, PyObject *unused)
{
    return Py_NewRef(Py_None);
}

PyObject *io_object_enter(PyObject *self, PyObject *unused)
{
    return Py_NewRef(self);
}

PyObject *io_object_unsupported(PyObject *self, PyObject *args)
{
    PyObject *io = PyImport_ImportModule("io");
    PyObject *type = io ? PyObject_GetAttrString(io, "UnsupportedOperation") : NULL;

    if (type)
        PyErr_Format(type, "%s does not support this", Py_TYPE(self)->tp_name);
    Py_XDECREF(type);
    Py_XDECREF(io);
    return NULL;
}

PyObject *io_object_exit(PyObject *self, PyObject *args)
{
    return PyObject_CallMethod(self, "close", NULL);
}
