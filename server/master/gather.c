/*
 * gather.c: ask all workers, and gather what they answer.
 *
 * Nothing here waits: the questions go out, each with a file in memory for the answer, and the master's loop hears when
 * it is there. The files are the master's own, since nobody may send it descriptors. A worker whose event loop is
 * blocked does not answer. After half a second it is asked where it is, by the signal that is answered in the middle of
 * whatever it does (worker/stack_report.c), and what says nothing even then is inspected from outside. So an answer for
 * all workers is there in a second, however many of them hang.
 */
#include "master/gather.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/mem.h"
#include "log/log.h"
#include "master/inspect.h"
#include "process/channel.h"
#include "wait/wait.h"
#include "worker/stack_report.h"

#define PRESS_AFTER INT64_C(500000000)  /* nanoseconds */
#define MAX_ANSWER  (64 << 20)          /* bytes of an answer that are taken */
#define END_AFTER   INT64_C(1000000000) /* nanoseconds */

static struct list gatherings = LIST_INIT(gatherings);

static void note_worker(struct gathered *to, const struct worker *w, int64_t now)
{
    *to = (struct gathered){.pid = w->pid,
                            .number = w->number,
                            .state = w->state,
                            .born = w->born,
                            .file = -1,
                            .silent = w->life.pinged ? now - w->life.pinged : 0};
}

/* Whether the question has gone out. */
static bool ask_worker(struct gathered *to, const struct worker *w, int32_t number, const char *line)
{
    struct channel_message question = {CHANNEL_ASK, number, -1};
    int err;

    if (w->channel < 0 || w->mute || w->state == WORKER_STARTING)
        return false;
    question.fd = to->file = memfd_create("answer", MFD_CLOEXEC);
    if (to->file < 0)
        return false;
    err = channel_send_both(w->channel, &question, line);
    return !err || err == -EAGAIN; /* its channel is full: it does not read */
}

static size_t count_all_workers(void)
{
    struct worker *w;
    size_t count = 0;

    for_each_worker (w)
        count++;
    return count;
}

void gather_start(const char *line, pid_t pid, void (*done)(const struct gathering *g, void *arg), void *arg)
{
    static int32_t last;
    struct gathering *g = xcalloc(1, sizeof(*g));
    struct worker *w;

    *g = (struct gathering){.number = ++last, .begun = wait_now(), .done = done, .arg = arg};
    g->workers = xcalloc(count_all_workers() + 1, sizeof(*g->workers));
    for_each_worker (w) {
        struct gathered *to = &g->workers[g->count++];

        note_worker(to, w, g->begun);
        to->asked = (!pid || w->pid == pid) && ask_worker(to, w, g->number, line);
    }
    list_push(&gatherings, &g->link);
}

static void gathering_free(struct gathering *g)
{
    list_remove(&g->link);
    for (size_t i = 0; i < g->count; i++) {
        if (g->workers[i].file >= 0)
            close(g->workers[i].file);
        free(g->workers[i].answer);
        free(g->workers[i].whereabouts);
        free(g->workers[i].running);
        free(g->workers[i].note);
    }
    free(g->workers);
    free(g);
}

void gather_forget(const void *arg)
{
    struct list *node, *after;

    list_for_each_safe (node, after, &gatherings) {
        struct gathering *g = list_entry(node, struct gathering, link);

        if (g->arg == arg)
            gathering_free(g);
    }
}

/* ---- what workers say ---- */

static struct gathered *gathered_of(const struct gathering *g, pid_t pid)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->workers[i].pid == pid && g->workers[i].asked)
            return &g->workers[i];
    return NULL;
}

/* What the worker writes may grow while it is read. */
static void gathered_read(struct gathered *from)
{
    struct stat st;
    size_t size;

    from->asked = false;
    from->is_stuck = false;
    if (fstat(from->file, &st) < 0)
        return;
    size = (size_t)min_int64(st.st_size, MAX_ANSWER);
    from->answer = xmalloc(size + 1);
    from->size = (size_t)max_int64(pread(from->file, from->answer, size, 0), 0);
    from->answer[from->size] = '\0';
}

void gather_on_answer(const struct worker *w, int32_t number)
{
    struct list *node;

    list_for_each (node, &gatherings) {
        struct gathering *g = list_entry(node, struct gathering, link);
        struct gathered *from = g->number == number ? gathered_of(g, w->pid) : NULL;

        if (from)
            gathered_read(from);
    }
}

void gather_on_report(const struct worker *w, const char *text)
{
    struct list *node;

    list_for_each (node, &gatherings) {
        struct gathered *from = gathered_of(list_entry(node, struct gathering, link), w->pid);

        if (from && !from->whereabouts)
            from->whereabouts = xstrdup(text);
    }
}

void gather_on_running(const struct worker *w, const char *lines)
{
    struct list *node;

    list_for_each (node, &gatherings) {
        struct gathered *from = gathered_of(list_entry(node, struct gathering, link), w->pid);

        if (from && !from->running)
            from->running = xstrdup(lines);
    }
}

void gather_on_exit(const struct worker *w)
{
    struct list *node;

    list_for_each (node, &gatherings) {
        struct gathered *from = gathered_of(list_entry(node, struct gathering, link), w->pid);

        if (from)
            from->asked = false;
    }
}

bool gathering_has_answer(const struct gathering *g)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->workers[i].size > 0)
            return true;
    return false;
}

/* ---- time ---- */

static bool is_complete(const struct gathering *g)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->workers[i].asked)
            return false;
    return true;
}

static void press_silent(struct gathering *g)
{
    g->pressed = true;
    for (size_t i = 0; i < g->count; i++)
        if (g->workers[i].asked)
            stack_report_ask_process(g->workers[i].pid); /* if that fails, it is inspected */
}

/* It has said nothing: what can be seen from outside? */
static void inspect_silent(struct gathered *silent)
{
    struct inspection found;
    struct worker *w;
    char text[80];

    for_each_worker (w)
        if (w->pid == silent->pid) {
            inspect(w->pid, &w->generation->settings.process, &found);
            found.what[strcspn(found.what, "\r\n")] = '\0';
            silent->whereabouts = xstrdup(found.what);
            snprintf(text, sizeof(text), "it does not react to signals, its state in /proc is %c", found.state);
            silent->note = xstrdup(text);
        }
}

static void gathering_end(struct gathering *g)
{
    list_remove(&g->link); /* done may call gather_forget */
    for (size_t i = 0; i < g->count; i++) {
        g->workers[i].is_stuck = g->workers[i].asked;
        if (g->workers[i].is_stuck && !g->workers[i].whereabouts)
            inspect_silent(&g->workers[i]);
    }
    g->done(g, g->arg);
    gathering_free(g);
}

int64_t gather_step(int64_t now)
{
    int64_t next = WAIT_FOREVER;
    struct list *node, *after;

    list_for_each_safe (node, after, &gatherings) {
        struct gathering *g = list_entry(node, struct gathering, link);

        if (is_complete(g) || now >= g->begun + END_AFTER) {
            gathering_end(g);
            continue;
        }
        if (!g->pressed && now >= g->begun + PRESS_AFTER)
            press_silent(g);
        next = min_int64(next, g->begun + (g->pressed ? END_AFTER : PRESS_AFTER));
    }
    return next;
}
