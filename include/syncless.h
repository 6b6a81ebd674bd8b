/*
 * syncless.h: the module API, the one header that a handler module needs.
 *
 * A module is a shared object that exports one symbol, `sl_module`. The server loads it with dlopen, makes one zeroed
 * instance for each `[name /prefix]` section of the ini file, fills in its options and calls `handle` for each request
 * below the prefix; a module with `filter` stands in front of those that serve. See modules/hello/hello.c for a whole
 * module and docs/modules.md for the guide.
 *
 * `handle` runs on a coroutine and is written in plain blocking style. Plain POSIX is the API for everything that
 * waits: recv, sleep, getaddrinfo, libpq and so on park this coroutine only. One OS thread runs all coroutines of a
 * worker, so no other request runs between two calls that wait.
 *
 * Two more headers are for special needs: syncless/serve.h for programs and handlers that open a port of their own,
 * syncless/runtime.h for language runtimes that take coroutines for threads.
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
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The version of these headers. MINOR grows with whatever is added to them, MAJOR when something changes that modules
 * use: docs/modules.md has the rules. SL_ABI, for the member abi of struct sl_module, also says how large that struct
 * was when the module was compiled, so that a newer server knows which members it has. */
#define SL_ABI_MAJOR 4
#define SL_ABI_MINOR 2
#define SL_ABI       ((unsigned)SL_ABI_MAJOR << 24 | (unsigned)SL_ABI_MINOR << 16 | (unsigned)sizeof(struct sl_module))

#if defined(__GNUC__)
#define SL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define SL_PRINTF(fmt, args)
#endif

/* ---- options: the keys of a module's ini section ---- */

enum sl_kind {
    SL_STRING,   /* const char *; NULL if there is neither a value nor a default */
    SL_PATH,     /* the same; a relative path starts at the directory of the ini file */
    SL_BOOL,     /* bool; yes no on off true false 1 0 */
    SL_INTEGER,  /* int64_t */
    SL_SIZE,     /* int64_t bytes; suffixes k m g */
    SL_DURATION, /* int64_t milliseconds; suffixes ms s m h d, seconds without one */
    SL_STRINGS,  /* const char *const *; the values of a key that may be repeated, ended by NULL; NULL if there is none
                  */
    SL_PATHS,    /* the same, of paths */
    SL_CHOICE,   /* int; the index of the value in choices */
};

enum {
    SL_REQUIRED = 1, /* the key must be given */
    SL_PROCESS = 2,  /* the value holds for the process: sections of the module that disagree are an error */
    SL_EXISTS = 4,   /* SL_PATH: what it names must be there when the server starts; -t looks for it */
    SL_FOLDER = 8,   /* beside SL_EXISTS: and must be a directory. Since 4.2 */
    SL_SECRET = 16,  /* the value, NAME=SECRET or NAME:SECRET, is shown without the secret. Since 4.1 */
};

/* One key: a row of a table that ends with a row whose name is NULL. Written with SL_OPTION. */
struct sl_option {
    const char *name; /* in kebab case */
    enum sl_kind kind;
    size_t offset;              /* of the field in the instance, by offsetof() */
    const char *default_value;  /* written as in the ini file; or NULL */
    const char *help;           /* one sentence */
    unsigned flags;             /* SL_REQUIRED, SL_PROCESS, SL_EXISTS, SL_FOLDER, SL_SECRET */
    const char *const *choices; /* SL_CHOICE: the words that the key takes, ended by NULL */
    int64_t min, max;           /* SL_INTEGER, SL_SIZE, SL_DURATION: the range, both included; max 0: no range */
    const char *old_name;       /* the key's name in earlier versions, accepted with a warning; or NULL */
    const void *spare[2];       /* NULL: for members of later versions */
};

/* A row: SL_OPTION("greeting", SL_STRING, struct hello, greeting, .default_value = "Hello", .help = "..."). */
#define SL_OPTION(NAME, KIND, TYPE, FIELD, ...)                                                                        \
    {                                                                                                                  \
        .name = NAME, .kind = KIND, .offset = offsetof(TYPE, FIELD), __VA_ARGS__                                       \
    }

