/*
 * connection.c: the life of connections.
 *
 *     accepted --> IDLE --bytes--> QUEUED --permit--> ACTIVE --> LINGERING --> closed
 *                   ^                                   |
 *                   '----------- keep-alive ------------'
 *
 * An idle connection is a small record in the epoll set and nothing else. When bytes arrive it asks for a permit
 * (admission.c). With that it gets a coroutine from the pool, which serves it (session.c) as long as there are bytes,
 * and then leaves it idle again. A connection that is to be closed while the client may still be sending lingers,
 * without a coroutine too. Each state has a timeout of its own, but ACTIVE, where each wait has one.
 */
#include "http/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/mem.h"
#include "http/cancel.h"
#include "http/session.h"
#include "http/share/share.h"
#include "log/log.h"

#define CLOSED              (POLLRDHUP | POLLHUP | POLLERR) /* events: the client has closed its side */
#define LINGER_SILENCE      5000  /* milliseconds without a byte from a client that was sent our last response */
#define LINGER_TIME         30000 /* milliseconds for which such a client may send in all; both as in nginx */
#define LINGER_LAST         2000  /* milliseconds of the last silence, and in all when the server stops */
#define LINGER_BYTES        (1024 * 1024) /* dropped at once, before others run */
#define LINGER_PAUSE        1             /* milliseconds until it goes on */
#define SILENT_TIME         250 /* milliseconds in which a client sends something, if it is not up to mischief */
#define MAX_DRAIN_FUNCTIONS 8
#define LOG_INTERVAL        1000 /* milliseconds */

enum conn_state { CONN_IDLE, CONN_QUEUED, CONN_ACTIVE, CONN_LINGERING };

struct conn {
    struct client client;
    struct list all;             /* in http.conns */
    struct wait_timeout timeout; /* of the state */
    enum conn_state state;
    union {
        int64_t opened;     /* wait_time() of the accept; until it lingers */
        int64_t linger_end; /* wait_time() until which it may linger */
    };
    bool computes; /* its last requests have used up a slice, and so may the next one */
};

static struct {
    struct http_config config;
    struct list conns;
    size_t count; /* of conns */
    bool draining;
    bool closing;                                             /* idle connections are closed too */
    struct wait_timeouts fresh, idle;                         /* before the first request, between two */
    struct wait_timeouts lingering, lingering_last, flooding; /* at the end: silent, the same late, not silent */
} http;

static struct {
    void (*functions[MAX_DRAIN_FUNCTIONS])(void);
    size_t count;
} on_drain;

static struct conn *conn_of(struct permit *permit)
{
    return list_entry(permit, struct conn, client.permit);
}

/* ---- the end ---- */

/* Its descriptor is closed. */
static void conn_forget(struct conn *conn)
{
    list_remove(&conn->all);
    endpoint_local_address_end(conn->client.endpoint, conn->client.server);
    endpoint_leave(conn->client.endpoint);
    share_count(-1);
    if (--http.count == 0 && http.draining)
        wait_stop();
    free(conn);
}

static void conn_close(struct conn *conn)
{
    wait_timeout_stop(&conn->timeout);
    wait_source_end(&conn->client.source);
    conn_forget(conn);
}

static void on_conn_timeout(struct wait_timeout *timeout)
{
    conn_close(list_entry(timeout, struct conn, timeout));
}

/* A client has sent something, or begins to linger: it may be silent for LINGER_SILENCE, if that is not too late. */
static void conn_linger_on(struct conn *conn)
{
    if (conn->linger_end - wait_time() >= LINGER_SILENCE)
        wait_timeout_start(&http.lingering, &conn->timeout);
    else if (list_empty(&conn->timeout.link))
        wait_timeout_start(&http.lingering_last, &conn->timeout);
}

/* Drop what the client still sends, and close the connection when it has closed its side. */
static void conn_drop_input(struct conn *conn)
{
    static char scrap[65536];
    size_t dropped = 0;
    ssize_t n;

    do {
        n = recv(conn->client.source.fd, scrap, sizeof(scrap), MSG_DONTWAIT);
        dropped += n > 0 ? (size_t)n : 0;
    } while ((n > 0 && dropped < LINGER_BYTES) || (n < 0 && errno == EINTR));
    if (n == 0 || (n < 0 && errno != EAGAIN))
        conn_close(conn);
    else if (n > 0)
        wait_timeout_start(&http.flooding, &conn->timeout);
    else if (dropped > 0)
        conn_linger_on(conn);
}

