/*
 * app_kind.c: whether an object is a WSGI application, as far as that can be told without calling it.
 *
 * People give ASGI applications, factories without their parentheses, and classes in place of instances. Each request
 * would fail with a TypeError about arguments, so they are refused at the start. What is called is found as Python does
 * it: the function of a method, the __call__ of an instance's class, what is in a functools.partial. If it is written
 * in Python, its code says which arguments it takes and whether it is async. Of everything else, as of C functions,
 * nothing is known, and it is accepted.
 *
 * ASGI applications are async callables of (scope, receive, send). Those of version 2 are callables of (scope), mostly
 * classes, whose instances are async callables.
 */
#include "interp/app_kind.h"

#include <string.h>

#define MAX_DEPTH 10 /* of partial objects and methods in each other */

/* ---- what is called ---- */

/* What is known of a callable. */
struct callable {
    bool is_known;          /* the next ones are set */
    bool is_exact;          /* so is which arguments it takes */
    bool is_async;          /* it returns a coroutine, or an async generator */
    bool needs_keyword;     /* a keyword argument without a default */
    Py_ssize_t least, most; /* positional arguments */
    char first[20];         /* name of the first of them, or "" */
};

/* Returns the value of an attribute as a new reference; NULL, without an exception, if there is none. */
static PyObject *get_optional(PyObject *object, const char *name)
{
    PyObject *value = PyObject_GetAttrString(object, name);

    if (!value)
        PyErr_Clear();
    return value;
}

static Py_ssize_t size_of(PyObject *tuple_or_dict)
{
    Py_ssize_t size = tuple_or_dict && tuple_or_dict != Py_None ? PyObject_Size(tuple_or_dict) : 0;

    if (size < 0)
        PyErr_Clear();
    return size < 0 ? 0 : size;
}

static Py_ssize_t size_of_attribute(PyObject *object, const char *name)
{
    PyObject *value = get_optional(object, name);
    Py_ssize_t size = size_of(value);

    Py_XDECREF(value);
    return size;
}

static void copy_name(struct callable *c, PyObject *code, Py_ssize_t index)
{
    PyObject *names = get_optional(code, "co_varnames");
    PyObject *name =
        names && PyTuple_Check(names) && index < PyTuple_Size(names) ? PyTuple_GET_ITEM(names, index) : NULL;
    const char *text = name && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;

    if (!text)
        PyErr_Clear();
    snprintf(c->first, sizeof(c->first), "%s", text ? text : "");
    Py_XDECREF(names);
}

/* Learn from the code of a function, of which the first bound arguments are given already. */
static void read_code(struct callable *c, PyObject *function, PyCodeObject *code, Py_ssize_t bound)
{
    Py_ssize_t count = code->co_argcount - bound, defaults = size_of_attribute(function, "__defaults__");

    c->is_known = true;
    c->is_exact = PyFunction_Check(function);
    c->is_async = code->co_flags & (CO_COROUTINE | CO_ASYNC_GENERATOR | CO_ITERABLE_COROUTINE);
    c->needs_keyword = code->co_kwonlyargcount > size_of_attribute(function, "__kwdefaults__");
    c->most = code->co_flags & CO_VARARGS ? PY_SSIZE_T_MAX : count;
    c->least = count > defaults ? count - defaults : 0;
    if (count > 0)
        copy_name(c, (PyObject *)code, bound);
}

/* Returns the __call__ of an object as Python finds it, in its class and bound to it, as a new reference; or NULL. */
static PyObject *bound_call(PyObject *object)
{
    PyObject *classes = Py_TYPE(object)->tp_mro, *call = NULL;

    for (Py_ssize_t i = 0; !call && i < PyTuple_GET_SIZE(classes); i++) {
        PyObject *names = get_optional(PyTuple_GET_ITEM(classes, i), "__dict__");

        call = names ? PyMapping_GetItemString(names, "__call__") : NULL;
        PyErr_Clear();
        Py_XDECREF(names);
    }
    if (call && Py_TYPE(call)->tp_descr_get) {
        PyObject *bound = Py_TYPE(call)->tp_descr_get(call, object, (PyObject *)Py_TYPE(object));

        PyErr_Clear();
        Py_DECREF(call);
        call = bound;
    }
    return call;
}

/* Returns what an object calls when it is called, as a new reference, and adds to *bound how many arguments the object
 * puts in front of the others; NULL if it calls nothing else. */
static PyObject *step_inside(PyObject *object, Py_ssize_t *bound, bool *is_exact)
{
    if (PyMethod_Check(object)) {
        ++*bound;
        return Py_NewRef(PyMethod_GET_FUNCTION(object));
    }
    if (!strcmp(Py_TYPE(object)->tp_name, "functools.partial")) {
        *is_exact = false; /* it has keywords, and from 3.14 on placeholders */
        *bound += size_of_attribute(object, "args");
        return get_optional(object, "func");
    }
    return bound_call(object);
}

static struct callable inspect_callable(PyObject *object)
{
    struct callable c = {0};
    bool is_exact = true;
    Py_ssize_t bound = 0;

    Py_INCREF(object);
    for (int depth = 0; object && depth < MAX_DEPTH && !PyType_Check(object); depth++) {
        PyObject *code = PyMethod_Check(object) ? NULL : get_optional(object, "__code__"), *inside;

        if (code && PyCode_Check(code))
            read_code(&c, object, (PyCodeObject *)code, bound);
        Py_XDECREF(code);
        if (code)
            break;
        inside = step_inside(object, &bound, &is_exact);
        Py_DECREF(object);
        object = inside;
    }
    Py_XDECREF(object);
    c.is_exact = c.is_exact && is_exact;
    return c;
}

