/*
 * crew.c: the workers: started, replaced and ended one by one, such that the server always serves.
 *
 * There is a slot for each worker that shall be. A slot holds the worker that serves and, while that is being replaced,
 * the next one: only when the next says that it is ready is the other told to end. Reload and recycling are the same
 * thing, a reload being the replacement of all workers that are not of the present generation. Its first one goes ahead
 * alone: if that cannot start, the generation before is put back, and nobody was disturbed.
 *
 * A worker that dies is replaced at once, if it lived for a while; one that dies young is replaced with growing delays.
 * If none serves and none can be started, the crew has failed.
 */
#include "master/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access/access.h"
#include "arena.h"
#include "exit_code.h"
#include "list.h"
#include "log.h"
#include "master/nursery.h"
#include "process/channel.h"
#include "wait/wait.h"
#include "worker.h"

#define SECOND      INT64_C(1000000000)
#define FIRST_DELAY (SECOND / 10)
#define LAST_DELAY  (10 * SECOND)
#define YOUNG       (5 * SECOND) /* a worker that dies before this age is started again with a delay */
#define KILL_AFTER  (2 * SECOND) /* after shutdown-timeout, workers that still live are killed */
#define MOST_FAILED 5            /* starts in a row that fail, while nobody serves */

enum worker_state { BOOTING, SERVING, LEAVING };

struct worker {
    struct list link; /* in crew.workers */
    struct generation *generation;
    enum worker_state state;
    pid_t pid;
    int number;
    int channel;     /* -1: closed */
    bool replace;    /* it has asked to be replaced */
    bool answered;   /* the last ping */
    int64_t born;    /* CLOCK_MONOTONIC nanoseconds; kill_at too */
    int64_t kill_at; /* WAIT_FOREVER: never */
};

struct slot {
    struct worker *now, *next; /* NULL: none; next only while there is a now */
    int64_t delay;             /* before the start after the next one */
    int64_t due;               /* when a worker may be started here */
};

static struct {
    void (*clean)(void);
    struct generation *generation; /* what workers shall be of */
    struct generation *before;     /* to go back to, until the present one is proven; NULL: none */
    struct list workers;
    struct slot *slots;
    size_t count; /* of slots */
    size_t wanted;
    int failures; /* starts in a row */
    int64_t nursery_due;
    bool stopping, gave_up;
    int exit_code; /* of a crew that has failed; 0: it has not */
} crew = {.workers = LIST_INIT(crew.workers)};

static struct worker *worker_of(struct list *node)
{
    return list_entry(node, struct worker, link);
}

#define for_each_worker(w)                                                                                             \
    for (struct list *node = crew.workers.next, *next_node = node->next;                                               \
         node != &crew.workers && ((w = worker_of(node)) || true); node = next_node, next_node = node->next)

static int serving(void)
{
    struct worker *w;
    int n = 0;

    for_each_worker (w)
        n += w->state == SERVING;
    return n;
}

/* ---- starting ---- */

static pid_t fork_worker(struct generation *g, int number, const int ends[2])
{
    struct worker_job job = {&g->settings, g->mounts, &g->sockets, number, ends[1], false};
    pid_t pid = fork();

    if (pid != 0)
        return pid < 0 ? -errno : pid;
    close(ends[0]);
    crew.clean();
    exit(worker_run(&job));
}

static struct worker *start_worker(int number)
{
    struct generation *g = crew.generation;
    struct worker *w;
    int ends[2], err = channel_open(ends);
    pid_t pid;

    if (err) {
        log_error("cannot make a channel to worker %d: %s", number, strerror(-err));
        return NULL;
    }
    pid = g->nursery ? nursery_spawn(g->nursery, number, ends[1]) : fork_worker(g, number, ends);
    close(ends[1]);
    if (pid < 0) {
        log_error("cannot fork worker %d: %s", number, strerror(-pid));
        close(ends[0]);
        return NULL;
    }
    w = xcalloc(1, sizeof(*w));
    *w = (struct worker){.generation = g, .pid = pid, .number = number, .channel = ends[0], .answered = true};
    w->born = wait_now();
    w->kill_at = WAIT_FOREVER;
    generation_hold(g);
    list_push(&crew.workers, &w->link);
    return w;
}

