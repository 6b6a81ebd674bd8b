/*
 * fd.c: readiness of descriptors: a watch for each, with a list of its waiters.
 *
 * Why not uv_poll_t: it sets O_NONBLOCK, which belongs to the application and to others that share the open file, and
 * it knows neither edge-triggered nor exclusive watching. So there is an epoll set of our own. It has two kinds of
 * members:
 *
 * - Descriptors of libraries and applications are armed for one event (EPOLLONESHOT) when a coroutine waits, and the
 *   kernel disarms them itself: one epoll_ctl per wait, two for the first. We may not see such a descriptor being
 *   closed (inside libc, say). When its number is given out again, modifying it fails with ENOENT, and it is added.
 * - Sources, the server's own sockets, stay registered edge-triggered for both directions as long as they live.
 *
 * epoll_wait returns many events at once. The handler of one may close the descriptor of a later one and open another
 * file with the same number. So each event carries the generation of its watch, and is dropped if that has changed.
 *
 * A handler may also run a coroutine that uses up a slice. The events after it are then kept, and the set is looked at
 * again: newer events go first, since the owner of such an event has not used up anything, and most will not. Of those
 * that are kept one at least is handled each time.
 */
#include "wait/wait.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/own.h"
#include "base/real.h"
#include "log/log.h"
#include "wait/block.h"
#include "wait/loop.h"
#include "wait/reason.h"

#define MAX_EVENTS   256  /* taken by one epoll_wait */
#define FDS_ON_STACK 32   /* waiters of wait_several that need no memory */
#define CHUNK        1024 /* watches allocated together */
#define ALWAYS       (POLLERR | POLLHUP | POLLNVAL)
#define WATCHED      (POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND)
#define UV_TAG       UINT64_MAX /* epoll_event.data of libuv's descriptor; watch_tag makes those of the others */

/* The poll(2) and epoll(7) event bits have the same values on Linux. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLPRI == POLLPRI && EPOLLERR == POLLERR &&
                   EPOLLHUP == POLLHUP && EPOLLRDHUP == POLLRDHUP,
               "epoll and poll events differ");

struct waiter {
    struct waiter *next, **at; /* at: what points to this one; NULL: not in a list */
    struct coro *co;
    short events;
};

struct watch {
    struct waiter *waiters;     /* first come, first served */
    struct wait_source *source; /* or NULL; its opener owns it */
    uint32_t generation;        /* changes when the number is closed */
    bool registered;            /* a member of the epoll set, as far as we know */
    bool shared;                /* the source is a listening socket, which others own */
};

/* Of chunks of CHUNK watches each, by descriptor; these never move, waiters point into them. */
struct watch_table {
    struct watch_table *smaller; /* owned: the one that this has replaced; or NULL */
    int count;
    struct watch *chunks[]; /* owned; NULL if there is none yet */
};

static struct {
    int epoll;
    struct watch_table *table; /* owned; NULL: no descriptor is watched yet */
    bool shared;               /* this process has forked */
    bool coarse;               /* the kernel has no epoll_pwait2 */
} set = {.epoll = -1};

static atomic_uint iterations; /* two for each: odd while the loop sleeps */

/* Events that are still to be handled, the oldest first. */
static struct {
    struct epoll_event events[MAX_EVENTS + 1]; /* one more is taken when there are so many */
    int count;
} kept;

/* A child without exec keeps our files open: from then on close(2) alone does not take them out of the set. */
static void fd_note_fork(void)
{
    set.shared = true;
}

void fd_init(int uv_fd)
{
    static bool registered;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = UV_TAG};

    set.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (set.epoll < 0 || epoll_ctl(set.epoll, EPOLL_CTL_ADD, uv_fd, &event) < 0)
        log_die("cannot make the epoll set: %m");
    own_fd(set.epoll);
    set.shared = false;
    if (!registered)
        pthread_atfork(fd_note_fork, NULL, NULL);
    registered = true;
}

void fd_exit(void)
{
    own_fd_end(set.epoll);
    real()->close(set.epoll);
    set.epoll = -1;
    for (int i = 0; set.table && i < set.table->count; i++)
        free(set.table->chunks[i]);
    while (set.table) {
        struct watch_table *smaller = set.table->smaller;

        free(set.table);
        set.table = smaller;
    }
}

