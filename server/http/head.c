/*
 * head.c: the head of a request.
 *
 * The end of the head is looked for first, line by line, and llhttp gets it whole: its spans are then whole too, a slow
 * sender costs no parsing, and everything can stay where it was received. llhttp 8 lets some things through that other
 * servers read differently (bare CR or LF, a space before the colon, folded lines, several lengths); since every span
 * is at hand, strictness is one look at what stands between them: after each name a colon, after each value CR LF and
 * then the next name. What stands there otherwise is refused, RFC 9112 sections 2.2, 5 and 6.3.
 */
#include "http/head.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "http/target.h"

/* ---- the end ---- */

/* Whether the line that ends at `end` is empty, and not the first. Bare LFs count: parsing will refuse them. */
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
        scan->lines++;
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
    return size == 0 || (size == 1 && p[0] == '\r') || (p[0] >= 'A' && p[0] <= 'Z');
}

/* ---- spans ---- */

/* What llhttp found in a head, in the order it found it. */
struct spans {
    struct request *req;
    struct sl_field *fields;
    size_t count, room;
    size_t target_size;
    bool complete;
};

static struct spans *spans_of(llhttp_t *parser)
{
    return parser->data;
}

static int on_url(llhttp_t *parser, const char *at, size_t size)
{
    struct spans *spans = spans_of(parser);

    spans->req->facts.target = at;
    spans->target_size = size;
    return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t size)
{
    struct spans *spans = spans_of(parser);

    if (!spans) /* a trailer: read and dropped */
        return 0;
    if (spans->count == spans->room)
        return -1;
    spans->fields[spans->count++] = (struct sl_field){.name = at, .name_size = (uint32_t)size};
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t size)
{
    struct spans *spans = spans_of(parser);
    struct sl_field *field;

    if (!spans)
        return 0;
    field = &spans->fields[spans->count - 1];
    if (field->value) /* a second span: a folded line */
        return -1;
    field->value = at;
    field->value_size = (uint32_t)size;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    spans_of(parser)->complete = true;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *parser, const char *at, size_t size);

static int on_message_complete(llhttp_t *parser)
{
    struct request *req = (struct request *)((char *)parser - offsetof(struct request, parser));

    req->body_done = true;
    return HPE_PAUSED;
}

const llhttp_settings_t head_settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* One piece of a chunked body, still in the input buffer: stop there, so that it can be taken. */
static int on_body(llhttp_t *parser, const char *at, size_t size)
{
    struct request *req = (struct request *)((char *)parser - offsetof(struct request, parser));

    req->span = at;
    req->span_size = size;
    return HPE_PAUSED;
}

/* ---- strictness ---- */

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

static bool is_crlf(const char *p)
{
    return p[0] == '\r' && p[1] == '\n';
}

/* Check what stands around one field that begins at `at`, and cut the blanks at the end of its value. Returns where the
 * next one must begin, or NULL. */
static const char *check_field(struct sl_field *field, const char *at)
{
    const char *value, *end;

    if (field->name != at || field->name_size == 0 || field->name[field->name_size] != ':')
        return NULL;
    value = skip_blanks(field->name + field->name_size + 1);
    if (field->value_size == 0) /* llhttp says nothing, or anything, of where an empty one is */
        field->value = value;
    if (field->value != value) /* behind a line break: folded */
        return NULL;
    end = value + field->value_size;
    while (field->value_size > 0 && (end[-1] == ' ' || end[-1] == '\t')) {
        field->value_size--;
        end--;
    }
    at = skip_blanks(end);
    return is_crlf(at) ? at + 2 : NULL;
}

/* Check the whole head's layout: request line, fields, empty line. */
static bool check_layout(const struct spans *spans, const char *head, const char *end)
{
    const struct request *req = spans->req;
    const char *at = req->facts.target + spans->target_size;

    if (req->facts.target != head + strlen(req->facts.method) + 1) /* one space */
        return false;
    if (memcmp(at, " HTTP/1.", 8) || !is_crlf(at + 9))
        return false;
    at += 11;
    for (size_t i = 0; i < spans->count; i++) {
        at = check_field(&spans->fields[i], at);
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

static void note(const struct sl_field **slot, const struct sl_field *field, struct framing *framing)
{
    framing->repeated |= *slot != NULL;
    *slot = field;
}

static bool is_named(const struct sl_field *field, const char *name)
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
            if (is_named(field, "Host"))
                note(&framing->host, field, framing);
            break;
        case 6:
            if (is_named(field, "Expect"))
                framing->expect = field;
            break;
        case 14:
            if (is_named(field, "Content-Length"))
                note(&framing->length, field, framing);
            break;
        case 17:
            if (is_named(field, "Transfer-Encoding"))
                note(&framing->coding, field, framing);
            break;
        }
    }
}

