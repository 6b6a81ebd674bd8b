/*
 * session.c: what a coroutine does for a connection: read requests, have them handled, answer them.
 *
 * Everything a request needs lies on the coroutine's stack, in an order by which a small request touches few pages. A
 * connection that sends without a pause lets the requests in the queue go first after BURST of its own, and one whose
 * head arrives slowly gives up its permit meanwhile: only requests that run count against max-concurrency.
 */
#include "http/session.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "coro/recorder.h"
#include "http/io/input.h"
#include "http/io/output.h"
#include "http/proxy/forwarded.h"
#include "http/proxy/proxy.h"
#include "http/request/body.h"
#include "http/request/head.h"
#include "http/request/line.h"
#include "http/response/response.h"
#include "http/response/status.h"
#include "log/log.h"
#include "syncless/runtime.h"
#include "wait/reason.h"

#define FIRST_BUFFER 1576  /* bytes of input buffer on the stack: most heads fit */
#define ARENA_SPACE  1024  /* bytes of the request's memory on the stack */
#define BURST        32    /* requests of one connection before those in the queue go first */
#define MUST_END     10000 /* milliseconds after its deadline in which a request that blocks the worker has to end */

struct session {
    struct client *client;
    bool cut;            /* the client may still be sending what will not be read */
    int64_t head_due;    /* ns, deadline of the head; 0 while nothing waits for one */
    int64_t head_waited; /* ns for which it was waited for, from then on */
    struct output out;
    struct input in;
    struct request req;
    char arena_space[ARENA_SPACE];
    char buffer[FIRST_BUFFER];
};

/* What came of waiting for input. */
enum arrival {
    ARRIVED,
    IDLE, /* no byte of a request has come */
    OVER, /* the connection has nothing more to be served; the client has had its answer */
};

static const struct http_config *config;
static void (*session_gone)(struct client *client); /* ends the connection, and gives its permit back */
static bool draining;
static size_t request_count;
static int output_key; /* of the coroutine-local value by which a park flushes the output */

/* ---- one request ---- */

/* Record timings, which the hooks read. */
static void record_timings(struct request *req, struct client *client, size_t size)
{
    const struct coro *co = coro_current;

    req->received = size;
    if (co && client->arrived && coro_clocked) { /* it has got the OS thread for this request: that was just now */
        req->began = co->since;
        req->busy = co->busy;
    } else {
        req->began = wait_now();
        req->busy = co ? coro_busy() : 0;
    }
    req->queued = client->arrived ? req->began - client->arrived : 0;
    reason_clear();
    client->arrived = 0;
}

/* size: of its head, bytes; 0: unknown. */
static void request_begin(struct session *s, size_t size)
{
    struct client *client = s->client;
    struct request *req = &s->req;

    *req = (struct request){
        .in = &s->in,
        .out = &s->out,
        .status = 200,
        .length = -1,
        .mount = client->endpoint->mount,
        .view =
            {
                .scheme = client->endpoint->scheme,
                .method = "",
                .target = "",
                .peer = client->peer,
                .peer_port = client->peer_port,
                .server = client->server,
                .server_port = client->endpoint->port,
            },
    };
    arena_init_with(&req->arena, s->arena_space, sizeof(s->arena_space));
    if (config->hooks.ended)
        record_timings(req, client, size);
}

/* The end of every request, also of one that was refused. */
static void request_end(struct request *req)
{
    if (config->hooks.ended)
        config->hooks.ended(req);
    arena_release(&req->arena);
}

static void answer_busy(struct request *req)
{
    response_header(req, "Retry-After", 11, "1", 1);
    response_reply(req, 503, NULL, "", 0);
}

static const char *peer_name(const struct client *client)
{
    return *client->peer ? client->peer : "a Unix socket";
}

