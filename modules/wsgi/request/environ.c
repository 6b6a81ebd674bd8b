/*
 * environ.c: the environ dict of a request.
 *
 * Each instance keeps a template with all the variables that every request has. A request is compared with it, what
 * differs is changed in the template, and the copy of that is the environ: copying a dict costs little more than a
 * memcpy, and much of one request (method, addresses, often the path) was so in the one before it. The template holds
 * 23 keys, from which on CPython gives a dict room for 42, so that the header fields fit in without a resize.
 *
 * Bytes of the client become latin-1 strings, as PEP 3333 wants it.
 */
#include "request/environ.h"

#include <stdlib.h>
#include <string.h>

#include "request/errors.h"
#include "request/exchange.h"
#include "request/fields.h"
#include "request/file_wrapper.h"
#include "request/input.h"
#include "request/text.h"
#include "request/upgrade.h"
#include "syncless.h"

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
    PyObject *dict;              /* the template */
    PyObject *key[VARIABLES];    /* owned */
    const char *text[VARIABLES]; /* of the values, borrowed from dict */
    PyObject *input_key;         /* owned */
    unsigned server_port;        /* the numbers in SERVER_PORT and REMOTE_PORT */
    unsigned peer_port;
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
        put(e, "wsgi.errors", errors_new()) < 0 || put(e, "wsgi.file_wrapper", Py_NewRef(&file_wrapper_type)) < 0 ||
        put(e, "syncless.websocket", upgrade_function()) < 0)
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
    e->text[v] = (const char *)PyUnicode_1BYTE_DATA(value);
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

/* Make the template say text. */
static int change(struct environ *e, enum variable v, const char *text, size_t size)
{
    PyObject *value = text_latin1(text, size);
    int rc = value ? set_value(e, v, value) : -1;

    Py_XDECREF(value);
    return rc;
}

static int update(struct environ *e, enum variable v, const char *text)
{
    return strcmp(e->text[v], text) == 0 ? 0 : change(e, v, text, strlen(text));
}

/* The same for the beginning of a text. */
static int update_part(struct environ *e, enum variable v, const char *text, size_t size)
{
    if (strncmp(e->text[v], text, size) == 0 && e->text[v][size] == '\0')
        return 0;
    return change(e, v, text, size);
}

/* The same for a number, which *known says is there. 0 is no port, and an empty text. */
static int update_port(struct environ *e, enum variable v, unsigned *known, unsigned port)
{
    char digits[MAX_DECIMAL], *end = digits + sizeof digits, *at;

    if (port == *known)
        return 0;
    at = port ? text_decimal(end, port) : end;
    if (change(e, v, at, (size_t)(end - at)) < 0)
        return -1;
    *known = port;
    return 0;
}

/* Two variables say the same, and are one object. */
static int update_target(struct environ *e, const struct sl_request *req)
{
    PyObject *value;
    int rc;

    if (strcmp(e->text[REQUEST_URI], req->target) == 0)
        return 0;
    value = text_latin1(req->target, strlen(req->target));
    rc = value && set_value(e, REQUEST_URI, value) == 0 ? set_value(e, RAW_URI, value) : -1;
    Py_XDECREF(value);
    return rc;
}

/* Length of the name in a Host field: what comes before the port. */
static size_t host_size(const char *host)
{
    const char *end = *host == '[' ? strchr(host, ']') : NULL;

    return end ? (size_t)(end + 1 - host) : strcspn(host, ":");
}

/* A Unix socket has neither name nor port; those that the client used stand in, as the two may not be empty. */
static int update_unix_server(struct environ *e, const struct sl_request *req)
{
    const char *name = *req->host ? req->host : "localhost";
    size_t size = host_size(name);
    unsigned port = name[size] == ':' ? (unsigned)strtoul(name + size + 1, NULL, 10) & 0xffff : 0;

    if (port == 0)
        port = strcmp(req->scheme, "https") == 0 ? 443 : 80;
    return update_part(e, SERVER_NAME, name, size) < 0 ? -1 : update_port(e, SERVER_PORT, &e->server_port, port);
}

static int update_server(struct environ *e, const struct sl_request *req)
{
    if (req->server_port == 0)
        return update_unix_server(e, req);
    if (update(e, SERVER_NAME, req->server) < 0)
        return -1;
    return update_port(e, SERVER_PORT, &e->server_port, req->server_port);
}

static int update_peer(struct environ *e, const struct sl_request *req)
{
    if (update(e, REMOTE_ADDR, req->peer) < 0)
        return -1;
    return update_port(e, REMOTE_PORT, &e->peer_port, req->peer_port);
}

static int update_all(struct environ *e, const struct sl_request *req)
{
    if (update(e, REQUEST_METHOD, req->method) < 0 || update(e, SCRIPT_NAME, req->mount) < 0 ||
        update(e, PATH_INFO, req->path) < 0 || update(e, QUERY_STRING, req->query) < 0 ||
        update(e, SERVER_PROTOCOL, req->http_minor ? "HTTP/1.1" : "HTTP/1.0") < 0 ||
        update(e, URL_SCHEME, req->scheme) < 0)
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
