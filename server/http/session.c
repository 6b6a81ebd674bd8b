/*
 * session.c: what a coroutine does for a connection: read, serve and answer request after request.
 *
 * Everything that a request needs lies on the coroutine's stack, such that what a small one touches lies together. A
 * connection that sends without pause is put behind the others after a number of requests, and one whose head comes
 * slowly gives up its permit meanwhile: only requests that run count against max-concurrency.
 */
#include "http/conn.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "http/request/body.h"
#include "http/request/head.h"
#include "http/io/input.h"
#include "http/io/output.h"
#include "http/proxy/proxy.h"
#include "http/response/response.h"
#include "log/log.h"

#define FIRST_BUFFER 2048 /* bytes of input buffer on the stack: most heads fit */
#define ARENA_SPACE  1024 /* the same for the request's memory */
#define BURST        32   /* requests of one connection before those in the queue go first */

struct session {
    struct conn *conn;
    bool cut;         /* the client may still be sending what nobody will read */
    int64_t head_due; /* nanoseconds, when the head must be there; 0 while nobody waits for it */
    struct output out;
    struct input in;
    struct request req;
    char arena_space[ARENA_SPACE];
    char buffer[FIRST_BUFFER];
};

static const struct http_config *config;
static int output_key;

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
        .mount = s->conn->listener->mount,
        .view =
            {
                .scheme = s->conn->listener->scheme,
                .method = "",
                .target = "",
                .peer = s->conn->peer,
                .peer_port = s->conn->peer_port,
                .server = s->conn->listener->address,
                .server_port = s->conn->listener->port,
            },
    };
    arena_init_with(&req->arena, s->arena_space, sizeof(s->arena_space));
    if (config->ended)
        note_begin(req, s->conn);
}

/* The end of every request, also of one that was refused; its view is still there. */
static void request_end(struct request *req)
{
    if (config->ended)
        config->ended(req);
    arena_release(&req->arena);
}

static void answer_busy(struct request *req)
{
    response_header(req, "Retry-After", 11, "1", 1);
    response_reply(req, 503, NULL, "", 0);
}

/* Answer a message that cannot be served, and close. */
static void refuse(struct session *s, int status, const char *why)
{
    log_info("refused a request from %s with %d: %s", s->conn->peer, status, why);
    s->cut = true;
    s->req.keep_alive = false;
    if (status == 503)
        answer_busy(&s->req);
    else
        response_page(&s->req, status);
}

