/*
 * response.c: the response to a request.
 *
 * The handler's fields are checked and gathered in the arena. The head is written together with the first bytes of the
 * body, or at the end if there are none, so head and body of a short response leave in one send. What frames the
 * message (Content-Length, Transfer-Encoding, Connection, RFC 9112 section 6) is decided here alone: of such fields
 * that a handler sets, as recipes for event streams do, only `Connection: close` has an effect.
 */
#include "http/response/response.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/digits.h"
#include "http/io/input.h"
#include "http/io/output.h"
#include "http/request/token.h"
#include "http/response/date.h"
#include "http/response/status.h"

#define FIELDS_CAPACITY 512 /* bytes of the first allocation for fields */
#define HEAD_CAPACITY   512 /* bytes for everything in a head but the reason and the handler's fields */
#define MAX_PROTOCOL    64  /* bytes of the name of a protocol to upgrade to */

/* ---- the handler's fields ---- */

enum field_kind { FIELD_PLAIN, FIELD_LENGTH, FIELD_DATE, FIELD_SERVER, FIELD_HOP };

/* Compare the name of a field with one of the same size. */
static bool is_field(const char *name, const char *known)
{
    return !strncasecmp(name, known, strlen(known));
}

/* Look at the size of the name first: most fields share theirs with none of these. Hop-by-hop fields are those of RFC
 * 9110 section 7.6.1 and of RFC 2616 section 13.5.1, to which PEP 3333 refers. */
static enum field_kind classify_field(const char *name, size_t size)
{
    switch (size) {
    case 2:
        return is_field(name, "te") ? FIELD_HOP : FIELD_PLAIN;
    case 4:
        return is_field(name, "date") ? FIELD_DATE : FIELD_PLAIN;
    case 6:
        return is_field(name, "server") ? FIELD_SERVER : FIELD_PLAIN;
    case 7:
        return is_field(name, "trailer") || is_field(name, "upgrade") ? FIELD_HOP : FIELD_PLAIN;
    case 8:
        return is_field(name, "trailers") ? FIELD_HOP : FIELD_PLAIN;
    case 10:
        return is_field(name, "connection") || is_field(name, "keep-alive") ? FIELD_HOP : FIELD_PLAIN;
    case 14:
        return is_field(name, "content-length") ? FIELD_LENGTH : FIELD_PLAIN;
    case 16:
        return is_field(name, "proxy-connection") ? FIELD_HOP : FIELD_PLAIN;
    case 17:
        return is_field(name, "transfer-encoding") ? FIELD_HOP : FIELD_PLAIN;
    case 18:
        return is_field(name, "proxy-authenticate") ? FIELD_HOP : FIELD_PLAIN;
    case 19:
        return is_field(name, "proxy-authorization") ? FIELD_HOP : FIELD_PLAIN;
    default:
        return FIELD_PLAIN;
    }
}

static int set_content_length(struct request *req, const char *value, size_t size)
{
    int64_t n = token_number(value, size);

    if (n < 0)
        return -EINVAL;
    req->length = n;
    return 0;
}

static char *fields_reserve(struct request *req, size_t size)
{
    if (size > req->fields_capacity - req->fields_size) {
        size_t capacity = req->fields_capacity ? 2 * req->fields_capacity : FIELDS_CAPACITY;
        char *fields;

        while (capacity - req->fields_size < size)
            capacity *= 2;
        fields = arena_alloc(&req->arena, capacity);
        if (req->fields_size)
            memcpy(fields, req->fields, req->fields_size);
        req->fields = fields;
        req->fields_capacity = capacity;
    }
    return req->fields + req->fields_size;
}

/* Inlined into response_header, which every response calls a few times. */
__attribute__((always_inline)) static inline void fields_append(struct request *req, const char *name, size_t name_size,
                                                                const char *value, size_t value_size)
{
    char *at = fields_reserve(req, name_size + value_size + 4);

    at = mempcpy(at, name, name_size);
    at = mempcpy(at, ": ", 2);
    at = mempcpy(at, value, value_size);
    at = mempcpy(at, "\r\n", 2);
    req->fields_size = (size_t)(at - req->fields);
}

