/*
 * body.c: the body of a request, streamed: it is received when the handler asks for it, so a slow handler slows the
 * client, and never collected.
 *
 * A sized body is received straight into the handler's memory, after what came along with the head. A chunked one
 * is read by lines of framing and pieces of data between them (RFC 9112 section 7.1); what frames it is bounded, so
 * that nobody can send chunk extensions or trailers for ever. llhttp is not used here: it refuses good extensions
 * (a=b;c), takes bad ones (;;), bare line ends and folded trailers, and would have to be checked byte by byte.
 */
#include "http/request/body.h"

#include <errno.h>
#include <string.h>

#include "http/io/fair.h"
#include "http/io/input.h"
#include "http/io/output.h"
#include "http/request/token.h"

#define CHUNKED_BUFFER 16384
#define MAX_FRAMING    16384         /* bytes of framing between two pieces of data; trailers too */
#define MAX_DISCARD    (1024 * 1024) /* bytes of a body nobody read that are worth keeping the connection */

static const char continue_100[] = "HTTP/1.1 100 Continue\r\n\r\n";

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The client is about to be waited for: it must not be waiting for us. */
static int before_wait(struct request *req)
{
    int err = 0;

    if (req->expects_100 && !req->head_sent)
        err = output_write(req->out, continue_100, sizeof(continue_100) - 1);
    req->expects_100 = false;
    return err || req->out->sending ? err : output_flush(req->out); /* the other coroutine is at it */
}

/* Wait for the client, unless body_cancel came before or comes meanwhile. */
static int await_input(struct request *req)
{
    int err;

    if (req->body_error)
        return req->body_error;
    req->reader = coro_self();
    err = input_await(req->in);
    req->in->in_a_row = 0;
    req->reader = NULL;
    return err;
}

/* Run receive until it does not say EAGAIN; the end of the stream is an error here. */
static ssize_t receive(struct request *req, void *buf, size_t size)
{
    for (;;) {
        ssize_t n = buf ? input_recv(req->in, buf, size) : input_fill(req->in);
        int err;

        if (n > 0) {
            fair_count(&req->in->in_a_row, (size_t)n);
            return n;
        }
        if (n == 0)
            return -ECONNRESET;
        if (n != -EAGAIN)
            return n;
        if ((err = before_wait(req)) || (err = await_input(req)))
            return err;
    }
}

/* The next bytes of body, no matter how it is framed: what is in the buffer, or straight from the socket. */
static ssize_t take(struct request *req, void *buf, size_t size)
{
    struct input *in = req->in;

    if (input_unread(in) == 0)
        return receive(req, buf, size);
    size = smaller(size, input_unread(in));
    memcpy(buf, in->buf + in->start, size);
    in->start += size;
    return (ssize_t)size;
}

/* ---- sized ---- */

static ssize_t read_sized(struct request *req, void *buf, size_t size)
{
    ssize_t n = take(req, buf, smaller(size, (size_t)req->body_left));

    if (n < 0)
        return n;
    req->body_left -= n;
    req->body_done = req->body_left == 0;
    return n;
}

/* ---- chunked ---- */

/* Take the next line of framing, in the input buffer, which is changed by the next one. Returns its size without CR LF.
 */
