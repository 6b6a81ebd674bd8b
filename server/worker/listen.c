/*
 * listen.c: the listen sockets.
 *
 * The master opens them and every worker inherits them, so connections that wait to be accepted outlive a worker that
 * dies. A socket for an address that both the old and the new configuration have stays open during a reload, so no
 * connection is refused. The new master of an upgrade gets the open sockets too (inherit.c).
 *
 * The file of a Unix socket may be lost, by a cleaner of /tmp or an rm: a reload finds that out and binds the address
 * again. So a file is removed only if it is still the socket's own.
 *
 * TCP_NODELAY is set here because accepted sockets inherit it: one system call in place of one for each connection. The
 * file of a Unix socket that a dead server has left is removed, but only if nobody answers there.
 *
 * A stop takes effect on the sockets themselves, by shutdown(2), whoever else has them open still: a worker that is
 * busy, or a child of the application. On TCP that resets what is in the backlog. So first a filter of the kernel drops
 * the SYN of new connections, which the client sends again after a second, and is refused then; and the backlog is
 * emptied. Handshakes that have begun before get a moment to end.
 */
#include "worker/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/array.h"
#include "base/mem.h"
#include "base/own.h"
#include "log/log.h"
#include "process/inherit.h"

#define LAST_HANDSHAKES 20 /* milliseconds without a new connection, after which a stopped socket is closed */
#define MAX_LAST        20 /* times that there may be some */

static struct list all_sockets = LIST_INIT(all_sockets);
static bool keep_files;

/* ---- opening ---- */

static void enable_option(int fd, int level, int option)
{
    int on = 1;

    setsockopt(fd, level, option, &on, sizeof(on)); /* the server works without, if less well */
}

/* Connections inherit this: a client that is gone without a word is noticed after two minutes, and not by a timeout
 * only that may be switched off. */
static void enable_keepalive(int fd)
{
    static const struct {
        int name, value;
    } options[] = {{TCP_KEEPIDLE, 60}, {TCP_KEEPINTVL, 10}, {TCP_KEEPCNT, 6}}; /* seconds, seconds, probes */

    enable_option(fd, SOL_SOCKET, SO_KEEPALIVE);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) /* fails for a Unix socket, which needs none */
        setsockopt(fd, IPPROTO_TCP, options[i].name, &options[i].value, sizeof(options[i].value));
}

/* The path of a Unix socket, or NULL: an abstract one has no file. */
static const char *socket_path(const struct bind_address *address)
{
    return address->sa.any.sa_family == AF_UNIX && *address->sa.un.sun_path ? address->sa.un.sun_path : NULL;
}

