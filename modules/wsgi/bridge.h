/*
 * bridge.h: what the files of the WSGI bridge share.
 *
 * Functions that work with Python objects follow its habits: they need the GIL, and failure is NULL or -1 with an
 * exception set. The others return a negative errno. "Not on a coroutine" is start and stop, on the OS thread's stack.
 */
#ifndef BRIDGE_H
#define BRIDGE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>

#include "syncless.h"

extern const struct sl_module sl_module;

/* An instance: one [wsgi /prefix] section. */
struct wsgi {
    const char *app;
    const char *virtualenv;
    const char *const *pythonpath;
    const char *chdir;
    const char *const *env;
    PyObject *callable;      /* the application, owned */
    struct environ *environ; /* owned */
};

/* Text of wsgi.errors that is no whole line yet. */
struct line {
    char *text;
    size_t size, room;
};

/* Exceptions on their way to a coroutine. While there are any, it is cancelled with EINTR. */
struct interrupt {
    void *coroutine;     /* its sl_self() */
    void (*raise)(void); /* sets the exception that the server has sent; NULL: none */
    PyObject *queue;     /* owned list of those that Python code has sent; NULL: none yet */
    bool tripped;        /* the signal was tripped for it, and its handler has not run */
    bool failed;         /* a wait has failed with ECANCELED since the last one was raised or taken back */
    PyObject *handle;    /* owned; what Python holds of the coroutine, NULL if nobody has asked */
};

/* A request on its way through the application. It lives on the stack of exchange_run; the Python objects that point at
 * it are told when it ends, since the application may keep them. */
struct exchange {
    struct sl_request *req;
    void *coroutine;            /* sl_self(): only there may the body be read or written */
    bool started;               /* start_response has been called, and the server has status and headers */
    PyObject *status, *headers; /* given in another thread: owned, and handed to the server when the body begins */
    PyObject *start_response;
    PyObject *write;
    PyObject *input; /* owned; NULL if the request has no body */
    bool head_sent;  /* the first byte of the body, or its end, has come: the head stays as it is */
    bool bodiless;   /* HEAD, 204 or 304 */
    int64_t length;  /* Content-Length of the response, -1 if there is none */
    int64_t sent;    /* bytes of body handed to the server */
    int error;       /* the negative errno by which the connection failed, or 0 */
    struct line line;
    PyObject *stream;            /* owned; the connection after an upgrade, or NULL */
    struct interrupt *interrupt; /* of the coroutine */
    int64_t quiet_until;         /* CLOCK_MONOTONIC milliseconds before which it is not interrupted again */
};

/* ---- interp.c: the interpreter, one in a worker ---- */

/* What must be done before the interpreter starts, by whoever starts it. 0 or -errno. */
int interp_prepare(void);

/* Make all that requests need of the interpreter: -1 with an exception. */
int interp_make_types(void);

/* Start it at the first call, count the later ones. Leaves the GIL held on success. Not on a coroutine. 0 or -errno. */
int interp_acquire(const struct wsgi *w);

/* Give the GIL back after interp_acquire, and take it again for what is done at the end. Not on a coroutine. */
void interp_leave(void);
void interp_enter(void);

/* The process forks workers from now on (preload): Python is told before and after each fork. 0 or -errno. */
int interp_nursery(void);

/* This process is such a worker: from here on forks are the application's own again. */
void interp_adopt(void);

/* Undo one interp_acquire, with the GIL held: the last one finalizes, otherwise the GIL is given back. */
void interp_release(void);

/* ---- package.c ---- */

/* Have `import syncless` find its package, once the interpreter has started: -1 with an exception. */
int package_init(void);

/* ---- app.c ---- */

/* The callable that spec names, "module:attribute" or "module:factory()", as a new reference; NULL with an exception.
 */
PyObject *app_load(const char *spec);

/* Refuse what cannot work here (monkey patching by gevent or eventlet): -1 with an exception. */
int app_check(void);

/* ---- gil.c: the GIL, in the OS thread of the coroutines ---- */

/* Take it, and give it back. */
void gil_take(PyThreadState *state);
void gil_give(void);

/* Instead of giving it back: it stays with this state, which rests, until somebody takes it. */
void gil_keep(PyThreadState *state);

/* Give it back if it was kept. */
void gil_return(void);

/* The coroutine of this state parks inside of Python: give the GIL back if it holds it. Returns whether it did. And it
 * goes on, with the GIL if it held it. */
bool gil_park(PyThreadState *state);
void gil_resume(PyThreadState *state, bool held);

