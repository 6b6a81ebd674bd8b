/*
 * supervisor.c: the workers: started, replaced and ended one by one, such that the server always serves.
 *
 * There is a slot for each worker that shall be (slots.c). A slot holds the worker that serves and, while that is being
 * replaced, the next one: only when the next says that it is ready is the other told to end. Reload and recycling are
 * the same thing, a reload being the replacement of all workers that are not of the present generation. Its first one
 * goes ahead alone: if that cannot start, the generation before is put back, and nobody was disturbed.
 *
 * A worker that dies is started again; if none serves and none can be started, the crew has failed.
 */
#include "master/supervisor.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "log/log.h"
#include "master/fork_server.h"
#include "master/slots.h"
#include "master/workers.h"
#include "process/channel.h"
#include "wait/wait.h"

#define SECOND      INT64_C(1000000000)
#define TRY_FOR     (5 * SECOND) /* a generation has before the next one may take its place */
#define MOST_FAILED 5            /* starts in a row that fail, while nobody serves */

static struct {
    void (*clean)(void);
    struct generation *generation; /* what workers shall be of */
    struct generation *before;     /* to go back to, until the present one is proven; NULL: none */
    struct slots slots;
    int failures; /* starts in a row */
    int64_t nursery_due;
    int64_t adopted; /* when the present generation was */
    bool stopping, gave_up;
    int exit_code; /* of a crew that has failed; 0: it has not */
} crew;

/* ---- starting ---- */

static void start_in(struct slot *slot)
{
    struct worker *w = worker_start(crew.generation, (int)(slot - crew.slots.list) + 1, crew.clean);

    if (w)
        slot_put(slot, w);
    else
        slot->due = wait_now() + SECOND;
}

/* Have the process that loads applications, if there is to be one. Whether workers can be forked. */
static bool nursery_is_ready(void)
{
    struct generation *g = crew.generation;

    if (!g->settings.process.preload)
        return true;
    if (!g->nursery && wait_now() >= crew.nursery_due) {
        g->nursery = nursery_open(g, crew.clean);
        crew.nursery_due = wait_now() + SECOND;
    }
    return g->nursery && g->nursery->ready;
}

/* ---- ending ---- */

static void retire(struct worker *w)
{
    slots_vacate(&crew.slots, w);
    worker_end(w, SIGQUIT);
}

/* ---- generations ---- */

void crew_init(void (*clean)(void))
{
    crew.clean = clean;
}

/* There is nothing to go back to any more. */
static void forget_before(void)
{
    if (crew.before)
        generation_retire(crew.before);
    crew.before = NULL;
}

/* The present generation cannot start: the one before goes on. */
static void give_up_generation(void)
{
    struct generation *bad = crew.generation;
    struct worker *w;

    crew.generation = crew.before;
    crew.before = NULL;
    crew.gave_up = true;
    for_each_worker (w)
        if (w->generation == bad) {
            slots_vacate(&crew.slots, w);
            worker_end(w, SIGKILL);
        }
    slots_want(&crew.slots, (size_t)crew.generation->settings.workers);
    generation_retire(bad);
}

/* Those that were to take over are of a configuration that is out of date, and might never be ready. */
static void retire_next(void)
{
    for (size_t i = 0; i < crew.slots.count; i++)
        if (crew.slots.list[i].next)
            retire(crew.slots.list[i].next);
}

void crew_adopt(struct generation *g)
{
    if (crew.before)
        give_up_generation();
    retire_next();
    crew.gave_up = false;
    crew.adopted = wait_now();
    crew.before = crew.generation;
    crew.generation = g;
    crew.nursery_due = 0;
    slots_want(&crew.slots, (size_t)g->settings.workers);
    if (workers_serving() == 0)
        forget_before();
}

int64_t crew_adopts_from(void)
{
    return crew.before ? crew.adopted + TRY_FOR : 0;
}

struct generation *crew_generation(void)
{
    return crew.generation;
}

static void fail(int code)
{
    crew.exit_code = code == EXIT_APP ? EXIT_APP : EXIT_BOOT;
    log_error("the workers cannot start: giving up with exit code %d", crew.exit_code);
    crew_stop(SIGINT, 0);
}

/* A process of the present generation that was to serve, or to load the applications, ended before it did: with this
 * exit code. */
static void on_failed_start(int code)
{
    if (crew.stopping || crew.slots.wanted == 0)
        return;
    if (crew.before) {
        give_up_generation();
        return;
    }
    crew.failures++;
    if (!crew.generation->proven || (workers_serving() == 0 && crew.failures >= MOST_FAILED))
        fail(code);
}

static void on_proven(struct generation *g)
{
    g->proven = true;
    if (g == crew.generation)
        forget_before();
}

enum crew_state crew_state(void)
{
    if (crew.exit_code)
        return CREW_FAILED;
    return slots_are_steady(&crew.slots, crew.generation) ? CREW_STEADY : CREW_CHANGING;
}

int crew_exit_code(void)
{
    return crew.exit_code;
}

bool crew_gave_up(void)
{
    bool gave_up = crew.gave_up;

    crew.gave_up = false;
    return gave_up;
}

void crew_change(int by)
{
    int wanted = (int)crew.slots.wanted + by;

    if (wanted >= 1)
        slots_want(&crew.slots, (size_t)wanted);
}

void crew_drain(void)
{
    forget_before();
    slots_want(&crew.slots, 0);
}

/* ---- what happens to workers ---- */

static void on_worker_ready(struct worker *w)
{
    struct slot *slot = slots_find(&crew.slots, w);
    struct worker *replaced = slot && slot->next == w ? slot->now : NULL;

    if (w->state == BOOTING)
        w->state = SERVING;
    crew.failures = 0;
    on_proven(w->generation);
    if (!replaced || crew.stopping)
        return;
    slot->now = w;
    slot->next = NULL;
    worker_end(replaced, SIGQUIT);
}

