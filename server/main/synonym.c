/*
 * synonym.c: options that other servers have, and options with the names of keys.
 *
 * Whoever used gunicorn, uvicorn or uWSGI types their options in the first minute. The table peers.def says which of
 * them mean the same as a key of ours: these work, as if the key were given by -o. The others are refused with what to
 * write instead, since an option that does something else than expected is worse than none. A key of [server], [log]
 * and [limits] is an option too, as in uWSGI, if no other server has one of that name which means something else.
 */
#include "main/synonym.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "conf/conf.h"
#include "settings/names.h"
#include "syncless.h"

#define MAX_NAME_SIZE 64 /* bytes with the NUL; longer names are unknown */

#define DEFAULT_HOST "127.0.0.1"
#define DEFAULT_PORT "8080"

const struct synonym_letter synonym_letters[] = {
    {"-w", "workers", NULL}, {"-D", "daemon", NULL},       {"-e", "env", NULL},
    {"-u", "user", NULL},    {"-g", "group", NULL},        {"-H", "virtualenv", NULL},
    {"-n", "name", NULL},    {"-k", "worker-class", NULL}, {"-l", "listen", NULL},
    {"-M", "master", NULL},  {"-C", "chmod-socket", NULL}, {"-p", NULL, "write --pid FILE, --port PORT or --workers N"},
    {"", NULL, NULL},
};

/* ---- which option it is ---- */

static struct synonym synonym_of_peer(const struct peer_key *peer)
{
    return (struct synonym){peer->section, peer->key, peer->kind, peer->relation, peer->note};
}

bool synonym_find(struct synonym *s, const char *name, size_t size)
{
    char copy[MAX_NAME_SIZE] = "";
    const struct sl_option *own;
    const struct peer_key *peer;
    const char *section;

    if (size == 0 || size >= sizeof(copy))
        return false;
    for (size_t i = 0; i < size; i++)
        copy[i] = name[i] == '_' ? '-' : name[i];
    peer = peers_find(copy, false);
    own = peer ? NULL : settings_find_option(copy, &section);
    if (own)
        *s = (struct synonym){section, own->name, own->kind == SL_BOOL ? PEER_FLAG : PEER_TEXT, PEER_SAME, ""};
    else if (peer || (peer = peers_find(copy, true)))
        *s = synonym_of_peer(peer);
    return own || peer;
}

bool synonym_takes_value(const struct synonym *s)
{
    return s->kind != PEER_FLAG && s->kind != PEER_FACTORY && s->kind != PEER_RELOAD;
}

/* ---- options that do not work ---- */

/* Whether the value may be written behind our key as it is. */
static bool is_value_of_key(const struct command_option *o)
{
    return o->value && (o->is.kind == PEER_COUNT || o->is.kind == PEER_SECONDS || o->is.kind == PEER_BYTES);
}

void synonym_explain(const struct command_option *o, char *text, size_t size)
{
    const struct synonym *s = &o->is;

    if (s->relation == PEER_NONE)
        snprintf(text, size, "%s: %s", o->name, s->note);
    else if (strchr(s->section, ' '))
        snprintf(text, size, "%s: here it is \"%s\" in [%s]: %s", o->name, s->key, s->section, s->note);
    else
        snprintf(text, size, "%s: write -o %s.%s=%s: %s", o->name, s->section, s->key,
                 is_value_of_key(o) ? o->value : "VALUE", s->note);
}

/* ---- values ---- */

const char *synonyms_value(const struct command_option *options, int count, enum peer_kind kind, const char *key)
{
    const char *value = NULL;

    for (int i = 0; i < count; i++)
        if (options[i].is.kind == kind && (!key || (options[i].is.key && !strcmp(options[i].is.key, key))))
            value = options[i].value ? options[i].value : "";
    return value;
}

static const char *level_name(const char *value)
{
    static const char *const names[][2] = {{"critical", "error"}, {"fatal", "error"}, {"error", "error"},
                                           {"warning", "warn"},   {"warn", "warn"},   {"info", "info"},
                                           {"debug", "debug"},    {"trace", "debug"}};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcasecmp(names[i][0], value))
            return names[i][1];
    return value;
}

static const char *megabytes(struct conf *c, const char *value)
{
    return value[strspn(value, "0123456789")] ? value : arena_printf(&c->arena, "%sm", value);
}

static const char *unix_socket(struct conf *c, const char *path)
{
    bool is_whole = *path == '/' || *path == '@'; /* @: an abstract socket */

    return arena_printf(&c->arena, "unix:%s%s%s", is_whole ? "" : c->cwd, is_whole ? "" : "/", path);
}

