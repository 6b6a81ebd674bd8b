/*
 * nss.c: users, groups, services and the other names of nsswitch.conf: getpwnam and the like.
 *
 * libc finds them in files at once, or by modules that ask a daemon (nsswitch.c). These have no way to wait that could
 * park, so libc is called on a thread of the pool. The plain forms return memory of their own, which is valid until the
 * next call of any coroutine. getpwent and getgrent are libc's: the process has one place in each list, and CPython
 * keeps the GIL from the first entry to the last so that nobody else moves it.
 */
#include <aliases.h>
#include <errno.h>
#include <grp.h>
#include <gshadow.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <pwd.h>
#include <shadow.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/real.h"
#include "libc/names/nsswitch.h"
#include "libc/runtime/park.h"

#define FIRST_SIZE 1024 /* bytes */

/* Whether libc answers here: at once, or to an OS thread. */
static bool nss_passes(const char *database)
{
    bool passes = true;
    int saved = errno;

    if (coro_self())
        passes = nsswitch_is_local(database) || !park_possible();
    errno = saved;
    return passes;
}

/* Before each try of a plain form: allocate the buffer, or a larger one if the last was too small. Returns false if it
 * was not. */
static bool nss_grow(char **buf, size_t *size, int err)
{
    if (*buf && err != ERANGE)
        return false;
    *size = *buf ? 2 * *size : FIRST_SIZE;
    *buf = xrealloc(*buf, *size);
    return true;
}

/* NAME and NAME_r. The last four say the key as members of a struct, parameters, arguments, and members that are read:
 * lists, which LIST keeps together. */
