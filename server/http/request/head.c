/*
 * head.c: the head of a request.
 *
 * First the end of the head is found, line by line; then line.c parses the request line and llhttp the fields. So
 * llhttp gets all fields at once: its spans are never cut in two, a slow client costs no parsing, and everything stays
 * where it was received. llhttp 8 accepts some heads that other servers read differently (bare CR or LF, a space before
 * the colon, folded lines, several lengths). check_layout refuses them: after each name there must be a colon, and
 * after each value CR LF and the next name (RFC 9112 sections 2.2, 5 and 6.3).
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

/* Optional whitespace, RFC 9110 section 5.6.3. */
static const char *skip_ows(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

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
    value = skip_ows(field->name + field->name_size + 1);
    if (field->value_size == 0) /* llhttp does not say where an empty value is */
        field->value = value;
    if (field->value != value) /* after a line break: folded */
        return NULL;
    end = value + field->value_size;
    while (field->value_size > 0 && (end[-1] == ' ' || end[-1] == '\t')) {
        field->value_size--;
        end--;
    }
    at = skip_ows(end);
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

struct framing {
    const struct sl_field *length, *coding, *host, *expect;
    bool repeated;
};

static void note_field(const struct sl_field **slot, const struct sl_field *field, struct framing *framing)
{
    framing->repeated |= *slot != NULL;
    *slot = field;
}

static bool field_is_named(const struct sl_field *field, const char *name)
{
    return !strncasecmp(field->name, name, field->name_size);
}

static void find_framing(const struct spans *spans, struct framing *framing)
{
    *framing = (struct framing){0};
    for (size_t i = 0; i < spans->count; i++) {
        const struct sl_field *field = &spans->fields[i];

        switch (field->name_size) {
        case 4:
            if (field_is_named(field, "Host"))
                note_field(&framing->host, field, framing);
            break;
        case 6:
            if (field_is_named(field, "Expect"))
                framing->expect = field;
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

static bool field_has_value(const struct sl_field *field, const char *value)
{
    return field->value_size == strlen(value) && !strncasecmp(field->value, value, field->value_size);
}

/* Set what the fields say about the message: host, body, expectation. */
static int set_framing(struct request *req, const struct spans *spans, const char **why)
{
    struct framing framing;

    find_framing(spans, &framing);
    if (framing.repeated)
        return refusal(400, "Host, Content-Length or Transfer-Encoding is repeated", why);
    if (!framing.host && req->view.http_minor > 0)
        return refusal(400, "an HTTP/1.1 request needs a Host field", why);
    req->view.host = framing.host ? framing.host->value : "";
    if (framing.expect && req->view.http_minor > 0) {
        if (!field_has_value(framing.expect, "100-continue"))
            return refusal(417, "100-continue is the only expectation supported", why);
        req->expects_100 = true;
    }
    if (framing.coding && framing.length)
        return refusal(400, "the request has both Content-Length and Transfer-Encoding", why);
    if (framing.coding && (!field_has_value(framing.coding, "chunked") || req->view.http_minor == 0))
        return refusal(400, "the Transfer-Encoding is not just chunked", why);
    if (framing.length && (req->body_left = token_number(framing.length->value, framing.length->value_size)) < 0)
        return refusal(400, "the Content-Length is not a number", why);
    req->body_kind = framing.coding ? BODY_CHUNKED : req->body_left > 0 ? BODY_SIZED : BODY_NONE;
    req->view.length = framing.coding ? -1 : req->body_left;
    req->body_done = req->body_kind == BODY_NONE;
    return 0;
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

/* Whether the connection persists, RFC 9112 section 9.3. close overrides keep-alive, which llhttp ignores in HTTP/1.0.
 */
static bool keeps_alive(const llhttp_t *parser, int http_minor)
{
    if (parser->flags & F_CONNECTION_CLOSE)
        return false;
    return http_minor > 0 || parser->flags & F_CONNECTION_KEEP_ALIVE;
}

/* A parser to copy. llhttp reads no fields before a request line, so this one has read one. */
static const llhttp_t *parser_of_fields(void)
{
    static const char line[] = "GET / HTTP/1.1\r\n";
    static llhttp_t parser;

    if (!parser.settings) {
        llhttp.llhttp_init(&parser, HTTP_REQUEST, &settings);
        llhttp.llhttp_execute(&parser, line, sizeof(line) - 1);
    }
    return &parser;
}

/* Find the fields in [fields, end), and set keep_alive. */
static int parse_fields(struct request *req, struct spans *spans, const char *fields, const char *end, const char **why)
{
    llhttp_t parser = *parser_of_fields();
    enum llhttp_errno err;

    parser.data = spans;
    err = llhttp.llhttp_execute(&parser, fields, (size_t)(end - fields));
    req->keep_alive = keeps_alive(&parser, req->view.http_minor);
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
    status = parse_fields(req, &spans, fields, head + size, why);
    if (status)
        return status;
    terminate_fields(&spans);
    req->view.fields = spans.fields;
    req->view.field_count = spans.count;
    req->view.query = "";
    status = set_framing(req, &spans, why);
    return status ? status : target_parse(req, why);
}
