/*
 * coro.c: the scheduler: coroutines with pooled stacks, a run queue, and the one place where stacks are switched.
 *
 * A coroutine's record is at the top of its own stack, a page that is used anyway. What a language runtime keeps for
 * each coroutine may begin after it, in the same page (coro_reserve). The pool is last in, first out: the stack used
 * last is still in the cache. The run queue is first in, first out, and sched_run runs only what was ready when it
 * began, so that the loop polls between two rounds and no coroutine starves another. The loop may also run a new
 * coroutine at once (coro_run): then many short ones in a row share one warm stack, while as many queued ones would
 * need a stack each. Control passes between the loop and a coroutine only, never from one coroutine to another:
 * coro_leave is the only way out of a coroutine, coro_enter the only way into it. An exception is a coroutine that goes
 * on upon another OS thread, to compute there, and comes back: it leaves the loop by coro_depart, and the other thread
 * by coro_return. It comes back as soon as it asks which coroutine it is (coro_self), which all do that may park.
 *
 * A coroutine that has used up a slice (slice.h) goes to a second queue, of which one runs for one slice between two
 * polls: so the others wait for one slice at most, however many compute. One that has used up a slice and then waits is
 * expected to do so again, and starts in the second queue when it is woken. A round ends when somebody has used up a
 * slice, since the loop has not looked for events for so long. While the first queue does not become empty, the second
 * one gets a slice now and then.
 */
#include "coro/coro.h"

#include <assert.h>
#include <errno.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/events.h"
#include "base/mem.h"
#include "base/real.h"
#include "coro/recorder.h"
#include "coro/sanitize.h"
#include "coro/slice.h"
#include "coro/stack.h"
#include "coro/switch.h"
#include "syncless/runtime.h"

#define KEEP_TOUCHED (32 * 1024) /* bytes of a pooled stack that stay in memory */
#define MAX_TRIM     256         /* stacks that one coro_trim looks at, to bound its time */
#define LATE_WAIT    10000000    /* nanoseconds for which the run queue may keep the second one waiting */
#define CROWD        1000        /* coroutines; when most of so many have ended the heap is trimmed */

__thread struct coro *coro_current __attribute__((tls_model("initial-exec")));
__thread struct coro *coro_detached __attribute__((tls_model("initial-exec")));
__thread struct coro *coro_guest __attribute__((tls_model("initial-exec")));

struct slice slice;
bool coro_clocked;
int64_t coro_starts_at;

static struct {
    size_t stack_size;
    size_t reserve;      /* see coro_reserve */
    struct list ready;   /* by link */
    struct list starts;  /* by link: those that were woken and start late */
    struct list late;    /* by link: those that have used up a slice and go on */
    bool start_next;     /* the next one is of starts, if there is one */
    unsigned late_count; /* in both */
    int64_t late_ran;    /* CLOCK_MONOTONIC ns at which one of the two has run, or was the first there */
    struct list running; /* by all */
    struct list pool;    /* by link, last used first */
    struct list ended;   /* by link: their threads have ended, and they can be freed */
    size_t pooled, low;  /* low: the least pooled since the last trim */
    size_t ended_count;
    size_t crowd;      /* the most running at a coro_trim since the heap was trimmed */
    size_t count, max; /* running, and the largest count so far */
    uint64_t last_id;
    void *loop_sp;
    void *loop_fake_stack;
    const void *loop_low; /* the loop's own stack, for AddressSanitizer */
    size_t loop_size;
    struct sl_local locals[CORO_LOCALS];
    int local_count;
    const struct sl_preempt *preempt;      /* or NULL */
    const struct sl_threads *threads;      /* or NULL */
    void (*departing)(struct coro *co);    /* see coro_depart; NULL: the coroutine does not */
    pid_t home;                            /* the process of the coroutines that are away */
    void (*end_tls)(struct coro_tls *tls); /* or NULL */
    void (*run_loop)(void);                /* in a forked child, see coro_renew */
    int cancel_new;                        /* see coro_cancel_new */
    bool forgotten;                        /* a forked child: nothing would run coroutines */
} sched = {
    .ready = LIST_INIT(sched.ready),
    .starts = LIST_INIT(sched.starts),
    .late = LIST_INIT(sched.late),
    .running = LIST_INIT(sched.running),
    .pool = LIST_INIT(sched.pool),
    .ended = LIST_INIT(sched.ended),
};

