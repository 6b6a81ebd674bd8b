/*
 * thread_table.c: threading._active, with the coroutines.
 *
 * threading keeps the Thread objects of all threads in the dict _active, and makes a _DummyThread for a thread that it
 * does not find there. We change the type of that dict to one that finds coroutines too: their Thread objects are made
 * when somebody looks, so that a request at which nobody looks pays nothing. The dict stays the same object, since
 * others refer to it (since 3.14 default arguments do). No function of threading is replaced.
 *
 * A look-up of one thread makes its object, everything else those of all. The methods are then those of dict. Objects
 * of coroutines that have ended are taken out by handle.c.
 */
#include "threads/thread_table.h"

#include "threads/handle.h"
#include "threads/thread_object.h"

static struct thread_table_source source;

/* Returns the Thread of the coroutine with that identity as a new reference, None if there is none. */
static PyObject *find_thread(PyObject *key)
{
    PyObject *handle, *thread;
    unsigned long ident = PyLong_Check(key) ? PyLong_AsUnsignedLong(key) : 0;

    if (PyErr_Occurred())
        PyErr_Clear(); /* no identity is that large, or negative */
    else if (ident) {
        handle = source.find(ident);
        thread = handle && handle != Py_None ? handle_thread(handle) : Py_XNewRef(handle);
        Py_XDECREF(handle);
        return thread;
    }
    return Py_NewRef(Py_None);
}

/* Makes the objects that are missing. Python code runs here, so coroutines may begin and end. */
static int table_complete(void)
{
    PyObject *handles = source.all();
    int result = handles ? 0 : -1;

    for (Py_ssize_t n = 0; result == 0 && n < PyList_GET_SIZE(handles); n++)
        result = handle_list_thread(PyList_GET_ITEM(handles, n));
    Py_XDECREF(handles);
    return result;
}

/* ---- look-ups of one thread ---- */

static PyObject *table_missing(PyObject *self, PyObject *key)
{
    PyObject *thread = find_thread(key);

    if (thread != Py_None)
        return thread;
    Py_DECREF(thread);
    PyErr_SetObject(PyExc_KeyError, key);
    return NULL;
}

static PyObject *table_get(PyObject *self, PyObject *args)
{
    PyObject *key, *otherwise = Py_None, *found;

    if (!PyArg_UnpackTuple(args, "get", 1, 2, &key, &otherwise))
        return NULL;
    found = PyDict_GetItemWithError(self, key);
    if (found || PyErr_Occurred())
        return Py_XNewRef(found);
    found = find_thread(key);
    if (found == Py_None)
        Py_SETREF(found, Py_NewRef(otherwise));
    return found;
}

static int table_contains(PyObject *self, PyObject *key)
{
    int contains = PyDict_Contains(self, key);
    PyObject *thread = contains == 0 ? find_thread(key) : NULL;

    if (contains == 0)
        contains = thread ? thread != Py_None : -1;
    Py_XDECREF(thread);
    return contains;
}

/* ---- all threads ---- */

static Py_ssize_t table_length(PyObject *self)
{
    return table_complete() < 0 ? -1 : PyDict_Size(self);
}

static PyObject *table_iterate(PyObject *self)
{
    return table_complete() < 0 ? NULL : PyDict_Type.tp_iter(self);
}

static PyObject *table_repr(PyObject *self)
{
    return table_complete() < 0 ? NULL : PyDict_Type.tp_repr(self);
}

static PyObject *table_compare(PyObject *self, PyObject *other, int op)
{
    return table_complete() < 0 ? NULL : PyDict_Type.tp_richcompare(self, other, op);
}

/* Calls the method of dict, of a complete table. */
static PyObject *call_dict(PyObject *self, const char *name)
{
    PyObject *method, *result;

    if (table_complete() < 0)
        return NULL;
    method = PyObject_GetAttrString((PyObject *)&PyDict_Type, name);
    result = method ? PyObject_CallOneArg(method, self) : NULL;
    Py_XDECREF(method);
    return result;
}

static PyObject *table_keys(PyObject *self, PyObject *unused)
{
    return call_dict(self, "keys");
}

static PyObject *table_values(PyObject *self, PyObject *unused)
{
    return call_dict(self, "values");
}

static PyObject *table_items(PyObject *self, PyObject *unused)
{
    return call_dict(self, "items");
}

static PyObject *table_copy(PyObject *self, PyObject *unused)
{
    return call_dict(self, "copy");
}

static PyObject *table_reversed(PyObject *self, PyObject *unused)
{
    return call_dict(self, "__reversed__");
}

/* ---- the type ---- */

static PyMethodDef table_methods[] = {
    {"__missing__", table_missing, METH_O, NULL}, {"__reversed__", table_reversed, METH_NOARGS, NULL},
    {"get", table_get, METH_VARARGS, NULL},       {"keys", table_keys, METH_NOARGS, NULL},
    {"values", table_values, METH_NOARGS, NULL},  {"items", table_items, METH_NOARGS, NULL},
    {"copy", table_copy, METH_NOARGS, NULL},      {NULL, NULL, 0, NULL},
};

static PyMappingMethods table_mapping = {.mp_length = table_length};

static PySequenceMethods table_sequence = {.sq_contains = table_contains};

static PyTypeObject table_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "_syncless.ThreadTable",
    .tp_doc = "threading._active, with the coroutines.",
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_iter = table_iterate,
    .tp_repr = table_repr,
    .tp_richcompare = table_compare,
    .tp_hash = PyObject_HashNotImplemented,
    .tp_methods = table_methods,
    .tp_as_mapping = &table_mapping,
    .tp_as_sequence = &table_sequence,
};

int thread_table_init(const struct thread_table_source *threads)
{
    PyObject *table;

    source = *threads;
    table_type.tp_base = &PyDict_Type;
    if (thread_object_init() < 0 || PyType_Ready(&table_type) < 0)
        return -1;
    table = thread_object_table();
    if (PyDict_CheckExact(table))
        Py_SET_TYPE(table, &table_type);
    return 0;
}
