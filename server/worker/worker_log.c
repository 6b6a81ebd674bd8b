/*
 * worker_log.c: the logs of a worker: written as the loop turns.
 *
 * The access log is written at the end of each turn, the error log with each line. What a full pipe did not take stays
 * in the sink; it is looked at once a second, and then a coroutine waits for the reader until nothing is pending.
 */
#include "worker/worker_log.h"

#include <errno.h>
#include <unistd.h>

#include "access/access.h"
#include "log/log.h"
#include "process/channel.h"
#include "log/sink.h"
#include "wait/wait.h"

#define LOOK_EVERY 1000 /* milliseconds */
#define LAST_WORDS 500  /* milliseconds */

static bool draining; /* by a coroutine */

static void drain_one(struct sink *sink)
{
    int fd, result = 0;

    while (sink && (fd = sink_pending_fd(sink)) >= 0 && (result >= 0 || result == -ETIMEDOUT)) {
        result = wait_fd(fd, POLLOUT, wait_deadline(LOOK_EVERY * INT64_C(1000000))); /* the sink may reconnect fd */
        sink_flush(sink);
    }
}

static void drain(void *arg)
{
    drain_one(log_sink());
    drain_one(access_sink());
    draining = false;
}

static void look(void)
{
    worker_log_flush();
    if (draining || (sink_pending_fd(log_sink()) < 0 && (!access_sink() || sink_pending_fd(access_sink()) < 0)))
        return;
    draining = coro_start(drain, NULL);
}

void worker_log_flush(void)
{
    sink_flush(log_sink());
    if (access_sink())
        access_flush();
}

static void renew(struct sink *sink, int fd)
{
    if (sink)
        sink_reopen(sink, fd);
    else
        close(fd);
}

void worker_log_take(const struct channel_message *message)
{
    if (message->kind == CHANNEL_ACCESS_LOG) {
        renew(access_sink(), message->fd);
    } else if (message->kind == CHANNEL_ERROR_LOG) {
        renew(log_sink(), message->fd);
        log_redirect_stderr();
    }
}

void worker_log_drain(void)
{
    if (access_sink())
        sink_drain(access_sink(), LAST_WORDS);
    log_drain();
}

void worker_log_start(int number)
{
    wait_every(LOOK_EVERY, look);
    if (!access_sink())
        return;
    format_set_worker(number);
    coro_clock();
    wait_each_iteration(access_flush);
}
