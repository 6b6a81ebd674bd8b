/*
 * finder.c: where `import syncless` finds its package.
 *
 * The package is beside this module, in the folder python. That folder is not added to sys.path, so that a program's
 * path is the same as under python3 and nothing else is found there. Instead there is a finder for this one name at the
 * end of sys.meta_path, so that a package syncless of the program's own takes precedence.
 */
#include "package/finder.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "interp/cpython.h"

#define PACKAGE_FILE "/python/syncless/__init__.py"

/* Fills path with the file of the package. */
static int find_package(char path[PATH_MAX + sizeof(PACKAGE_FILE)])
{
    Dl_info info;

    if (!dladdr((void *)finder_init, &info) || !realpath(info.dli_fname, path)) {
        PyErr_SetString(PyExc_ImportError,
                        "cannot find wsgi.so, the module of syncless-server that the package is beside");
        return -1;
    }
    strcpy(strrchr(path, '/'), PACKAGE_FILE);
    return 0;
}

/* See importlib.abc.MetaPathFinder. */
static PyObject *finder_find_spec(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fullname", "path", "target", NULL};
    char path[PATH_MAX + sizeof(PACKAGE_FILE)];
    PyObject *util, *spec, *target;
    const char *name;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO|O:find_spec", names, &name, &target, &target))
        return NULL;
    if (strcmp(name, "syncless"))
        Py_RETURN_NONE;
    util = PyImport_ImportModule("importlib.util");
    if (!util)
        return NULL;
    spec = find_package(path) < 0 ? NULL : PyObject_CallMethod(util, "spec_from_file_location", "ss", name, path);
    Py_DECREF(util);
    return spec;
}

int finder_init(void)
{
    static PyMethodDef method = {"find_spec", (PyCFunction)(void *)finder_find_spec, METH_VARARGS | METH_KEYWORDS,
                                 NULL};
    PyObject *finders = PySys_GetObject("meta_path"), *finder = PyModule_New("the finder of syncless"), *function;
    int result = -1;

    function = finder ? PyCFunction_New(&method, NULL) : NULL;
    if (!finders)
        PyErr_SetString(PyExc_RuntimeError, "lost sys.meta_path");
    else if (function && PyObject_SetAttrString(finder, method.ml_name, function) == 0)
        result = PyList_Append(finders, finder);
    Py_XDECREF(function);
    Py_XDECREF(finder);
    return result;
}
