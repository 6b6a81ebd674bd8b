/*
 * reply.c: answers with a file: chooses its coding, checks whether the client has it already, sends the bytes asked
 * for.
 *
 * sl_sendfile sends the bytes from the page cache to the socket; they are never copied here. The size is the one that
 * fstat gave before the head was sent. If the file shrinks meanwhile, sl_sendfile fails and the connection is closed,
 * so that the client sees that the file is not whole.
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

/* The file that is sent: the original, or the compressed one beside it. */
struct file {
    struct sl_request *req;
    const char *path; /* of the original */
    int fd;
    struct stat st;
    const struct mime_type *type;
    const struct coding *coding; /* NULL for the original */
    struct validators validators;
};

static void reply_add_field(struct sl_request *req, const char *name, const char *value)
{
    int err = sl_header(req, name, value);

    if (err)
        sl_log(req, SL_ERROR, "static: the response field \"%s: %s\" is left out: %s", name, value, strerror(-err));
}

static void reply_add_number(struct sl_request *req, const char *name, int64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, number);
    reply_add_field(req, name, text);
}

int reply_text(struct sl_request *req, int status, const char *text)
{
    return sl_reply(req, status, "text/plain; charset=utf-8", text, strlen(text));
}

void reply_add_fields(const struct site *site, struct sl_request *req)
{
    for (const struct site_field *field = site->fields; field->name; field++)
        reply_add_field(req, field->name, field->value);
}

/* Add the fields that status 200, 206 and 304 have in common (RFC 9110 section 15.4.5). */
static void reply_add_common(const struct site *site, const struct file *file)
{
    reply_add_field(file->req, "ETag", file->validators.etag);
    if (site->precompressed && !file->type->compressed)
        reply_add_field(file->req, "Vary", "Accept-Encoding");
    reply_add_fields(site, file->req);
}

/* Add the fields of a file, whole or in part. */
static void reply_add_head(const struct site *site, const struct file *file, const char *type, int64_t length)
{
    char date[SL_HTTP_DATE_SIZE];

    sl_http_date(file->validators.modified, date);
    reply_add_field(file->req, "Content-Type", type);
    reply_add_number(file->req, "Content-Length", length);
    reply_add_field(file->req, "Last-Modified", date);
    reply_add_field(file->req, "Accept-Ranges", "bytes");
    if (file->coding)
        reply_add_field(file->req, "Content-Encoding", file->coding->name);
    reply_add_common(site, file);
}

/* Use the compressed file with that coding instead of the original. Returns false if there is none, or if it is older
 * than the original: somebody has changed the page without compressing it again, and wants to see the change. Times are
 * compared in whole seconds, since some compressors copy no more of the original's. */
static bool use_coding(struct site *site, struct file *file, const struct coding *coding)
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
        if (use_coding(site, file, codings[i]))
            return;
}

static int reply_send_bytes(const struct file *file, off_t offset, off_t size)
{
    int err = sl_sendfile(file->req, file->fd, offset, (size_t)size);

    if (err == -EIO)
        sl_log(file->req, SL_ERROR, "static: %s%s was cut short or became unreadable while it was sent", file->path,
               file->coding ? file->coding->suffix : "");
    return err;
}

static int reply_send_whole(const struct site *site, const struct file *file)
{
    reply_add_head(site, file, file->type->name, file->st.st_size);
    return reply_send_bytes(file, 0, file->st.st_size);
}

static int reply_send_range(const struct site *site, const struct file *file, const struct range *range)
{
    char text[80];

    snprintf(text, sizeof(text), "bytes %jd-%jd/%jd", (intmax_t)range->first, (intmax_t)range->last,
             (intmax_t)file->st.st_size);
    sl_status(file->req, 206, NULL);
    reply_add_field(file->req, "Content-Range", text);
    reply_add_head(site, file, file->type->name, range->last - range->first + 1);
    return reply_send_bytes(file, range->first, range->last - range->first + 1);
}

