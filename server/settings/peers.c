/*
 * peers.c: keys and options of other servers, and what they are here.
 *
 * People come with the names of the server that they used before. The table peers.def says what these are here, so that
 * a message can name the key that is meant. Keys of configuration files are only explained, not accepted: a file that
 * mixes names of several servers could not be read by anybody. Options of the command line, which nobody keeps, are
 * accepted where they mean the same.
 */
#include "settings/peers.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "conf/nearest.h"

#define PEER(server, name, relation, kind, section, key, note)                                                         \
    {server, name, PEER_##relation, PEER_##kind, section, key, note},

static const struct peer_key peer_keys[] = {
#include "settings/peers.def"
};

static bool is_named(const struct peer_key *peer, const char *name, bool is_pattern)
{
    size_t size = strlen(peer->name);

    if (is_pattern != (peer->name[size - 1] == '*'))
        return false;
    return is_pattern ? !strncmp(peer->name, name, size - 1) : !strcmp(peer->name, name);
}

const struct peer_key *peers_find(const char *name, bool is_pattern)
{
    for (size_t i = 0; i < ARRAY_SIZE(peer_keys); i++)
        if (is_named(&peer_keys[i], name, is_pattern))
            return &peer_keys[i];
    return NULL;
}

void peers_nearest(struct conf_nearest *near)
{
    for (size_t i = 0; i < ARRAY_SIZE(peer_keys); i++)
        if (!strchr(peer_keys[i].name, '*'))
            conf_nearest_try(near, peer_keys[i].name);
}

const char *peers_find_server(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(peer_keys); i++)
        if (!strcasecmp(peer_keys[i].server, name))
            return peer_keys[i].server;
    return NULL;
}
