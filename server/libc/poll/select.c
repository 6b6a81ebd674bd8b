/*
 * select.c: select and pselect.
 *
 * The kernel's select is asked on copies of the sets, without a timeout. If nothing is ready the sets are turned into
 * an array for poll, the coroutine parks on that, and the kernel is asked again. poll reports conditions that select
 * does not count, such as a hang-up on a descriptor that is in the set of exceptions only; such a descriptor is left
 * out of further waits, which would end at once.
 */
#include <string.h>
#include <sys/select.h>

#include "base/mem.h"
#include "base/real.h"
#include "libc/poll/sigmask.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"

#define FDS_ON_STACK 64

struct selection {
    fd_set *sets[3];   /* the caller's: to read, to write, exceptions; each may be NULL */
    fd_set *wanted[3]; /* their contents at the start, all in one block of memory */
    size_t size;       /* of a set, bytes, as the kernel sees it */
    int count;         /* of descriptors: the highest and one */
    struct pollfd *fds;
    nfds_t fd_count;
};

static const short events_of_set[3] = {POLLIN, POLLOUT, POLLPRI};

/* ---- asking the kernel ---- */

static void selection_restore(const struct selection *s)
{
    for (int i = 0; i < 3; i++)
        if (s->sets[i])
            memcpy(s->sets[i], s->wanted[i], s->size);
}

static int selection_ask(const struct selection *s, const sigset_t *mask)
{
    selection_restore(s);
    return real()->pselect(s->count, s->sets[0], s->sets[1], s->sets[2], &timespec_zero, mask);
}

/* ---- sets into an array ---- */

static bool selection_has(const struct selection *s, int i, int fd)
{
    const fd_mask *words = (const fd_mask *)s->wanted[i];

    return s->sets[i] && (unsigned long)words[fd / NFDBITS] >> (fd % NFDBITS) & 1;
}

static short selection_events(const struct selection *s, int fd)
{
    short events = 0;

    for (int i = 0; i < 3; i++)
        if (selection_has(s, i, fd))
            events |= events_of_set[i];
    return events;
}

static void selection_list_fds(struct selection *s)
{
    for (int fd = 0; fd < s->count; fd++) {
        short events = selection_events(s, fd);

        if (events)
            s->fds[s->fd_count++] = (struct pollfd){.fd = fd, .events = events};
    }
}

/* poll reported something and select counted nothing: leave out the descriptors that poll would report again. */
static void selection_drop_uncounted(struct selection *s)
{
    for (nfds_t i = 0; i < s->fd_count; i++)
        if (s->fds[i].revents && !(s->fds[i].revents & s->fds[i].events))
            s->fds[i].fd = -1;
}

/* ---- waiting ---- */

static int selection_park(struct selection *s, int64_t deadline, const sigset_t *mask)
{
    int saved = errno, result;

    for (;;) {
        result = sigmask_wait_fds(s->fds, s->fd_count, deadline, mask);
        if (result <= 0)
            break;
        result = selection_ask(s, mask);
        if (result != 0)
            return result;
        selection_drop_uncounted(s);
    }
    if (result < 0)
        selection_restore(s); /* an error leaves the sets as they were */
    return park_end(result, saved);
}

/* Nothing was ready: the caller's sets are empty now. */
static int selection_wait(struct selection *s, int64_t deadline, const sigset_t *mask)
{
    struct pollfd space[FDS_ON_STACK];
    int result;

    s->fds = s->count > FDS_ON_STACK ? xmalloc((size_t)s->count * sizeof(*s->fds)) : space;
    selection_list_fds(s);
    result = selection_park(s, deadline, mask);
    if (s->fds != space)
        free(s->fds);
    return result;
}

/* Not inlined: whoever uses select to sleep need not keep the sets in its frame. */
static __attribute__((noinline)) int select_until(int count, fd_set *sets[3], int64_t deadline, const sigset_t *mask)
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
    result = selection_ask(&s, mask);
    if (result == 0)
        result = selection_wait(&s, deadline, mask);
    if (copies != (char *)space)
        free(copies);
    return result;
}

/* ---- the calls ---- */

/* Without descriptors it is a sleep, as CPython up to 3.10 sleeps. */
static int select_nothing(int64_t deadline)
{
    return park_end(wait_sleep(deadline), errno);
}

static bool select_may_park(int count)
{
    return coro_self() && count >= 0 && park_possible();
}

/* Linux writes back how much of select's timeout was left. */
static void select_write_back(struct timeval *timeout, int64_t deadline)
{
    struct timespec left = timespec_of_ns(deadline - wait_now());

    *timeout = (struct timeval){left.tv_sec, left.tv_nsec / 1000};
}

int select(int count, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
    struct timespec length;
    int64_t deadline;
    int result;

    if (timeout)
        length = timespec_of_timeval(timeout);
    if (timeout && !timespec_may_wait(&length)) {
        park_fair();
        return real()->select(count, in, out, except, timeout);
    }
    if (!select_may_park(count))
        return real()->select(count, in, out, except, timeout);
    deadline = timespec_deadline_in(timeout ? &length : NULL);
    result = count == 0 ? select_nothing(deadline) : select_until(count, (fd_set *[]){in, out, except}, deadline, NULL);
    if (timeout)
        select_write_back(timeout, deadline);
    return result;
}

int pselect(int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout, const sigset_t *mask)
{
    if (!timespec_may_wait(timeout) || !select_may_park(count))
        return real()->pselect(count, in, out, except, timeout, mask);
    return select_until(count, (fd_set *[]){in, out, except}, timespec_deadline_in(timeout), mask);
}
