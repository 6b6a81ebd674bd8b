/*
 * import.c: from "module:attribute" to the application.
 *
 * The part after the colon is the same as for gunicorn and uWSGI: a name, a dotted name, or a call of a factory with
 * arguments, which is evaluated in the module. Without it the name is `application`, as is usual for WSGI servers.
 */
#include "interp/import.h"

#include <string.h>

static PyObject *import_module(const char *name, size_t size)
{
    PyObject *text = PyUnicode_DecodeUTF8(name, (Py_ssize_t)size, NULL), *module;

    if (!text)
        return NULL;
    module = PyImport_Import(text);
    Py_DECREF(text);
    return module;
}

/* Returns what a dotted name leads to from an object. */
static PyObject *follow_path(PyObject *object, const char *path)
{
    Py_INCREF(object);
    while (*path && object) {
        size_t size = strcspn(path, ".");
        PyObject *name = PyUnicode_DecodeUTF8(path, (Py_ssize_t)size, NULL);
        PyObject *next = name ? PyObject_GetAttr(object, name) : NULL;

        Py_XDECREF(name);
        Py_DECREF(object);
        object = next;
        path += size + (path[size] == '.');
    }
    return object;
}

static PyObject *evaluate_in(PyObject *module, const char *expression)
{
    PyObject *names = PyModule_GetDict(module);

    return names ? PyRun_String(expression, Py_eval_input, names, names) : NULL;
}

PyObject *import_app(const char *spec)
{
    size_t size = strcspn(spec, ":");
    const char *attribute = spec[size] ? spec + size + 1 : "application";
    PyObject *module, *app;

    if (size == 0 || *attribute == '\0')
        return PyErr_Format(PyExc_ValueError, "%s must be written as module:attribute, such as shop.wsgi:application",
                            *spec ? spec : "it");
    module = import_module(spec, size);
    if (!module)
        return NULL;
    app = strchr(attribute, '(') ? evaluate_in(module, attribute) : follow_path(module, attribute);
    Py_DECREF(module);
    if (app && !PyCallable_Check(app)) {
        PyErr_Format(PyExc_TypeError, "%s is no WSGI application: an object of type %s cannot be called", spec,
                     Py_TYPE(app)->tp_name);
        Py_CLEAR(app);
    }
    return app;
}

/* Returns 1 if the module is loaded and has an attribute that is true (not empty), 0 if not, or -1. */
static int has_true_attribute(const char *module, const char *attribute)
{
    PyObject *name = PyUnicode_FromString(module), *loaded, *value;
    int truth;

    if (!name)
        return -1;
    loaded = PyImport_GetModule(name);
    Py_DECREF(name);
    if (!loaded)
        return PyErr_Occurred() ? -1 : 0;
    value = PyObject_GetAttrString(loaded, attribute);
    Py_DECREF(loaded);
    if (!value) {
        PyErr_Clear();
        return 0;
    }
    truth = PyObject_IsTrue(value);
    Py_DECREF(value);
    return truth;
}

int import_check_patches(void)
{
    /* The library, and where it notes what it has patched: a module and an attribute. */
    static const char *const patched[][3] = {{"gevent", "gevent.monkey", "saved"},
                                             {"eventlet", "eventlet.patcher", "already_patched"}};

    for (size_t i = 0; i < sizeof(patched) / sizeof(*patched); i++) {
        int found = has_true_attribute(patched[i][1], patched[i][2]);

        if (found > 0)
            PyErr_Format(PyExc_RuntimeError,
                         "%s has monkey-patched Python's blocking calls: remove the monkey patching. Under "
                         "syncless-server they block only their own request as they are, and %s's event loop cannot "
                         "run inside it",
                         patched[i][0], patched[i][0]);
        if (found)
            return -1;
    }
    return 0;
}
