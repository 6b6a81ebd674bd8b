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
    int64_t fork_server_due;
    int64_t adopted; /* when the present generation was */
    bool stopping, gave_up;
    int exit_code; /* of a crew that has failed; 0: it has not */
} supervisor;

/* ---- starting ---- */

static void start_in(struct slot *slot)
{
    struct worker *w = worker_start(supervisor.generation, (int)(slot - supervisor.slots.list) + 1, supervisor.clean);

    if (w)
        slot_put(slot, w);
    else
        slot->due = wait_now() + SECOND;
}

/* Have the process that loads applications, if there is to be one. Whether workers can be forked. */
static bool nursery_is_ready(void)
{
    struct generation *g = supervisor.generation;

    if (!g->settings.process.preload)
        return true;
    if (!g->fork_server && wait_now() >= supervisor.fork_server_due) {
        g->fork_server = fork_server_start(g, supervisor.clean);
        supervisor.fork_server_due = wait_now() + SECOND;
    }
    return g->fork_server && g->fork_server->ready;
}

/* ---- ending ---- */

static void retire(struct worker *w)
{
    slots_vacate(&supervisor.slots, w);
    worker_end(w, SIGQUIT);
}

/* ---- generations ---- */

void supervisor_init(void (*clean)(void))
{
    supervisor.clean = clean;
}

/* There is nothing to go back to any more. */
static void forget_before(void)
{
    if (supervisor.before)
        generation_retire(supervisor.before);
    supervisor.before = NULL;
}

/* The present generation cannot start: the one before goes on. */
static void give_up_generation(void)
{
    struct generation *bad = supervisor.generation;
    struct worker *w;

    supervisor.generation = supervisor.before;
    supervisor.before = NULL;
    supervisor.gave_up = true;
    for_each_worker (w)
        if (w->generation == bad) {
            slots_vacate(&supervisor.slots, w);
            worker_end(w, SIGKILL);
        }
    slots_want(&supervisor.slots, (size_t)supervisor.generation->settings.workers);
    generation_retire(bad);
}

/* Those that were to take over are of a configuration that is out of date, and might never be ready. */
static void retire_next(void)
{
    for (size_t i = 0; i < supervisor.slots.count; i++)
        if (supervisor.slots.list[i].next)
            retire(supervisor.slots.list[i].next);
}

void supervisor_adopt(struct generation *g)
{
    if (supervisor.before)
        give_up_generation();
    retire_next();
    supervisor.gave_up = false;
    supervisor.adopted = wait_now();
    supervisor.before = supervisor.generation;
    supervisor.generation = g;
    supervisor.fork_server_due = 0;
    slots_want(&supervisor.slots, (size_t)g->settings.workers);
    if (workers_serving() == 0)
        forget_before();
}

int64_t supervisor_adopts_from(void)
{
    return supervisor.before ? supervisor.adopted + TRY_FOR : 0;
}

struct generation *supervisor_generation(void)
{
    return supervisor.generation;
}

static void fail(int code)
{
    supervisor.exit_code = code == EXIT_APP ? EXIT_APP : EXIT_BOOT;
    log_error("the workers cannot start: giving up with exit code %d", supervisor.exit_code);
    supervisor_stop(SIGINT, 0);
}

/* A process of the present generation that was to serve, or to load the applications, ended before it did: with this
 * exit code. */
static void on_failed_start(int code)
{
    if (supervisor.stopping || supervisor.slots.wanted == 0)
        return;
    if (supervisor.before) {
        give_up_generation();
        return;
    }
    supervisor.failures++;
    if (!supervisor.generation->proven || (workers_serving() == 0 && supervisor.failures >= MOST_FAILED))
        fail(code);
}

static void on_proven(struct generation *g)
{
    g->proven = true;
    if (g == supervisor.generation)
        forget_before();
}

enum supervisor_state supervisor_state(void)
{
    if (supervisor.exit_code)
        return SUPERVISOR_FAILED;
    return slots_are_steady(&supervisor.slots, supervisor.generation) ? SUPERVISOR_STEADY : SUPERVISOR_CHANGING;
}

int supervisor_exit_code(void)
{
    return supervisor.exit_code;
}

bool supervisor_rolled_back(void)
{
    bool gave_up = supervisor.gave_up;

    supervisor.gave_up = false;
    return gave_up;
}

void supervisor_change_wanted(int by)
{
    int wanted = (int)supervisor.slots.wanted + by;

    if (wanted >= 1)
        slots_want(&supervisor.slots, (size_t)wanted);
}

