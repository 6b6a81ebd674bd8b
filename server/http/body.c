/*
 * body.c: the body of a request, streamed: it is received when the handler asks for it, so a slow handler slows the
 * client, and never collected.
 *
 * A sized body is received straight into the handler's memory, after what came along with the head. A chunked one
 * passes through the input buffer and llhttp, which stops after each span of data; what frames it between two spans is
 * bounded, so that nobody can send chunk extensions or trailers for ever.
 */
#include "http/body.h"

#include <errno.h>
#include <string.h>

#include "http/fair.h"
#include "http/head.h"
#include "http/input.h"
#include "http/output.h"

#define CHUNKED_BUFFER 16384
#define MAX_FRAMING    16384         /* bytes between two spans of data; trailers too */
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
    err = input_wait(req->in, WAIT_FOREVER);
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

/* ---- sized ---- */

static ssize_t read_sized(struct request *req, void *buf, size_t size)
{
    struct input *in = req->in;
    ssize_t n;

    size = smaller(size, (size_t)req->body_left);
    if (input_unread(in) > 0) {
        n = (ssize_t)smaller(size, input_unread(in));
        memcpy(buf, in->buf + in->start, (size_t)n);
        in->start += (size_t)n;
    } else {
        n = receive(req, buf, size);
        if (n < 0)
            return n;
    }
    req->body_left -= n;
    req->body_done = req->body_left == 0;
    return n;
}

/* ---- chunked ---- */

/* What llhttp 8 lets through between two spans, as in the head: bare CR or LF, folded lines, a blank before a colon. */
static bool framing_is_strict(struct request *req, const char *p, const char *end)
{
    for (; p < end; p++) {
        char last = req->framing_last;

        if ((*p == '\n') != (last == '\r'))
            return false;
        if ((*p == ' ' || *p == '\t') && last == '\n')
            return false;
        if (*p == ':' && (last == ' ' || last == '\t'))
            return false;
        req->framing_last = *p;
    }
    return true;
}

/* Let llhttp go on to the next span of data or the end of the message, over what is in the buffer. */
static int decode(struct request *req)
{
    struct input *in = req->in;
    const char *at = in->buf + in->start;
    size_t before = input_unread(in);
    enum llhttp_errno err;

    llhttp_resume(&req->parser);
    err = llhttp_execute(&req->parser, at, before);
    if (err != HPE_OK && err != HPE_PAUSED)
        return -EBADMSG;
    if (err == HPE_PAUSED)
        in->start = (size_t)(llhttp_get_error_pos(&req->parser) - in->buf);
    else
        in->start = in->end;
    if (!framing_is_strict(req, at, req->span_size ? req->span : in->buf + in->start))
        return -EBADMSG;
    req->framing += before - input_unread(in) - req->span_size;
    if (req->span_size) {
        req->framing = 0;
        req->framing_last = 0;
    }
    return req->framing > MAX_FRAMING ? -EBADMSG : 0;
}

static int next_span(struct request *req)
{
    int err = 0;

    if (!req->renewed)
        input_renew(req->in, &req->arena, CHUNKED_BUFFER);
    req->renewed = true;
    while (!err && !req->span_size && !req->body_done) {
        if (input_unread(req->in) == 0) {
            ssize_t n = receive(req, NULL, 0);

            err = n < 0 ? (int)n : 0;
        }
        if (!err)
            err = decode(req);
    }
    return err;
}

static ssize_t read_chunked(struct request *req, void *buf, size_t size)
{
    if (!req->span_size) {
        int err = next_span(req);

        if (err || req->body_done)
            return err;
    }
    if (size > req->span_size)
        size = req->span_size;
    memcpy(buf, req->span, size);
    req->span += size;
    req->span_size -= size;
    req->body_taken += (int64_t)size;
    return req->body_limit && req->body_taken > req->body_limit ? -EFBIG : (ssize_t)size;
}

/* ---- both ---- */

ssize_t body_read(struct request *req, void *buf, size_t size)
{
    ssize_t n;

    if (req->body_error)
        return req->body_error == -ECANCELED ? -ECANCELED : -EBADMSG;
    if ((req->body_done && !req->span_size) || size == 0)
        return 0;
    n = req->body_kind == BODY_SIZED ? read_sized(req, buf, size) : read_chunked(req, buf, size);
    if (n < 0)
        req->body_error = (int)n;
    return n;
}

void body_cancel(struct request *req)
{
    if (!req->body_error && !req->body_done)
        req->body_error = -ECANCELED;
    if (req->reader)
        wait_cancel(req->reader, -ECANCELED);
}

bool body_discard(struct request *req)
{
    char scrap[4096];
    int64_t total = 0;

    if (req->body_error || (req->expects_100 && !req->body_done))
        return false; /* whether such a client still sends its body, nobody can tell */
    if (req->body_kind == BODY_SIZED && req->body_left > MAX_DISCARD)
        return false;
    while (!req->body_done || req->span_size) {
        ssize_t n = body_read(req, scrap, sizeof(scrap));

        total += n;
        if (n < 0 || total > MAX_DISCARD)
            return false;
    }
    return true;
}
