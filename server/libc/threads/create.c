/*
 * create.c: pthread_create of a language runtime makes a coroutine, if the server is told so (threads_by_coroutines).
 *
 * Thousands of threads then take one OS thread, and as much memory as parked requests. Only where a coroutine can be
 * made: an OS thread that starts one, and a process without a loop (preload, some forked children), get OS threads. A
 * thread with a stack of its own size gets a new stack of that size, and it is freed at its end; all others take what
 * is in the pool.
 *
 * The identity of a thread must not be given out again until it is joined or detached, but its coroutine goes back to
 * the pool at once. So each thread has a new identity (identity_renew), and a record by which it is joined.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/real.h"
#include "libc/runtime/caller.h"
#include "libc/runtime/identity.h"
#include "libc/runtime/park.h"
#include "libc/runtime/thread_exit.h"
#include "libc/sync/futex.h"
#include "libc/threads/threads.h"

#define FIRST_NATIVE_ID (1U << 22) /* the kernel's ids are smaller, PID_MAX_LIMIT */

struct thread {
    struct thread *next;
    pthread_t id;
    void *(*fn)(void *arg);
    void *arg, *value; /* value: what fn has returned */
    uint32_t done;     /* a futex: 1 when it has ended */
    bool detached;     /* the record goes with the end */
    bool has_stack;    /* of its own size */
};

static bool by_coroutines;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct thread *threads; /* the newest first; under the lock, as is the count */
static size_t count;           /* of those that have not ended */

/* ---- records ---- */

static void threads_lock(void)
{
    real()->pthread_mutex_lock(&lock);
}

static void threads_unlock(void)
{
    real()->pthread_mutex_unlock(&lock);
}

/* The child has the thread that has forked, if any, and nobody else. */
static void threads_after_fork(void)
{
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    count = 0;
}

size_t threads_count(void)
{
    size_t result;

    threads_lock();
    result = count;
    threads_unlock();
    return result;
}

/* Returns what points to a record, NULL at the end of the list if there is none. Under the lock. */
static struct thread **thread_place(pthread_t id)
{
    struct thread **place = &threads;

    while (*place && (*place)->id != id)
        place = &(*place)->next;
    return place;
}

/* Take the record at a place out of the list and free it. Returns what the thread has returned. Under the lock. */
static void *thread_take(struct thread **place)
{
    struct thread *thread = *place;
    void *value = thread->value;

    *place = thread->next;
    free(thread);
    return value;
}

/* ---- the life of a thread ---- */

static void thread_ended(pthread_t id, void *value)
{
    struct thread **place, *thread;

    threads_lock();
    place = thread_place(id);
    thread = *place;
    count -= count > 0;
    thread->value = value;
    if (thread->detached) {
        thread_take(place);
    } else {
        __atomic_store_n(&thread->done, 1, __ATOMIC_SEQ_CST);
        futex_call(&thread->done, FUTEX_WAKE_PRIVATE, INT32_MAX, 0, NULL, 0);
    }
    threads_unlock();
}

/* It has called pthread_exit. */
static void thread_exited(void *value)
{
    if (coro_self()->native_id && !coro_self()->is_main)
        thread_ended(identity_of(coro_self()), value);
}

/* A thread that returns in a process that it has forked was the last one, which ends the process. */
static void thread_end_child(void)
{
    coro_end_child();
    if (coro_self()->is_main)
        exit(EXIT_SUCCESS);
}

/* The function of the coroutine. One that used it before ends first. */
static void thread_run(void *arg)
{
    struct thread thread = *(struct thread *)arg;
    void *value;

    coro_end_thread();
    coro_begin_thread();
    value = thread.fn(thread.arg);
    thread_end_child();
    coro_end_thread();
    thread_ended(thread.id, value);
    if (thread.has_stack)
        coro_quit();
}

int threads_native_id(void)
{
    const struct coro *co = coro_self();

    return co && !co->is_main ? co->native_id : 0;
}

/* ---- the call ---- */

