/*
 * asked.c: what workers ask the master, for requests to [status].
 *
 * Workers run code of applications, so they may only look, and not too much at once: nothing is changed here.
 */
#include "master/asked.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "inside/question.h"
#include "log/log.h"

#define MAX_PENDING 50 /* questions that are being answered at once; further ones are not */

/* Who has asked. */
struct asked {
    pid_t pid;
    int32_t number;
    struct question question;
};

static unsigned pending;
static struct overview_master (*overview_of_master)(void);

void asked_init(struct overview_master (*master)(void))
{
    overview_of_master = master;
}

/* The worker may have ended meanwhile. */
static void send_answer(const struct asked *asked, int fd)
{
    struct channel_message answer = {CHANNEL_ANSWER, asked->number, fd};
    struct worker *w;

    for_each_worker (w)
        if (w->pid == asked->pid && w->channel >= 0 && channel_send(w->channel, &answer) < 0)
            log_warn("worker %d does not take the answer to what it has asked", w->number);
}

static void on_gathered_for_worker(const struct gathering *g, void *arg)
{
    struct overview_master master = overview_of_master();
    struct asked *asked = arg;
    struct text out = {0};
    int fd = memfd_create("overview", MFD_CLOEXEC);

    overview_write(&asked->question, &master, g, &out);
    if (fd >= 0 && pwrite(fd, out.buf, out.size, 0) == (ssize_t)out.size)
        send_answer(asked, fd);
    if (fd >= 0)
        close(fd);
    free(out.buf);
    free(asked);
    pending--;
}

void asked_by_worker(const struct worker *w, int32_t number, const char *line)
{
    struct asked *asked;
    struct question q;

    if (pending >= MAX_PENDING || question_parse(&q, line))
        return;
    if (q.what != ASK_STATUS && q.what != ASK_WORKERS && q.what != ASK_REQUESTS && q.what != ASK_TRACE &&
        q.what != ASK_METRICS)
        return;
    asked = xcalloc(1, sizeof(*asked));
    *asked = (struct asked){w->pid, number, q};
    pending++;
    gather_start(line, q.pid, on_gathered_for_worker, asked);
}
