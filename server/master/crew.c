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

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "exit_code.h"
#include "log.h"
#include "master/nursery.h"
#include "master/workers.h"
#include "process/channel.h"
#include "wait/wait.h"

#define SECOND      INT64_C(1000000000)
#define FIRST_DELAY (SECOND / 10)
#define LAST_DELAY  (10 * SECOND)
#define YOUNG       (5 * SECOND) /* a worker that dies before this age is started again with a delay */
#define TRY_FOR     (5 * SECOND) /* a generation has before the next one may take its place */
#define MOST_FAILED 5            /* starts in a row that fail, while nobody serves */

struct slot {
    struct worker *now, *next; /* NULL: none; next only while there is a now */
    int64_t delay;             /* before the start after the next one */
    int64_t due;               /* when a worker may be started here */
};

static struct {
    void (*clean)(void);
    struct generation *generation; /* what workers shall be of */
    struct generation *before;     /* to go back to, until the present one is proven; NULL: none */
    struct slot *slots;
    size_t count; /* of slots */
    size_t wanted;
    int failures; /* starts in a row */
    int64_t nursery_due;
    int64_t adopted; /* when the present generation was */
    bool stopping, gave_up;
    int exit_code; /* of a crew that has failed; 0: it has not */
} crew;

/* ---- starting ---- */

static void start_in(struct slot *slot)
{
    struct worker *w = worker_start(crew.generation, (int)(slot - crew.slots) + 1, crew.clean);

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
    worker_end(w, SIGQUIT);
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
            vacate(w);
            worker_end(w, SIGKILL);
        }
    set_wanted((size_t)crew.generation->settings.workers);
    generation_retire(bad);
}

void crew_adopt(struct generation *g)
{
    if (crew.before)
        give_up_generation();
    crew.gave_up = false;
    crew.adopted = wait_now();
    crew.before = crew.generation;
    crew.generation = g;
    crew.nursery_due = 0;
    set_wanted((size_t)g->settings.workers);
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

/* A process that was to serve, or to load the applications, ended before it did: with this exit code. */
static void on_failed_start(struct generation *g, int code)
{
    if (g != crew.generation || crew.wanted == 0)
        return;
    if (crew.before) {
        give_up_generation();
        return;
    }
    crew.failures++;
    if (!g->proven || (workers_serving() == 0 && crew.failures >= MOST_FAILED))
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
    int wanted = (int)crew.wanted + by;

    if (wanted >= 1)
        set_wanted((size_t)wanted);
}

void crew_drain(void)
{
    forget_before();
    set_wanted(0);
}

/* ---- what happens to workers ---- */

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

static void on_worker_death(struct worker *w, int status)
{
    struct slot *slot = slot_of(w);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_BOOT;

    if (w->channel >= 0)
        on_worker_channel(w); /* what it has said before: that it was ready */
    worker_log_death(w, status);
    vacate(w);
    if (!crew.stopping && slot)
        plan_restart(slot, w);
    if (!crew.stopping && w->state == BOOTING)
        on_failed_start(w->generation, code);
    worker_free(w);
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
    return !w || w->generation != crew.generation || (w->state == SERVING && w->replace);
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

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_start(int64_t now)
{
    int64_t next = WAIT_FOREVER;

    for (size_t i = 0; i < crew.wanted; i++)
        if (crew.slots[i].due > now)
            next = earlier(next, crew.slots[i].due);
    if (crew.nursery_due > now)
        next = earlier(next, crew.nursery_due);
    return next;
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
    return crew.wanted;
}

bool crew_ping(void)
{
    return workers_ping() || crew.wanted == 0;
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
