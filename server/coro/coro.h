/*
 * coro.h: stackful coroutines on one OS thread.
 *
 * The loop runs on the OS thread's own stack, and only the loop runs coroutines (sched_run, in the order in which they
 * became ready). A coroutine goes back to the loop by coro_park, and is made ready again by coro_wake. What coroutines
 * wait for, and what wakes them, is the subject of wait/.
 *
 * To the code that runs on it a coroutine is a thread, with values of its own: those of modules (coro.local) and
 * thread-locals (coro.tls). They stay with it in the pool, as with a thread that takes one job after the other. The
 * life of that thread ends by coro_end_thread, on the coroutine itself, since destructors may wait: before the
 * coroutine is freed, or before and after a function that is a thread of its own.
 */
#ifndef CORO_H
#define CORO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "coro/account.h"
#include "coro/cxx.h"
#include "coro/slice.h"

struct sl_local;
struct sl_preempt;
struct sl_threads;

#define CORO_LOCALS 5 /* keys of coroutine-local values: one is for http/, four are for modules */

/* Whether a coroutine is cancelled, and what its waits have been told of it; see wait/wait_cancel.c. */
struct coro_cancel {
    int code;          /* the negative errno with which its waits fail; 0: it is not cancelled */
    unsigned failures; /* waits that failed with it */
    bool interrupted;  /* the last one failed with -EINTR, so the next one says -ECANCELED */
    const void *lock;  /* the lock whose wait failed last, or NULL */
};

/* The thread-locals of a coroutine; the types are those of libc/tls/tls.h. All zero in a new life. */
struct coro_tls {
    bool of_thread;                     /* it has those of the OS thread, see coro_share_tls; then the rest is empty */
    struct tls_blocks *blocks;          /* copies of the thread-locals of shared objects; owned */
    struct tls_values *values;          /* of pthread keys; owned */
    struct tls_destructor *destructors; /* of C++ objects, the last one first; owned */
    void *cleanup;                      /* the last clean-up handler, see libc/runtime/thread_exit.c */
    void *unwinding;                    /* the exception of pthread_exit; owned by the unwinding */
    unsigned robust;                    /* robust mutexes that it holds, see libc/sync/robust.c */
    struct coro_tls *next, **link;      /* in the list of all that have blocks; link: NULL if it is not in it */
};

struct coro {
    struct list link;  /* in the run queue, or in the pool */
    void *sp;          /* saved stack pointer while it does not run */
    int result;        /* what coro_park returns */
    bool parked;       /* between coro_park and the coro_wake that ends it */
    bool waiting;      /* parked in a wait that a cancellation or a signal may end */
    bool is_main;      /* keeps the OS thread's identity (syncless-python's main coroutine) */
    bool as_main;      /* has that identity too, until its next wait, see wait_cancel */
    bool alone;        /* keeps the OS thread while it waits for a pipe or a child, see sl_stay_alone */
    bool linking;      /* in dlopen or dlclose, whose lock the OS thread holds: waits that are not for locks block */
    bool late;         /* has used up a slice when it ran last: it starts late when it is woken */
    bool has_computed; /* has used up a slice since coro_start */
    struct coro_cancel cancel;
    bool used;                /* has run since coro_trim last looked at its stack */
    uint64_t id;              /* unique in the process, new at each coro_start */
    void *local[CORO_LOCALS]; /* values of modules, kept in the pool */
    void (*fn)(void *arg);
    void *arg;
    const char *what; /* what it works on, for messages; borrowed, may be NULL */
    struct list all;  /* in the list of running coroutines */
    char *stack;      /* lowest usable byte; the guard page is below it */
    size_t stack_size;
    int native_id;   /* see threads_native_id in libc/threads/threads.h; 0: none */
    uint16_t lives;  /* as threads of a runtime, see identity_renew in libc/runtime/identity.h */
    size_t reserved; /* bytes behind this record that are a language runtime's, see coro_reserve */
    int64_t since;   /* CLOCK_MONOTONIC ns at which it got the OS thread, see coro_clock; so are the next two */
    int64_t left;    /* at which it gave it up; 0: it has not yet since coro_start */
    int64_t woken;   /* at which it was woken after that; 0: it was not */
    int64_t busy;    /* ns for which it had the OS thread before since */
    struct coro_reason reason;    /* of its present wait */
    int64_t reason_waited;        /* ns of that before the present park */
    struct coro_account *account; /* owned; NULL until there is something to note; kept in the pool */
    void *peers;                  /* what it has waited for, see wait/reason.c; owned, or NULL; kept in the pool */
    struct cxx_state cxx;         /* C++ exceptions in flight */
    void *host_sp;                /* while it is away: the stack of the thread of the pool */
    const void *host_low;         /* the same, for AddressSanitizer */
    size_t host_size;
    bool away;           /* upon such a thread, or on its way there or back */
    unsigned looks;      /* since it has departed: calls that may be part of a loop that waits, see park_fair */
    struct coro_tls tls; /* kept in the pool, as local */
    char name[16];       /* as a thread, see libc/runtime/identity.c; empty: it has none */
    void *fake_stack;    /* AddressSanitizer's */
    unsigned valgrind_id;
};

