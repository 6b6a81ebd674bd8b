/*
 * supervisor.c: starts, replaces and ends workers one by one, so that the server always serves.
 *
 * There is a slot for each worker that is wanted (slots.c). It holds the worker that serves and, while that is being
 * replaced, the next one; the first is told to stop only when the next says that it is ready. Reload and recycling are
 * the same thing: a reload replaces all workers that are not of the present generation. Its first worker starts alone.
 * If it fails, the supervisor rolls back to the generation before, whose workers have gone on serving.
 *
 * A worker that dies is restarted; if none serves and none can be started, the supervisor has failed. One that somebody
 * kills while it starts is no sign that none can. One that hangs
 * (liveness.c) is replaced as by a reload, and then killed, unless it has come back to life.
 */
#include "master/supervisor.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "base/exit_code.h"
#include "log/log.h"
#include "master/asked.h"
#include "master/fork_server.h"
#include "master/gather.h"
#include "master/slots.h"
#include "master/workers.h"
#include "metrics/metrics_table.h"
#include "process/channel.h"
#include "process/prometheus_dir.h"
#include "process/watch.h"
#include "wait/wait.h"

#define SECOND       INT64_C(1000000000)
#define ADOPT_EVERY  (5 * SECOND) /* how long a generation may try before the next one may replace it */
#define MAX_FAILURES 5            /* failed starts in a row while no worker serves */
#define MAX_MESSAGES 64           /* of one process, before others are heard */

static struct {
    void (*close_inherited)(void);
    struct generation *generation; /* held; of the workers that are wanted */
    struct generation *before;     /* held; to roll back to until a worker of generation serves; NULL: none */
    struct slots slots;
    int failures;            /* failed starts in a row */
    int64_t fork_server_due; /* CLOCK_MONOTONIC nanoseconds from which a fork server may be started */
    int64_t adopted;         /* CLOCK_MONOTONIC nanoseconds when generation was */
    bool stopping;
    int rolled_back;   /* exit code of what could not start, until supervisor_rolled_back has said so; 0: nothing */
    int exit_code;     /* 0: the supervisor has not failed */
    int64_t next_look; /* CLOCK_MONOTONIC nanoseconds of the next look for processes that hang; 0: none yet */
} supervisor;

/* ---- starting ---- */

/* A worker that is stuck waits for its replacement, which cannot start: it serves nobody. */
static void kill_if_stuck(const struct slot *slot)
{
    if (slot->current && slot->current->life.stuck)
        worker_kill(slot->current);
}

static void start_in_slot(struct slot *slot)
{
    struct worker *w =
        worker_start(supervisor.generation, (int)(slot - supervisor.slots.list) + 1, supervisor.close_inherited);

    if (w) {
        slot_put(slot, w);
        return;
    }
    slot->due = wait_now() + SECOND;
    kill_if_stuck(slot);
}

/* Start the fork server, if there is to be one. Returns whether workers can be forked. */
static bool fork_server_is_ready(void)
{
    struct generation *g = supervisor.generation;

    if (!g->settings.process.preload)
        return true;
    if (!g->fork_server && wait_now() >= supervisor.fork_server_due) {
        g->fork_server = fork_server_start(g, supervisor.close_inherited);
        supervisor.fork_server_due = wait_now() + SECOND;
    }
    return g->fork_server && g->fork_server->ready;
}

/* ---- ending ---- */

static void retire_worker(struct worker *w)
{
    slots_vacate(&supervisor.slots, w);
    worker_stop(w, SIGQUIT);
}

/* Start no more workers of this generation. */
static void retire_generation(struct generation *g)
{
    if (g->fork_server)
        fork_server_stop(g->fork_server);
    g->fork_server = NULL;
    generation_drop(g);
}

/* ---- generations ---- */

void supervisor_init(void (*close_inherited)(void))
{
    supervisor.close_inherited = close_inherited;
}

