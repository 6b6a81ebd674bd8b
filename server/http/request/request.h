/* request.h: one request and its response, from the head's first byte until both are over. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "log/log.h"
#include "syncless.h"
#include "wait/wait.h"

struct conn;
struct input;
struct output;

enum body_kind {
    BODY_NONE,
    BODY_SIZED,
    BODY_CHUNKED,
    BODY_RAW, /* another protocol's bytes, to the end of the connection */
};

struct request {
    struct sl_request view; /* first: what modules see */
    struct conn *conn;
    const char *id;     /* see request_id; NULL: none yet */
    const char *prefix; /* path of a proxy before ours, or NULL */
    struct input *in;
    struct output *out;
    struct arena arena;

    /* body.c: the request's body */
    enum body_kind body_kind;
    int64_t body_left;   /* bytes not read yet; chunked: of the present chunk */
    bool body_done;      /* its last byte, and the trailers, have been read */
    struct coro *reader; /* waits for bytes of it; NULL if nobody does */
    int body_error;      /* 0, or the -errno that ended it: nothing after it can be understood */
    int64_t body_limit;  /* bytes it may have; 0: any number */
    int64_t body_taken;  /* chunked: bytes handed over */
    bool renewed;        /* chunked: the body has an input buffer of its own, the head stays in the old one */
    bool expects_100;    /* the client waits for 100 Continue */
    bool keep_alive;     /* the connection may serve another request after this one */
    size_t framing;      /* chunked: bytes of framing and trailers since the last byte of body */

    /* cancel.c: ending it early */
    struct coro *coro;                   /* the handler's */
    void (*cancel)(struct request *req); /* NULL while no handler runs that can be cancelled */
    void *mount;                         /* for end; at first the listener's */
    struct wait_timeout deadline;
    int cancelled; /* 0, or why: -ETIMEDOUT, -ECONNRESET */
    bool if_gone;

    /* response.c: the response */
    int status;
    const char *reason;  /* NULL: the standard phrase */
    const char *upgrade; /* 101: to that protocol */
    char *fields;        /* header lines, in the arena */
    size_t fields_size, fields_capacity;
    int64_t length; /* Content-Length of the response; -1: not known */
    int64_t sent;   /* bytes of body handed over */
    bool head_sent;
    bool chunked;
    bool ended; /* with what tells the end of the body */
    bool has_date, has_server;
    size_t head_size; /* bytes of its head */

    /* Nanoseconds, and only if requests are looked at when they are over (http_config.ended). */
    int64_t began;  /* CLOCK_MONOTONIC when its head was there */
    int64_t queued; /* from the arrival of its first bytes until then */
    int64_t busy;   /* coro_busy() at the beginning */
};

static inline struct request *request_of(const struct sl_request *view)
{
    return (struct request *)view;
}

/* Before the first request of a process. */
void request_init_ids(void);

/* The id that a trusted proxy gave (X-Request-ID), or one of our own, made when first asked for. */
const char *request_id(const struct request *req);

/* A line for the error log that names the request. */
void request_log(const struct request *req, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void request_vlog(const struct request *req, enum log_level level, const char *fmt, va_list ap);

#endif