static void start_in(struct slot *slot)
{
    struct worker *w = start_worker((int)(slot - crew.slots) + 1);

    if (!w)
        slot->due = wait_now() + SECOND;
    else if (slot->now)
        slot->next = w;
    else
        slot->now = w;
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

static void end_worker(struct worker *w, int signum)
{
    w->state = LEAVING;
    w->kill_at = wait_now() + w->generation->settings.shutdown_timeout * 1000000 + KILL_AFTER;
    kill(w->pid, signum);
}

static void free_worker(struct worker *w)
{
    if (w->channel >= 0)
        close(w->channel);
    list_remove(&w->link);
    generation_drop(w->generation);
    free(w);
}

static struct slot *slot_of(const struct worker *w)
{
    for (size_t i = 0; i < crew.count; i++)
        if (crew.slots[i].now == w || crew.slots[i].next == w)
            return &crew.slots[i];
    return NULL;
}

/* Take a worker out of its slot, if it is in one. */
static void vacate(const struct worker *w)
{
    struct slot *slot = slot_of(w);

    if (!slot)
        return;
    if (slot->now == w)
        slot->now = slot->next;
    slot->next = NULL;
}

static void retire(struct worker *w)
{
    vacate(w);
    end_worker(w, SIGQUIT);
}

/* ---- generations ---- */

static void set_wanted(size_t wanted)
{
    crew.wanted = wanted;
    if (wanted <= crew.count)
        return;
    crew.slots = xrealloc(crew.slots, wanted * sizeof(*crew.slots));
    while (crew.count < wanted)
        crew.slots[crew.count++] = (struct slot){0};
}

void crew_init(void (*clean)(void))
{
    crew.clean = clean;
}

void crew_adopt(struct generation *g)
{
    if (crew.before)
        generation_retire(crew.before);
    crew.before = crew.generation;
    crew.generation = g;
    crew.nursery_due = 0;
    set_wanted((size_t)g->settings.workers);
    if (!crew.before || serving() > 0)
        return;
    generation_retire(crew.before); /* nothing to go back to */
    crew.before = NULL;
}

struct generation *crew_generation(void)
{
    return crew.generation;
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
            vacate(w);
            end_worker(w, SIGKILL);
        }
    set_wanted((size_t)crew.generation->settings.workers);
    generation_retire(bad);
}

static void fail(int code)
{
    crew.exit_code = code == EXIT_APP ? EXIT_APP : EXIT_BOOT;
    log_error("the workers cannot start: giving up with exit code %d", crew.exit_code);
    crew_stop(SIGINT, 0);
}

/* A process that was to serve, or to load the applications, ended before it did: with this exit code. */
static void on_failed_start(struct generation *g, int code)
{
    crew.failures++;
    if (g == crew.generation && crew.before)
        give_up_generation();
    else if (!g->proven || (serving() == 0 && crew.failures >= MOST_FAILED))
        fail(code);
}

static void on_proven(struct generation *g)
{
    g->proven = true;
    if (g != crew.generation || !crew.before)
        return;
    generation_retire(crew.before);
    crew.before = NULL;
}

enum crew_state crew_state(void)
{
    if (crew.exit_code)
        return CREW_FAILED;
    for (size_t i = 0; i < crew.count; i++) {
        const struct slot *slot = &crew.slots[i];
        bool right = i >= crew.wanted ? !slot->now
                                      : slot->now && slot->now->state == SERVING && !slot->next &&
                                            slot->now->generation == crew.generation;

        if (!right)
            return CREW_CHANGING;
    }
    return CREW_STEADY;
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
    if (crew.wanted + (size_t)by >= 1)
        set_wanted(crew.wanted + (size_t)by);
}

void crew_drain(void)
{
    set_wanted(0);
}

/* ---- what happens to workers ---- */

static void log_death(const struct worker *w, int status)
{
    if (WIFSIGNALED(status) && w->state != LEAVING)
        log_error("worker %d (pid %d) was killed by signal %d (%s)", w->number, (int)w->pid, WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && w->kill_at <= wait_now())
        log_warn("worker %d (pid %d) did not end in time and was killed", w->number, (int)w->pid);
    else if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        log_error("worker %d (pid %d) ended with exit code %d", w->number, (int)w->pid, WEXITSTATUS(status));
    else if (w->state != LEAVING)
        log_warn("worker %d (pid %d) ended by itself", w->number, (int)w->pid);
}

static void plan_restart(struct slot *slot, const struct worker *w)
{
    int64_t now = wait_now();

    if (now - w->born > YOUNG)
        slot->delay = 0;
    slot->due = now + slot->delay;
    if (slot->delay)
        log_info("worker %d is started again in %lld ms", w->number, (long long)(slot->delay / 1000000));
    slot->delay = slot->delay ? 2 * slot->delay : FIRST_DELAY;
    if (slot->delay > LAST_DELAY)
        slot->delay = LAST_DELAY;
}