/* The coroutine that runs on this OS thread; NULL on the loop's stack and on every other thread. */
extern __thread struct coro *coro_current __attribute__((tls_model("initial-exec")));

/* The coroutine as which this OS thread runs although it may not park: in a signal handler the one that was
 * interrupted, in a forked child the one that has forked. NULL if there is none. */
extern __thread struct coro *coro_detached __attribute__((tls_model("initial-exec")));

/* The coroutine that is away upon this OS thread, one of a pool (coro_depart), or NULL. It may not park there; it is
 * coro_detached too. */
extern __thread struct coro *coro_guest __attribute__((tls_model("initial-exec")));

/* The coroutine that is away here returns to the loop's thread (coro_return). Returns it, or NULL in a child of vfork,
 * which has its parent's memory but no part in this. */
struct coro *coro_come_home(void);

/* Returns the running coroutine, or NULL. One that is away comes home first: whoever asks is about to wait, or uses
 * what only the loop's thread may use. So nothing waits on a thread of the pool. */
static inline struct coro *coro_self(void)
{
    return coro_current || !coro_guest ? coro_current : coro_come_home();
}

/* What follows is for the loop's thread, or for one that is no part of this. */
static inline void coro_at_home(void)
{
    if (coro_guest)
        coro_come_home();
}

/* Returns the coroutine whose code this is, wherever that runs: the running one, or the one that is away here; or NULL.
 * For calls that do not wait. */
static inline struct coro *coro_here(void)
{
    return coro_current ? coro_current : coro_guest;
}

/* Returns the coroutine whose thread this code is, NULL if it is the OS thread's. This says whose thread-locals apply:
 * they are the coroutine's wherever it runs. */
static inline struct coro *coro_thread(void)
{
    return coro_current ? coro_current : coro_detached;
}

/* What a signal handler has interrupted: a coroutine, the loop, or another handler. */
struct coro_interrupted {
    struct coro *current, *detached, *guest;
};

/* In a signal handler, at its start: nothing may park until coro_continue, which gets the result. */
static inline struct coro_interrupted coro_interrupt(void)
{
    struct coro_interrupted interrupted = {coro_current, coro_detached, coro_guest};

    coro_detached = coro_thread();
    coro_current = coro_guest = NULL;
    return interrupted;
}

static inline void coro_continue(struct coro_interrupted interrupted)
{
    coro_detached = interrupted.detached;
    coro_guest = interrupted.guest;
    coro_current = interrupted.current;
}

/* Make the calling OS thread the one that runs coroutines. stack_size in bytes is rounded up to pages. */
void coro_init(size_t stack_size);

/* The size of stacks that are allocated from now on. Those in the pool keep theirs. */
void coro_set_stack_size(size_t size);

