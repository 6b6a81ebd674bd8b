/*
 * loop.c: the event loop: run coroutines, poll, dispatch.
 *
 * libuv provides the periodic callbacks and the wake-ups from other threads. Descriptors that coroutines wait for are
 * in an epoll set of our own (fd.c says why), and libuv's backend descriptor is a member of that set: this is the
 * embedding that uv_backend_fd() documents. So an iteration that only moves bytes costs one epoll_wait. libuv is
 * entered when one of its descriptors is ready or one of its timers is due. Coroutines do not use its timers, which
 * count in milliseconds (timer.c), nor its thread pool, which does not survive a fork (work.c).
 */
#include "wait/wait.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/mem.h"
#include "base/own.h"
#include "base/real.h"
#include "coro/recorder.h"
#include "log/log.h"
#include "wait/loop.h"

LIBRARY_DEFINE(libuv, LIBUV_CALLS);

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
    void (*each_iteration)(void); /* may be NULL */
    bool dirty;                   /* libuv has something to register before the next poll */
    uv_async_t async;
    pthread_mutex_t post_lock; /* guards posts and last_post */
    struct post *posts, **last_post;
    pthread_t owner;        /* the OS thread that runs the loop */
    bool lost;              /* this is a forked child, which has no loop (yet) */
    bool in_children;       /* see wait_children_go_on */
    void (*on_child)(void); /* see wait_on_child; or NULL */
} loop = {.post_lock = PTHREAD_MUTEX_INITIALIZER};

__thread bool wait_makes_loop;

uv_loop_t *loop_uv(void)
{
    wait_revive();
    loop.dirty = true;
    return &loop.uv;
}

const char *wait_uv_version(void)
{
    return libuv.uv_version_string();
}

const void *wait_uv_address(void)
{
    return (const void *)libuv.uv_loop_init;
}

int64_t wait_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t wait_time(void)
{
    return (int64_t)libuv.uv_now(&loop.uv);
}

int64_t wait_deadline(int64_t nanoseconds)
{
    int64_t deadline;

    if (nanoseconds < 0 || __builtin_add_overflow(wait_now(), nanoseconds, &deadline))
        return WAIT_FOREVER;
    return deadline;
}

/* ---- posts from other threads ---- */

void loop_notify(uv_async_t *async)
{
    struct coro_interrupted before = coro_interrupt();

    libuv.uv_async_send(async);
    coro_continue(before);
}

void wait_post(void (*fn)(void *arg), void *arg)
{
    struct post *post = xmalloc(sizeof(*post));

    *post = (struct post){NULL, fn, arg};
    real()->pthread_mutex_lock(&loop.post_lock);
    *loop.last_post = post;
    loop.last_post = &post->next;
    real()->pthread_mutex_unlock(&loop.post_lock);
    if (!loop.lost)
        loop_notify(&loop.async);
}

static void loop_run_posts(uv_async_t *async)
{
    struct post *post, *next;

    real()->pthread_mutex_lock(&loop.post_lock);
    post = loop.posts;
    loop.posts = NULL;
    loop.last_post = &loop.posts;
    real()->pthread_mutex_unlock(&loop.post_lock);
    for (; post; post = next) {
        next = post->next;
        post->fn(post->arg);
        free(post);
    }
}

/* ---- periodic callbacks, which stay as long as the loop ---- */

struct tick {
    uv_timer_t timer;
    void (*fn)(void);
};

static void tick_run(uv_timer_t *timer)
{
    ((struct tick *)timer)->fn();
}

static void tick_start(int64_t milliseconds, int64_t repeat, void (*fn)(void))
{
    struct tick *tick = xmalloc(sizeof(*tick));

    tick->fn = fn;
    libuv.uv_timer_init(loop_uv(), &tick->timer);
    libuv.uv_timer_start(&tick->timer, tick_run, (uint64_t)milliseconds, (uint64_t)repeat);
}

void wait_every(int64_t milliseconds, void (*fn)(void))
{
    tick_start(milliseconds, milliseconds, fn);
}

void wait_after(int64_t milliseconds, void (*fn)(void))
{
    tick_start(milliseconds, 0, fn);
}

static void loop_trim(void)
{
    coro_trim();
    arena_trim();
}

/* ---- init and exit ---- */

/* libuv has no function that tells its descriptors. */
static void own_loop_fds(void)
{
    own_fd(libuv.uv_backend_fd(&loop.uv));
    own_fd(loop.uv.async_io_watcher.fd);
    own_fd(loop.uv.async_wfd);
    own_fd(loop.uv.signal_pipefd[0]);
    own_fd(loop.uv.signal_pipefd[1]);
}

static void disown_loop_fds(void)
{
    own_fd_end(libuv.uv_backend_fd(&loop.uv));
    own_fd_end(loop.uv.async_io_watcher.fd);
    own_fd_end(loop.uv.async_wfd);
    own_fd_end(loop.uv.signal_pipefd[0]);
    own_fd_end(loop.uv.signal_pipefd[1]);
}