/* There may be more to drop, for which no event comes. */
static void on_linger_pause_over(struct wait_timeout *timeout)
{
    struct conn *conn = list_entry(timeout, struct conn, timeout);

    if (wait_time() >= conn->linger_end) {
        conn_close(conn);
        return;
    }
    conn_linger_on(conn);
    conn_drop_input(conn);
}

/* Closing a socket with unread bytes makes the kernel send a reset, which may destroy our response before the client
 * has read it. So close our side, and read on until the client closes its own, within limits. */
static void conn_linger(struct conn *conn)
{
    if (shutdown(conn->client.source.fd, SHUT_WR) < 0) {
        conn_close(conn);
        return;
    }
    conn->state = CONN_LINGERING;
    conn->linger_end = wait_time() + (http.draining ? LINGER_LAST : LINGER_TIME);
    conn_linger_on(conn);
    conn_drop_input(conn);
}

/* Give an idle connection to the worker that wants some. Returns whether it is gone. */
static bool conn_give(struct conn *conn, bool fresh)
{
    struct share_connection given = {conn->client.endpoint->listener.socket, conn->client.peer_port,
                                     conn->client.proxied, fresh, ""};

    if (!given.socket)
        return false;
    memcpy(given.peer, conn->client.peer, sizeof(given.peer));
    if (!share_give(&given, conn->client.source.fd))
        return false;
    wait_timeout_stop(&conn->timeout);
    wait_source_close(&conn->client.source);
    close(conn->client.source.fd);
    conn_forget(conn);
    return true;
}

static void conn_idle(struct conn *conn)
{
    share_count_served(session_requests());
    if (share_is_wanted && conn_give(conn, false))
        return;
    conn->state = CONN_IDLE;
    wait_timeout_start(&http.idle, &conn->timeout);
}

/* ---- coroutines ---- */

/* Returns whether this coroutine holds a permit, for another connection. */
static bool conn_serve(struct conn *conn)
{
    enum session_end end;
    bool exempt;

    if (conn->client.source.seen & CLOSED)
        permit_abandon(&conn->client.permit);
    end = session_run(&conn->client);
    exempt = conn->client.permit.exempt;
    if (exempt)
        permit_settle(&conn->client.permit);
    conn->computes = coro_has_computed();
    if (end == SESSION_LINGER)
        conn_linger(conn);
    else if (end == SESSION_IDLE && !http.closing)
        conn_idle(conn);
    else
        conn_close(conn);
    return !exempt;
}

/* The coroutine has ended in the middle of a session. */
static void conn_gone(struct client *client)
{
    permit_release(&client->permit);
    permit_settle(&client->permit);
    conn_linger(list_entry(client, struct conn, client));
}

static void conn_coroutine(void *arg)
{
    struct conn *conn = arg;
    struct permit *next;

    while (conn_serve(conn) && (next = permit_next())) {
        conn = conn_of(next);
        conn->state = CONN_ACTIVE;
        coro_current->has_computed = false;
        coro_yield(); /* as a new coroutine would wait for its turn in the run queue */
    }
}

static bool conn_start(struct permit *permit, bool now)
{
    struct conn *conn = conn_of(permit);

    conn->state = CONN_ACTIVE;
    if (conn->computes ? wait_start_computing(conn_coroutine, conn) != NULL
        : now          ? wait_start_now(conn_coroutine, conn)
                       : wait_start(conn_coroutine, conn) != NULL)
        return true;
    conn->state = CONN_QUEUED;
    return false;
}

/* ---- too many ---- */

static void log_rejected(void)
{
    static int64_t last;

    if (wait_time() - last < LOG_INTERVAL)
        return;
    last = wait_time();
    log_warn("503: queue-timeout exceeded while max-concurrency, %zu requests, were running",
             http.config.max_concurrency);
}

/* Answer a request that has queued for too long, unread. A client that has only closed its idle connection gets no
 * answer and no line in the access log. */
