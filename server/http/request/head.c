/*
 * head.c: the head of a request.
 *
 * First the end of the head is found, line by line; then line.c parses the request line and llhttp the fields. So
 * llhttp gets all fields at once: its spans are never cut in two, a slow client costs no parsing, and everything stays
 * where it was received. llhttp 8 accepts some heads that other servers read differently (bare CR or LF, a space before
 * the colon, folded lines, several lengths). check_layout refuses them: after each name there must be a colon, and
 * after each value CR LF and the next name (RFC 9112 sections 2.2, 5 and 6.3).
 *
 * What the fields mean is read here, not by llhttp: in their lists it knows no tabs and no empty elements.
 */
#include "http/request/head.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

#include "base/library.h"
#include "http/request/line.h"
#include "http/request/target.h"
#include "http/request/token.h"

#define LLHTTP_CALLS(X) X(llhttp_init) X(llhttp_execute) X(llhttp_get_error_reason) X(llhttp_get_error_pos)
LIBRARY_DECLARE(llhttp, LLHTTP_CALLS);
LIBRARY_DEFINE(llhttp, LLHTTP_CALLS);

/* ---- the end ---- */

/* Whether the line that ends at `end` is empty, and not the first of p. Bare LFs count here: parsing refuses them. */
static bool is_empty_line(const char *p, const char *end)
{
    if (end - p >= 3 && end[-2] == '\r')
        end--;
    return end - p >= 2 && end[-2] == '\n';
}

size_t head_find(const char *p, size_t size, struct head_scan *scan)
{
    const char *at = p + scan->at, *end = p + size, *lf;

    while ((lf = memchr(at, '\n', (size_t)(end - at)))) {
        at = lf + 1;
        scan->at = (size_t)(at - p);
        if (scan->lines++ == 0)
            scan->line_size = scan->at;
        if (is_empty_line(p, at))
            return scan->at;
    }
    scan->at = size;
    return 0;
}

bool head_is_plausible(const char *p, size_t size, size_t from)
{
    for (size_t i = from; i < size; i++) {
        unsigned char c = (unsigned char)p[i];

        if ((c < 0x20 && c != '\r' && c != '\n' && c != '\t') || c == 0x7f)
            return false;
    }
    return size == 0 || (size == 1 && p[0] == '\r') || token_is_byte(p[0]);
}

/* ---- spans ---- */

/* What llhttp found in a head, in order. */
struct spans {
    struct sl_field *fields;
    size_t count, capacity;
    bool complete;
};

static int on_field_name(llhttp_t *parser, const char *at, size_t size)
{
    struct spans *spans = parser->data;

    if (spans->count == spans->capacity)
        return -1;
    spans->fields[spans->count++] = (struct sl_field){.name = at, .name_size = (uint32_t)size};
    return 0;
}

static int on_field_value(llhttp_t *parser, const char *at, size_t size)
{
    struct spans *spans = parser->data;
    struct sl_field *field = &spans->fields[spans->count - 1];

    if (field->value) /* a second span: a folded line */
        return -1;
    field->value = at;
    field->value_size = (uint32_t)size;
    return 0;
}

static int on_fields_end(llhttp_t *parser)
{
    struct spans *spans = parser->data;

    spans->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_field_name,
    .on_header_value = on_field_value,
    .on_headers_complete = on_fields_end,
};

/* ---- strictness ---- */

static bool is_crlf(const char *p)
{
    return p[0] == '\r' && p[1] == '\n';
}

/* Check the bytes around a field that must begin at `at`, and cut the blanks at the end of its value. Returns where the
 * next one must begin, or NULL. */
static const char *check_field_layout(struct sl_field *field, const char *at)
{
    const char *value, *end;

    if (field->name != at || field->name_size == 0 || field->name[field->name_size] != ':')
        return NULL;
    value = token_skip_blanks(field->name + field->name_size + 1);
    if (field->value_size == 0) /* llhttp does not say where an empty value is */
        field->value = value;
    if (field->value != value) /* after a line break: folded */
        return NULL;
    end = value + field->value_size;
    while (field->value_size > 0 && (end[-1] == ' ' || end[-1] == '\t')) {
        field->value_size--;
        end--;
    }
    at = token_skip_blanks(end);
    return is_crlf(at) ? at + 2 : NULL;
}

/* Whether the fields from `at`, and the empty line, have that layout up to `end`. */
static bool check_layout(const struct spans *spans, const char *at, const char *end)
{
    for (size_t i = 0; i < spans->count; i++) {
        at = check_field_layout(&spans->fields[i], at);
        if (!at)
            return false;
    }
    return is_crlf(at) && at + 2 == end;
}

