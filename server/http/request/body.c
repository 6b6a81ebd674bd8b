/*
 * body.c: the body of a request, streamed: it is received when the handler asks for it, never collected. So a slow
 * handler slows its client down.
 *
 * A sized body is received straight into the handler's memory, after what came along with the head. A chunked one is
 * read by lines of framing and pieces of data between them (RFC 9112 section 7.1). The framing is limited, so that
 * nobody can send chunk extensions or trailers without end, nor long ones with hardly any data. llhttp is not used for
 * it: it refuses valid extensions (a=b;c), accepts invalid ones (;;), bare line ends and folded trailers, and would
 * have to be checked byte by byte.
 */
#include "http/request/body.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "http/io/input.h"
#include "http/io/output.h"
#include "http/request/token.h"

#define CHUNKED_BUFFER 16384         /* bytes */
#define MAX_FRAMING    16384         /* bytes of framing beyond what is usual for so many chunks */
#define USUAL_FRAMING  16            /* bytes for a chunk, besides two for each byte of its data */
#define MAX_DISCARD    (1024 * 1024) /* bytes of an unread body; reading more costs more than a new connection */

static const char continue_100[] = "HTTP/1.1 100 Continue\r\n\r\n";

/* Before waiting for the client: send what it may be waiting for. */
static int send_before_wait(struct request *req)
{
    int err = 0;

    if (req->expects_100 && !req->head_sent)
        err = output_write(req->out, continue_100, sizeof(continue_100) - 1);
    req->expects_100 = false;
    return err || req->out->sending ? err : output_flush(req->out); /* sending: another coroutine is flushing */
}

/* Who is told that a coroutine waits for the client. After an upgrade another coroutine than the handler's may do so
 * all the time. */
static struct client_wait *body_client_wait(const struct request *req)
{
    return req->body_kind == BODY_RAW && coro_self() != req->coro ? NULL : req->out->client_wait;
}

/* When a wait for the client ends; not after an upgrade. */
static int64_t body_deadline(const struct request *req)
{
    int64_t timeout = req->in->timeout, deadline = timeout ? wait_deadline(timeout) : WAIT_FOREVER;

    if (req->body_kind == BODY_RAW || !req->limits)
        return deadline;
    return pace_deadline(&req->limits->pace, &req->pace, deadline);
}

/* Wait for the client, unless body_cancel was called before or is meanwhile. */
static int await_body(struct request *req)
{
    struct client_wait *client_wait;
    int64_t began = wait_now();
    int err;

    if (req->body_error)
        return req->body_error;
    req->reader = coro_self();
    client_wait = body_client_wait(req);
    client_wait_begin(client_wait);
    err = input_wait(req->in, body_deadline(req));
    client_wait_end(client_wait);
    req->reader = NULL;
    req->pace.waited += wait_now() - began;
    return err;
}

/* Receive into buf, or into the input buffer if that is NULL. Waits. The end of the stream is an error here. */
static ssize_t receive_body(struct request *req, void *buf, size_t size)
{
    for (;;) {
        ssize_t n = buf ? input_recv(req->in, buf, size) : input_fill(req->in);
        int err;

        if (n > 0) {
            req->pace.received += (size_t)n;
            return n;
        }
        if (n == 0)
            return -ECONNRESET;
        if (n != -EAGAIN)
            return n;
        if ((err = send_before_wait(req)) || (err = await_body(req)))
            return err;
    }
}

/* The next bytes, no matter how the body is framed: from the buffer, or straight from the socket. */
static ssize_t take_bytes(struct request *req, void *buf, size_t size)
{
    struct input *in = req->in;

    if (input_unread(in) == 0)
        return receive_body(req, buf, size);
    size = min_size(size, input_unread(in));
    memcpy(buf, in->buf + in->start, size);
    in->start += size;
    return (ssize_t)size;
}

/* ---- sized ---- */

static ssize_t read_sized(struct request *req, void *buf, size_t size)
{
    ssize_t n = take_bytes(req, buf, min_size(size, (size_t)req->body_left));

    if (n < 0)
        return n;
    req->body_left -= n;
    req->body_done = req->body_left == 0;
    return n;
}

/* ---- chunked ---- */

/* Take the next line of framing. It stays in the input buffer, until the next one is taken. Returns its size without CR
 * LF, or -errno. */
static ssize_t take_framing_line(struct request *req, const char **line)
{
    struct input *in = req->in;
    size_t seen = 0, size; /* seen: bytes in which there is no line break */
    const char *lf;

    while (!(lf = memchr(in->buf + in->start + seen, '\n', input_unread(in) - seen))) {
        ssize_t n;

        seen = input_unread(in);
        n = receive_body(req, NULL, 0);
        if (n < 0)
            return n == -ENOBUFS ? -EBADMSG : n; /* the line fills the buffer */
    }
    *line = in->buf + in->start;
    size = (size_t)(lf - *line);
    in->start += size + 1;
    req->framing += size + 1;
    if (req->framing > MAX_FRAMING || size == 0 || lf[-1] != '\r' || !token_is_text(*line, size - 1))
        return -EBADMSG;
    return (ssize_t)size - 1;
}

static int take_empty_line(struct request *req)
{
    const char *line;
    ssize_t size = take_framing_line(req, &line);

    return size > 0 ? -EBADMSG : (int)size;
}

/* The end of the token or the quoted string at `at`, or `at` if there is neither. */
static const char *skip_word(const char *at)
{
    const char *p = at;

    if (*p != '"')
        return token_end(p);
    for (p++; *p != '"'; p++) {
        if (*p == '\\' && p[1] != '\r')
            p++;
        if (*p == '\r') /* the end of the line */
            return at;
    }
    return p + 1;
}

