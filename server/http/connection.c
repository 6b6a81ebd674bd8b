/*
 * connection.c: connections, and the coroutines that serve them.
 *
 * A connection between two requests is a small record in the epoll set and nothing else. When bytes arrive it takes a
 * coroutine from the pool, which reads, serves and answers request after request as long as there are bytes, and goes
 * back to the pool when there are none. A connection that sends without pause is put behind the others after a number
 * of requests. Not more than max_concurrency coroutines serve at once; who comes then waits in a queue.
 */
#include "http/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "http/body.h"
#include "http/head.h"
#include "http/input.h"
#include "http/output.h"
#include "http/response.h"
#include "log.h"

#define FIRST_BUFFER 2048 /* bytes of input buffer on the stack: most heads fit */
#define ARENA_SPACE  1024 /* the same for the request's memory */
#define MAX_HEAD     32768
#define BURST        32                  /* requests of one connection before others get their turn */
#define LINGER_TIME  INT64_C(2000000000) /* nanoseconds a refused client may go on sending */
#define RETRY_EVERY  1000                /* milliseconds */
#define LINGER_BYTES (1024 * 1024)

struct conn {
    struct wait_source source; /* first */
    struct list all;           /* in http.conns */
    struct list turn;          /* in http.waiting */
    const struct listener *listener;
    struct request *req;  /* being served; NULL between requests */
    struct coro *waiting; /* the coroutine that waits for its turn; NULL: a new one is to be started */
    bool active;          /* a coroutine serves it, or it is in http.waiting */
    int64_t arrived;      /* ns when bytes woke it, if http_config.ended is set; 0: none did */
    uint16_t peer_port;
    char peer[];
};

/* What a coroutine has on its stack while it serves. Laid out such that what a small request touches lies together. */
struct session {
    struct conn *conn;
    bool cut; /* the client may still be sending what nobody will read */
    struct output out;
    struct input in;
    struct request req;
    char arena_space[ARENA_SPACE];
    char buffer[FIRST_BUFFER];
};

static struct {
    struct http_config config;
    struct list conns;
    struct list waiting; /* for their turn, by turn */
    size_t conn_count, active;
    bool draining;
    int output_key;
} http;

/* ---- turns: at most max_concurrency at once ---- */

static void serve(void *arg);

/* Who waits longest, or NULL. */
static struct conn *first_waiting(void)
{
    return list_empty(&http.waiting) ? NULL : list_entry(http.waiting.next, struct conn, turn);
}

/* Give a turn to a connection that waits: to its coroutine, or a new one. Returns false, and it goes on waiting, if
 * there can be no further stack. */
static bool give_turn(struct conn *conn)
{
    if (conn->waiting)
        coro_wake(conn->waiting, 0);
    else if (!coro_start(serve, conn))
        return false;
    conn->waiting = NULL;
    list_remove(&conn->turn);
    return true;
}

/* Give out the turns that are free. Once a second too: there may be stacks again for those that could get none. */
static void give_turns(void)
{
    struct conn *next;

    while (http.active < http.config.max_concurrency && (next = first_waiting()) && give_turn(next))
        http.active++;
}

/* Let others have a turn, and come back after them. */
static void pass_turn(struct conn *conn)
{
    struct conn *next;

    if (list_empty(&http.waiting))
        coro_yield(); /* meanwhile somebody may come to wait */
    next = first_waiting();
    if (!next)
        return;
    if (!give_turn(next)) {
        coro_yield();
        return;
    }
    list_push(&http.waiting, &conn->turn);
    conn->waiting = coro_self();
    coro_park();
}

/* The end of a turn. Returns a connection that this coroutine is to serve in its place: at the end of stacks there
 * could be no new one for it. */
static struct conn *end_turn(void)
{
    struct conn *next = first_waiting();

    if (next && !next->waiting) {
        list_remove(&next->turn);
        return next;
    }
    http.active--;
    give_turns();
    return NULL;
}

/* Serve a connection right now, if a turn is free and nobody waits for one. */
static bool serve_now(struct conn *conn)
{
    if (http.active >= http.config.max_concurrency || !list_empty(&http.waiting))
        return false;
    http.active++;
    if (coro_run(serve, conn))
        return true;
    http.active--;
    return false;
}

static void on_ready(struct wait_source *source, short events)
{
    struct conn *conn = (struct conn *)source;

    if (conn->active || !(events & (POLLIN | POLLRDHUP | POLLHUP | POLLERR)))
        return; /* its coroutine sees source->seen when it wants more; that it is writable is no news */
    conn->active = true;
    if (http.config.ended)
        conn->arrived = wait_now();
    if (serve_now(conn))
        return;
    list_push(&http.waiting, &conn->turn);
    give_turns();
}

/* ---- opening and closing ---- */

