/*
 * section.c: sections and their titles.
 *
 * A title is one word, [server], or a module and where it is mounted, [wsgi host/prefix]. It is normalised at once,
 * host in lower case and prefix without its last slash, so that two spellings of a mount are seen to be the same: as
 * text, the normalised title is the section's identity. The server's own sections and the defaults of a module may
 * appear several times, also in several files, and add up; a mount may not, for that is a mistake in every case seen.
 */
#include <ctype.h>
#include <string.h>

#include "conf/internal.h"

static const char *const own[] = {"server", "log", "limits", NULL};

static bool is_own(const char *name)
{
    for (int i = 0; own[i]; i++)
        if (strcmp(own[i], name) == 0)
            return true;
    return false;
}

static bool is_host(const char *s)
{
    size_t size = strlen(s);

    if (size > 2 && s[0] == '[' && s[size - 1] == ']')
        return strspn(s + 1, "0123456789abcdef:.") == size - 2;
    return s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789.-_")] == '\0';
}

/* The part of a title after the module: host, if there is one, and prefix. */
static bool parse_mount(struct conf *c, struct conf_section *s, const char *mount)
{
    const char *slash = strchr(mount, '/');
    size_t size = strlen(mount);
    char *host;

    if (!slash || strpbrk(mount, " \t")) {
        conf_error(c, s->place, "bad prefix \"%s\" in [%s %s]: write /prefix or host/prefix, without blanks", mount,
                   s->name, mount);
        return false;
    }
    while (size > (size_t)(slash - mount) && mount[size - 1] == '/')
        size--;
    host = arena_strndup(&c->arena, mount, slash - mount);
    for (char *p = host; *p; p++)
        *p = tolower((unsigned char)*p);
    if (!is_host(host)) {
        conf_error(c, s->place, "bad host \"%s\" in [%s %s]: expected a name or address, without a port", host, s->name,
                   mount);
        return false;
    }
    s->host = host;
    s->prefix = arena_strndup(&c->arena, slash, mount + size - slash);
    s->title = arena_printf(&c->arena, "%s %s%s", s->name, host, *s->prefix ? s->prefix : "/");
    return true;
}

static bool parse_title(struct conf *c, struct conf_section *s, const char *title)
{
    size_t size = strcspn(title, " \t");
    const char *mount = title + size + strspn(title + size, " \t");

    s->name = s->title = arena_strndup(&c->arena, title, size);
    s->host = "";
    if (!conf_is_key(s->name)) {
        conf_error(c, s->place, "bad section [%s]: expected [server], [log], [limits], [MODULE] or [MODULE /prefix]",
                   title);
        return false;
    }
    if (!*mount)
        return true;
    if (is_own(s->name)) {
        conf_error(c, s->place, "[%s] takes no prefix, but has \"%s\"", s->name, mount);
        return false;
    }
    return parse_mount(c, s, mount);
}

static struct conf_section *section_new(struct conf *c, const struct conf_section *from)
{
    struct conf_section *s = arena_alloc(&c->arena, sizeof(*s));

    *s = *from;
    s->end = &s->entries;
    return s;
}

struct conf_section *conf_section_lost(struct conf *c)
{
    return section_new(c, &(struct conf_section){.title = "", .name = "", .host = ""});
}

struct conf_section *conf_section_get(struct conf *c, const char *title, struct conf_place place, const char *here)
{
    struct conf_section parsed = {.place = place, .here = here}, *s;

    if (!parse_title(c, &parsed, title))
        return conf_section_lost(c);
    s = conf_section_find(c, parsed.title);
    if (s)
        return s;
    s = section_new(c, &parsed);
    *c->sections_end = s;
    c->sections_end = &s->next;
    return s;
}

struct conf_section *conf_section_open(struct conf *c, const char *title, struct conf_place place, const char *here)
{
    struct conf_section *s = conf_section_get(c, title, place, here);
    bool is_new = s->place.file == place.file && s->place.line == place.line;

    if (is_new || !s->prefix) /* a lost one has no prefix either */
        return s;
    conf_error(c, place, "[%s] stands here a second time; first at %s", s->title, conf_place_text(c, s->place));
    return conf_section_lost(c);
}

struct conf_section *conf_section_find(const struct conf *c, const char *title)
{
    for (struct conf_section *s = c->sections; s; s = s->next)
        if (strcmp(s->title, title) == 0)
            return s;
    return NULL;
}

struct conf_section *conf_modules(const struct conf *c, const struct conf_section *after)
{
    struct conf_section *s = after ? after->next : c->sections;

    while (s && is_own(s->name))
        s = s->next;
    return s;
}

/* "a, b, c" */
static const char *join_names(struct conf *c, const char *const *modules)
{
    const char *list = "server, log, limits";

    for (int i = 0; modules[i]; i++)
        list = arena_printf(&c->arena, "%s, %s", list, modules[i]);
    return list;
}

void conf_unknown_section(struct conf *c, const struct conf_section *s, const char *const *modules)
{
    struct conf_nearest near = {.wrong = s->name};

    for (int i = 0; own[i]; i++)
        conf_nearest_try(&near, own[i]);
    for (int i = 0; modules[i]; i++)
        conf_nearest_try(&near, modules[i]);
    if (near.name)
        conf_error(c, s->place, "unknown section [%s]; did you mean \"%s\"?", s->title, near.name);
    else
        conf_error(c, s->place, "unknown section [%s]; known are %s", s->title, join_names(c, modules));
}
