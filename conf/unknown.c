/*
 * unknown.c: names that nobody knows: keys and sections, and what may be meant by them.
 *
 * A key that is not one of its section is compared, in this order, with the names that other programs have for the same
 * thing (struct conf_names), with the keys of other sections, and then with names that are spelled nearly the same, in
 * its section first. The first that fits is in the message: several guesses are no help.
 */
#include <string.h>

#include "conf/internal.h"

/* Returns the last of the server's own sections that has the key, or NULL. */
static const char *find_other_section(const struct conf *c, const char *key)
{
    const struct conf_known *known = c->names ? c->names->known : NULL;
    const char *title = NULL;

    for (; known && known->title; known++)
        if (conf_find_option(known->tables, key))
            title = known->title;
    return title;
}

void conf_nearest_in_tables(struct conf_nearest *near, const struct sl_option *const *tables)
{
    for (; *tables; tables++)
        for (const struct sl_option *o = *tables; o->name; o++)
            conf_nearest_try(near, o->name);
}

/* Returns what is nearly spelled like the key in the server's own sections, or NULL. */
static const char *suggest_in_others(struct conf *c, const char *key)
{
    struct conf_nearest near = {.wrong = key};

    for (const struct conf_known *known = c->names ? c->names->known : NULL; known && known->title; known++)
        conf_nearest_in_tables(&near, known->tables);
    if (!near.name)
        return NULL;
    return arena_printf(&c->arena, "did you mean \"%s\", which belongs to [%s]?", near.name,
                        find_other_section(c, near.name));
}

/* Returns the rest of the message, or NULL if nothing can be said about the key. */
static const char *explain_key(struct conf *c, const struct conf_section *s, const char *key,
                               const struct sl_option *const *tables)
{
    struct conf_nearest near = {.wrong = key};
    const char *text = c->names ? c->names->foreign_key(c, s, tables, key, false) : NULL;
    const char *other = find_other_section(c, key);

    if (text)
        return text;
    if (other)
        return arena_printf(&c->arena, "it belongs to [%s]", other);
    conf_nearest_in_tables(&near, tables);
    if (near.name)
        return arena_printf(&c->arena, "did you mean \"%s\"?", near.name);
    text = c->names ? c->names->foreign_key(c, s, tables, key, true) : NULL;
    return text ? text : suggest_in_others(c, key);
}

void conf_unknown_key(struct conf *c, const struct conf_section *s, struct conf_entry *e,
                      const struct sl_option *const *tables)
{
    const char *text = explain_key(c, s, e->key, tables);

    conf_entry_error(c, e, "unknown key \"%s\" in [%s]%s%s", e->key, s->title, text ? "; " : "", text ? text : "");
}

/* ---- sections ---- */

/* Try the first words of names for the nearest one, and append them to a list, "a, b, c". */
static const char *try_names(struct conf *c, struct conf_nearest *near, const char *list, const char *const *names)
{
    const char *before = "";

    for (int i = 0; names[i]; i++) {
        const char *name = arena_strndup(&c->arena, names[i], strcspn(names[i], " "));

        if (!strcmp(name, before)) /* another form of it */
            continue;
        conf_nearest_try(near, name);
        list = arena_printf(&c->arena, "%s%s%s", list, *list ? ", " : "", name);
        before = name;
    }
    return list;
}

void conf_unknown_section(struct conf *c, const struct conf_section *s, const char *const *modules, const char *missing)
{
    struct conf_nearest near = {.wrong = s->name};
    const char *known = try_names(c, &near, try_names(c, &near, "", c->own_titles), modules);
    const char *text = c->names ? c->names->foreign_section(c, s) : NULL;

    if (text)
        conf_error(c, s->place, "unknown section [%s]; %s", s->title, text);
    else if (near.name)
        conf_error(c, s->place, "unknown section [%s]%s; did you mean \"%s\"?", s->title, missing, near.name);
    else
        conf_error(c, s->place, "unknown section [%s]%s; known are %s", s->title, missing, known);
}
