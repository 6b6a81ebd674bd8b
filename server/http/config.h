/* config.h: how HTTP is set up in a process. */
#ifndef HTTP_CONFIG_H
#define HTTP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/io/pace.h"

struct proxies;
struct request;

/* Or NULL. The first two are called on the coroutine of each request. */
struct http_hooks {
    void (*begun)(struct request *req);       /* its head is complete */
    void (*ended)(const struct request *req); /* it is over; NULL: timings of requests are not taken either */

    void (*timed_out)(const struct request *req); /* it is over, with status 504 */

    /* It is past its time by 10 s, and still computes upon a thread of the pool (wait_depart), where nothing can end
     * it. Called on the loop's stack, for one request of the process. */
    void (*endless)(struct request *req);
};

/* Times are milliseconds, 0 is no limit. */
struct http_config {
    /* Handle a request, on its coroutine. Returns as sl_module.handle. */
    int (*handle)(struct request *req);
    bool urgent;                   /* see http_set_urgent */
    const struct proxies *proxies; /* trusted proxies; borrowed, or NULL */
    size_t max_concurrency;        /* requests that run at once; others queue */
    int64_t queue_timeout;         /* in that queue; then 503 */
    size_t max_connections;        /* open at once */
    size_t max_request_line;       /* bytes */
    size_t max_header_size;        /* bytes of a head, with the request line */
    size_t max_headers;            /* fields */
    int64_t header_timeout;        /* from the first byte of a head, or from the accept, to its last */
    int64_t keepalive_timeout;     /* from the end of a request to the first byte of the next */
    int64_t body_timeout;          /* between two receives of a body that is being read */
    int64_t write_timeout;         /* between two sends of a response */
    struct pace_limit pace;        /* of heads */

    struct http_hooks hooks;
};

#endif
