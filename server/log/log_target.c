/*
 * log_target.c: where a log may go, as the configuration names it.
 *
 * We speak to syslogd and journald by their sockets, not by syslog(3): that takes a lock, waits for a slow syslogd, and
 * has one state for the whole process, which belongs to the application.
 */
#include "log/log_target.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "base/array.h"
#include "base/guarded_open.h"
#include "base/real.h"

#define SYSLOG_SOCKET  "/dev/log"
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static const struct {
    const char *name;
    int facility;
} facilities[] = {
    {"syslog", LOG_DAEMON},        {"syslog:daemon", LOG_DAEMON}, {"syslog:user", LOG_USER},
    {"syslog:local0", LOG_LOCAL0}, {"syslog:local1", LOG_LOCAL1}, {"syslog:local2", LOG_LOCAL2},
    {"syslog:local3", LOG_LOCAL3}, {"syslog:local4", LOG_LOCAL4}, {"syslog:local5", LOG_LOCAL5},
    {"syslog:local6", LOG_LOCAL6}, {"syslog:local7", LOG_LOCAL7},
};

int log_target_facility(const char *target)
{
    for (size_t i = 0; i < ARRAY_SIZE(facilities); i++)
        if (!strcmp(facilities[i].name, target))
            return facilities[i].facility;
    return -1;
}

bool log_target_is_file(const char *target)
{
    return *target == '/';
}

int log_target_standard_fd(const char *target)
{
    return !strcmp(target, "stdout") ? STDOUT_FILENO : !strcmp(target, "stderr") ? STDERR_FILENO : -1;
}

bool log_target_is_known(const char *target)
{
    return log_target_is_file(target) || log_target_standard_fd(target) >= 0 || log_target_facility(target) >= 0 ||
           log_target_is_journal(target) || log_target_command(target);
}

bool log_target_is_journal(const char *target)
{
    return !strcmp(target, "journal");
}

const char *log_target_command(const char *target)
{
    const char *command = target + 1;

    if (*target != '|')
        return NULL;
    command += strspn(command, " \t");
    return *command ? command : NULL;
}

int log_target_connect(const char *target)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, log_target_is_journal(target) ? JOURNAL_SOCKET : SYSLOG_SOCKET);

    if (fd >= 0 && real()->connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int err = errno;

        real()->close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

int log_target_open_file(const char *path)
{
    return guarded_open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK, 0640);
}