static void on_worker_death(struct worker *w, int status)
{
    struct slot *slot = slot_of(w);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_BOOT;

    log_death(w, status);
    vacate(w);
    if (!crew.stopping && slot)
        plan_restart(slot, w);
    if (!crew.stopping && w->state == BOOTING)
        on_failed_start(w->generation, code);
    free_worker(w);
}

static bool on_nursery_death(pid_t pid, int status)
{
    struct generation *g = crew.generation;

    if (!g || !g->nursery || g->nursery->pid != pid)
        return false;
    log_error("the process that loads the applications ended (%s %d)", WIFEXITED(status) ? "exit code" : "signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    nursery_close(g->nursery);
    g->nursery = NULL;
    if (!crew.stopping)
        on_failed_start(g, WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_BOOT);
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

static void on_worker_ready(struct worker *w)
{
    struct slot *slot = slot_of(w);
    struct worker *replaced = slot && slot->next == w ? slot->now : NULL;

    if (w->state == BOOTING)
        w->state = SERVING;
    crew.failures = 0;
    on_proven(w->generation);
    if (!replaced)
        return;
    slot->now = w;
    slot->next = NULL;
    end_worker(replaced, SIGQUIT);
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

static bool needs_worker(const struct slot *slot, int64_t now)
{
    const struct worker *w = slot->now;

    if (slot->next || slot->due > now)
        return false;
    return !w || (w->state == SERVING && (w->replace || w->generation != crew.generation));
}

static void fill_slots(int64_t now)
{
    for (size_t i = 0; i < crew.wanted; i++)
        if (needs_worker(&crew.slots[i], now) && may_start())
            start_in(&crew.slots[i]);
    for (size_t i = crew.wanted; i < crew.count && !crew.before; i++)
        while (crew.slots[i].now)
            retire(crew.slots[i].now);
}

static void kill_overdue(int64_t now)
{
    struct worker *w;

    for_each_worker (w)
        if (w->kill_at <= now)
            kill(w->pid, SIGKILL);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Times in the past are those of a kill: it is looked at again a second later. */
static int64_t next_time(int64_t now)
{
    int64_t next = WAIT_FOREVER;
    struct worker *w;

    for_each_worker (w)
        next = earlier(next, w->kill_at <= now ? now + SECOND : w->kill_at);
    for (size_t i = 0; i < crew.wanted && !crew.stopping; i++)
        if (crew.slots[i].due > now)
            next = earlier(next, crew.slots[i].due);
    if (crew.generation->settings.process.preload && !crew.generation->nursery && !crew.stopping)
        next = earlier(next, crew.nursery_due);
    return next;
}

int64_t crew_attend(void)
{
    int64_t now = wait_now();

    kill_overdue(now);
    if (!crew.stopping)
        fill_slots(now);
    return next_time(now);
}

void crew_stop(int signum, int64_t patience)
{
    struct worker *w;

    crew.stopping = true;
    for_each_worker (w) {
        kill(w->pid, signum);
        w->state = LEAVING;
        w->kill_at = wait_now() + patience + KILL_AFTER;
    }
    if (crew.generation->nursery)
        kill(crew.generation->nursery->pid, SIGTERM);
}

bool crew_alive(void)
{
    return !list_empty(&crew.workers);
}

static void send_log(const struct worker *w, enum channel_kind kind, const char *target)
{
    int fd = target ? sink_open_file(target) : -1;

    if (fd < 0)
        return;
    channel_send(w->channel, &(struct channel_message){kind, 0, fd});
    close(fd);
}

void crew_reopen(void)
{
    struct worker *w;

    for_each_worker (w)
        if (w->channel >= 0) {
            send_log(w, CHANNEL_ERROR_LOG, w->generation->settings.log.error_log);
            send_log(w, CHANNEL_ACCESS_LOG, w->generation->settings.log.access_log);
        }
}

bool crew_ping(void)
{
    bool answered = crew.wanted == 0;
    struct worker *w;

    for_each_worker (w) {
        if (w->state != SERVING || w->channel < 0)
            continue;
        answered |= w->answered;
        w->answered = false;
        channel_send(w->channel, &(struct channel_message){CHANNEL_PING, 0, -1});
    }
    return answered;
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
