/*
 * finder.c: where `import syncless` finds its package.
 *
 * The package is beside this module, in the folder python. That folder is not added to sys.path, so that a program's
 * path is the same as under python3 and nothing else is found there. Instead there is a finder for this one name in
 * front of sys.meta_path. It finds the package's metadata too, for importlib.metadata.
 *
 * sys.path may have a package of that name too. A package or module of the program's own takes precedence, and so does
 * the copy that pip has installed with this server. But one of another version may not fit to _syncless, which is in
 * this module: the package beside the module is taken in its place.
 */
#include "package/finder.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "interp/cpython.h"

#define PACKAGE_NAME "syncless"
#define COPY_MARK    "syncless/_inside.py"                     /* a file that every copy of the package has */
#define METADATA     "syncless-" VERSION ".dist-info/METADATA" /* beside it: one that a copy of this version has */

/* Fills path with the folder that the package is in. */
static int find_folder(char path[PATH_MAX])
{
    char module[PATH_MAX];
    Dl_info info;

    if (!dladdr((void *)finder_init, &info) || !realpath(info.dli_fname, module) ||
        snprintf(path, PATH_MAX, "%.*s/python", (int)(strrchr(module, '/') - module), module) >= PATH_MAX) {
        PyErr_SetString(PyExc_ImportError, "cannot find the folder of wsgi.so, in which the package syncless is");
        return -1;
    }
    return 0;
}

/* Returns the spec of what is on sys.path, or None. */
static PyObject *find_on_sys_path(void)
{
    PyObject *machinery = PyImport_ImportModule("importlib.machinery");
    PyObject *finder = machinery ? PyObject_GetAttrString(machinery, "PathFinder") : NULL;
    PyObject *spec = finder ? PyObject_CallMethod(finder, "find_spec", "s", PACKAGE_NAME) : NULL;

    Py_XDECREF(machinery);
    Py_XDECREF(finder);
    return spec;
}

static bool is_in_folder(const char *folder, int size, const char *name)
{
    char path[PATH_MAX];

    return snprintf(path, sizeof(path), "%.*s/%s", size, folder, name) < PATH_MAX && !access(path, F_OK);
}

/* Whether the file SOMEWHERE/syncless/__init__.py is that of a copy of our package, and not of this version. */
static bool is_other_version(const char *file)
{
    const char *end = strstr(file, "/" PACKAGE_NAME "/__init__.py");

    return end && is_in_folder(file, (int)(end - file), COPY_MARK) && !is_in_folder(file, (int)(end - file), METADATA);
}

/* Whether what a spec leads to is to be replaced by the package in our folder; so is any folder of that name, which
 * would be a namespace package. Returns 1, 0 or -1. */
static int is_to_be_replaced(PyObject *spec)
{
    PyObject *origin = PyObject_GetAttrString(spec, "origin"), *bytes = NULL;
    int result = -1;

    if (origin == Py_None)
        result = 1;
    else if (origin && PyUnicode_FSConverter(origin, &bytes))
        result = is_other_version(PyBytes_AS_STRING(bytes));
    Py_XDECREF(origin);
    Py_XDECREF(bytes);
    return result;
}

/* Fills *spec with that of the package or module on sys.path that takes precedence, NULL if there is none. Returns 0 or
 * -1. */
static int find_preferred(PyObject **spec)
{
    int replaced;

    *spec = find_on_sys_path();
    if (!*spec)
        return -1;
    replaced = *spec == Py_None ? 1 : is_to_be_replaced(*spec);
    if (replaced)
        Py_CLEAR(*spec);
    return replaced < 0 ? -1 : 0;
}

/* Returns the spec of the package in our folder; None if it is not there, as after `pip install --editable`. */
static PyObject *make_spec(void)
{
    PyObject *util, *file, *spec;
    char path[PATH_MAX];

    if (find_folder(path) < 0)
        return NULL;
    strncat(path, "/" PACKAGE_NAME "/__init__.py", sizeof(path) - strlen(path) - 1);
    if (access(path, R_OK) < 0)
        Py_RETURN_NONE;
    util = PyImport_ImportModule("importlib.util");
    file = PyUnicode_DecodeFSDefault(path);
    spec = util && file ? PyObject_CallMethod(util, "spec_from_file_location", "sO", PACKAGE_NAME, file) : NULL;
    Py_XDECREF(util);
    Py_XDECREF(file);
    return spec;
}

/* See importlib.abc.MetaPathFinder. */
static PyObject *finder_find_spec(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fullname", "path", "target", NULL};
    PyObject *name, *preferred, *target;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "UO|O:find_spec", names, &name, &target, &target))
        return NULL;
    if (PyUnicode_CompareWithASCIIString(name, PACKAGE_NAME) != 0)
        Py_RETURN_NONE;
    if (find_preferred(&preferred) < 0)
        return NULL;
    return preferred ? preferred : make_spec();
}

/* Whether this is the name of our package, in any case. A name may have null characters and lone surrogates. */
static bool is_package_name(PyObject *name)
{
    Py_ssize_t size;
    const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, &size) : NULL;

    PyErr_Clear();
    return text && size == strlen(PACKAGE_NAME) && !strcasecmp(text, PACKAGE_NAME);
}

/* Whether the metadata of our package is asked for: by its name, or as one of all, but not in folders that were given.
 * Not if another package takes precedence. Returns 1, 0 or -1. */
static int wants_metadata(PyObject *context)
{
    PyObject *preferred = NULL;
    PyObject *name = PyObject_GetAttrString(context, "name");
    PyObject *path = name ? PyObject_GetAttrString(context, "path") : NULL;
    int wants = path ? path == PySys_GetObject("path") : -1;

    if (wants > 0 && name != Py_None)
        wants = is_package_name(name);
    if (wants > 0 && find_preferred(&preferred) < 0)
        wants = -1;
    if (preferred)
        wants = 0;
    Py_XDECREF(preferred);
    Py_XDECREF(name);
    Py_XDECREF(path);
    return wants;
}

/* See importlib.metadata.DistributionFinder. */
static PyObject *finder_find_distributions(PyObject *self, PyObject *context)
{
    PyObject *module, *function, *args, *kwargs, *found = NULL;
    int wants = wants_metadata(context);
    char folder[PATH_MAX];

    if (wants <= 0)
        return wants < 0 ? NULL : PyTuple_New(0);
    if (find_folder(folder) < 0)
        return NULL;
    module = PyImport_ImportModule("importlib.metadata");
    function = module ? PyObject_GetAttrString(module, "distributions") : NULL;
    args = PyTuple_New(0);
    kwargs = Py_BuildValue("{sss[s]}", "name", PACKAGE_NAME, "path", folder);
    if (function && args && kwargs)
        found = PyObject_Call(function, args, kwargs);
    Py_XDECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return found;
}

static PyMethodDef finder_methods[] = {
    {"find_spec", (PyCFunction)(void *)finder_find_spec, METH_VARARGS | METH_KEYWORDS, NULL},
    {"find_distributions", finder_find_distributions, METH_O, NULL},
    {0},
};

static struct PyModuleDef finder_definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "the finder of syncless",
    .m_size = -1,
    .m_methods = finder_methods,
};

int finder_init(void)
{
    PyObject *finders = PySys_GetObject("meta_path"), *finder = PyModule_Create(&finder_definition);
    int result = -1;

    if (!finders)
        PyErr_SetString(PyExc_RuntimeError, "lost sys.meta_path");
    else if (finder && PyModule_AddStringConstant(finder, "__module__", "_syncless") == 0)
        result = PyList_Insert(finders, 0, finder);
    Py_XDECREF(finder);
    return result;
}
