/*
 * conf.c: a configuration as a whole: its life, its errors, and the options of the command line.
 *
 * A configuration is read in two steps. First files (read.c) and options become raw sections and entries, each with the
 * place it came from; then whoever knows the keys, a table of struct sl_option, has them checked and stored (fill.c).
 * Between the two the server loads the modules that the sections name, for only they know their keys. Nothing stops at
 * the first mistake: every error is noted here, and the caller looks at the count when all is done.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/internal.h"
#include "base/mem.h"

struct conf *conf_new(void)
{
    struct conf *c = xcalloc(1, sizeof(*c));
    char *cwd = getcwd(NULL, 0);

    arena_init(&c->arena);
    c->sections_end = &c->sections;
    c->errors_end = &c->errors;
    if (!cwd)
        conf_error(c, (struct conf_place){0}, "cannot tell the working directory: %s", strerror(errno));
    c->cwd = cwd ? arena_strndup(&c->arena, cwd, strlen(cwd)) : "/";
    free(cwd);
    return c;
}

void conf_free(struct conf *c)
{
    arena_release(&c->arena);
    free(c);
}

const char *conf_place_text(struct conf *c, struct conf_place place)
{
    return place.line ? arena_printf(&c->arena, "%s:%d", place.file, place.line) : place.file;
}

static void note(struct conf *c, struct conf_place place, const char *fmt, va_list ap)
{
    struct conf_error *e = arena_alloc(&c->arena, sizeof(*e));
    const char *text = arena_vprintf(&c->arena, fmt, ap);

    if (place.file)
        text = arena_printf(&c->arena, "%s: %s", conf_place_text(c, place), text);
    *e = (struct conf_error){.text = text};
    *c->errors_end = e;
    c->errors_end = &e->next;
    c->error_count++;
}

void conf_error(struct conf *c, struct conf_place place, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    note(c, place, fmt, ap);
    va_end(ap);
}

void conf_entry_error(struct conf *c, struct conf_entry *e, const char *fmt, ...)
{
    va_list ap;

    if (e->reported)
        return;
    e->reported = true;
    va_start(ap, fmt);
    note(c, e->place, fmt, ap);
    va_end(ap);
}

void conf_value_error(struct conf *c, const struct conf_section *s, const char *key, size_t index, const char *fmt, ...)
{
    struct conf_entry *first = conf_entry_first(s, key), *e = first;
    va_list ap;

    while (e && (!*e->value || index-- > 0))
        e = conf_entry_next(e);
    if (!e)
        e = first; /* an empty list */
    if (e && e->reported)
        return;
    if (e)
        e->reported = true;
    va_start(ap, fmt);
    note(c, e ? e->place : (struct conf_place){0}, fmt, ap);
    va_end(ap);
}

size_t conf_report(const struct conf *c, FILE *out)
{
    for (const struct conf_error *e = c->errors; e; e = e->next)
        fprintf(out, "%s\n", e->text);
    return c->error_count;
}

void conf_set_key(struct conf *c, const char *origin, const char *section, const char *key, const char *value)
{
    struct conf_place place = {.file = arena_printf(&c->arena, "%s", origin)};
    struct conf_section *s = conf_section_get(c, section, place, c->cwd);

    conf_entry_add(c, s, (struct conf_entry){.key = key, .value = value, .here = c->cwd, .place = place});
}

/* A key holds no dot, but the prefix of a section may: the last dot before the = is the one between them. */
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

void conf_set_app(struct conf *c, const char *app)
{
    const char *origin = arena_printf(&c->arena, "-m %s", app);

    conf_set_key(c, origin, "wsgi /", "app", app);
    conf_set_key(c, origin, "wsgi /", "pythonpath", ".");
}
