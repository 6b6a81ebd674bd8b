/*
 * output_head.c: the head of a script's output, RFC 3875 section 6.
 *
 * It is collected up to its empty line, split into fields and checked as a whole, and only then handed to the server,
 * so that malformed output leaves nothing in the response. Lines end with LF or CRLF. Content-Type, Location and Status
 * are the CGI fields: one of them must be there, and none twice. All other fields go to the server, which leaves out
 * those of the connection.
 *
 * Location without Status means 302, also for a local path, which by RFC 3875 section 6.2.2 the server would serve
 * itself: a handler cannot start another request, and the client gets to the same place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cgi.h"

#define MAX_HEAD         65536 /* bytes */
#define INITIAL_CAPACITY 1024

enum single { TYPE, LOCATION, STATUS, LENGTH, SINGLES };

/* Fields that may be there only once. */
static const char *const singles[SINGLES] = {"Content-Type", "Location", "Status", "Content-Length"};

struct fields {
    struct sl_field *list;
    size_t count;
    const struct sl_field *single[SINGLES]; /* NULL if not there */
};

/* Returns how many bytes of s can be in a field name: tchar in RFC 9110 section 5.6.2. */
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

/* Split a line in place. Returns NULL, or what is wrong with it. */
static const char *output_field_parse(char *line, struct sl_field *field)
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

/* Store the field if it may be there only once. Returns NULL, or what is wrong with it. */
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

/* Check the fields that mean something to the server. Returns NULL, or what is wrong with them. */
static const char *check_singles(const struct fields *fields)
{
    const struct sl_field *length = fields->single[LENGTH];
    const struct sl_field *status = fields->single[STATUS];

    if (!fields->single[TYPE] && !fields->single[LOCATION] && !status)
        return "neither Content-Type nor Location nor Status in the head";
    if (length &&
        (!length->value_size || length->value_size > 18 || strspn(length->value, "0123456789") != length->value_size))
        return "Content-Length is not a number";
    if (!status)
        return NULL;
    if (strspn(status->value, "0123456789") != 3 || (status->value[3] && status->value[3] != ' ') ||
        *status->value < '2')
        return "Status is not 200 to 999, a space and a phrase";
    return NULL;
}

/* Split a head into fields; text ends with its empty line. Returns NULL, or what is wrong, and stores in *where the
 * line. */
static const char *output_head_split(struct fields *fields, char *text, const char **where)
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
        error = output_field_parse(text, field);
        if (!error)
            error = note_single(fields, field);
        fields->count++;
    }
    return error ? error : check_singles(fields);
}

/* Hand status and fields to the server, which may refuse a field: then it returns -errno, and *where is the name. */
static int output_head_apply(const struct fields *fields, struct sl_request *req, const char **where)
{
    const struct sl_field *status = fields->single[STATUS];
    int err = 0;

    if (status)
        err = sl_status(req, atoi(status->value), status->value_size > 4 ? status->value + 4 : NULL);
    else if (fields->single[LOCATION])
        err = sl_status(req, 302, NULL);
    for (size_t i = 0; !err && i < fields->count; i++) {
        const struct sl_field *field = &fields->list[i];

        *where = field->name;
        if (field != status)
            err = sl_header_n(req, field->name, field->name_size, field->value, field->value_size);
    }
    return err;
}

static void output_head_append(struct output_head *head, struct sl_request *req, const char *data, size_t size)
{
    if (head->size + size + 1 > head->capacity) {
        char *old = head->text;

        head->capacity = head->capacity ? head->capacity : INITIAL_CAPACITY;
        while (head->size + size + 1 > head->capacity)
            head->capacity *= 2;
        head->text = sl_alloc(req, head->capacity);
        memcpy(head->text, old ? old : "", head->size);
    }
    memcpy(head->text + head->size, data, size);
    head->size += size;
    head->text[head->size] = '\0';
}

/* Returns the size of the head with its empty line; 0 while that has not come. */
static size_t output_head_end(struct output_head *head)
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

/* Deal with a head that is complete, text and size. Returns NULL, or what is wrong, and stores in *where the text in
 * question. */
static const char *output_head_finish(struct output_head *head, struct sl_request *req, const char **where)
{
    struct fields fields = {0};
    const char *error;

    if (strlen(head->text) != head->size)
        return "a NUL byte in the head";
    fields.list = sl_alloc(req, count_lines(head->text) * sizeof(*fields.list));
    error = output_head_split(&fields, head->text, where);
    if (!error && output_head_apply(&fields, req, where) < 0)
        error = "refused field";
    return error;
}

int output_head_feed(struct output_head *head, struct sl_request *req, const struct script *script, const char *data,
                     size_t size, const char **body)
{
    size_t before = head->size;
    size_t end;
    const char *error;
    const char *where = "";

    output_head_append(head, req, data, size < MAX_HEAD - before ? size : MAX_HEAD - before);
    end = output_head_end(head);
    if (!end && head->size < MAX_HEAD)
        return 0;
    if (end) {
        *body = data + (end - before);
        head->complete = true;
        head->text[end] = '\0';
        head->size = end;
        error = output_head_finish(head, req, &where);
    } else {
        error = "a head of more than 64 KiB";
    }
    if (!error)
        return 0;
    sl_log(req, SL_ERROR, "cgi: %s: malformed output: %s%s%.200s", script->file, error, *where ? ": " : "", where);
    return -EPROTO;
}