/* Returns size, rounded up to whole pages. */
static size_t whole_pages(size_t size)
{
    size_t page = stack_page_size();

    return (size + page - 1) / page * page;
}

void coro_set_stack_size(size_t size)
{
    sched.stack_size = whole_pages(size);
}

void coro_reserve(size_t size)
{
    sched.reserve = size;
}

void coro_init(size_t stack_size)
{
    coro_set_stack_size(stack_size);
    sched.forgotten = false;
    sched.cancel_new = 0;
    stack_max(); /* while /proc can be read */
}

/* ---- switching ---- */

static void park_hooks(struct coro *co)
{
    for (int i = 0; i < sched.local_count; i++)
        if (co->local[i] && sched.locals[i].park)
            sched.locals[i].park(co->local[i]);
}

static void resume_hooks(struct coro *co)
{
    for (int i = 0; i < sched.local_count; i++)
        if (co->local[i] && sched.locals[i].resume)
            sched.locals[i].resume(co->local[i]);
}

/* From the running coroutine to the loop, until the loop enters it again. Its run ends before the hooks, in which it
 * cannot give way: it is in a queue already. */
static void coro_leave(struct coro *co)
{
    int saved = errno;

    if (slice_is_mine())
        co->late = co->has_computed = true;
    slice_begin();
    park_hooks(co);
    sanitize_leave(&co->fake_stack, sched.loop_low, sched.loop_size);
    switch_to(&co->sp, sched.loop_sp);
    sanitize_arrive(co->fake_stack, &sched.loop_low, &sched.loop_size);
    resume_hooks(co);
    errno = saved;
}

static int64_t coro_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* The coroutine has waited, or was only ready, since it left the OS thread. */
static void coro_charge(struct coro *co)
{
    struct coro_account *account;

    if (!co->account)
        co->account = xcalloc(1, sizeof(*co->account));
    account = co->account;
    account->used = true;
    if (co->woken) {
        int64_t waited = co->woken - co->left;

        account->waited[co->reason.kind] += waited;
        account->waits[co->reason.kind]++;
        co->reason_waited += waited;
        account->ready += co->since - co->woken;
        co->woken = 0;
    } else {
        account->ready += co->since - co->left;
    }
}

static inline void clock_enter(struct coro *co)
{
    co->since = coro_starts_at ? coro_starts_at : coro_now();
    if (co->left)
        coro_charge(co);
}

/* What one that has ended did at last is nobody's time. */
static void clock_leave(struct coro *co)
{
    if (sched.pool.next == &co->link)
        return;
    co->left = coro_now();
    co->busy += co->left - co->since;
}

/* A coroutine departs, and its stack is no longer in use here. */
static void coro_send_off(struct coro *co)
{
    void (*after)(struct coro * co) = sched.departing;

    sched.departing = NULL;
    after(co);
}

/* From the loop to a coroutine, until that leaves or ends. */
static void coro_enter(struct coro *co)
{
    coro_current = co;
    if (coro_clocked)
        clock_enter(co);
    slice_begin();
    sanitize_leave(&sched.loop_fake_stack, co->stack, co->stack_size);
    switch_to(&sched.loop_sp, co->sp);
    sanitize_arrive(sched.loop_fake_stack, NULL, NULL);
    coro_current = NULL;
    if (coro_clocked)
        clock_leave(co);
    if (__builtin_expect(sched.departing != NULL, 0))
        coro_send_off(co);
}

