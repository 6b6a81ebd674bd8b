/*
 * notify.c: tell systemd how the service is.
 *
 * The protocol is one datagram of VAR=VALUE lines to the socket that $NOTIFY_SOCKET names; systemd promises to keep it
 * (sd_notify(3), "Notes"). That is less than linking libsystemd for it, with what that brings along.
 */
#include "process/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "arena.h"

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

void notify(const char *fmt, ...)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = systemd.socket ? strlen(systemd.socket) : 0;
    char text[256];
    va_list ap;
    int fd;

    if (size == 0 || size >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, systemd.socket, size);
    if (*address.sun_path == '@') /* an abstract address */
        *address.sun_path = '\0';
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address,
           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
    close(fd);
}
