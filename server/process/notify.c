/*
 * notify.c: tell systemd how the service is.
 *
 * The protocol is one datagram of VAR=VALUE lines to the socket that $NOTIFY_SOCKET names; systemd promises to keep it
 * (sd_notify(3), "Notes"). That is less than linking libsystemd for it, with what that brings along.
 */
#include "process/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "log/log.h"

static struct {
    char *socket, *watchdog_usec; /* owned; NULL: not set */
} systemd;

static char *take(const char *name)
{
    const char *value = getenv(name);
    char *copy = value ? xstrdup(value) : NULL;

    unsetenv(name);
    return copy;
}

void notify_init(void)
{
    char *pid = take("WATCHDOG_PID");

    systemd.socket = take("NOTIFY_SOCKET");
    systemd.watchdog_usec = take("WATCHDOG_USEC");
    if (pid && atoi(pid) != getpid()) { /* meant for somebody else */
        free(systemd.watchdog_usec);
        systemd.watchdog_usec = NULL;
    }
    free(pid);
}

void notify_export(void)
{
    if (systemd.socket)
        setenv("NOTIFY_SOCKET", systemd.socket, 1);
    if (systemd.watchdog_usec)
        setenv("WATCHDOG_USEC", systemd.watchdog_usec, 1);
}

int64_t notify_watchdog(void)
{
    return systemd.watchdog_usec ? 1000 * atoll(systemd.watchdog_usec) : 0;
}

/* Send it to the socket. 0 or -errno. */
static int send_text(const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(systemd.socket);
    int fd, err = 0;

    if (size == 0 || size >= sizeof(address.sun_path))
        return -EINVAL;
    memcpy(address.sun_path, systemd.socket, size);
    if (*address.sun_path == '@') /* an abstract address */
        *address.sun_path = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)) < 0)
        err = -errno;
    close(fd);
    return err;
}

void notify(const char *fmt, ...)
{
    char text[256];
    va_list ap;
    int err;

    if (!systemd.socket)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    err = send_text(text);
    if (err)
        log_warn("cannot tell systemd %.*s, by NOTIFY_SOCKET=%s: %s", (int)strcspn(text, "\n"), text, systemd.socket,
                 strerror(-err));
}
