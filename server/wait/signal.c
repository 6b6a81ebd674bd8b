/*
 * signal.c: signal handlers that run on the loop's stack.
 *
 * The real handler only sets a bit and writes to an eventfd; the loop reads that and calls the function. uv_signal_t
 * does the same, but its handler calls write(2), which is the interposed one: in the middle of a coroutine it could
 * park. Blocking the signals for a signalfd is no way out either, since programs that an application starts would
 * inherit the mask.
 */
#include "wait/wait.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "base/array.h"
#include "base/own.h"
#include "base/real.h"
#include "log/log.h"
#include "wait/loop.h"

static struct {
    struct wait_source source; /* an eventfd; its fd is -1 until the first wait_signal */
    atomic_uint_fast64_t pending;
    void (*handlers[64])(int signum); /* by signal number */
} signals = {.source.fd = -1};

static void signal_note(int signum)
{
    uint64_t one = 1;
    int saved = errno;
    ssize_t ignored;

    atomic_fetch_or(&signals.pending, UINT64_C(1) << signum);
    ignored = real()->write(signals.source.fd, &one, sizeof(one)); /* fails only if it is full, thus readable */
    (void)ignored;
    errno = saved;
}

static void signal_dispatch(struct wait_source *source, short events)
{
    uint64_t pending, count;

    if (real()->read(source->fd, &count, sizeof(count)) < 0)
        return; /* EAGAIN: the event was for the write that an earlier read consumed */
    pending = atomic_exchange(&signals.pending, 0);
    for (size_t signum = 1; signum < ARRAY_SIZE(signals.handlers); signum++)
        if (pending & UINT64_C(1) << signum)
            signals.handlers[signum]((int)signum);
}

static void signal_open_source(void)
{
    signals.source = (struct wait_source){.ready = signal_dispatch, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (signals.source.fd < 0 || wait_source_open(&signals.source) < 0)
        log_die("cannot watch for signals: eventfd: %m");
}

void wait_signal(int signum, void (*fn)(int signum))
{
    struct sigaction action = {.sa_handler = signal_note, .sa_flags = SA_RESTART};

    if (signals.source.fd < 0)
        signal_open_source();
    signals.handlers[signum] = fn;
    own_signal(signum, &action);
}

void signal_forget(void)
{
    signals.source.fd = -1;
    atomic_store(&signals.pending, 0);
}

void signal_exit(void)
{
    const struct sigaction action = {.sa_handler = SIG_DFL};

    if (signals.source.fd < 0)
        return;
    for (size_t signum = 1; signum < ARRAY_SIZE(signals.handlers); signum++)
        if (signals.handlers[signum])
            real()->sigaction((int)signum, &action, NULL);
    wait_source_close(&signals.source);
    real()->close(signals.source.fd);
    signals.source.fd = -1;
}
