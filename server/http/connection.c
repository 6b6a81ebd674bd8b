/*
 * connection.c: the life of connections.
 *
 * A connection between two requests is a small record in the epoll set and nothing else. When bytes arrive it asks for
 * a permit (admission.c) and with that gets a coroutine from the pool, which serves (session.c) as long as there are
 * bytes and then leaves the record alone again. A connection that is to be closed while the client may still be sending
 * lingers, without a coroutine too. Each state has its time-out.
 */
#include "http/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/cancel.h"
#include "http/conn.h"
#include "log/log.h"

#define LINGER_TIME  2000               /* milliseconds a client may go on sending after our last answer */
#define LINGER_BYTES (16 * 1024 * 1024) /* a proxy that gets no further with a body does not look at the answer */

static struct {
    struct http_config config;
    struct list conns;
    size_t count;
    size_t served;
    bool draining;
    bool closing;                                /* idle connections too */
    struct wait_timeouts fresh, idle, lingering; /* before the first request; between two; at the end */
} http;

bool http_is_draining(void)
{
    return http.draining;
}

bool http_is_closing(void)
{
    return http.closing;
}

void http_count_request(void)
{
    http.served++;
}

/* ---- coroutines ---- */

static struct conn *conn_of(struct permit *permit)
{
    return list_entry(permit, struct conn, permit);
}

static void serve(void *arg)
{
    struct conn *conn = arg;
    struct permit *next;

    session_serve(conn);
    while ((next = permit_next())) {
        conn = conn_of(next);
        conn->state = CONN_ACTIVE;
        coro_yield(); /* as if it had begun anew */
        session_serve(conn);
    }
}

static bool start(struct permit *permit, bool now)
{
    struct conn *conn = conn_of(permit);

    conn->state = CONN_ACTIVE;
    if (now ? coro_run(serve, conn) : coro_start(serve, conn) != NULL)
        return true;
    conn->state = CONN_QUEUED;
    return false;
}

/* ---- the end ---- */

void conn_close(struct conn *conn)
{
    wait_timeout_stop(&conn->timeout);
    wait_source_end(&conn->source);
    list_remove(&conn->all);
    listener_leave(conn->listener);
    if (--http.count == 0 && http.draining)
        wait_stop();
    free(conn);
}

/* Drop what a client sends to a lingering connection, and close when it is done. */
static void drop_input(struct conn *conn)
{
    static char scrap[16384];
    ssize_t n;

    do {
        n = recv(conn->source.fd, scrap, sizeof(scrap), MSG_DONTWAIT);
        conn->dropped += n > 0 ? (size_t)n : 0;
    } while ((n > 0 && conn->dropped < LINGER_BYTES) || (n < 0 && errno == EINTR));
    if (n >= 0 || errno != EAGAIN)
        conn_close(conn);
}

/* Closing with unread bytes makes the kernel send a reset, which may destroy our answer before the client has read it.
 * So say that we are done, and read on until the client is too, within bounds. */
void conn_linger(struct conn *conn)
{
    if (shutdown(conn->source.fd, SHUT_WR) < 0) {
        conn_close(conn);
        return;
    }
    conn->state = CONN_LINGERING;
    wait_timeout_start(&http.lingering, &conn->timeout);
    drop_input(conn);
}

static void on_timeout(struct wait_timeout *timeout)
{
    conn_close(list_entry(timeout, struct conn, timeout));
}

/* ---- too many ---- */

static void log_rejected(void)
{
    static int64_t last;

    if (wait_time() - last < 1000)
        return;
    last = wait_time();
    log_warn("503: max-concurrency, %zu requests run at once, and others waited for longer than queue-timeout",
             http.config.max_concurrency);
}

/* There will be nobody to read this request: an answer for whatever it is. A client that has only closed an idle
 * connection gets none, and no line in the access log. */
