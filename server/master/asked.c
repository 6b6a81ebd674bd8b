/*
 * asked.c: what workers ask the master, for requests to [status].
 *
 * Workers run code of applications, so they may only look, and not too much at once. The one thing that they may change
 * is to cancel a request, and only if the configuration lets somebody do so by [status] (allow-cancel).
 */
#include "master/asked.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "inside/question.h"
#include "inside/running.h"
#include "log/log.h"
#include "master/about.h"
#include "mount/status_mount.h"

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

static void write_cancelled(const struct gathering *g, struct text *out)
{
    text_printf(out, "{\"version\":%d,%s}\n", INSIDE_VERSION,
                gathering_has_answer(g) ? "\"done\":\"cancelled\""
                                        : "\"error\":\"there is no such request, or it cannot be cancelled now\"");
}

static void answer_worker(const struct asked *asked, const struct text *out)
{
    int fd = memfd_create("overview", MFD_CLOEXEC);

    if (fd >= 0 && pwrite(fd, out->buf, out->size, 0) == (ssize_t)out->size)
        send_answer(asked, fd);
    if (fd >= 0)
        close(fd);
}

static void on_gathered_for_worker(const struct gathering *g, void *arg)
{
    struct overview_master master = overview_of_master();
    struct asked *asked = arg;
    struct text out = {0};

    if (asked->question.what == ASK_CANCEL)
        write_cancelled(g, &out);
    else
        overview_write(&asked->question, &master, g, &out);
    answer_worker(asked, &out);
    free(out.buf);
    free(asked);
    pending--;
}

/* That needs no worker. */
static void answer_about(const struct worker *w, int32_t number, const struct question *q)
{
    struct text out = {0};

    about_write(q, &out);
    answer_worker(&(struct asked){w->pid, number, *q}, &out);
    free(out.buf);
}

static bool may_ask(const struct worker *w, const struct question *q)
{
    switch (q->what) {
    case ASK_STATUS:
    case ASK_WORKERS:
    case ASK_REQUESTS:
    case ASK_TRACE:
    case ASK_METRICS:
    case ASK_ABOUT:
        return true;
    case ASK_CANCEL:
        return status_lets_cancel(w->generation->mounts);
    default:
        return false;
    }
}

void asked_by_worker(const struct worker *w, int32_t number, const char *line)
{
    struct asked *asked;
    struct question q;

    if (pending >= MAX_PENDING || question_parse(&q, line))
        return;
    if (!may_ask(w, &q))
        return;
    if (q.what == ASK_ABOUT) {
        answer_about(w, number, &q);
        return;
    }
    asked = xcalloc(1, sizeof(*asked));
    *asked = (struct asked){w->pid, number, q};
    pending++;
    gather_start(line, q.pid, on_gathered_for_worker, asked);
}
