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

/* An instance, for good: connections may point at it for as long as the process lives. */
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

PyObject *serve_start(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fd", "app", "accepts", "tls", "max_body_size", "request_timeout", NULL};
    struct sl_service service = {.module = &sl_module};
    int accepts, tls;
    long long max_body_size, request_timeout;
    PyObject *app;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iOppLL:serve", names, &service.fd, &app, &accepts, &tls,
                                     &max_body_size, &request_timeout))
        return NULL;
    if (!on_coroutine() || interp_make_types() < 0)
        return NULL;
    service.self = instance_new(app);
    if (!service.self)
        return NULL;
    service.accepts = accepts;
    service.tls = tls;
    service.max_body_size = max_body_size;
    service.request_timeout = request_timeout;
    return PyCapsule_New(sl_serve(&service), CAPSULE, NULL);
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