static void reject(struct permit *permit)
{
    struct conn *conn = conn_of(permit);
    char byte;
    ssize_t n = recv(conn->source.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

    if (n < 0 && errno == EAGAIN && !http.closing) { /* it was woken for nothing */
        conn_idle(conn);
        return;
    }
    if (n > 0)
        log_rejected();
    if (n > 0 && session_reject(conn))
        conn_linger(conn);
    else
        conn_close(conn);
}

bool http_is_full(void)
{
    return http.count >= http.config.max_connections;
}

bool http_make_room(void)
{
    struct list *first = http.idle.list.next;

    if (!http_is_full())
        return true;
    if (first == &http.idle.list)
        return false;
    conn_close(list_entry(first, struct conn, timeout.link));
    return true;
}

/* ---- the beginning ---- */

static void on_ready(struct wait_source *source, short events)
{
    struct conn *conn = (struct conn *)source;

    if (!(events & (POLLIN | POLLRDHUP | POLLHUP | POLLERR)))
        return; /* that it is writable is no news */
    switch (conn->state) {
    case CONN_IDLE:
        wait_timeout_stop(&conn->timeout);
        conn->state = CONN_QUEUED;
        if (http.config.ended)
            conn->arrived = wait_now();
        permit_request(&conn->permit);
        break;
    case CONN_LINGERING:
        drop_input(conn);
        break;
    case CONN_ACTIVE: /* its coroutine sees source->seen when it wants more */
        if (conn->req && events & (POLLRDHUP | POLLHUP | POLLERR))
            cancel_gone(conn->req);
        break;
    case CONN_QUEUED:
        break;
    }
}

void conn_idle(struct conn *conn)
{
    conn->state = CONN_IDLE;
    wait_timeout_start(&http.idle, &conn->timeout);
}

void conn_set_peer(struct conn *conn, const struct sockaddr *peer)
{
    const struct proxies *proxies = http.config.proxies;
    struct in6_addr address;

    if (address_ip(&address, peer)) {
        address_text(peer, conn->peer, sizeof(conn->peer), &conn->peer_port);
        conn->trusted = proxies && forwarded_trusts(proxies, &address);
    } else {
        conn->trusted = proxies && proxies->local;
    }
}

void conn_open(struct listener *listener, int fd, const struct sockaddr *peer)
{
    struct conn *conn = xcalloc(1, sizeof(*conn));
    int err;

    conn_set_peer(conn, peer);
    conn->proxied = listener->proxied;
    conn->listener = listener;
    listener->users++;
    conn->source = (struct wait_source){.ready = on_ready, .fd = fd};
    permit_init(&conn->permit);
    list_init(&conn->timeout.link);
    list_push(&http.conns, &conn->all);
    http.count++;
    wait_timeout_start(&http.fresh, &conn->timeout);
    err = wait_source_open(&conn->source);
    if (err) {
        log_error("cannot watch a connection from %s: %s", conn->peer, strerror(-err));
        conn_close(conn);
    }
}

/* ---- the whole ---- */

void http_init(const struct http_config *config)
{
    http.config = *config;
    list_init(&http.conns);
    wait_timeouts_init(&http.fresh, config->header_timeout, on_timeout);
    wait_timeouts_init(&http.idle, config->keepalive_timeout, on_timeout);
    wait_timeouts_init(&http.lingering, LINGER_TIME, on_timeout);
    admission_init(&(struct admission_config){config->max_concurrency, config->queue_timeout, start, reject});
    session_init(&http.config);
    cancel_init();
    request_init_ids();
}

bool http_is_ready(void)
{
    return http.config.handle != NULL;
}

/* listener NULL: of all. */
static void close_idle_of(const struct listener *listener)
{
    struct list *node, *next;

    for (node = http.conns.next; node != &http.conns; node = next) {
        struct conn *conn = list_entry(node, struct conn, all);

        next = node->next;
        if (conn->state == CONN_IDLE && (!listener || conn->listener == listener))
            conn_close(conn);
    }
}

void http_close_idle(const struct listener *listener)
{
    close_idle_of(listener);
}

static void close_idle(void)
{
    http.closing = true;
    close_idle_of(NULL);
}

void http_drain(int64_t idle_grace)
{
    http.draining = true;
    for (struct list *node = http.conns.next; node != &http.conns; node = node->next) {
        struct conn *conn = list_entry(node, struct conn, all);

        if (conn->req)
            conn->req->keep_alive = false; /* and if its head is not sent yet, that says so */
    }
    if (idle_grace > 0)
        wait_after(idle_grace, close_idle);
    else
        close_idle();
    if (http.count == 0)
        wait_stop();
    else
        wait_hold(+1); /* conn_close ends the loop with the last of them, be it idle or not */
}

size_t http_served(void)
{
    return http.served;
}

void http_cut(void)
{
    for (struct list *node = http.conns.next; node != &http.conns; node = node->next)
        shutdown(list_entry(node, struct conn, all)->source.fd, SHUT_RDWR);
}

size_t http_connections(void)
{
    return http.count;
}
