/*
 * syncless.h: the module API, the one header a handler module includes.
 *
 * A module is a shared object that exports one symbol, `sl_module`. The server loads it with dlopen, makes one
 * zeroed instance for each `[name /prefix]` section of the ini file, fills in the options and calls `handle` for
 * each request below the prefix. See modules/hello/hello.c for a whole module and docs/modules.md for the guide.
 *
 * `handle` runs on a coroutine and is written in plain blocking style. Plain POSIX is the API for everything that
 * waits: recv, sleep, getaddrinfo, libpq and the like park this coroutine only. One OS thread runs all coroutines
 * of a worker, so code between two waits is never interrupted by another request.
 *
 * Conventions: strings are NUL-terminated UTF-8 or the client's bytes; sizes are bytes, durations milliseconds;
 * functions that can fail return a negative errno. What a request points at lives until `handle` returns.
 */
#ifndef SYNCLESS_H
#define SYNCLESS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header. MINOR grows with whatever is added to it, MAJOR when something changes that modules use:
 * docs/modules.md has the rules. SL_ABI, for the member abi of struct sl_module, also says how large that struct was
 * when the module was compiled, so that a newer server knows which members it has. */
#define SL_ABI_MAJOR 4
#define SL_ABI_MINOR 0
#define SL_ABI       ((unsigned)SL_ABI_MAJOR << 24 | (unsigned)SL_ABI_MINOR << 16 | (unsigned)sizeof(struct sl_module))

#if defined(__GNUC__)
#define SL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define SL_PRINTF(fmt, args)
#endif

/* ---- options: the keys of a module's ini section ---- */

enum sl_kind {
    SL_STRING,   /* const char *; NULL when neither set nor preset */
    SL_PATH,     /* const char *; a relative path is taken from the directory of the ini file */
    SL_BOOL,     /* bool; yes no on off true false 1 0 */
    SL_INTEGER,  /* int64_t */
    SL_SIZE,     /* int64_t bytes; suffixes k m g */
    SL_DURATION, /* int64_t milliseconds; suffixes ms s m h d, seconds without one */
    SL_STRINGS,  /* const char *const *; NULL-terminated, the key may be repeated; NULL when there is none */
    SL_PATHS,    /* the same, of paths */
    SL_CHOICE,   /* int, the index of the value in choices */
};

enum {
    SL_REQUIRED = 1, /* the key must be given */
    SL_PROCESS = 2,  /* belongs to the process: instances that disagree are an error */
};

/* One key. A table of these ends with a row whose name is NULL. Written with SL_OPTION. */
struct sl_option {
    const char *name; /* kebab case */
    enum sl_kind kind;
    size_t offset;             /* of the field in the instance, offsetof() */
    const char *default_value; /* written as in the ini file; or NULL */
    const char *help;          /* one sentence, for --help-module and the docs */
    unsigned flags;
    const char *const *choices; /* SL_CHOICE: the words it takes, NULL-terminated */
    int64_t min, max;           /* SL_INTEGER, SL_SIZE, SL_DURATION: the range, both included; max 0: no range */
    const char *old_name;       /* the key's name in earlier versions, accepted with a warning; or NULL */
    const void *spare[2];       /* NULL; for members of later versions */
};

/* A row: SL_OPTION("greeting", SL_STRING, struct hello, greeting, .default_value = "Hello", .help = "..."). */
#define SL_OPTION(NAME, KIND, TYPE, FIELD, ...)                                                                        \
    {                                                                                                                  \
        .name = NAME, .kind = KIND, .offset = offsetof(TYPE, FIELD), __VA_ARGS__                                       \
    }

/* ---- the request: borrowed, read-only facts ---- */

struct sl_field {
    const char *name; /* as the client wrote it */
    const char *value;
    uint32_t name_size; /* bytes without the final NUL */
    uint32_t value_size;
};

