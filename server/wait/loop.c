/*
 * loop.c: the loop: run coroutines, poll, dispatch.
 *
 * libuv gives ticks, wake-ups from other threads and the thread pool. Descriptors that coroutines wait for
 * are in an epoll set of our own (fd.c says why), and libuv's backend descriptor is one member of that set: this is the
 * embedding that uv_backend_fd() documents. So a turn that only moves bytes costs one epoll_wait, and libuv is entered
 * when one of its descriptors is ready, or a timer of its own is due. Those of coroutines are finer (timer.c).
 */
#include "wait/wait.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/mem.h"
#include "log/log.h"
#include "wait/loop.h"

#define TRIM_EVERY 1000 /* milliseconds */

struct post {
    struct post *next;
    void (*fn)(void *arg);
    void *arg;
};

static struct {
    uv_loop_t uv;
    int holds;
    bool stopping;
    void (*each_turn)(void);
    bool dirty; /* libuv has something to register before the next poll */
    uv_async_t async;
    pthread_mutex_t post_lock;
    struct post *posts, **last_post;
    pthread_t owner;
} loop = {.post_lock = PTHREAD_MUTEX_INITIALIZER};

uv_loop_t *loop_uv(void)
{
    loop.dirty = true;
    return &loop.uv;
}

const char *wait_version(void)
{
    return uv_version_string();
}

int64_t wait_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t wait_time(void)
{
    return (int64_t)uv_now(&loop.uv);
}

int64_t wait_deadline(int64_t nanoseconds)
{
    int64_t deadline;

    if (nanoseconds < 0 || __builtin_add_overflow(wait_now(), nanoseconds, &deadline))
        return WAIT_FOREVER;
    return deadline;
}

/* ---- posts from other threads ---- */

void wait_post(void (*fn)(void *arg), void *arg)
{
    struct post *post = xmalloc(sizeof(*post));

    *post = (struct post){NULL, fn, arg};
    pthread_mutex_lock(&loop.post_lock);
    *loop.last_post = post;
    loop.last_post = &post->next;
    pthread_mutex_unlock(&loop.post_lock);
    uv_async_send(&loop.async);
}

static void run_posts(uv_async_t *async)
{
    struct post *post, *next;

    pthread_mutex_lock(&loop.post_lock);
    post = loop.posts;
    loop.posts = NULL;
    loop.last_post = &loop.posts;
    pthread_mutex_unlock(&loop.post_lock);
    for (; post; post = next) {
        next = post->next;
        post->fn(post->arg);
        free(post);
    }
}

void wait_forget(void)
{
    atomic_store(&wait_addr_waiters, 0);
    interrupt_forget();
    loop.owner = pthread_self();
    coro_forget();
}

/* ---- ticks, for the life of the loop ---- */

struct tick {
    uv_timer_t timer;
    void (*fn)(void);
};

static void on_tick(uv_timer_t *timer)
{
    ((struct tick *)timer)->fn();
}

static void start_tick(int64_t milliseconds, int64_t repeat, void (*fn)(void))
{
    struct tick *tick = xmalloc(sizeof(*tick));

    tick->fn = fn;
    uv_timer_init(loop_uv(), &tick->timer);
    uv_timer_start(&tick->timer, on_tick, (uint64_t)milliseconds, (uint64_t)repeat);
}

void wait_every(int64_t milliseconds, void (*fn)(void))
{
    start_tick(milliseconds, milliseconds, fn);
}

void wait_after(int64_t milliseconds, void (*fn)(void))
{
    start_tick(milliseconds, 0, fn);
}

static void trim(void)
{
    coro_trim();
    arena_trim();
}

/* ---- life ---- */

void wait_init(unsigned threads)
{
    int err = uv_loop_init(&loop.uv);

    if (err)
        log_die("cannot make the event loop: %s", uv_strerror(err));
    work_init(threads);
    loop.holds = 0;
    loop.stopping = false;
    loop.posts = NULL;
    loop.last_post = &loop.posts;
    uv_async_init(&loop.uv, &loop.async, run_posts);
    fd_init(uv_backend_fd(&loop.uv));
    addr_init();
    interrupt_init();
    loop.owner = pthread_self();
    timeout_init();
    wait_every(TRIM_EVERY, trim);
}

/* What was posted too late to be run. */
static void drop_posts(void)
{
    while (loop.posts) {
        struct post *post = loop.posts;

        loop.posts = post->next;
        free(post);
    }
}

static void on_close(uv_handle_t *handle)
{
    if (handle->type == UV_TIMER)
        free(handle); /* each began with its handle */
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_close);
}

void wait_exit(void)
{
    int err;

    assert(coro_count() == 0);
    timer_exit();
    signal_exit();
    uv_walk(&loop.uv, close_handle, NULL);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    err = uv_loop_close(&loop.uv);
    assert(err == 0);
    (void)err;
    drop_posts();
    fd_exit();
}

bool wait_is_owner(void)
{
    return pthread_equal(loop.owner, pthread_self());
}

void wait_hold(int change)
{
    loop.holds += change;
}

void wait_stop(void)
{
    loop.stopping = true;
}

void loop_update_time(void)
{
    uv_update_time(&loop.uv);
}

/* Nanoseconds until libuv has something to do, or WAIT_FOREVER. */
static int64_t uv_patience(void)
{
    int milliseconds;

    uv_update_time(&loop.uv);
    milliseconds = uv_backend_timeout(&loop.uv);
    return milliseconds < 0 ? WAIT_FOREVER : (int64_t)milliseconds * 1000000;
}

/* Nanoseconds that the poll may sleep, or WAIT_FOREVER. */
static int64_t patience(void)
{
    int64_t first = timer_first(), uv, left;

    if (sched_ready() || loop.dirty)
        return 0;
    uv = uv_patience();
    if (first == WAIT_FOREVER)
        return uv;
    left = first - wait_now();
    return left < 0 ? 0 : left < uv ? left : uv;
}

void wait_each_turn(void (*fn)(void))
{
    loop.each_turn = fn;
}

/* One poll; libuv takes part when it has something to do. */
static void turn(void)
{
    bool uv_ready;

    coro_iteration();
    if (loop.each_turn)
        loop.each_turn();
    uv_ready = fd_poll(patience());
    timer_run();
    if (uv_ready || loop.dirty || uv_backend_timeout(&loop.uv) == 0) {
        loop.dirty = false;
        uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
}

void wait_run(void)
{
    loop.stopping = false;
    for (;;) {
        sched_run();
        if (loop.stopping || (loop.holds == 0 && coro_count() == 0))
            return;
        turn();
    }
}