static int reply_send_unsatisfiable(const struct file *file)
{
    char text[40];

    snprintf(text, sizeof(text), "bytes */%jd", (intmax_t)file->st.st_size);
    reply_add_field(file->req, "Content-Range", text);
    return reply_text(file->req, 416, "The file has none of the bytes that were asked for.\n");
}

/* Make the delimiter and head of each part of a multipart/byteranges body. Returns the size of the whole body. */
static int64_t make_part_heads(const struct file *file, const char *boundary, const struct range *ranges, int count,
                               char **heads)
{
    int64_t size = (int64_t)strlen(boundary) + 8; /* the closing delimiter */

    for (int i = 0; i < count; i++) {
        heads[i] = sl_printf(file->req, "%s--%s\r\nContent-Type: %s\r\nContent-Range: bytes %jd-%jd/%jd\r\n\r\n",
                             i ? "\r\n" : "", boundary, file->type->name, (intmax_t)ranges[i].first,
                             (intmax_t)ranges[i].last, (intmax_t)file->st.st_size);
        size += (int64_t)strlen(heads[i]) + ranges[i].last - ranges[i].first + 1;
    }
    return size;
}

/* Send several ranges as multipart/byteranges. The boundary is random, so that no file can be made to contain it. */
static int reply_send_multipart(const struct site *site, const struct file *file, const struct range *ranges, int count)
{
    struct sl_request *req = file->req;
    char *heads[MAX_RANGES], *end;
    uint64_t random[2];
    const char *boundary;
    int64_t size;
    int err = 0;

    if (getentropy(random, sizeof(random)) < 0)
        return -errno;
    boundary = sl_printf(req, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    size = make_part_heads(file, boundary, ranges, count, heads);
    sl_status(req, 206, NULL);
    reply_add_head(site, file, sl_printf(req, "multipart/byteranges; boundary=%s", boundary), size);
    for (int i = 0; i < count && err == 0; i++) {
        err = sl_write(req, heads[i], strlen(heads[i]));
        if (err == 0)
            err = reply_send_bytes(file, ranges[i].first, ranges[i].last - ranges[i].first + 1);
    }
    end = sl_printf(req, "\r\n--%s--\r\n", boundary);
    return err ? err : sl_write(req, end, strlen(end));
}

/* Answer a Range field. Several ranges of a compressed file are not sent: clients could not tell whether the
 * Content-Encoding is that of the parts or of the multipart body. */
static int reply_send_ranges(const struct site *site, const struct file *file, const char *value)
{
    struct range ranges[MAX_RANGES];
    int count = range_parse(value, file->st.st_size, ranges);

    if (count == -ERANGE)
        return reply_send_unsatisfiable(file);
    if (count == 0 || (count > 1 && file->coding))
        return reply_send_whole(site, file);
    return count == 1 ? reply_send_range(site, file, ranges) : reply_send_multipart(site, file, ranges, count);
}

static int reply_send(const struct site *site, const struct file *file, const struct conditions *conditions)
{
    int status = condition_check(conditions, &file->validators);

    if (status == 412)
        return status;
    if (status == 304) {
        reply_add_common(site, file);
        return sl_status(file->req, status, NULL);
    }
    if (conditions->range && !strcmp(file->req->method, "GET") && condition_range(conditions, &file->validators))
        return reply_send_ranges(site, file, conditions->range);
    return reply_send_whole(site, file);
}

int reply_file(struct site *site, struct sl_request *req, const char *path, int fd, const struct stat *st)
{
    struct file file = {.req = req, .path = path, .fd = fd, .st = *st, .type = mime_find(site->mime, path)};
    struct conditions conditions;
    int result;

    conditions_read(&conditions, req);
    if (conditions.accept_encoding && site->precompressed && !file.type->compressed)
        choose_coding(site, &file, conditions.accept_encoding);
    validators_init(&file.validators, &file.st, file.coding ? file.coding->suffix : "");
    result = reply_send(site, &file, &conditions);
    close(file.fd);
    return result;
}