#define LIST(...) __VA_ARGS__
#define NSS_CALL(name, database, entry, members, params, args, packed)                                                 \
    struct name##_call {                                                                                               \
        members struct entry *out;                                                                                     \
        char *buf;                                                                                                     \
        size_t size;                                                                                                   \
        struct entry **result;                                                                                         \
        int err;                                                                                                       \
    };                                                                                                                 \
                                                                                                                       \
    static int name##_run(void *arg)                                                                                   \
    {                                                                                                                  \
        struct name##_call *c = arg;                                                                                   \
        int error = real()->name##_r(packed, c->out, c->buf, c->size, c->result);                                      \
                                                                                                                       \
        c->err = errno;                                                                                                \
        return error;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    int name##_r(params, struct entry *restrict out, char *restrict buf, size_t size, struct entry **restrict result)  \
    {                                                                                                                  \
        struct name##_call call = {args, out, buf, size, result, 0};                                                   \
        int error;                                                                                                     \
                                                                                                                       \
        if (nss_passes(database))                                                                                      \
            return real()->name##_r(args, out, buf, size, result);                                                     \
        error = wait_offload(name##_run, &call);                                                                       \
        errno = call.err;                                                                                              \
        return error;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    struct entry *name(params)                                                                                         \
    {                                                                                                                  \
        static struct entry last;                                                                                      \
        static char *last_buf;                                                                                         \
        struct entry found, *result = NULL;                                                                            \
        char *buf = NULL;                                                                                              \
        size_t size = 0;                                                                                               \
        int err = 0;                                                                                                   \
                                                                                                                       \
        if (nss_passes(database))                                                                                      \
            return real()->name(args);                                                                                 \
        while (nss_grow(&buf, &size, err))                                                                             \
            err = name##_r(args, &found, buf, size, &result);                                                          \
        free(last_buf);                                                                                                \
        last_buf = buf;                                                                                                \
        last = found;                                                                                                  \
        if (err)                                                                                                       \
            errno = err;                                                                                               \
        return result ? &last : NULL;                                                                                  \
    }

/* For a key. */
#define NSS_BY_ONE(name, database, key_type, entry)                                                                    \
    NSS_CALL(name, database, entry, LIST(key_type key;), LIST(key_type key), LIST(key), LIST(c->key))

/* For a name or number, and a protocol. */
#define NSS_BY_TWO(name, database, key_type, entry)                                                                    \
    NSS_CALL(name, database, entry, LIST(key_type key; const char *with;), LIST(key_type key, const char *with),       \
             LIST(key, with), LIST(c->key, c->with))

NSS_BY_ONE(getpwnam, "passwd", const char *, passwd)
NSS_BY_ONE(getpwuid, "passwd", uid_t, passwd)
NSS_BY_ONE(getgrnam, "group", const char *, group)
NSS_BY_ONE(getgrgid, "group", gid_t, group)
NSS_BY_ONE(getspnam, "shadow", const char *, spwd)
NSS_BY_ONE(getsgnam, "gshadow", const char *, sgrp)
NSS_BY_ONE(getrpcbyname, "rpc", const char *, rpcent)
NSS_BY_ONE(getrpcbynumber, "rpc", int, rpcent)
NSS_BY_ONE(getaliasbyname, "aliases", const char *, aliasent)
NSS_BY_ONE(getprotobyname, "protocols", const char *, protoent)
NSS_BY_ONE(getprotobynumber, "protocols", int, protoent)
NSS_BY_TWO(getservbyname, "services", const char *, servent)
NSS_BY_TWO(getservbyport, "services", int, servent)

/* ---- networks, whose errors are those of hosts ---- */

struct net_lookup {
    const char *name; /* NULL: by number */
    uint32_t number;
    int type;
    struct netent *out;
    char *buf;
    size_t size;
    struct netent **result;
    int *host_error;
    int err;
};

static int net_lookup_run(void *arg)
{
    struct net_lookup *l = arg;
    int error = l->name ? real()->getnetbyname_r(l->name, l->out, l->buf, l->size, l->result, l->host_error)
                        : real()->getnetbyaddr_r(l->number, l->type, l->out, l->buf, l->size, l->result, l->host_error);

    l->err = errno;
    return error;
}

static int net_look_up(struct net_lookup *l)
{
    int error = nss_passes("networks") ? net_lookup_run(l) : wait_offload(net_lookup_run, l);

    errno = l->err;
    return error;
}

int getnetbyname_r(const char *name, struct netent *out, char *buf, size_t size, struct netent **result,
                   int *host_error)
{
    return net_look_up(&(struct net_lookup){name, 0, 0, out, buf, size, result, host_error, 0});
}

int getnetbyaddr_r(uint32_t number, int type, struct netent *out, char *buf, size_t size, struct netent **result,
                   int *host_error)
{
    return net_look_up(&(struct net_lookup){NULL, number, type, out, buf, size, result, host_error, 0});
}

/* The plain forms: in memory that is valid until the next call. */
static struct netent *net_look_up_plain(struct net_lookup *l)
{
    static struct netent last;
    static char *last_buf;
    struct netent found, *result = NULL;
    int err = 0, host_error = 0;

    l->out = &found;
    l->result = &result;
    l->host_error = &host_error;
    while (nss_grow(&l->buf, &l->size, err))
        err = net_look_up(l);
    free(last_buf);
    last_buf = l->buf;
    last = found;
    h_errno = host_error;
    return result ? &last : NULL;
}

struct netent *getnetbyname(const char *name)
{
    if (nss_passes("networks"))
        return real()->getnetbyname(name);
    return net_look_up_plain(&(struct net_lookup){.name = name});
}

struct netent *getnetbyaddr(uint32_t number, int type)
{
    if (nss_passes("networks"))
        return real()->getnetbyaddr(number, type);
    return net_look_up_plain(&(struct net_lookup){.number = number, .type = type});
}

/* ---- netgroups and addresses of network cards ---- */

struct membership {
    const char *group, *host, *user, *domain;
};

static int membership_run(void *arg)
{
    const struct membership *m = arg;

    return real()->innetgr(m->group, m->host, m->user, m->domain);
}

int innetgr(const char *group, const char *host, const char *user, const char *domain)
{
    struct membership m = {group, host, user, domain};

    return nss_passes("netgroup") ? membership_run(&m) : wait_offload(membership_run, &m);
}

struct card {
    char *name;
    const char *wanted; /* NULL: by address */
    struct ether_addr *address;
};

static int card_run(void *arg)
{
    const struct card *card = arg;

    return card->wanted ? real()->ether_hostton(card->wanted, card->address)
                        : real()->ether_ntohost(card->name, card->address);
}

static int card_look_up(struct card card)
{
    return nss_passes("ethers") ? card_run(&card) : wait_offload(card_run, &card);
}

int ether_hostton(const char *name, struct ether_addr *address)
{
    return card_look_up((struct card){NULL, name, address});
}

int ether_ntohost(char *name, const struct ether_addr *address)
{
    return card_look_up((struct card){name, NULL, (struct ether_addr *)address});
}

/* ---- the groups of a user ---- */

struct group_list {
    const char *user;
    gid_t group, *groups;
    int *count;
};

static int group_list_run(void *arg)
{
    const struct group_list *list = arg;

    return real()->getgrouplist(list->user, list->group, list->groups, list->count);
}

int getgrouplist(const char *user, gid_t group, gid_t *groups, int *count)
{
    struct group_list list = {user, group, groups, count};

    return nss_passes("group") && nss_passes("initgroups") ? group_list_run(&list)
                                                           : wait_offload(group_list_run, &list);
}

int initgroups(const char *user, gid_t group)
{
    int count = 64, result, saved;
    gid_t *groups;

    if (nss_passes("group") && nss_passes("initgroups"))
        return real()->initgroups(user, group);
    groups = xmalloc((size_t)count * sizeof(*groups));
    while (getgrouplist(user, group, groups, &count) < 0)
        groups = xrealloc(groups, (size_t)count * sizeof(*groups));
    result = setgroups((size_t)count, groups);
    saved = errno;
    free(groups);
    errno = saved;
    return result;
}
