/*
 * head.c: the head of a request.
 *
 * The end of the head is looked for first, line by line, and llhttp gets the fields whole: its spans are then whole
 * too, a slow sender costs no parsing, and everything can stay where it was received. The request line has been read
 * before (line.c); llhttp gets one in its place. llhttp 8 lets some things through that other servers read differently
 * (bare CR or LF, a space before the colon, folded lines, several lengths); since every span is at hand, strictness is
 * one look at what stands between them: after each name a colon, after each value CR LF and then the next name. What
 * stands there otherwise is refused, RFC 9112 sections 2.2, 5 and 6.3.
 */
#include "http/request/head.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

#include "http/request/line.h"
#include "http/request/target.h"
#include "http/request/token.h"

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

/* What llhttp found in a head, in the order it found it. */
struct spans {
    struct request *req;
    struct sl_field *fields;
    size_t count, room;
    bool complete;
};

static struct spans *spans_of(llhttp_t *parser)
{
    return parser->data;
}

static int on_field(llhttp_t *parser, const char *at, size_t size)
{
    struct spans *spans = spans_of(parser);

    if (spans->count == spans->room)
        return -1;
    spans->fields[spans->count++] = (struct sl_field){.name = at, .name_size = (uint32_t)size};
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t size)
{
    struct spans *spans = spans_of(parser);
    struct sl_field *field;

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

static const llhttp_settings_t settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
};

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

/* Check the layout of all fields and the empty line. */
static bool check_layout(const struct spans *spans, const char *at, const char *end)
{
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
    if (framing->coding && (!is_value(framing->coding, "chunked") || req->view.http_minor == 0))
        return 400;
    *why = "the Content-Length is no number";
    if (framing->length && (req->body_left = token_number(framing->length->value, framing->length->value_size)) < 0)
        return 400;
    if (framing->coding)
        req->body_kind = BODY_CHUNKED;
    else if (req->body_left > 0)
        req->body_kind = BODY_SIZED;
    req->view.length = framing->coding ? -1 : req->body_left;
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
    if (!framing.host && req->view.http_minor > 0)
        return 400;
    req->view.host = framing.host ? framing.host->value : "";
    *why = "the server meets no expectation but 100-continue";
    if (framing.expect && req->view.http_minor > 0) {
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
    for (size_t i = 0; i < spans->count; i++) {
        struct sl_field *field = &spans->fields[i];

        ((char *)field->name)[field->name_size] = '\0';
        ((char *)field->value)[field->value_size] = '\0';
    }
}

/* Whether the connection persists, RFC 9112 section 9.3: close goes before all, which llhttp does not see to in
 * HTTP/1.0. */
static bool keeps_alive(const llhttp_t *parser, int http_minor)
{
    if (parser->flags & F_CONNECTION_CLOSE)
        return false;
    return http_minor > 0 || parser->flags & F_CONNECTION_KEEP_ALIVE;
}

/* A parser that has read a request line, for it reads no fields before. Made once: a copy goes on from there. */
static const llhttp_t *behind_line(void)
{
    static const char line[] = "GET / HTTP/1.1\r\n";
    static llhttp_t parser;

    if (!parser.settings) {
        llhttp_init(&parser, HTTP_REQUEST, &settings);
        llhttp_execute(&parser, line, sizeof(line) - 1);
    }
    return &parser;
}

/* Let llhttp read the fields. Returns NULL, or what is wrong with them. */
static const char *parse_fields(struct spans *spans, const char *fields, const char *end)
{
    struct request *req = spans->req;
    llhttp_t parser = *behind_line();
    enum llhttp_errno err;
    const char *why;

    parser.data = spans;
    err = llhttp_execute(&parser, fields, (size_t)(end - fields));
    req->keep_alive = keeps_alive(&parser, req->view.http_minor);
    why = llhttp_get_error_reason(&parser);
    if (err != HPE_PAUSED || !spans->complete)
        return why && *why ? why : "the head ends too early";
    if (llhttp_get_error_pos(&parser) != end || !check_layout(spans, fields, end))
        return "the fields are not laid out as RFC 9112 says";
    return NULL;
}

int head_parse(struct request *req, char *head, size_t size, unsigned lines, const char **why)
{
    struct spans spans = {.req = req, .room = lines};
    char *fields;
    int status = line_parse(req, head, &fields, why);

    if (status)
        return status;
    spans.fields = arena_alloc(&req->arena, lines * sizeof(*spans.fields));
    *why = parse_fields(&spans, fields, head + size);
    if (*why)
        return 400;
    terminate(&spans);
    req->view.fields = spans.fields;
    req->view.field_count = spans.count;
    req->view.query = "";
    status = set_framing(req, &spans, why);
    return status ? status : target_parse(req, why);
}
