/*
 * dump.c: show a configuration as the server understands it: an ini file in which every key is given.
 *
 * What comes from a file or an option is followed by its place, what is a default says so. Of a key without either
 * there is a comment.
 */
#include "conf/dump.h"

#include "conf/internal.h"
#include "settings/limits.h"

static void dump_option(struct conf *c, struct conf_section *const *chain, size_t count, const struct sl_option *o,
                        FILE *out)
{
    struct conf_entry *e = conf_find_entry(c, chain, count, o);

    if (!e && o->default_value)
        fprintf(out, "%s = %s ; default\n", o->name, o->default_value);
    else if (!e)
        fprintf(out, "; %s is not set\n", o->name);
    for (; e; e = conf_entry_next(e))
        fprintf(out, "%s = %s ; %s\n", o->name, e->value, conf_place_text(c, e->place));
}

void conf_dump_options(struct conf *c, struct conf_section *const *chain, size_t count, const struct sl_option *options,
                       FILE *out)
{
    for (const struct sl_option *o = options; o && o->name; o++)
        dump_option(c, chain, count, o, out);
}

void conf_dump_mount(struct conf *c, const char *title, const struct sl_option *options, FILE *out)
{
    struct conf_section *s = conf_section_find(c, title);
    struct conf_section *chain[] = {s, conf_section_find(c, s->name), conf_section_find(c, "limits")};

    fprintf(out, "\n[%s]\n", title);
    conf_dump_options(c, chain, 2, options, out);
    conf_dump_options(c, chain, 3, limits_options, out);
}
