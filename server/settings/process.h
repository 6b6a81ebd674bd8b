/* process.h: the settings of processes, from [server]: their user, how they start, when they are replaced. */
#ifndef SETTINGS_PROCESS_H
#define SETTINGS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "metrics/statsd.h"
#include "syncless.h"

struct conf;

struct process_settings {
    const char *user;         /* NULL: workers run as the master does */
    uid_t uid;                /* of workers, if user is set */
    const char *login, *home; /* of that user; login is NULL if it has no name */
    bool has_group;           /* gid is set */
    gid_t gid;
    const char *chroot;
    const gid_t *more_groups; /* supplementary groups, beside those that the user is in */
    size_t more_group_count;
    bool no_new_privileges; /* setuid bits have no effect on programs that workers start */
    bool dumpable;          /* debuggers of the same user may attach, and there are core files */
    bool sandbox;
    bool sandbox_exec;                  /* programs may be started in it */
    const char *const *sandbox_read;    /* further folders, or NULL */
    const char *const *sandbox_write;   /* the same */
    const char *const *sandbox_folders; /* those that other keys name; set by sandbox_prepare */
    bool has_umask;
    mode_t umask;
    const char *pidfile;
    int64_t drain_delay; /* milliseconds */
    const char *control; /* path of the control socket; NULL: none */
    struct statsd_target statsd;
    const char *prometheus_dir; /* of prometheus_client, for several processes; NULL: none */
    bool daemonize;
    bool preload;
    const char *const *reload_on_change; /* files and directories, or NULL */
    const char *const *reload_patterns;  /* of the names of files that count in these directories */
    int64_t max_requests;                /* 0: any number; also below */
    int64_t max_requests_jitter;
    int64_t max_lifetime;     /* milliseconds */
    int64_t max_rss;          /* bytes */
    int64_t watchdog_timeout; /* milliseconds */
    int64_t flight_recorder;  /* bytes; 0: it is off */
    const char *flight_dir;   /* of its files; NULL: none are written */
    int64_t flight_files;     /* that are kept */
    int64_t time_slice;       /* milliseconds; 0: Python code is not preempted */
    int64_t worker_timeout;   /* milliseconds; 0: none */
    int64_t start_timeout;    /* milliseconds; 0: none */
    bool has_socket_mode;
    mode_t socket_mode; /* of Unix sockets */
    uid_t socket_uid;   /* -1: unchanged */
    gid_t socket_gid;   /* -1: unchanged */
};

/* The keys, a part of those of [server]. */
extern const struct sl_option process_options[];

/* Fill in s from [server]. Mistakes are recorded in c, which owns what s points at. */
void process_settings_fill(struct process_settings *s, struct conf *c);

#endif