void supervisor_drain(void)
{
    forget_before();
    slots_want(&supervisor.slots, 0);
}

/* ---- what happens to workers ---- */

static void on_worker_ready(struct worker *w)
{
    struct slot *slot = slots_find(&supervisor.slots, w);
    struct worker *replaced = slot && slot->next == w ? slot->now : NULL;

    if (w->state == BOOTING)
        w->state = SERVING;
    supervisor.failures = 0;
    on_proven(w->generation);
    if (!replaced || supervisor.stopping)
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
    struct slot *slot = slots_find(&supervisor.slots, w);
    bool failed;

    if (w->channel >= 0)
        on_worker_channel(w); /* what it has said before: that it was ready */
    worker_log_death(w, status);
    slots_vacate(&supervisor.slots, w);
    if (!supervisor.stopping && slot)
        slot_plan_restart(slot, w);
    failed = w->state == BOOTING && w->generation == supervisor.generation;
    worker_free(w); /* first: its pid may be another process's by now, and others may be killed next */
    if (failed)
        on_failed_start(exit_code_of(status));
}

static bool is_nursery_of(const struct generation *g, pid_t pid)
{
    return g && g->fork_server && g->fork_server->pid == pid;
}

static bool on_nursery_death(pid_t pid, int status)
{
    struct generation *g = is_nursery_of(supervisor.before, pid) ? supervisor.before : supervisor.generation;

    if (!is_nursery_of(g, pid))
        return false;
    g->fork_server->pid = 0;
    log_error("the fork server ended (%s %d)", WIFEXITED(status) ? "exit code" : "signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    fork_server_stop(g->fork_server);
    g->fork_server = NULL;
    if (g == supervisor.generation)
        on_failed_start(exit_code_of(status));
    return true;
}

bool supervisor_on_exit(pid_t pid, int status)
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

static struct fork_server *booting_nursery(void)
{
    struct fork_server *n = supervisor.generation ? supervisor.generation->fork_server : NULL;

    return n && !n->ready ? n : NULL;
}

size_t supervisor_polls(struct pollfd *polls, size_t room)
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

void supervisor_on_readable(int fd)
{
    struct fork_server *n = booting_nursery();
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

    if (supervisor.before && !supervisor.generation->proven)
        for_each_worker (w)
            if (w->generation == supervisor.generation)
                return false;
    return nursery_is_ready();
}

static void fill_slots(int64_t now)
{
    struct slots *slots = &supervisor.slots;

    for (size_t i = 0; i < slots->wanted; i++)
        if (slot_needs_worker(&slots->list[i], supervisor.generation, now) && may_start())
            start_in(&slots->list[i]);
    for (size_t i = slots->wanted; i < slots->count && !supervisor.before; i++)
        while (slots->list[i].now)
            retire(slots->list[i].now);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_start(int64_t now)
{
    int64_t next = slots_next_start(&supervisor.slots, now);

    return supervisor.fork_server_due > now ? earlier(next, supervisor.fork_server_due) : next;
}

int64_t supervisor_step(void)
{
    int64_t now = wait_now(), next_kill;

    if (!supervisor.stopping)
        fill_slots(now);
    next_kill = workers_kill_overdue(now);
    return supervisor.stopping ? next_kill : earlier(next_kill, next_start(now));
}

void supervisor_stop(int signum, int64_t patience)
{
    supervisor.stopping = true;
    workers_stop(signum, patience);
    if (supervisor.generation->fork_server)
        kill(supervisor.generation->fork_server->pid, SIGTERM);
}

bool supervisor_has_workers(void)
{
    return !list_empty(&workers);
}

static void reopen_nursery(const struct generation *g)
{
    if (g && g->fork_server)
        generation_reopen_logs(g, g->fork_server->channel);
}

void supervisor_reopen_logs(void)
{
    workers_reopen();
    reopen_nursery(supervisor.generation);
    reopen_nursery(supervisor.before);
}

size_t supervisor_wanted(void)
{
    return supervisor.slots.wanted;
}

bool supervisor_ping(void)
{
    return workers_ping() || supervisor.slots.wanted == 0;
}

static void forget_nursery(const struct generation *g)
{
    if (g && g->fork_server)
        close(g->fork_server->channel);
}

void supervisor_close_channels(void)
{
    struct worker *w;

    for_each_worker (w)
        if (w->channel >= 0)
            close(w->channel);
    forget_nursery(supervisor.generation);
    forget_nursery(supervisor.before);
}
