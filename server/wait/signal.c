/*
 * signal.c: signals, handled on the loop's stack.
 *
 * The handler only sets a bit and writes to an eventfd, by the system call itself: it may run in the middle of a
 * coroutine, where write(2) of this process parks. That is why uv_signal_t is not used, whose handler calls it.
 * Blocking the signals for a signalfd would not do either: programs that an application starts inherit that.
 */
#include "wait/wait.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log/log.h"
#include "wait/loop.h"

static struct {
    struct wait_source source; /* an eventfd */
    atomic_uint_fast64_t pending;
    void (*handlers[64])(int signum);
} signals = {.source.fd = -1};

static void on_signal(int signum)
{
    uint64_t one = 1;
    int saved = errno;

    atomic_fetch_or(&signals.pending, UINT64_C(1) << signum);
    syscall(SYS_write, signals.source.fd, &one, sizeof(one));
    errno = saved;
}

static void on_ready(struct wait_source *source, short events)
{
    uint64_t pending, count;

    syscall(SYS_read, source->fd, &count, sizeof(count));
    pending = atomic_exchange(&signals.pending, 0);
    for (int signum = 1; signum < 64; signum++)
        if (pending & UINT64_C(1) << signum)
            signals.handlers[signum](signum);
}

static void open_source(void)
{
    signals.source = (struct wait_source){.ready = on_ready, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (signals.source.fd < 0 || wait_source_open(&signals.source) < 0)
        log_die("cannot make an eventfd for signals: %m");
}

void wait_signal(int signum, void (*fn)(int signum))
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    if (signals.source.fd < 0)
        open_source();
    signals.handlers[signum] = fn;
    sigaction(signum, &action, NULL);
}

void signal_exit(void)
{
    if (signals.source.fd < 0)
        return;
    for (int signum = 1; signum < 64; signum++)
        if (signals.handlers[signum])
            signal(signum, SIG_DFL);
    wait_source_close(&signals.source);
    close(signals.source.fd);
    signals.source.fd = -1;
}
