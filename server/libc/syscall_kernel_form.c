/*
 * syscall_kernel_form.c: calls by syscall() that differ from libc's functions of the same names.
 *
 * Sets of signals are as large as the kernel's, 64 bits, and come with their size. pselect6 and ppoll write back how
 * much of their timeout was left. waitid can also tell what the child has used.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/real.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"
#include "libc/syscall.h"

#define KERNEL_SET_SIZE (_NSIG / 8) /* bytes */

/* ---- sets of signals ---- */

/* One in the form of libc; none if set is NULL. */
struct signal_mask {
    sigset_t space;
    const sigset_t *set;
};

/* Returns false if the kernel is to refuse it. */
static bool signal_mask_of(struct signal_mask *mask, const void *kernel_set, size_t size)
{
    *mask = (struct signal_mask){0};
    if (!kernel_set)
        return true;
    if (size != KERNEL_SET_SIZE)
        return false;
    memcpy(&mask->space, kernel_set, size);
    mask->set = &mask->space;
    return true;
}

/* ---- descriptors ---- */

static void write_back_left(struct timespec *timeout, int64_t deadline)
{
    if (timeout && timespec_is_interval(timeout))
        *timeout = timespec_of_ns(deadline - wait_now());
}

/* The last argument of pselect6. */
struct select_mask {
    const void *set;
    size_t size;
};

static bool kernel_pselect6(int count, fd_set *const sets[3], struct timespec *timeout, const struct select_mask *arg,
                            long *result)
{
    int64_t deadline = timespec_deadline_in(timeout);
    struct signal_mask mask;

    if (!signal_mask_of(&mask, arg ? arg->set : NULL, arg ? arg->size : 0))
        return false;
    *result = pselect(count, sets[0], sets[1], sets[2], timeout, mask.set);
    write_back_left(timeout, deadline);
    return true;
}

static bool kernel_ppoll(struct pollfd *fds, nfds_t count, struct timespec *timeout, const void *set, size_t size,
                         long *result)
{
    int64_t deadline = timespec_deadline_in(timeout);
    struct signal_mask mask;

    if (!signal_mask_of(&mask, set, size))
        return false;
    *result = ppoll(fds, count, timeout, mask.set);
    write_back_left(timeout, deadline);
    return true;
}

static bool kernel_epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const void *set, size_t size,
                               long *result)
{
    struct signal_mask mask;

    if (!signal_mask_of(&mask, set, size))
        return false;
    *result = epoll_pwait(fd, events, count, timeout, mask.set);
    return true;
}

#ifdef SYS_epoll_pwait2
static bool kernel_epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *timeout,
                                const void *set, size_t size, long *result)
{
    struct signal_mask mask;

    if (!signal_mask_of(&mask, set, size))
        return false;
    *result = epoll_pwait2(fd, events, count, timeout, mask.set);
    return true;
}
#endif

/* ---- signals and children ---- */

static bool kernel_sigtimedwait(const void *set, siginfo_t *info, const struct timespec *timeout, size_t size,
                                long *result)
{
    struct signal_mask mask;

    if (!set || !signal_mask_of(&mask, set, size))
        return false;
    *result = sigtimedwait(mask.set, info, timeout);
    return true;
}

static bool kernel_sigsuspend(const void *set, size_t size, long *result)
{
    struct signal_mask mask;

    if (!set || !signal_mask_of(&mask, set, size))
        return false;
    *result = sigsuspend(mask.set);
    return true;
}

/* Wait with the function, which leaves the child as it is, and then ask the kernel. Another thread may be faster. */
static long kernel_waitid(idtype_t type, id_t id, siginfo_t *info, int options, struct rusage *usage)
{
    siginfo_t found;
    long result;

    do {
        if (!(options & WNOHANG) && waitid(type, id, &found, options | WNOWAIT) < 0)
            return -1;
        found.si_pid = 0;
        result = real()->syscall(SYS_waitid, type, id, &found, options | WNOHANG, usage);
    } while (result == 0 && found.si_pid == 0 && !(options & WNOHANG));
    if (result == 0 && info)
        *info = found;
    return result;
}

/* ---- which call ---- */

static bool kernel_form_of_fds(long number, long a, long b, long c, long d, long e, long f, long *result)
{
    switch (number) {
    case SYS_pselect6:
        return kernel_pselect6((int)a, (fd_set *const[]){(fd_set *)b, (fd_set *)c, (fd_set *)d}, (struct timespec *)e,
                               (const struct select_mask *)f, result);
    case SYS_ppoll:
        return kernel_ppoll((struct pollfd *)a, (nfds_t)b, (struct timespec *)c, (const void *)d, (size_t)e, result);
    case SYS_epoll_pwait:
        return kernel_epoll_pwait((int)a, (struct epoll_event *)b, (int)c, (int)d, (const void *)e, (size_t)f, result);
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
        return kernel_epoll_pwait2((int)a, (struct epoll_event *)b, (int)c, (const struct timespec *)d, (const void *)e,
                                   (size_t)f, result);
#endif
    default:
        return false;
    }
}

bool syscall_kernel_form(long number, long a, long b, long c, long d, long e, long f, long *result)
{
    switch (number) {
    case SYS_rt_sigtimedwait:
        return kernel_sigtimedwait((const void *)a, (siginfo_t *)b, (const struct timespec *)c, (size_t)d, result);
    case SYS_rt_sigsuspend:
        return kernel_sigsuspend((const void *)a, (size_t)b, result);
    case SYS_waitid:
        *result = kernel_waitid((idtype_t)a, (id_t)b, (siginfo_t *)c, (int)d, (struct rusage *)e);
        return true;
    default:
        return kernel_form_of_fds(number, a, b, c, d, e, f, result);
    }
}
