/* peers.h: keys and options of other servers, and what they are here. */
#ifndef SETTINGS_PEERS_H
#define SETTINGS_PEERS_H

#include <stdbool.h>

struct conf_nearest;

enum peer_relation {
    PEER_SAME, /* our key means the same */
    PEER_LIKE, /* our key is for the same purpose, but means something else */
    PEER_NONE, /* there is no such key */
};

/* How the value is written. */
enum peer_kind {
    PEER_TEXT,         /* as ours, also in the next four */
    PEER_PATH,         /* or not at all ours */
    PEER_COUNT,        /* a number */
    PEER_SECONDS,      /* a number of them */
    PEER_BYTES,        /* a number of them */
    PEER_MEGABYTES,    /* a number of them */
    PEER_FLAG,         /* yes; an option without a value, as are factory and reload */
    PEER_OCTAL,        /* an octal number */
    PEER_UMASK,        /* an octal number only if it begins with 0 */
    PEER_ADDRESS,      /* host:port, or the path of a Unix socket */
    PEER_UNIX_PATH,    /* the path of a Unix socket */
    PEER_HOST,         /* half of an address */
    PEER_PORT,         /* the other half */
    PEER_LIST,         /* values with commas between them */
    PEER_NETWORKS,     /* addresses with commas between them, or * */
    PEER_TARGET,       /* a log: a file, or - */
    PEER_LEVEL,        /* of Python's logging */
    PEER_APP,          /* module:attribute, where the attribute may be missing */
    PEER_FILE,         /* the same with a file for the module */
    PEER_CALLABLE,     /* the attribute for one of the two */
    PEER_FACTORY,      /* the attribute is a factory */
    PEER_RELOAD,       /* when files of the working directory change */
    PEER_RELOAD_EVERY, /* the same; 0: never */
};

/* A row of peers.def. */
struct peer_key {
    const char *server, *name; /* whose it is; * at the end of the name stands for any rest */
    enum peer_relation relation;
    enum peer_kind kind;
    const char *section, *key; /* ours, "" if there is none */
    const char *note;          /* what to know or to do, or "" */
};

/* Returns the first row for a name, or NULL. If is_pattern is set only among the names that end with *, else only among
 * the others. */
const struct peer_key *peers_find(const char *name, bool is_pattern);

/* Look at all names without a *. */
void peers_nearest(struct conf_nearest *near);

/* Returns the server of that name, in any case, as it is written; NULL: the table has none. */
const char *peers_find_server(const char *name);

#endif
