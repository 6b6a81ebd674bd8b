/*
 * watchdog.c: notice that something blocks the event loop, and log what.
 *
 * A thread looks at the loop's count of iterations. If that does not change for too long, it sends a signal to the
 * loop's thread. The handler runs on top of the code that blocks the loop; it logs the request and has the language
 * runtime dump the stack. No other thread could do that without the runtime's lock, which the blocking code may hold.
 * The runtime reads data that may be half written, so a fault there ends the dump and not the process (fault_try).
 *
 * The thread has a descriptor table of its own, which is empty. In a process whose threads share a table, each system
 * call on a descriptor costs two more atomic operations.
 */
#include "worker/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/real.h"
#include "coro/coro.h"
#include "coro/fault.h"
#include "log/log.h"
#include "log/sink.h"
#include "wait/wait.h"

#define DUMP_SIGNAL  (SIGRTMIN + 1)
#define REPORT_EVERY INT64_C(1000000000) /* nanoseconds */
#define STACK_SIZE   (64 * 1024)         /* of the thread */
#define MAX_DUMP     16384               /* bytes of a stack dump */

static struct {
    int64_t timeout; /* nanoseconds */
    pthread_t loop;
    int dump_fd;               /* a file in memory, for the stack dump */
    char head[LOG_HEAD + 160]; /* of the line; made by the thread, since a handler must not read the time zone */
    atomic_bool head_ready;
    char text[2 * MAX_DUMP]; /* the whole report, made by the handler */
} watchdog;

/* ---- in the handler ---- */

static char *append_text(char *at, const char *s)
{
    while (*s && at < watchdog.text + sizeof(watchdog.text) - 2)
        *at++ = *s++;
    return at;
}

/* Append the stack dump as continuation lines. */
static char *append_dump(char *at)
{
    static char dump[MAX_DUMP];
    ssize_t size = pread(watchdog.dump_fd, dump, sizeof(dump) - 1, 0);
    bool begins = true;

    for (ssize_t i = 0; i < size; i++) {
        char c[] = {dump[i], '\0'};

        if (begins)
            at = append_text(at, "\n  ");
        begins = dump[i] == '\n';
        if (!begins)
            at = append_text(at, c);
    }
    return at;
}

static void dump_coroutine(void *arg)
{
    coro_dump_stack(arg, watchdog.dump_fd);
}

/* Write without waiting: a full pipe gets nothing. */
static void write_report(size_t size)
{
    int fd = sink_fd(log_sink());

    if (sink_is_writable(fd, 0))
        real()->syscall(SYS_write, fd, watchdog.text, size);
}

static void on_dump_signal(int signum)
{
    struct coro_interrupted interrupted = coro_interrupt(); /* calls of libc go straight to it here */
    struct coro *co = interrupted.current;
    int saved = errno;
    char *at = watchdog.text;

    at = append_text(at, atomic_exchange(&watchdog.head_ready, false) ? watchdog.head : "stack dump by signal");
    at = append_text(at, !co ? ", outside of a request" : co->what ? ": " : ", in a coroutine without a request");
    if (co && co->what)
        at = append_text(at, co->what);
    if (co && ftruncate(watchdog.dump_fd, 0) == 0 && lseek(watchdog.dump_fd, 0, SEEK_SET) == 0) {
        if (!fault_try(dump_coroutine, co))
            at = append_text(at, "\n  (the stack cannot be read)");
        at = append_dump(at);
    }
    *at++ = '\n';
    write_report((size_t)(at - watchdog.text));
    coro_continue(interrupted);
    errno = saved;
}

/* ---- in the thread ---- */

/* Have the loop's thread report what has blocked it since then. */
static void request_report(int64_t since)
{
    int64_t blocked = (wait_now() - since) / 1000000;
    int size = (int)log_head(watchdog.head, LOG_LEVEL_WARN);

    snprintf(watchdog.head + size, sizeof(watchdog.head) - (size_t)size, "event loop blocked for %lld.%lld s",
             (long long)(blocked / 1000), (long long)(blocked % 1000 / 100));
    atomic_store(&watchdog.head_ready, true);
    pthread_kill(watchdog.loop, DUMP_SIGNAL);
}

static void *watch_loop(void *arg)
{
    unsigned seen = wait_iteration();
    int64_t since = wait_now(), reported = 0;

    real()->syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 1U << 1); /* CLOSE_RANGE_UNSHARE; not in older kernels */
    for (;;) {
        unsigned iteration;

        usleep((useconds_t)(watchdog.timeout / 4000)); /* a quarter of it */
        iteration = wait_iteration();
        if (iteration != seen || iteration & 1) { /* odd: the loop sleeps */
            seen = iteration;
            since = wait_now();
        } else if (wait_now() - since >= watchdog.timeout && wait_now() - reported >= REPORT_EVERY) {
            reported = wait_now();
            request_report(since);
        }
    }
    return NULL;
}

static void start_watchdog_thread(void)
{
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    int err;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the loop's thread handles signals */
    err = pthread_create(&thread, &attr, watch_loop, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (err)
        log_warn("watchdog-timeout has no effect: cannot start a thread: %s", strerror(err));
}

void watchdog_start(int64_t timeout)
{
    struct sigaction action = {.sa_handler = on_dump_signal, .sa_flags = SA_RESTART | SA_ONSTACK};

    watchdog.timeout = timeout * 1000000;
    watchdog.loop = pthread_self();
    watchdog.dump_fd = memfd_create("stack-dump", MFD_CLOEXEC);
    if (watchdog.dump_fd < 0)
        log_warn("reports of the watchdog have no stack dump: cannot create a file in memory: %m");
    real()->sigaction(DUMP_SIGNAL, &action, NULL); /* the interposed one would run the handler off the coroutine */
    if (timeout > 0)
        start_watchdog_thread();
}