/* From now on there is nothing to roll back to. */
static void retire_generation_before(void)
{
    if (supervisor.before)
        retire_generation(supervisor.before);
    supervisor.before = NULL;
}

/* The present generation cannot start, with this exit code: go back to the one before. */
static void roll_back(int exit_code)
{
    struct generation *bad = supervisor.generation;
    struct worker *w;

    supervisor.generation = supervisor.before;
    supervisor.before = NULL;
    supervisor.rolled_back = exit_code;
    for_each_worker (w)
        if (w->generation == bad) {
            slots_vacate(&supervisor.slots, w);
            worker_stop(w, SIGKILL);
        }
    slots_want(&supervisor.slots, (size_t)supervisor.generation->settings.workers);
    retire_generation(bad);
}

void supervisor_adopt(struct generation *g)
{
    struct slots *slots = &supervisor.slots;

    if (supervisor.before)
        roll_back(EXIT_BOOT);
    for (size_t i = 0; i < slots->count; i++) /* those of an outdated configuration, which might never be ready */
        if (slots->list[i].next)
            retire_worker(slots->list[i].next);
    outbound_share(&g->settings.outbound);
    for (const struct mount *m = g->mounts; m; m = m->next)
        metrics_add_mount(m->title);
    supervisor.rolled_back = 0;
    supervisor.adopted = wait_now();
    supervisor.failures = 0;
    supervisor.before = supervisor.generation;
    supervisor.generation = g;
    supervisor.fork_server_due = 0;
    slots_want(slots, (size_t)g->settings.workers);
    if (supervisor.before && !supervisor.before->proven) /* not known to be any better */
        retire_generation_before();
}

int64_t supervisor_adopts_from(void)
{
    return supervisor.before ? supervisor.adopted + ADOPT_EVERY : 0;
}

struct generation *supervisor_generation(void)
{
    return supervisor.generation;
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

int supervisor_rolled_back(void)
{
    int exit_code = supervisor.rolled_back;

    supervisor.rolled_back = 0;
    return exit_code;
}

void supervisor_change_wanted(int by)
{
    int wanted = (int)supervisor.slots.wanted + by;

    if (wanted >= 1)
        slots_want(&supervisor.slots, (size_t)wanted);
}

size_t supervisor_wanted(void)
{
    return supervisor.slots.wanted;
}

void supervisor_drain(void)
{
    retire_generation_before();
    slots_want(&supervisor.slots, 0);
}

/* ---- events of workers and fork servers ---- */

static void on_worker_ready(struct worker *w)
{
    struct slot *slot = slots_find(&supervisor.slots, w);
    struct worker *replaced = slot && slot->next == w ? slot->current : NULL;

    if (w->state == WORKER_STARTING)
        w->state = WORKER_SERVING;
    life_end(&w->life);
    life_on_answer(&w->life);
    worker_tell_draining(w);
    supervisor.failures = 0;
    w->generation->proven = true;
    if (w->generation == supervisor.generation)
        retire_generation_before();
    if (!replaced || supervisor.stopping)
        return;
    slot->current = w;
    slot->next = NULL;
    if (replaced->life.stuck)
        worker_kill(replaced);
    else
        worker_stop(replaced, SIGQUIT);
    if (w->generation->replaces_fast && replaced->generation != w->generation)
        worker_hurry(replaced);
}

/* Returns whether there may be another message. */
static bool on_worker_message(struct worker *w, const struct channel_message *message)
{
    switch (message->kind) {
    case CHANNEL_READY:
        on_worker_ready(w);
        return true;
    case CHANNEL_REPLACE:
        w->replace = true;
        return true;
    case CHANNEL_PING:
        life_on_answer(&w->life);
        return true;
    case CHANNEL_REPORT:
        gather_on_report(w, channel_text());
        life_on_report(&w->life, channel_text());
        return true;
    case CHANNEL_RUNNING:
        gather_on_running(w, channel_text());
        return true;
    case CHANNEL_ASK:
        asked_by_worker(w, message->number, channel_text());
        return true;
    case CHANNEL_ANSWER:
        gather_on_answer(w, message->number);
        return true;
    case CHANNEL_OVERDUE:
        life_on_overdue(&w->life, channel_text());
        return true;
    case CHANNEL_FILES:
        watch_add(channel_text());
        return true;
    case CHANNEL_LOOP_ENDED:
        worker_leave_loop(w);
        return true;
    case CHANNEL_END:
        worker_lose_channel(w);
        return false;
    default:
        return message->kind != CHANNEL_NONE;
    }
}

static void read_worker_channel(struct worker *w)
{
    struct channel_message message;

    for (int n = 0; n < MAX_MESSAGES; n++) {
        message = channel_hear(w->channel);
        if (!on_worker_message(w, &message))
            return;
    }
}

/* How a process has ended that did not get as far as to serve. */
struct failed_start {
    int code;        /* exit code */
    bool was_killed; /* by somebody else: the administrator, or the kernel for its memory; the next may start */
};

static struct failed_start failed_start_of(int status)
{
    int signum = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    bool was_killed =
        signum == SIGKILL || signum == SIGTERM || signum == SIGINT || signum == SIGQUIT || signum == SIGHUP;