struct sl_request {
    const char *method; /* "GET" */
    const char *target; /* request-target as sent, RFC 9112 section 3.2 */
    const char *mount;  /* prefix of the section without its last slash: "" or "/shop" */
    const char *path;   /* percent-decoded path below the mount: "" or begins with "/"; never holds a NUL */
    const char *query;  /* bytes after the first '?', not decoded; "" if none */
    const char *host;   /* the Host field or the authority of an absolute-form target; "" if none */
    const char *scheme; /* "http" or "https" */
    const struct sl_field *fields;
    size_t field_count;
    int64_t length;     /* bytes of body: 0 none, -1 not known before its end (chunked) */
    int http_minor;     /* HTTP/1.x: 0 or 1 */
    const char *peer;   /* client address "192.0.2.1", or "" on a Unix socket */
    uint16_t peer_port; /* 0 on a Unix socket */
    const char *server; /* address the connection came in on, or the path of the Unix socket */
    uint16_t server_port;
    int64_t deadline; /* CLOCK_MONOTONIC milliseconds by which the request must end; 0 none */
    void *local;      /* the handler's, NULL at first: for sl_module.cancel to find it by */
};

/* ---- the module ---- */

struct sl_module {
    unsigned abi; /* SL_ABI */
    const char *name;
    size_t size;                     /* of an instance */
    const struct sl_option *options; /* or NULL */

    /* Once per instance and worker, before the first request, not on a coroutine. Return 0; -ENOEXEC if the
     * application that this instance serves cannot be loaded (exit code 4); any other -errno if the worker cannot
     * run (exit code 3). Say why with sl_log. Optional. */
    int (*start)(void *self);

    /* On a coroutine. Return 0 when the response is complete, a status 300..599 that the server shall answer with a
     * plain page, or -errno. If the response has begun, anything but 0 closes the connection, so that the client
     * sees it was cut. */
    int (*handle)(void *self, struct sl_request *req);

    /* Once per instance, before start, in the process that workers are forked from, if the server's `preload` is set:
     * for what is large or slow to load and survives a fork. Returns as start does. start is called in each worker all
     * the same. Optional. */
    int (*preload)(void *self);

    /* Once per instance at the end of the worker, no request is running. Optional. */
    void (*stop)(void *self);

    /* End a request that is being handled: -ETIMEDOUT, its deadline has passed; -ECONNRESET, its client is gone. Called
     * on the loop's stack, not on the coroutine, and again every 5 s until handle returns; must not wait. Optional:
     * without it, each wait of handle fails with ECANCELED from then on, as by sl_cancel. */
    void (*cancel)(void *self, struct sl_request *req, int why);

    /* A program: what this module runs by an executable of its own (syncless-python) in place of the server. Called
     * once, on the main coroutine, whose waits end with EINTR when a signal handler has run; returns the exit code.
     * The coroutines that still wait then end with the process. Optional. */
    int (*command)(int argc, char **argv);
};

/* ---- calls that never wait ---- */

enum sl_level { SL_ERROR, SL_WARN, SL_INFO, SL_DEBUG };

/* Value of the first field of that name (any case), or NULL. */
const char *sl_find(const struct sl_request *req, const char *name);

/* Set the status line, 200..599; 200 if never called. reason NULL: the standard phrase. -EALREADY once the head is
 * sent, -EINVAL for a bad number or a reason with control characters. */
int sl_status(struct sl_request *req, int status, const char *reason);

/* Add a response field. A Content-Length sets the size of the body: the server sends no more than that and closes if
 * it gets less. Without one the body is chunked (HTTP/1.0: ended by the close). -EINVAL for a name that is no token, a
 * value with control characters, or a hop-by-hop field (Connection, Transfer-Encoding, ...), which are the server's;
 * -EALREADY once the head is sent. The strings are copied. */
int sl_header(struct sl_request *req, const char *name, const char *value);

/* The same with sizes, for strings without NUL. */
int sl_header_n(struct sl_request *req, const char *name, size_t name_size, const char *value, size_t value_size);

/* Forget status and fields set so far. -EALREADY once the head is sent. */
int sl_reset(struct sl_request *req);

/* Memory of the request, aligned for any type, not zeroed. Never NULL. */
void *sl_alloc(struct sl_request *req, size_t size);

/* A formatted string in the memory of the request. */
char *sl_printf(struct sl_request *req, const char *fmt, ...) SL_PRINTF(2, 3);

/* Returns memory, which is what malloc or one of its relatives returned; NULL ends the process, as running out of memory
 * does everywhere in the server. Any thread. */