/* ---- framing ---- */

enum coding_kind { CODING_CHUNKED, CODING_OTHER, CODING_MALFORMED };

struct framing {
    const struct sl_field *length, *coding, *host, *type;
    bool repeated;           /* one of these is there twice */
    bool closes, keeps;      /* Connection has close, keep-alive */
    bool expects_100, other; /* Expect has 100-continue, something else */
};

static void note_field(const struct sl_field **slot, const struct sl_field *field, struct framing *framing)
{
    framing->repeated |= *slot != NULL;
    *slot = field;
}

/* Compare the name of a field with one of the same size. The first letter tells most from each other. */
static inline bool field_is_named(const struct sl_field *field, const char *name)
{
    return ((*field->name ^ *name) & ~0x20) == 0 && !strncasecmp(field->name, name, field->name_size);
}

/* Compare a name of four bytes, which nearly every request has, in one piece. */
static inline bool field_is_host(const struct sl_field *field)
{
    uint32_t name, host;

    memcpy(&name, field->name, sizeof(name));
    memcpy(&host, "host", sizeof(host));
    return (name | 0x20202020) == host; /* in lower case */
}

static struct span list_of(const struct sl_field *field)
{
    return (struct span){field->value, field->value_size};
}

static void note_connection(const struct sl_field *field, struct framing *framing)
{
    struct span list = list_of(field), element;

    while (token_next(&list, &element)) {
        framing->closes |= token_equals(element, "close");
        framing->keeps |= token_equals(element, "keep-alive");
    }
}

static void note_expectations(const struct sl_field *field, struct framing *framing)
{
    struct span list = list_of(field), element;

    while (token_next(&list, &element))
        *(token_equals(element, "100-continue") ? &framing->expects_100 : &framing->other) = true;
}

static void find_framing(const struct spans *spans, struct framing *framing)
{
    *framing = (struct framing){0};
    for (size_t i = 0; i < spans->count; i++) {
        const struct sl_field *field = &spans->fields[i];

        switch (field->name_size) {
        case 4:
            if (field_is_host(field))
                note_field(&framing->host, field, framing);
            break;
        case 6:
            if (field_is_named(field, "Expect"))
                note_expectations(field, framing);
            break;
        case 10:
            if (field_is_named(field, "Connection"))
                note_connection(field, framing);
            break;
        case 12:
            if (field_is_named(field, "Content-Type"))
                note_field(&framing->type, field, framing);
            break;
        case 14:
            if (field_is_named(field, "Content-Length"))
                note_field(&framing->length, field, framing);
            break;
        case 17:
            if (field_is_named(field, "Transfer-Encoding"))
                note_field(&framing->coding, field, framing);
            break;
        }
    }
}

/* A transfer coding, by its name and perhaps parameters. Returns its kind; chunked has no parameters (RFC 9112 section
 * 7.1). */
static enum coding_kind classify_coding(struct span coding)
{
    size_t name = 0;
    const char *after;

    while (name < coding.size && token_is_byte(coding.at[name]))
        name++;
    after = token_skip_blanks(coding.at + name);
    if (name == 0 || (name < coding.size && *after != ';'))
        return CODING_MALFORMED;
    if (!token_equals((struct span){coding.at, name}, "chunked"))
        return CODING_OTHER;
    return name == coding.size ? CODING_CHUNKED : CODING_MALFORMED;
}

/* Check a Transfer-Encoding, RFC 9112 sections 6.1 and 6.3. */
static int check_coding(const struct sl_field *field, const char **why)
{
    struct span list = list_of(field), coding;
    bool chunked = false, other = false;

    while (token_next(&list, &coding)) {
        enum coding_kind kind = classify_coding(coding);

        if (chunked || kind == CODING_MALFORMED)
            return refusal(400, "the Transfer-Encoding is malformed, or does not end with chunked", why);
        chunked = kind == CODING_CHUNKED;
        other |= !chunked;
    }
    if (other)
        return refusal(501, "chunked is the only Transfer-Encoding supported", why);
    return chunked ? 0 : refusal(400, "the Transfer-Encoding is empty", why);
}

/* Set keep_alive, RFC 9112 section 9.3, and expects_100. HTTP/1.0 has no expectations. */
static int set_options(struct request *req, const struct framing *framing, const char **why)
{
    req->keep_alive = !framing->closes && (req->view.http_minor > 0 || framing->keeps);
    if (req->view.http_minor == 0)
        return 0;
    req->expects_100 = framing->expects_100;
    return framing->other ? refusal(417, "100-continue is the only expectation supported", why) : 0;
}

