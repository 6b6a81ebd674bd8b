/*
 * app_file.c: applications in files that are named by their path.
 *
 * A file of Python that can be imported is imported: shop/wsgi.py in a package as shop.wsgi, so that relative imports
 * work and nobody has the module twice; app.py as app. The directory from which that works is put in front of sys.path,
 * as `python3 FILE` does it. Other files have no name by which they could be imported: those that end in .wsgi, as
 * mod_wsgi's do, or whose name another module has already, as in a second project in the same process. Like uWSGI and
 * mod_wsgi we run these as a module with a name made of their path.
 */
#include "interp/app_file.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interp/interp.h"

#define NAME_PREFIX "wsgi_file_" /* of modules that cannot be imported */

static bool ends_in_py(const char *name)
{
    size_t size = strlen(name);

    return size > 3 && !strcmp(name + size - 3, ".py");
}

bool app_file_is_meant(const char *name)
{
    return strchr(name, '/') || ends_in_py(name);
}

/* Write the absolute path of a file. Returns 0 or -1. */
static int make_absolute(const char *name, char path[PATH_MAX])
{
    char cwd[PATH_MAX] = "";

    if (*name != '/' && !getcwd(cwd, sizeof(cwd))) {
        PyErr_SetFromErrnoWithFilename(PyExc_OSError, ".");
        return -1;
    }
    while (!strncmp(name, "./", 2))
        name += 2 + strspn(name + 2, "/");
    if (snprintf(path, PATH_MAX, "%s%s%s", cwd, *name == '/' ? "" : "/", name) >= PATH_MAX) {
        PyErr_Format(PyExc_OSError, "the path is too long: %s", name);
        return -1;
    }
    return 0;
}

/* ---- files that can be imported ---- */

static bool is_identifier(const char *s)
{
    if (!*s || isdigit((unsigned char)*s))
        return false;
    while (*s && (isalnum((unsigned char)*s) || *s == '_' || *s & 0x80))
        s++;
    return !*s;
}

static bool is_package(const char *directory)
{
    char init[PATH_MAX + sizeof("/__init__.py")];

    snprintf(init, sizeof(init), "%s/__init__.py", directory);
    return *directory && !access(init, F_OK);
}

/* Cut the last part off a path, and put it in front of a dotted name of PATH_MAX bytes. Returns false if it cannot be a
 * part of one. */
static bool move_part(char *path, char *name)
{
    char *slash = strrchr(path, '/');
    size_t size = strlen(slash + 1), rest = strlen(name);

    if (!is_identifier(slash + 1) || size + rest + 2 > PATH_MAX)
        return false;
    memmove(name + size + (rest > 0), name, rest + 1);
    memcpy(name, slash + 1, size);
    if (rest > 0)
        name[size] = '.';
    *slash = '\0';
    return true;
}

/* Split /srv/shop/wsgi.py into the directory /srv and the name shop.wsgi, if shop is a package. Returns false if the
 * path has no such name. Both have PATH_MAX bytes. */
static bool split_file(const char *path, char *directory, char *name)
{
    char *slash;

    strcpy(directory, path);
    *name = '\0';
    if (!ends_in_py(path))
        return false;
    directory[strlen(path) - 3] = '\0';
    slash = strrchr(directory, '/');
    if (!strcmp(slash + 1, "__init__"))
        *slash = '\0';
    else if (!move_part(directory, name))
        return false;
    while (is_package(directory))
        if (!move_part(directory, name))
            return false;
    return *name;
}

static bool is_this_file(const char *a, const char *b)
{
    struct stat one, other;

    return !stat(a, &one) && !stat(b, &other) && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Whether the import of that name would load the file. Returns 1, 0 or -1. */
static int is_found_as(PyObject *name, const char *path)
{
    PyObject *util = PyImport_ImportModule("importlib.util");
    PyObject *spec = util ? PyObject_CallMethod(util, "find_spec", "O", name) : NULL;
    PyObject *origin = spec && spec != Py_None ? PyObject_GetAttrString(spec, "origin") : NULL;
    const char *text = origin && PyUnicode_Check(origin) ? PyUnicode_AsUTF8(origin) : NULL;
    int is_same = text && is_this_file(text, path);

    Py_XDECREF(util);
    Py_XDECREF(spec);
    Py_XDECREF(origin);
    if (!PyErr_Occurred())
        return is_same;
    if (!PyErr_ExceptionMatches(PyExc_ModuleNotFoundError) && !PyErr_ExceptionMatches(PyExc_ValueError))
        return -1;
    PyErr_Clear(); /* no such package, or a module that is there without a spec */
    return 0;
}

/* Returns the module, or NULL; without an exception if it cannot be imported by a name. */
static PyObject *import_by_name(const char *path)
{
    char directory[PATH_MAX], name[PATH_MAX];
    PyObject *text, *module = NULL;

    if (!split_file(path, directory, name) || interp_insert_path(*directory ? directory : "/") < 0)
        return NULL;
    text = PyUnicode_DecodeFSDefault(name);
    if (text && is_found_as(text, path) > 0)
        module = PyImport_Import(text);
    Py_XDECREF(text);
    return module;
}

/* ---- other files ---- */

/* Returns the bytes of the file. After a failed read the file is closed by its end, since no method is called with an
 * exception set. */
static PyObject *read_file(PyObject *path)
{
    PyObject *file = PyFile_OpenCodeObject(path);
    PyObject *source = file ? PyObject_CallMethod(file, "read", NULL) : NULL;
    PyObject *closed = source ? PyObject_CallMethod(file, "close", NULL) : NULL;

    if (!closed)
        Py_CLEAR(source);
    Py_XDECREF(closed);
    Py_XDECREF(file);
    return source;
}

/* Returns the code of the file. */
static PyObject *compile_file(PyObject *path)
{
    PyObject *source = read_file(path), *code = NULL;
    char *text;

    if (source && PyBytes_AsStringAndSize(source, &text, NULL) == 0)
        code = Py_CompileStringObject(text, path, Py_file_input, NULL, -1);
    Py_XDECREF(source);
    return code;
}

/* Returns the name for the module of a file: its path with _ for what identifiers cannot have. */
static PyObject *make_name(const char *path)
{
    char name[sizeof(NAME_PREFIX) + PATH_MAX] = NAME_PREFIX;

    strcat(name, path + 1);
    for (char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !(*p & 0x80))
            *p = '_';
    return PyUnicode_DecodeFSDefault(name);
}

static int insert_directory(const char *path)
{
    char directory[PATH_MAX];

    strcpy(directory, path);
    *strrchr(directory, '/') = '\0';
    return interp_insert_path(*directory ? directory : "/");
}

/* Run the file as a module, unless that was done before. */
static PyObject *import_by_path(const char *path)
{
    PyObject *name = make_name(path), *text = PyUnicode_DecodeFSDefault(path);
    PyObject *module = name ? PyImport_GetModule(name) : NULL, *code = NULL;

    if (name && text && !module && !PyErr_Occurred() && insert_directory(path) == 0)
        code = compile_file(text);
    if (code)
        module = PyImport_ExecCodeModuleObject(name, code, text, NULL);
    Py_XDECREF(code);
    Py_XDECREF(name);
    Py_XDECREF(text);
    return module;
}

PyObject *app_file_import(const char *name)
{
    char path[PATH_MAX];
    PyObject *module;

    if (make_absolute(name, path) < 0)
        return NULL;
    module = import_by_name(path);
    return module || PyErr_Occurred() ? module : import_by_path(path);
}