/* ---- the request; its members are read only, except local ---- */

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
    void *local;      /* the handler's own, NULL at first: sl_module.cancel finds by it what to cancel */
    const char *user; /* whom a filter has authenticated, by sl_set_user; NULL: nobody */
};

/* ---- the module ---- */

/* What sl_module.filter returns to let a request pass. */
#define SL_PASS 1

/* handle, filter or both must be there; the other functions may be NULL. */
struct sl_module {
    unsigned abi; /* SL_ABI */
    const char *name;
    size_t size;                     /* of an instance */
    const struct sl_option *options; /* or NULL */

    /* Called once for each instance in each worker, before the first request, on a coroutine that is the main thread of
     * the process. Returns 0; -ENOEXEC if the application that this instance serves cannot be loaded (exit code 4); any
     * other -errno if the worker cannot run (exit code 3). Says why with sl_log. */
    int (*start)(void *self);

    /* Called on a coroutine. Returns 0 when the response is complete, a status 300..999 that the server answers with a
     * plain page (499, that the client is gone, with the end of the connection), or -errno for a page with status 500.
     * If the response has begun, anything but 0 closes the connection, so that the client sees that the response is not
     * whole. */
    int (*handle)(void *self, struct sl_request *req);

    /* Called on a coroutine for each request below the prefix of the section, whichever section serves it, also for
     * those that none does; not for those of sl_serve. Filters with shorter prefixes are called first, those with the
     * same prefix in the order of the file. mount and path are those of the filter; path has no repeated slashes and no
     * dot segments.
     *
     * Returns SL_PASS, and the next filter is called, or handle; or as handle does, and the request is done. One that
     * passes must neither have begun the response nor read the body. The response fields that it has set stay in the
     * response, whatever comes later; so do those of one that returns a status. The limits are those of the section
     * that serves the request, or of [limits]; request-timeout includes the filters. */
    int (*filter)(void *self, struct sl_request *req);

    /* Called once for each instance, before start, in the process that workers are forked from, if the server's key
     * `preload` is set: for what is large or slow to load and survives a fork. Returns as start does. start is called
     * in each worker all the same. */
    int (*preload)(void *self);

    /* Called once for each instance at the end of the worker, when no request is running, as start is. */
    void (*stop)(void *self);

    /* End a request that handle or filter is running for; why is -ETIMEDOUT (its deadline has passed) or -ECONNRESET
     * (its client is gone). Called on the loop's stack, not on the coroutine, and again every 5 s until it returns;
     * must not wait. Without it, each wait fails with ECANCELED from then on, as by sl_cancel. */
    void (*cancel)(void *self, struct sl_request *req, int why);

    /* For language runtimes, see syncless/runtime.h. */
    int (*command)(int argc, char **argv);

    /* handle waits for nothing but the client and the disk: its requests do not wait in the queue of max-concurrency,
     * unless the section says priority = normal or filters stand in front. Since 4.1. */
    bool is_quick;

    /* Called once for each instance by -t, as the user of the workers: whether start would find mistakes in the values
     * of its keys, or miss what it opens. Must not run anything of the application, connect, or leave anything behind.
     * Returns 0; or a negative errno, and says why with sl_log. Since 4.2. */
    int (*check)(void *self);
};

/* ---- the request and its response, calls that never wait ---- */

/* Returns the value of the first field of that name (in any case), or NULL. */
const char *sl_find(const struct sl_request *req, const char *name);

/* Set the status line, 200..999; it is 200 if this is never called. reason NULL: the standard phrase. -EALREADY once
 * the head is sent, -EINVAL for a bad number or a reason with control characters. */
int sl_status(struct sl_request *req, int status, const char *reason);

/* Add a response field. A Content-Length sets the size of the body: the server sends no more than that and closes the
 * connection if it gets less. Without one the body is chunked (HTTP/1.0: ended by the close). Hop-by-hop fields
 * (Connection, Transfer-Encoding, ...) are the server's, and left out; but `Connection: close` closes the connection
 * after the response, and an Upgrade stays after a status of 426. -EINVAL for a name that is no token, a value with
 * control characters, or a bad Content-Length; -EALREADY once the head is sent. The strings are copied. */
int sl_header(struct sl_request *req, const char *name, const char *value);

