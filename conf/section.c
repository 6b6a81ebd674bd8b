/*
 * section.c: sections and their titles.
 *
 * A title is one word, [server], or a module and its mount point, [wsgi host/prefix]. It is normalised at once, with
 * the host in lower case and the prefix without its last slash, so that two spellings of a mount are the same section:
 * the normalised title identifies it. The program's own sections and the defaults of a module may appear several times,
 * also in several files, and add up. A mount may not, because that is nearly always a mistake.
 */
#include <ctype.h>
#include <string.h>

#include "conf/internal.h"

/* Whether a form of own_titles has that name. */
static bool is_form_of(const char *form, const char *name)
{
    size_t size = strlen(name);

    return !strncmp(form, name, size) && (form[size] == '\0' || form[size] == ' ');
}

static bool is_own_name(const struct conf *c, const char *name)
{
    for (int i = 0; c->own_titles[i]; i++)
        if (is_form_of(c->own_titles[i], name))
            return true;
    return false;
}

/* Returns the form of own_titles with that name that has a word for what follows it, or has none; NULL: there is none.
 */
static const char *own_form(const struct conf *c, const char *name, bool followed)
{
    for (int i = 0; c->own_titles[i]; i++)
        if (is_form_of(c->own_titles[i], name) && (strchr(c->own_titles[i], ' ') != NULL) == followed)
            return c->own_titles[i];
    return NULL;
}

static bool is_host_name(const char *s)
{
    size_t size = strlen(s);

    if (size > 2 && s[0] == '[' && s[size - 1] == ']')
        return strspn(s + 1, "0123456789abcdef:.") == size - 2;
    return !s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789.-_")];
}

/* Parse the part of a title after the module: the prefix, with an optional host in front. */
static bool parse_mount_point(struct conf *c, struct conf_section *s, const char *mount)
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
    if (!is_host_name(host)) {
        conf_error(c, s->place, "bad host \"%s\" in [%s %s]: expected a name or address, without a port", host, s->name,
                   mount);
        return false;
    }
    s->host = host;
    s->prefix = arena_strndup(&c->arena, slash, mount + size - slash);
    s->title = arena_printf(&c->arena, "%s %s%s", s->name, host, *s->prefix ? s->prefix : "/");
    return true;
}

/* Returns "[a], [b], ". */
static const char *own_titles(struct conf *c)
{
    const char *list = "";

    for (int i = 0; c->own_titles[i]; i++)
        list = arena_printf(&c->arena, "%s[%s], ", list, c->own_titles[i]);
    return list;
}

/* Parse what follows the name in a title of the given form, where it is no prefix. */
static bool parse_subject(struct conf *c, struct conf_section *s, const char *form, const char *rest)
{
    if (strpbrk(rest, " \t")) {
        conf_error(c, s->place, "bad section [%s %s]: write [%s], without blanks", s->name, rest, form);
        return false;
    }
    s->subject = arena_strndup(&c->arena, rest, strlen(rest));
    s->title = arena_printf(&c->arena, "%s %s", s->name, rest);
    return true;
}

/* The same in any title of a section that is no module. */
static bool parse_own_title(struct conf *c, struct conf_section *s, const char *rest)
{
    const char *form = own_form(c, s->name, *rest);

    if (!form && *rest)
        conf_error(c, s->place, "[%s] takes no prefix, but has \"%s\"", s->name, rest);
    else if (!form)
        conf_error(c, s->place, "[%s] is incomplete: write [%s]", s->name, own_form(c, s->name, true));
    if (!form || !*rest)
        return form;
    return strchr(form, '/') ? parse_mount_point(c, s, rest) : parse_subject(c, s, form, rest);
}

static bool parse_title(struct conf *c, struct conf_section *s, const char *title)
{
    size_t size = strcspn(title, " \t");
    const char *rest = title + size + strspn(title + size, " \t");

    s->name = s->title = arena_strndup(&c->arena, title, size);
    s->host = "";
    if (!conf_is_key(s->name)) {
        conf_error(c, s->place, "bad section [%s]: expected %s[MODULE] or [MODULE /prefix]", title, own_titles(c));
        return false;
    }
    if (is_own_name(c, s->name))
        return parse_own_title(c, s, rest);
    return !*rest || parse_mount_point(c, s, rest);
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

    if (is_new || !(s->prefix || s->subject)) /* sections that add up, or the one for entries of bad sections */
        return s;
    conf_error(c, place, "[%s] is given twice; first at %s", s->title, conf_place_text(c, s->place));
    return conf_section_lost(c);
}

struct conf_section *conf_section_find(const struct conf *c, const char *title)
{
    for (struct conf_section *s = c->sections; s; s = s->next)
        if (!strcmp(s->title, title))
            return s;
    return NULL;
}

struct conf_section *conf_modules(const struct conf *c, const struct conf_section *after)
{
    struct conf_section *s = after ? after->next : c->sections;

    while (s && is_own_name(c, s->name))
        s = s->next;
    return s;
}

struct conf_section *conf_sections_named(const struct conf *c, const char *name, const struct conf_section *after)
{
    struct conf_section *s = after ? after->next : c->sections;

    while (s && strcmp(s->name, name))
        s = s->next;
    return s;
}
