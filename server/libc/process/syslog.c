/*
 * syslog.c: syslog and vsyslog.
 *
 * libc sends to /dev/log, and waits in the kernel while the daemon does not read. Its socket is private to libc, so one
 * of our own, which is connected for a moment, tells whether the daemon takes messages. If not, or if it is reached by
 * a stream, libc is called on a thread of the pool. The message is made before that: %m is about the caller's errno.
 */
#include "libc/process/syslog.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <syslog.h>

#include "base/real.h"
#include "libc/runtime/park.h"

int __vasprintf_chk(char **text, int flag, const char *format, va_list ap);
void __syslog_chk(int priority, int flag, const char *format, ...);
void __vsyslog_chk(int priority, int flag, const char *format, va_list ap);

static const char *log_path = _PATH_LOG;

void syslog_use(const char *path)
{
    log_path = path ? path : _PATH_LOG;
}

/* Whether a message can be sent now, or fails at once. */
static bool syslog_is_quick(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct pollfd look = {.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), .events = POLLOUT};
    bool quick;

    if (look.fd < 0)
        return false;
    strncpy(to.sun_path, log_path, sizeof(to.sun_path) - 1);
    if (real()->connect(look.fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        quick = errno != EPROTOTYPE; /* a stream */
    else
        quick = real()->poll(&look, 1, 0) == 1;
    real()->close(look.fd);
    return quick;
}

struct log_message {
    int priority;
    const char *text;
};

static int syslog_run(void *arg)
{
    const struct log_message *message = arg;

    real()->syslog(message->priority, "%s", message->text);
    return 0;
}

/* Sends text, which is then freed; length is negative if it could not be made. */
static void syslog_send(int priority, char *text, int length)
{
    struct log_message message = {priority, text};
    int saved = errno;

    if (length < 0)
        return;
    if (syslog_is_quick() || !park_possible())
        syslog_run(&message);
    else
        wait_offload(syslog_run, &message);
    free(text);
    errno = saved;
}

/* Whether setlogmask drops it. */
static bool syslog_is_masked(int priority)
{
    return !(LOG_MASK(LOG_PRI(priority)) & setlogmask(0));
}

void vsyslog(int priority, const char *format, va_list ap)
{
    char *text;
    int length;

    if (!coro_self() || syslog_is_masked(priority)) {
        real()->vsyslog(priority, format, ap);
        return;
    }
    length = vasprintf(&text, format, ap);
    syslog_send(priority, text, length);
}

void __vsyslog_chk(int priority, int flag, const char *format, va_list ap)
{
    char *text;
    int length;

    if (!coro_self() || syslog_is_masked(priority)) {
        real()->__vsyslog_chk(priority, flag, format, ap);
        return;
    }
    length = __vasprintf_chk(&text, flag, format, ap);
    syslog_send(priority, text, length);
}

void syslog(int priority, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsyslog(priority, format, ap);
    va_end(ap);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    __vsyslog_chk(priority, flag, format, ap);
    va_end(ap);
}