/* The same with sizes, for strings without NUL. */
int sl_header_n(struct sl_request *req, const char *name, size_t name_size, const char *value, size_t value_size);

/* Forget the status and fields set so far, except those of filters that have let the request pass. -EALREADY once the
 * head is sent. */
int sl_reset(struct sl_request *req);

/* Set req->user: whom the request was authenticated as. Handlers see it, as REMOTE_USER in WSGI and CGI, and so does
 * the access log as %(user). The name is copied. -EINVAL for one that is empty or has control characters. */
int sl_set_user(struct sl_request *req, const char *name);

/* Returns memory of the request, aligned for any type, not zeroed. Never NULL. */
void *sl_alloc(struct sl_request *req, size_t size);

/* Returns a formatted string in the memory of the request. */
char *sl_printf(struct sl_request *req, const char *fmt, ...) SL_PRINTF(2, 3);

/* Call fn(arg) when the request is over, last added first. */
void sl_defer(struct sl_request *req, void (*fn)(void *arg), void *arg);

/* Returns the id by which lines of this request are found in logs: the X-Request-ID of a trusted proxy, or one made
 * here. */
const char *sl_id(const struct sl_request *req);

/* ---- the request and its response, calls that may wait ---- */

/* Read the next bytes of the request body into buf, at least one and at most size. Returns their number; 0 at the end
 * of the body; -EBADMSG if the message is malformed, -EFBIG past max-body-size, -ECONNRESET if the client left before
 * its end, or closed its side: return these from handle and the client gets 400 or 413. Sends "100 Continue" first to a
 * client that waits for it. */
ssize_t sl_body(struct sl_request *req, void *buf, size_t size);

/* Make sl_body fail with -ECANCELED, on another coroutine that waits in it and in every later call: the handler has no
 * use for the rest of the body. For handlers that read it on a coroutine of its own. Never waits. */
void sl_body_cancel(struct sl_request *req);

/* After an upgrade: sl_body returns -ETIMEDOUT when nothing has come for so many milliseconds, and may be called again.
 * 0, as at first: it waits as long as it takes. Since 4.1. */
void sl_body_timeout(struct sl_request *req, int64_t milliseconds);

/* Write the next bytes of the response body. Small pieces are gathered; a slow client makes this wait. Returns 0;
 * -errno if the client is gone (-EPIPE, -ECONNRESET); -EMSGSIZE for bytes beyond Content-Length (what fits is sent).
 * Does nothing for HEAD, 204, 205 and 304. */
int sl_write(struct sl_request *req, const void *buf, size_t size);

/* Hand everything written so far, and the head, to the kernel. */
int sl_flush(struct sl_request *req);

/* Write size bytes of the file fd from offset to the response body, by sendfile(2). -EIO if the file is shorter. */
int sl_sendfile(struct sl_request *req, int fd, off_t offset, size_t size);

/* Write a whole response: status, Content-Type (NULL: none), Content-Length and body. */
int sl_reply(struct sl_request *req, int status, const char *type, const void *body, size_t size);

/* Complete the response: write the last chunk, and the head if nothing was written. For handlers that have more to do
 * afterwards; returning 0 from handle does it too. Returns 0; -EPROTO if the body is shorter than its Content-Length;
 * -errno if the client is gone. */
int sl_end(struct sl_request *req);

/* Answer a client that asks for an upgrade (RFC 9110 section 7.8) with 101 and the fields set so far. From here on the
 * connection speaks that protocol, until handle returns and it is closed: sl_body returns what the client sends, as it
 * comes, and 0 when it sends no more; sl_write and sl_flush send bytes as they are; body-timeout is off. One coroutine
 * may read while another writes. protocol must stay valid. -EINVAL if the client does not ask for that protocol in
 * Upgrade, and for an upgrade in Connection, or if the request has a body; -EALREADY once the head is sent. */
int sl_upgrade(struct sl_request *req, const char *protocol);

/* Give the connection to a library that speaks another protocol on its socket, and sends the answer itself. Returns its
 * descriptor, which the server closes when handle returns, and does not use any more; only what it had received already
 * is read by sl_body, up to sl_unread bytes. The access log says 101. Fails as sl_upgrade does, but does not look for a
 * protocol. Since 4.1. */
