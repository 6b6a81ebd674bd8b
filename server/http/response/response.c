/*
 * response.c: the response to a request.
 *
 * Header lines are checked and gathered in the arena; the head is put in front of them when the first byte of body
 * comes, or at the end, when its length is known: so a handler that writes once has head and body in one send, and one
 * that sets no length and ends after one write does not need chunks. What frames the message (Content-Length,
 * Transfer-Encoding, Connection) is decided here alone, RFC 9112 section 6.
 */
#include "http/response/response.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/response/date.h"
#include "http/io/input.h"
#include "http/io/output.h"
#include "http/response/status.h"
#include "http/request/token.h"

#define FIELDS_ROOM      512
#define LONGEST_PROTOCOL 64
#define HEAD_ROOM        512 /* for everything in a head but the handler's fields */

/* ---- the handler's fields ---- */

enum field_kind { FIELD_PLAIN, FIELD_LENGTH, FIELD_DATE, FIELD_SERVER, FIELD_HOP };

/* For a name of as many bytes. */
static bool is(const char *name, const char *known)
{
    return !strncasecmp(name, known, strlen(known));
}

/* By the size of the name, which most fields do not share with any of these. Hop-by-hop are RFC 9110 section 7.6.1's.
 */
static enum field_kind classify(const char *name, size_t size)
{
    switch (size) {
    case 2:
        return is(name, "te") ? FIELD_HOP : FIELD_PLAIN;
    case 4:
        return is(name, "date") ? FIELD_DATE : FIELD_PLAIN;
    case 6:
        return is(name, "server") ? FIELD_SERVER : FIELD_PLAIN;
    case 7:
        return is(name, "trailer") || is(name, "upgrade") ? FIELD_HOP : FIELD_PLAIN;
    case 10:
        return is(name, "connection") || is(name, "keep-alive") ? FIELD_HOP : FIELD_PLAIN;
    case 14:
        return is(name, "content-length") ? FIELD_LENGTH : FIELD_PLAIN;
    case 16:
        return is(name, "proxy-connection") ? FIELD_HOP : FIELD_PLAIN;
    case 17:
        return is(name, "transfer-encoding") ? FIELD_HOP : FIELD_PLAIN;
    default:
        return FIELD_PLAIN;
    }
}

static int set_length(struct request *req, const char *value, size_t size)
{
    int64_t n = token_number(value, size);

    if (n < 0)
        return -EINVAL;
    req->length = n;
    return 0;
}

static char *fields_reserve(struct request *req, size_t size)
{
    if (size > req->fields_room - req->fields_size) {
        size_t room = req->fields_room ? 2 * req->fields_room : FIELDS_ROOM;
        char *fields;

        while (room - req->fields_size < size)
            room *= 2;
        fields = arena_alloc(&req->arena, room);
        if (req->fields_size)
            memcpy(fields, req->fields, req->fields_size);
        req->fields = fields;
        req->fields_room = room;
    }
    return req->fields + req->fields_size;
}

static void add_field(struct request *req, const char *name, size_t name_size, const char *value, size_t value_size)
{
    char *at = fields_reserve(req, name_size + value_size + 4);

    at = mempcpy(at, name, name_size);
    at = mempcpy(at, ": ", 2);
    at = mempcpy(at, value, value_size);
    at = mempcpy(at, "\r\n", 2);
    req->fields_size = (size_t)(at - req->fields);
}

int response_header(struct request *req, const char *name, size_t name_size, const char *value, size_t value_size)
{
    if (req->head_sent)
        return -EALREADY;
    if (!token_is(name, name_size) || !token_is_text(value, value_size))
        return -EINVAL;
    switch (classify(name, name_size)) {
    case FIELD_HOP:
        return -EINVAL;
    case FIELD_LENGTH:
        return set_length(req, value, value_size);
    case FIELD_DATE:
        req->has_date = true;
        break;
    case FIELD_SERVER:
        req->has_server = true;
        break;
    case FIELD_PLAIN:
        break;
    }
    add_field(req, name, name_size, value, value_size);
    return 0;
}

int response_status(struct request *req, int status, const char *reason)
{
    if (req->head_sent)
        return -EALREADY;
    if (status < 200 || status > 599 || (reason && !token_is_text(reason, strlen(reason))))
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
    req->fields_size = 0;
    req->length = -1;
    req->has_date = req->has_server = false;
    return 0;
}

/* ---- the head ---- */

/* RFC 9110 section 6.4.1: responses that never have content. */
static bool has_no_body(const struct request *req)
{
    return req->status == 204 || req->status == 304 || !strcmp(req->view.method, "HEAD");
}

/* How the end of the body will be told: by length, by chunks, or by the close. */
static void choose_framing(struct request *req, int64_t known_length)
{
    if (req->length < 0 && known_length >= 0 && !(req->status == 304 || req->status == 204))
        req->length = known_length;
    if (req->status == 204)
        req->length = -1; /* RFC 9110 section 8.6 */
    if (req->length >= 0 || has_no_body(req) || req->upgrade)
        return;
    if (req->view.http_minor > 0)
        req->chunked = true;
    else
        req->keep_alive = false;
}

