/*
 * dump.c: options as the server understands them: lines of an ini file in which every key is given.
 *
 * A value from a file or from the command line is followed by its place, a default by the word. A key that has neither
 * is shown as a comment. Secrets are not shown.
 */
#include "conf/options.h"

#include "conf/internal.h"

static void dump_option(struct conf *c, struct conf_section *const *chain, size_t count, const struct sl_option *o,
                        FILE *out)
{
    struct conf_entry *e = conf_find_entry(c, chain, count, o);

    if (!e && o->default_value)
        fprintf(out, "%s = %s ; default\n", o->name, o->default_value);
    else if (!e)
        fprintf(out, "; %s is not set\n", o->name);
    for (; e; e = conf_entry_next(e))
        fprintf(out, "%s = %s ; %s\n", o->name, conf_shown_value(c, e), conf_place_text(c, e->place));
}

void conf_dump_options(struct conf *c, struct conf_section *const *chain, size_t count, const struct sl_option *options,
                       FILE *out)
{
    for (const struct sl_option *o = options; o && o->name; o++)
        dump_option(c, chain, count, o, out);
}

void conf_dump_given(struct conf *c, struct conf_section *s, const struct sl_option *options, FILE *out)
{
    for (const struct sl_option *o = options; o->name; o++)
        if (conf_giver(&s, 1, o->name))
            dump_option(c, &s, 1, o, out);
}
