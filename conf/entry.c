/*
 * entry.c: the entries of a section, and which of them count.
 *
 * A key may be given by the command line, by the file and by files it includes. Each entry carries the rank of its
 * source, the lower the nearer to the user, and only the entries of a key's lowest rank count: so -o stands for the
 * whole list of a file, and a file for those it includes. Entries of one rank make a list in the order they came.
 */
#include <string.h>

#include "conf/internal.h"

bool conf_is_key(const char *s)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

    return *s && s[strspn(s, set)] == '\0';
}

static const char *normal_key(struct conf *c, const char *key)
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

    entry.key = normal_key(c, entry.key);
    entry.value = conf_expand(c, &entry);
    *e = entry;
    *s->end = e;
    s->end = &e->next;
}

struct conf_entry *conf_entry_first(const struct conf_section *s, const char *key)
{
    struct conf_entry *first = NULL;

    for (struct conf_entry *e = s ? s->entries : NULL; e; e = e->next)
        if (strcmp(e->key, key) == 0 && (!first || e->rank < first->rank))
            first = e;
    return first;
}

struct conf_entry *conf_entry_next(const struct conf_entry *e)
{
    struct conf_entry *next = e->next;

    while (next && (next->rank != e->rank || strcmp(next->key, e->key) != 0))
        next = next->next;
    return next;
}
