/*
 * area.c: parts of a mount that sections [limits PREFIX] give limits of their own.
 *
 * Such a section is about requests, whichever mount serves them: it may be a part of a mount, or have several in it. So
 * for each mount the hosts and the prefixes of all sections that concern it are combined. For every combination there
 * is an order of the sections that include it: a longer prefix goes first; with the same prefix one that names the
 * host; if both do or none, the mount.
 */
#include "settings/area.h"

#include <string.h>

#include "conf/conf.h"

static bool is_at_or_below(const char *prefix, const char *above)
{
    size_t size = strlen(above);

    return !strncmp(prefix, above, size) && (prefix[size] == '/' || !prefix[size]);
}

static bool may_be_same_host(const char *a, const char *b)
{
    return !*a || !*b || !strcmp(a, b);
}

/* Returns the next section [limits PREFIX] after s. */
static struct conf_section *next_limits(const struct conf *c, const struct conf_section *s)
{
    struct conf_section *next = conf_sections_named(c, "limits", s);

    while (next && !next->prefix)
        next = conf_sections_named(c, "limits", next);
    return next;
}

static size_t count_limits(const struct conf *c)
{
    size_t count = 0;

    for (const struct conf_section *s = NULL; (s = next_limits(c, s));)
        count++;
    return count;
}

bool area_concerns(const struct conf_section *limits, const struct conf_section *mount)
{
    return may_be_same_host(limits->host, mount->host) &&
           (is_at_or_below(limits->prefix, mount->prefix) || is_at_or_below(mount->prefix, limits->prefix));
}

/* ---- which areas there are ---- */

struct texts {
    const char **list;
    size_t count;
};

static void add_text(struct texts *texts, const char *text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (!strcmp(texts->list[i], text))
            return;
    texts->list[texts->count++] = text;
}

const struct area *areas_of_mount(struct conf *c, const struct conf_section *mount, size_t *count)
{
    size_t most = count_limits(c) + 1;
    struct texts hosts = {arena_alloc(&c->arena, most * sizeof(char *)), 0};
    struct texts prefixes = {arena_alloc(&c->arena, most * sizeof(char *)), 0};
    struct area *areas;

    add_text(&hosts, mount->host);
    add_text(&prefixes, mount->prefix);
    for (const struct conf_section *s = NULL; (s = next_limits(c, s));) {
        if (!area_concerns(s, mount))
            continue;
        if (*s->host)
            add_text(&hosts, s->host);
        if (is_at_or_below(s->prefix, mount->prefix))
            add_text(&prefixes, s->prefix);
    }
    areas = arena_alloc(&c->arena, hosts.count * prefixes.count * sizeof(*areas));
    *count = 0;
    for (size_t i = 1; i < hosts.count * prefixes.count; i++) /* the first one is the whole mount */
        areas[(*count)++] = (struct area){hosts.list[i % hosts.count], prefixes.list[i / hosts.count]};
    return areas;
}

/* ---- which sections count there ---- */

/* Whether section a is more particular than b. */
static bool goes_before_section(const struct conf_section *a, const struct conf_section *b)
{
    size_t a_size = strlen(a->prefix), b_size = strlen(b->prefix);

    return a_size != b_size ? a_size > b_size : *a->host && !*b->host;
}

struct conf_section **area_chain(struct conf *c, struct conf_section *mount, const struct area *area, size_t *count)
{
    struct conf_section **chain = arena_alloc(&c->arena, (count_limits(c) + 3) * sizeof(struct conf_section *));
    size_t n = 1, i;

    chain[0] = mount;
    for (struct conf_section *s = NULL; (s = next_limits(c, s));) {
        if (!is_at_or_below(area->prefix, s->prefix) || (*s->host && strcmp(s->host, area->host) != 0))
            continue;
        for (i = n++; i > 0 && goes_before_section(s, chain[i - 1]); i--)
            chain[i] = chain[i - 1];
        chain[i] = s;
    }
    chain[n++] = conf_section_find(c, mount->name);
    chain[n++] = conf_section_find(c, "limits");
    *count = n;
    return chain;
}