/* 1*DIGIT of at most 18 digits, RFC 9110 section 8.6; -1 for anything else. */
static int64_t parse_length(const struct sl_field *field)
{
    int64_t n = 0;

    if (field->value_size == 0 || field->value_size > 18)
        return -1;
    for (size_t i = 0; i < field->value_size; i++) {
        if (field->value[i] < '0' || field->value[i] > '9')
            return -1;
        n = n * 10 + (field->value[i] - '0');
    }
    return n;
}

static bool is_value(const struct sl_field *field, const char *value)
{
    return field->value_size == strlen(value) && !strncasecmp(field->value, value, field->value_size);
}

static int set_body(struct request *req, const struct framing *framing, const char **why)
{
    req->body_kind = BODY_NONE;
    *why = "the request gives Content-Length and Transfer-Encoding";
    if (framing->coding && framing->length)
        return 400;
    *why = "the Transfer-Encoding is not just chunked";
    if (framing->coding && (!is_value(framing->coding, "chunked") || req->facts.http_minor == 0))
        return 400;
    *why = "the Content-Length is no number";
    if (framing->length && (req->body_left = parse_length(framing->length)) < 0)
        return 400;
    if (framing->coding)
        req->body_kind = BODY_CHUNKED;
    else if (req->body_left > 0)
        req->body_kind = BODY_SIZED;
    req->facts.length = framing->coding ? -1 : req->body_left;
    req->body_done = req->body_kind == BODY_NONE;
    return 0;
}

static int set_framing(struct request *req, const struct spans *spans, const char **why)
{
    struct framing framing;

    find_framing(spans, &framing);
    *why = "Host, Content-Length or Transfer-Encoding is repeated";
    if (framing.repeated)
        return 400;
    *why = "an HTTP/1.1 request needs a Host field";
    if (!framing.host && req->facts.http_minor > 0)
        return 400;
    req->facts.host = framing.host ? framing.host->value : "";
    *why = "the server meets no expectation but 100-continue";
    if (framing.expect && req->facts.http_minor > 0) {
        if (!is_value(framing.expect, "100-continue"))
            return 417;
        req->expects_100 = true;
    }
    return set_body(req, &framing, why);
}

/* ---- all together ---- */

/* End each string in place; the bytes overwritten are the colons, blanks and line ends that check_layout has seen. */
static void terminate(const struct spans *spans)
{
    ((char *)spans->req->facts.target)[spans->target_size] = '\0';
    for (size_t i = 0; i < spans->count; i++) {
        struct sl_field *field = &spans->fields[i];

        ((char *)field->name)[field->name_size] = '\0';
        ((char *)field->value)[field->value_size] = '\0';
    }
}

/* Whether the request line ends with a well-formed version that is none of ours. */
static bool has_other_version(const char *head, size_t size)
{
    const char *end = memchr(head, '\r', size);

    return end && end[1] == '\n' && end - head > 9 && !memcmp(end - 9, " HTTP/", 6) &&
           isdigit((unsigned char)end[-3]) && end[-2] == '.' && isdigit((unsigned char)end[-1]) &&
           (end[-3] != '1' || end[-1] > '1');
}

static int refuse(const llhttp_t *parser, const char *head, size_t size, const char **why)
{
    *why = llhttp_get_error_reason(parser);
    if (!*why || !**why)
        *why = "the head ends too early";
    return has_other_version(head, size) ? 505 : 400;
}

int head_parse(struct request *req, char *head, size_t size, unsigned lines, const char **why)
{
    struct spans spans = {.req = req, .room = lines};
    llhttp_t *parser = &req->parser;
    enum llhttp_errno err;
    int status;

    spans.fields = arena_alloc(&req->arena, lines * sizeof(*spans.fields));
    llhttp_init(parser, HTTP_REQUEST, &head_settings);
    parser->data = &spans;
    err = llhttp_execute(parser, head, size);
    parser->data = NULL;
    if (err != HPE_PAUSED || !spans.complete)
        return refuse(parser, head, size, why);
    if (parser->http_major != 1 || parser->http_minor > 1) {
        *why = "the server speaks HTTP/1.0 and HTTP/1.1";
        return 505;
    }
    req->facts.method = llhttp_method_name(parser->method);
    *why = "the head is not laid out as RFC 9112 says";
    if (llhttp_get_error_pos(parser) != head + size || !check_layout(&spans, head, head + size))
        return 400;
    terminate(&spans);
    req->facts.fields = spans.fields;
    req->facts.field_count = spans.count;
    req->facts.http_minor = parser->http_minor;
    req->facts.query = "";
    req->keep_alive = llhttp_should_keep_alive(parser);
    status = set_framing(req, &spans, why);
    return status ? status : target_parse(req, why);
}