/* Set what the fields say about the length of the body. */
static int set_length(struct request *req, const struct framing *framing, const char **why)
{
    const struct sl_field *length = framing->length;
    int status;

    if (framing->coding && length)
        return refusal(400, "the request has both Content-Length and Transfer-Encoding", why);
    if (framing->coding && req->view.http_minor == 0)
        return refusal(400, "HTTP/1.0 has no Transfer-Encoding", why);
    if (framing->coding && (status = check_coding(framing->coding, why)))
        return status;
    if (length && (req->body_left = token_number(length->value, length->value_size)) < 0)
        return refusal(400, "the Content-Length is not a number", why);
    req->body_kind = framing->coding ? BODY_CHUNKED : req->body_left > 0 ? BODY_SIZED : BODY_NONE;
    req->view.length = framing->coding ? -1 : req->body_left;
    req->body_done = req->body_kind == BODY_NONE;
    return 0;
}

/* Set what the fields say about the message: host, body, expectation. */
static int set_framing(struct request *req, const struct spans *spans, const char **why)
{
    struct framing framing;
    int status;

    find_framing(spans, &framing);
    if (framing.repeated)
        return refusal(400, "Host, Content-Length, Content-Type or Transfer-Encoding is repeated", why);
    if (!framing.host && req->view.http_minor > 0)
        return refusal(400, "an HTTP/1.1 request needs a Host field", why);
    req->view.host = framing.host ? framing.host->value : "";
    if (!target_is_host(req->view.host))
        return refusal(400, "the Host field is no host and port", why);
    status = set_options(req, &framing, why);
    return status ? status : set_length(req, &framing, why);
}

/* ---- all together ---- */

/* Terminate each string in place. The bytes overwritten are colons, blanks and line ends, see check_layout. */
static void terminate_fields(const struct spans *spans)
{
    for (size_t i = 0; i < spans->count; i++) {
        struct sl_field *field = &spans->fields[i];

        ((char *)field->name)[field->name_size] = '\0';
        ((char *)field->value)[field->value_size] = '\0';
    }
}

/* A parser to copy. llhttp reads no fields before a request line, so this one has read one. */
static const llhttp_t *parser_of_fields(void)
{
    static const char line[] = "GET / HTTP/1.1\r\n";
    static llhttp_t parser;

    if (!parser.settings) {
        llhttp.llhttp_init(&parser, HTTP_REQUEST, &settings);
        parser.lenient_flags |= LENIENT_TRANSFER_ENCODING; /* check_coding is strict */
        llhttp.llhttp_execute(&parser, line, sizeof(line) - 1);
    }
    return &parser;
}

/* llhttp knows no tab after a Content-Length. Make spaces of those where it has stopped; returns whether there is one.
 */
static bool replace_tabs(char *at)
{
    bool found = *at == '\t';

    for (; *at == '\t' || *at == ' '; at++)
        *at = ' ';
    return found;
}

/* Find the fields in [fields, end). */
static int parse_fields(struct spans *spans, const char *fields, const char *end, const char **why)
{
    llhttp_t parser;
    enum llhttp_errno err;

    do {
        parser = *parser_of_fields();
        parser.data = spans;
        spans->count = 0;
        err = llhttp.llhttp_execute(&parser, fields, (size_t)(end - fields));
    } while (err == HPE_INVALID_CONTENT_LENGTH && replace_tabs((char *)llhttp.llhttp_get_error_pos(&parser)));
    if (err != HPE_PAUSED || !spans->complete) {
        const char *reason = llhttp.llhttp_get_error_reason(&parser);

        return refusal(400, reason && *reason ? reason : "the head ends too early", why);
    }
    if (llhttp.llhttp_get_error_pos(&parser) != end || !check_layout(spans, fields, end))
        return refusal(400, "the fields are not laid out as RFC 9112 says", why);
    return 0;
}

int head_parse(struct request *req, char *head, size_t size, unsigned lines, const char **why)
{
    struct spans spans = {.capacity = lines};
    char *fields;
    int status = line_parse(req, head, &fields, why);

    if (status)
        return status;
    spans.fields = arena_alloc(&req->arena, lines * sizeof(*spans.fields));
    status = parse_fields(&spans, fields, head + size, why);
    if (status)
        return status;
    terminate_fields(&spans);
    req->view.fields = spans.fields;
    req->view.field_count = spans.count;
    req->view.query = "";
    status = set_framing(req, &spans, why);
    return status ? status : target_parse(req, why);
}