static void on_message(struct worker *w, const struct channel_message *message)
{
    if (message->kind == CHANNEL_READY)
        on_worker_ready(w);
    else if (message->kind == CHANNEL_REPLACE)
        w->replace = true;
    else if (message->kind == CHANNEL_PING)
        w->answered = true;
}

static void on_worker_channel(struct worker *w)
{
    struct channel_message message;

    while ((message = channel_receive(w->channel)).kind != CHANNEL_NONE) {
        if (message.kind == CHANNEL_END) { /* it is about to end */
            close(w->channel);
            w->channel = -1;
            return;
        }
        on_message(w, &message);
    }
}

/* Of a process that did not serve. */
static int exit_code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_BOOT;
}

static void on_worker_death(struct worker *w, int status)
{
    struct slot *slot = slots_find(&crew.slots, w);
    bool failed;

    if (w->channel >= 0)
        on_worker_channel(w); /* what it has said before: that it was ready */
    worker_log_death(w, status);
    slots_vacate(&crew.slots, w);
    if (!crew.stopping && slot)
        slot_plan_restart(slot, w);
    failed = w->state == BOOTING && w->generation == crew.generation;
    worker_free(w); /* first: its pid may be another process's by now, and others may be killed next */
    if (failed)
        on_failed_start(exit_code_of(status));
}

static bool is_nursery_of(const struct generation *g, pid_t pid)
{
    return g && g->nursery && g->nursery->pid == pid;
}

static bool on_nursery_death(pid_t pid, int status)
{
    struct generation *g = is_nursery_of(crew.before, pid) ? crew.before : crew.generation;

    if (!is_nursery_of(g, pid))
        return false;
    g->nursery->pid = 0;
    log_error("the fork server ended (%s %d)", WIFEXITED(status) ? "exit code" : "signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    nursery_close(g->nursery);
    g->nursery = NULL;
    if (g == crew.generation)
        on_failed_start(exit_code_of(status));
    return true;
}

bool crew_on_death(pid_t pid, int status)
{
    struct worker *w;

    for_each_worker (w)
        if (w->pid == pid) {
            on_worker_death(w, status);
            return true;
        }
    return on_nursery_death(pid, status);
}

/* ---- the loop of the master ---- */

static void add_poll(struct pollfd *polls, size_t room, size_t n, int fd)
{
    if (n < room)
        polls[n] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static struct nursery *booting_nursery(void)
{
    struct nursery *n = crew.generation ? crew.generation->nursery : NULL;

    return n && !n->ready ? n : NULL;
}

size_t crew_polls(struct pollfd *polls, size_t room)
{
    struct worker *w;
    size_t n = 0;

    for_each_worker (w)
        if (w->channel >= 0)
            add_poll(polls, room, n++, w->channel);
    if (booting_nursery())
        add_poll(polls, room, n++, booting_nursery()->channel);
    return n;
}

void crew_on_ready(int fd)
{
    struct nursery *n = booting_nursery();
    struct worker *w;

    for_each_worker (w)
        if (w->channel == fd) {
            on_worker_channel(w);
            return;
        }
    if (n && n->channel == fd && channel_receive(fd).kind == CHANNEL_READY)
        n->ready = true;
}

/* Whether a worker of the present generation may be started: the first goes ahead of the others, if there is a
 * generation to go back to. */
static bool may_start(void)
{
    struct worker *w;

    if (crew.before && !crew.generation->proven)
        for_each_worker (w)
            if (w->generation == crew.generation)
                return false;
    return nursery_is_ready();
}

static void fill_slots(int64_t now)
{
    struct slots *slots = &crew.slots;

    for (size_t i = 0; i < slots->wanted; i++)
        if (slot_needs_worker(&slots->list[i], crew.generation, now) && may_start())
            start_in(&slots->list[i]);
    for (size_t i = slots->wanted; i < slots->count && !crew.before; i++)
        while (slots->list[i].now)
            retire(slots->list[i].now);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_start(int64_t now)
{
    int64_t next = slots_next_start(&crew.slots, now);

    return crew.nursery_due > now ? earlier(next, crew.nursery_due) : next;
}

int64_t crew_attend(void)
{
    int64_t now = wait_now(), next_kill;

    if (!crew.stopping)
        fill_slots(now);
    next_kill = workers_kill_overdue(now);
    return crew.stopping ? next_kill : earlier(next_kill, next_start(now));
}

void crew_stop(int signum, int64_t patience)
{
    crew.stopping = true;
    workers_stop(signum, patience);
    if (crew.generation->nursery)
        kill(crew.generation->nursery->pid, SIGTERM);
}

bool crew_alive(void)
{
    return !list_empty(&workers);
}

static void reopen_nursery(const struct generation *g)
{
    if (g && g->nursery)
        generation_reopen_logs(g, g->nursery->channel);
}

void crew_reopen_logs(void)
{
    workers_reopen();
    reopen_nursery(crew.generation);
    reopen_nursery(crew.before);
}

size_t crew_wanted(void)
{
    return crew.slots.wanted;
}

bool crew_ping(void)
{
    return workers_ping() || crew.slots.wanted == 0;
}

static void forget_nursery(const struct generation *g)
{
    if (g && g->nursery)
        close(g->nursery->channel);
}

void crew_forget(void)
{
    struct worker *w;

    for_each_worker (w)
        if (w->channel >= 0)
            close(w->channel);
    forget_nursery(crew.generation);
    forget_nursery(crew.before);
}