/* The function of a coroutine has returned: put it into the pool. */
static void coro_retire(struct coro *co)
{
    sched.count--;
    list_remove(&co->all);
    co->used = true;
    co->what = NULL;
    co->is_main = false;
    sched.pooled++;
    list_push(sched.pool.next, &co->link); /* before the first */
}

void coro_end_child(void)
{
    if (coro_current)
        return;
    real()->fflush(NULL);
    _exit(EXIT_SUCCESS);
}

/* The first function on every stack: runs one start after the other, and is in the pool between them. */
static void coro_main(void)
{
    struct coro *co = coro_current;

    sanitize_arrive(NULL, &sched.loop_low, &sched.loop_size);
    for (;;) {
        co->fn(co->arg);
        coro_end_child();
        coro_retire(co);
        coro_leave(co); /* until the next start */
    }
}

/* ---- the second queue ---- */

/* Add a coroutine to one of the two parts of the second queue. */
static void queue_late(struct list *part, struct coro *co)
{
    if (sched.late_count++ == 0)
        sched.late_ran = coro_now();
    list_push(part, &co->link);
}

/* ---- starting and pooling ---- */

/* size: of the stack, bytes, without what is reserved. */
static struct coro *coro_new(size_t size)
{
    struct stack stack;
    struct coro *co;

    if (coro_stats().stacks >= stack_max() || stack_reserve(&stack, whole_pages(size) + whole_pages(sched.reserve)) < 0)
        return NULL;
    co = (struct coro *)(stack.low + stack.size - sched.reserve) - 1;
    co = (struct coro *)((uintptr_t)co & ~(uintptr_t)63);
    co->stack = stack.low;
    co->stack_size = stack.size;
    co->reserved = sched.reserve;
    co->valgrind_id = sanitize_stack_add(stack.low, stack.low + stack.size);
    co->sp = switch_make(stack.low, co, coro_main);
    list_init(&co->link);
    list_init(&co->all);
    sanitize_keep(co, sizeof(*co));
    return co;
}

static void coro_free(struct coro *co)
{
    struct stack stack = {co->stack, co->stack_size};

    free(co->account);
    free(co->peers);
    sanitize_unkeep(co, sizeof(*co));
    sanitize_stack_remove(co->valgrind_id);
    sanitize_clear(stack.low, stack.size);
    stack_release(&stack);
}

/* Returns a coroutine from the pool or a new one, or NULL. */
static struct coro *coro_take(void)
{
    struct list *node = list_pop(&sched.pool);

    if (!node)
        return coro_new(sched.stack_size);
    if (--sched.pooled < sched.low)
        sched.low = sched.pooled;
    return list_entry(node, struct coro, link);
}

void coro_cancel_reset(struct coro *co)
{
    co->cancel = (struct coro_cancel){.code = sched.cancel_new};
}

/* Make a coroutine that is in no queue one that will run fn(arg). */
static void coro_begin(struct coro *co, void (*fn)(void *arg), void *arg)
{
    co->fn = fn;
    co->arg = arg;
    co->id = ++sched.last_id;
    co->parked = false;
    co->late = false;
    co->has_computed = false;
    co->as_main = false;
    co->alone = false;
    co->linking = false;
    co->native_id = 0;
    coro_cancel_reset(co);
    co->reason.given = false;
    co->reason.kind = FOR_OTHER;
    co->left = co->woken = 0;
    co->cxx = (struct cxx_state){0};
    co->name[0] = '\0';
    if (++sched.count > sched.max)
        sched.max = sched.count;
    list_push(&sched.running, &co->all);
}

/* Returns a coroutine that will run fn(arg) and is in no queue yet, or NULL with errno. stack_size: of a new stack; 0:
 * as others have. */
static struct coro *coro_prepare(void (*fn)(void *arg), void *arg, size_t stack_size)
{
    struct coro *co;

