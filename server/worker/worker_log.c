/*
 * worker_log.c: when a worker writes its logs.
 *
 * The access log is written at the end of each iteration of the event loop, the error log line by line. What a full
 * pipe does not accept stays in the sink. Once a second the sinks are checked; if something is pending, a coroutine
 * waits for the reader until all of it is written. Files are written by threads, which a crash waits for.
 */
#include "worker/worker_log.h"

#include <errno.h>
#include <unistd.h>

#include "access/access.h"
#include "coro/fault.h"
#include "log/log.h"
#include "process/channel.h"
#include "log/sink.h"
#include "wait/wait.h"

#define CHECK_EVERY 1000 /* milliseconds */
#define DRAIN_FOR   500  /* milliseconds */
#define SETTLE_FOR  200  /* milliseconds */

static bool draining; /* a coroutine runs drain_sinks */

static void drain_when_writable(struct sink *sink)
{
    int fd, result = 0;

    while (sink && (fd = sink_pending_fd(sink)) >= 0 && (result >= 0 || result == -ETIMEDOUT)) {
        result = wait_fd(fd, POLLOUT, wait_deadline(CHECK_EVERY * INT64_C(1000000))); /* the sink may reconnect fd */
        sink_flush(sink);
    }
}

static void drain_sinks(void *arg)
{
    drain_when_writable(log_sink());
    for (size_t i = 0; access_sink(i); i++)
        drain_when_writable(access_sink(i));
    draining = false;
}

static bool are_pending(void)
{
    bool pending = sink_pending_fd(log_sink()) >= 0;

    for (size_t i = 0; access_sink(i); i++)
        pending |= sink_pending_fd(access_sink(i)) >= 0;
    return pending;
}

static void check_sinks(void)
{
    worker_log_flush();
    if (draining || !are_pending())
        return;
    draining = wait_start(drain_sinks, NULL);
}

void worker_log_flush(void)
{
    sink_flush(log_sink());
    access_flush();
}

void worker_log_reopen(const struct channel_message *message)
{
    bool is_error_log = message->kind == CHANNEL_ERROR_LOG;
    struct sink *sink = is_error_log ? log_sink() : access_sink((size_t)message->number);

    if (!is_error_log && message->kind != CHANNEL_ACCESS_LOG)
        return;
    if (!sink) {
        close(message->fd);
        return;
    }
    sink_reopen(sink, message->fd);
    if (is_error_log)
        log_redirect_stderr();
}

void worker_log_drain(void)
{
    access_drain(DRAIN_FOR);
    log_drain();
}

/* In the handler of a crash: what was logged before it. */
static void settle_sinks(void)
{
    sink_settle(log_sink(), SETTLE_FOR);
    for (size_t i = 0; access_sink(i); i++)
        sink_settle(access_sink(i), SETTLE_FOR);
}

void worker_log_start(int number)
{
    sinks_use_threads();
    fault_call_first(settle_sinks);
    wait_every(CHECK_EVERY, check_sinks);
    if (!access_sink(0))
        return;
    format_set_worker(number);
    wait_each_iteration(access_flush);
}