/* Answer a request that cannot be served, and close the connection. */
static void refuse_request(struct session *s, int status, const char *why)
{
    log_info("refused a request from %s with %d: %s", peer_name(s->client), status, why);
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

/* Whether a handler failed because its client has left or takes nothing: not its fault. */
static bool is_client_gone(const struct request *req, int err)
{
    return (err == req->out->error || err == req->body_error) &&
           (err == -EPIPE || err == -ECONNRESET || err == -ETIMEDOUT || err == -EBADF);
}

/* Whether an error that a handler returned is of the client's body. One that ends too early is malformed, if the client
 * has closed its side only: then it reads our answer. */
static bool is_body_at_fault(const struct request *req, int err)
{
    return req->body_error &&
           (err == -EBADMSG || err == -EFBIG || err == -ETIMEDOUT || (err == -ECONNRESET && request_is_cut(req)));
}

/* The status for what a handler returned. An error is the client's fault if it came from reading the body. */
static int status_of_result(const struct request *req, int result)
{
    if (result > 0)
        return result >= 300 && result <= 999 ? result : 500;
    if (!is_body_at_fault(req, result))
        return 500;
    return req->body_error == -EFBIG ? 413 : req->body_error == -ETIMEDOUT ? 408 : 400;
}

/* Log and answer what a handler returned other than 0. Returns whether there is a response to be completed: not if the
 * head is sent, nor after STATUS_CLIENT_CLOSED_REQUEST, which only the access log says. */
static bool answer_result(struct request *req, int result)
{
    int status = status_of_result(req, result);

    if (result > 0 && result != status)
        request_log(req, LOG_LEVEL_ERROR, "the handler returned %d: expected 0, 300 to 999, or a negative errno",
                    result);
    else if (result < 0 && status == 500 && !is_client_gone(req, result))
        request_log(req, LOG_LEVEL_ERROR, "the handler failed: %s", strerror(-result));
    if (!req->head_sent && status != STATUS_CLIENT_CLOSED_REQUEST)
        return response_page(req, status) == 0;
    if (result > 0)
        req->status = status; /* for the access log */
    return false;
}

/* Complete the response after the handler has returned. */
static void complete_response(struct request *req, int result)
{
    if (result != 0 && !answer_result(req, result)) {
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

/* Have a request handled. Whoever has cancelled the handler has not cancelled the connection and its later requests;
 * and a handler that has cleared a cancellation of all coroutines has cleared it for itself only. */
static int handle_request(struct request *req)
{
    int result = config->handle(req);

    coro_end_child();
    coro_cancel_reset(coro_current);
    return result;
}

/* Serve the request whose head is the next size bytes of input. Returns whether another one may follow. */
static bool serve_request(struct session *s, size_t size, unsigned lines)
{
    struct request *req = &s->req;
    char *head = s->in.buf + s->in.start;
    const char *why;
    int status;

    request_begin(s, size);
    s->in.start += size;
    status = head_parse(req, head, size, lines, &why);
    if (!status && s->client->trusted)
        forwarded_apply(config->proxies, req);
    req->keep_alive &= !draining && !s->client->endpoint->closed;
    req->number = ++request_count;
    record_note(RECORD_BEGIN, coro_current, (uint32_t)req->number);
    s->client->req = req;
    if (config->hooks.begun)
        config->hooks.begun(req);
    coro_current->what = status ? "a malformed request" : head;
    if (status)
        refuse_request(s, status, why);
    else if (*req->view.path == '*')
        answer_asterisk(req);
    else
        complete_response(req, handle_request(req));
    if (req->keep_alive && !req->body_done)
        req->keep_alive = body_discard(req);
    s->cut |= !req->body_done;
    coro_current->what = NULL;
    s->client->req = NULL;
    record_note(RECORD_END, coro_current, (uint32_t)req->number);
    if (__builtin_expect(req->status == 504, 0) && config->hooks.timed_out)
        config->hooks.timed_out(req);
    request_end(req);
    return req->keep_alive;
}

/* ---- the next head ---- */

static const char line_too_long[] = "the request line is longer than max-request-line";
static const char head_too_large[] = "the head is larger than max-header-size";

/* The status to refuse an incomplete head with: the in->end - in->start bytes received, of which the first `from` were
 * looked at before. 0 if it may become a request. */
static int judge_partial_head(const struct input *in, const struct head_scan *scan, size_t from, const char **why)
{
    size_t size = input_unread(in);

    if (!head_is_plausible(in->buf + in->start, size, from))
        return refusal(400, "this is not HTTP", why);
    if (scan->lines == 0 && size > config->max_request_line)
        return refusal(414, line_too_long, why);
    if (size >= config->max_header_size)
        return refusal(431, head_too_large, why);
    return 0;
}

/* The same for a complete head of size bytes. */
static int judge_head_size(const struct head_scan *scan, size_t size, const char **why)
{
    if (scan->line_size > config->max_request_line)
        return refusal(414, line_too_long, why);
    if (size > config->max_header_size)
        return refusal(431, head_too_large, why);
    if (scan->lines > config->max_headers + 2)
        return refusal(431, "the head has more fields than max-headers", why);
    return 0;
}

/* One empty line before a request is skipped (RFC 9112 section 2.2); with more a client could keep us busy. */
static bool skip_empty_line(struct input *in, struct head_scan *scan)
{
    if (input_unread(in) < 2 || memcmp(in->buf + in->start, "\r\n", 2))
        return false;
    in->start += 2;
    *scan = (struct head_scan){0};
    return true;
}

/* Refuse a request whose head is not complete and never will be. */
static void refuse_early(struct session *s, int status, const char *why)
{
    request_begin(s, input_unread(&s->in));
    s->req.view.http_minor = 1;
    line_note(&s->req, s->in.buf + s->in.start, input_unread(&s->in));
    if (status == 414)
        s->req.view.target = ""; /* it would fill the access log */
    refuse_request(s, status, why);
    request_end(&s->req);
}

/* Wait for bytes of a head. Returns 0, or -errno: -ETIMEDOUT if there are none in time, or too few so far. */
static int await_part_of_head(struct session *s)
{
    int64_t timeout = config->header_timeout, began = wait_now();
    struct pace pace;
    int err;

    if (!s->head_due) {
        s->head_due = timeout ? wait_deadline(timeout * 1000000) : WAIT_FOREVER;
        s->head_waited = 0;
    }
    pace = (struct pace){s->head_waited, input_unread(&s->in)};
    err = input_wait(&s->in, pace_deadline(&config->pace, &pace, s->head_due));
    s->head_waited += wait_now() - began;
    return err;
}

/* Wait for the rest of a head, without a permit. Returns false if it did not come in time. Not inlined: most heads come
 * whole. */
static __attribute__((noinline)) bool await_rest_of_head(struct session *s)
{
    int err;

    if (config->urgent)
        permit_exempt(&s->client->permit); /* until it is known which mount the request is for */
    permit_release(&s->client->permit);
    err = await_part_of_head(s);
    if (permit_await(&s->client->permit) == -ETIMEDOUT) {
        refuse_early(s, 503, "queue-timeout exceeded");
        return false;
    }
    if (err == -ETIMEDOUT)
        refuse_early(s, 408, wait_now() < s->head_due ? "its head comes below min-rate" : "header-timeout exceeded");
    return err == 0;
}

/* Receive more of a head. */
static enum arrival receive_more(struct session *s)
{
    for (;;) {
        bool begun = input_unread(&s->in) > 0;
        ssize_t n = -EAGAIN;

        if (!input_is_drained(&s->in))
            n = input_fill(&s->in);
        if (n > 0)
            return ARRIVED;
        if (n == -ENOBUFS) {
            input_grow(&s->in, s->in.size < ARENA_BLOCK ? ARENA_BLOCK : config->max_header_size);
            continue;
        }
        if (n != -EAGAIN || output_flush(&s->out) != 0)
            return OVER;
        if (!input_is_drained(&s->in)) /* more has come while the flush was parked */
            continue;
        if (!begun)
            return IDLE;
        if (!await_rest_of_head(s))
            return OVER;
    }
}

/* Whether the client has closed its side within a head; an empty line is none. */
static bool is_head_cut(const struct input *in)
{
    return in->ended && input_unread(in) > 0 && in->buf[in->start] != '\r';
}

/* Have a whole head in the input; *size is its size. */
static enum arrival await_head(struct session *s, struct head_scan *scan, size_t *size)
{
    struct input *in = &s->in;
    bool skipped = false;
    enum arrival more;
    const char *why;

    s->head_due = 0;
    do {
        size_t from;
        int status;

        if (!skipped)
            skipped = skip_empty_line(in, scan);
        from = scan->at;
        *size = head_find(in->buf + in->start, input_unread(in), scan);
        status = *size ? judge_head_size(scan, *size, &why) : judge_partial_head(in, scan, from, &why);
        if (status) {
            refuse_early(s, status, why);
            return OVER;
        }
        more = *size ? ARRIVED : receive_more(s);
    } while (!*size && more == ARRIVED);
    if (more == OVER && is_head_cut(in))
        refuse_early(s, 400, "the head ends too early");
    return more;
}

/* ---- the PROXY header ---- */

/* Who may send a PROXY header: trusted proxies, or everybody where none are set. */
static bool may_send_proxy_header(const struct client *client)
{
    const struct proxies *proxies = config->proxies;

    return client->trusted || !proxies || (proxies->count == 0 && !proxies->local);
}

/* Have the PROXY header that the connection begins with, and apply it. Not inlined: a request that waits would keep it
 * in its frame. */
static __attribute__((noinline)) enum arrival await_proxy_header(struct session *s)
{
    struct proxy_header header;
    ssize_t size;

    s->head_due = 0;
    while (!(size = proxy_parse(&header, s->in.buf + s->in.start, input_unread(&s->in)))) {
        enum arrival more = receive_more(s);

        if (more != ARRIVED)
            return more;
    }
    if (size < 0 || !may_send_proxy_header(s->client)) {
        log_warn("closed a connection from %s: %s", peer_name(s->client),
                 size < 0 ? "it does not begin with a valid PROXY header" : "the proxy is not in trusted-proxies");
        s->in.start = s->in.end;
        return OVER;
    }
    s->in.start += (size_t)size;
    s->client->proxied = false;
    if (header.peer.any.sa_family != AF_UNSPEC)
        client_set_peer(s->client, &header.peer.any);
    return ARRIVED;
}

/* ---- one connection ---- */

void client_set_peer(struct client *client, const struct sockaddr *peer)
{
    const struct proxies *proxies = config->proxies;
    struct in6_addr ip;

    if (address_ip(&ip, peer)) {
        address_text(peer, client->peer, sizeof(client->peer), &client->peer_port);
        client->trusted = proxies && forwarded_trusts(proxies, &ip);
    } else {
        client->trusted = proxies && proxies->local;
    }
}

/* Let the requests in the queue go first. Returns whether the permit came back in time. */
static bool yield_permit(struct session *s)
{
    output_flush(&s->out);
    if (permit_yield(&s->client->permit) == 0)
        return true;
    refuse_early(s, 503, "queue-timeout exceeded");
    return false;
}

/* Serve until there is nothing to serve. Returns whether the connection stays open. */
static bool serve_requests(struct session *s)
{
    enum arrival arrival = s->client->proxied ? await_proxy_header(s) : ARRIVED;

    for (unsigned served = 1; arrival == ARRIVED; served++) {
        struct head_scan scan = {0};
        size_t size;

        arrival = await_head(s, &scan, &size);
        if (arrival != ARRIVED)
            break;
        if (!serve_request(s, size, scan.lines))
            return false;
        if (served % BURST == 0 && !yield_permit(s))
            return false;
        coro_give_way();
    }
    return arrival == IDLE;
}

static void session_prepare(struct session *s, struct client *client)
{
    s->client = client;
    s->cut = false;
    output_init(&s->out, &client->source);
    s->out.timeout = config->write_timeout * 1000000;
    input_init(&s->in, &client->source, s->buffer, sizeof(s->buffer));
    s->in.timeout = config->body_timeout * 1000000;
}

static void session_release(struct session *s)
{
    output_release(&s->out);
    input_release(&s->in);
}

/* Do not keep in the kernel, for minutes after the close, what the client does not take. */
static void drop_unsent(const struct client *client)
{
    static const struct linger at_once = {.l_onoff = 1};

    setsockopt(client->source.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

enum session_end session_run(struct client *client)
{
    struct session s;
    bool open, linger;

    session_prepare(&s, client);
    coro_current->local[output_key] = &s.out;
    open = serve_requests(&s);
    if (!open)
        output_flush(&s.out);
    if (s.out.error == -ETIMEDOUT)
        drop_unsent(client);
    linger = !s.out.error && !s.in.ended && (s.cut || input_unread(&s.in) > 0 || !input_is_drained(&s.in));
    coro_current->local[output_key] = NULL;
    session_release(&s);
    if (open)
        return SESSION_IDLE;
    return linger ? SESSION_LINGER : SESSION_CLOSE;
}

/* What the client has sent tells what it asked for; it stays unread. */
static void note_unread(struct session *s)
{
    ssize_t n = recv(s->client->source.fd, s->buffer, sizeof(s->buffer), MSG_DONTWAIT | MSG_PEEK);

    if (n > 0)
        line_note(&s->req, s->buffer, (size_t)n);
}

bool session_reject(struct client *client)
{
    struct session s;
    bool sent;

    session_prepare(&s, client);
    request_begin(&s, 0);
    s.req.view.http_minor = 1;
    if (config->hooks.ended)
        note_unread(&s);
    answer_busy(&s.req); /* only gathers it: nothing here may wait */
    output_try_flush(&s.out);
    sent = s.out.start == s.out.end;
    request_end(&s.req);
    session_release(&s);
    return sent;
}

/* ---- all of them ---- */

static void flush_at_park(void *value)
{
    output_try_flush(value);
}

/* In a signal handler: whether the request is so long past its deadline that nothing can cancel it. */
static bool is_beyond_deadline(void *value)
{
    const struct session *s = list_entry(value, struct session, out);
    int64_t deadline = s->client->req ? s->req.view.deadline : 0;

    return deadline && wait_now() / 1000000 - deadline >= MUST_END;
}

/* The handler has ended the thread that the coroutine is, by pthread_exit: the session is over. Nothing here waits. */
static void end_session(void *value)
{
    struct session *s = list_entry(value, struct session, out);
    struct client *client = s->client;
    struct request *req = client->req;

    if (req) {
        request_log(req, LOG_LEVEL_ERROR, "the handler has called pthread_exit");
        req->keep_alive = false;
        if (!req->head_sent)
            response_page(req, 500);
    }
    output_try_flush(&s->out);
    client->req = NULL;
    if (req)
        request_end(req);
    session_release(s);
    session_gone(client);
}

void session_init(const struct http_config *http_config, void (*gone)(struct client *client))
{
    static const struct sl_local hooks = {.park = flush_at_park, .release = end_session, .blocks = is_beyond_deadline};

    config = http_config;
    session_gone = gone;
    output_key = coro_local_create(&hooks);
}

void session_drain(void)
{
    draining = true;
}

struct permit *session_permit(void)
{
    return &list_entry(coro_current->local[output_key], struct session, out)->client->permit;
}

struct request *session_request(const struct coro *co)
{
    const struct output *out = co->local[output_key];

    return out ? list_entry(out, struct session, out)->client->req : NULL;
}

size_t session_requests(void)
{
    return request_count;
}