/* Make place for more chunks. The smaller table stays: a child that another thread forks meanwhile may use it. */
static void watch_grow_table(int count)
{
    struct watch_table *smaller = set.table;
    struct watch_table *table = xcalloc(1, sizeof(*table) + (size_t)count * sizeof(*table->chunks));

    table->smaller = smaller;
    table->count = count;
    for (int i = 0; smaller && i < smaller->count; i++)
        table->chunks[i] = smaller->chunks[i];
    __atomic_store_n(&set.table, table, __ATOMIC_RELEASE);
}

static void watch_add_chunk(int index)
{
    if (!set.table || index >= set.table->count)
        watch_grow_table(2 * index + 1);
    set.table->chunks[index] = xcalloc(CHUNK, sizeof(struct watch));
}

static bool watch_exists(int fd)
{
    return fd >= 0 && set.table && fd / CHUNK < set.table->count && set.table->chunks[fd / CHUNK];
}

static struct watch *watch_of(int fd)
{
    if (!watch_exists(fd))
        watch_add_chunk(fd / CHUNK);
    return &set.table->chunks[fd / CHUNK][fd % CHUNK];
}

/* What identifies the watch in its events. */
static uint64_t watch_tag(const struct watch *watch, int fd)
{
    return (uint64_t)watch->generation << 32 | (uint32_t)fd;
}

/* ---- arming ---- */

static int epoll_control(int op, const struct watch *watch, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = watch_tag(watch, fd)};

    return epoll_ctl(set.epoll, op, fd, &event) < 0 ? -errno : 0;
}

/* Register fd for events, or change for which it is registered. Returns 0 or -errno. */
static int epoll_change(struct watch *watch, int fd, uint32_t events)
{
    int err = epoll_control(watch->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watch, fd, events);

    if (err == -ENOENT) { /* the number was closed without our seeing it, and given out again */
        watch->generation++;
        err = epoll_control(EPOLL_CTL_ADD, watch, fd, events);
    } else if (err == -EEXIST) {
        err = epoll_control(EPOLL_CTL_MOD, watch, fd, events);
    }
    if (!err)
        watch->registered = true;
    return err;
}

/* Register fd for all events that its waiters want; errors and hang-ups are always reported. */
static int watch_arm(struct watch *watch, int fd)
{
    short events = 0;

    if (watch->source || !watch->waiters)
        return 0;
    for (struct waiter *w = watch->waiters; w; w = w->next)
        events |= w->events;
    return epoll_change(watch, fd, (uint32_t)(unsigned short)events | EPOLLONESHOT);
}

static void waiter_link(struct waiter *w, struct watch *watch, short events)
{
    w->co = coro_self();
    w->events = events & WATCHED;
    w->at = &watch->waiters;
    while (*w->at)
        w->at = &(*w->at)->next; /* lists are short */
    w->next = NULL;
    *w->at = w;
}

static void waiter_unlink(struct waiter *w)
{
    if (!w->at)
        return;
    *w->at = w->next;
    if (w->next)
        w->next->at = w->at;
    w->at = NULL;
}

static void watch_wake_all(struct watch *watch, int result)
{
    while (watch->waiters) {
        struct waiter *w = watch->waiters;

        waiter_unlink(w);
        coro_wake(w->co, result);
    }
}

/* Add the coroutine to the waiters of fd, and arm that. Returns 0 or -errno. */
static int waiter_enter(struct waiter *w, int fd, short events)
{
    struct watch *watch = watch_of(fd);
    int err;

    waiter_link(w, watch, events);
    err = watch_arm(watch, fd);
    if (err)
        waiter_unlink(w);
    return err;
}

/* ---- waiting ---- */

int wait_fd(int fd, short events, int64_t deadline)
{
    struct waiter w;
    int result;
    bool told;

    if (fd < 0)
        return -EBADF;
    if (coro_self()->linking)
        return block_fd(fd, events, deadline);
    result = waiter_enter(&w, fd, events);
    if (result)
        return result;
    told = reason_begin(FOR_SOCKET, fd, NULL);
    result = wait_park(deadline);
    reason_end(told);
    waiter_unlink(&w);
    return result;
}

/* Returns the first descriptor of those that are waited for; -1: there is none, so it is a sleep. */
static int first_waited(const struct pollfd *fds, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++)
        if (fds[i].fd >= 0)
            return fds[i].fd;
    return -1;
}

static int park_for_any(const struct pollfd *fds, nfds_t count, int64_t deadline)
{
    int fd = first_waited(fds, count), result;
    bool told = reason_begin(fd < 0 ? FOR_SLEEP : FOR_SOCKET, fd, NULL);

    result = wait_park(deadline);
    reason_end(told);
    return result;
}

