/*
 * mqueue.c: mq_send, mq_receive, mq_timedsend and mq_timedreceive.
 *
 * A message queue is a descriptor that can be polled. A call with a time that is long over does not wait: it fails with
 * ETIMEDOUT where it would, or with EAGAIN if the queue has O_NONBLOCK. Then the coroutine parks until the queue is
 * ready. The queue may be open in other processes, which may be quicker, so that it tries again.
 */
#include "base/real.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"

/* After a try that has failed: park until the queue may be ready. Returns whether to try again; false with errno. */
static bool mq_await(mqd_t queue, short events, const struct timespec *until)
{
    int result;

    if (errno != ETIMEDOUT)
        return false;
    result = wait_fd(queue, events, until ? timespec_deadline_at(CLOCK_REALTIME, until) : WAIT_FOREVER);
    return park_restarts(result) || park_ok(result);
}

static bool mq_passes(const struct timespec *until)
{
    return !coro_self() || (until && !timespec_is_interval(until)) || !park_possible();
}

/* until: NULL for a call without a time. */
static ssize_t mq_receive_until(mqd_t queue, char *buf, size_t size, unsigned *priority, const struct timespec *until)
{
    int saved = errno;
    ssize_t got;

    if (mq_passes(until))
        return until ? real()->mq_timedreceive(queue, buf, size, priority, until)
                     : real()->mq_receive(queue, buf, size, priority);
    do
        got = real()->mq_timedreceive(queue, buf, size, priority, &timespec_zero);
    while (got < 0 && mq_await(queue, POLLIN, until));
    if (got >= 0)
        errno = saved;
    return got;
}

static int mq_send_until(mqd_t queue, const char *message, size_t size, unsigned priority, const struct timespec *until)
{
    int saved = errno, result;

    if (mq_passes(until))
        return until ? real()->mq_timedsend(queue, message, size, priority, until)
                     : real()->mq_send(queue, message, size, priority);
    do
        result = real()->mq_timedsend(queue, message, size, priority, &timespec_zero);
    while (result < 0 && mq_await(queue, POLLOUT, until));
    if (result >= 0)
        errno = saved;
    return result;
}

ssize_t mq_receive(mqd_t queue, char *buf, size_t size, unsigned *priority)
{
    return mq_receive_until(queue, buf, size, priority, NULL);
}

ssize_t mq_timedreceive(mqd_t queue, char *restrict buf, size_t size, unsigned *restrict priority,
                        const struct timespec *restrict until)
{
    return mq_receive_until(queue, buf, size, priority, until);
}

int mq_send(mqd_t queue, const char *message, size_t size, unsigned priority)
{
    return mq_send_until(queue, message, size, priority, NULL);
}

int mq_timedsend(mqd_t queue, const char *message, size_t size, unsigned priority, const struct timespec *until)
{
    return mq_send_until(queue, message, size, priority, until);
}
