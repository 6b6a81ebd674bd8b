/*
 * reply.c: answers with a file: which of its codings, whether the client has it already, which bytes of it.
 *
 * The bytes go from the page cache to the socket by sl_sendfile and are never here. The size is the one that fstat gave
 * before the head was sent; a file that shrinks meanwhile makes sl_sendfile fail, which cuts the connection, so that
 * nobody takes half a file for a whole one.
 */
#include "reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "coding.h"
#include "condition.h"
#include "range.h"

/* The file that is sent: the original, or a compressed one beside it. */
struct file {
    struct sl_request *req;
    const char *path; /* of the original */
    int fd;
    struct stat st;
    const struct mime_type *type;
    const struct coding *coding; /* NULL for the original */
    struct validators validators;
};

static void add_field(struct sl_request *req, const char *name, const char *value)
{
    int rc = sl_header(req, name, value);

    if (rc < 0)
        sl_log(req, SL_ERROR, "static: the response field \"%s: %s\" is left out: %s", name, value, strerror(-rc));
}

static void add_number(struct sl_request *req, const char *name, int64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, number);
    add_field(req, name, text);
}

int reply_text(struct sl_request *req, int status, const char *text)
{
    return sl_reply(req, status, "text/plain; charset=utf-8", text, strlen(text));
}

void reply_add_fields(const struct site *site, struct sl_request *req)
{
    for (const struct site_field *field = site->fields; field->name; field++)
        add_field(req, field->name, field->value);
}

/* Fields that belong to status 200, 206 and 304 alike (RFC 9110 section 15.4.5). */
static void add_common(const struct site *site, const struct file *file)
{
    add_field(file->req, "ETag", file->validators.etag);
    if (site->precompressed && !file->type->packed)
        add_field(file->req, "Vary", "Accept-Encoding");
    reply_add_fields(site, file->req);
}

/* Fields of a file, whole or in part. */
static void add_head(const struct site *site, const struct file *file, const char *type, int64_t length)
{
    char date[HTTPDATE_SIZE];

    httpdate_format(file->validators.modified, date);
    add_field(file->req, "Content-Type", type);
    add_number(file->req, "Content-Length", length);
    add_field(file->req, "Last-Modified", date);
    add_field(file->req, "Accept-Ranges", "bytes");
    if (file->coding)
        add_field(file->req, "Content-Encoding", file->coding->name);
    add_common(site, file);
}

/* Take the compressed file with that suffix instead of the original. False if there is none, or an outdated one: those
 * who change a page and forget to compress it anew want to see it changed. Whole seconds, since that is what some
 * compressors keep of the original's time. */
static bool take_coding(struct site *site, struct file *file, const struct coding *coding)
{
    struct stat st;
    int fd = root_open(&site->root, sl_printf(file->req, "%s%s", file->path, coding->suffix), &st);

    if (fd < 0)
        return false;
    if (!S_ISREG(st.st_mode) || st.st_mtim.tv_sec < file->st.st_mtim.tv_sec) {
        close(fd);
        return false;
    }
    close(file->fd);
    file->fd = fd;
    file->st = st;
    file->coding = coding;
    return true;
}

static void choose_coding(struct site *site, struct file *file, const char *accept)
{
    const struct coding *codings[CODING_COUNT];
    int count = coding_choose(accept, codings);

    for (int i = 0; i < count; i++)
        if (take_coding(site, file, codings[i]))
            return;
}

static int send_bytes(const struct file *file, off_t offset, off_t size)
{
    int rc = sl_sendfile(file->req, file->fd, offset, (size_t)size);

    if (rc == -EIO)
        sl_log(file->req, SL_ERROR, "static: %s%s was cut short or became unreadable while it was sent", file->path,
               file->coding ? file->coding->suffix : "");
    return rc;
}

static int send_whole(const struct site *site, const struct file *file)
{
    add_head(site, file, file->type->name, file->st.st_size);
    return send_bytes(file, 0, file->st.st_size);
}

static int send_part(const struct site *site, const struct file *file, const struct range *range)
{
    char text[80];

    snprintf(text, sizeof(text), "bytes %jd-%jd/%jd", (intmax_t)range->first, (intmax_t)range->last,
             (intmax_t)file->st.st_size);
    sl_status(file->req, 206, NULL);
    add_field(file->req, "Content-Range", text);
    add_head(site, file, file->type->name, range->last - range->first + 1);
    return send_bytes(file, range->first, range->last - range->first + 1);
}