void *sl_must(void *memory);

/* Call fn(arg) when the request is over, last added first. */
void sl_defer(struct sl_request *req, void (*fn)(void *arg), void *arg);

/* The id by which lines of this request are found in logs: the X-Request-ID of a trusted proxy, or one made here. */
const char *sl_id(const struct sl_request *req);

/* A line for the error log, marked with the request if req is not NULL. Control bytes are escaped, except that line
 * breaks inside make continuation lines (tracebacks). */
void sl_log(const struct sl_request *req, enum sl_level level, const char *fmt, ...) SL_PRINTF(3, 4);

/* ---- calls that may wait ---- */

/* Next bytes of the request body into buf, at least one and at most size; 0 at its end; -EBADMSG if the message is
 * malformed, -EFBIG past max-body-size, -ECONNRESET if the client left before its end; return these from handle and the
 * client gets 400 or 413. Sends "100 Continue" first where it is asked for. */
ssize_t sl_body(struct sl_request *req, void *buf, size_t size);

/* End with -ECANCELED what waits in sl_body on another coroutine, and every later call: the rest of the body is of no
 * use. For handlers that read it on a coroutine of its own. Never waits. */
void sl_body_cancel(struct sl_request *req);

/* More bytes of the response body. Small pieces are gathered; a slow client makes this wait. Returns 0, or -errno when
 * the client is gone (-EPIPE, -ECONNRESET), or -EMSGSIZE for bytes past Content-Length (what fits is sent). Does
 * nothing for HEAD, 204 and 304. */
int sl_write(struct sl_request *req, const void *buf, size_t size);

/* Hand everything written so far, and the head, to the kernel. */
int sl_flush(struct sl_request *req);

/* size bytes of the file fd from offset as response body, by sendfile(2). -EIO if the file is shorter. */
int sl_sendfile(struct sl_request *req, int fd, off_t offset, size_t size);

/* A whole response in one call: status, Content-Type (NULL: none), Content-Length and body. */
int sl_reply(struct sl_request *req, int status, const char *type, const void *body, size_t size);

/* The response is complete: add what ends it (the last chunk), and the head if nothing was written. For handlers that
 * have more to do; returning 0 does it too. Returns 0, or -EPROTO if the body is shorter than its Content-Length, or
 * -errno when the client is gone. */
int sl_end(struct sl_request *req);

/* Answer a client that asks for it (RFC 9110 section 7.8) with 101 and the fields set so far: from here on the
 * connection speaks another protocol, until handle returns and it is closed. sl_body then gives what the client sends,
 * as it comes, and 0 when it sends no more; sl_write sends bytes as they are, which sl_flush hands over; body-timeout
 * is off. One coroutine may read while another writes. protocol must stay. -EINVAL if the client does not ask for that
 * protocol in Upgrade, and for an upgrade in Connection, or the request has a body; -EALREADY once the head is sent. */
int sl_upgrade(struct sl_request *req, const char *protocol);

/* Run fn(arg) on a coroutine of its own. Any thread. -ENOMEM if there can be no further stack, the log says why; -EPERM
 * in a forked child. */
int sl_spawn(void (*fn)(void *arg), void *arg);

/* Let all coroutines run that are ready, and the loop look for more, before this one goes on. Not on a coroutine:
 * nothing. */
void sl_yield(void);

/* Ask DNS for the records of a name, with the search domains of resolv.conf; type as RFC 1035 numbers them: 15 MX,
 * 16 TXT, ... The reply, a whole DNS message, is cut to size; returns its full size, or -ENOENT: no such name,
 * -ENODATA: it has none of that type, -EAGAIN: no server has an answer, -EBADMSG: no name or no answer looks like that.
 * Only on a coroutine, else -EPERM. Addresses of hosts are better asked for by getaddrinfo. */
ssize_t sl_resolve(const char *name, int type, void *reply, size_t size);

/* Run fn(arg) on a thread of the pool while this coroutine waits, and return what it returns. For code that computes
 * for long or blocks where nothing can park it (disk, system calls made directly). Not on a coroutine: calls fn. */
int sl_offload(int (*fn)(void *arg), void *arg);

/* ---- serving from a program, and from handlers that open a port of their own ---- */