/* OPTIONS * asks about the server itself, RFC 9110 section 9.3.7. */
static void answer_asterisk(struct request *req)
{
    response_header(req, "Allow", 5, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", 44);
    response_reply(req, 200, NULL, "", 0);
}

/* Whether a handler has failed because its client left, or stood still: that is not its fault. */
static bool is_client_gone(const struct request *req, int err)
{
    return (err == req->out->error || err == req->body_error) &&
           (err == -EPIPE || err == -ECONNRESET || err == -ETIMEDOUT || err == -EBADF);
}

/* The page for what a handler returned. An error is the client's fault if reading the body gave it. */
static int status_for(const struct request *req, int result)
{
    if (result > 0)
        return result >= 300 && result <= 599 ? result : 500;
    if (!req->body_error || (result != -EBADMSG && result != -EFBIG && result != -ETIMEDOUT))
        return 500;
    return req->body_error == -EFBIG ? 413 : req->body_error == -ETIMEDOUT ? 408 : 400;
}

/* The handler's result is no success: say so to the log, and to the client if it is not too late for that. Returns
 * whether there is an answer to be completed. */
static bool fail(struct request *req, int result)
{
    int status = status_for(req, result);

    if (result > 0 && result != status)
        request_log(req, LOG_LEVEL_ERROR, "the handler returned %d: only 0, 300 to 599 and -errno mean something",
                    result);
    else if (result < 0 && status == 500 && !is_client_gone(req, result))
        request_log(req, LOG_LEVEL_ERROR, "the handler failed: %s", strerror(-result));
    if (!req->head_sent)
        return response_page(req, status) == 0;
    if (result > 0)
        req->status = status; /* for the access log */
    return false;
}

/* Complete the response after the handler's result. */
static void finish(struct session *s, int result)
{
    struct request *req = &s->req;

    if (result != 0 && !fail(req, result)) {
        req->keep_alive = false;
        return;
    }
    result = response_finish(req);
    if (result == -EPROTO)
        request_log(req, LOG_LEVEL_ERROR, "the response ended after %lld of %lld bytes", (long long)req->sent,
                    (long long)req->length);
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
    if (!status && s->conn->trusted)
        forwarded_apply(config->proxies, req);
    req->keep_alive &= !http_is_draining() && !req->conn->listener->closed;
    http_count_request();
    s->conn->req = req;
    coro_self()->what = status ? "a malformed request" : head;
    if (status)
        refuse(s, status, why);
    else if (*req->view.path == '*')
        answer_asterisk(req);
    else
        finish(s, config->handle(req));
    if (req->keep_alive && !req->body_done)
        req->keep_alive = body_discard(req);
    s->cut |= !req->body_done;
    coro_self()->what = NULL;
    s->conn->req = NULL;
    request_end(req);
    return req->keep_alive;
}

/* ---- one connection ---- */

/* The status to refuse a head with, of which there is in->end - in->start so far: 400 for bytes that no head can hold,
 * 414 and 431 for what is too long. */
static int judge_half(const struct input *in, const struct head_scan *scan, size_t from, const char **why)
{
    size_t size = input_unread(in);

    *why = "this is not HTTP";
    if (!head_is_plausible(in->buf + in->start, size, from))
        return 400;
    *why = "the request line is longer than max-request-line";
    if (scan->lines == 0 && size > config->max_request_line)
        return 414;
    *why = "the head is larger than max-header-size";
    return size >= config->max_header_size ? 431 : 0;
}

/* The same of a whole one of size bytes. */
static int judge_size(const struct head_scan *scan, size_t size, const char **why)
{
    *why = "the request line is longer than max-request-line";
    if (scan->line_size > config->max_request_line)
        return 414;
    *why = "the head is larger than max-header-size";
    if (size > config->max_header_size)
        return 431;
    *why = "the head has more fields than max-headers";
    return scan->lines > config->max_headers + 2 ? 431 : 0;
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

/* Answer what is no request yet, and never will be. */
static void refuse_early(struct session *s, int status, const char *why)
{
    request_init(s);
    s->req.view.http_minor = 1;
    refuse(s, status, why);
    request_end(&s->req);
}

/* Wait for the rest of a head, without a permit. */
static int await_rest(struct session *s)
{
    int64_t timeout = config->header_timeout;
    int err;

    if (!s->head_due)
        s->head_due = timeout ? wait_deadline(timeout * 1000000) : WAIT_FOREVER;
    permit_release();
    err = input_wait(&s->in, s->head_due);
    if (permit_await(&s->conn->permit) == -ETIMEDOUT)
        refuse_early(s, 503, "it has waited for longer than queue-timeout");
    else if (err == -ETIMEDOUT)
        refuse_early(s, 408, "the head has taken longer than header-timeout");
    else
        return err;
    return -ECONNABORTED;
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
            input_grow(&s->in, s->in.size < ARENA_BLOCK ? ARENA_BLOCK : config->max_header_size);
            continue;
        }
        if (n != -EAGAIN)
            return n == 0 ? -ECONNRESET : (int)n;
        err = output_flush(&s->out); /* may park, so look again */
        if (!err && !begun && input_is_drained(&s->in))
            return 0;
        if (!err && input_is_drained(&s->in))
            err = await_rest(s);
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

    s->head_due = 0;
    for (;;) {
        size_t from, size;
        int status, more;

        if (!skipped)
            skipped = skip_empty_line(in, scan);
        from = scan->at;
        size = head_find(in->buf + in->start, input_unread(in), scan);
        status = size ? judge_size(scan, size, &why) : judge_half(in, scan, from, &why);
        if (status) {
            refuse_early(s, status, why);
            return -EBADMSG;
        }
        if (size)
            return (ssize_t)size;
        more = more_input(s);
        if (more <= 0)
            return more;
    }
}

/* Who may send a PROXY header: a trusted proxy; where there is none, everybody who reaches the socket. */
static bool may_proxy(const struct conn *conn)
{
    const struct proxies *proxies = config->proxies;

    return conn->trusted || !proxies || (proxies->count == 0 && !proxies->local);
}

/* Have the PROXY header that the connection begins with: 1, 0 when nothing has come yet, or -errno. */
static int await_proxy(struct session *s)
{
    struct proxy_header header;
    ssize_t size;
    int more;

    s->head_due = 0;
    while (!(size = proxy_parse(&header, s->in.buf + s->in.start, input_unread(&s->in)))) {
        more = more_input(s);
        if (more <= 0)
            return more;
    }
    if (size < 0 || !may_proxy(s->conn)) {
        log_warn("closed a connection from %s: %s", s->conn->peer,
                 size < 0 ? "it does not begin with a good PROXY header" : "trusted-proxies does not hold this proxy");
        s->in.start = s->in.end;
        return -EBADMSG;
    }
    s->in.start += (size_t)size;
    s->conn->proxied = false;
    if (header.peer.any.sa_family != AF_UNSPEC)
        conn_set_peer(s->conn, &header.peer.any);
    return 1;
}

/* Let the requests in the queue go first. Returns whether the permit came back in time. */
static bool yield_permit(struct session *s)
{
    output_flush(&s->out);
    if (permit_yield(&s->conn->permit) == 0)
        return true;
    refuse_early(s, 503, "it has waited for longer than queue-timeout");
    return false;
}

/* Serve until there is nothing to serve. Returns whether the connection stays open. */
static bool serve_all(struct session *s)
{
    int more = s->conn->proxied ? await_proxy(s) : 1;

    if (more <= 0)
        return more == 0;
    for (int served = 1;; served++) {
        struct head_scan scan = {0};
        ssize_t size = await_head(s, &scan);

        if (size <= 0)
            return size == 0;
        if (!serve_request(s, (size_t)size, scan.lines))
            return false;
        if (served % BURST == 0 && !yield_permit(s))
            return false;
    }
}

static void session_begin(struct session *s, struct conn *conn)
{
    s->conn = conn;
    s->cut = false;
    output_init(&s->out, &conn->source);
    s->out.timeout = config->write_timeout * 1000000;
    input_init(&s->in, &conn->source, s->buffer, sizeof(s->buffer));
    s->in.timeout = config->body_timeout * 1000000;
    coro_self()->local[output_key] = &s->out;
}

static void session_end(struct session *s)
{
    coro_self()->local[output_key] = NULL;
    output_release(&s->out);
    input_release(&s->in);
}

/* What the client does not take is not to lie in the kernel for minutes after the close. */
static void forget_unsent(const struct conn *conn)
{
    static const struct linger at_once = {.l_onoff = 1};

    setsockopt(conn->source.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void session_serve(struct conn *conn)
{
    struct session s;
    bool open, linger;

    session_begin(&s, conn);
    open = serve_all(&s) && !http_is_closing();
    if (!open)
        output_flush(&s.out);
    if (s.out.error == -ETIMEDOUT)
        forget_unsent(conn);
    linger = !s.out.error && !s.in.ended && (s.cut || input_unread(&s.in) > 0 || !input_is_drained(&s.in));
    session_end(&s);
    if (open)
        conn_idle(conn);
    else if (linger)
        conn_linger(conn);
    else
        conn_close(conn);
}

bool session_reject(struct conn *conn)
{
    struct session s = {.conn = conn};
    bool sent;

    output_init(&s.out, &conn->source);
    input_init(&s.in, &conn->source, s.buffer, sizeof(s.buffer));
    request_init(&s);
    s.req.view.http_minor = 1;
    answer_busy(&s.req); /* which is gathered only: nothing here may wait */
    output_try_flush(&s.out);
    sent = s.out.start == s.out.end;
    request_end(&s.req);
    output_release(&s.out);
    return sent;
}

static void flush_at_park(void *value)
{
    output_try_flush(value);
}

void session_init(const struct http_config *c)
{
    static const struct coro_local hooks = {.park = flush_at_park};

    config = c;
    output_key = coro_local_create(&hooks);
}
