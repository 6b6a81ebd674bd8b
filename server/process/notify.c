/*
 * notify.c: tell systemd the state of the service.
 *
 * The protocol is one datagram of VAR=VALUE lines to the socket that $NOTIFY_SOCKET names. systemd promises to keep it
 * (sd_notify(3), "Notes"), and it is less code than libsystemd would add to the process.
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

static char *take_variable(const char *name)
{
    const char *value = getenv(name);
    char *copy = value ? xstrdup(value) : NULL;

    unsetenv(name);
    return copy;
}

void notify_init(void)
{
    char *pid = take_variable("WATCHDOG_PID");

    systemd.socket = take_variable("NOTIFY_SOCKET");
    systemd.watchdog_usec = take_variable("WATCHDOG_USEC");
    if (pid && atoi(pid) != getpid()) { /* meant for another process */
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

/* Send text to systemd's socket. Returns 0 or -errno. */
static int send_datagram(const char *text)
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

void notify_send(const char *fmt, ...)
{
    char text[1400];
    va_list ap;
    int err;

    if (!systemd.socket)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    err = send_datagram(text);
    if (err)
        log_warn("cannot send %.*s to systemd (NOTIFY_SOCKET=%s): %s", (int)strcspn(text, "\n"), text, systemd.socket,
                 strerror(-err));
}