/* Chunk extensions are ignored, but must be well-formed: RFC 9112 section 7.1.1. There may be blanks around each part,
 * which the RFC calls bad, but none after a size without extensions. */
static bool are_extensions(const char *at)
{
    const char *next = token_skip_blanks(at);

    while (*next == ';') {
        const char *name = token_skip_blanks(next + 1), *value;

        at = token_end(name);
        if (at == name)
            return false;
        at = next = token_skip_blanks(at);
        if (*next != '=')
            continue;
        value = token_skip_blanks(next + 1);
        next = skip_word(value);
        if (next == value)
            return false;
        at = next = token_skip_blanks(next);
    }
    return *at == '\r';
}

/* The size in a line of framing, 1*HEXDIG of which at most 15 are significant; -1 if the line is malformed. */
static int64_t parse_chunk_size(const char *line)
{
    const char *at = line;
    int64_t size = 0;
    int digit;

    for (; (digit = token_hex(*at)) >= 0; at++) {
        if (size >> 56)
            return -1;
        size = size << 4 | digit;
    }
    return at > line && are_extensions(at) ? size : -1;
}

/* Read and drop the fields after the last chunk. Returns 0 or -errno. */
static int skip_trailers(struct request *req)
{
    const char *line;
    ssize_t size;

    while ((size = take_framing_line(req, &line)) > 0) {
        const char *end = token_end(line);

        if (end == line || *end != ':')
            return -EBADMSG;
    }
    return (int)size;
}

/* Forget the framing that a chunk of that size may have. What is left is due to extensions, and counts. */
static void allow_framing(struct request *req, int64_t chunk_size)
{
    size_t usual = USUAL_FRAMING + 2 * (size_t)chunk_size;

    req->framing = req->framing > usual ? req->framing - usual : 0;
}

/* Read the framing before the next chunk, or at the end of the message. Returns 0 or -errno. */
static int begin_chunk(struct request *req)
{
    const char *line;
    ssize_t n;
    int err = 0;

    if (!req->renewed)
        input_renew(req->in, &req->arena, CHUNKED_BUFFER);
    else
        err = take_empty_line(req);
    req->renewed = true;
    n = err ? err : take_framing_line(req, &line);
    if (n < 0)
        return (int)n;
    req->body_left = parse_chunk_size(line);
    if (req->body_left < 0)
        return -EBADMSG;
    allow_framing(req, req->body_left);
    if (req->body_left > 0)
        return 0;
    err = skip_trailers(req);
    req->body_done = err == 0;
    return err;
}

static ssize_t read_chunked(struct request *req, void *buf, size_t size)
{
    ssize_t n = req->body_left > 0 ? 0 : begin_chunk(req);

    if (n < 0 || req->body_done)
        return n;
    size = min_size(size, (size_t)req->body_left);
    if (input_unread(req->in) == 0 &&
        size < CHUNKED_BUFFER) { /* read ahead: the next framing may be in the same segment */
        n = receive_body(req, NULL, 0);
        if (n < 0)
            return n;
    }
    n = take_bytes(req, buf, size);
    if (n < 0)
        return n;
    req->body_left -= n;
    req->body_taken += n;
    return req->body_limit && req->body_taken > req->body_limit ? -EFBIG : n;
}

/* ---- after an upgrade ---- */

/* However the client closes the connection, that is the end of the body. */
static ssize_t read_raw(struct request *req, void *buf, size_t size)
{
    ssize_t n = take_bytes(req, buf, size);

    if (n != -ECONNRESET)
        return n;
    req->body_done = true;
    return 0;
}

/* ---- all ---- */

/* Whether only the wait failed, because the coroutine was interrupted or cancelled, or nothing came for a while (after
 * an upgrade), and the next call may go on. Not in a chunked body, where a part of the framing may be lost. */
static bool can_read_on(const struct request *req, ssize_t error)
{
    if (error == -ETIMEDOUT)
        return req->body_kind == BODY_RAW;
    return (error == -EINTR || error == -ECANCELED) && req->body_kind != BODY_CHUNKED;
}

ssize_t body_read(struct request *req, void *buf, size_t size)
{
    ssize_t n;

    coro_give_way(); /* a client may send as fast as we read, or a buffer may hold thousands of small chunks */
    if (req->body_error)
        return req->body_error == -ECANCELED ? -ECANCELED : -EBADMSG;
    if (req->body_done || size == 0)
        return 0;
    if (req->body_kind == BODY_RAW)
        n = read_raw(req, buf, size);
    else
        n = req->body_kind == BODY_SIZED ? read_sized(req, buf, size) : read_chunked(req, buf, size);
    if (n < 0 && !can_read_on(req, n))
        req->body_error = (int)n;
    return n;
}

bool body_is_unread(const struct request *req)
{
    return req->body_kind == BODY_SIZED ? req->body_left == req->view.length : req->body_taken == 0;
}

void body_cancel(struct request *req)
{
    if (!req->body_error && !req->body_done)
        req->body_error = -ECANCELED;
    if (req->reader)
        coro_wake(req->reader, -ECANCELED);
}

bool body_discard(struct request *req)
{
    static char scrap[4096]; /* shared, as it is never read; on the stack it would cost each handler a page */
    int64_t total = 0, until = req->in->timeout ? wait_deadline(req->in->timeout) : WAIT_FOREVER;

    if (req->body_error || (req->expects_100 && !req->body_done))
        return false; /* the client may or may not send its body still */
    if (req->body_kind == BODY_SIZED && req->body_left > MAX_DISCARD)
        return false;
    while (!req->body_done) {
        ssize_t n = body_read(req, scrap, sizeof(scrap));

        total += n;
        if (n < 0 || total > MAX_DISCARD || wait_now() > until) /* it holds a permit meanwhile */
            return false;
    }
    return true;
}