/* Keep size bytes for a language runtime behind the record of each coroutine that is allocated from now on. */
void coro_reserve(size_t size);

/* Free the pool. No coroutine may be running. Threads that still live end now, on their coroutines; if that may wait,
 * call coro_end_pool before. */
void coro_exit(void);

/* Start to end the thread of each coroutine in the pool; each counts as running until that is done. */
void coro_end_pool(void);

/* Have threads of a runtime be coroutines; see sl_threads. Whether one may be, and that it begins on this one. */
void coro_threads_by(const struct sl_threads *hooks);
bool coro_may_be_thread(const void *start);
void coro_begin_thread(void);

/* End the life of the running coroutine as a thread: the end hooks of sl_local, the destructors of thread-locals, the
 * release hooks. What runs next on the coroutine is a new thread. May wait. */
void coro_end_thread(void);

/* From now on the running coroutine has the thread-locals of the OS thread, if on, or else its own again. For a main
 * coroutine, which has none of its own yet. In a forked child a coroutine keeps what it has, though it is the main one
 * there. */
void coro_share_tls(bool on);

/* Have fn destroy the thread-locals of the running coroutine. */
void coro_on_end(void (*fn)(struct coro_tls *tls));

/* Queue a coroutine that will run fn(arg); it goes to the pool when fn returns, and until then the pointer is valid.
 * Returns NULL with errno ENOMEM if there is no memory for another stack, or EPERM in a forked child. See wait_start.
 */
struct coro *coro_start(void (*fn)(void *arg), void *arg);

/* The same on a new stack of that size in bytes, 0: one as others have. Such a coroutine ends by coro_quit. */
struct coro *coro_start_sized(void (*fn)(void *arg), void *arg, size_t stack_size);

/* The same as coro_start, but it runs at once, until it gives up the OS thread. Returns false with errno. For the loop
 * only: not on a coroutine. */
bool coro_run(void (*fn)(void *arg), void *arg);

/* The same as coro_start, but it starts in the second queue, as one that is expected to compute. */
struct coro *coro_start_late(void (*fn)(void *arg), void *arg);

/* Give up the OS thread until coro_wake; returns the result given there. Only on a coroutine. errno is kept. */
int coro_park(void);

/* Make a parked coroutine ready; its coro_park returns result. Returns false, and nothing happens, if it is not parked
 * (any more): the first wake-up wins. Only on the loop's OS thread. */
bool coro_wake(struct coro *co, int result);

/* End the running coroutine, and its thread, here: it does not return. What its callers had on the stack is lost, but
 * for what release functions of sl_local find. */
void coro_quit(void);

/* Go to the end of the run queue: everything ready, and one poll of the loop, comes first. */
void coro_yield(void);

/* Go to the second queue: one of those that have used up a slice runs between two polls of the loop. */
void coro_yield_late(void);

/* Whether the running coroutine has used up a slice since coro_start, or its present one. */
static inline bool coro_has_computed(void)
{
    return coro_current->has_computed || slice_is_mine();
}

/* Do so if this coroutine has used up its slice. For C code that works without waiting. */
void coro_give_way_slow(void);
static inline void coro_give_way(void)
{
    if (slice_is_over())
        coro_give_way_slow();
}

/* The coroutine that has got the OS thread for that run (slice.run) has used up its slice: it gives way as soon as it
 * can, and runtimes are asked to have their code do so. Called on another OS thread. */
void coro_expire(unsigned run);

/* Have a runtime be asked to have its code give way; see sl_preempt. */
void coro_preempt_by(const struct sl_preempt *hooks);

/* Whether the running coroutine holds the runtime's lock, and must be alone while it does not have to wait. */
bool coro_holds_runtime(void);

/* The running coroutine goes on upon another OS thread: it gives up the loop's, on whose stack after(co) is called.
 * That has another thread call coro_host, and there this function returns. Until coro_return, or the first coro_self,
 * the code of the coroutine is that of an OS thread, with the thread-locals of the coroutine. */
void coro_depart(void (*after)(struct coro *co));

