/*
 * finder.c: where `import syncless` finds its package.
 *
 * The package lies beside this module, in the folder python. That folder is not put into sys.path: a program's path is
 * then the same as under python3, and nothing else is found by it. Instead a finder for this one name stands at the end
 * of sys.meta_path, so a package of that name which a program brings itself goes before it.
 */
#include "package/finder.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "interp/cpython.h"

#define PACKAGE "/python/syncless/__init__.py"

/* The file of the package, in path; -1 with an exception. */
static int find_file(char path[PATH_MAX + sizeof(PACKAGE)])
{
    Dl_info info;

    if (!dladdr((void *)finder_init, &info) || !realpath(info.dli_fname, path)) {
        PyErr_SetString(PyExc_ImportError, "cannot tell where the module wsgi of syncless lies, beside its package");
        return -1;
    }
    strcpy(strrchr(path, '/'), PACKAGE);
    return 0;
}

/* find_spec(name, path, target=None) of a finder, see importlib.abc.MetaPathFinder. */
static PyObject *find_spec(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fullname", "path", "target", NULL};
    char path[PATH_MAX + sizeof(PACKAGE)];
    PyObject *util, *spec, *target;
    const char *name;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO|O:find_spec", names, &name, &target, &target))
        return NULL;
    if (strcmp(name, "syncless"))
        Py_RETURN_NONE;
    util = PyImport_ImportModule("importlib.util");
    if (!util)
        return NULL;
    spec = find_file(path) < 0 ? NULL : PyObject_CallMethod(util, "spec_from_file_location", "ss", name, path);
    Py_DECREF(util);
    return spec;
}

int finder_init(void)
{
    static PyMethodDef method = {"find_spec", (PyCFunction)(void *)find_spec, METH_VARARGS | METH_KEYWORDS, NULL};
    PyObject *finders = PySys_GetObject("meta_path"), *finder = PyModule_New("the finder of syncless"), *function;
    int rc = -1;

    function = finder ? PyCFunction_New(&method, NULL) : NULL;
    if (!finders)
        PyErr_SetString(PyExc_RuntimeError, "lost sys.meta_path");
    else if (function && PyObject_SetAttrString(finder, method.ml_name, function) == 0)
        rc = PyList_Append(finders, finder);
    Py_XDECREF(function);
    Py_XDECREF(finder);
    return rc;
}
