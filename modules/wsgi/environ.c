/*
 * environ.c: the environ dict of a request.
 *
 * Each instance keeps a template with all the variables that every request has. A request is compared with it, what
 * differs is changed in the template, and the copy of that is the environ: copying a dict costs little more than a
 * memcpy, and much of one request (method, addresses, often the path) was so in the one before it. The template holds
 * 22 keys, from which on CPython gives a dict room for 42, so that the header fields fit in without a resize.
 *
 * Bytes of the client become latin-1 strings, as PEP 3333 wants it.
 */
#include "bridge.h"

#include <stdlib.h>
#include <string.h>

/* Variables whose text is taken from the request, all of them present in the template. */
enum variable {
    REQUEST_METHOD,
    SCRIPT_NAME,
    PATH_INFO,
    QUERY_STRING,
    REQUEST_URI,
    RAW_URI,
    SERVER_NAME,
    SERVER_PORT,
    SERVER_PROTOCOL,
    REMOTE_ADDR,
    REMOTE_PORT,
    URL_SCHEME,
    VARIABLES
};

static const char *const names[VARIABLES] = {
    [REQUEST_METHOD] = "REQUEST_METHOD",
    [SCRIPT_NAME] = "SCRIPT_NAME",
    [PATH_INFO] = "PATH_INFO",
    [QUERY_STRING] = "QUERY_STRING",
    [REQUEST_URI] = "REQUEST_URI", /* as sent, like nginx and uWSGI */
    [RAW_URI] = "RAW_URI",         /* the same under gunicorn's name */
    [SERVER_NAME] = "SERVER_NAME",
    [SERVER_PORT] = "SERVER_PORT",
    [SERVER_PROTOCOL] = "SERVER_PROTOCOL",
    [REMOTE_ADDR] = "REMOTE_ADDR",
    [REMOTE_PORT] = "REMOTE_PORT",
    [URL_SCHEME] = "wsgi.url_scheme",
};

struct environ {
    PyObject *dict;             /* the template */
    PyObject *key[VARIABLES];   /* owned */
    PyObject *value[VARIABLES]; /* borrowed from dict */
    PyObject *input_key;        /* owned */
    unsigned peer_port;         /* the number in REMOTE_PORT */
};

/* Put a new reference into the template. */
static int put(struct environ *e, const char *name, PyObject *value)
{
    int rc = value ? PyDict_SetItemString(e->dict, name, value) : -1;

    Py_XDECREF(value);
    return rc;
}

static int put_constants(struct environ *e)
{
    if (put(e, "SERVER_SOFTWARE", PyUnicode_InternFromString("syncless-server")) < 0 ||
        put(e, "GATEWAY_INTERFACE", PyUnicode_InternFromString("CGI/1.1")) < 0 ||
        put(e, "wsgi.version", Py_BuildValue("(ii)", 1, 0)) < 0 || put(e, "wsgi.input", input_empty()) < 0 ||
        put(e, "wsgi.errors", errors_new()) < 0 || put(e, "wsgi.file_wrapper", Py_NewRef(&file_wrapper_type)) < 0)
        return -1;
    if (put(e, "wsgi.input_terminated", Py_NewRef(Py_True)) < 0 || put(e, "wsgi.multithread", Py_NewRef(Py_True)) < 0 ||
        put(e, "wsgi.multiprocess", Py_NewRef(Py_True)) < 0 || put(e, "wsgi.run_once", Py_NewRef(Py_False)) < 0)
        return -1;
    return 0;
}

static int set_value(struct environ *e, enum variable v, PyObject *value)
{
    if (PyDict_SetItem(e->dict, e->key[v], value) < 0)
        return -1;
    e->value[v] = value;
    return 0;
}

static int put_variables(struct environ *e)
{
    PyObject *empty = PyUnicode_New(0, 0);
    int rc = empty ? 0 : -1;

    for (int v = 0; v < VARIABLES && rc == 0; v++) {
        e->key[v] = PyUnicode_InternFromString(names[v]);
        rc = e->key[v] ? set_value(e, v, empty) : -1;
    }
    Py_XDECREF(empty);
    return rc;
}

struct environ *environ_new(void)
{
    struct environ *e = calloc(1, sizeof *e);

