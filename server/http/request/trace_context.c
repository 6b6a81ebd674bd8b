/*
 * trace_context.c: the trace that a request belongs to, by W3C Trace Context.
 *
 * The field traceparent has the ids of the trace and of the caller's part of it. One that is malformed, or given twice,
 * is worth nothing, and neither is the tracestate beside it: a trace begins here then. Handlers see the field with this
 * request's own id, whether a client has sent one or not: so a library that reads it, and what it sends on to other
 * servers, need not know of us.
 */
#include "http/request/trace_context.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/digits.h"
#include "http/request/request.h"

#define PARENT_SIZE 55 /* bytes of a traceparent of version 00 */

static const char parent_name[] = "traceparent", state_name[] = "tracestate";

/* ---- reading ---- */

/* Whether these are lower-case hexadecimal digits, and not all zero unless that is allowed. */
static bool is_hex(const char *text, size_t size, bool may_be_zero)
{
    return strspn(text, "0123456789abcdef") >= size && (may_be_zero || strspn(text, "0") < size);
}

/* The parts of `VERSION-TRACE-PARENT-FLAGS`. Later versions may have more behind it. */
static bool is_parent_valid(const char *text, size_t size)
{
    if (size < PARENT_SIZE || text[2] != '-' || text[35] != '-' || text[52] != '-')
        return false;
    if (!is_hex(text, 2, true) || !strncmp(text, "ff", 2))
        return false;
    if (!strncmp(text, "00", 2) ? size != PARENT_SIZE : size > PARENT_SIZE && text[PARENT_SIZE] != '-')
        return false;
    return is_hex(text + 3, 32, false) && is_hex(text + 36, 16, false) && is_hex(text + 53, 2, true);
}

/* Returns the value of the only field of that name; NULL if there is none, or several. */
static const struct sl_field *find_only(const struct request *req, const char *name)
{
    const struct sl_field *found = NULL, *field = req->view.fields;

    for (size_t i = 0; i < req->view.field_count; i++, field++) {
        if (strcasecmp(field->name, name))
            continue;
        if (found)
            return NULL;
        found = field;
    }
    return found;
}

/* Returns the values of all fields tracestate as one list, section 3.3.1; NULL if there is none. */
static const char *join_states(struct request *req)
{
    const struct sl_field *field = req->view.fields;
    const char *list = NULL;

    for (size_t i = 0; i < req->view.field_count; i++, field++)
        if (!strcasecmp(field->name, state_name) && field->value_size > 0)
            list = list ? arena_printf(&req->arena, "%s,%s", list, field->value) : field->value;
    return list;
}

/* Returns whether the client has sent a trace. */
static bool take_parent(struct trace_context *t, struct request *req)
{
    const struct sl_field *field = find_only(req, parent_name);
    char flags[3] = "";

    if (!field || !is_parent_valid(field->value, field->value_size))
        return false;
    memcpy(t->trace_id, field->value + 3, 32);
    memcpy(t->parent_id, field->value + 36, 16);
    memcpy(flags, field->value + 53, 2);
    t->flags = (unsigned)strtoul(flags, NULL, 16) & (TRACE_SAMPLED | TRACE_RANDOM);
    t->state = join_states(req);
    return true;
}

/* ---- making ---- */

static void make_span_id(struct trace_context *t)
{
    uint64_t words[2];

    do
        request_new_id(words);
    while (!words[0]); /* zero is no id */
    digits_hex(t->span_id, words, 8);
}

static void begin_trace(struct trace_context *t, int64_t sample)
{
    uint64_t words[2];

    request_new_id(words);
    words[0] |= !words[0] && !words[1];
    digits_hex(t->trace_id, words, sizeof(words));
    t->flags = TRACE_RANDOM | (words[1] % (uint64_t)sample == 0 ? TRACE_SAMPLED : 0);
}

/* ---- what handlers see ---- */

/* The fields again, with our traceparent; without the tracestate of a trace that is not gone on with. */
static void replace_fields(struct request *req, const struct trace_context *t)
{
    struct sl_field *fields = arena_alloc(&req->arena, (req->view.field_count + 1) * sizeof(*fields));
    const struct sl_field *from = req->view.fields;
    size_t count = 0;

    for (size_t i = 0; i < req->view.field_count; i++, from++)
        if (strcasecmp(from->name, parent_name) && (*t->parent_id || strcasecmp(from->name, state_name)))
            fields[count++] = *from;
    fields[count++] = (struct sl_field){
        .name = parent_name,
        .name_size = sizeof(parent_name) - 1,
        .value = arena_printf(&req->arena, "00-%s-%s-%02x", t->trace_id, t->span_id, t->flags),
        .value_size = PARENT_SIZE,
    };
    req->view.fields = fields;
    req->view.field_count = count;
}

void trace_context_begin(struct request *req, const struct trace_rules *rules)
{
    struct trace_context *t = arena_alloc(&req->arena, sizeof(*t));

    *t = (struct trace_context){.state = NULL};
    if (!rules->believe || !take_parent(t, req))
        begin_trace(t, rules->sample);
    make_span_id(t);
    replace_fields(req, t);
    req->trace = t;
}
