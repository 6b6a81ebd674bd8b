/*
 * select.c: select and pselect.
 *
 * The kernel's select answers, without a timeout, on copies of the sets. If nothing is ready the sets are turned into
 * an array for poll, the coroutine parks on that, and the kernel is asked again. Where poll reports what select does
 * not count (a hang-up on a descriptor watched for exceptions only), that descriptor is left out of further waits.
 */
#include <string.h>
#include <sys/select.h>

#include "base/mem.h"
#include "libc/runtime/park.h"
#include "libc/io/poll.h"
#include "base/real.h"

#define FDS_ON_STACK 64

struct selection {
    fd_set *sets[3];   /* the caller's: to read, to write, exceptions; each may be NULL */
    fd_set *wanted[3]; /* what was in them at first, all in one block of memory */
    size_t size;       /* of a set, bytes, as the kernel sees it */
    int count;         /* of descriptors: the highest and one */
    struct pollfd *fds;
    nfds_t fd_count;
};

static const short events_of[3] = {POLLIN, POLLOUT, POLLPRI};

/* ---- asking the kernel ---- */

static void restore_sets(const struct selection *s)
{
    for (int i = 0; i < 3; i++)
        if (s->sets[i])
            memcpy(s->sets[i], s->wanted[i], s->size);
}

static int ask(const struct selection *s, const sigset_t *mask)
{
    restore_sets(s);
    return real()->pselect(s->count, s->sets[0], s->sets[1], s->sets[2], &poll_at_once, mask);
}

/* ---- sets into an array ---- */

static bool is_wanted(const struct selection *s, int i, int fd)
{
    const fd_mask *words = (const fd_mask *)s->wanted[i];

    return s->sets[i] && (unsigned long)words[fd / NFDBITS] >> (fd % NFDBITS) & 1;
}

static short events_wanted(const struct selection *s, int fd)
{
    short events = 0;

    for (int i = 0; i < 3; i++)
        if (is_wanted(s, i, fd))
            events |= events_of[i];
    return events;
}

static void list_fds(struct selection *s)
{
    for (int fd = 0; fd < s->count; fd++) {
        short events = events_wanted(s, fd);

        if (events)
            s->fds[s->fd_count++] = (struct pollfd){.fd = fd, .events = events};
    }
}

/* Of what is ready select counted nothing: leave out what would be reported again at once. */
static void drop_uncounted(struct selection *s)
{
    for (nfds_t i = 0; i < s->fd_count; i++)
        if (s->fds[i].revents && !(s->fds[i].revents & s->fds[i].events))
            s->fds[i].fd = -1;
}

/* ---- waiting ---- */

static int park(struct selection *s, int64_t deadline, const sigset_t *mask)
{
    int saved = errno, result;

    for (;;) {
        result = poll_park(s->fds, s->fd_count, deadline, mask);
        if (result <= 0)
            break;
        result = ask(s, mask);
        if (result != 0)
            return result;
        drop_uncounted(s);
    }
    if (result < 0)
        restore_sets(s); /* an error leaves them as they were */
    return park_end(result, saved);
}

/* Nothing was ready at first: the caller's sets are empty now, s->wanted has what was in them. */
static int select_parking(struct selection *s, int64_t deadline, const sigset_t *mask)
{
    struct pollfd space[FDS_ON_STACK];
    int result;

    s->fds = s->count > FDS_ON_STACK ? xmalloc((size_t)s->count * sizeof(*s->fds)) : space;
    list_fds(s);
    result = park(s, deadline, mask);
    if (s->fds != space)
        free(s->fds);
    return result;
}

static int select_until(int count, fd_set *sets[3], int64_t deadline, const sigset_t *mask)
{
    struct selection s = {.count = count, .size = (size_t)(count + NFDBITS - 1) / NFDBITS * sizeof(fd_mask)};
    fd_set space[3];
    char *copies = s.size > sizeof(*space) ? xmalloc(3 * s.size) : (char *)space;
    int result;

    for (int i = 0; i < 3; i++) {
        s.sets[i] = sets[i];
        s.wanted[i] = (fd_set *)(copies + (size_t)i * s.size);
        if (sets[i])
            memcpy(s.wanted[i], sets[i], s.size);
    }
    result = ask(&s, mask);
    if (result == 0)
        result = select_parking(&s, deadline, mask);
    if (copies != (char *)space)
        free(copies);
    return result;
}

/* ---- the calls ---- */

static bool passes(int count)
{
    return !coro_self() || count < 0 || !park_possible();
}

/* A time that the kernel refuses, or that is over. */
static bool is_no_time(const struct timeval *timeout)
{
    return timeout->tv_sec < 0 || timeout->tv_usec < 0 || (timeout->tv_sec == 0 && timeout->tv_usec == 0);
}

/* Linux tells select's caller how much of the time was left. */
static void set_remaining(struct timeval *timeout, int64_t deadline)
{
    int64_t left = deadline - wait_now();

    if (left < 0)
        left = 0;
    timeout->tv_sec = left / 1000000000;
    timeout->tv_usec = left % 1000000000 / 1000;
}

int select(int count, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
    int64_t deadline = WAIT_FOREVER;
    int result;

    if (timeout && is_no_time(timeout))
        park_fair();
    if (passes(count) || (timeout && is_no_time(timeout)))
        return real()->select(count, in, out, except, timeout);
    if (timeout) {
        struct timespec ts = {timeout->tv_sec + timeout->tv_usec / 1000000, timeout->tv_usec % 1000000 * 1000};

        deadline = wait_deadline(park_nanoseconds(&ts));
    }
    result = select_until(count, (fd_set *[]){in, out, except}, deadline, NULL);
    if (timeout)
        set_remaining(timeout, deadline);
    return result;
}

int pselect(int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout, const sigset_t *mask)
{
    if (passes(count) || (timeout && (!park_valid(timeout) || park_nanoseconds(timeout) == 0)))
        return real()->pselect(count, in, out, except, timeout, mask);
    return select_until(count, (fd_set *[]){in, out, except}, park_deadline_in(timeout), mask);
}
