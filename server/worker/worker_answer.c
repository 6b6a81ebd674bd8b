/*
 * worker_answer.c: answer what the master asks of this worker.
 *
 * The answer goes into a file in memory that comes with the question: it may be as large as it is, and nobody waits for
 * the other. The file is the master's, which takes no descriptors of others. The answer is made on the loop's stack, so
 * it does not queue behind requests. A worker whose loop is blocked does not answer; what the master does then is the
 * subject of master/gather.c.
 */
#include "worker/worker_answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/own.h"
#include "base/real.h"
#include "inside/flight.h"
#include "inside/health.h"
#include "inside/profile.h"
#include "inside/question.h"
#include "inside/running.h"
#include "log/log.h"
#include "metrics/metrics_count.h"
#include "metrics/metrics_now.h"
#include "process/channel.h"
#include "wait/wait.h"

static struct wait_source signals = {.fd = -1}; /* an eventfd, to which the handler writes */

/* ---- the master's questions ---- */

/* Tell the master that the answer is in the file, which was the question's. */
static void send_answer_of(int channel, const struct channel_message *question, int err)
{
    real()->close(question->fd);
    if (!err)
        err = channel_send(channel, &(struct channel_message){CHANNEL_ANSWER, question->number, -1});
    if (err)
        log_warn("cannot answer what the master asks: %s", strerror(-err));
}

/* A question whose answer a thread writes. */
struct slow_answer {
    int channel;
    struct channel_message question;
};

static void on_flight_written(void *arg, int err)
{
    struct slow_answer *slow = arg;

    send_answer_of(slow->channel, &slow->question, err);
    free(slow);
}

static void answer_flight(int channel, const struct channel_message *question)
{
    struct slow_answer *slow = xmalloc(sizeof(*slow));
    int err;

    *slow = (struct slow_answer){channel, *question};
    err = flight_answer(question->fd, on_flight_written, slow);
    if (err)
        on_flight_written(slow, err == -ENOTSUP ? 0 : err); /* it is off: no events */
}

static void write_answer(const struct question *q, struct text *out)
{
    switch (q->what) {
    case ASK_REQUESTS:
    case ASK_TRACE:
        running_write(q, out);
        break;
    case ASK_CANCEL:
        if (running_cancel(q->number))
            text_add(out, "cancelled", 9);
        break;
    case ASK_PROFILE:
        profile_answer(q, out);
        break;
    case ASK_READY:
        text_printf(out, "%s", health_trouble() ? health_trouble() : READY);
        break;
    case ASK_LOG:
        log_set_level((enum log_level)q->level);
        break;
    case ASK_METRICS:
        metrics_publish();
        break;
    case ASK_STATUS:
        metrics_publish();
        running_write_counts(q, out);
        if (q->json)
            metrics_now_write(out);
        break;
    default:
        running_write_counts(q, out);
        break;
    }
}

void answer_master(int channel, const struct channel_message *question, const char *line)
{
    struct text answer = {0};
    struct question q;
    int err = 0;

    if (question->fd < 0 || question_parse(&q, line)) /* by a master of another version */
        return;
    if (q.what == ASK_RECORD) {
        answer_flight(channel, question);
        return;
    }
    write_answer(&q, &answer);
    if (real()->pwrite(question->fd, answer.buf, answer.size, 0) != (ssize_t)answer.size)
        err = errno ? -errno : -EIO;
    free(answer.buf);
    send_answer_of(channel, question, err);
}

/* ---- the signal ---- */

static void on_signal_noted(struct wait_source *source, short events)
{
    static const struct question all = {.what = ASK_TRACE};
    struct text requests = {0};
    uint64_t count;

    if (real()->read(source->fd, &count, sizeof(count)) < 0)
        return;
    running_write(&all, &requests);
    if (requests.size > 0)
        log_info("running requests, as SIGRTMIN+1 asks:\n%.*s", (int)requests.size - 1, requests.buf);
    else
        log_info("no requests are running, as SIGRTMIN+1 asks");
    free(requests.buf);
}

void answer_signals(void)
{
    int err;

    signals = (struct wait_source){.ready = on_signal_noted, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    err = signals.fd < 0 ? -errno : wait_source_open(&signals);
    if (err)
        log_warn("SIGRTMIN+1 writes no requests to the log: %s", strerror(-err));
    else
        own_fd(signals.fd);
}

bool answer_signal_has_come(void)
{
    uint64_t one = 1;

    return signals.fd >= 0 && real()->syscall(SYS_write, signals.fd, &one, sizeof(one)) > 0;
}
