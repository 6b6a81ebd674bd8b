/*
 * bind.c: the listening sockets.
 *
 * They are made once, in the master, and inherited by every worker, so that a worker that dies loses no connection that
 * waits to be accepted. TCP_NODELAY is set here because accepted sockets inherit it: one system call, not one for each.
 * The file of a Unix socket left by a server that died is removed, but only when nobody answers on it.
 */
#include "bind.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/listener.h"
#include "log.h"

static void set_option(int fd, int level, int option)
{
    int on = 1;

    setsockopt(fd, level, option, &on, sizeof(on)); /* each only makes things better */
}

static bool is_abandoned(const struct address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
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

static int open_socket(const struct address *address, int backlog)
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
    if (bind(fd, &address->sa.any, address->size) == 0 && listen(fd, backlog) == 0)
        return fd;
    err = -errno;
    close(fd);
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

int bind_all(const struct settings *settings, int *fds)
{
    for (size_t i = 0; i < settings->bind_count; i++) {
        const struct address *address = &settings->binds[i];

        fds[i] = open_socket(address, (int)settings->backlog);
        if (fds[i] < 0) {
            int err = fds[i];

            log_error("cannot listen on %s: %s%s", address->text, strerror(-err),
                      err == -EADDRINUSE ? ": another server runs there, or choose another address (bind)" : "");
            while (i-- > 0)
                close(fds[i]);
            return err;
        }
        say_listening(fds[i]);
    }
    return 0;
}

void bind_release(const struct settings *settings, const int *fds)
{
    for (size_t i = 0; i < settings->bind_count; i++) {
        if (settings->binds[i].sa.any.sa_family == AF_UNIX)
            unlink(settings->binds[i].sa.un.sun_path);
        close(fds[i]);
    }
}
