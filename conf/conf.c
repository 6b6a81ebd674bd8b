/*
 * conf.c: a configuration as a whole: its memory, its messages, and the options of the command line.
 *
 * A configuration is read in two steps. First, files (read.c) and options of the command line become sections of raw
 * entries, each with the place it came from. Then the code that knows the keys has them checked and stored, by tables
 * of struct sl_option (fill.c). Between the two steps the server loads the modules that the sections name, because only
 * they know their keys. Nothing stops at the first mistake: every error is recorded here, and the caller looks at the
 * count at the end.
 */
#include "conf/conf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/internal.h"

struct conf *conf_new(const char *const *own_titles)
{
    struct conf *c = xcalloc(1, sizeof(*c));
    char *cwd = getcwd(NULL, 0);

    arena_init(&c->arena);
    c->own_titles = own_titles;
    c->sections_end = &c->sections;
    c->errors_end = &c->errors;
    c->warnings_end = &c->warnings;
    if (!cwd)
        conf_error(c, (struct conf_place){0}, "cannot find the working directory: %s", strerror(errno));
    c->cwd = cwd ? arena_strndup(&c->arena, cwd, strlen(cwd)) : "/";
    free(cwd);
    return c;
}

void conf_free(struct conf *c)
{
    arena_release(&c->arena);
    free(c);
}

/* ---- messages ---- */

const char *conf_place_text(struct conf *c, struct conf_place place)
{
    return place.line ? arena_printf(&c->arena, "%s:%d", place.file, place.line) : place.file;
}

/* Append a message to the list whose end is at *end. */
static void append_message(struct conf *c, struct conf_message ***end, struct conf_place place, const char *text)
{
    struct conf_message *m = arena_alloc(&c->arena, sizeof(*m));

    if (place.file)
        text = arena_printf(&c->arena, "%s: %s", conf_place_text(c, place), text);
    *m = (struct conf_message){.text = text};
    **end = m;
    *end = &m->next;
}

static void record_error(struct conf *c, struct conf_place place, const char *text)
{
    append_message(c, &c->errors_end, place, text);
    c->error_count++;
}

void conf_error(struct conf *c, struct conf_place place, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    record_error(c, place, arena_vprintf(&c->arena, fmt, ap));
    va_end(ap);
}

void conf_warning(struct conf *c, struct conf_place place, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    append_message(c, &c->warnings_end, place, arena_vprintf(&c->arena, fmt, ap));
    va_end(ap);
}

static void record_entry_error(struct conf *c, struct conf_entry *e, const char *text)
{
    if (!e->reported)
        record_error(c, e->place, text);
    e->reported = true;
}

void conf_entry_error(struct conf *c, struct conf_entry *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    record_entry_error(c, e, arena_vprintf(&c->arena, fmt, ap));
    va_end(ap);
}

const char *conf_shown_value(struct conf *c, const struct conf_entry *e)
{
    size_t name = strcspn(e->value, "=:");

    if (!e->secret || !*e->value)
        return e->value;
    return e->value[name] ? arena_printf(&c->arena, "%.*s***", (int)name + 1, e->value) : "***";
}

static void record_bad_value(struct conf *c, struct conf_entry *e, const char *text)
{
    const char *value = conf_shown_value(c, e);

    record_entry_error(c, e, arena_printf(&c->arena, "\"%s =%s%s\": %s", e->key, *value ? " " : "", value, text));
}

void conf_entry_bad_value(struct conf *c, struct conf_entry *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    record_bad_value(c, e, arena_vprintf(&c->arena, fmt, ap));
    va_end(ap);
}

void conf_value_error(struct conf *c, const struct conf_section *s, const char *key, size_t index, const char *fmt, ...)
{
    struct conf_entry *first = conf_entry_first(s, key), *e = first;
    const char *text;
    va_list ap;

    va_start(ap, fmt);
    text = arena_vprintf(&c->arena, fmt, ap);
    va_end(ap);
    while (e && (!*e->value || index-- > 0))
        e = conf_entry_next(e);
    if (first)
        record_bad_value(c, e ? e : first, text);
    else
        conf_error(c, (struct conf_place){0}, "\"%s\": %s", key, text);
}

bool conf_gives(const struct conf_section *s, const char *key)
{
    return conf_entry_first(s, key) != NULL;
}

size_t conf_report(const struct conf *c, FILE *out)
{
    for (const struct conf_message *m = c->errors; m; m = m->next)
        fprintf(out, "%s\n", m->text);
    for (const struct conf_message *m = c->warnings; m; m = m->next)
        fprintf(out, "%s\n", m->text);
    return c->error_count;
}

/* ---- the command line ---- */

void conf_set_key(struct conf *c, const char *origin, const char *section, const char *key, const char *value)
{
    struct conf_place place = {.file = arena_printf(&c->arena, "%s", origin)};
    struct conf_section *s = conf_section_get(c, section, place, c->cwd);

    conf_entry_add(c, s, (struct conf_entry){.key = key, .value = value, .here = c->cwd, .place = place});
}

/* A key has no dot, but the prefix of a section may: the last dot before the = separates the two. */
int conf_set(struct conf *c, const char *assignment)
{
    const char *origin = arena_printf(&c->arena, "-o %s", assignment);
    const char *equals = strchr(assignment, '=');
    const char *dot = equals ? memrchr(assignment, '.', equals - assignment) : NULL;

    if (!dot || dot == assignment || dot + 1 == equals) {
        conf_error(c, (struct conf_place){.file = origin}, "expected SECTION.KEY=VALUE, as in -o server.workers=4");
        return -EINVAL;
    }
    conf_set_key(c, origin, arena_strndup(&c->arena, assignment, dot - assignment),
                 arena_strndup(&c->arena, dot + 1, equals - dot - 1), equals + 1);
    return 0;
}
