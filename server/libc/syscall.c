/*
 * syscall.c: libc's function syscall, by which libraries make calls that libc has no function for, or whose functions
 * they avoid.
 *
 * futex is the one that counts: many locks are built on it (sync/futex.c). Of the others those that may block a
 * coroutine go to our functions of the same names. All else goes to libc with its six arguments as they are. So the
 * function is defined with six arguments, which every ABI that we run on passes as it passes variable ones; those that
 * a caller has left out hold whatever is there, for libc as for us.
 *
 * Calls whose arguments are the kernel's own are in syscall_kernel_form.c, and those that wait for operations of the
 * kernel in syscall_completions.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/real.h"
#include "libc/io/open.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/park.h"
#include "libc/sync/futex.h"
#include "libc/sync/futex2.h"
#include "libc/syscall.h"
#include "libc/threads/threads.h"

#define SYSCALL_ARGS a, b, c, d, e, f

/* The exported name; unistd.h declares it with variable arguments. */
long syscall_any(long number, long a, long b, long c, long d, long e, long f) __asm__("syscall");

/* The function returns an error number, and sleeps on by itself after a signal as the call does. */
static long syscall_clock_nanosleep(clockid_t clock, int flags, const struct timespec *request,
                                    struct timespec *remaining)
{
    int error = clock_nanosleep(clock, flags, request, remaining);

    if (error)
        errno = error;
    return error ? -1 : 0;
}

/* Calls that only some architectures have, and others have in a longer form. */
static bool syscall_short(long number, long a, long b, long c, long *result)
{
    switch (number) {
#ifdef SYS_open
    case SYS_open:
        *result = open((const char *)a, (int)b, (mode_t)c);
        return true;
#endif
#ifdef SYS_creat
    case SYS_creat:
        *result = creat((const char *)a, (mode_t)b);
        return true;
#endif
#ifdef SYS_dup2
    case SYS_dup2:
        *result = dup2((int)a, (int)b);
        return true;
#endif
    default:
        return false;
    }
}

/* The same for those that wait. Returns whether the number is one of them. */
static bool syscall_older(long number, long a, long b, long c, long d, long e, long *result)
{
    switch (number) {
#ifdef SYS_poll
    case SYS_poll:
        *result = poll((struct pollfd *)a, (nfds_t)b, (int)c);
        return true;
#endif
#ifdef SYS_select
    case SYS_select:
        *result = select((int)a, (fd_set *)b, (fd_set *)c, (fd_set *)d, (struct timeval *)e);
        return true;
#endif
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
        *result = epoll_wait((int)a, (struct epoll_event *)b, (int)c, (int)d);
        return true;
#endif
#ifdef SYS_pause
    case SYS_pause:
        *result = pause();
        return true;
#endif
    default:
        return false;
    }
}

/* Calls that wait for something else than a descriptor. */
static bool syscall_waits(long number, long a, long b, long c, long d, long *result)
{
    switch (number) {
    case SYS_nanosleep:
        *result = nanosleep((const struct timespec *)a, (struct timespec *)b);
        return true;
    case SYS_clock_nanosleep:
        *result = syscall_clock_nanosleep((clockid_t)a, (int)b, (const struct timespec *)c, (struct timespec *)d);
        return true;
    case SYS_wait4:
        *result = wait4((pid_t)a, (int *)b, (int)c, (struct rusage *)d);
        return true;
    case SYS_sched_yield:
        *result = sched_yield();
        return true;
    default:
        return false;
    }
}

/* Message queues, and what System V has. */
static bool syscall_messages(long number, long a, long b, long c, long d, long e, long *result)
{
    const struct timespec *until = (const struct timespec *)e;

    switch (number) {
    case SYS_mq_timedsend:
        *result = until ? mq_timedsend((mqd_t)a, (const char *)b, (size_t)c, (unsigned)d, until)
                        : mq_send((mqd_t)a, (const char *)b, (size_t)c, (unsigned)d);
        return true;
    case SYS_mq_timedreceive:
        *result = until ? mq_timedreceive((mqd_t)a, (char *)b, (size_t)c, (unsigned *)d, until)
                        : mq_receive((mqd_t)a, (char *)b, (size_t)c, (unsigned *)d);
        return true;
    case SYS_msgsnd:
        *result = msgsnd((int)a, (const void *)b, (size_t)c, (int)d);
        return true;
    case SYS_msgrcv:
        *result = msgrcv((int)a, (void *)b, (size_t)c, d, (int)e);
        return true;
    case SYS_semop:
        *result = semop((int)a, (struct sembuf *)b, (size_t)c);
        return true;
    case SYS_semtimedop:
        *result = semtimedop((int)a, (struct sembuf *)b, (size_t)c, (const struct timespec *)d);
        return true;
    default:
        return false;
    }
}

/* Calls by which descriptors are opened, closed and locked. */
static bool syscall_files(long number, long a, long b, long c, long d, long *result)
{
    switch (number) {
    case SYS_openat:
        *result = openat((int)a, (const char *)b, (int)c, (mode_t)d);
        return true;
    case SYS_openat2:
        *result = opening_openat2((int)a, (const char *)b, (const struct open_how *)c, (size_t)d);
        return true;
    case SYS_fcntl:
        *result = fcntl((int)a, (int)b, c);
        return true;
    case SYS_flock:
        *result = flock((int)a, (int)b);
        return true;
    case SYS_close:
        *result = close((int)a);
        return true;
    case SYS_dup3:
        *result = dup3((int)a, (int)b, (int)c);
        return true;
    default:
        return false;
    }
}