void conn_open(const struct listener *listener, int fd, const struct sockaddr *peer)
{
    char text[128];
    uint16_t port;
    struct conn *conn;
    int err;

    address_text(peer, text, sizeof(text), &port);
    conn = xcalloc(1, sizeof(*conn) + strlen(text) + 1);
    strcpy(conn->peer, text);
    conn->peer_port = port;
    conn->listener = listener;
    conn->source = (struct wait_source){.ready = on_ready, .fd = fd};
    list_init(&conn->turn);
    list_push(&http.conns, &conn->all);
    http.conn_count++;
    err = wait_source_open(&conn->source);
    if (err) {
        log_error("cannot watch a connection from %s: %s", conn->peer, strerror(-err));
        list_remove(&conn->all);
        http.conn_count--;
        close(fd);
        free(conn);
    }
}

static void conn_close(struct conn *conn)
{
    wait_source_close(&conn->source);
    close(conn->source.fd);
    list_remove(&conn->all);
    if (--http.conn_count == 0 && http.draining)
        wait_stop();
    free(conn);
}

/* Closing with unread bytes makes the kernel send a reset, which may destroy our answer before the client has read it.
 * So say that we are done, and read on until the client is too, within bounds. */
static void linger(struct session *s)
{
    int64_t deadline = wait_deadline(LINGER_TIME);
    size_t total = 0;

    if (s->out.error || shutdown(s->conn->source.fd, SHUT_WR) < 0)
        return;
    while (total < LINGER_BYTES) {
        ssize_t n = input_recv(&s->in, s->buffer, sizeof(s->buffer)); /* what it held is of no use any more */

        if (n > 0)
            total += (size_t)n;
        else if (n != -EAGAIN || input_wait(&s->in, deadline) < 0)
            return;
    }
}

/* ---- one request ---- */

/* Take the times that nobody would miss without an access log. */
static void note_begin(struct request *req, struct conn *conn)
{
    req->began = wait_now();
    req->queued = conn->arrived ? req->began - conn->arrived : 0;
    req->busy = coro_busy();
    conn->arrived = 0;
}

static void request_init(struct session *s)
{
    struct request *req = &s->req;

    *req = (struct request){
        .conn = s->conn,
        .in = &s->in,
        .out = &s->out,
        .status = 200,
        .length = -1,
        .facts =
            {
                .scheme = "http",
                .method = "",
                .target = "",
                .peer = s->conn->peer,
                .peer_port = s->conn->peer_port,
                .server = s->conn->listener->address,
                .server_port = s->conn->listener->port,
            },
    };
    arena_init_with(&req->arena, s->arena_space, sizeof(s->arena_space));
    if (http.config.ended)
        note_begin(req, s->conn);
}

static void request_end(struct request *req)
{
    if (http.config.ended)
        http.config.ended(req);
    arena_release(&req->arena);
}

/* Answer a message that cannot be served, and close. */
static void refuse(struct session *s, int status, const char *why)
{
    log_info("refused a request from %s with %d: %s", s->conn->peer, status, why);
    s->cut = true;
    s->req.keep_alive = false;
    response_page(&s->req, status);
}