static char *put(char *at, const char *s)
{
    return stpcpy(at, s);
}

static char *put_number(char *at, uint64_t n)
{
    char digits[20], *first = digits + sizeof(digits);

    do
        *--first = (char)('0' + n % 10);
    while (n /= 10);
    return mempcpy(at, first, (size_t)(digits + sizeof(digits) - first));
}

static char *put_status_line(char *at, const struct request *req)
{
    at = put(at, "HTTP/1.1 ");
    at = put_number(at, (uint64_t)req->status);
    *at++ = ' ';
    return put(at, req->reason ? req->reason : status_phrase(req->status));
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
        at = put(at, "Connection: Upgrade\r\nUpgrade: ");
        at = put(at, req->upgrade);
        return put(at, "\r\n");
    }
    if (req->length >= 0) {
        at = put(at, "Content-Length: ");
        at = put_number(at, (uint64_t)req->length);
        at = put(at, "\r\n");
    } else if (req->chunked) {
        at = put(at, "Transfer-Encoding: chunked\r\n");
    }
    if (!req->keep_alive)
        return put(at, "Connection: close\r\n");
    return req->view.http_minor == 0 ? put(at, "Connection: keep-alive\r\n") : at;
}

/* Gather the head for output. known_length: of the body, if the caller knows it, or -1. */
static int send_head(struct request *req, int64_t known_length)
{
    size_t reason = req->reason ? strlen(req->reason) : 0;
    size_t room = HEAD_ROOM + reason + req->fields_size;
    char *head = NULL, *at;
    int err = 0;

    if ((req->expects_100 && !req->body_done) || req->body_error)
        req->keep_alive = false; /* what the client sends next, nobody can tell */
    choose_framing(req, known_length);
    req->head_sent = true;
    if (room < ARENA_BLOCK / 2)
        err = output_reserve(req->out, room, &head);
    else
        head = arena_alloc(&req->arena, room);
    if (err) {
        req->head_sent = req->out->error != 0; /* not if this coroutine was cancelled before it could begin */
        return err;
    }
    at = put_status_line(head, req);
    at = put(at, "\r\n");
    at = put_server_lines(at, req);
    if (req->fields_size)
        at = mempcpy(at, req->fields, req->fields_size);
    at = put_framing(at, req);
    at = put(at, "\r\n");
    req->head_size = (size_t)(at - head);
    if (room >= ARENA_BLOCK / 2)
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

/* The part of size bytes that is to be sent: none without a body, no more than Content-Length, nothing after the end.
 * *err says if some of it is too much. */
static size_t admit(struct request *req, size_t size, int *err)
{
    *err = 0;
    if (has_no_body(req))
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

/* Send the head if that is yet to be done; the rest as admit. */
static size_t begin_piece(struct request *req, size_t size, int *err)
{
    *err = req->head_sent ? 0 : send_head(req, -1);
    return *err ? 0 : admit(req, size, err);
}

int response_write(struct request *req, const void *buf, size_t size)
{
    int err, too_much;

    size = begin_piece(req, size, &too_much);
    if (size == 0)
        return too_much;
    err = req->chunked ? write_chunk(req, buf, size) : output_write(req->out, buf, size);
    return err ? err : too_much;
}

int response_upgrade(struct request *req, const char *protocol)
{
    int err;

    if (req->head_sent)
        return -EALREADY;
    if (req->view.http_minor == 0 || req->view.length != 0 || strlen(protocol) > LONGEST_PROTOCOL)
        return -EINVAL;
    req->status = 101;
    req->reason = "Switching Protocols";
    req->upgrade = protocol;
    req->length = -1;
    req->keep_alive = false;
    req->body_kind = BODY_RAW;
    req->body_done = false;
    req->in->timeout = 0;
    err = send_head(req, -1);
    return err ? err : output_flush(req->out);
}

int response_flush(struct request *req)
{
    int err = req->head_sent ? 0 : send_head(req, -1);

    return err ? err : output_flush(req->out);
}

/* A file inside a chunked body is one chunk. */
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

    size = begin_piece(req, size, &too_much);
    if (size == 0)
        return too_much;
    err = req->chunked ? sendfile_chunk(req, fd, offset, size) : output_sendfile(req->out, fd, offset, size);
    return err ? err : too_much;
}

int response_reply(struct request *req, int status, const char *type, const void *body, size_t size)
{
    int err = response_status(req, status, NULL);

    if (!err && type)
        err = response_header(req, "Content-Type", 12, type, strlen(type));
    if (!err)
        err = send_head(req, (int64_t)size);
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
        err = send_head(req, strcmp(req->view.method, "HEAD") ? 0 : -1);
    if (!err)
        err = req->out->error;
    if (err || has_no_body(req))
        return err;
    if (req->length >= 0 && req->sent < req->length)
        return -EPROTO;
    if (req->chunked && !req->ended)
        err = output_write(req->out, "0\r\n\r\n", 5);
    req->ended = true;
    return err;
}