static void conn_reject(struct permit *permit)
{
    struct conn *conn = conn_of(permit);
    char byte;
    ssize_t n = recv(conn->client.source.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

    if (n < 0 && errno == EAGAIN && !http.closing) { /* the event was spurious */
        conn_idle(conn);
        return;
    }
    if (n > 0)
        log_rejected();
    if (n > 0 && session_reject(&conn->client))
        conn_linger(conn);
    else
        conn_close(conn);
}

/* Returns the connection that has waited longest in a list, or NULL. */
static struct conn *conn_oldest(const struct wait_timeouts *list)
{
    return list_empty(&list->list) ? NULL : list_entry(list->list.next, struct conn, timeout.link);
}

/* The oldest connection that has sent nothing yet, if it has had time to; or NULL. */
static struct conn *conn_silent(void)
{
    struct conn *conn = conn_oldest(&http.fresh);
    char byte;

    if (!conn || wait_time() - conn->opened < SILENT_TIME)
        return NULL;
    return recv(conn->client.source.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN ? conn : NULL;
}

/* Close the connection whose client will miss it least. Returns whether there is one. */
static bool conn_make_room(void)
{
    struct conn *conn = conn_oldest(&http.idle);

    if (!conn)
        conn = conn_silent();
    if (!conn)
        conn = conn_oldest(&http.lingering);
    if (!conn)
        return false;
    conn_close(conn);
    return true;
}

/* With max-connections open, close one that nobody waits for; only if that is sure to be needed. */
static bool conn_may_accept(bool sure)
{
    return http.count < http.config.max_connections || (sure && conn_make_room());
}

/* ---- the beginning ---- */

/* Have its request served, now or later. */
static void conn_ask(struct conn *conn)
{
    bool exempt = http.config.urgent && admission_is_full();

    if (!exempt || !permit_start_exempt(&conn->client.permit))
        permit_request(&conn->client.permit);
}

/* The same, and note when it came. One that is served at once begins then. */
static void conn_ask_timed(struct conn *conn)
{
    conn->client.arrived = coro_starts_at = wait_now();
    conn_ask(conn);
    coro_starts_at = 0;
}

/* The client does not wait for its request any more: it may go on, but keeps nobody else from running. */
static void conn_abandoned(struct conn *conn)
{
    permit_abandon(&conn->client.permit);
    cancel_gone(conn->client.req);
}

static void on_conn_ready(struct wait_source *source, short events)
{
    struct conn *conn = list_entry(source, struct conn, client.source);

    if (!(events & (POLLIN | CLOSED)))
        return; /* only writable */
    switch (conn->state) {
    case CONN_IDLE:
        wait_timeout_stop(&conn->timeout);
        conn->state = CONN_QUEUED;
        if (http.config.hooks.ended)
            conn_ask_timed(conn);
        else
            conn_ask(conn);
        break;
    case CONN_LINGERING:
        conn_drop_input(conn);
        break;
    case CONN_ACTIVE: /* its coroutine looks at source->seen when it wants more */
        if (conn->client.req && events & CLOSED)
            conn_abandoned(conn);
        break;
    case CONN_QUEUED:
        break;
    }
}

static struct conn *conn_new(struct endpoint *endpoint, int fd)
{
    struct conn *conn = xcalloc(1, sizeof(*conn));

    endpoint->users++;
    conn->client.endpoint = endpoint;
    conn->client.server = endpoint_local_address(endpoint, fd);
    conn->client.proxied = endpoint->proxied;
    conn->client.source = (struct wait_source){.ready = on_conn_ready, .fd = fd};
    permit_init(&conn->client.permit);
    list_init(&conn->timeout.link);
    conn->opened = wait_time();
    list_push(&http.conns, &conn->all);
    http.count++;
    share_count(+1);
    return conn;
}

/* Begin to wait for a request, with this timeout. */
static void conn_watch(struct conn *conn, struct wait_timeouts *timeouts)
{
    int err;

    wait_timeout_start(timeouts, &conn->timeout);
    err = wait_source_open(&conn->client.source);
    if (err) {
        log_error("cannot watch a connection from %s: %s", conn->client.peer, strerror(-err));
        conn_close(conn);
    }
}

void conn_open(struct endpoint *endpoint, int fd, const struct sockaddr *peer)
{
    struct conn *conn = conn_new(endpoint, fd);

    client_set_peer(&conn->client, peer);
    conn_watch(conn, &http.fresh);
}

static void conn_accepted(struct listener *listener, int fd, const struct sockaddr *peer)
{
    conn_open(list_entry(listener, struct endpoint, listener), fd, peer);
}

const struct listener_handler conn_handler = {conn_may_accept, conn_make_room, conn_accepted};

/* ---- sharing them with other workers ---- */

/* Take over an idle connection of another worker. Bytes that have come meanwhile are in its socket. */
static void conn_take(const struct share_connection *taken, int fd)
{
    struct listener *listener = listener_find(taken->socket);
    union address peer = {.any.sa_family = AF_UNIX};
    struct conn *conn;

    if (!listener || http.closing) {
        close(fd);
        return;
    }
    if (*taken->peer)
        address_set(&peer, strchr(taken->peer, ':') ? AF_INET6 : AF_INET, taken->peer, taken->peer_port);
    conn = conn_new(list_entry(listener, struct endpoint, listener), fd);
    client_set_peer(&conn->client, &peer.any);
    conn->client.proxied = taken->proxied;
    conn_watch(conn, taken->fresh ? &http.fresh : &http.idle);
}

/* Give away those that have been idle longest: those that are used are shared by requests. */
static void conns_give(void)
{
    struct wait_timeouts *lists[] = {&http.fresh, &http.idle};

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        while (share_is_wanted && !list_empty(&lists[i]->list)) {
            struct list *first = lists[i]->list.next;

            if (!conn_give(list_entry(list_entry(first, struct wait_timeout, link), struct conn, timeout), i == 0))
                break;
        }
}

static const struct share_handler conn_sharing = {listeners_look, conns_give, conn_take};

void http_share(uint64_t kind)
{
    share_join(kind, &conn_sharing);
}

/* ---- all of them ---- */

/* In a forked child, where connections are closed. */
static void http_forget(void)
{
    list_init(&http.conns);
    http.count = 0;
    http.draining = http.closing = false;
    admission_forget();
    share_forget();
}

void http_init(const struct http_config *config)
{
    http.config = *config;
    list_init(&http.conns);
    wait_timeouts_init(&http.fresh, config->header_timeout, on_conn_timeout);
    wait_timeouts_init(&http.idle, config->keepalive_timeout, on_conn_timeout);
    wait_timeouts_init(&http.lingering, LINGER_SILENCE, on_conn_timeout);
    wait_timeouts_init(&http.lingering_last, LINGER_LAST, on_conn_timeout);
    wait_timeouts_init(&http.flooding, LINGER_PAUSE, on_linger_pause_over);
    admission_init(&(struct admission_config){config->max_concurrency, config->queue_timeout, conn_start, conn_reject});
    session_init(&http.config, conn_gone);
    cancel_init(config->hooks.endless);
    request_init_ids();
    wait_on_child(http_forget);
}

void http_set_urgent(void)
{
    http.config.urgent = true;
}

bool http_is_ready(void)
{
    return http.config.handle != NULL;
}

void http_close_idle(const struct endpoint *endpoint)
{
    struct list *node, *after;

    list_for_each_safe (node, after, &http.conns) {
        struct conn *conn = list_entry(node, struct conn, all);

        if (conn->state == CONN_IDLE && (!endpoint || conn->client.endpoint == endpoint))
            conn_close(conn);
    }
}

static void on_idle_grace_over(void)
{
    http.closing = true;
    http_close_idle(NULL);
}

/* The server stops. */
static void conn_drain(struct conn *conn)
{
    struct request *req = conn->client.req;

    if (req)
        req->keep_alive = false; /* its head says so, if that is not sent yet */
    if (conn->state != CONN_LINGERING)
        return;
    conn->linger_end = min_int64(conn->linger_end, wait_time() + LINGER_LAST);
    wait_timeout_start(&http.lingering_last, &conn->timeout);
}

int http_on_drain(void (*fn)(void))
{
    if (on_drain.count == ARRAY_SIZE(on_drain.functions))
        return -ENOSPC;
    on_drain.functions[on_drain.count++] = fn;
    if (http.draining)
        fn();
    return 0;
}

void http_drain(int64_t idle_grace)
{
    struct list *node;

    http.draining = true;
    session_drain();
    for (size_t i = 0; i < on_drain.count; i++)
        on_drain.functions[i]();
    list_for_each (node, &http.conns)
        conn_drain(list_entry(node, struct conn, all));
    if (idle_grace > 0)
        wait_after(idle_grace, on_idle_grace_over);
    else
        on_idle_grace_over();
    if (http.count == 0)
        wait_stop();
    else
        wait_hold(+1); /* conn_close stops the event loop with the last connection */
}

void http_cut(void)
{
    struct list *node;

    list_for_each (node, &http.conns)
        shutdown(list_entry(node, struct conn, all)->client.source.fd, SHUT_RDWR);
}

size_t http_served(void)
{
    return session_requests();
}

size_t http_connections(void)
{
    return http.count;
}