static ssize_t take_line(struct request *req, const char **line)
{
    struct input *in = req->in;
    const char *lf;
    size_t size;

    while (!(lf = memchr(in->buf + in->start, '\n', input_unread(in)))) {
        ssize_t n = receive(req, NULL, 0);

        if (n < 0)
            return n == -ENOBUFS ? -EBADMSG : n; /* a line that fills the buffer */
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
    ssize_t size = take_line(req, &line);

    return size > 0 ? -EBADMSG : (int)size;
}

/* The end of a token, or of a string in quotes; `at` if there is neither. */
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

/* Extensions mean nothing to us, but must be some: RFC 9112 section 7.1.1, without the blanks that it calls bad. */
static bool are_extensions(const char *at)
{
    while (*at == ';') {
        const char *name = at + 1, *value;

        at = token_end(name);
        if (at == name)
            return false;
        if (*at != '=')
            continue;
        value = at + 1;
        at = skip_word(value);
        if (at == value)
            return false;
    }
    return *at == '\r';
}

/* The size in a line of framing, or -1: 1*HEXDIG of at most 15 that count. */
static int64_t parse_size(const char *line)
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

/* Fields after the last chunk: read and dropped. */
static int skip_trailers(struct request *req)
{
    const char *line;
    ssize_t size;

    while ((size = take_line(req, &line)) > 0) {
        const char *end = token_end(line);

        if (end == line || *end != ':')
            return -EBADMSG;
    }
    return (int)size;
}

/* Find the next chunk, or the end of the message. */
static int next_chunk(struct request *req)
{
    const char *line;
    ssize_t n;
    int err = 0;

    if (!req->renewed)
        input_renew(req->in, &req->arena, CHUNKED_BUFFER);
    else
        err = take_empty_line(req);
    req->renewed = true;
    n = err ? err : take_line(req, &line);
    if (n < 0)
        return (int)n;
    req->body_left = parse_size(line);
    if (req->body_left < 0)
        return -EBADMSG;
    if (req->body_left > 0)
        return 0;
    err = skip_trailers(req);
    req->body_done = err == 0;
    return err;
}

static ssize_t read_chunked(struct request *req, void *buf, size_t size)
{
    ssize_t n = req->body_left > 0 ? 0 : next_chunk(req);

    if (n < 0 || req->body_done)
        return n;
    size = smaller(size, (size_t)req->body_left);
    if (input_unread(req->in) == 0 && size < CHUNKED_BUFFER) { /* what frames the next chunk may come along */
        n = receive(req, NULL, 0);
        if (n < 0)
            return n;
    }
    n = take(req, buf, size);
    if (n < 0)
        return n;
    req->framing = 0;
    req->body_left -= n;
    req->body_taken += n;
    return req->body_limit && req->body_taken > req->body_limit ? -EFBIG : n;
}

/* ---- after an upgrade ---- */

/* What the client does not send any more is the end, however it went. */
static ssize_t read_raw(struct request *req, void *buf, size_t size)
{
    ssize_t n = take(req, buf, size);

    if (n != -ECONNRESET)
        return n;
    req->body_done = true;
    return 0;
}

/* ---- all ---- */

/* Whether what failed was only the wait, because the coroutine was interrupted, and the next call may go on. Not inside
 * of what frames a chunked body: what was read of that is lost. */
static bool may_go_on(const struct request *req, ssize_t error)
{
    return (error == -EINTR || error == -ECANCELED) && req->body_kind != BODY_CHUNKED;
}

ssize_t body_read(struct request *req, void *buf, size_t size)
{
    ssize_t n;

    if (req->body_error)
        return req->body_error == -ECANCELED ? -ECANCELED : -EBADMSG;
    if (req->body_done || size == 0)
        return 0;
    if (req->body_kind == BODY_RAW)
        n = read_raw(req, buf, size);
    else
        n = req->body_kind == BODY_SIZED ? read_sized(req, buf, size) : read_chunked(req, buf, size);
    if (n < 0 && !may_go_on(req, n))
        req->body_error = (int)n;
    return n;
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
    static char scrap[4096]; /* nobody looks at it; on the stack it would lie below each handler, a page of memory */
    int64_t total = 0, until = req->in->timeout ? wait_deadline(req->in->timeout) : WAIT_FOREVER;

    if (req->body_error || (req->expects_100 && !req->body_done))
        return false; /* whether such a client still sends its body, nobody can tell */
    if (req->body_kind == BODY_SIZED && req->body_left > MAX_DISCARD)
        return false;
    while (!req->body_done) {
        ssize_t n = body_read(req, scrap, sizeof(scrap));

        total += n;
        if (n < 0 || total > MAX_DISCARD || wait_now() > until) /* it has a turn, which nobody else gets meanwhile */
            return false;
    }
    return true;
}