    if (!e) {
        PyErr_NoMemory();
        return NULL;
    }
    e->dict = PyDict_New();
    e->input_key = PyUnicode_InternFromString("wsgi.input");
    if (e->dict && e->input_key && put_constants(e) == 0 && put_variables(e) == 0)
        return e;
    environ_free(e);
    return NULL;
}

void environ_free(struct environ *e)
{
    for (int v = 0; v < VARIABLES; v++)
        Py_XDECREF(e->key[v]);
    Py_XDECREF(e->input_key);
    Py_XDECREF(e->dict);
    free(e);
}

/* Make the template say text. Returns 1 if it had to be changed. */
static int update(struct environ *e, enum variable v, const char *text, size_t size)
{
    PyObject *old = e->value[v], *value;
    int rc;

    if ((size_t)PyUnicode_GET_LENGTH(old) == size && memcmp(PyUnicode_1BYTE_DATA(old), text, size) == 0)
        return 0;
    value = latin1(text, size);
    if (!value)
        return -1;
    rc = set_value(e, v, value);
    Py_DECREF(value);
    return rc < 0 ? -1 : 1;
}

static int update_port(struct environ *e, enum variable v, unsigned port)
{
    char digits[20], *end = digits + sizeof digits, *at = decimal(end, port);

    return update(e, v, at, (size_t)(end - at));
}

static int update_target(struct environ *e, const struct sl_request *req)
{
    int rc = update(e, REQUEST_URI, req->target, strlen(req->target));

    if (rc > 0)
        rc = set_value(e, RAW_URI, e->value[REQUEST_URI]);
    return rc;
}

/* Length of the name in a Host field: what comes before the port. */
static size_t host_size(const char *host)
{
    const char *end = *host == '[' ? strchr(host, ']') : NULL;

    return end ? (size_t)(end + 1 - host) : strcspn(host, ":");
}

/* A Unix socket has neither name nor port; those that the client used stand in, as the two may not be empty. */
static int update_server(struct environ *e, const struct sl_request *req)
{
    const char *name = req->server;
    size_t size = strlen(name);
    unsigned port = req->server_port;

    if (port == 0) {
        name = *req->host ? req->host : "localhost";
        size = host_size(name);
        port = name[size] == ':' ? (unsigned)strtoul(name + size + 1, NULL, 10) & 0xffff : 0;
    }
    if (port == 0)
        port = strcmp(req->scheme, "https") == 0 ? 443 : 80;
    return update(e, SERVER_NAME, name, size) < 0 ? -1 : update_port(e, SERVER_PORT, port);
}

static int update_peer(struct environ *e, const struct sl_request *req)
{
    if (update(e, REMOTE_ADDR, req->peer, strlen(req->peer)) < 0)
        return -1;
    if (req->peer_port == e->peer_port)
        return 0;
    e->peer_port = req->peer_port;
    return req->peer_port ? update_port(e, REMOTE_PORT, req->peer_port) : update(e, REMOTE_PORT, "", 0);
}

static int update_all(struct environ *e, const struct sl_request *req)
{
    const char *protocol = req->http_minor ? "HTTP/1.1" : "HTTP/1.0";

    if (update(e, REQUEST_METHOD, req->method, strlen(req->method)) < 0 ||
        update(e, SCRIPT_NAME, req->mount, strlen(req->mount)) < 0 ||
        update(e, PATH_INFO, req->path, strlen(req->path)) < 0 ||
        update(e, QUERY_STRING, req->query, strlen(req->query)) < 0 ||
        update(e, SERVER_PROTOCOL, protocol, strlen(protocol)) < 0 ||
        update(e, URL_SCHEME, req->scheme, strlen(req->scheme)) < 0)
        return -1;
    return update_target(e, req) < 0 || update_server(e, req) < 0 || update_peer(e, req) < 0 ? -1 : 0;
}

static int set_input(struct environ *e, PyObject *environ, struct exchange *x)
{
    if (x->req->length == 0)
        return 0;
    x->input = input_new(x);
    return x->input ? PyDict_SetItem(environ, e->input_key, x->input) : -1;
}

PyObject *environ_make(struct environ *e, struct exchange *x)
{
    PyObject *environ = update_all(e, x->req) == 0 ? PyDict_Copy(e->dict) : NULL;

    if (environ && (fields_add(environ, x->req) < 0 || set_input(e, environ, x) < 0))
        Py_CLEAR(environ);
    return environ;
}
