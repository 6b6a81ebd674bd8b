/*
 * file_lock.c: file locks: flock, fcntl(F_SETLKW, F_OFD_SETLKW) and lockf.
 *
 * There is no notification when a file lock is released, so these try again after pauses of at most 32 ms. A thread of
 * the pool could wait in the kernel instead, but many waiters would use up the pool, and the lock holder may itself
 * need a thread. What we lose is that the kernel detects when two processes wait for each other (EDEADLK).
 */
#include <stdarg.h>

#include "base/real.h"
#include "libc/outbound/holder.h"
#include "libc/outbound/outbound.h"
#include "libc/runtime/park.h"

/* After a try that has failed: park for a pause if the file is locked. Returns true if it is to be tried again; false
 * with the errno for the caller. */
static bool file_lock_again(struct park_backoff *backoff)
{
    int result;

    if (errno != EAGAIN && errno != EACCES)
        return false;
    result = park_backoff_for(FOR_LOCK, -1, backoff, WAIT_FOREVER);
    return park_restarts(result) || park_ok(result);
}

static int file_lock_end(int result, int saved)
{
    if (result >= 0)
        errno = saved;
    return result;
}

int flock(int fd, int operation)
{
    struct park_backoff backoff = {0};
    int saved = errno, result;

    if (!coro_self() || operation & LOCK_NB || !park_possible())
        return real()->flock(fd, operation);
    do
        result = real()->flock(fd, operation | LOCK_NB);
    while (result < 0 && file_lock_again(&backoff));
    return file_lock_end(result, saved);
}

static int file_lock_record(int fd, int command, void *lock)
{
    struct park_backoff backoff = {0};
    int saved = errno, result;

    do
        result = real()->fcntl(fd, command, lock);
    while (result < 0 && file_lock_again(&backoff));
    return file_lock_end(result, saved);
}

/* The copy of a connection that counts does so too; see close.c. */
static int copy_limited(int fd, int command, void *arg)
{
    int copy = real()->fcntl(fd, command, arg);

    if (copy >= 0)
        holder_share(fd, copy);
    return copy;
}

int fcntl(int fd, int command, ...)
{
    va_list ap;
    void *arg; /* an int or a pointer, or nothing; libc reads it in the same way */

    va_start(ap, command);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (command == F_SETLKW && coro_self() && park_possible())
        return file_lock_record(fd, F_SETLK, arg);
    if (command == F_OFD_SETLKW && coro_self() && park_possible())
        return file_lock_record(fd, F_OFD_SETLK, arg);
    if (outbound_used && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
        return copy_limited(fd, command, arg);
    return real()->fcntl(fd, command, arg);
}

int fcntl64(int fd, int command, ...) __attribute__((alias("fcntl")));

int lockf(int fd, int command, off_t size)
{
    struct park_backoff backoff = {0};
    int saved = errno, result;

    if (command != F_LOCK || !coro_self() || !park_possible())
        return real()->lockf(fd, command, size);
    do
        result = real()->lockf(fd, F_TLOCK, size);
    while (result < 0 && file_lock_again(&backoff));
    return file_lock_end(result, saved);
}

int lockf64(int fd, int command, off64_t size) __attribute__((alias("lockf")));
