/*
 * finder.c: where `import syncless` finds its package.
 *
 * The package is beside this module, in the folder python. That folder is not added to sys.path, so that a program's
 * path is the same as under python3 and nothing else is found there. Instead there is a finder for this one name at the
 * end of sys.meta_path, so that a package syncless of the program's own takes precedence. It finds the package's
 * metadata too, for importlib.metadata.
 */
#include "package/finder.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "interp/cpython.h"

#define PACKAGE_NAME "syncless"

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

/* See importlib.abc.MetaPathFinder. */
static PyObject *finder_find_spec(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fullname", "path", "target", NULL};
    PyObject *util, *file, *spec, *target;
    char folder[PATH_MAX];
    const char *name;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO|O:find_spec", names, &name, &target, &target))
        return NULL;
    if (strcmp(name, PACKAGE_NAME))
        Py_RETURN_NONE;
    if (find_folder(folder) < 0)
        return NULL;
    util = PyImport_ImportModule("importlib.util");
    file = PyUnicode_FromFormat("%s/" PACKAGE_NAME "/__init__.py", folder);
    spec = util && file ? PyObject_CallMethod(util, "spec_from_file_location", "sO", name, file) : NULL;
    Py_XDECREF(util);
    Py_XDECREF(file);
    return spec;
}

/* Whether the metadata of this package is asked for: by its name, or as one of all, but not in folders that were given.
 * Returns 1, 0 or -1. */
static int wants_metadata(PyObject *context)
{
    PyObject *name = PyObject_GetAttrString(context, "name");
    PyObject *path = name ? PyObject_GetAttrString(context, "path") : NULL;
    int wants = path ? path == PySys_GetObject("path") : -1;

    if (wants > 0 && name != Py_None) {
        const char *text = PyUnicode_AsUTF8(name);

        wants = text ? !strcasecmp(text, PACKAGE_NAME) : -1;
    }
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
    else if (finder)
        result = PyList_Append(finders, finder);
    Py_XDECREF(finder);
    return result;
}