/* Returns the value as ours. */
static const char *convert_value(struct conf *c, enum peer_kind kind, const char *value)
{
    switch (kind) {
    case PEER_FLAG:
        return "yes";
    case PEER_MEGABYTES:
        return megabytes(c, value);
    case PEER_ADDRESS:
        return *value == '/' || *value == '@' ? unix_socket(c, value) : value;
    case PEER_UNIX_PATH:
        return unix_socket(c, value);
    case PEER_LEVEL:
        return level_name(value);
    default:
        return value;
    }
}

/* Set a key to each of the values that have commas between them. */
static void set_each(struct conf *c, const char *origin, const struct synonym *s, const char *at)
{
    for (size_t size; *at; at += size + (at[size] == ',')) {
        size = strcspn(at, ",");
        if (size > 0)
            conf_set_key(c, origin, s->section, s->key, arena_strndup(&c->arena, at, size));
    }
}

static void set_option(struct conf *c, const char *origin, const struct command_option *o, const char *watched)
{
    const struct synonym *s = &o->is;

    switch (s->kind) {
    case PEER_LIST:
    case PEER_NETWORKS:
        set_each(c, origin, s, strcmp(o->value, "*") ? o->value : "0.0.0.0/0,::/0,unix");
        break;
    case PEER_RELOAD_EVERY:
        if (!strcmp(o->value, "0"))
            break;
        /* fall through */
    case PEER_RELOAD:
        conf_set_key(c, origin, s->section, s->key, watched ? watched : ".");
        break;
    case PEER_UMASK:
        if (*o->value != '0')
            conf_error(c, (struct conf_place){.file = origin},
                       "expected an octal number that begins with 0, such as 027");
        else
            conf_set_key(c, origin, s->section, s->key, o->value);
        break;
    default:
        conf_set_key(c, origin, s->section, s->key, convert_value(c, s->kind, o->value));
    }
}

/* ---- all options ---- */

/* Whether the option is a part of something that is set when all parts are known. */
static bool is_part(const struct command_option *o)
{
    return o->is.kind == PEER_HOST || o->is.kind == PEER_PORT || o->is.kind == PEER_CALLABLE ||
           o->is.kind == PEER_FACTORY;
}

/* Set the address that --host and --port name. An IPv6 address gets brackets. */
static void set_address(const struct command_option *options, int count, struct conf *c)
{
    const char *host = synonyms_value(options, count, PEER_HOST, NULL);
    const char *port = synonyms_value(options, count, PEER_PORT, NULL);
    const char *form = host && strchr(host, ':') && *host != '[' ? "[%s]:%s" : "%s:%s", *origin;

    if (!host && !port)
        return;
    origin = arena_printf(&c->arena, "%s%s%s%s%s", host ? "--host " : "", host ? host : "", host && port ? " " : "",
                          port ? "--port " : "", port ? port : "");
    conf_set_key(c, origin, "server", "bind",
                 arena_printf(&c->arena, form, host ? host : DEFAULT_HOST, port ? port : DEFAULT_PORT));
}

const char *synonym_origin(const struct command_option *o, struct conf *c)
{
    if (!o->value || strchr(o->name, '='))
        return o->name;
    return arena_printf(&c->arena, "%s%s%s", o->name, *o->name ? " " : "", o->value);
}

void synonyms_set(const struct command_option *options, int count, struct conf *c)
{
    const char *watched = synonyms_value(options, count, PEER_PATH, "chdir");

    for (int i = 0; i < count; i++) {
        const struct command_option *o = &options[i];
        const char *origin = synonym_origin(o, c);

        if (!o->is.key)
            conf_set(c, o->value);
        else if (!is_part(o))
            set_option(c, origin, o, watched);
    }
    set_address(options, count, c);
}

/* A file is told from a module by a slash. */
const char *synonyms_app(const struct command_option *o, const struct command_option *options, int count,
                         struct conf *c)
{
    const char *callable = synonyms_value(options, count, PEER_CALLABLE, NULL);
    bool is_factory = synonyms_value(options, count, PEER_FACTORY, NULL);
    bool needs_slash = o->is.kind == PEER_FILE && !strchr(o->value, '/');
    const char *app = arena_printf(&c->arena, "%s%s", needs_slash ? "./" : "", o->value);

    if (callable && !strchr(app, ':'))
        app = arena_printf(&c->arena, "%s:%s", app, callable);
    if (is_factory && !strchr(app, ':'))
        conf_error(c, (struct conf_place){.file = "--factory"}, "name the factory, as in %s:create_app", app);
    else if (is_factory && !strchr(app, '('))
        app = arena_printf(&c->arena, "%s()", app);
    return app;
}
