/*
 * process.c: the keys of [server] about processes, and the users, groups and modes that they name.
 *
 * Users and groups are looked up when the configuration is read: an unknown name is a mistake in the file, reported
 * with its line, and inside a chroot there may be no /etc/passwd.
 */
#include "settings/process.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/options.h"

#define MAX_STATSD_PREFIX 100 /* bytes */
#define MAX_CONTROL       96  /* bytes: what sun_path holds, and room for the name that the socket has first */

struct process_raw {
    struct process_settings s;
    const char *group, *umask, *socket_mode, *socket_owner, *statsd, *statsd_prefix;
    const char *const *groups;
};

/* Source, templates and what is configured by hand; not what applications write. */
static const char *const reload_patterns[] = {"*.py",     "*.pyx",  "*.html", "*.htm",  "*.jinja",
                                              "*.jinja2", "*.j2",   "*.mako", "*.tmpl", "*.mo",
                                              "*.ini",    "*.toml", "*.yaml", "*.yml",  NULL};

const struct sl_option process_options[] = {
    SL_OPTION("user", SL_STRING, struct process_raw, s.user, .help = "User of the workers; only root can set it."),
    SL_OPTION("group", SL_STRING, struct process_raw, group,
              .help = "Group of the workers; by default that of the user."),
    SL_OPTION("supplementary-groups", SL_STRINGS, struct process_raw, groups,
              .help = "Further groups of the workers, beside those that their user is in; repeat for more."),
    SL_OPTION("no-new-privileges", SL_BOOL, struct process_raw, s.no_new_privileges, .default_value = "yes",
              .help = "Setuid bits have no effect on programs that workers start, such as sudo and sendmail."),
    SL_OPTION("dumpable", SL_BOOL, struct process_raw, s.dumpable, .default_value = "no",
              .help = "Debuggers of the same user may attach to workers, and crashes leave core files."),
    SL_OPTION("sandbox", SL_BOOL, struct process_raw, s.sandbox, .default_value = "no",
              .help = "Confine workers to the folders that the configuration names, without other programs."),
    SL_OPTION("sandbox-read", SL_PATHS, struct process_raw, s.sandbox_read,
              .help = "Further folders and files that may be read in the sandbox; repeat for more."),
    SL_OPTION("sandbox-write", SL_PATHS, struct process_raw, s.sandbox_write,
              .help = "Folders and files that may be written in the sandbox, such as /tmp; repeat for more."),
    SL_OPTION("sandbox-exec", SL_BOOL, struct process_raw, s.sandbox_exec, .default_value = "no",
              .help = "Programs may be started in the sandbox; with a section of cgi they may be in any case."),
    SL_OPTION("chroot", SL_PATH, struct process_raw, s.chroot, .help = "Directory that workers see as /."),
    SL_OPTION("umask", SL_STRING, struct process_raw, umask,
              .help = "Octal: permission bits removed from new files, such as 027."),
    SL_OPTION("pidfile", SL_PATH, struct process_raw, s.pidfile, .help = "File for the pid of the master."),
    SL_OPTION("control", SL_PATH, struct process_raw, s.control,
              .help = "Unix socket of the master, for syncless-ctl; only its owner can use it."),
    SL_OPTION("statsd", SL_STRING, struct process_raw, statsd,
              .help = "Where counters are sent every second: udp://HOST:PORT, or unix:/path of a datagram socket."),
    SL_OPTION("statsd-prefix", SL_STRING, struct process_raw, statsd_prefix, .default_value = "syncless",
              .help = "What the names of these counters begin with."),
    SL_OPTION("prometheus-multiproc-dir", SL_PATH, struct process_raw, s.prometheus_dir,
              .help = "Folder by which prometheus_client in applications adds up all workers; emptied at a start."),
    SL_OPTION("drain-delay", SL_DURATION, struct process_raw, s.drain_delay, .default_value = "0", .max = 3600000,
              .help =
                  "Time between the moment when /ready of [status] fails and the stop that TERM, QUIT or WINCH asks "
                  "for."),
    SL_OPTION("daemonize", SL_BOOL, struct process_raw, s.daemonize, .default_value = "no",
              .help = "Run in the background; return when the workers are ready."),
    SL_OPTION("preload", SL_BOOL, struct process_raw, s.preload, .default_value = "no",
              .help = "Load applications once, before the workers are forked."),
    SL_OPTION("reload-on-change", SL_PATHS, struct process_raw, s.reload_on_change,
              .help = "Files and directories that make the server reload when they change."),
    SL_OPTION("reload-patterns", SL_STRINGS, struct process_raw, s.reload_patterns,
              .help = "Names of files that count below these directories, such as *.py; repeat for more."),
    SL_OPTION("max-requests", SL_INTEGER, struct process_raw, s.max_requests, .default_value = "0",
              .help = "Requests after which a worker is replaced; 0: never.", .max = INT64_MAX),
    SL_OPTION("max-requests-jitter", SL_INTEGER, struct process_raw, s.max_requests_jitter, .default_value = "0",
              .help = "A random number up to this is added to max-requests, for each worker.", .max = INT64_MAX),
    SL_OPTION("max-lifetime", SL_DURATION, struct process_raw, s.max_lifetime, .default_value = "0",
              .help = "Age at which a worker is replaced; 0: never."),
    SL_OPTION("max-rss", SL_SIZE, struct process_raw, s.max_rss, .default_value = "0",
              .help = "Resident memory at which a worker is replaced; 0: never."),
    SL_OPTION("watchdog-timeout", SL_DURATION, struct process_raw, s.watchdog_timeout, .default_value = "1s",
              .old_name = "hog-limit",
              .help = "Time that something may block the event loop before the log says what; 0: any time."),
    SL_OPTION("flight-recorder", SL_SIZE, struct process_raw, s.flight_recorder, .default_value = "1m",
              .max = 256 << 20, .help = "Memory of each worker for its last events; 0: none are recorded."),
    SL_OPTION("flight-recorder-dir", SL_PATH, struct process_raw, s.flight_dir,
              .help = "Folder for traces of what happened before a 504, a blocked event loop, or a crash."),
    SL_OPTION("flight-recorder-files", SL_INTEGER, struct process_raw, s.flight_files, .default_value = "20", .min = 1,
              .max = 10000, .help = "Traces that are kept in flight-recorder-dir."),
    SL_OPTION("time-slice", SL_DURATION, struct process_raw, s.time_slice, .default_value = "5ms", .max = 1000,
              .help = "Time that Python code may run while others could; 0: until it waits."),
    SL_OPTION("worker-timeout", SL_DURATION, struct process_raw, s.worker_timeout, .default_value = "30s",
              .help = "Time without an answer after which a worker is replaced and killed; 0: never."),
    SL_OPTION("start-timeout", SL_DURATION, struct process_raw, s.start_timeout, .default_value = "2m",
              .help = "Time that a worker has to become ready before it is killed; 0: any time."),
    SL_OPTION("socket-mode", SL_STRING, struct process_raw, socket_mode,
              .help = "Octal: mode of Unix sockets, such as 0660."),
    SL_OPTION("socket-owner", SL_STRING, struct process_raw, socket_owner,
              .help = "Owner of Unix sockets: user, user:group or :group."),
    {.name = NULL},
};