    return (struct failed_start){WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_BOOT, was_killed};
}

static void give_up(int code)
{
    supervisor.exit_code = code == EXIT_APP ? EXIT_APP : EXIT_BOOT;
    log_error("workers cannot start: giving up with exit code %d", supervisor.exit_code);
    supervisor_stop(SIGINT, 0);
}

/* A worker or fork server of the present generation has ended before it was ready, or was killed for that. slot: that
 * of the worker; NULL: it was not in one, or it is the fork server. */
static void on_failed_start(const struct slot *slot, struct failed_start failed)
{
    bool is_hopeless = ++supervisor.failures >= MAX_FAILURES;

    if (supervisor.stopping || supervisor.slots.wanted == 0)
        return;
    if (supervisor.before) {
        if (!failed.was_killed || is_hopeless)
            roll_back(failed.code == EXIT_APP ? EXIT_APP : EXIT_BOOT);
        return;
    }
    if (slot)
        kill_if_stuck(slot);
    if ((!supervisor.generation->proven && !failed.was_killed) || (workers_count_serving() == 0 && is_hopeless))
        give_up(failed.code);
}

/* The place of a worker that has died is still its own; one that was to leave has none any more. */
static void count_restart(void)
{
    if (metrics_of_master())
        metrics_add(&metrics_of_master()->restarts, 1);
}

static void on_worker_exit(struct worker *w, int status)
{
    struct slot *slot = slots_find(&supervisor.slots, w);
    bool failed;

    if (w->channel >= 0)
        read_worker_channel(w); /* its last messages: it may have become ready */
    worker_report_exit(w, status);
    gather_on_exit(w);
    slots_vacate(&supervisor.slots, w);
    if (!supervisor.stopping && slot) {
        slot_plan_restart(slot, w);
        count_restart();
    }
    failed = w->state == WORKER_STARTING && w->generation == supervisor.generation;
    worker_free(w); /* before others are killed: its pid may be another process's by now */
    if (failed)
        on_failed_start(slot, failed_start_of(status));
}

/* The fork server of g has ended, or hangs. */
static void lose_fork_server(struct generation *g, struct failed_start failed)
{
    fork_server_stop(g->fork_server);
    g->fork_server = NULL;
    if (g == supervisor.generation)
        on_failed_start(NULL, failed);
}

static bool has_fork_server(const struct generation *g, pid_t pid)
{
    return g && g->fork_server && g->fork_server->pid == pid;
}

static bool on_fork_server_exit(pid_t pid, int status)
{
    struct generation *g = has_fork_server(supervisor.before, pid) ? supervisor.before : supervisor.generation;

    if (!has_fork_server(g, pid))
        return fork_server_on_exit(pid);
    g->fork_server->pid = 0;
    prometheus_dir_end(&g->settings.process, pid);
    if (!supervisor.stopping)
        log_error("the fork server ended (%s %d)", WIFEXITED(status) ? "exit code" : "signal",
                  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    lose_fork_server(g, failed_start_of(status));
    return true;
}

bool supervisor_on_exit(pid_t pid, int status)
{
    struct worker *w;

    outbound_child_ended(pid);
    for_each_worker (w)
        if (w->pid == pid) {
            on_worker_exit(w, status);
            return true;
        }
    return on_fork_server_exit(pid, status);
}

/* ---- the loop of the master ---- */

static void add_poll(struct pollfd *polls, size_t capacity, size_t n, int fd)
{
    if (n < capacity)
        polls[n] = (struct pollfd){.fd = fd, .events = POLLIN};
}

/* Returns the fork server that still loads the applications, or NULL. */
static struct fork_server *loading_fork_server(void)
{
    struct fork_server *f = supervisor.generation ? supervisor.generation->fork_server : NULL;

    return f && !f->ready ? f : NULL;
}

size_t supervisor_polls(struct pollfd *polls, size_t capacity)
{
    struct worker *w;
    size_t n = 0;

    for_each_worker (w)
        if (w->channel >= 0)
            add_poll(polls, capacity, n++, w->channel);
    if (loading_fork_server())
        add_poll(polls, capacity, n++, loading_fork_server()->channel);
    return n;
}

static void read_fork_server_channel(struct fork_server *f)
{
    enum channel_kind kind = CHANNEL_NONE;

    for (int n = 0; n < MAX_MESSAGES && (kind = channel_hear(f->channel).kind) != CHANNEL_NONE; n++)
        if (kind == CHANNEL_READY) {
            life_end(&f->life);
            f->ready = true;
        } else if (kind == CHANNEL_REPORT) {
            life_on_report(&f->life, channel_text());
        } else if (kind == CHANNEL_END) {
            kill(f->pid, SIGKILL); /* it can hear no order any more */
            return;
        }
}

void supervisor_on_readable(int fd)
{
    struct fork_server *f = loading_fork_server();
    struct worker *w;

    for_each_worker (w)
        if (w->channel == fd) {
            read_worker_channel(w);
            return;
        }
    if (f && f->channel == fd)
        read_fork_server_channel(f);
}

/* Whether a worker of the present generation may be started. While it can be rolled back, its first worker starts
 * alone. */
static bool may_start_worker(void)
{
    struct worker *w;

    if (supervisor.before && !supervisor.generation->proven)
        for_each_worker (w)
            if (w->generation == supervisor.generation)
                return false;
    return fork_server_is_ready();
}

static void fill_slots(int64_t now)
{
    struct slots *slots = &supervisor.slots;

    for (size_t i = 0; i < slots->wanted; i++)
        if (slot_needs_worker(&slots->list[i], supervisor.generation, now) && may_start_worker())
            start_in_slot(&slots->list[i]);
    for (size_t i = slots->wanted; i < slots->count && !supervisor.before; i++)
        while (slots->list[i].current)
            retire_worker(slots->list[i].current);
}

/* ---- processes that hang ---- */

/* Its start has taken too long. */
static void fail_start(struct worker *w)
{
    struct slot *slot = slots_find(&supervisor.slots, w);

    slots_vacate(&supervisor.slots, w);
    if (slot && !supervisor.stopping)
        slot_plan_restart(slot, w);
    worker_kill(w);
    if (w->generation == supervisor.generation)
        on_failed_start(slot, (struct failed_start){EXIT_BOOT, false});
}

/* It has closed its channel a while ago and lives on. */
static void replace_lost_worker(struct worker *w)
{
    w->lost_at = WAIT_FOREVER;
    if (w->state != WORKER_SERVING)
        return; /* start-timeout or shutdown-timeout ends it */
    log_error("worker %d (pid %d) has closed its channel to the master, as code may do that closes descriptors which "
              "it has not opened: replacing it",
              w->number, (int)w->pid);
    w->replace = true;
}

/* Returns when it is to be looked after next. */
static int64_t look_after_worker(struct worker *w, int64_t now)
{
    int64_t next = w->lost_at;

    if (w->lost_at <= now)
        replace_lost_worker(w);
    if (w->state == WORKER_STARTING)
        life_check_start(&w->life, now, &next);
    else if (w->channel >= 0 && !w->mute && !w->killed)
        life_check_pulse(&w->life, w->channel, w->state == WORKER_SERVING && !supervisor.stopping, now, &next);
    if (w->life.start_is_over && !w->killed)
        fail_start(w);
    else if (w->life.stuck && !w->killed && (supervisor.stopping || !slots_find(&supervisor.slots, w)))
        worker_kill(w);
    else if (w->life.stuck)
        w->replace = true;
    return next;
}

static int64_t look_after_fork_server(struct fork_server *f, int64_t now)
{
    int64_t next = WAIT_FOREVER;

    life_check_start(&f->life, now, &next);
    if (f->life.start_is_over)
        lose_fork_server(supervisor.generation, (struct failed_start){EXIT_BOOT, false});
    return next;
}

static void excuse_all(int64_t late, int64_t now)
{
    struct worker *w;

    for_each_worker (w)
        life_excuse(&w->life, late, now);
    if (loading_fork_server())
        life_excuse(&loading_fork_server()->life, late, now);
}

/* Look for workers and fork servers that hang. Returns when to do that again. */
static int64_t look_after_all(int64_t now)
{
    int64_t late = liveness_late(now, supervisor.next_look), next = WAIT_FOREVER;
    struct worker *w;

    if (late)
        excuse_all(late, now);
    for_each_worker (w)
        next = min_int64(next, look_after_worker(w, now));
    if (loading_fork_server())
        next = min_int64(next, look_after_fork_server(loading_fork_server(), now));
    supervisor.next_look = next;
    return next;
}

int64_t supervisor_step(void)
{
    int64_t now = wait_now(), next;

    look_after_all(now);
    if (!supervisor.stopping)
        fill_slots(now);
    next = min_int64(look_after_all(now), workers_kill_overdue(now)); /* with those that were started now */
    next = min_int64(next, fork_servers_kill_overdue(now));
    if (supervisor.stopping)
        return next;
    if (supervisor.fork_server_due > now)
        next = min_int64(next, supervisor.fork_server_due);
    return min_int64(next, slots_next_start(&supervisor.slots, now));
}

void supervisor_stop(int signum, int64_t timeout)
{
    supervisor.stopping = true;
    workers_stop(signum, timeout);
    if (supervisor.generation->fork_server)
        fork_server_stop(supervisor.generation->fork_server);
    supervisor.generation->fork_server = NULL;
}

bool supervisor_has_processes(void)
{
    return !list_empty(&workers) || fork_servers_are_left();
}

static void reopen_fork_server_logs(const struct generation *g)
{
    if (g && g->fork_server)
        generation_reopen_logs(g, g->fork_server->channel);
}

void supervisor_reopen_logs(void)
{
    workers_reopen_logs();
    reopen_fork_server_logs(supervisor.generation);
    reopen_fork_server_logs(supervisor.before);
}

bool supervisor_is_good(void)
{
    return supervisor.slots.wanted == 0 || liveness_is_good(&supervisor.generation->settings.process, wait_now());
}

static void close_fork_server_channel(const struct generation *g)
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
    close_fork_server_channel(supervisor.generation);
    close_fork_server_channel(supervisor.before);
}

void supervisor_release(void)
{
    retire_generation_before();
    retire_generation(supervisor.generation);
    free(supervisor.slots.list);
}