/* Returns the size of the stack that attr asks for; 0: the default. */
static size_t stack_wish(const pthread_attr_t *attr)
{
    size_t size = 0, usual = 0;
    pthread_attr_t plain;

    if (!attr || pthread_attr_init(&plain))
        return 0;
    pthread_attr_getstacksize(attr, &size);
    pthread_attr_getstacksize(&plain, &usual);
    pthread_attr_destroy(&plain);
    return size == usual ? 0 : size;
}

static int threads_begin(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg)
{
    static unsigned last_native_id;
    struct thread *thread = xcalloc(1, sizeof(*thread));
    size_t stack = stack_wish(attr);
    int detached = PTHREAD_CREATE_JOINABLE;
    struct coro *co = wait_start_sized(thread_run, thread, stack);

    if (!co) {
        free(thread);
        return EAGAIN;
    }
    if (attr)
        pthread_attr_getdetachstate(attr, &detached);
    *thread = (struct thread){.id = identity_renew(co),
                              .fn = fn,
                              .arg = arg,
                              .detached = detached == PTHREAD_CREATE_DETACHED,
                              .has_stack = stack > 0};
    co->native_id = (int)(FIRST_NATIVE_ID + last_native_id++ % FIRST_NATIVE_ID);
    *id = thread->id;
    threads_lock();
    thread->next = threads;
    threads = thread;
    count++;
    threads_unlock();
    return 0;
}

void threads_by_coroutines(bool on)
{
    static bool registered;

    if (on && !registered)
        registered = pthread_atfork(threads_lock, threads_unlock, threads_after_fork) == 0;
    thread_exit_tell(thread_exited);
    by_coroutines = on;
}

/* Weak: clang's AddressSanitizer, where it is linked in, must see all threads begin. */
__attribute__((weak)) int pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg)
{
    if (!by_coroutines || caller_kind() != CALLER_RUNTIME || !coro_self() || !park_possible() ||
        !coro_may_be_thread(arg))
        return real()->pthread_create(id, attr, fn, arg);
    return threads_begin(id, attr, fn, arg);
}

/* ---- joining ---- */

/* Returns why a thread cannot be joined or detached, as an error number; 0: it can. Under the lock. */
static int thread_refusal(const struct thread *thread)
{
    if (!thread)
        return ESRCH;
    return thread->detached ? EINVAL : 0;
}

int threads_try_join(pthread_t id, void **value)
{
    struct thread **place;
    void *result = NULL;
    int error;

    threads_lock();
    place = thread_place(id);
    error = thread_refusal(*place);
    if (!error && !(*place)->done)
        error = EBUSY;
    if (!error)
        result = thread_take(place);
    threads_unlock();
    if (!error && value)
        *value = result;
    return error;
}

/* Wait until the thread has ended. A join cannot fail otherwise than by its deadline. */
static int thread_await(const uint32_t *done, clockid_t clock, const struct timespec *until)
{
    int op = FUTEX_WAIT_BITSET_PRIVATE | (clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0);
    long result = futex_call((uint32_t *)done, op, 0, (uintptr_t)until, NULL, FUTEX_BITSET_MATCH_ANY);

    park_ignore((int)result);
    return result < 0 && errno == ETIMEDOUT ? ETIMEDOUT : 0;
}

int threads_join(pthread_t id, void **value, clockid_t clock, const struct timespec *until)
{
    int error = 0, result, saved = errno;
    const struct thread *thread;

    while (!error && (result = threads_try_join(id, value)) == EBUSY) {
        if (identity_is_own(id))
            return EDEADLK;
        threads_lock();
        thread = *thread_place(id);
        threads_unlock();
        if (thread) /* nobody else may join it meanwhile, so the record stays */
            error = thread_await(&thread->done, clock, until);
    }
    errno = saved;
    return error ? error : result;
}

int threads_detach(pthread_t id)
{
    struct thread **place;
    int error;

    threads_lock();
    place = thread_place(id);
    error = thread_refusal(*place);
    if (!error && (*place)->done)
        thread_take(place);
    else if (!error)
        (*place)->detached = true;
    threads_unlock();
    return error;
}
