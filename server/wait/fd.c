/*
 * fd.c: readiness of descriptors: one watcher for each, with a list of those who wait.
 *
 * Why not uv_poll_t: it sets O_NONBLOCK, which belongs to the application and to whoever else shares the open file; and
 * it knows neither edge-triggered nor exclusive watching. So there is an epoll set of our own, of two sorts of members:
 *
 * - Descriptors of libraries and applications are armed for one event (EPOLLONESHOT) when somebody waits, and the
 * kernel disarms them itself: one epoll_ctl a wait, two at the first. We may not see such a descriptor being closed
 * (inside libc, say); a number used again then only fails to be modified and is added anew, and an event that belonged
 * to the old one is a spurious wake-up.
 * - Sources, the server's own sockets, stay registered edge-triggered for both directions as long as they live.
 */
#include "wait/wait.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "log/log.h"
#include "wait/loop.h"

#define EVENTS_AT_ONCE 256
#define ALWAYS         (POLLERR | POLLHUP | POLLNVAL)
#define FDS_ON_STACK   32
#define CHUNK          1024
#define WATCHED        (POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND)

/* The poll(2) and epoll(7) event bits have the same values on Linux. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLPRI == POLLPRI && EPOLLERR == POLLERR &&
                   EPOLLHUP == POLLHUP && EPOLLRDHUP == POLLRDHUP,
               "epoll and poll events differ");

struct waiter {
    struct waiter *next, **at; /* at: what points at us */
    struct coro *co;
    short events;
};

struct watch {
    struct waiter *waiters;
    struct wait_source *source;
    bool registered; /* probably a member of the epoll set */
};

static struct {
    int epoll;
    int uv;
    struct watch **chunks; /* of CHUNK watches each, by descriptor; they never move, waiters point into them */
    int chunk_count;
    bool shared; /* this process has forked */
    bool coarse; /* the kernel has no epoll_pwait2 */
} set = {.epoll = -1};

static atomic_uint turns; /* odd while the loop sleeps */

/* A child without exec has files open that we close: from then on close(2) alone does not take them out of the set. */
static void note_fork(void)
{
    set.shared = true;
}

void fd_init(int uv_fd)
{
    static bool registered;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = uv_fd};

    set.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (set.epoll < 0 || epoll_ctl(set.epoll, EPOLL_CTL_ADD, uv_fd, &event) < 0)
        log_die("cannot make the epoll set: %m");
    set.uv = uv_fd;
    set.shared = false;
    if (!registered)
        pthread_atfork(note_fork, NULL, NULL);
    registered = true;
}

void fd_exit(void)
{
    close(set.epoll);
    set.epoll = -1;
    for (int i = 0; i < set.chunk_count; i++)
        free(set.chunks[i]);
    free(set.chunks);
    set.chunks = NULL;
    set.chunk_count = 0;
}

static void add_chunk(int index)
{
    if (index >= set.chunk_count) {
        set.chunks = xrealloc(set.chunks, (size_t)(index + 1) * sizeof(*set.chunks));
        while (set.chunk_count <= index)
            set.chunks[set.chunk_count++] = NULL;
    }
    set.chunks[index] = xcalloc(CHUNK, sizeof(struct watch));
}

static bool is_known(int fd)
{
    return fd >= 0 && fd / CHUNK < set.chunk_count && set.chunks[fd / CHUNK];
}

static struct watch *watch_of(int fd)
{
    if (!is_known(fd))
        add_chunk(fd / CHUNK);
    return &set.chunks[fd / CHUNK][fd % CHUNK];
}

/* ---- arming ---- */

static int epoll_change(struct watch *watch, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    int op = watch->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (epoll_ctl(set.epoll, op, fd, &event) < 0) {
        if (errno != ENOENT && errno != EEXIST)
            return -errno;
        op = op == EPOLL_CTL_MOD ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
        if (epoll_ctl(set.epoll, op, fd, &event) < 0)
            return -errno;
    }
    watch->registered = true;
    return 0;
}

/* Have the epoll set report everything that the waiters of fd want; errors and hang-ups it always does. */
static int arm(struct watch *watch, int fd)
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
        w->at = &(*w->at)->next; /* first come, first served; lists are short */
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

static void wake_all(struct watch *watch, int result)
{
    while (watch->waiters) {
        struct waiter *w = watch->waiters;

        waiter_unlink(w);
        coro_wake(w->co, result);
    }
}

/* Enter a waiter and arm its descriptor. */
static int waiter_enter(struct waiter *w, int fd, short events)
{
    struct watch *watch = watch_of(fd);
    int err;

    waiter_link(w, watch, events);
    err = arm(watch, fd);
    if (err)
        waiter_unlink(w);
    return err;
}

/* ---- waiting ---- */

int wait_fd(int fd, short events, int64_t deadline)
{
    struct waiter w;
    int result;

    if (fd < 0)
        return -EBADF;
    result = waiter_enter(&w, fd, events);
    if (result)
        return result;
    result = wait_park(deadline);
    waiter_unlink(&w);
    return result;
}