/* ---- tstate.c: one PyThreadState for each coroutine ---- */

/* Once, with the GIL held. 0 or -errno. */
int tstate_init(void);

/* Take the GIL on this coroutine, for the request x, and give it back. 0, or -ENOMEM without the GIL. */
int tstate_enter(struct exchange *x);
void tstate_leave(void);

/* Let this coroutine have the state that it holds the GIL with, which stays the interpreter's, until tstate_disown: the
 * main coroutine's. 0 or -ENOMEM. */
int tstate_adopt(void);
void tstate_disown(void);

/* Between tstate_enter and tstate_leave, for what is to be a thread of its own to Python, with nothing left by whom the
 * coroutine served before, and leaving nothing. 0, or -ENOMEM without the GIL. */
int tstate_enter_fresh(void);
void tstate_leave_fresh(void);

/* The request that this coroutine serves; NULL on every other thread and outside of a request. */
struct exchange *tstate_exchange(void);

/* Of this coroutine; NULL outside of one that has a thread state. */
struct interrupt *tstate_interrupt(void);

/* The _syncless.Handle of this coroutine as a new reference, None outside of one; and a list of those of all that run
 * Python code or wait in it. */
PyObject *tstate_handle(void);
PyObject *tstate_handles(void);

/* The request that the Python thread of that identity serves, or NULL. With the GIL, any thread. */
struct exchange *tstate_find(unsigned long identity);

/* Free the states of all coroutines, while the main state holds the GIL, which is released in between. */
void tstate_clear(void);

/* ---- command.c ---- */

/* CPython's command line, see sl_module.command. */
int command_run(int argc, char **argv);

/* ---- spawn.c ---- */

/* Make the module _syncless. */
PyObject *spawn_module(void);

/* ---- where.c ---- */

/* Once, with the GIL held. -1 with an exception. */
int where_init(void);

/* In a signal handler: write the Python stack of the thread that runs, whose state that is, to fd. May fault. */
void where_write(PyThreadState *state, int fd);

/* ---- serve.c: functions of _syncless ---- */