/* Whether the file is a socket on which nobody listens. */
static bool is_abandoned(const struct bind_address *address)
{
    struct stat st;
    bool refused;
    int fd;

    if (lstat(address->sa.un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); /* a full queue must not block us */
    if (fd < 0)
        return false;
    refused = connect(fd, &address->sa.any, address->size) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* Bind it. A Unix socket gives its mode to the file, so that this never has a laxer one. mode: -1: the default. */
static int bind_with_mode(int fd, const struct bind_address *address, int mode)
{
    bool sets = mode >= 0 && address->sa.any.sa_family == AF_UNIX;
    mode_t mask = sets ? umask(0) : 0;
    int err = (sets && fchmod(fd, (mode_t)mode) < 0) || bind(fd, &address->sa.any, address->size) < 0 ? -errno : 0;

    if (sets)
        umask(mask);
    return err;
}

/* mode: of the file of a Unix socket; -1: the default. Returns a bound socket, or -errno. */
static int bind_socket(const struct bind_address *address, int mode)
{
    int family = address->sa.any.sa_family, err;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (family == AF_UNIX) {
        if (socket_path(address) && is_abandoned(address))
            unlink(address->sa.un.sun_path);
    } else {
        enable_option(fd, SOL_SOCKET, SO_REUSEADDR);
        enable_option(fd, IPPROTO_TCP, TCP_NODELAY);
    }
    if (family == AF_INET6)
        enable_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    err = bind_with_mode(fd, address, mode);
    if (!err)
        return fd;
    close(fd);
    return err;
}

/* What to do about the error, or "". */
static const char *bind_advice(const struct bind_address *address, int err)
{
    bool is_unix = socket_path(address);

    switch (err) {
    case -EADDRINUSE:
        return is_unix
                   ? ": another server listens there, or the file is no socket; remove it or choose another path (bind)"
                   : ": another server listens there; stop it or choose another address (bind)";
    case -EACCES:
        return is_unix ? ": the user who starts the server must be able to write to the directory"
                       : ": ports below 1024 need root or CAP_NET_BIND_SERVICE";
    case -EADDRNOTAVAIL:
        return ": no interface of this machine has this address";
    case -ENOENT:
        return ": create the directory first";
    default:
        return "";
    }
}

int listen_check(const struct bind_address *address, const char **advice)
{
    const char *path = socket_path(address);
    int fd, err = 0;

    if (path) {
        struct stat st;

        if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
            err = -EADDRINUSE;
    } else {
        fd = bind_socket(address, -1);
        err = fd == -EADDRINUSE ? 0 : min_int64(fd, 0); /* most likely by the server that runs */
        if (fd >= 0)
            close(fd);
    }
    *advice = err ? bind_advice(address, err) : "";
    return err;
}

/* Log the error and return it. */
static int listen_error(const struct bind_address *address, int err)
{
    log_error("cannot listen on %s: %s%s", address->text, strerror(-err), bind_advice(address, err));
    return err;
}

/* Open the file of a Unix socket, not to read it but to name it: whoever can write to the directory may put another
 * file there at any time. Returns -1 if it is not the one that was made for the socket. */
static int open_own_file(const struct listen_socket *s)
{
    int fd = open(socket_path(&s->address), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == s->device && st.st_ino == s->inode)
        return fd;
    if (fd >= 0)
        close(fd);
    errno = ESTALE;
    return -1;
}

/* fchmod(2) refuses descriptors that only name a file. */
static int change_mode(int file, mode_t mode)
{
    char path[32];
    struct stat st;

    if (fstat(file, &st) == 0 && (st.st_mode & 07777) == mode)
        return 0;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    return chmod(path, mode);
}

static bool names_owner(const struct process_settings *settings)
{
    return settings->socket_uid != (uid_t)-1 || settings->socket_gid != (gid_t)-1;
}

/* Set the owner and the mode of a Unix socket. Before listen(), so that nobody can connect yet. */
static int set_socket_file(const struct listen_socket *s, const struct process_settings *settings)
{
    const char *key = NULL;
    int file, err = 0;

    if (!socket_path(&s->address) || (!settings->has_socket_mode && !names_owner(settings)))
        return 0;
    file = open_own_file(s);
    if (file < 0 || (settings->has_socket_mode && change_mode(file, settings->socket_mode) < 0))
        key = "socket-mode";
    else if (names_owner(settings) &&
             fchownat(file, "", settings->socket_uid, settings->socket_gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
        key = "socket-owner";
    if (key) {
        err = -errno;
        log_error("cannot set the %s of %s: %s", key, s->text, strerror(-err));
    }
    if (file >= 0)
        close(file);
    return err;
}

static void log_listening(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    char text[128];
    uint16_t port;

    getsockname(fd, (struct sockaddr *)&address, &size);
    address_text((struct sockaddr *)&address, text, sizeof(text), &port);
    if (address.ss_family == AF_UNIX)
        log_info("listening on unix:%s", text);
    else
        log_info(address.ss_family == AF_INET6 ? "listening on http://[%s]:%u" : "listening on http://%s:%u", text,
                 port);
}

/* ---- one socket ---- */

/* address: NULL for a socket of systemd. */
static struct listen_socket *listen_socket_new(const struct bind_address *address, const char *text, int fd)
{
    struct listen_socket *s = xcalloc(1, sizeof(*s));
    struct stat st;

    if (address)
        s->address = *address;
    if (address && socket_path(address) && lstat(socket_path(address), &st) == 0 && S_ISSOCK(st.st_mode)) {
        s->device = st.st_dev;
        s->inode = st.st_ino;
    }
    s->text = xstrdup(text);
    s->address.text = s->text;
    s->fd = fd;
    own_fd(fd);
    enable_keepalive(fd);
    list_push(&all_sockets, &s->link);
    return s;
}

/* Whether the file of its path is the one that was made for it. */
static bool has_own_file(const struct listen_socket *s)
{
    struct stat st;

    return lstat(socket_path(&s->address), &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode;
}

/* Find out whether clients cannot reach the socket any more: its file is gone, or another one is there on which nobody
 * listens. */
static bool file_is_lost(struct listen_socket *s)
{
    const char *path = socket_path(&s->address);

    if (!path || s->lost || has_own_file(s))
        return s->lost;
    s->lost = access(path, F_OK) < 0 ? errno == ENOENT : is_abandoned(&s->address);
    if (s->lost)
        log_warn("the file of the socket %s is gone: making it again", s->text);
    return s->lost;
}

static void listen_socket_free(struct listen_socket *s)
{
    if (socket_path(&s->address) && !keep_files && has_own_file(s))
        unlink(s->address.sa.un.sun_path);
    own_fd_end(s->fd);
    close(s->fd);
    list_remove(&s->link);
    free(s->text);
    free(s);
}

/* Listen with the backlog, the mode and the owner of the settings; also on a socket that listens already. */
static int apply_settings(const struct listen_socket *s, const struct settings *settings)
{
    int err = set_socket_file(s, &settings->process);

    if (!err && listen(s->fd, (int)settings->backlog) < 0)
        err = listen_error(&s->address, -errno);
    return err;
}

/* ---- all of a configuration ---- */

int listen_number(const struct listen_set *set, const struct listen_socket *s)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->sockets[i] == s)
            return (int)i;
    return -1;
}

static bool is_in_set(const struct listen_set *set, const struct listen_socket *s)
{
    return listen_number(set, s) >= 0;
}

/* Returns an open socket that clients can reach and that the set does not have yet, as an address with port 0 may be
 * listed several times; or NULL. */
static struct listen_socket *find_open_socket(const struct listen_set *set, const char *text)
{
    struct list *node;

    list_for_each (node, &all_sockets) {
        struct listen_socket *s = list_entry(node, struct listen_socket, link);

        if (!strcmp(s->text, text) && !is_in_set(set, s) && !file_is_lost(s))
            return s;
    }
    return NULL;
}

static void add_to_set(struct listen_set *set, struct listen_socket *s)
{
    s->users++;
    set->sockets[set->count++] = s;
}

static void acquire_activated(struct listen_set *set, int n)
{
    struct listen_socket *s;
    char text[32];

    snprintf(text, sizeof(text), "systemd:%d", n);
    s = find_open_socket(set, text);
    if (!s) {
        s = listen_socket_new(NULL, text, INHERIT_FIRST_FD + n);
        fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL) | O_NONBLOCK);
        enable_option(s->fd, IPPROTO_TCP, TCP_NODELAY);
        log_listening(s->fd);
    }
    add_to_set(set, s);
}

static int acquire_address(struct listen_set *set, const struct settings *settings, const struct bind_address *address)
{
    struct listen_socket *s = find_open_socket(set, address->text);
    bool is_new = !s;
    int err;

    if (is_new) {
        int fd = inherit_take(address->text);

        if (fd < 0)
            fd = bind_socket(address, settings->process.has_socket_mode ? (int)settings->process.socket_mode : -1);
        if (fd < 0)
            return listen_error(address, fd);
        s = listen_socket_new(address, address->text, fd);
    }
    err = apply_settings(s, settings);
    if (!err) {
        if (is_new)
            log_listening(s->fd);
        add_to_set(set, s);
    } else if (is_new) {
        listen_socket_free(s);
    }
    return err;
}

int listen_acquire(const struct settings *settings, struct listen_set *set)
{
    int activated = inherit_activated(), err = 0;
    size_t count = activated ? (size_t)activated : settings->bind_count;

    *set = (struct listen_set){xcalloc(count, sizeof(*set->sockets)), 0};
    for (size_t i = 0; i < count && !err; i++)
        if (activated)
            acquire_activated(set, (int)i);
        else
            err = acquire_address(set, settings, &settings->binds[i]);
    if (err)
        listen_release(set);
    return err;
}

void listen_release(struct listen_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (--set->sockets[i]->users == 0)
            listen_socket_free(set->sockets[i]);
    free(set->sockets);
    *set = (struct listen_set){0};
}

/* Have the kernel drop the SYN of new connections to a TCP socket. */
static void drop_new_connections(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* the flags of the TCP header */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TH_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {ARRAY_SIZE(code), code};

    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)); /* without, a few may be reset */
}