/* Leave a field out that is the server's. It does no harm, so the log is told once in the life of a process. */
static int drop_field(const struct request *req, const char *name, size_t size)
{
    static bool told;

    if (!told)
        request_log(req, LOG_LEVEL_WARN,
                    "dropped the response field %.*s: the server sets it itself (said once, for all such fields)",
                    (int)size, name);
    told = true;
    return 0;
}

/* Deal with a field that is the server's. A 426 must say to what the client is to upgrade, RFC 9110 section 15.5.22. */
__attribute__((cold, noinline)) static int note_hop_field(struct request *req, struct span name, struct span value)
{
    if (token_equals(name, "connection") && token_in_list(value, "close")) {
        req->closes = true;
        return 0;
    }
    if (!token_equals(name, "upgrade") || req->status != 426)
        return drop_field(req, name.at, name.size);
    fields_append(req, "Connection", 10, "Upgrade", 7);
    fields_append(req, name.at, name.size, value.at, value.size);
    return 0;
}

int response_header(struct request *req, const char *name, size_t name_size, const char *value, size_t value_size)
{
    if (req->head_sent)
        return -EALREADY;
    if (!token_is(name, name_size) || !token_is_text(value, value_size))
        return -EINVAL;
    switch (classify_field(name, name_size)) {
    case FIELD_HOP:
        return note_hop_field(req, (struct span){name, name_size}, (struct span){value, value_size});
    case FIELD_LENGTH:
        return set_content_length(req, value, value_size);
    case FIELD_DATE:
        req->has_date = true;
        break;
    case FIELD_SERVER:
        req->has_server = true;
        break;
    case FIELD_PLAIN:
        break;
    }
    fields_append(req, name, name_size, value, value_size);
    return 0;
}

int response_status(struct request *req, int status, const char *reason)
{
    if (req->head_sent)
        return -EALREADY;
    if (status < 200 || status > 999 || (reason && !token_is_text(reason, strlen(reason))))
        return -EINVAL;
    req->status = status;
    req->reason = reason ? arena_strndup(&req->arena, reason, strlen(reason)) : NULL;
    return 0;
}

int response_reset(struct request *req)
{
    if (req->head_sent)
        return -EALREADY;
    req->status = 200;
    req->reason = NULL;
    req->fields_size = req->kept.fields_size;
    req->length = -1;
    req->has_date = req->kept.has_date;
    req->has_server = req->kept.has_server;
    req->closes = req->kept.closes;
    return 0;
}

void response_keep(struct request *req)
{
    req->kept.fields_size = req->fields_size;
    req->kept.has_date = req->has_date;
    req->kept.has_server = req->has_server;
    req->kept.closes = req->closes;
    response_reset(req);
}

/* ---- the head ---- */

void (*response_before_head)(struct request *req);

/* The first letter tells most methods from HEAD. */
static inline bool is_to_head(const struct request *req)
{
    return *req->view.method == 'H' && !strcmp(req->view.method, "HEAD");
}

/* Responses that never have content, RFC 9110 sections 6.4.1 and 15.3.6. */
static bool has_no_content(const struct request *req)
{
    if (req->status != 200 && (req->status == 204 || req->status == 205 || req->status == 304))
        return true;
    return is_to_head(req);
}

/* Choose what marks the end of the body: its length, chunks, or the end of the connection. A 204 has no length (RFC
 * 9110 section 8.6). That of a 304 would be of the content that the client has: handlers set it to 0 or to that of a
 * body that is not sent, so it is left out. Clients wait for the content of a 205 that does not say that there is none.
 */
static void choose_framing(struct request *req, int64_t known_length)
{
    if (req->length < 0 && known_length >= 0)
        req->length = known_length;
    if (req->status != 200 && (req->status == 204 || req->status == 304))
        req->length = -1;
    else if (req->status == 205)
        req->length = 0;
    if (req->length >= 0 || has_no_content(req) || req->upgrade)
        return;
    if (req->view.http_minor > 0)
        req->chunked = true;
    else
        req->keep_alive = false;
}

static char *put_decimal(char *at, uint64_t n)
{
    char digits[DIGITS_MAX], *end = digits + sizeof(digits), *first = digits_decimal(end, n);

    return mempcpy(at, first, (size_t)(end - first));
}

