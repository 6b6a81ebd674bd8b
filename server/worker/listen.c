/*
 * listen.c: the listening sockets.
 *
 * They are made in the master and inherited by every worker, so that a worker that dies loses no connection that waits
 * to be accepted; a configuration that is read anew finds the sockets it has in common with the one before open, and no
 * connection is refused in between. A master that takes over from another one finds them so too (inherit.c).
 *
 * TCP_NODELAY is set here because accepted sockets inherit it: one system call, not one for each. The file of a Unix
 * socket left by a server that died is removed, but only when nobody answers on it.
 */
#include "worker/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/address.h"
#include "log/log.h"
#include "process/inherit.h"

static struct list all = LIST_INIT(all);
static bool leave_files;

/* ---- opening ---- */

static void set_option(int fd, int level, int option)
{
    int on = 1;

    setsockopt(fd, level, option, &on, sizeof(on)); /* each only makes things better */
}

static bool is_abandoned(const struct bind_address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); /* its queue may be full */
    struct stat st;
    bool refused;

    if (stat(address->sa.un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        close(fd);
        return false;
    }
    refused = connect(fd, &address->sa.any, address->size) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int open_socket(const struct bind_address *address)
{
    int family = address->sa.any.sa_family, err;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (family == AF_UNIX) {
        if (is_abandoned(address))
            unlink(address->sa.un.sun_path);
    } else {
        set_option(fd, SOL_SOCKET, SO_REUSEADDR);
        set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    }
    if (family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (bind(fd, &address->sa.any, address->size) == 0)
        return fd;
    err = -errno;
    close(fd);
    return err;
}

/* What to do about it, or "". */
static const char *advice(const struct bind_address *address, int err)
{
    bool is_unix = address->sa.any.sa_family == AF_UNIX;

    switch (err) {
    case -EADDRINUSE:
        return is_unix ? ": another server answers there, or it is no socket; remove it or choose another path (bind)"
                       : ": another server runs there, or choose another address (bind)";
    case -EACCES:
        return is_unix ? ": the directory must be writable for the user who starts the server"
                       : ": ports below 1024 are for root, or for who has CAP_NET_BIND_SERVICE";
    case -EADDRNOTAVAIL:
        return ": no interface of this machine has that address";
    case -ENOENT:
        return ": make the directory first";
    default:
        return "";
    }
}

static int complain(const struct bind_address *address, int err)
{
    log_error("cannot listen on %s: %s%s", address->text, strerror(-err), advice(address, err));
    return err;
}

/* The owner and the mode of a Unix socket: before anybody can connect. */
static int set_file(const struct listen_socket *b, const struct process_settings *s)
{
    const char *path = b->address.sa.un.sun_path, *key = NULL;
    int err;

    if (b->address.sa.any.sa_family != AF_UNIX)
        return 0;
    if (s->has_socket_mode && chmod(path, s->socket_mode) < 0)
        key = "socket-mode";
    else if ((s->socket_uid != (uid_t)-1 || s->socket_gid != (gid_t)-1) &&
             chown(path, s->socket_uid, s->socket_gid) < 0)
        key = "socket-owner";
    if (!key)
        return 0;
    err = -errno;
    log_error("cannot give %s the %s of the configuration: %s", b->text, key, strerror(-err));
    return err;
}

static void say_listening(int fd)
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

static struct listen_socket *new_bound(const struct bind_address *address, const char *text, int fd)
{
    struct listen_socket *b = xcalloc(1, sizeof(*b));

    if (address)
        b->address = *address;
    b->text = xstrdup(text);
    b->address.text = b->text;
    b->fd = fd;
    list_push(&all, &b->link);
    return b;
}

static void close_bound(struct listen_socket *b)
{
    if (b->address.sa.any.sa_family == AF_UNIX && !leave_files)
        unlink(b->address.sa.un.sun_path);
    close(b->fd);
    list_remove(&b->link);
    free(b->text);
    free(b);
}

/* One that is open and that the list does not have yet: an address with port 0 may stand in a file several times. */
static struct listen_socket *find(const struct listen_set *list, const char *text)
{
    for (struct list *node = all.next; node != &all; node = node->next) {
        struct listen_socket *b = list_entry(node, struct listen_socket, link);
        bool taken = false;

        for (size_t i = 0; i < list->count; i++)
            taken |= list->sockets[i] == b;
        if (!taken && !strcmp(b->text, text))
            return b;
    }
    return NULL;
}

static int open_bound(const struct settings *settings, const struct bind_address *address, struct listen_socket **b)
{
    int fd = inherit_take(address->text), err;
    bool inherited = fd >= 0;

    if (!inherited)
        fd = open_socket(address);
    if (fd < 0)
        return complain(address, fd);
    *b = new_bound(address, address->text, fd);
    err = set_file(*b, &settings->process);
    if (!err && listen(fd, (int)settings->backlog) < 0)
        err = complain(address, -errno);
    if (err)
        close_bound(*b);
    else
        say_listening(fd);
    return err;
}

/* ---- all of a configuration ---- */

static struct listen_socket *activated(int n)
{
    char text[32];
    struct listen_socket *b;

    snprintf(text, sizeof(text), "systemd:%d", n);
    b = find(&(struct listen_set){0}, text);
    if (b)
        return b;
    b = new_bound(NULL, text, 3 + n); /* SD_LISTEN_FDS_START */
    fcntl(b->fd, F_SETFL, fcntl(b->fd, F_GETFL) | O_NONBLOCK);
    set_option(b->fd, IPPROTO_TCP, TCP_NODELAY);
    say_listening(b->fd);
    return b;
}

static void add(struct listen_set *list, struct listen_socket *b)
{
    b->users++;
    list->sockets[list->count++] = b;
}

int listen_acquire(const struct settings *settings, struct listen_set *list)
{
    int passed = inherit_activated();
    size_t most = passed ? (size_t)passed : settings->bind_count;

    *list = (struct listen_set){xcalloc(most, sizeof(*list->sockets)), 0};
    for (int i = 0; i < passed; i++)
        add(list, activated(i));
    for (size_t i = 0; i < settings->bind_count && !passed; i++) {
        const struct bind_address *address = &settings->binds[i];
        struct listen_socket *b = find(list, address->text);
        int err = b ? set_file(b, &settings->process) : open_bound(settings, address, &b);

        if (err) {
            listen_release(list);
            return err;
        }
        listen(b->fd, (int)settings->backlog); /* of one that is open: the backlog may be another one now */
        add(list, b);
    }
    return 0;
}

void listen_release(struct listen_set *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (--list->sockets[i]->users == 0)
            close_bound(list->sockets[i]);
    free(list->sockets);
    *list = (struct listen_set){0};
}

void listen_keep_files(bool leave)
{
    leave_files = leave;
}

void listen_close_others(const struct listen_set *list)
{
    for (struct list *node = all.next; node != &all; node = node->next) {
        struct listen_socket *b = list_entry(node, struct listen_socket, link);
        bool used = false;

        for (size_t i = 0; i < list->count; i++)
            used |= list->sockets[i] == b;
        if (!used)
            close(b->fd);
    }
}

void listen_export(void)
{
    inherit_export(inherit_activated() > 0);
    for (struct list *node = all.next; node != &all; node = node->next) {
        struct listen_socket *b = list_entry(node, struct listen_socket, link);

        if (b->address.size)
            inherit_export_socket(b->text, b->fd);
        else
            fcntl(b->fd, F_SETFD, 0); /* systemd's keep their numbers */
    }
}