PyObject *serve_start(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *serve_connection(PyObject *module, PyObject *args);
PyObject *serve_end(PyObject *module, PyObject *capsule);

/* ---- upgrade.c: functions of _syncless, and the value of environ's syncless.websocket ---- */

int upgrade_init(void);
PyObject *upgrade_field(PyObject *module, PyObject *name);
PyObject *upgrade_run(PyObject *module, PyObject *args);
PyObject *upgrade_function(void);

/* The request is over. */
void upgrade_end(struct exchange *x);

/* ---- exchange.c ---- */

/* Serve a request, with the GIL held. What sl_module.handle returns. */
int exchange_run(const struct wsgi *w, struct exchange *x);

/* Free what is kept for the next request. */
void exchange_clear(void);

/* ---- interrupt.c ---- */

/* Make the exception types. -1 with an exception. In the main thread. */
int interrupt_init(void);

/* Make them known to Python. -1 with an exception. */
int interrupt_add_types(PyObject *module);

/* Have raise(), which sets an exception, called on that coroutine where it waits, or will wait next. Needs no GIL; in
 * the worker's OS thread. */
void interrupt_send(struct interrupt *i, void (*raise)(void));

/* The same for an exception of Python code, after those that were queued before: 0, or -1 with an exception set. */
int interrupt_queue(struct interrupt *i, PyObject *exception);

/* Take it back. Returns 1; 0 if it is not queued: it was raised; -1 with an exception set. */
int interrupt_withdraw(struct interrupt *i, PyObject *exception);

/* Cancel the coroutine if an exception is pending, else clear the cancellation. After somebody else has changed it. */
void interrupt_renew(struct interrupt *i);

/* As sl_local.cancelled. */
void interrupt_cancelled(struct interrupt *i, int error);

/* The same with syncless.Killed: the worker stops. */
void interrupt_kill(struct interrupt *i);

/* This coroutine has come to the end of what could be interrupted: drop what is pending. With the GIL. */
void interrupt_settle(struct interrupt *i);

/* As sl_module.cancel. */
void interrupt_request(void *self, struct sl_request *req, int why);

/* CLOCK_MONOTONIC milliseconds. */
int64_t interrupt_now(void);

/* Whether a request may be interrupted now: not while it has time for its finally blocks after the last one. If so,
 * that time begins. */
bool interrupt_begin(struct exchange *x);

/* The exception type of request-timeout, borrowed. */
PyObject *interrupt_timeout(void);

/* Whether the exception that is set is syncless.Killed. */
bool interrupt_is_kill(void);

/* If the exception that is set is one for which a request was ended: log and clear it, and return what the server shall
 * do. Else 0. */
int interrupt_conclude(const struct sl_request *req);

/* ---- handle.c ---- */

int handle_init(void);

/* The handle of a coroutine, as a new reference, made if there is none. */
PyObject *handle_of(struct interrupt *i, unsigned long ident);

/* The coroutine ends, or what it did for its present user. */
void handle_end(struct interrupt *i);

/* ---- overdue.c ---- */

/* Be ready for requests that compute past their deadline. */
void overdue_watch(void);

/* This request, of the Python thread of that identity, holds the loop. In a signal handler on its coroutine. */
void overdue_note(const struct exchange *x, unsigned long identity);

/* ---- child.c ---- */

/* Once, before anything is forked. 0 or -errno. */
int child_init(void);

/* This process is a worker all the same: it was forked before there were requests. */
void child_adopt(void);

/* In a process that the application forked: end it, by the exception that is set if there is one. Else nothing. Called
 * wherever an application comes back. */
void child_end(void);

/* ---- environ.c, fields.c ---- */

/* Make the template of an instance, and free it. */
struct environ *environ_new(void);
void environ_free(struct environ *e);

/* A dict with the variables of a request. x->input is set if it has a body. */
PyObject *environ_make(struct environ *e, struct exchange *x);

/* Add the header fields of a request to its environ. */
int fields_add(PyObject *environ, const struct sl_request *req);

/* Forget the cached names. */
void fields_clear(void);

/* A str of latin-1 bytes. */
static inline PyObject *latin1(const char *text, size_t size)
{
    return PyUnicode_DecodeLatin1(text, (Py_ssize_t)size, NULL);
}

/* Put the decimal digits of n before end; returns where they begin. 20 bytes are enough. */
static inline char *decimal(char *end, uint64_t n)
{
    do
        *--end = (char)('0' + n % 10);
    while (n /= 10);
    return end;
}

/* ---- start_response.c, head.c ---- */

/* Make x->start_response and x->write. They forget x by start_response_end. */
int start_response_new(struct exchange *x);
void start_response_end(struct exchange *x);

/* Free what is kept for the next request. */
void start_response_clear(void);

/* Hand what an application gives to start_response to the server, in place of what it gave before: -1 with an exception
 * that says what is wrong. */
int head_set(struct exchange *x, PyObject *status, PyObject *headers);

/* The body begins. length: its size, for the case that the application does not say so itself; -1 if it is not known.
 */
int head_complete(struct exchange *x, int64_t length);

/* ---- response.c ---- */

/* Hand body bytes to the server. length is for head_complete, if the head was not sent before. */
int response_write(struct exchange *x, PyObject *bytes, int64_t length);

/* Hand what was written so far to the kernel. */
int response_flush(struct exchange *x);

/* Send what ends the body, while the application still has something to do. */
int response_end(struct exchange *x);

/* Send what the application returned, to its end. */
int response_send(struct exchange *x, PyObject *result);

/* ---- file_wrapper.c ---- */

extern PyTypeObject file_wrapper_type;

struct region {
    int fd;
    off_t offset;
    size_t size;
};

/* Find what is left of the file in a wrapper: 1, or 0 if it is no regular file and must be read, or -1. */
int file_wrapper_region(PyObject *wrapper, struct region *region);

/* ---- input.c, errors.c ---- */

/* wsgi.input of a request with a body, and without one: this one serves all requests. New references. */
PyObject *input_new(struct exchange *x);
PyObject *input_empty(void);

/* The request is over. */
void input_end(PyObject *input);

/* wsgi.errors: one for all requests. */
PyObject *errors_new(void);

/* Log what is left of an unfinished line. */
void errors_end(struct exchange *x);

/* ---- report.c ---- */

/* Log the exception that is set, with its traceback, and clear it. req may be NULL. */
void report_raised(const struct sl_request *req, const char *what);

/* The bytes of a str as the log takes them: UTF-8 without NUL. */
PyObject *report_bytes(PyObject *text);

/* Set the exception for a negative errno of the server: the client is gone, or its message is malformed. */
void report_connection(struct exchange *x, int error, const char *doing);

/* Once, before anything may be reported. */
int report_init(void);

/* Make the types of a file ready for use. */
int start_response_init(void);
int file_wrapper_init(void);
int input_init(void);
int errors_init(void);

#endif