    if (sched.forgotten) {
        errno = EPERM;
        return NULL;
    }
    co = stack_size ? coro_new(stack_size) : coro_take();
    if (!co) {
        errno = ENOMEM;
        return NULL;
    }
    coro_begin(co, fn, arg);
    return co;
}

struct coro *coro_start_sized(void (*fn)(void *arg), void *arg, size_t stack_size)
{
    struct coro *co = coro_prepare(fn, arg, stack_size);

    if (co)
        list_push(&sched.ready, &co->link);
    return co;
}

struct coro *coro_start_late(void (*fn)(void *arg), void *arg)
{
    struct coro *co = coro_prepare(fn, arg, 0);

    if (co)
        queue_late(&sched.starts, co);
    return co;
}

struct coro *coro_start(void (*fn)(void *arg), void *arg)
{
    return coro_start_sized(fn, arg, 0);
}

bool coro_run(void (*fn)(void *arg), void *arg)
{
    struct coro *co = coro_prepare(fn, arg, 0);

    if (co)
        coro_enter(co);
    return co != NULL;
}

/* ---- the end of a thread ---- */

void coro_share_tls(bool on)
{
    coro_current->tls.of_thread = on;
}

void coro_on_end(void (*fn)(struct coro_tls *tls))
{
    sched.end_tls = fn;
}

/* Whether a coroutine has anything that must be ended on itself. */
static bool coro_is_thread(const struct coro *co)
{
    for (int i = 0; i < sched.local_count; i++)
        if (co->local[i] && (sched.locals[i].end || sched.locals[i].release))
            return true;
    return co->tls.blocks || co->tls.values || co->tls.destructors || co->tls.robust;
}

void coro_threads_by(const struct sl_threads *hooks)
{
    sched.threads = hooks;
}

bool coro_may_be_thread(const void *start)
{
    return !sched.threads || sched.threads->may(start);
}

void coro_begin_thread(void)
{
    if (sched.threads)
        sched.threads->begin();
}

void coro_end_thread(void)
{
    struct coro *co = coro_current;

    for (int i = 0; i < sched.local_count; i++)
        if (co->local[i] && sched.locals[i].end)
            sched.locals[i].end(co->local[i]);
    if (sched.end_tls)
        sched.end_tls(&co->tls);
    for (int i = 0; i < sched.local_count; i++) {
        void *value = co->local[i];

        if (!value || !sched.locals[i].release)
            continue;
        co->local[i] = NULL;
        sched.locals[i].release(value);
    }
}

/* The last function on a coroutine, which is not used again. */
static void coro_end(void *arg)
{
    struct coro *co = coro_current;

    coro_end_thread();
    sched.count--;
    list_remove(&co->all);
    list_push(&sched.ended, &co->link);
    sched.ended_count++;
    coro_leave(co);
}

void coro_quit(void)
{
    coro_end_child();
    coro_current->what = NULL;
    coro_current->tls.cleanup = NULL;
    coro_end(NULL);
}

/* A coroutine that was in the pool is not needed. */
static void coro_dismiss(struct coro *co)
{
    list_remove(&co->link);
    sched.pooled--;
    if (!coro_is_thread(co)) {
        coro_free(co);
        return;
    }
    coro_begin(co, coro_end, NULL);
    list_push(&sched.ready, &co->link);
}

static void free_ended(void)
{
    struct list *node;

    while ((node = list_pop(&sched.ended)))
        coro_free(list_entry(node, struct coro, link));
    sched.ended_count = 0;
}

void coro_end_pool(void)
{
    while (!list_empty(&sched.pool))
        coro_dismiss(list_entry(sched.pool.next, struct coro, link));
    sched.low = 0;
}

void coro_exit(void)
{
    assert(sched.count == 0);
    coro_end_pool();
    while (sched_run())
        ;
    assert(sched.count == 0);
    free_ended();
}

