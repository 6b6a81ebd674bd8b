/*
 * serve.c: a WSGI application on a socket that a program has made, for syncless.wsgi.
 *
 * The program is Python that runs under syncless-python, or an application of the server that opens one more port.
 * Python code has made the socket, and a WSGI application of whatever it was given. Here both are handed to the server,
 * which calls the application as it does for a mount of the configuration.
 */
#include "package/serve.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>

#include "request/application.h"
#include "request/websocket.h"
#include "request/request_cancel.h"
#include "syncless/serve.h"
#include "threads/tstate.h"

#define CAPSULE "_syncless.server"

static int served_handle(void *self, struct sl_request *req)
{
    return application_handle(self, req);
}

/* To the server it is a module, of which each server in a program is an instance. */
static const struct sl_module served_module = {
    .abi = SL_ABI,
    .name = "wsgi",
    .size = sizeof(struct application),
    .handle = served_handle,
    .cancel = request_cancel,
};

static bool is_on_coroutine(void)
{
    if (sl_self())
        return true;
    PyErr_SetString(PyExc_RuntimeError, "only a coroutine can serve; this is an OS thread (or a forked child)");
    return false;
}

/* It lives until its last connection has ended. */
static struct application *served_new(PyObject *callable)
{
    struct application *app = PyMem_RawCalloc(1, sizeof(*app));

    if (!app)
        return (struct application *)PyErr_NoMemory();
    if (application_init(app, callable) == 0)
        return app;
    PyMem_RawFree(app);
    return NULL;
}

static void served_free(struct application *app)
{
    application_release(app);
    PyMem_RawFree(app);
}

static void served_free_on_coroutine(void *arg)
{
    if (!Py_IsInitialized() || tstate_enter_fresh(NULL) < 0)
        return; /* the program ends, or there is no memory: the application is not freed */
    served_free(arg);
    tstate_leave_fresh();
}

/* Freeing an application may run Python code, which cannot wait on the loop's stack. */
static void served_on_end(void *self)
{
    sl_spawn(served_free_on_coroutine, self);
}

/* Returns the tuples (key, value) of a list as settings, to be freed by PyMem_Free. The strings are borrowed from it.
 */
static struct sl_setting *borrow_settings(PyObject *list)
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    struct sl_setting *settings = PyMem_Calloc((size_t)count + 1, sizeof(*settings));

    if (!settings)
        return (struct sl_setting *)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!PyArg_ParseTuple(PyList_GET_ITEM(list, i), "ss", &settings[i].key, &settings[i].value)) {
            PyMem_Free(settings);
            return NULL;
        }
    }
    return settings;
}

/* Returns the server as a capsule. */
static PyObject *open_server(struct sl_service *service, PyObject *limits)
{
    struct sl_setting *settings = borrow_settings(limits);
    struct sl_server *server;
    char *why = NULL;

    if (!settings)
        return NULL;
    service->limits = settings;
    server = sl_serve(service, &why);
    PyMem_Free(settings);
    if (server)
        return PyCapsule_New(server, CAPSULE, NULL);
    PyErr_SetString(PyExc_ValueError, why);
    free(why);
    return NULL;
}

PyObject *serve_start(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fd", "app", "accepts", "tls", "limits", NULL};
    struct sl_service service = {.module = &served_module, .ended = served_on_end};
    PyObject *app, *limits, *server;
    int accepts, tls;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iOppO!:serve", names, &service.fd, &app, &accepts, &tls,
                                     &PyList_Type, &limits))
        return NULL;
    if (!is_on_coroutine() || application_init_types() < 0 || websocket_import() < 0)
        return NULL;
    service.self = served_new(app);
    if (!service.self)
        return NULL;
    service.accepts = accepts;
    service.tls = tls;
    server = open_server(&service, limits);
    if (!server)
        served_free(service.self);
    return server;
}

/* Clients on a Unix socket have no address, so host may be any text. */
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

PyObject *serve_accepted(PyObject *module, PyObject *args)
{
    struct sockaddr_storage peer;
    struct sl_server *server;
    PyObject *capsule;
    const char *host;
    int fd, port;

    if (!is_on_coroutine() || !PyArg_ParseTuple(args, "Oisi:serve_connection", &capsule, &fd, &host, &port))
        return NULL;
    server = PyCapsule_GetPointer(capsule, CAPSULE);
    if (!server)
        return NULL;
    parse_peer(host, port, &peer);
    sl_serve_connection(server, fd, (struct sockaddr *)&peer);
    Py_RETURN_NONE;
}

PyObject *serve_plain(PyObject *module, PyObject *capsule)
{
    struct sl_server *server = is_on_coroutine() ? PyCapsule_GetPointer(capsule, CAPSULE) : NULL;

    return server ? PyCapsule_New(sl_serve_plain(server), CAPSULE, NULL) : NULL;
}

PyObject *serve_end(PyObject *module, PyObject *capsule)
{
    struct sl_server *server = is_on_coroutine() ? PyCapsule_GetPointer(capsule, CAPSULE) : NULL;

    if (!server)
        return NULL;
    sl_serve_end(server);
    Py_RETURN_NONE;
}