static char *put_status_line(char *at, const struct request *req)
{
    at = stpcpy(at, "HTTP/1.1 ");
    at = put_decimal(at, (uint64_t)req->status);
    *at++ = ' ';
    return stpcpy(at, req->reason ? req->reason : status_phrase(req->status));
}

static char *put_server_lines(char *at, const struct request *req)
{
    const struct date_lines *lines = date_lines();
    size_t from = req->has_server ? lines->server_size : 0;
    size_t to = req->has_date ? lines->server_size : lines->size;

    return from < to ? mempcpy(at, lines->text + from, to - from) : at;
}

static char *put_framing(char *at, const struct request *req)
{
    if (req->upgrade) {
        at = stpcpy(at, "Connection: Upgrade\r\nUpgrade: ");
        at = stpcpy(at, req->upgrade);
        return stpcpy(at, "\r\n");
    }
    if (req->length >= 0) {
        at = stpcpy(at, "Content-Length: ");
        at = put_decimal(at, (uint64_t)req->length);
        at = stpcpy(at, "\r\n");
    } else if (req->chunked) {
        at = stpcpy(at, "Transfer-Encoding: chunked\r\n");
    }
    if (!req->keep_alive)
        return stpcpy(at, "Connection: close\r\n");
    return req->view.http_minor == 0 ? stpcpy(at, "Connection: keep-alive\r\n") : at;
}

/* The response begins: where only the time until then counts, there is no deadline any more. */
static inline void begin_response(struct request *req)
{
    if (req->view.deadline && req->limits->counts == COUNTS_TO_RESPONSE)
        req->view.deadline = 0;
}

/* Write the head to the output buffer. known_length: of the body, -1 if the caller does not know it. */
static int write_head(struct request *req, int64_t known_length)
{
    size_t reason = req->reason ? strlen(req->reason) : 0, capacity;
    char *head = NULL, *at;
    int err = 0;

    if (response_before_head)
        response_before_head(req);
    capacity = HEAD_CAPACITY + reason + req->fields_size;
    /* Without all of the body the next bytes on this connection are ambiguous. */
    if ((req->expects_100 && !req->body_done) || req->body_error || req->closes)
        req->keep_alive = false;
    req->head_sent = true;
    if (capacity < ARENA_BLOCK / 2) {
        err = output_reserve(req->out, capacity, &head);
    } else {
        err = output_flush(req->out); /* so that the write below does not wait for another coroutine */
        head = arena_alloc(&req->arena, capacity);
    }
    if (err) {
        req->head_sent = req->out->error != 0; /* not if this coroutine was cancelled before it could begin */
        return err;
    }
    begin_response(req);
    choose_framing(req, known_length);
    at = put_status_line(head, req);
    at = stpcpy(at, "\r\n");
    at = put_server_lines(at, req);
    if (req->fields_size)
        at = mempcpy(at, req->fields, req->fields_size);
    at = put_framing(at, req);
    at = stpcpy(at, "\r\n");
    req->head_size = (size_t)(at - head);
    if (capacity >= ARENA_BLOCK / 2)
        return output_write(req->out, head, (size_t)(at - head));
    output_commit(req->out, (size_t)(at - head));
    return 0;
}

/* ---- the body ---- */

static int write_chunk(struct request *req, const void *buf, size_t size)
{
    char line[20];
    struct iovec pieces[3] = {
        {line, (size_t)sprintf(line, "%zx\r\n", size)},
        {(void *)buf, size},
        {(void *)"\r\n", 2},
    };

    return output_writev(req->out, pieces, 3);
}

/* How much of size more bytes of body to send: nothing where there is no content, at most the Content-Length, nothing
 * after the end. *err is -EMSGSIZE if that is less than the handler wrote. */
static size_t limit_body(struct request *req, size_t size, int *err)
{
    *err = 0;
    if (has_no_content(req))
        return 0;
    if (req->ended && size > 0) {
        *err = -EMSGSIZE;
        return 0;
    }
    if (req->length >= 0 && (int64_t)size > req->length - req->sent) {
        size = (size_t)(req->length - req->sent);
        *err = -EMSGSIZE;
    }
    req->sent += (int64_t)size;
    return size;
}