/* What coroutines had on the heap, thread-locals for one, is free when they have ended, but the allocator keeps such
 * memory unless it is the last. To give it back takes milliseconds, so that is done when a crowd has gone. */
static void trim_heap(void)
{
    if (sched.count > sched.crowd)
        sched.crowd = sched.count;
    if (sched.crowd < CROWD || sched.count > sched.crowd / 4)
        return;
    sched.crowd = sched.count;
    malloc_trim(0);
}

void coro_trim(void)
{
    struct list *node = sched.pool.prev; /* from the one unused longest */
    size_t spare = sched.low, looked = 0;

    free_ended();
    while (node != &sched.pool && looked++ < MAX_TRIM) {
        struct coro *co = list_entry(node, struct coro, link);

        node = node->prev;
        if (spare > 0) {
            spare--;
            coro_dismiss(co);
        } else if (co->used) {
            co->used = false;
            stack_trim(&(struct stack){co->stack, co->stack_size}, co->reserved + KEEP_TOUCHED);
        }
    }
    sched.low = sched.pooled;
    trim_heap();
}

/* ---- parking and waking ---- */

int coro_park(void)
{
    struct coro *co = coro_current;

    co->parked = true;
    record_note(RECORD_PARK, co, co->reason.kind);
    coro_leave(co);
    record_note(RECORD_RESUME, co, 0);
    return co->result;
}

bool coro_wake(struct coro *co, int result)
{
    if (!co->parked)
        return false;
    co->parked = false;
    co->result = result;
    record_note(RECORD_WAKE, co, 0);
    if (coro_clocked)
        co->woken = coro_now();
    if (co->late)
        queue_late(&sched.starts, co);
    else
        list_push(&sched.ready, &co->link);
    return true;
}

void coro_yield(void)
{
    struct coro *co = coro_current;

    list_push(&sched.ready, &co->link);
    record_note(RECORD_YIELD, co, 0);
    coro_leave(co);
    record_note(RECORD_RESUME, co, 0);
}

/* ---- away upon other threads ---- */

/* What libc keeps for each OS thread and a coroutine takes along. */
struct luggage {
    int error;
    locale_t locale;
};

/* Compilers take the address of errno for the same in all of a function; so these are functions of their own. */
static __attribute__((noinline)) struct luggage luggage_pack(void)
{
    return (struct luggage){errno, uselocale((locale_t)0)};
}

static __attribute__((noinline)) void luggage_unpack(struct luggage luggage)
{
    uselocale(luggage.locale);
    errno = luggage.error;
}

void coro_depart(void (*after)(struct coro *co))
{
    struct coro *co = coro_current;
    struct luggage luggage = luggage_pack();

    sched.home = getpid();
    co->away = true;
    co->as_main = false;
    co->looks = 0;
    record_note(RECORD_AWAY, co, 0);
    slice_begin();
    park_hooks(co);
    sched.departing = after;
    sanitize_leave(&co->fake_stack, sched.loop_low, sched.loop_size);
    switch_to(&co->sp, sched.loop_sp);
    sanitize_arrive(co->fake_stack, &co->host_low, &co->host_size); /* upon the other thread */
    luggage_unpack(luggage);
}

void coro_host(struct coro *co)
{
    void *fake_stack;

    if (coro_clocked)
        clock_enter(co);
    coro_guest = coro_detached = co;
    sanitize_leave(&fake_stack, co->stack, co->stack_size);
    switch_to(&co->host_sp, co->sp);
    sanitize_arrive(fake_stack, NULL, NULL);
    coro_guest = coro_detached = NULL;
    if (coro_clocked)
        clock_leave(co);
}

void coro_return(void)
{
    struct coro *co = coro_guest;
    struct luggage luggage = luggage_pack();

    uselocale(LC_GLOBAL_LOCALE);
    sanitize_leave(&co->fake_stack, co->host_low, co->host_size);
    switch_to(&co->sp, co->host_sp);
    sanitize_arrive(co->fake_stack, &sched.loop_low, &sched.loop_size); /* upon the loop's thread */
    record_note(RECORD_RESUME, co, 0);
    resume_hooks(co);
    luggage_unpack(luggage);
}