static void pass_backlog(const struct listen_socket *s, void (*pass)(const struct listen_socket *s, int fd))
{
    int fd;

    while ((fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        pass(s, fd);
        close(fd);
    }
}

static bool has_more(const struct listen_socket *s)
{
    return poll(&(struct pollfd){.fd = s->fd, .events = POLLIN}, 1, LAST_HANDSHAKES) > 0;
}

void listen_stop(void (*pass)(const struct listen_socket *s, int fd))
{
    struct list *node;

    list_for_each (node, &all_sockets) {
        const struct listen_socket *s = list_entry(node, struct listen_socket, link);

        if (s->address.sa.any.sa_family == AF_UNIX) {
            shutdown(s->fd, SHUT_RDWR); /* which leaves the backlog to us */
            pass_backlog(s, pass);
            continue;
        }
        drop_new_connections(s->fd);
        pass_backlog(s, pass);
        for (int more = 0; more < MAX_LAST && has_more(s); more++) /* few, as long as the filter works */
            pass_backlog(s, pass);
        shutdown(s->fd, SHUT_RDWR);
    }
}

void listen_keep_files(bool keep)
{
    keep_files = keep;
}

void listen_close_others(const struct listen_set *set)
{
    struct list *node;

    list_for_each (node, &all_sockets) {
        struct listen_socket *s = list_entry(node, struct listen_socket, link);

        if (is_in_set(set, s))
            continue;
        own_fd_end(s->fd);
        close(s->fd);
    }
}

void listen_export(void)
{
    struct list *node;

    inherit_export(inherit_activated() > 0);
    list_for_each (node, &all_sockets) {
        struct listen_socket *s = list_entry(node, struct listen_socket, link);

        if (s->lost)
            continue;
        if (s->address.size)
            inherit_export_socket(s->text, s->fd);
        else
            fcntl(s->fd, F_SETFD, 0); /* systemd's are passed on with the same number */
    }
}