/* Write the head if this is the first piece of the body. Returns as limit_body. */
static size_t begin_body_piece(struct request *req, size_t size, int *err)
{
    *err = req->head_sent ? 0 : write_head(req, -1);
    return *err ? 0 : limit_body(req, size, err);
}

/* The piece of size bytes that limit_body has allowed could not be sent. Returns err. Without an error of the output,
 * this coroutine was cancelled while another one was sending: the response can go on, without these bytes. */
static int lose_body_piece(struct request *req, size_t size, int err)
{
    if (!req->out->error)
        req->sent -= (int64_t)size;
    return err;
}

int response_write(struct request *req, const void *buf, size_t size)
{
    int err, too_much;

    size = begin_body_piece(req, size, &too_much);
    if (size == 0)
        return too_much;
    err = req->chunked ? write_chunk(req, buf, size) : output_write(req->out, buf, size);
    return err ? lose_body_piece(req, size, err) : too_much;
}

int response_upgrade(struct request *req, const char *protocol)
{
    int err;

    if (req->head_sent)
        return -EALREADY;
    if (req->view.http_minor == 0 || req->view.length != 0 || strlen(protocol) > MAX_PROTOCOL)
        return -EINVAL;
    req->status = 101;
    req->reason = "Switching Protocols";
    req->upgrade = protocol;
    req->length = -1;
    req->keep_alive = false;
    req->body_kind = BODY_RAW;
    req->body_done = false;
    req->in->timeout = 0;
    err = write_head(req, -1);
    return err ? err : output_flush(req->out);
}

int response_hand_over(struct request *req)
{
    int err;

    if (req->head_sent)
        return -EALREADY;
    if (req->view.http_minor == 0 || req->view.length != 0)
        return -EINVAL;
    err = output_flush(req->out); /* earlier responses */
    if (err)
        return err;
    req->status = 101;
    req->length = -1;
    req->keep_alive = false;
    req->head_sent = true;
    begin_response(req);
    req->body_kind = BODY_RAW;
    req->body_done = false;
    req->in->timeout = 0;
    return req->in->source->fd;
}

int response_flush(struct request *req)
{
    int err = req->head_sent ? 0 : write_head(req, -1);

    return err ? err : output_flush(req->out);
}

/* A file in a chunked body is one chunk. */
static int sendfile_chunk(struct request *req, int fd, off_t offset, size_t size)
{
    char line[20];
    int err = output_write(req->out, line, (size_t)sprintf(line, "%zx\r\n", size));

    if (!err)
        err = output_sendfile(req->out, fd, offset, size);
    return err ? err : output_write(req->out, "\r\n", 2);
}

int response_sendfile(struct request *req, int fd, off_t offset, size_t size)
{
    int err, too_much;

    size = begin_body_piece(req, size, &too_much);
    if (size == 0)
        return too_much;
    err = req->chunked ? sendfile_chunk(req, fd, offset, size) : output_sendfile(req->out, fd, offset, size);
    return err ? lose_body_piece(req, size, err) : too_much;
}

int response_reply(struct request *req, int status, const char *type, const void *body, size_t size)
{
    int err = response_status(req, status, NULL);

    if (!err && type)
        err = response_header(req, "Content-Type", 12, type, strlen(type));
    if (!err)
        err = write_head(req, (int64_t)size);
    return err ? err : response_write(req, body, size);
}

/* ---- pages and the end ---- */

int response_page(struct request *req, int status)
{
    const char *phrase = status_phrase(status);
    const char *page =
        arena_printf(&req->arena, "<!DOCTYPE html>\n<title>%d %s</title>\n<h1>%d %s</h1>\n<hr>syncless\n", status,
                     phrase, status, phrase);

    response_reset(req);
    return response_reply(req, status, "text/html; charset=utf-8", page, strlen(page));
}

int response_finish(struct request *req)
{
    int err = 0;

    if (!req->head_sent)
        err = write_head(req, is_to_head(req) ? -1 : 0);
    if (!err)
        err = req->out->error;
    if (err || has_no_content(req))
        return err;
    if (req->length >= 0 && req->sent < req->length)
        return -EPROTO;
    if (req->chunked && !req->ended)
        err = output_write(req->out, "0\r\n\r\n", 5);
    req->ended = err == 0;
    return err;
}