/* Calls on descriptors that are no sockets in particular. */
static bool syscall_moves(long number, long a, long b, long c, long d, long e, long f, long *result)
{
    switch (number) {
    case SYS_read:
        *result = read((int)a, (void *)b, (size_t)c);
        return true;
    case SYS_write:
        *result = write((int)a, (const void *)b, (size_t)c);
        return true;
    case SYS_readv:
        *result = readv((int)a, (const struct iovec *)b, (int)c);
        return true;
    case SYS_writev:
        *result = writev((int)a, (const struct iovec *)b, (int)c);
        return true;
    case SYS_splice:
        *result = splice((int)a, (off64_t *)b, (int)c, (off64_t *)d, (size_t)e, (unsigned)f);
        return true;
    case SYS_sendfile:
        *result = sendfile((int)a, (int)b, (off_t *)c, (size_t)d);
        return true;
    case SYS_tee:
        *result = tee((int)a, (int)b, (size_t)c, (unsigned)d);
        return true;
    case SYS_vmsplice:
        *result = vmsplice((int)a, (const struct iovec *)b, (size_t)c, (unsigned)d);
        return true;
    case SYS_preadv2:
        *result = preadv2((int)a, (const struct iovec *)b, (int)c, (off_t)d, (int)f);
        return true;
    case SYS_pwritev2:
        *result = pwritev2((int)a, (const struct iovec *)b, (int)c, (off_t)d, (int)f);
        return true;
    default:
        return false;
    }
}

static bool syscall_socket(long number, long a, long b, long c, long d, long e, long f, long *result)
{
    switch (number) {
    case SYS_recvfrom:
        *result = recvfrom((int)a, (void *)b, (size_t)c, (int)d, (struct sockaddr *)e, (socklen_t *)f);
        return true;
    case SYS_sendto:
        *result = sendto((int)a, (const void *)b, (size_t)c, (int)d, (const struct sockaddr *)e, (socklen_t)f);
        return true;
    case SYS_recvmsg:
        *result = recvmsg((int)a, (struct msghdr *)b, (int)c);
        return true;
    case SYS_sendmsg:
        *result = sendmsg((int)a, (const struct msghdr *)b, (int)c);
        return true;
    case SYS_recvmmsg:
        *result = recvmmsg((int)a, (struct mmsghdr *)b, (unsigned)c, (int)d, (struct timespec *)e);
        return true;
    case SYS_sendmmsg:
        *result = sendmmsg((int)a, (struct mmsghdr *)b, (unsigned)c, (int)d);
        return true;
    case SYS_connect:
        *result = connect((int)a, (const struct sockaddr *)b, (socklen_t)c);
        return true;
    case SYS_accept:
        *result = accept((int)a, (struct sockaddr *)b, (socklen_t *)c);
        return true;
    case SYS_accept4:
        *result = accept4((int)a, (struct sockaddr *)b, (socklen_t *)c, (int)d);
        return true;
    default:
        return false;
    }
}

static long syscall_on_coroutine(long number, long a, long b, long c, long d, long e, long f)
{
    long result;

    if (syscall_moves(number, SYSCALL_ARGS, &result) || syscall_socket(number, SYSCALL_ARGS, &result) ||
        syscall_files(number, a, b, c, d, &result) || syscall_messages(number, a, b, c, d, e, &result) ||
        syscall_waits(number, a, b, c, d, &result) || syscall_older(number, a, b, c, d, e, &result) ||
        syscall_short(number, a, b, c, &result) || syscall_kernel_form(number, SYSCALL_ARGS, &result) ||
        syscall_completions(number, SYSCALL_ARGS, &result))
        return result;
    return real()->syscall(number, SYSCALL_ARGS);
}

/* Of the calls that code makes which computes away upon another thread: those that do not wait. */
static bool syscall_never_waits(long number)
{
    switch (number) {
    case SYS_getrandom:
    case SYS_gettid:
    case SYS_getcpu:
    case SYS_sched_getaffinity:
    case SYS_madvise:
    case SYS_membarrier:
    case SYS_get_mempolicy:
    case SYS_set_mempolicy:
    case SYS_mbind:
    case SYS_memfd_create:
    case SYS_clock_gettime:
        return true;
    default:
        return false;
    }
}

long syscall_any(long number, long a, long b, long c, long d, long e, long f)
{
    if (number == SYS_futex)
        return futex_call((uint32_t *)a, (int)b, (uint32_t)c, (uintptr_t)d, (uint32_t *)e, (uint32_t)f);
    if (__builtin_expect(futex2_has(number), 0))
        return futex2_call(number, SYSCALL_ARGS);
    if (__builtin_expect(number == SYS_io_uring_setup, 0) && wait_makes_loop) {
        errno = ENOSYS;
        return -1;
    }
    if (number == SYS_gettid && caller_kind() == CALLER_RUNTIME && threads_native_id())
        return threads_native_id();
    if (coro_current || (coro_guest && !syscall_never_waits(number) && coro_self()))
        return syscall_on_coroutine(number, SYSCALL_ARGS);
    return real()->syscall(number, SYSCALL_ARGS);
}