int sl_hand_over(struct sl_request *req);

/* Returns how many bytes sl_body can give without receiving any. Since 4.1. */
size_t sl_unread(const struct sl_request *req);

/* ---- parts of HTTP that handlers need ---- */

/* Returns the size of the host name at the beginning of req->host, where a port may follow; an IPv6 address has its
 * brackets. *port is the port that the client asked for: that one, or else 80 or 443 by the scheme. */
size_t sl_host(const struct sl_request *req, uint16_t *port);

#define SL_HTTP_DATE_SIZE sizeof("Sun, 06 Nov 1994 08:49:37 GMT")

/* Write a date from 1970 to the year 9999 as HTTP has it, RFC 9110 section 5.6.7. */
void sl_http_date(time_t when, char text[SL_HTTP_DATE_SIZE]);

/* Read a date in any of the forms that HTTP allows. Returns 0, or -EINVAL for anything else. */
int sl_http_date_parse(const char *text, time_t *when);

/* ---- coroutines and threads ---- */

/* Run fn(arg) on a coroutine of its own, a thread that ends with it. Any thread. -ENOMEM if there is no memory for its
 * stack, logged; -EPERM in a forked child; -ENXIO in preload. */
int sl_spawn(void (*fn)(void *arg), void *arg);

/* Returns what identifies this coroutine while it runs; NULL if this is none. */
void *sl_self(void);

/* Call fn when this worker begins to end, at a reload or a stop or to be replaced, or at once if it has begun: requests
 * that take long (streams, WebSockets) should end then, or are cancelled after shutdown-timeout. Called on the loop's
 * stack; must not wait, but may call sl_spawn. Returns 0; -ENOSPC for more than 8 functions. Since 4.1. */
int sl_on_drain(void (*fn)(void));

/* Cancel a coroutine, given by its sl_self: with error ECANCELED its present wait and all later ones fail with that
 * errno, until error 0 clears it, or the request that it serves is over. A coroutine that must wait to clean up clears
 * its own. A wait for a semaphore fails with EINTR, and once for the same semaphore; waits for other locks go on. Any
 * other error but EINTR, which is for runtimes (syncless/runtime.h), counts as ECANCELED: a wait that fails with
 * ETIMEDOUT, say, might mean something else. Never waits; only in the worker's own OS thread. */
void sl_cancel(void *coroutine, int error);

/* Let all other coroutines run that are ready, and the loop look for events. Does nothing outside of a coroutine. */
void sl_yield(void);

/* The same if this coroutine has run for a slice (time-slice, or 5 ms): for loops that compute. The calls of this API
 * that read and write do so too. Costs two instructions while that is not so. Since 4.1. */
void sl_give_way(void);

/* Run fn(arg) on a thread of the pool while this coroutine waits, and return its result. For code that computes for
 * long or blocks where nothing can park it (disk, system calls made directly). Outside of a coroutine: calls fn. */
int sl_offload(int (*fn)(void *arg), void *arg);

/* ---- other calls ---- */

enum sl_level { SL_ERROR, SL_WARN, SL_INFO, SL_DEBUG };

/* Write a line to the error log, marked with the request if req is not NULL. Control bytes are escaped; line breaks
 * inside become continuation lines (tracebacks). Any thread. Never waits. */
void sl_log(const struct sl_request *req, enum sl_level level, const char *fmt, ...) SL_PRINTF(3, 4);

/* Returns memory, which is the result of malloc or one of its relatives; NULL ends the process, as running out of
 * memory does everywhere in the server. Any thread. */
void *sl_must(void *memory);

/* Ask DNS for the records of a name, with the search domains of resolv.conf; type is a number of RFC 1035: 15 MX,
 * 16 TXT, ... Stores the first size bytes of the reply, a DNS message, and returns its full size; or -ENOENT: there is
 * no such name, -ENODATA: it has no record of that type, -EAGAIN: no server answered, -EBADMSG: the name or the reply
 * is malformed, -EPERM: this is no coroutine. For addresses of hosts use getaddrinfo. May wait. */
ssize_t sl_resolve(const char *name, int type, void *reply, size_t size);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