/* What the method of a class is like, as a function that gets the instance first. */
static struct callable inspect_method(PyObject *class, const char *name)
{
    PyObject *function = get_optional(class, name);
    struct callable c = {0};
    PyObject *code = function && PyFunction_Check(function) ? PyFunction_GET_CODE(function) : NULL;

    if (code)
        read_code(&c, function, (PyCodeObject *)code, 1);
    Py_XDECREF(function);
    return c;
}

/* Whether it looks like a WSGI application by the name of its first argument. */
static bool takes_environ(const struct callable *c)
{
    return !strcmp(c->first, "environ") || !strcmp(c->first, "env");
}

/* ---- what is no WSGI application ---- */

/* Returns what to try for shop.asgi:application: Django makes a module for each of the two. */
static PyObject *asgi_hint(const char *name)
{
    const char *module = strstr(name, ".asgi:");
    PyObject *package = module ? PyUnicode_FromStringAndSize(name, module - name) : NULL;
    PyObject *hint = package ? PyUnicode_FromFormat(" (of a Django project: %U.wsgi:application)", package)
                             : PyUnicode_FromString("");

    Py_XDECREF(package);
    return hint;
}

static const char *describe_asgi(const struct callable *c)
{
    if (c->is_async)
        return "an async callable of three arguments: scope, receive and send";
    return c->most == 1 ? "a callable of scope, version 2 of ASGI" : "a callable of scope, receive and send";
}

static int refuse_asgi(const char *name, const char *what)
{
    PyObject *hint = asgi_hint(name);

    if (hint)
        PyErr_Format(PyExc_TypeError,
                     "%s is an ASGI application (%s). This server serves WSGI applications so far: name one%U, or run "
                     "this one in a server for ASGI",
                     name, what, hint);
    Py_XDECREF(hint);
    return -1;
}

/* Whether the class, when it is called, makes an instance and nothing else. */
static bool makes_instances(PyObject *class)
{
    return Py_TYPE(class) == &PyType_Type && ((PyTypeObject *)class)->tp_new == PyBaseObject_Type.tp_new;
}

/* A class may be an application: its instances are responses, which are iterable. */
static int check_class(PyObject *class, const char *name)
{
    struct callable init = inspect_method(class, "__init__"), call = inspect_method(class, "__call__");
    PyObject *wait = get_optional(class, "__await__"), *iter = get_optional(class, "__iter__");
    bool is_asgi = wait || call.is_async || !strcmp(init.first, "scope");
    bool is_response = iter || !makes_instances(class);

    Py_XDECREF(wait);
    Py_XDECREF(iter);
    if (is_asgi)
        return refuse_asgi(name, "a class whose instances are async");
    if (is_response || !takes_environ(&call))
        return 0;
    PyErr_Format(PyExc_TypeError, "%s is a class whose instances are WSGI applications: write %s()", name, name);
    return -1;
}

/* A callable that does not take (environ, start_response): most are factories. */
static int refuse_arguments(const struct callable *c, const char *name)
{
    const char *needs = c->least > 0 || c->needs_keyword ? "..." : "";
    PyObject *call = strchr(name, '(') ? PyUnicode_FromString("")
                                       : PyUnicode_FromFormat("; if it makes one, write %s(%s)", name, needs);

    if (call)
        PyErr_Format(PyExc_TypeError,
                     "%s is no WSGI application: it does not take two arguments, environ and start_response%U", name,
                     call);
    Py_XDECREF(call);
    return -1;
}

int app_kind_check(PyObject *app, const char *name)
{
    struct callable c;

    if (!PyCallable_Check(app)) {
        PyErr_Format(PyExc_TypeError, "%s is no WSGI application: an object of type %s cannot be called", name,
                     Py_TYPE(app)->tp_name);
        return -1;
    }
    if (PyType_Check(app))
        return check_class(app, name);
    c = inspect_callable(app);
    if (!strcmp(c.first, "scope") || (c.is_async && c.least <= 3 && c.most >= 3))
        return refuse_asgi(name, describe_asgi(&c));
    if (c.is_async) {
        PyErr_Format(PyExc_TypeError,
                     "%s is an async function: a WSGI application is a plain function of environ and start_response",
                     name);
        return -1;
    }
    if (c.is_exact && (c.least > 2 || c.most < 2 || c.needs_keyword))
        return refuse_arguments(&c, name);
    return 0;
}

/* ---- what a module has ---- */

static bool is_factory_name(const char *name)
{
    static const char *const names[] = {
        "create_app",         "make_app",         "get_app",     "build_app",
        "create_application", "make_application", "app_factory", "get_wsgi_application"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

/* Returns how an object of that name is written behind the colon; NULL if it is not worth to be named. */
static PyObject *describe(const char *name, PyObject *object)
{
    struct callable c;

    if (*name == '_' || !PyCallable_Check(object) || PyType_Check(object))
        return NULL;
    if (is_factory_name(name))
        return PyUnicode_FromFormat("%s()", name);
    c = inspect_callable(object);
    if (takes_environ(&c) || !strcmp(c.first, "scope"))
        return PyUnicode_FromString(name);
    return NULL;
}

PyObject *app_kind_list(PyObject *module)
{
    PyObject *names = PyDict_Copy(PyModule_GetDict(module)), *list = PyList_New(0), *key, *value;
    Py_ssize_t position = 0;
    int err = 0;

    while (list && names && err == 0 && PyDict_Next(names, &position, &key, &value)) {
        const char *name = PyUnicode_Check(key) ? PyUnicode_AsUTF8(key) : NULL;
        PyObject *text = name ? describe(name, value) : NULL;

        if (text)
            err = PyList_Append(list, text);
        Py_XDECREF(text);
    }
    Py_XDECREF(names);
    if (err < 0 || PyErr_Occurred())
        Py_CLEAR(list);
    return list;
}
