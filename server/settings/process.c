/*
 * process.c: the keys of [server] about processes, and the users, groups and modes that they name.
 *
 * Users and groups are looked up when the configuration is read: a name that nobody has is a mistake in the file, to be
 * told with its line, and inside a chroot there may be no /etc/passwd.
 */
#include "settings/process.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/internal.h"

#define FIELD(name) offsetof(struct process_raw, name)

const struct sl_option process_options[] = {
    {"user", SL_STRING, FIELD(s.user), NULL, "User of the workers; only root can choose one.", 0, NULL},
    {"group", SL_STRING, FIELD(group), NULL, "Group of the workers; that of the user by default.", 0, NULL},
    {"chroot", SL_PATH, FIELD(s.chroot), NULL, "Directory that workers see as /.", 0, NULL},
    {"umask", SL_STRING, FIELD(umask), NULL, "Bits that files made by the server and the application lack: 027.", 0,
     NULL},
    {"pidfile", SL_PATH, FIELD(s.pidfile), NULL, "File for the pid of the master.", 0, NULL},
    {"daemonize", SL_BOOL, FIELD(s.daemonize), "no", "Go to the background once workers serve.", 0, NULL},
    {"preload", SL_BOOL, FIELD(s.preload), "no", "Load applications once, before the workers are forked.", 0, NULL},
    {"reload-on-change", SL_PATHS, FIELD(s.reload_on_change), NULL,
     "Files and directories that make the server reload when they change.", 0, NULL},
    {"max-requests", SL_INTEGER, FIELD(s.max_requests), "0", "Requests after which a worker is replaced; 0: never.", 0,
     NULL},
    {"max-requests-jitter", SL_INTEGER, FIELD(s.max_requests_jitter), "0",
     "Up to so many requests more, at random for each worker.", 0, NULL},
    {"max-lifetime", SL_DURATION, FIELD(s.max_lifetime), "0", "Age at which a worker is replaced; 0: none.", 0, NULL},
    {"max-rss", SL_SIZE, FIELD(s.max_rss), "0", "Resident memory at which a worker is replaced; 0: none.", 0, NULL},
    {"hog-limit", SL_DURATION, FIELD(s.hog_limit), "1s",
     "Time without a turn of the loop after which the log says what holds it; 0: never.", 0, NULL},
    {"socket-mode", SL_STRING, FIELD(socket_mode), NULL, "Mode of Unix sockets: 0660.", 0, NULL},
    {"socket-owner", SL_STRING, FIELD(socket_owner), NULL, "Owner of Unix sockets: user, user:group or :group.", 0,
     NULL},
    {0},
};

static void fill_mode(struct conf *c, const struct conf_section *server, const char *key, const char *text, bool *given,
                      mode_t *mode)
{
    char *end;
    unsigned long value;

    *given = text;
    if (!text)
        return;
    value = strtoul(text, &end, 8);
    if (*end || !*text || *text == '-' || value > 0777)
        conf_value_error(c, server, key, 0, "\"%s = %s\": expected an octal number such as 0660", key, text);
    *mode = (mode_t)value;
}

/* A name or a number: 0, or -ENOENT. */
static int find_user(const char *name, uid_t *uid, gid_t *gid)
{
    struct passwd *found = getpwnam(name);
    int64_t number;

    if (!found && conf_value_integer(name, &number) == 0 && number >= 0) {
        *uid = (uid_t)number;
        found = getpwuid(*uid);
        *gid = found ? found->pw_gid : (gid_t)number;
        return 0;
    }
    if (!found)
        return -ENOENT;
    *uid = found->pw_uid;
    *gid = found->pw_gid;
    return 0;
}

static int find_group(const char *name, gid_t *gid)
{
    struct group *found = getgrnam(name);
    int64_t number;

    if (!found && (conf_value_integer(name, &number) || number < 0))
        return -ENOENT;
    *gid = found ? found->gr_gid : (gid_t)number;
    return 0;
}

static void fill_identity(struct process_raw *raw, struct conf *c, const struct conf_section *server)
{
    struct process_settings *s = &raw->s;
    const char *privileged = s->user ? "user" : raw->group ? "group" : "chroot";

    s->has_group = s->user || raw->group;
    if (s->user && find_user(s->user, &s->uid, &s->gid))
        conf_value_error(c, server, "user", 0, "\"user = %s\": there is no such user", s->user);
    if (raw->group && find_group(raw->group, &s->gid))
        conf_value_error(c, server, "group", 0, "\"group = %s\": there is no such group", raw->group);
    if (geteuid() != 0 && (s->user || raw->group || s->chroot))
        conf_value_error(c, server, privileged, 0, "\"%s\" can be set by root only; this is uid %d", privileged,
                         (int)geteuid());
}

static void fill_owner(struct process_raw *raw, struct conf *c, const struct conf_section *server)
{
    const char *text = raw->socket_owner, *colon = text ? strchr(text, ':') : NULL;
    const char *user = text ? arena_strndup(&c->arena, text, colon ? (size_t)(colon - text) : strlen(text)) : "";
    gid_t unused;

    raw->s.socket_uid = (uid_t)-1;
    raw->s.socket_gid = (gid_t)-1;
    if ((*user && find_user(user, &raw->s.socket_uid, &unused)) || (colon && find_group(colon + 1, &raw->s.socket_gid)))
        conf_value_error(c, server, "socket-owner", 0, "\"socket-owner = %s\": there is no such user or group", text);
}

void process_fill(struct process_raw *raw, struct conf *c, const struct conf_section *server)
{
    struct process_settings *s = &raw->s;

    fill_identity(raw, c, server);
    fill_owner(raw, c, server);
    fill_mode(c, server, "umask", raw->umask, &s->has_umask, &s->umask);
    fill_mode(c, server, "socket-mode", raw->socket_mode, &s->has_socket_mode, &s->socket_mode);
    if (s->max_requests < 0 || s->max_requests_jitter < 0)
        conf_value_error(c, server, s->max_requests < 0 ? "max-requests" : "max-requests-jitter", 0,
                         "a number of requests cannot be negative");
}
