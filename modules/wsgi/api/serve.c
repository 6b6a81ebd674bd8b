/*
 * serve.c: a WSGI application on a socket of a program's own, for syncless.wsgi.
 *
 * The program is Python that runs under syncless-python, or an application of the server which opens one more port. The
 * socket is made, and the application made one of WSGI, by Python code; here both are given to the server's HTTP, which
 * calls this module's handle as it does for a mount of the configuration.
 */
#include "bridge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define CAPSULE "_syncless.server"

/* An instance, which is there until its last connection has ended. */
static struct wsgi *instance_new(PyObject *app)
{
    struct wsgi *w = calloc(1, sizeof *w);

    if (!w)
        return (struct wsgi *)PyErr_NoMemory();
    w->app = "(of the program)";
    w->environ = environ_new();
    if (!w->environ) {
        free(w);
        return NULL;
    }
    w->callable = Py_NewRef(app);
    return w;
}

static bool on_coroutine(void)
{
    if (sl_self())
        return true;
    PyErr_SetString(PyExc_RuntimeError, "only a coroutine can serve; this is an OS thread (or a forked child)");
    return false;
}

static void instance_free(struct wsgi *w)
{
    environ_free(w->environ);
    Py_DECREF(w->callable);
    free(w);
}

static void free_ended(void *arg)
{
    if (!Py_IsInitialized() || tstate_enter_fresh() < 0)
        return; /* the program ends, or has no memory: it is left alone */
    instance_free(arg);
    tstate_leave_fresh();
}

/* Not a place for Python code, which an application's end may run: a coroutine of its own is one. */
static void on_ended(void *self)
{
    sl_spawn(free_ended, self);
}

/* The strings of a list, borrowed from it, with NULL behind them: to be freed. */
static const char **strings_of(PyObject *list)
{
    Py_ssize_t count = PyList_GET_SIZE(list), i = 0;
    const char **strings = PyMem_Calloc((size_t)count + 1, sizeof *strings);

    while (strings && i < count && (strings[i] = PyUnicode_AsUTF8(PyList_GET_ITEM(list, i))))
        i++;
    if (strings && i == count)
        return strings;
    PyMem_Free(strings);
    return strings ? NULL : (const char **)PyErr_NoMemory();
}

/* Serve, with these limits: a capsule. */
static PyObject *start(struct sl_service *service, PyObject *limits)
{
    const char **strings = strings_of(limits);
    struct sl_server *server = NULL;
    char *why = NULL;

    if (!strings)
        return NULL;
    service->limits = strings;
    server = sl_serve(service, &why);
    PyMem_Free(strings);
    if (server)
        return PyCapsule_New(server, CAPSULE, NULL);
    PyErr_SetString(PyExc_ValueError, why);
    free(why);
    return NULL;
}

PyObject *serve_start(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fd", "app", "accepts", "tls", "limits", NULL};
    struct sl_service service = {.module = &sl_module, .ended = on_ended};
    PyObject *app, *limits, *server;
    int accepts, tls;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iOppO!:serve", names, &service.fd, &app, &accepts, &tls,
                                     &PyList_Type, &limits))
        return NULL;
    if (!on_coroutine() || interp_make_types() < 0)
        return NULL;
    service.self = instance_new(app);
    if (!service.self)
        return NULL;
    service.accepts = accepts;
    service.tls = tls;
    server = start(&service, limits);
    if (!server)
        instance_free(service.self);
    return server;
}

/* The address of a client, from text that may be no such address: on a Unix socket it has none. */
static void parse_peer(const char *host, int port, struct sockaddr_storage *peer)
{
    struct sockaddr_in *in = (struct sockaddr_in *)peer;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)peer;

    *peer = (struct sockaddr_storage){.ss_family = AF_UNIX};
    if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
    } else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
    }
}

PyObject *serve_connection(PyObject *module, PyObject *args)
{
    struct sockaddr_storage peer;
    struct sl_server *server;
    PyObject *capsule;
    const char *host;
    int fd, port;

    if (!on_coroutine() || !PyArg_ParseTuple(args, "Oisi:serve_connection", &capsule, &fd, &host, &port))
        return NULL;
    server = PyCapsule_GetPointer(capsule, CAPSULE);
    if (!server)
        return NULL;
    parse_peer(host, port, &peer);
    sl_serve_connection(server, fd, (struct sockaddr *)&peer);
    Py_RETURN_NONE;
}

PyObject *serve_end(PyObject *module, PyObject *capsule)
{
    struct sl_server *server = on_coroutine() ? PyCapsule_GetPointer(capsule, CAPSULE) : NULL;

    if (!server)
        return NULL;
    sl_serve_end(server);
    Py_RETURN_NONE;
}