static void loop_init(void)
{
    int err;

    wait_makes_loop = true;
    err = libuv.uv_loop_init(&loop.uv);
    wait_makes_loop = false;
    if (err)
        log_die("cannot make the event loop: %s", libuv.uv_strerror(err));
    loop.lost = false;
    loop.holds = 0;
    loop.stopping = false;
    libuv.uv_async_init(&loop.uv, &loop.async, loop_run_posts);
    fd_init(libuv.uv_backend_fd(&loop.uv));
    own_loop_fds();
    addr_init();
    interrupt_init();
    loop.owner = real()->pthread_self();
    timeout_init();
    wait_every(TRIM_EVERY, loop_trim);
}

void wait_init(unsigned threads)
{
    work_init(threads);
    loop.posts = NULL;
    loop.last_post = &loop.posts;
    loop_init();
}

/* Free what was posted too late to be run. */
static void loop_drop_posts(void)
{
    while (loop.posts) {
        struct post *post = loop.posts;

        loop.posts = post->next;
        free(post);
    }
}

static void handle_free(uv_handle_t *handle)
{
    if (handle->type == UV_TIMER)
        free(handle); /* struct tick begins with its handle; timeout.c allocates the handle alone */
}

static void handle_close(uv_handle_t *handle, void *arg)
{
    if (!libuv.uv_is_closing(handle))
        libuv.uv_close(handle, handle_free);
}

void wait_exit(void)
{
    int err;

    assert(coro_count() == 0);
    timer_exit();
    timeout_exit();
    signal_exit();
    disown_loop_fds();
    libuv.uv_walk(&loop.uv, handle_close, NULL);
    libuv.uv_run(&loop.uv, UV_RUN_DEFAULT);
    err = libuv.uv_loop_close(&loop.uv);
    assert(err == 0);
    (void)err;
    loop_drop_posts();
    fd_exit();
}

/* ---- forked children ---- */

void wait_children_go_on(void)
{
    loop.in_children = true;
}

void wait_on_child(void (*fn)(void))
{
    loop.on_child = fn;
}

/* The coroutine that has forked is the main one. */
static void loop_inherit(struct coro *co)
{
    timer_forget();
    coro_inherit();
    wait_set_main(co);
}

void wait_forget(void)
{
    struct coro *co = coro_self();

    atomic_store(&wait_addr_waiters, 0);
    interrupt_forget();
    watcher_forget();
    signal_forget();
    fd_forget();
    away_forget();
    loop.lost = true;
    loop.owner = real()->pthread_self();
    loop.post_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    loop.posts = NULL;
    loop.last_post = &loop.posts;
    if (loop.in_children && co)
        loop_inherit(co);
    else
        coro_forget();
}

static void run_for_ever(void)
{
    for (;;)
        wait_run();
}

bool wait_revive(void)
{
    if (!loop.lost)
        return true;
    if (!coro_self() || !wait_is_owner() || coro_renew(run_for_ever) < 0)
        return false;
    memset(&loop.uv, 0, sizeof(loop.uv));
    work_forget();
    loop_init();
    if (loop.on_child)
        loop.on_child();
    if (loop.posts) /* by other threads, before there was a loop */
        loop_notify(&loop.async);
    return true;
}

bool wait_has_loop(void)
{
    return loop.last_post != NULL;
}

bool wait_is_owner(void)
{
    return pthread_equal(loop.owner, real()->pthread_self());
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
    libuv.uv_update_time(&loop.uv);
}

/* Nanoseconds until a timer of libuv is due, or WAIT_FOREVER. */
static int64_t uv_timeout(void)
{
    int milliseconds;

    libuv.uv_update_time(&loop.uv);
    milliseconds = libuv.uv_backend_timeout(&loop.uv);
    return milliseconds < 0 ? WAIT_FOREVER : (int64_t)milliseconds * 1000000;
}

/* Nanoseconds that the poll may sleep, or WAIT_FOREVER. */
static int64_t poll_timeout(void)
{
    int64_t first = timer_first(), uv, left;

    if (sched_ready() || loop.dirty)
        return 0;
    uv = uv_timeout();
    if (first == WAIT_FOREVER)
        return uv;
    left = first - wait_now();
    return left < 0 ? 0 : min_int64(left, uv);
}

void wait_each_iteration(void (*fn)(void))
{
    loop.each_iteration = fn;
}

/* Poll once, and let libuv run if it has something to do. */
static void loop_poll(void)
{
    bool uv_ready;

    coro_iteration();
    if (loop.each_iteration)
        loop.each_iteration();
    record_iteration();
    uv_ready = fd_poll(poll_timeout());
    timer_run();
    if (uv_ready || loop.dirty || libuv.uv_backend_timeout(&loop.uv) == 0) {
        loop.dirty = false;
        libuv.uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
}

void wait_run(void)
{
    loop.stopping = false;
    for (;;) {
        sched_run();
        if (loop.stopping || loop.holds + (int)coro_count() == 0)
            return;
        loop_poll();
    }
}
