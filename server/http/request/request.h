/* request.h: one request and its response, from the first byte of its head until both are over. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "http/io/client_wait.h"
#include "http/io/pace.h"
#include "log/log.h"
#include "syncless.h"
#include "wait/wait.h"

struct input;
struct output;

enum body_kind {
    BODY_NONE,
    BODY_SIZED,
    BODY_CHUNKED,
    BODY_RAW, /* bytes of another protocol, up to the end of the connection */
};

struct access_rule;
struct request;
struct trace_context;

/* The part of a request's time that counts. */
enum deadline_counts {
    COUNTS_TO_RESPONSE, /* until the response begins, but for waits for the client */
    COUNTS_APPLICATION, /* to the end, but for such waits */
    COUNTS_ALL,
};

/* What a mount sets for its requests while they are handled. */
struct request_limits {
    struct wait_timeouts *deadlines; /* the list of such timeouts; NULL: there is no deadline */
    enum deadline_counts counts;
    bool if_gone;                        /* cancel one if its client closes the connection */
    unsigned number;                     /* of the mount, see metrics_mount */
    bool by_operator;                    /* cancel_by_operator may be called */
    void (*cancel)(struct request *req); /* see cancel_start */
    struct pace_limit pace;              /* of bodies */
};

struct request {
    struct sl_request view;      /* what modules see; first, see request_of */
    const char *id;              /* see request_id; NULL: none yet */
    uint64_t number;             /* of the requests of this process; from 1 */
    struct trace_context *trace; /* in the arena; NULL: requests belong to no traces */
    const char *version;         /* "HTTP/1.1", as sent; NULL: the request line has none */
    const char *prefix;          /* path by which a proxy reaches our /, or NULL */
    struct input *in;
    struct output *out;
    struct arena arena;

    /* body.c: the request's body */
    enum body_kind body_kind;
    int body_error;      /* 0, or the -errno after which the rest of it cannot be understood */
    bool body_done;      /* it was read to its end, trailers included */
    bool renewed;        /* chunked: it has an input buffer of its own; the head stays in the old one */
    bool expects_100;    /* the client waits for 100 Continue */
    bool keep_alive;     /* the connection may serve another request after this one */
    struct coro *reader; /* waits for bytes of it, or NULL */
    int64_t body_left;   /* bytes not read yet; chunked: of the current chunk */
    int64_t body_limit;  /* bytes it may have; 0: no limit */
    int64_t body_taken;  /* chunked: bytes handed to the handler */
    size_t framing;      /* chunked: bytes of framing and trailers so far, beyond what is usual */
    struct pace pace;    /* of its bytes that did not come with the head */

    /* cancel.c: cancelling the handler */
    struct coro *coro;                   /* the handler's; NULL while none runs that can be cancelled */
    const struct request_limits *limits; /* of the mount; borrowed; NULL before routing */
    void *mount;                         /* that handles it; before routing: the endpoint's only one, or NULL */
    struct access_rule *log;             /* access.h: of the mount; borrowed; NULL: none of its own */
    struct wait_timeout deadline;
    struct client_wait client_wait; /* by which its time does not run while it waits for the client */
    int64_t due;                    /* ns of the deadline, once it has done so; 0: not yet */
    int cancelled;                  /* 0, or why: -ETIMEDOUT, -ECONNRESET, -ECANCELED */
    bool held;                      /* its time does not run, and due is what is left of it */

    /* response.c: the response */
    int status;
    const char *reason;  /* NULL: the standard phrase */
    const char *upgrade; /* 101: the protocol that follows */
    char *fields;        /* header lines, in the arena */
    size_t fields_size, fields_capacity;
    int64_t length; /* Content-Length of the response; -1: not known */
    int64_t sent;   /* bytes of its body handed over by the handler */
    bool head_sent;
    bool chunked;
    bool ended; /* the terminating chunk has been written */
    bool has_date, has_server;
    bool closes; /* the handler wants the connection closed */
    struct {
        size_t fields_size;
        bool has_date, has_server, closes;
    } kept;           /* what filters have set: response_reset goes back to this */
    size_t head_size; /* bytes of its head */

    /* Nanoseconds; only set if something looks at requests that are over (http_hooks.ended). */
    int64_t began;   /* CLOCK_MONOTONIC when its head was complete */
    int64_t queued;  /* from the arrival of its first bytes until then */
    int64_t busy;    /* coro_busy() at the beginning */
    size_t received; /* bytes of its head */

    /* access/slow.c; all zero if there is no slow log */
    struct wait_timeout slow; /* until it is slow */
    bool is_slow;
};

static inline struct request *request_of(const struct sl_request *view)
{
    return (struct request *)view;
}

/* For functions that return the status to refuse a request with: returns status and sets *why to the reason. */
static inline int refusal(int status, const char *reason, const char **why)
{
    *why = reason;
    return status;
}

/* Whether the client has closed its side of the connection before the end of the body. */
bool request_is_cut(const struct request *req);

/* Before the first request of a process. */
void request_init_ids(void);

/* Make 128 bits that no other request has, and that look random. */
void request_new_id(uint64_t words[2]);

/* The id that a trusted proxy gave (X-Request-ID), or one of our own, made on the first call. */
const char *request_id(const struct request *req);

/* Write a line to the error log that names the request. */
void request_log(const struct request *req, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void request_vlog(const struct request *req, enum log_level level, const char *fmt, va_list ap);

#endif
