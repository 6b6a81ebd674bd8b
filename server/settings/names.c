/*
 * names.c: the keys of the server's own sections, and what a name that is none of them may mean.
 *
 * The tables of all own sections come together here, so that a key in the wrong section can be told from one that does
 * not exist. Keys of other servers (peers.c) are explained where they would be written: in our own sections and in
 * those of applications. The keys of other modules are too different: `cache` of a module that one has written oneself
 * is not uWSGI's.
 */
#include "settings/names.h"

#include <string.h>

#include "conf/options.h"
#include "settings/access_rule.h"
#include "settings/peers.h"
#include "settings/settings.h"

static const struct sl_option *const server_tables[] = {server_options, proxies_options, process_options, http_options,
                                                        NULL};
static const struct sl_option *const log_tables[] = {log_options, access_rule_options, NULL};
static const struct sl_option *const limits_tables[] = {mount_limits_options, http_options, NULL};

static const struct sl_option *const tracing_tables[] = {tracing_options, NULL};

/* Of two sections that have a key, the last one is its proper place. */
static const struct conf_known known_sections[] = {{"server", server_tables},
                                                   {"log", log_tables},
                                                   {"limits", limits_tables},
                                                   {"tracing", tracing_tables},
                                                   {NULL, NULL}};

const struct sl_option *settings_find_option(const char *key, const char **section)
{
    const struct sl_option *found = NULL;

    for (const struct conf_known *known = known_sections; known->title; known++) {
        const struct sl_option *o = conf_find_option(known->tables, key);

        if (o) {
            found = o;
            *section = known->title;
        }
    }
    return found;
}

void settings_nearest_option(struct conf_nearest *near)
{
    for (const struct conf_known *known = known_sections; known->title; known++)
        conf_nearest_in_tables(near, known->tables);
}

/* Whether a section is the place of a row: of "wsgi" and "wsgi /prefix" for [wsgi /shop]. */
static bool is_place_of(const struct peer_key *peer, const struct conf_section *s)
{
    size_t size = strcspn(peer->section, " ");

    return size == strlen(s->name) && !memcmp(peer->section, s->name, size);
}

/* Whether the row says anything about a key in that section, which has these tables. */
static bool is_explained(const struct peer_key *peer, const struct conf_section *s,
                         const struct sl_option *const *tables)
{
    for (const struct conf_known *known = known_sections; known->title; known++)
        if (!strcmp(known->title, s->name))
            return true;
    return !strcmp(s->name, "wsgi") || is_place_of(peer, s) || conf_find_option(tables, peer->key);
}

static const char *explain_peer(struct conf *c, const struct peer_key *peer, const char *key,
                                const struct sl_option *const *tables)
{
    const char *separator = *peer->note ? ": " : "";

    if (peer->relation == PEER_NONE)
        return peer->note;
    if (conf_find_option(tables, peer->key))
        return arena_printf(&c->arena, "here it is \"%s\"%s%s", peer->key, separator, peer->note);
    if (!strcmp(peer->key, key))
        return arena_printf(&c->arena, "it belongs to [%s]%s%s", peer->section, separator, peer->note);
    return arena_printf(&c->arena, "here it is \"%s\" in [%s]%s%s", peer->key, peer->section, separator, peer->note);
}

static const char *explain_foreign_key(struct conf *c, const struct conf_section *s,
                                       const struct sl_option *const *tables, const char *key, bool is_pattern)
{
    const struct peer_key *peer = peers_find(key, is_pattern);

    return peer && is_explained(peer, s, tables) ? explain_peer(c, peer, key, tables) : NULL;
}

static const char *explain_foreign_section(struct conf *c, const struct conf_section *s)
{
    const char *server = peers_find_server(s->name);

    if (!server)
        return NULL;
    if (!strcmp(server, "uWSGI"))
        return arena_printf(&c->arena, "this is uWSGI's configuration: \"syncless-server --migrate %s\" converts it",
                            s->place.line ? s->place.file : "FILE");
    return arena_printf(&c->arena, "what %s has as options are keys of [server], [log], [limits] and [wsgi]", server);
}

const struct conf_names settings_names = {known_sections, explain_foreign_key, explain_foreign_section};
