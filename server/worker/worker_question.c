/*
 * worker_question.c: ask the master about the whole server.
 *
 * The question goes over the channel, and the coroutine waits for the answer, which is a file in memory. The master may
 * ask this worker meanwhile, as all others: that is answered on the loop's stack (worker_answer.c).
 */
#include "worker/worker_question.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/real.h"
#include "wait/wait.h"

#define TIME INT64_C(3000000000) /* nanoseconds for the answer; the master has it in one second */

/* A coroutine that has asked; on its stack. */
struct asker {
    struct list link;
    int32_t number;
    struct coro *co;
    int fd; /* the answer; -1: none yet */
};

static struct list askers = LIST_INIT(askers);
static int master_channel = -1;

void worker_question_init(int channel)
{
    master_channel = channel;
}

void worker_question_answered(const struct channel_message *message)
{
    struct list *node;

    list_for_each (node, &askers) {
        struct asker *a = list_entry(node, struct asker, link);

        if (a->number != message->number || a->fd >= 0)
            continue;
        a->fd = message->fd;
        coro_wake(a->co, 0);
        return;
    }
    if (message->fd >= 0)
        real()->close(message->fd);
}

/* Returns 0 or -errno. */
static int take_answer(int fd, struct text *out)
{
    struct stat st;
    char *buf;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        return -errno;
    buf = xmalloc((size_t)st.st_size + 1);
    n = real()->pread(fd, buf, (size_t)st.st_size, 0);
    if (n > 0)
        text_add(out, buf, (size_t)n);
    free(buf);
    return n < 0 ? -errno : 0;
}

int worker_question(const char *line, struct text *out)
{
    static int32_t last;
    struct asker a = {.number = ++last, .co = coro_self(), .fd = -1};
    int err = channel_send_both(master_channel, &(struct channel_message){CHANNEL_ASK, a.number, -1}, line);

    if (err)
        return err;
    list_push(&askers, &a.link);
    err = wait_park(wait_deadline(TIME));
    list_remove(&a.link);
    if (a.fd < 0)
        return err ? err : -EIO;
    err = take_answer(a.fd, out);
    real()->close(a.fd);
    return err;
}