/* OPTIONS * asks about the server itself, RFC 9110 section 9.3.7. */
static void answer_asterisk(struct request *req)
{
    response_header(req, "Allow", 5, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", 44);
    response_reply(req, 200, NULL, "", 0);
}

static bool is_client_gone(int err)
{
    return err == -EPIPE || err == -ECONNRESET || err == -ETIMEDOUT || err == -EBADF;
}

/* The page for what a handler returned. An error is the client's fault if reading the body gave it. */
static int status_for(const struct request *req, int result)
{
    if (result > 0)
        return result;
    if (!req->body_error || (result != -EBADMSG && result != -EFBIG))
        return 500;
    return req->body_error == -EFBIG ? 413 : 400;
}

/* Complete the response after the handler's result. */
static void finish(struct session *s, int result)
{
    struct request *req = &s->req;

    if (status_for(req, result) == 500 && result < 0 && !is_client_gone(result))
        log_error("%s %s: the handler failed: %s", req->facts.method, req->facts.target, strerror(-result));
    if (result != 0 && req->head_sent) { /* too late for an answer: cut it */
        req->keep_alive = false;
        return;
    }
    if (result != 0)
        result = response_page(req, status_for(req, result));
    if (result == 0)
        result = response_finish(req);
    if (result == -EPROTO)
        log_error("%s %s: the response ended after %lld of %lld bytes", req->facts.method, req->facts.target,
                  (long long)req->sent, (long long)req->length);
    if (result != 0)
        req->keep_alive = false;
}

/* Serve the request whose head is the next size bytes of input. Returns whether there may be another. */
static bool serve_request(struct session *s, size_t size, unsigned lines)
{
    struct request *req = &s->req;
    char *head = s->in.buf + s->in.start;
    const char *why;
    int status;

    request_init(s);
    s->in.start += size;
    status = head_parse(req, head, size, lines, &why);
    req->keep_alive &= !http.draining;
    s->conn->req = req;
    coro_self()->what = status ? "a malformed request" : head;
    if (status)
        refuse(s, status, why);
    else if (*req->facts.path == '*')
        answer_asterisk(req);
    else
        finish(s, http.config.handle(req));
    if (req->keep_alive && !req->body_done)
        req->keep_alive = body_discard(req);
    s->cut |= !req->body_done;
    coro_self()->what = NULL;
    s->conn->req = NULL;
    request_end(req);
    return req->keep_alive;
}

/* ---- one connection ---- */

/* A half head: 400 for bytes that no head can hold, 431 for one that is too long. */
static int judge_half(const struct input *in, size_t from, const char **why)
{
    *why = "the request's head is too large";
    if (input_unread(in) >= MAX_HEAD)
        return 431;
    *why = "this is not HTTP";
    return head_is_plausible(in->buf + in->start, input_unread(in), from) ? 0 : 400;
}

/* An empty line before a request is skipped, RFC 9112 section 2.2; one, or a client could keep us busy for nothing. */
static bool skip_empty_line(struct input *in, struct head_scan *scan)
{
    if (input_unread(in) < 2 || memcmp(in->buf + in->start, "\r\n", 2))
        return false;
    in->start += 2;
    *scan = (struct head_scan){0};
    return true;
}

/* Get more input while a head is incomplete. Returns 1 when there is more, 0 when the connection is idle, or -errno. */
static int more_input(struct session *s)
{
    for (;;) {
        bool begun = input_unread(&s->in) > 0;
        ssize_t n = -EAGAIN;
        int err;

        if (!input_is_drained(&s->in))
            n = input_fill(&s->in);
        if (n > 0)
            return 1;
        if (n == -ENOBUFS) {
            input_grow(&s->in, s->in.size < ARENA_BLOCK ? ARENA_BLOCK : MAX_HEAD);
            continue;
        }
        if (n != -EAGAIN)
            return n == 0 ? -ECONNRESET : (int)n;
        err = output_flush(&s->out); /* may park, so look again */
        if (!err && !begun && input_is_drained(&s->in))
            return 0;
        if (!err && input_is_drained(&s->in))
            err = input_wait(&s->in, WAIT_FOREVER);
        if (err)
            return err;
    }
}

/* Have a whole head in the input: its size; 0 when the connection is idle; -errno when it is over. */
static ssize_t await_head(struct session *s, struct head_scan *scan)
{
    struct input *in = &s->in;
    bool skipped = false;
    const char *why;

    for (;;) {
        size_t from, size;
        int status, more;

        if (!skipped)
            skipped = skip_empty_line(in, scan);
        from = scan->at;
        size = head_find(in->buf + in->start, input_unread(in), scan);
        if (size > 0)
            return (ssize_t)size;
        status = judge_half(in, from, &why);
        if (status) {
            request_init(s);
            s->req.facts.http_minor = 1;
            refuse(s, status, why);
            request_end(&s->req);
            return -EBADMSG;
        }
        more = more_input(s);
        if (more <= 0)
            return more;
    }
}

/* Serve until there is nothing to serve. Returns whether the connection stays open. */
static bool serve_all(struct session *s)
{
    for (int served = 1;; served++) {
        struct head_scan scan = {0};
        ssize_t size = await_head(s, &scan);

        if (size <= 0)
            return size == 0;
        if (!serve_request(s, (size_t)size, scan.lines))
            return false;
        if (served % BURST == 0) {
            output_flush(&s->out);
            pass_turn(s->conn);
        }
    }
}

static void serve_connection(struct conn *conn)
{
    struct session s;

    s.conn = conn;
    s.cut = false;
    output_init(&s.out, &conn->source);
    input_init(&s.in, &conn->source, s.buffer, sizeof(s.buffer));
    coro_self()->local[http.output_key] = &s.out;
    if (serve_all(&s) && !http.draining) {
        conn->active = false;
    } else {
        output_flush(&s.out);
        if (s.cut || input_unread(&s.in) > 0 || !input_is_drained(&s.in))
            linger(&s);
        conn_close(conn);
    }
    coro_self()->local[http.output_key] = NULL;
    output_release(&s.out);
    input_release(&s.in);
}

static void serve(void *arg)
{
    struct conn *conn = arg;

    serve_connection(conn);
    while ((conn = end_turn())) {
        coro_yield(); /* as if it had begun anew */
        serve_connection(conn);
    }
}

/* ---- the whole ---- */

static void flush_at_park(void *value)
{
    output_try_flush(value);
}

void http_init(const struct http_config *config)
{
    static const struct coro_local hooks = {.park = flush_at_park};

    http.config = *config;
    list_init(&http.conns);
    list_init(&http.waiting);
    http.output_key = coro_local_create(&hooks);
    wait_every(RETRY_EVERY, give_turns);
}

void http_drain(void)
{
    struct list *node, *next;

    http.draining = true;
    for (node = http.conns.next; node != &http.conns; node = next) {
        struct conn *conn = list_entry(node, struct conn, all);

        next = node->next;
        if (!conn->active)
            conn_close(conn);
        else if (conn->req)
            conn->req->keep_alive = false; /* and if its head is not sent yet, that says so */
    }
    if (http.conn_count == 0)
        wait_stop();
}

void http_cut(void)
{
    for (struct list *node = http.conns.next; node != &http.conns; node = node->next)
        shutdown(list_entry(node, struct conn, all)->source.fd, SHUT_RDWR);
}

size_t http_connections(void)
{
    return http.conn_count;
}
