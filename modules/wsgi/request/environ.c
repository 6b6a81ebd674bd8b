/*
 * environ.c: the environ dict of a request.
 *
 * Each application has a template with all the variables that every request has. For a request, those that differ are
 * changed in the template, and environ is a copy of it: copying a dict costs little more than a memcpy, and much of a
 * request (method, addresses, often the path) is as in the one before. The template holds 23 keys, from which on
 * CPython gives a dict room for 42, so that the header fields fit in without a resize.
 *
 * Bytes of the client become latin-1 strings, as PEP 3333 demands.
 */
#include "request/environ.h"

#include <string.h>

#include "request/convert.h"
#include "request/exchange.h"
#include "request/fields.h"
#include "request/file_wrapper.h"
#include "request/websocket.h"
#include "request/wsgi_errors.h"
#include "request/wsgi_input.h"
#include "syncless.h"

/* Variables whose text depends on the request. */
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

static const char *const variable_names[VARIABLES] = {
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
    const char *text[VARIABLES]; /* the text of the values, borrowed from dict */
    PyObject *input_key;         /* owned */
    unsigned server_port;        /* the numbers in SERVER_PORT and REMOTE_PORT */
    unsigned peer_port;
};

/* Takes over the reference to value, which may be NULL with an exception set. */
static int put_constant(struct environ *e, const char *name, PyObject *value)
{
    int result = value ? PyDict_SetItemString(e->dict, name, value) : -1;

    Py_XDECREF(value);
    return result;
}

static int put_constants(struct environ *e)
{
    if (put_constant(e, "SERVER_SOFTWARE", PyUnicode_InternFromString("syncless-server")) < 0 ||
        put_constant(e, "GATEWAY_INTERFACE", PyUnicode_InternFromString("CGI/1.1")) < 0 ||
        put_constant(e, "wsgi.version", Py_BuildValue("(ii)", 1, 0)) < 0 ||
        put_constant(e, "wsgi.input", wsgi_input_empty()) < 0 ||
        put_constant(e, "wsgi.errors", wsgi_errors_new()) < 0 ||
        put_constant(e, "wsgi.file_wrapper", Py_NewRef(&file_wrapper_type)) < 0 ||
        put_constant(e, "syncless.websocket", websocket_function()) < 0)
        return -1;
    if (put_constant(e, "wsgi.input_terminated", Py_NewRef(Py_True)) < 0 ||
        put_constant(e, "wsgi.multithread", Py_NewRef(Py_True)) < 0 ||
        put_constant(e, "wsgi.multiprocess", Py_NewRef(Py_True)) < 0 ||
        put_constant(e, "wsgi.run_once", Py_NewRef(Py_False)) < 0)
        return -1;
    return 0;
}

static int put_variable(struct environ *e, enum variable v, PyObject *value)
{
    if (PyDict_SetItem(e->dict, e->key[v], value) < 0)
        return -1;
    e->text[v] = (const char *)PyUnicode_1BYTE_DATA(value);
    return 0;
}

static int put_variables(struct environ *e)
{
    PyObject *empty = PyUnicode_New(0, 0);
    int result = empty ? 0 : -1;

    for (int v = 0; v < VARIABLES && result == 0; v++) {
        e->key[v] = PyUnicode_InternFromString(variable_names[v]);
        result = e->key[v] ? put_variable(e, v, empty) : -1;
    }
    Py_XDECREF(empty);
    return result;
}