/* Park until anything happens to any of fds. Returns what wait_park does; poll(2) then tells what happened. */
static int wait_any(struct pollfd *fds, nfds_t count, struct waiter *waiters, int64_t deadline)
{
    int result = 0;
    nfds_t entered = 0;

    for (; entered < count && !result; entered++) {
        waiters[entered].at = NULL;
        if (fds[entered].fd >= 0)
            result = waiter_enter(&waiters[entered], fds[entered].fd, fds[entered].events);
        if (result == -EPERM) /* a disk file: always ready, which poll(2) has reported */
            result = 0;
    }
    if (!result)
        result = park_for_any(fds, count, deadline);
    while (entered > 0)
        waiter_unlink(&waiters[--entered]);
    return result;
}

static int wait_fds_with(struct waiter *waiters, struct pollfd *fds, nfds_t count, int64_t deadline)
{
    int result;

    do {
        result = real()->poll(fds, count, 0);
        if (result != 0)
            return result < 0 ? -errno : result;
        result = wait_any(fds, count, waiters, deadline);
    } while (result >= 0 || result == -EBADF); /* for a closed one the next poll says POLLNVAL */
    return result == -ETIMEDOUT ? 0 : result;
}

/* Not inlined: its frame is large, and most waits are for one descriptor. */
static __attribute__((noinline)) int wait_several(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    struct waiter space[FDS_ON_STACK], *waiters = space;
    int result;

    if (count > FDS_ON_STACK)
        waiters = xmalloc(count * sizeof(*waiters));
    result = wait_fds_with(waiters, fds, count, deadline);
    if (waiters != space)
        free(waiters);
    return result;
}

int wait_fds(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    struct waiter one;

    if (coro_self()->linking)
        return block_fds(fds, count, deadline);
    return count > 1 ? wait_several(fds, count, deadline) : wait_fds_with(&one, fds, count, deadline);
}

/* ---- dispatch ---- */

/* Wake the waiters that an event is for, or call the source. */
static void watch_dispatch(uint64_t tag, short events)
{
    int fd = (int)(uint32_t)tag, err;
    struct watch *watch = watch_of(fd);
    struct waiter *w, *next;
    bool wanted = false;

    if (watch->generation != tag >> 32) /* of a descriptor that has been closed meanwhile */
        return;
    if (watch->source)
        watch->source->seen |= events;
    for (w = watch->waiters; w; w = next) {
        next = w->next;
        if (!(events & (w->events | ALWAYS)))
            continue;
        wanted = true;
        waiter_unlink(w);
        coro_wake(w->co, events);
    }
    if (watch->source && !wanted)
        watch->source->ready(watch->source, events);
    else if ((err = watch_arm(watch, fd))) /* the event has disarmed it, but others still wait */
        watch_wake_all(watch, err);
}

/* Only this thread writes, so a plain addition does: other threads need to see whole values, no more. */
static void fd_count_iteration(void)
{
    unsigned next = atomic_load_explicit(&iterations, memory_order_relaxed) + 1;

    atomic_store_explicit(&iterations, next, memory_order_relaxed);
}

unsigned wait_iteration(void)
{
    return atomic_load_explicit(&iterations, memory_order_relaxed);
}

/* Milliseconds are rounded up, so that no timer fires early. */
static int poll_milliseconds(struct epoll_event *events, int max, int64_t nanoseconds)
{
    int64_t milliseconds = nanoseconds / 1000000 + (nanoseconds % 1000000 != 0);

    return real()->epoll_wait(set.epoll, events, max, milliseconds > INT_MAX ? -1 : (int)milliseconds);
}

static int poll_nanoseconds(struct epoll_event *events, int max, int64_t nanoseconds)
{
    struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};

    return real()->epoll_pwait2(set.epoll, events, max, nanoseconds == WAIT_FOREVER ? NULL : &time, NULL);
}

/* max is at least 1. */
static int poll_set(struct epoll_event *events, int max, int64_t nanoseconds)
{
    int count = set.coarse ? -1 : poll_nanoseconds(events, max, nanoseconds);

    if (count < 0 && (errno == ENOSYS || errno == EPERM)) /* Linux before 5.11, or a container that forbids it */
        set.coarse = true;
    return set.coarse ? poll_milliseconds(events, max, nanoseconds) : count;
}

