/*
 * watchdog.c: notice that something holds the loop, and log what.
 *
 * A native thread looks at the loop's count of turns. If that stands still for too long it sends the loop's thread a
 * signal, and the handler, which runs upon the very code that holds the loop, says what request that is, and has the
 * language runtime say where it is: nobody else could ask without waiting for the lock that the hog holds. The runtime
 * looks at what may be half changed, so a fault there ends the look, not the process (fault_try).
 *
 * The thread has a table of descriptors of its own, which is empty. In a process whose threads share one, each system
 * call on a descriptor costs two atomic operations more.
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

#include "coro/coro.h"
#include "coro/fault.h"
#include "base/real.h"
#include "log/log.h"
#include "log/sink.h"
#include "wait/wait.h"

#define ASK        (SIGRTMIN + 1)
#define TOLD_EVERY INT64_C(1000000000) /* nanoseconds */
#define STACK      (64 * 1024)
#define MOST_WHERE 16384 /* bytes of what a runtime says */

static struct {
    int64_t limit; /* nanoseconds */
    pthread_t loop;
    int where_fd;              /* a file in memory, for what runtimes say */
    char head[LOG_HEAD + 160]; /* of the line, made by the thread: the handler may not look at the clock's zone */
    atomic_bool head_ready;
    char text[2 * MOST_WHERE]; /* the whole message, in the handler */
} watchdog;

/* ---- in the handler ---- */

static char *put(char *at, const char *s)
{
    while (*s && at < watchdog.text + sizeof(watchdog.text) - 2)
        *at++ = *s++;
    return at;
}

/* What the runtime wrote, as continuation lines. */
static char *put_where(char *at)
{
    static char where[MOST_WHERE];
    ssize_t size = pread(watchdog.where_fd, where, sizeof(where) - 1, 0);
    bool begins = true;

    for (ssize_t i = 0; i < size; i++) {
        char c[] = {where[i], '\0'};

        if (begins)
            at = put(at, "\n  ");
        begins = where[i] == '\n';
        if (!begins)
            at = put(at, c);
    }
    return at;
}

static void ask_runtimes(void *arg)
{
    coro_dump_stack(arg, watchdog.where_fd);
}

/* Without waiting: a full pipe gets nothing. */
static void write_text(size_t size)
{
    int fd = sink_fd(log_sink());

    if (sink_is_writable(fd, 0))
        syscall(SYS_write, fd, watchdog.text, size);
}

static void on_ask(int signum)
{
    struct coro *co = coro_current;
    int saved = errno;
    char *at = watchdog.text;

    coro_current = NULL; /* calls of libc are libc's here */
    at = put(at, atomic_exchange(&watchdog.head_ready, false) ? watchdog.head : "asked where the loop is");
    at = put(at, !co ? ", outside of a request" : co->what ? ": " : ", by a coroutine without a request");
    if (co && co->what)
        at = put(at, co->what);
    if (co && ftruncate(watchdog.where_fd, 0) == 0 && lseek(watchdog.where_fd, 0, SEEK_SET) == 0) {
        if (!fault_try(ask_runtimes, co))
            at = put(at, "\n  (what it does cannot be told)");
        at = put_where(at);
    }
    *at++ = '\n';
    write_text((size_t)(at - watchdog.text));
    coro_current = co;
    errno = saved;
}

/* ---- in the thread ---- */

static void ask(int64_t since)
{
    int64_t held = (wait_now() - since) / 1000000;
    int size = (int)log_head(watchdog.head, LOG_LEVEL_WARN);

    snprintf(watchdog.head + size, sizeof(watchdog.head) - (size_t)size, "the loop is held for %lld.%lld s",
             (long long)(held / 1000), (long long)(held % 1000 / 100));
    atomic_store(&watchdog.head_ready, true);
    pthread_kill(watchdog.loop, ASK);
}

static void *watch(void *arg)
{
    unsigned seen = wait_iteration();
    int64_t since = wait_now(), told = 0;

    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 1U << 1); /* CLOSE_RANGE_UNSHARE; not in older kernels */
    for (;;) {
        unsigned turn;

        usleep((useconds_t)(watchdog.limit / 4000));
        turn = wait_iteration();
        if (turn != seen || turn & 1) {
            seen = turn;
            since = wait_now();
        } else if (wait_now() - since >= watchdog.limit && wait_now() - told >= TOLD_EVERY) {
            told = wait_now();
            ask(since);
        }
    }
    return NULL;
}

static void start_thread(void)
{
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    int err;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    err = pthread_create(&thread, &attr, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (err)
        log_warn("hog-limit has no effect: cannot start a thread: %s", strerror(err));
}

void watchdog_start(int64_t limit)
{
    struct sigaction action = {.sa_handler = on_ask, .sa_flags = SA_RESTART | SA_ONSTACK};

    watchdog.limit = limit * 1000000;
    watchdog.loop = pthread_self();
    watchdog.where_fd = memfd_create("where", MFD_CLOEXEC);
    real()->sigaction(ASK, &action, NULL); /* ours would take us off the coroutine that is to be looked at */
    if (limit > 0)
        start_thread();
}