struct environ *environ_new(void)
{
    struct environ *e = calloc(1, sizeof(*e));

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

static int change_text(struct environ *e, enum variable v, const char *text, size_t size)
{
    PyObject *value = convert_latin1(text, size);
    int result = value ? put_variable(e, v, value) : -1;

    Py_XDECREF(value);
    return result;
}

static int update_text(struct environ *e, enum variable v, const char *text)
{
    return !strcmp(e->text[v], text) ? 0 : change_text(e, v, text, strlen(text));
}

/* *known is the number that the variable has now. Port 0 stands for none, and is an empty text. */
static int update_port(struct environ *e, enum variable v, unsigned *known, unsigned port)
{
    char digits[MAX_DECIMAL], *end = digits + sizeof(digits), *at;

    if (port == *known)
        return 0;
    at = port ? convert_decimal(end, port) : end;
    if (change_text(e, v, at, (size_t)(end - at)) < 0)
        return -1;
    *known = port;
    return 0;
}

/* Two variables have the same text, and share one object. */
static int update_target(struct environ *e, const struct sl_request *req)
{
    PyObject *value;
    int result;

    if (!strcmp(e->text[REQUEST_URI], req->target))
        return 0;
    value = convert_latin1(req->target, strlen(req->target));
    result = value && put_variable(e, REQUEST_URI, value) == 0 ? put_variable(e, RAW_URI, value) : -1;
    Py_XDECREF(value);
    return result;
}

/* A Unix socket has neither name nor port, but PEP 3333 does not allow the two to be empty: take those that the client
 * used. */
static int update_unix_server(struct environ *e, const struct sl_request *req)
{
    const char *name = *req->host ? req->host : "localhost", *known = e->text[SERVER_NAME];
    uint16_t port;
    size_t size = sl_host(req, &port);

    if (!*req->host)
        size = strlen(name);
    if ((strncmp(known, name, size) || known[size]) && change_text(e, SERVER_NAME, name, size) < 0)
        return -1;
    return update_port(e, SERVER_PORT, &e->server_port, port);
}

/* An IPv6 address has brackets here, as in a URL (RFC 3875 section 4.1.14). */
static int update_server_name(struct environ *e, const char *address)
{
    const char *known = e->text[SERVER_NAME];
    size_t size = strlen(address);
    char text[64];

    if (!strcmp(known, address))
        return 0;
    if (!memchr(address, ':', size) || size + 2 >= sizeof(text))
        return change_text(e, SERVER_NAME, address, size);
    text[0] = '[';
    memcpy(text + 1, address, size);
    strcpy(text + 1 + size, "]");
    return update_text(e, SERVER_NAME, text);
}

static int update_server(struct environ *e, const struct sl_request *req)
{
    if (req->server_port == 0)
        return update_unix_server(e, req);
    if (update_server_name(e, req->server) < 0)
        return -1;
    return update_port(e, SERVER_PORT, &e->server_port, req->server_port);
}

static int update_variables(struct environ *e, const struct sl_request *req)
{
    if (update_text(e, REQUEST_METHOD, req->method) < 0 || update_text(e, SCRIPT_NAME, req->mount) < 0 ||
        update_text(e, PATH_INFO, req->path) < 0 || update_text(e, QUERY_STRING, req->query) < 0 ||
        update_text(e, SERVER_PROTOCOL, req->http_minor ? "HTTP/1.1" : "HTTP/1.0") < 0 ||
        update_text(e, URL_SCHEME, req->scheme) < 0 || update_target(e, req) < 0 || update_server(e, req) < 0 ||
        update_text(e, REMOTE_ADDR, req->peer) < 0)
        return -1;
    return update_port(e, REMOTE_PORT, &e->peer_port, req->peer_port);
}

/* The template has the empty wsgi.input of requests without a body. */
static int add_input(struct environ *e, PyObject *env, struct exchange *x)
{
    if (x->req->length == 0)
        return 0;
    x->input = wsgi_input_new(x);
    return x->input ? PyDict_SetItem(env, e->input_key, x->input) : -1;
}

/* Only a request that a filter has authenticated has this variable, so it is not in the template. */
static int add_user(PyObject *env, const struct sl_request *req)
{
    PyObject *value;
    int status;

    if (!req->user)
        return 0;
    value = convert_latin1(req->user, strlen(req->user));
    status = value ? PyDict_SetItemString(env, "REMOTE_USER", value) : -1;
    Py_XDECREF(value);
    return status;
}

PyObject *environ_make(struct environ *e, struct exchange *x)
{
    PyObject *env = update_variables(e, x->req) == 0 ? PyDict_Copy(e->dict) : NULL;
    int upgrade = env ? fields_add(env, x->req) : -1;

    if (upgrade < 0 || add_user(env, x->req) < 0 || add_input(e, env, x) < 0 ||
        (upgrade && websocket_add_socket(env) < 0))
        Py_CLEAR(env);
    return env;
}
