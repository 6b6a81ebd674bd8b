/*
 * syscall_completions.c: io_uring_enter and io_getevents by syscall(): waiting for operations that the kernel carries
 * out meanwhile.
 *
 * The descriptor of a ring becomes readable when it has a result. How many it has is in the memory that the application
 * shares with the kernel; we know only what /proc says. That, and the results of the older interface, is looked at
 * after pauses of at most 32 ms. What is submitted goes to the kernel first, in a call that does not wait.
 */
#include <errno.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/real.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"
#include "libc/syscall.h"

/* Of io_uring_enter, which older headers do not have. */
#define GET_EVENTS      1u
#define EXTENDED        (1u << 3) /* the fifth argument is a struct ring_wait */
#define REGISTERED_RING (1u << 4)
#define ABSOLUTE        (1u << 5)

struct ring_wait {
    uint64_t mask;
    uint32_t mask_size, pad;
    uint64_t timeout; /* a struct timespec */
};

/* ---- io_uring ---- */

/* Returns the number after a name in the kernel's text about a ring, or -1. */
static long ring_number(const char *text, const char *name)
{
    const char *found = strstr(text, name);

    return found ? strtol(found + strlen(name), NULL, 10) : -1;
}

/* Returns how many results there are, or -1: the kernel does not say. */
static long ring_count_results(int fd)
{
    char path[64], text[1024];
    ssize_t size = -1;
    int info;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    info = real()->open(path, O_RDONLY | O_CLOEXEC);
    if (info >= 0) {
        size = real()->read(info, text, sizeof(text) - 1);
        real()->close(info);
    }
    text[size < 0 ? 0 : size] = '\0';
    if (ring_number(text, "\nCqHead:") < 0)
        return -1;
    return (long)(uint32_t)(ring_number(text, "\nCqTail:") - ring_number(text, "\nCqHead:"));
}

static bool ring_has_any(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};

    return real()->poll(&look, 1, 0) > 0;
}

static int64_t ring_deadline(unsigned flags, const struct ring_wait *wait)
{
    const struct timespec *timeout = flags & EXTENDED && wait ? (const void *)(uintptr_t)wait->timeout : NULL;

    if (timeout && flags & ABSOLUTE)
        return timespec_deadline_at(CLOCK_MONOTONIC, timeout);
    return timespec_deadline_in(timeout);
}

/* Wait for the first result, and then for more. Returns 0 or a negative errno; 1: the kernel has to wait. */
static int ring_await(int fd, unsigned count, int64_t deadline)
{
    struct park_backoff backoff = {0};
    int result = ring_has_any(fd) ? 0 : wait_fd(fd, POLLIN, deadline);

    while (result >= 0 && count > 1) {
        long found = ring_count_results(fd);

        if (found < 0)
            return 1;
        if (found >= count)
            break;
        result = park_backoff_for(FOR_DISK, -1, &backoff, deadline);
    }
    return result < 0 ? result : 0;
}

/* Submit, wait, and have the kernel do the rest as it would after its own wait. */
static long ring_enter(int fd, unsigned submit, unsigned count, unsigned flags, void *arg, size_t size)
{
    long submitted = submit ? real()->syscall(SYS_io_uring_enter, fd, submit, 0, flags, arg, size) : 0;
    int result;

    if (submitted < 0 || (unsigned)submitted < submit)
        return submitted;
    result = ring_await(fd, count, ring_deadline(flags, arg));
    if (result == -ETIMEDOUT)
        result = ring_has_any(fd) ? 0 : -ETIME; /* fewer than wanted are no error */
    if (result > 0 && real()->syscall(SYS_io_uring_enter, fd, 0, count, flags, arg, size) < 0)
        result = -errno;
    return result < 0 && !submitted ? park_end(result, 0) : submitted;
}

/* ---- the older interface ---- */

struct events_call {
    aio_context_t context;
    long least, most;
    struct io_event *events;
};

static long events_take(const struct events_call *call, long have)
{
    return real()->syscall(SYS_io_getevents, call->context, 0L, call->most - have, call->events + have, &timespec_zero);
}

static long events_await(const struct events_call *call, const struct timespec *timeout)
{
    struct park_backoff backoff = {0};
    int64_t deadline = timespec_deadline_in(timeout);
    int saved = errno, result = 0;
    long have = events_take(call, 0), more = 0;

    while (have >= 0 && have < call->least && more >= 0 &&
           (result = park_backoff_for(FOR_DISK, -1, &backoff, deadline)) >= 0) {
        more = events_take(call, have);
        have += more > 0 ? more : 0;
    }
    if (have != 0 || more < 0)
        return have > 0 ? have : -1;
    return park_end(result == -ETIMEDOUT ? 0 : result, saved);
}

/* ---- which call ---- */

static bool ring_may_park(unsigned count, unsigned flags)
{
    return count > 0 && flags & GET_EVENTS && !(flags & REGISTERED_RING) && park_possible();
}

static bool events_may_park(const struct events_call *call, const struct timespec *timeout)
{
    return call->least > 0 && call->least <= call->most && (!timeout || timespec_is_interval(timeout)) &&
           timespec_may_wait(timeout) && park_possible();
}

bool syscall_completions(long number, long a, long b, long c, long d, long e, long f, long *result)
{
    struct events_call call = {(aio_context_t)a, b, c, (struct io_event *)d};

    if (number == SYS_io_uring_enter && ring_may_park((unsigned)c, (unsigned)d))
        *result = ring_enter((int)a, (unsigned)b, (unsigned)c, (unsigned)d, (void *)e, (size_t)f);
    else if (number == SYS_io_getevents && events_may_park(&call, (const struct timespec *)e))
        *result = events_await(&call, (const struct timespec *)e);
    else
        return false;
    return true;
}