/* On a thread of a pool: run a coroutine that departs, until it returns. Then the loop is to call coro_arrive. */
void coro_host(struct coro *co);

/* On the thread of the pool: give it up. Returns on the loop's thread. */
void coro_return(void);

/* For the loop: a coroutine that was away is ready. */
void coro_arrive(struct coro *co);

/* Returns the number of coroutines that have been started and have not returned. */
size_t coro_count(void);

/* Since coro_init. */
struct coro_stats {
    uint64_t started;
    size_t running; /* as coro_count */
    size_t max;     /* running at the same time */
    size_t stacks;  /* allocated now: of running coroutines, in the pool, and to be freed by the next coro_trim */
};
struct coro_stats coro_stats(void);

/* The list of these coroutines, linked by coro.all. */
struct list *coro_all(void);

/* Run what is ready at the time of the call, or until somebody has used up a slice; and one of those that have used up
 * theirs. Returns whether anything is ready then. For the loop only. */
bool sched_run(void);

/* Whether anything is ready. */
bool sched_ready(void);

/* Give memory back that the pool does not need: deep pages of stacks, and stacks that were not used lately, whose
 * threads end first; and of the heap, when many have ended. Called by the loop about once a second. */
void coro_trim(void);

/* Measure from now on for how long coroutines have the OS thread, and wait. */
void coro_clock(void);
extern bool coro_clocked;

/* What the clock says, CLOCK_MONOTONIC ns, if the caller of coro_run has just looked; otherwise 0. */
extern int64_t coro_starts_at;

/* Returns for how many nanoseconds this coroutine has had the OS thread since its stack was allocated; 0 without
 * coro_clock, and outside of coroutines. */
int64_t coro_busy(void);

/* Make a key for coroutine-local values (coro.local); hooks is copied. Returns the key or -ENOSPC. See sl_local_create.
 */
int coro_local_create(const struct sl_local *hooks);

/* Tell the hooks that an iteration of the loop is over. */
void coro_iteration(void);

/* In a signal handler: have the hooks write to fd what the coroutine is doing. */
void coro_dump_stack(const struct coro *co, int fd);

/* The same for a coroutine that does not run. Not in a signal handler: on the loop's thread. */
void coro_dump_parked(const struct coro *co, int fd);

/* Have a hook begin a session with the operator at the other end of a socket, about a coroutine, or about the process.
 * Returns whether one does; the socket is its own then. */
bool coro_debug(const struct coro *co, int fd);
bool coro_console(int fd);

/* In a signal handler: the same for the OS threads of language runtimes that are no coroutines. */
void coro_dump_threads(int fd);

/* In a signal handler: tell the hooks that the coroutine blocks the OS thread. Returns whether one says that it must
 * end and does not. */
bool coro_blocks(const struct coro *co);

/* Have a hook cancel the coroutine in its runtime's own way. Returns false if none does. */
bool coro_cancel_by_hook(const struct coro *co);

/* A wait of the running coroutine is about to fail with that errno because it is cancelled: tell the hooks. */
void coro_tell_cancelled(struct coro *co, int error);

/* Coroutines that are started from now on begin cancelled with that code, a negative errno. */
void coro_cancel_new(int code);

/* Clear the cancellation of a coroutine that goes on with other work. It is then as one that is started now. */
void coro_cancel_reset(struct coro *co);

/* Called where the code of a module returns to the server: ends the process if it is a forked child, which has no part
 * in serving. Exit code 0. */
void coro_end_child(void);

/* In a forked child, on the coroutine that has forked: it goes on, and all others are gone. It must not give up the OS
 * thread before coro_renew, nor can others be started. */
void coro_inherit(void);

/* After coro_inherit: the loop, which is run_loop, has a stack of its own from now on. run_loop must not return.
 * Returns 0 or -ENOMEM. */
int coro_renew(void (*run_loop)(void));

/* In a forked child: no coroutine can run there, coro_current becomes NULL. The one that has forked is its thread. */
void coro_forget(void);

#endif
