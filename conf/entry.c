/*
 * entry.c: the entries of a section, and which of them count.
 *
 * A key may be given on the command line, in the file, and in files it includes. Each entry has the rank of its source,
 * which is lower the nearer the source is to the user, and only the entries of a key's lowest rank count: -o replaces
 * the whole list of a file, and a file replaces the lists of those it includes. Entries of the same rank make a list,
 * in order of appearance.
 */
#include <string.h>

#include "conf/internal.h"

bool conf_is_key(const char *s)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

    return *s && !s[strspn(s, set)];
}

static const char *normalise_key(struct conf *c, const char *key)
{
    char *copy = arena_strndup(&c->arena, key, strlen(key));

    for (char *p = copy; *p; p++)
        if (*p == '_')
            *p = '-';
    return copy;
}

void conf_entry_add(struct conf *c, struct conf_section *s, struct conf_entry entry)
{
    struct conf_entry *e = arena_alloc(&c->arena, sizeof(*e));

    entry.key = normalise_key(c, entry.key);
    entry.value = conf_expand(c, &entry);
    *e = entry;
    *s->end = e;
    s->end = &e->next;
}

struct conf_entry *conf_entry_first(const struct conf_section *s, const char *key)
{
    struct conf_entry *first = NULL;

    for (struct conf_entry *e = s ? s->entries : NULL; e; e = e->next)
        if (!strcmp(e->key, key) && (!first || e->rank < first->rank))
            first = e;
    return first;
}

struct conf_entry *conf_entry_next(const struct conf_entry *e)
{
    struct conf_entry *next = e->next;

    while (next && (next->rank != e->rank || strcmp(next->key, e->key)))
        next = next->next;
    return next;
}
