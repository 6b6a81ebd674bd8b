/*
 * format.c: the format of the access log, compiled once into a list of what to add to a line.
 *
 * A part is either plain text or a variable, so writing a line is a loop over an array. In the format json a variable
 * is written as a JSON value: a number, a string in quotes, or null. In every other format it is text, and - if there
 * is none.
 */
#include "access/format.h"

#include <string.h>
#include <unistd.h>

#include "access/record.h"
#include "base/array.h"

struct part {
    const struct variable *variable; /* NULL: plain text */
    const char *text;                /* the text, or the argument of the variable */
    size_t size;
    int part; /* of variable_part */
};

struct format {
    bool json;
    bool has_parts; /* a variable is variable_part */
    size_t count;
    struct part *parts;
};

#define COMBINED                                                                                                       \
    "%(addr) - %(user) [%(ltime)] \"%(method) %(uri) %(proto)\" %(status) %(size) \"%(referer)\" \"%(uagent)\""

static const struct {
    const char *name, *text;
} named_formats[] = {
    {"common", "%(addr) - %(user) [%(ltime)] \"%(method) %(uri) %(proto)\" %(status) %(size)"},
    {"combined", COMBINED},
    {"combined-time", COMBINED " %(secs)"},
    {"json",
     "{\"time\":%(time),\"addr\":%(addr),\"user\":%(user),\"method\":%(method),\"uri\":%(uri),\"proto\":%(proto),"
     "\"host\":%(host),\"status\":%(status),\"size\":%(size),\"rsize\":%(rsize),\"referer\":%(referer),"
     "\"uagent\":%(uagent),\"request_id\":%(request_id),\"trace_id\":%(trace_id),\"span_id\":%(span_id),\"micros\":%("
     "micros),\"queue_us\":%(queue_us),"
     "\"cpu_us\":%(cpu_us),\"wait_us\":%(wait_us),\"pid\":%(pid),\"wid\":%(wid)}"},
};

static int worker_number, worker_pid;

void format_set_worker(int number)
{
    worker_number = number;
    worker_pid = getpid();
}

/* ---- compiling ---- */

struct compiler {
    struct arena *arena;
    struct format *format;
    const char *why;
};

/* Returns next. */
static const char *append_part(struct compiler *c, const struct variable *variable, const char *text, size_t size,
                               const char *next)
{
    c->format->parts[c->format->count++] = (struct part){variable, arena_strndup(c->arena, text, size), size, 0};
    return next;
}

/* at: after the %( */
static const char *compile_variable(struct compiler *c, const char *at)
{
    size_t size = strcspn(at, ")");

    for (const struct variable *v = variables; v->name; v++)
        if (strlen(v->name) == size && !strncmp(v->name, at, size) && at[size])
            return append_part(c, v, "", 0, at + size + 1);
    c->why = arena_printf(c->arena, "there is no variable \"%%(%.*s)\"; docs/logs.md lists them", (int)size, at);
    return NULL;
}

static const char *compile_time(struct compiler *c, const char *at, size_t size)
{
    int part = standing_part_by_name(at, size);
    const char *next = append_part(c, &variable_part, at, size, at + size + 2);

    if (part < 0)
        c->why = arena_printf(c->arena, "there is no \"%%{%.*s}T\"; docs/logs.md lists the parts of the time",
                              (int)size, at);
    c->format->parts[c->format->count - 1].part = part;
    c->format->has_parts = true;
    return part < 0 ? NULL : next;
}

/* at: after the %{ */
static const char *compile_field(struct compiler *c, const char *at)
{
    size_t size = strcspn(at, "}");

    if (at[size] && at[size + 1] == 'i')
        return append_part(c, &variable_request_field, at, size, at + size + 2);
    if (at[size] && at[size + 1] == 'o')
        return append_part(c, &variable_response_field, at, size, at + size + 2);
    if (at[size] && at[size + 1] == 'T')
        return compile_time(c, at, size);
    c->why = "\"%{\" must be followed by the name of a field and \"}i\" (request) or \"}o\" (response), "
             "or by that of a part of the time and \"}T\"";
    return NULL;
}

/* Returns what follows the part, or NULL if it is wrong. */
static const char *compile_part(struct compiler *c, const char *at)
{
    if (*at != '%')
        return append_part(c, NULL, at, strcspn(at, "%"), at + strcspn(at, "%"));
    switch (at[1]) {
    case '(':
        return compile_variable(c, at + 2);
    case '{':
        return compile_field(c, at + 2);
    case '%':
        return append_part(c, NULL, at, 1, at + 2);
    default:
        c->why = "\"%\" must be followed by (variable), {Field}i, {Field}o or another %";
        return NULL;
    }
}

const struct format *format_compile(struct arena *arena, const char *text, const char **why)
{
    struct format *format = arena_alloc(arena, sizeof(*format));
    struct compiler c = {arena, format, NULL};

    *format = (struct format){.json = !strcmp(text, "json")};
    for (size_t i = 0; i < ARRAY_SIZE(named_formats); i++)
        if (!strcmp(named_formats[i].name, text)) {
            text = named_formats[i].text;
            break;
        }
    format->parts = arena_alloc(arena, (strlen(text) + 1) * sizeof(*format->parts));
    while (*text && (text = compile_part(&c, text)))
        ;
    *why = c.why;
    return c.why ? NULL : format;
}

/* ---- lines ---- */

static void write_string(const struct format *format, struct text *out, struct span value)
{
    if (!format->json)
        text_add_escaped(out, value.at, value.at ? value.size : 0);
    else if (value.at)
        text_add_json(out, value.at, value.size);
    else
        text_add(out, "null", 4);
}

static void write_part(const struct format *format, struct text *out, struct record *record, const struct part *part)
{
    record->argument = part->text;
    record->part = part->part;
    if (!part->variable)
        text_add(out, part->text, part->size);
    else if (part->variable->string)
        write_string(format, out, part->variable->string(record));
    else if (part->variable->seconds)
        text_add_seconds(out, part->variable->number(record));
    else
        text_add_number(out, part->variable->number(record));
}

void format_line(const struct format *format, struct text *out, const struct request *req)
{
    struct record record = {.worker = worker_number, .pid = worker_pid};

    record_init(&record, req);
    if (format->has_parts)
        standing_take(&record.standing, req, coro_self());
    for (size_t i = 0; i < format->count; i++)
        write_part(format, out, &record, &format->parts[i]);
    text_add(out, "\n", 1);
}
