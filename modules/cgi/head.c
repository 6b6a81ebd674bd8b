/*
 * head.c: the head of a script's output, RFC 3875 section 6.
 *
 * It is collected up to its empty line, taken apart, checked as a whole, and only then given to the server, so that
 * malformed output leaves nothing behind in the response. Lines end with LF or CRLF. Content-Type, Location and Status
 * are the CGI fields: one of them must be there, none twice. All others go to the client, but for those that describe
 * the connection: they are the server's to set, and are left out.
 *
 * Location without Status means 302. That goes for a local path too, which RFC 3875 section 6.2.2 would have the server
 * answer itself: a handler cannot start another request, and the client gets to the same place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cgi.h"

#define HEAD_MAX  65536
#define HEAD_ROOM 1024 /* at first */

enum single { TYPE, LOCATION, STATUS, LENGTH, SINGLES };

/* Fields that may not be repeated. */
static const char *const singles[SINGLES] = {"Content-Type", "Location", "Status", "Content-Length"};

static const char *const of_connection[] = {
    "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
};

struct fields {
    struct sl_field *list;
    size_t count;
    const struct sl_field *single[SINGLES]; /* NULL if not there */
};

static bool is_of_connection(const char *name)
{
    for (size_t i = 0; i < sizeof(of_connection) / sizeof(*of_connection); i++)
        if (!strcasecmp(name, of_connection[i]))
            return true;
    return false;
}

/* Bytes of s that can be in a field name: the tchar of RFC 9110 section 5.6.2. */
static size_t token_size(const char *s)
{
    return strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static bool has_control(const char *s)
{
    for (; *s; s++)
        if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
            return true;
    return false;
}

/* Take line apart in place. NULL, or what is wrong. */
static const char *parse_field(char *line, struct sl_field *field)
{
    size_t name_size = token_size(line);
    char *value, *end;

    if (!name_size || line[name_size] != ':')
        return "not a header field";
    value = line + name_size + 1;
    line[name_size] = '\0';
    value += strspn(value, " \t");
    end = value + strlen(value);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    if (has_control(value))
        return "control bytes in the field";
    *field = (struct sl_field){line, value, name_size, end - value};
    return NULL;
}

/* Remember field if it is one that may not be repeated. NULL, or what is wrong. */
static const char *note_single(struct fields *fields, const struct sl_field *field)
{
    for (int i = 0; i < SINGLES; i++)
        if (!strcasecmp(field->name, singles[i])) {
            if (fields->single[i])
                return "repeated field";
            fields->single[i] = field;
        }
    return NULL;
}

/* What is wrong with the values of the fields that mean something to us, or NULL. */
static const char *check_singles(const struct fields *fields)
{
    const struct sl_field *length = fields->single[LENGTH];
    const struct sl_field *status = fields->single[STATUS];

    if (!fields->single[TYPE] && !fields->single[LOCATION] && !status)
        return "neither Content-Type nor Location nor Status in the head";
    if (length &&
        (!length->value_size || length->value_size > 18 || strspn(length->value, "0123456789") != length->value_size))
        return "Content-Length is no number";
    if (!status)
        return NULL;
    if (strspn(status->value, "0123456789") != 3 || (status->value[3] && status->value[3] != ' ') ||
        *status->value < '2' || *status->value > '5')
        return "Status is not 200 to 599, a space and a phrase";
    return NULL;
}

/* Take the head apart into fields; text ends with its empty line. NULL, or what is wrong, in *where. */
static const char *parse(struct fields *fields, char *text, const char **where)
{
    const char *error = NULL;

    for (char *end; !error && (end = strchr(text, '\n')); text = end + 1) {
        struct sl_field *field = &fields->list[fields->count];

        *end = '\0';
        if (end > text && end[-1] == '\r')
            end[-1] = '\0';
        if (!*text)
            break;
        *where = text;
        error = parse_field(text, field);
        if (!error)
            error = note_single(fields, field);
        fields->count++;
    }
    return error ? error : check_singles(fields);
}

/* Give status and fields to the server, which has the last word on what it sends: 0, or the -errno of a refusal and
 * the field in *where. */
static int apply(const struct fields *fields, struct sl_request *req, const char **where)
{
    const struct sl_field *status = fields->single[STATUS];
    int rc = 0;

    if (status)
        rc = sl_status(req, atoi(status->value), status->value_size > 4 ? status->value + 4 : NULL);
    else if (fields->single[LOCATION])
        rc = sl_status(req, 302, NULL);
    for (size_t i = 0; !rc && i < fields->count; i++) {
        const struct sl_field *field = &fields->list[i];

        *where = field->name;
        if (field != status && !is_of_connection(field->name))
            rc = sl_header_n(req, field->name, field->name_size, field->value, field->value_size);
    }
    return rc;
}

static void append(struct head *head, struct sl_request *req, const char *data, size_t size)
{
    if (head->size + size + 1 > head->room) {
        char *old = head->text;

        head->room = head->room ? head->room : HEAD_ROOM;
        while (head->size + size + 1 > head->room)
            head->room *= 2;
        head->text = sl_alloc(req, head->room);
        memcpy(head->text, old ? old : "", head->size);
    }
    memcpy(head->text + head->size, data, size);
    head->size += size;
    head->text[head->size] = '\0';
}

/* Bytes of the head with its empty line, or 0 while that has not come. */
static size_t find_end(struct head *head)
{
    char *end;

    while ((end = memchr(head->text + head->line, '\n', head->size - head->line))) {
        size_t size = end - (head->text + head->line);
        bool is_empty = !size || (size == 1 && end[-1] == '\r');

        head->line += size + 1;
        if (is_empty)
            return head->line;
    }
    return 0;
}

static size_t count_lines(const char *text)
{
    size_t count = 0;

    while ((text = strchr(text, '\n'))) {
        count++;
        text++;
    }
    return count;
}

/* The head is complete, with nothing behind it. NULL, or what is wrong, and in *where the text it is about. */
static const char *finish(struct head *head, struct sl_request *req, const char **where)
{
    struct fields fields = {0};
    const char *error;

    if (strlen(head->text) != head->size)
        return "a NUL byte in the head";
    fields.list = sl_alloc(req, count_lines(head->text) * sizeof(*fields.list));
    error = parse(&fields, head->text, where);
    if (!error && apply(&fields, req, where) < 0)
        error = "refused field";
    return error;
}

int head_feed(struct head *head, struct sl_request *req, const struct script *script, const char *data, size_t size,
              const char **body)
{
    size_t before = head->size;
    size_t end;
    const char *error;
    const char *where = "";

    append(head, req, data, size < HEAD_MAX - before ? size : HEAD_MAX - before);
    end = find_end(head);
    if (!end && head->size < HEAD_MAX)
        return 0;
    if (end) {
        *body = data + (end - before);
        head->done = true;
        head->text[end] = '\0';
        head->size = end;
        error = finish(head, req, &where);
    } else {
        error = "a head of more than 64 KiB";
    }
    if (!error)
        return 0;
    sl_log(req, SL_ERROR, "cgi: %s: malformed output: %s%s%.200s", script->file, error, *where ? ": " : "", where);
    return -EPROTO;
}