/* text may be NULL; example is for the message. */
static void fill_mode(struct conf *c, const struct conf_section *server, const char *key, const char *text,
                      const char *example, bool *has_mode, mode_t *mode)
{
    char *end;
    unsigned long value;

    *has_mode = text;
    if (!text)
        return;
    value = strtoul(text, &end, 8);
    if (*end || !*text || *text == '-' || value > 0777)
        conf_value_error(c, server, key, 0, "expected an octal number such as %s", example);
    *mode = (mode_t)value;
}

#define MAX_ID INT64_C(0xfffffffe) /* (uid_t)-1 means none, and a larger number would be cut to another user's */

/* Returns whether the text is the number of a user or group. */
static bool is_id(const char *text, int64_t *number)
{
    return !conf_value_integer(text, number) && *number >= 0 && *number <= MAX_ID;
}

/* Find the user of that name or number, and its group. A number need not have an entry in passwd. Returns 0 or -ENOENT.
 */
static int look_up_user(const char *name, uid_t *uid, gid_t *gid)
{
    struct passwd *found = getpwnam(name);
    int64_t number;

    if (!found && is_id(name, &number)) {
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

static int look_up_group(const char *name, gid_t *gid)
{
    struct group *found = getgrnam(name);
    int64_t number;

    if (!found && !is_id(name, &number))
        return -ENOENT;
    *gid = found ? found->gr_gid : (gid_t)number;
    return 0;
}

/* The environment of the user. Of a number without an entry only the directory is set, to /. */
static void fill_login(struct process_settings *s, struct conf *c)
{
    const struct passwd *found = getpwnam(s->user);

    if (!found)
        found = getpwuid(s->uid);
    s->login = found ? arena_strndup(&c->arena, found->pw_name, strlen(found->pw_name)) : NULL;
    s->home = found ? arena_strndup(&c->arena, found->pw_dir, strlen(found->pw_dir)) : "/";
}

static void fill_groups(struct process_raw *raw, struct conf *c, const struct conf_section *server)
{
    size_t count = 0;
    gid_t *list;

    while (raw->groups && raw->groups[count])
        count++;
    list = arena_alloc(&c->arena, count * sizeof(*list));
    for (size_t i = 0; i < count; i++)
        if (look_up_group(raw->groups[i], &list[i]))
            conf_value_error(c, server, "supplementary-groups", i, "there is no such group");
    raw->s.more_groups = list;
    raw->s.more_group_count = count;
}

/* Without no_new_privs a sandbox would confine setuid programs, which the kernel refuses. */
static void check_sandbox(const struct process_raw *raw, struct conf *c, const struct conf_section *server)
{
    if (raw->s.sandbox && !raw->s.no_new_privileges)
        conf_value_error(c, server, "no-new-privileges", 0, "\"sandbox = yes\" needs \"yes\"");
}

static void fill_identity(struct process_raw *raw, struct conf *c, const struct conf_section *server)
{
    struct process_settings *s = &raw->s;
    const char *privileged = s->user ? "user" : raw->group ? "group" : s->chroot ? "chroot" : "supplementary-groups";

    s->has_group = s->user || raw->group;
    if (s->user && look_up_user(s->user, &s->uid, &s->gid))
        conf_value_error(c, server, "user", 0, "there is no such user");
    else if (s->user)
        fill_login(s, c);
    if (raw->group && look_up_group(raw->group, &s->gid))
        conf_value_error(c, server, "group", 0, "there is no such group");
    if (geteuid() != 0 && (s->user || raw->group || s->chroot || raw->groups))
        conf_value_error(c, server, privileged, 0, "only root can set this; the server runs as uid %d", (int)geteuid());
}

static void fill_owner(struct process_raw *raw, struct conf *c, const struct conf_section *server)
{
    const char *text = raw->socket_owner, *colon = text ? strchr(text, ':') : NULL;
    const char *user = text ? arena_strndup(&c->arena, text, colon ? (size_t)(colon - text) : strlen(text)) : "";
    gid_t unused;

    raw->s.socket_uid = (uid_t)-1;
    raw->s.socket_gid = (gid_t)-1;
    if ((*user && look_up_user(user, &raw->s.socket_uid, &unused)) ||
        (colon && look_up_group(colon + 1, &raw->s.socket_gid)))
        conf_value_error(c, server, "socket-owner", 0, "there is no such user or group");
}

/* Look the host up. Returns NULL, or what is wrong. */
static const char *find_statsd_host(struct conf *c, struct statsd_target *to, const char *text)
{
    const char *colon = strrchr(text, ':'), *host;
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found;
    int code;

    if (!address_parse(&to->address, &to->size, text))
        return NULL;
    to->size = 0;
    if (!colon || colon == text || !colon[1])
        return "expected udp://HOST:PORT, or unix:/path";
    host = arena_strndup(&c->arena, text, (size_t)(colon - text));
    code = getaddrinfo(host, colon + 1, &hints, &found);
    if (code)
        return arena_printf(&c->arena, "cannot find the address of %s: %s", host, gai_strerror(code));
    to->size = found->ai_addrlen;
    memcpy(&to->address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return NULL;
}

static void fill_statsd(struct process_raw *raw, struct conf *c, const struct conf_section *server)
{
    const char *text = raw->statsd, *prefix = raw->statsd_prefix, *why;

    if (!text)
        return;
    text += strncmp(text, "udp://", 6) ? 0 : 6;
    if (*text == '/')
        text = arena_printf(&c->arena, "unix:%s", text);
    why = find_statsd_host(c, &raw->s.statsd, text);
    if (why)
        conf_value_error(c, server, "statsd", 0, "%s", why);
    if (strlen(prefix) > MAX_STATSD_PREFIX || strpbrk(prefix, ":|@\n "))
        conf_value_error(c, server, "statsd-prefix", 0, "expected at most %d bytes without \":\", \"|\" and \"@\"",
                         MAX_STATSD_PREFIX);
    raw->s.statsd.prefix =
        *prefix && prefix[strlen(prefix) - 1] != '.' ? arena_printf(&c->arena, "%s.", prefix) : prefix;
}

void process_settings_fill(struct process_settings *s, struct conf *c)
{
    struct conf_section *server = conf_section_find(c, "server");
    struct process_raw raw = {0};

    conf_fill_options(c, &server, 1, process_options, &raw);
    fill_identity(&raw, c, server);
    fill_groups(&raw, c, server);
    fill_owner(&raw, c, server);
    check_sandbox(&raw, c, server);
    fill_mode(c, server, "umask", raw.umask, "027", &raw.s.has_umask, &raw.s.umask);
    fill_mode(c, server, "socket-mode", raw.socket_mode, "0660", &raw.s.has_socket_mode, &raw.s.socket_mode);
    fill_statsd(&raw, c, server);
    if (raw.s.control && strlen(raw.s.control) > MAX_CONTROL)
        conf_value_error(c, server, "control", 0, "the path of a socket has at most %d bytes", MAX_CONTROL);
    if (!raw.s.reload_patterns)
        raw.s.reload_patterns = reload_patterns;
    *s = raw.s;
}