static int refuse_ranges(const struct file *file)
{
    char text[40];

    snprintf(text, sizeof(text), "bytes */%jd", (intmax_t)file->st.st_size);
    add_field(file->req, "Content-Range", text);
    return reply_text(file->req, 416, "The file has none of the bytes that were asked for.\n");
}

/* The delimiter and head of each part of a multipart/byteranges body. Returns the size of the whole body. */
static int64_t make_parts(const struct file *file, const char *boundary, const struct range *ranges, int count,
                          char **heads)
{
    int64_t size = (int64_t)strlen(boundary) + 8; /* of the delimiter at the end */

    for (int i = 0; i < count; i++) {
        heads[i] = sl_printf(file->req, "%s--%s\r\nContent-Type: %s\r\nContent-Range: bytes %jd-%jd/%jd\r\n\r\n",
                             i ? "\r\n" : "", boundary, file->type->name, (intmax_t)ranges[i].first,
                             (intmax_t)ranges[i].last, (intmax_t)file->st.st_size);
        size += (int64_t)strlen(heads[i]) + ranges[i].last - ranges[i].first + 1;
    }
    return size;
}

/* Several ranges, as multipart/byteranges. The boundary is drawn, so that nobody can write it into a file. */
static int send_parts(const struct site *site, const struct file *file, const struct range *ranges, int count)
{
    struct sl_request *req = file->req;
    char *heads[RANGE_MAX], *end;
    uint64_t drawn[2];
    const char *boundary;
    int64_t size;
    int rc = 0;

    if (getentropy(drawn, sizeof(drawn)) < 0)
        return -errno;
    boundary = sl_printf(req, "%016" PRIx64 "%016" PRIx64, drawn[0], drawn[1]);
    size = make_parts(file, boundary, ranges, count, heads);
    sl_status(req, 206, NULL);
    add_head(site, file, sl_printf(req, "multipart/byteranges; boundary=%s", boundary), size);
    for (int i = 0; i < count && rc == 0; i++) {
        rc = sl_write(req, heads[i], strlen(heads[i]));
        if (rc == 0)
            rc = send_bytes(file, ranges[i].first, ranges[i].last - ranges[i].first + 1);
    }
    end = sl_printf(req, "\r\n--%s--\r\n", boundary);
    return rc ? rc : sl_write(req, end, strlen(end));
}

/* Answer a Range field. Parts of a compressed file are sent one by one only: no client knows whether a Content-Encoding
 * would be the parts' or the multipart body's. */
static int send_ranges(const struct site *site, const struct file *file, const char *value)
{
    struct range ranges[RANGE_MAX];
    int count = range_parse(value, file->st.st_size, ranges);

    if (count == -ERANGE)
        return refuse_ranges(file);
    if (count == 0 || (count > 1 && file->coding))
        return send_whole(site, file);
    return count == 1 ? send_part(site, file, ranges) : send_parts(site, file, ranges, count);
}

static int send_file(const struct site *site, const struct file *file, const struct asked *asked)
{
    int status = condition_check(asked, &file->validators);

    if (status == 412)
        return status;
    if (status == 304) {
        add_common(site, file);
        return sl_status(file->req, status, NULL);
    }
    if (asked->range && !strcmp(file->req->method, "GET") && condition_range(asked, &file->validators))
        return send_ranges(site, file, asked->range);
    return send_whole(site, file);
}

int reply_file(struct site *site, struct sl_request *req, const char *path, int fd, const struct stat *st)
{
    struct file file = {.req = req, .path = path, .fd = fd, .st = *st, .type = mime_find(site->mime, path)};
    struct asked asked;
    int rc;

    asked_read(req, &asked);
    if (asked.accept_encoding && site->precompressed && !file.type->packed)
        choose_coding(site, &file, asked.accept_encoding);
    validators_init(&file.validators, &file.st, file.coding ? file.coding->suffix : "");
    rc = send_file(site, &file, &asked);
    close(file.fd);
    return rc;
}