struct coro *coro_come_home(void)
{
    struct coro *co = coro_guest;

    if (getpid() != sched.home)
        return NULL;
    coro_return();
    return co;
}

void coro_arrive(struct coro *co)
{
    co->parked = true;
    co->away = false;
    coro_wake(co, 0);
    co->woken = 0; /* it was only ready since it has left the other thread */
}

void coro_yield_late(void)
{
    struct coro *co = coro_current;

    event_count(EVENT_PREEMPTION, 1);
    queue_late(&sched.late, co);
    record_note(RECORD_PREEMPTED, co, 0);
    coro_leave(co);
    record_note(RECORD_RESUME, co, 0);
}

void coro_give_way_slow(void)
{
    if (coro_current && slice_is_mine())
        coro_yield_late();
}

bool sched_ready(void)
{
    return !list_empty(&sched.ready) || sched.late_count > 0;
}

/* Take the one that runs next of the second queue: of its two parts in turns. */
static struct list *take_late(void)
{
    bool start = list_empty(&sched.late) || (sched.start_next && !list_empty(&sched.starts));

    sched.late_count--;
    sched.start_next = !start;
    return list_pop(start ? &sched.starts : &sched.late);
}

/* Run one coroutine of the second queue, until it leaves. */
static void run_late(void)
{
    struct coro *co = list_entry(take_late(), struct coro, link);

    co->late = false;
    coro_enter(co);
    sched.late_ran = coro_now();
}

/* Run what is in the run queue. If somebody uses up a slice the rest stays there, as the first. */
static void run_round(void)
{
    struct list round = LIST_INIT(round), *node;

    list_splice(&round, &sched.ready);
    while ((node = list_pop(&round))) {
        coro_enter(list_entry(node, struct coro, link));
        if (!slice_is_over())
            continue;
        list_splice(&round, &sched.ready);
        list_splice(&sched.ready, &round);
        return;
    }
}

/* The same, but if somebody has used up a slice, or others are ready, these go first for a while. */
static void run_late_beside(bool used)
{
    if ((!used && list_empty(&sched.ready)) || coro_now() - sched.late_ran >= LATE_WAIT)
        run_late();
}

bool sched_run(void)
{
    bool used = slice_is_over(); /* by those that the events have started */

    if (used)
        slice_clear();
    run_round();
    if (sched.late_count > 0)
        run_late_beside(used || slice_is_over());
    return sched_ready();
}

/* ---- statistics and hooks ---- */

size_t coro_count(void)
{
    return sched.count;
}

struct coro_stats coro_stats(void)
{
    return (struct coro_stats){
        .started = sched.last_id,
        .running = sched.count,
        .max = sched.max,
        .stacks = sched.count + sched.pooled + sched.ended_count,
    };
}

struct list *coro_all(void)
{
    return &sched.running;
}

void coro_clock(void)
{
    coro_clocked = true;
}

int64_t coro_busy(void)
{
    return coro_clocked && coro_current ? coro_current->busy + coro_now() - coro_current->since : 0;
}

void coro_iteration(void)
{
    for (int i = 0; i < sched.local_count; i++)
        if (sched.locals[i].iteration)
            sched.locals[i].iteration();
}

void coro_dump_stack(const struct coro *co, int fd)
{
    for (int i = 0; i < sched.local_count; i++)
        if (co->local[i] && sched.locals[i].dump_stack)
            sched.locals[i].dump_stack(co->local[i], fd);
}

void coro_dump_parked(const struct coro *co, int fd)
{
    for (int i = 0; i < sched.local_count; i++)
        if (co->local[i] && sched.locals[i].dump_parked)
            sched.locals[i].dump_parked(co->local[i], fd);
}

