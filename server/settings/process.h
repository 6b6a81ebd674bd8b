/* process.h: the settings of processes: whose they are, how they start, when they are replaced; from [server]. */
#ifndef CONF_PROCESS_H
#define CONF_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "syncless.h"

struct conf;
struct conf_section;

struct process_settings {
    const char *user; /* NULL: workers stay what the master is */
    uid_t uid;        /* of workers, if user is set */
    bool has_group;   /* gid is to be taken */
    gid_t gid;
    const char *chroot;
    bool has_umask;
    mode_t umask;
    const char *pidfile;
    bool daemonize;
    bool preload;
    const char *const *reload_on_change; /* files and directories, or NULL */
    int64_t max_requests;                /* 0: any number; the same below */
    int64_t max_requests_jitter;
    int64_t max_lifetime; /* milliseconds */
    int64_t max_rss;      /* bytes */
    int64_t hog_limit;    /* milliseconds */
    bool has_socket_mode;
    mode_t socket_mode; /* of Unix sockets */
    uid_t socket_uid;   /* -1: as made */
    gid_t socket_gid;   /* -1: as made */
};

/* The keys, for [server]; the texts among them are for process_fill to look at. */
struct process_raw {
    struct process_settings s;
    const char *group, *umask, *socket_mode, *socket_owner;
};
extern const struct sl_option process_options[];

/* Fill in what follows from the texts; mistakes are noted in c. */
void process_fill(struct process_raw *raw, struct conf *c, const struct conf_section *server);

#endif
