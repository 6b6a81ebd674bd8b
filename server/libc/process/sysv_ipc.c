/*
 * sysv_ipc.c: msgrcv, msgsnd, semop and semtimedop.
 *
 * These queues and semaphores are no descriptors, and nothing tells us when they change. So the calls are made with
 * IPC_NOWAIT again and again, after pauses of at most 32 ms. A set of operations of which only some have IPC_NOWAIT is
 * left to the kernel, on a thread of its own: only it knows which of them has to wait.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/real.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"

#define OPERATIONS_ON_STACK 16

struct ipc_wait {
    struct park_backoff backoff;
    int64_t deadline;
    int would_block; /* the errno that says so */
    bool has_waited;
};

/* After a try that has failed: park for a pause if it would have blocked. Returns whether to try again; false with
 * errno. */
static bool ipc_again(struct ipc_wait *wait)
{
    int result;

    if (errno == EINVAL && wait->has_waited) /* removed meanwhile: who waits in the kernel gets the other error */
        errno = EIDRM;
    if (errno != wait->would_block)
        return false;
    wait->has_waited = true;
    result = park_backoff_for(FOR_LOCK, -1, &wait->backoff, wait->deadline);
    return park_restarts(result) || park_ok(result == -ETIMEDOUT ? -EAGAIN : result);
}

/* ---- message queues ---- */

ssize_t msgrcv(int queue, void *message, size_t size, long type, int flags)
{
    struct ipc_wait wait = {.deadline = WAIT_FOREVER, .would_block = ENOMSG};
    int saved = errno;
    ssize_t got;

    if (!coro_self() || flags & IPC_NOWAIT || !park_possible())
        return real()->msgrcv(queue, message, size, type, flags);
    do
        got = real()->msgrcv(queue, message, size, type, flags | IPC_NOWAIT);
    while (got < 0 && ipc_again(&wait));
    if (got >= 0)
        errno = saved;
    return got;
}

int msgsnd(int queue, const void *message, size_t size, int flags)
{
    struct ipc_wait wait = {.deadline = WAIT_FOREVER, .would_block = EAGAIN};
    int saved = errno, result;

    if (!coro_self() || flags & IPC_NOWAIT || !park_possible())
        return real()->msgsnd(queue, message, size, flags);
    do
        result = real()->msgsnd(queue, message, size, flags | IPC_NOWAIT);
    while (result < 0 && ipc_again(&wait));
    if (result >= 0)
        errno = saved;
    return result;
}

/* ---- semaphores ---- */

struct sem_call {
    int set;
    struct sembuf *operations;
    size_t count;
    const struct timespec *timeout;
};

static int sem_call_run(void *arg)
{
    const struct sem_call *call = arg;

    return real()->semtimedop(call->set, call->operations, call->count, call->timeout) < 0 ? -errno : 0;
}

static size_t count_nowait(const struct sembuf *operations, size_t count)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += (operations[i].sem_flg & IPC_NOWAIT) != 0;
    return found;
}

/* Returns 0 or -1, with errno. */
static int sem_call_poll(const struct sem_call *call)
{
    struct ipc_wait wait = {.deadline = timespec_deadline_in(call->timeout), .would_block = EAGAIN};
    struct sembuf space[OPERATIONS_ON_STACK], *operations = space;
    int saved = errno, result;

    if (call->count > OPERATIONS_ON_STACK)
        operations = xmalloc(call->count * sizeof(*operations));
    memcpy(operations, call->operations, call->count * sizeof(*operations));
    for (size_t i = 0; i < call->count; i++)
        operations[i].sem_flg |= IPC_NOWAIT;
    do
        result = real()->semtimedop(call->set, operations, call->count, NULL);
    while (result < 0 && ipc_again(&wait));
    if (result >= 0)
        errno = saved;
    if (operations != space)
        free(operations);
    return result;
}

int semtimedop(int set, struct sembuf *operations, size_t count, const struct timespec *timeout)
{
    struct sem_call call = {set, operations, count, timeout};
    size_t nowait;

    if (!coro_self() || count == 0 || count > UINT16_MAX || (timeout && !timespec_is_interval(timeout)) ||
        !park_possible())
        return real()->semtimedop(set, operations, count, timeout);
    nowait = count_nowait(operations, count);
    if (nowait == count)
        return real()->semtimedop(set, operations, count, timeout);
    return nowait > 0 ? park_end(wait_thread_for(FOR_LOCK, NULL, sem_call_run, &call), errno) : sem_call_poll(&call);
}

int semop(int set, struct sembuf *operations, size_t count)
{
    return semtimedop(set, operations, count, NULL);
}