bool coro_debug(const struct coro *co, int fd)
{
    for (int i = 0; i < sched.local_count; i++)
        if (co->local[i] && sched.locals[i].debug && sched.locals[i].debug(co->local[i], fd))
            return true;
    return false;
}

bool coro_console(int fd)
{
    for (int i = 0; i < sched.local_count; i++)
        if (sched.locals[i].console && sched.locals[i].console(fd))
            return true;
    return false;
}

void coro_dump_threads(int fd)
{
    for (int i = 0; i < sched.local_count; i++)
        if (sched.locals[i].dump_threads)
            sched.locals[i].dump_threads(fd);
}

bool coro_blocks(const struct coro *co)
{
    bool must_end = false;

    for (int i = 0; i < sched.local_count; i++)
        if (co->local[i] && sched.locals[i].blocks)
            must_end |= sched.locals[i].blocks(co->local[i]);
    return must_end;
}

bool coro_cancel_by_hook(const struct coro *co)
{
    for (int i = 0; i < sched.local_count; i++)
        if (co->local[i] && sched.locals[i].cancel && sched.locals[i].cancel(co->local[i]))
            return true;
    return false;
}

void coro_tell_cancelled(struct coro *co, int error)
{
    for (int i = 0; i < sched.local_count; i++)
        if (co->local[i] && sched.locals[i].cancelled)
            sched.locals[i].cancelled(co->local[i], error);
}

void coro_cancel_new(int code)
{
    sched.cancel_new = code;
}

void coro_expire(unsigned run)
{
    atomic_store(&slice.expired, run);
    atomic_store(&slice.over, true);
    if (!atomic_load(&slice.preempts))
        return;
    atomic_store(&slice.asked, true);
    if (sched.preempt)
        sched.preempt->ask();
}

void coro_preempt_by(const struct sl_preempt *hooks)
{
    sched.preempt = hooks;
}

bool coro_holds_runtime(void)
{
    return sched.preempt && sched.preempt->holds();
}

int coro_local_create(const struct sl_local *hooks)
{
    if (sched.local_count == CORO_LOCALS)
        return -ENOSPC;
    sched.locals[sched.local_count] = *hooks;
    return sched.local_count++;
}

/* ---- forked children ---- */

void coro_inherit(void)
{
    struct coro *co = coro_current;

    list_init(&sched.ready);
    list_init(&sched.starts);
    list_init(&sched.late);
    sched.late_count = 0;
    slice_forget();
    list_init(&sched.running);
    list_init(&sched.pool); /* their values of modules are the parent's */
    list_init(&sched.ended);
    list_init(&co->link);
    list_push(&sched.running, &co->all);
    sched.pooled = sched.low = sched.ended_count = 0;
    sched.count = 1;
    sched.loop_sp = NULL;
    sched.forgotten = true;
    record_forget();
}

/* The first function on the new stack of the loop. */
static void loop_main(void)
{
    sanitize_arrive(NULL, NULL, NULL);
    coro_current = NULL;
    sched.run_loop();
    abort();
}

int coro_renew(void (*run_loop)(void))
{
    struct stack stack;

    if (stack_reserve(&stack, sched.stack_size) < 0)
        return -ENOMEM;
    (void)sanitize_stack_add(stack.low, stack.low + stack.size); /* for the life of the process */
    sched.loop_low = stack.low;
    sched.loop_size = stack.size;
    sched.loop_sp = switch_make(stack.low, stack.low + stack.size, loop_main);
    sched.run_loop = run_loop;
    sched.forgotten = false;
    sched.cancel_new = 0;
    return 0;
}

void coro_forget(void)
{
    sched.forgotten = true;
    slice_forget();
    record_forget();
    coro_guest = NULL; /* coro_detached stays */
    if (coro_current)
        coro_detached = coro_current;
    coro_current = NULL;
}