struct sl_server;

struct sl_service {
    int fd;                         /* a non-blocking socket that listens; stays the caller's */
    const struct sl_module *module; /* whose handle gets all requests; start and stop are not called */
    void *self;                     /* for handle; stays until ended is called, or for the life of the process */
    void (*ended)(void *self);      /* after sl_serve_end, when no connection is left; must not wait. Optional */
    bool accepts;                   /* connections are accepted from fd; else they come by sl_serve_connection */
    bool tls;                       /* what comes was encrypted on the way: the scheme is https */
    const char *const *limits;      /* keys of [limits] and their values, in turns, ended by NULL; or NULL for none */
};

/* Serve HTTP in this process, until sl_serve_end. In the OS thread of the coroutines. Limits that every mount has of
 * its own hold for this server, those of connections for the process: they can be given to the first one in it, where
 * no configuration has set them. NULL if a limit is wrong, and *why says which, to be freed. */
struct sl_server *sl_serve(const struct sl_service *service, char **why);

/* Serve a connection that the program has accepted, and has perhaps put itself in the middle of: a non-blocking stream
 * socket, the server's from here on. peer: the client's address, for handlers and logs. */
void sl_serve_connection(struct sl_server *server, int fd, const struct sockaddr *peer);

/* Accept no more. Connections are closed when they have answered what they are at. */
void sl_serve_end(struct sl_server *server);

/* ---- for language runtimes that take coroutines for threads (the wsgi module is one) ---- */

/* A value in every coroutine, kept while the coroutine rests in the pool. park(value) is called just before a
 * coroutine gives up the OS thread and resume(value) when it has it again; release(value) when the coroutine itself
 * is freed. They are called only where the value is not NULL; each hook is optional. errno need not be kept. */
struct sl_local {
    void (*park)(void *value);
    void (*resume)(void *value);
    void (*release)(void *value);

    /* A wait of this coroutine is about to fail because of sl_cancel, with that error. Called on the coroutine. */
    void (*cancelled)(void *value, int error);

    /* Write to fd, as lines of text, what this coroutine is doing: for the log, when it blocks the OS thread for too
     * long. Called in a signal handler that interrupts its code, so everything may be half changed: only what is
     * async-signal-safe may be called, and a fault ends no more than this call. */
    void (*dump_stack)(void *value, int fd);

    /* The worker stops and this coroutine still runs: cancel it in the runtime's own way. Called once, on the loop's
     * stack; the coroutine then has a second. Without this function, or where it returns false, sl_cancel is called
     * with ECANCELED. */
    bool (*cancel)(void *value);

    /* An iteration of the loop is over; it looks for events now and may sleep. Called without a value, on its stack. */
    void (*iteration)(void);
};

/* Make a key for such values; hooks must stay. Returns the key, or -ENOSPC (there are
 * four in a process). */
int sl_local_create(const struct sl_local *hooks);

/* The value of this coroutine, NULL at first. Not on a coroutine: NULL, and set does nothing. */
void *sl_local_get(int key);
void sl_local_set(int key, void *value);

/* Something unequal for each coroutine that runs; NULL outside of one. */
void *sl_self(void);

/* Cancel a coroutine (its sl_self): its present wait and all later ones fail with the errno error; 0 clears that. With
 * EINTR they fail with EINTR and ECANCELED in turns: a runtime looks for the cause of the first, and a library that
 * tries again after it gives up after the second. A wait on a semaphore fails with EINTR, and once for the same
 * semaphore; waits on other locks go on. Never waits; only in the worker's own OS thread. */
void sl_cancel(void *coroutine, int error);

/* Whether pthread_self, called by the runtime on this coroutine, gives the main thread's identity. A wait that failed
 * with EINTR by sl_cancel sets it, the next wait clears it: CPython runs signal handlers in no other thread. */
void sl_as_main_thread(bool on);

/* Say that the shared object which holds this address is a runtime whose threads are coroutines: its pthread_self
 * tells coroutines apart, and its own pthread mutexes and conditions are left real, since it hands its lock over at a
 * park by the hooks above. -EINVAL if no object holds the address. */
int sl_runtime(const void *address);

#ifdef __cplusplus
}
#endif

#endif