/* Keep an event. It may be there already: a listening socket is reported again and again. */
static void fd_keep(const struct epoll_event *event)
{
    for (int i = 0; i < kept.count; i++) {
        if (kept.events[i].data.u64 != event->data.u64)
            continue;
        kept.events[i].events |= event->events;
        return;
    }
    kept.events[kept.count++] = *event;
}

/* Handle the oldest events that are kept: one, and more until somebody has used up a slice. Seldom called: inlined, it
 * would make the frame of fd_poll so large that the stack has to be probed. */
static __attribute__((noinline)) void fd_dispatch_kept(void)
{
    struct epoll_event events[MAX_EVENTS + 1];
    int count = kept.count;

    memcpy(events, kept.events, (size_t)count * sizeof(*events));
    kept.count = 0;
    for (int i = 0; i < count; i++) {
        if (i > 0 && slice_is_over())
            fd_keep(&events[i]);
        else
            watch_dispatch(events[i].data.u64, (short)events[i].events);
    }
}

/* Handle events. Returns whether libuv has one. */
static bool fd_dispatch(const struct epoll_event *events, int count)
{
    bool uv_ready = false;

    slice_clear();
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == UV_TAG)
            uv_ready = true;
        else if (slice_is_over())
            fd_keep(&events[i]);
        else
            watch_dispatch(events[i].data.u64, (short)events[i].events);
    }
    return uv_ready;
}

bool fd_poll(int64_t nanoseconds)
{
    struct epoll_event events[MAX_EVENTS];
    int count, older = kept.count;
    bool uv_ready;

    fd_count_iteration();
    count = poll_set(events, older < MAX_EVENTS ? MAX_EVENTS - older : 1, older > 0 ? 0 : nanoseconds);
    fd_count_iteration();
    if (count < 0 && errno != EINTR)
        log_die("cannot wait for events: %m: something may have closed descriptors that it had not opened");
    watcher_wake();
    loop_update_time();
    uv_ready = fd_dispatch(events, count);
    if (older > 0)
        fd_dispatch_kept();
    return uv_ready;
}

/* ---- closing ---- */

bool wait_fd_known(int fd)
{
    const struct watch *watch = watch_exists(fd) ? watch_of(fd) : NULL;

    return watch && (watch->waiters || watch->source || watch->registered);
}

void wait_fd_close(int fd)
{
    struct watch *watch;

    if (!watch_exists(fd))
        return;
    watch = watch_of(fd);
    watch_wake_all(watch, -EBADF);
    *watch = (struct watch){.generation = watch->generation + 1};
}

/* ---- sources ---- */

static int source_register(struct wait_source *source, uint32_t events, bool shared)
{
    struct watch *watch = watch_of(source->fd);
    int err;

    wait_fd_close(source->fd);
    err = epoll_change(watch, source->fd, events);
    if (!err) {
        watch->shared = shared;
        watch->source = source;
    }
    return err;
}

int wait_source_open(struct wait_source *source)
{
    return source_register(source, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, false);
}

int wait_source_open_shared(struct wait_source *source)
{
    return source_register(source, EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, true);
}

void wait_source_close(struct wait_source *source)
{
    if (watch_of(source->fd)->source != source) /* something else has closed the number */
        return;
    /* close(2) alone would leave it in the set as long as a forked child has the file open, and listening sockets are
     * not closed here. */
    epoll_ctl(set.epoll, EPOLL_CTL_DEL, source->fd, NULL);
    wait_fd_close(source->fd);
}

void wait_source_end(struct wait_source *source)
{
    if (set.shared) { /* a forked child may still have a copy, which must not keep the peer waiting */
        shutdown(source->fd, SHUT_RDWR);
        wait_source_close(source);
    } else {
        wait_fd_close(source->fd);
    }
    real()->close(source->fd);
}

/* In a forked child. Sources that are shared belong to others, who close them. */
void fd_forget(void)
{
    set.epoll = -1;
    kept.count = 0;
    for (int fd = 0; set.table && fd < set.table->count * CHUNK; fd++) {
        struct watch *watch = watch_exists(fd) ? watch_of(fd) : NULL;

        if (!watch) {
            fd += CHUNK - 1;
            continue;
        }
        if (watch->source && !watch->shared) {
            real()->close(fd);
            watch->source->fd = -1;
        }
        *watch = (struct watch){.generation = watch->generation + 1};
    }
}