/* Wait once on all of fds; says nothing of what happened to which. */
static int wait_any(struct pollfd *fds, nfds_t count, struct waiter *waiters, int64_t deadline)
{
    int result = 0;
    nfds_t entered = 0;

    for (; entered < count && !result; entered++) {
        waiters[entered].at = NULL;
        if (fds[entered].fd >= 0)
            result = waiter_enter(&waiters[entered], fds[entered].fd, fds[entered].events);
        if (result == -EPERM) /* a disk file: poll(2) has said all there is to say of it */
            result = 0;
    }
    if (!result)
        result = wait_park(deadline);
    while (entered > 0)
        waiter_unlink(&waiters[--entered]);
    return result;
}

int wait_fds(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    struct waiter space[FDS_ON_STACK], *waiters = space;
    int result;

    if (count > FDS_ON_STACK)
        waiters = xmalloc(count * sizeof(*waiters));
    for (;;) {
        result = poll(fds, count, 0);
        if (result != 0) {
            result = result < 0 ? -errno : result;
            break;
        }
        result = wait_any(fds, count, waiters, deadline);
        if (result < 0 && result != -EBADF) /* a closed one is POLLNVAL in the next poll */
            break;
    }
    if (waiters != space)
        free(waiters);
    return result == -ETIMEDOUT ? 0 : result;
}

/* ---- dispatch ---- */

static void dispatch(int fd, short events)
{
    struct watch *watch = watch_of(fd);
    struct waiter *w, *next;
    bool wanted = false;
    int err;

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
    else if ((err = arm(watch, fd))) /* the one-shot is used up, but others still wait */
        wake_all(watch, err);
}

/* Only this thread writes, so nothing atomic is needed but that others see whole values. */
static void count_turn(void)
{
    atomic_store_explicit(&turns, atomic_load_explicit(&turns, memory_order_relaxed) + 1, memory_order_relaxed);
}

unsigned wait_turn(void)
{
    return atomic_load_explicit(&turns, memory_order_relaxed);
}

/* In milliseconds, and nobody is to wake up too early. */
static int poll_coarsely(struct epoll_event *events, int64_t nanoseconds)
{
    int64_t milliseconds = nanoseconds / 1000000 + (nanoseconds % 1000000 != 0);

    return epoll_wait(set.epoll, events, EVENTS_AT_ONCE, milliseconds > INT_MAX ? -1 : (int)milliseconds);
}

static int poll_finely(struct epoll_event *events, int64_t nanoseconds)
{
    struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};

    return epoll_pwait2(set.epoll, events, EVENTS_AT_ONCE, nanoseconds == WAIT_FOREVER ? NULL : &time, NULL);
}

static int poll_set(struct epoll_event *events, int64_t nanoseconds)
{
    int count = set.coarse ? -1 : poll_finely(events, nanoseconds);

    if (count < 0 && (errno == ENOSYS || errno == EPERM)) /* Linux before 5.11, or a container that forbids it */
        set.coarse = true;
    return set.coarse ? poll_coarsely(events, nanoseconds) : count;
}

bool fd_poll(int64_t nanoseconds)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    bool uv_ready = false;
    int count;

    count_turn();
    count = poll_set(events, nanoseconds);
    count_turn();
    if (count < 0 && errno != EINTR)
        log_die("the event loop cannot go on: %m; did something close descriptors that it had not opened?");
    loop_update_time();
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd == set.uv)
            uv_ready = true;
        else
            dispatch(events[i].data.fd, (short)events[i].events);
    }
    return uv_ready;
}

/* ---- closing ---- */

bool wait_fd_known(int fd)
{
    const struct watch *watch = is_known(fd) ? watch_of(fd) : NULL;

    return watch && (watch->waiters || watch->source || watch->registered);
}

void wait_fd_close(int fd)
{
    struct watch *watch;

    if (!is_known(fd))
        return;
    watch = watch_of(fd);
    wake_all(watch, -EBADF);
    *watch = (struct watch){0};
}

/* ---- sources ---- */

static int source_open(struct wait_source *source, uint32_t events)
{
    struct watch *watch = watch_of(source->fd);
    int err;

    wait_fd_close(source->fd);
    err = epoll_change(watch, source->fd, events);
    if (!err)
        watch->source = source;
    return err;
}

int wait_source_open(struct wait_source *source)
{
    return source_open(source, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int wait_source_open_shared(struct wait_source *source)
{
    return source_open(source, EPOLLIN | EPOLLEXCLUSIVE);
}

void wait_source_close(struct wait_source *source)
{
    /* close(2) alone would leave it in the set as long as a forked child has the file open, and a listening socket is
     * not even closed here. It fails only where somebody closed the number behind our back. */
    epoll_ctl(set.epoll, EPOLL_CTL_DEL, source->fd, NULL);
    wait_fd_close(source->fd);
}

void wait_source_end(struct wait_source *source)
{
    if (set.shared)
        wait_source_close(source);
    else
        wait_fd_close(source->fd);
    close(source->fd);
}
