/*
 * aio.c: waiting for operations of aio_read and the like, which libc's own threads carry out.
 *
 * Nothing tells when one ends, so a coroutine that waits looks again after pauses of at most 32 ms. lio_listio with
 * LIO_WAIT starts and awaits a whole list; a thread calls it.
 */
#include <aio.h>

#include "base/real.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"

/* Whether libc would wait: some operations of the list are in progress, and none has ended. */
static bool aio_would_wait(const struct aiocb *const list[], int count)
{
    bool any = false;

    for (int i = 0; i < count; i++) {
        if (list[i] && aio_error(list[i]) != EINPROGRESS)
            return false;
        any |= list[i] != NULL;
    }
    return any;
}

int aio_suspend(const struct aiocb *const list[], int count, const struct timespec *timeout)
{
    struct park_backoff backoff = {0};
    int64_t deadline;
    int result;

    if (!coro_self() || (timeout && !timespec_may_wait(timeout)) || !park_possible())
        return real()->aio_suspend(list, count, timeout);
    deadline = timespec_deadline_in(timeout);
    while (aio_would_wait(list, count)) {
        result = park_backoff_for(FOR_DISK, -1, &backoff, deadline);
        if (!park_ok(result == -ETIMEDOUT ? -EAGAIN : result))
            return -1;
    }
    return real()->aio_suspend(list, count, timeout);
}

int aio_suspend64(const struct aiocb64 *const list[], int count, const struct timespec *timeout)
    __attribute__((alias("aio_suspend")));

/* ---- lio_listio ---- */

struct lio_call {
    struct aiocb *const *list;
    int count;
    struct sigevent *event;
};

static int lio_run(void *arg)
{
    const struct lio_call *call = arg;

    return real()->lio_listio(LIO_WAIT, call->list, call->count, call->event) < 0 ? -errno : 0;
}

int lio_listio(int mode, struct aiocb *const list[], int count, struct sigevent *event)
{
    struct lio_call call = {list, count, event};

    if (mode != LIO_WAIT || !coro_self() || !park_possible())
        return real()->lio_listio(mode, list, count, event);
    return park_end(wait_thread_for(FOR_DISK, NULL, lio_run, &call), errno);
}

int lio_listio64(int mode, struct aiocb64 *const list[], int count, struct sigevent *event)
    __attribute__((alias("lio_listio")));
