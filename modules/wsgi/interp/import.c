/*
 * import.c: from "module:attribute" or "file.py:attribute" to the application.
 *
 * The part after the colon is the same as for gunicorn and uWSGI: a name, a dotted name, or a call of a factory with
 * arguments, which is evaluated in the module. Without it the name is `application`, as is usual for WSGI servers.
 */
#include "interp/import.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interp/app_file.h"
#include "interp/app_kind.h"
#include "interp/compat.h"
#include "syncless.h"

#define MAX_SUGGESTIONS 5 /* names in a message */

static PyObject *import_module(const char *name)
{
    PyObject *text = PyUnicode_DecodeFSDefault(name), *module;

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

/* Whether the exception that is set says that there is no module of that name, or no package that it is in. */
static bool is_not_found(const char *name)
{
    PyObject *raised, *missing;
    const char *text;
    bool is_missing;

    if (!PyErr_ExceptionMatches(PyExc_ModuleNotFoundError))
        return false;
    raised = compat_raised();
    missing = PyObject_GetAttrString(raised, "name");
    text = missing && PyUnicode_Check(missing) ? PyUnicode_AsUTF8(missing) : NULL;
    is_missing = text && !strncmp(text, name, strlen(text)) && strchr(".", name[strlen(text)]);
    Py_XDECREF(missing);
    PyErr_SetObject((PyObject *)Py_TYPE(raised), raised);
    Py_DECREF(raised);
    return is_missing;
}

/* Returns the module that the first size bytes of spec name, or the file. A module has precedence over a file that has
 * its name, shop.wsgi. */
static PyObject *import_named(const char *spec, size_t size)
{
    char *name = strndup(spec, size);
    PyObject *module;

    if (!name)
        return PyErr_NoMemory();
    module = app_file_is_meant(name) ? app_file_import(name) : import_module(name);
    if (!module && strchr(name, '.') && !access(name, F_OK) && is_not_found(name)) {
        PyErr_Clear();
        module = app_file_import(name);
    }
    free(name);
    return module;
}

/* Adds to the AttributeError that is set what the module, which is written so, has instead. */
static void suggest_attribute(PyObject *module, PyObject *written)
{
    PyObject *raised = compat_raised(), *all = app_kind_list(module);
    PyObject *names = all ? PyList_GetSlice(all, 0, MAX_SUGGESTIONS) : NULL;
    PyObject *comma = PyUnicode_FromString(", "), *list = names && comma ? PyUnicode_Join(comma, names) : NULL;

    if (list && PyList_GET_SIZE(names) > 0)
        PyErr_Format(PyExc_AttributeError, "%S; it has %U: write %U:%U", raised, list, written,
                     PyList_GET_ITEM(names, 0));
    else
        PyErr_SetObject((PyObject *)Py_TYPE(raised), raised);
    Py_XDECREF(comma);
    Py_XDECREF(all);
    Py_XDECREF(names);
    Py_XDECREF(list);
    Py_DECREF(raised);
}

/* Returns what the attribute of the module is, which is written so. */
static PyObject *get_attribute(PyObject *module, const char *attribute, PyObject *written)
{
    PyObject *found;

    if (strchr(attribute, '('))
        return evaluate_in(module, attribute);
    found = follow_path(module, attribute);
    if (!found && !strchr(attribute, '.') && PyErr_ExceptionMatches(PyExc_AttributeError))
        suggest_attribute(module, written);
    return found;
}

/* Fails if the object is no WSGI application. */
static int check_app(PyObject *app, const char *attribute, PyObject *written)
{
    PyObject *name = PyUnicode_FromFormat("%U:%s", written, attribute);
    const char *text = name ? PyUnicode_AsUTF8(name) : NULL;
    int err = text ? app_kind_check(app, text) : -1;

    Py_XDECREF(name);
    return err;
}

PyObject *import_app(const char *spec)
{
    size_t size = strcspn(spec, ":");
    const char *attribute = spec[size] ? spec + size + 1 : "application";
    PyObject *module, *app = NULL, *written;

    if (size == 0 || *attribute == '\0')
        return PyErr_Format(PyExc_ValueError, "%s must be written as module:attribute, such as shop.wsgi:application",
                            *spec ? spec : "it");
    module = import_named(spec, size);
    written = module ? PyUnicode_DecodeFSDefaultAndSize(spec, (Py_ssize_t)size) : NULL;
    if (written)
        app = get_attribute(module, attribute, written);
    if (app && check_app(app, attribute, written) < 0)
        Py_CLEAR(app);
    Py_XDECREF(module);
    Py_XDECREF(written);
    return app;
}

int import_check_file(const char *spec, const char *chdir)
{
    char *name = strndup(spec, strcspn(spec, ":")), path[PATH_MAX];
    bool is_relative = name && *name != '/';
    int err = 0;

    if (!name)
        return -ENOMEM;
    snprintf(path, sizeof(path), "%s%s%s", is_relative && chdir ? chdir : "", is_relative && chdir ? "/" : "", name);
    if (app_file_is_meant(name) && faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0) {
        err = -errno;
        sl_log(NULL, SL_ERROR, "wsgi: app = %s: cannot open %s: %s", spec, path, strerror(-err));
    }
    free(name);
    return err;
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
                         "syncless-server they block only their own request as they are",
                         patched[i][0]);
        if (found)
            return -1;
    }
    return 0;
}
