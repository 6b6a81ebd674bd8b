/*
 * libc_test.h: run a scene twice, in a plain OS thread and on a coroutine, and compare what it reports.
 *
 * A scene makes its own descriptors and reports every result with its errno. While it waits, helpers
 * act: OS threads that start a little later. On the coroutine a ticker runs beside it, which shows if a call blocks the
 * loop.
 */
#ifndef LIBC_TEST_H
#define LIBC_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>
#include "any_cmocka.h"

#include "base/array.h"
#include "coro/coro.h"
#include "libc/libc.h"
#include "slice_test.h"
#include "wait/wait.h"

#define LATER_MS   15
#define HELPERS    8
#define BEATS      3 /* that the ticker must make while a scene waits for a helper */
#define STALLED_MS 2000

/* ---- reports ---- */

struct report {
    char text[32768];
    size_t size;
};

__attribute__((format(printf, 2, 3))) static inline void report(struct report *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    r->size += (size_t)vsnprintf(r->text + r->size, sizeof(r->text) - r->size, fmt, ap);
    va_end(ap);
    assert_true(r->size < sizeof(r->text));
}

/* Report an expression, its value and, if that is negative, errno. */
#define CALL(r, expression)                                                                                            \
    do {                                                                                                               \
        long value_;                                                                                                   \
        errno = 0;                                                                                                     \
        value_ = (long)(expression);                                                                                   \
        report(r, "%s = %ld %s\n", #expression, value_, errno ? strerrorname_np(errno) : "");                          \
    } while (0)

/* ---- helpers ---- */

struct scene;

struct helper {
    pthread_t thread;
    void (*fn)(long arg);
    long arg;
    int delay;
    struct scene *scene;
    int beats; /* of the ticker when this was made */
};

struct scene {
    struct report report;
    atomic_int *beats; /* of the ticker beside it, or NULL */
    atomic_int stalls; /* helpers during which the ticker stood still */
    struct helper helpers[HELPERS];
    int helper_count;
};

/* Whether the ticker has gone on since the helper was made. On a busy machine that may take a while; while a call
 * blocks the loop it makes no beat. */
static inline bool ticker_runs(const struct helper *helper)
{
    for (int i = 0; i < STALLED_MS; i++) {
        if (atomic_load(helper->scene->beats) >= helper->beats + BEATS)
            return true;
        usleep(1000);
    }
    return false;
}

static inline void *helper_main(void *arg)
{
    struct helper *helper = arg;
    struct scene *scene = helper->scene;

    usleep((useconds_t)helper->delay * 1000);
    if (scene->beats && !ticker_runs(helper))
        atomic_fetch_add(&scene->stalls, 1);
    helper->fn(helper->arg);
    return NULL;
}

/* Have an OS thread call fn(arg) after that many milliseconds. */
static inline void after(struct scene *scene, int milliseconds, void (*fn)(long), long arg)
{
    struct helper *helper = &scene->helpers[scene->helper_count++];

    *helper = (struct helper){.fn = fn, .arg = arg, .delay = milliseconds, .scene = scene};
    helper->beats = scene->beats ? atomic_load(scene->beats) : 0;
    assert_int_equal(pthread_create(&helper->thread, NULL, helper_main, helper), 0);
}

static inline void later(struct scene *scene, void (*fn)(long), long arg)
{
    after(scene, LATER_MS, fn, arg);
}

static inline void wait_for_helpers(struct scene *scene)
{
    while (scene->helper_count > 0)
        pthread_join(scene->helpers[--scene->helper_count].thread, NULL);
}

/* ---- running ---- */

struct run {
    struct scene scene;
    void (*fn)(struct scene *);
    atomic_bool over;
    atomic_int beats;
};

static inline void *run_scene(void *arg)
{
    struct run *run = arg;

    run->fn(&run->scene);
    wait_for_helpers(&run->scene);
    run->over = true;
    return NULL;
}

static inline void run_on_coroutine(void *arg)
{
    run_scene(arg);
}

static inline void tick(void *arg)
{
    struct run *run = arg;

    for (; !run->over; run->beats++)
        wait_sleep(wait_deadline(1000000));
}

/* Start coroutines and run the loop until all have returned. */
static inline void run_all(int count, void (*const fns[])(void *), void *arg)
{
    for (int i = 0; i < count; i++)
        assert_non_null(coro_start(fns[i], arg));
    wait_run();
}

#define RUN(arg, ...)                                                                                                  \
    run_all(ARRAY_SIZE(((void (*[])(void *)){__VA_ARGS__})), (void (*const[])(void *)){__VA_ARGS__}, arg)

/* Run the scene of plain in a thread, and that of run on a coroutine. */
static inline void run_both(struct run *plain, struct run *run)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_scene, plain), 0);
    pthread_join(thread, NULL);
    run->scene.beats = &run->beats;
    RUN(run, run_on_coroutine, tick);
    assert_int_equal(run->scene.stalls, 0);
}

/* The scene must report the same in both ways, and on the coroutine let the ticker make at least that many beats. */
static inline void compare(void (*fn)(struct scene *), int beats)
{
    struct run plain = {.fn = fn}, run = {.fn = fn};

    run_both(&plain, &run);
    if (strcmp(plain.scene.report.text, run.scene.report.text) != 0)
        printf("in a thread:\n%son a coroutine:\n%s", plain.scene.report.text, run.scene.report.text);
    assert_string_equal(plain.scene.report.text, run.scene.report.text);
    assert_true(run.beats >= beats);
}

/* A test that is only such a comparison. */
#define COMPARE(name, beats)                                                                                           \
    static void test_##name(void **state)                                                                              \
    {                                                                                                                  \
        compare(name, beats);                                                                                          \
    }

static inline int64_t now_ms(void)
{
    return wait_now() / 1000000;
}

/* Returns the time of a clock in that many milliseconds. */
static inline struct timespec in_ms(clockid_t clock, int milliseconds)
{
    struct timespec t;

    clock_gettime(clock, &t);
    t.tv_nsec += milliseconds * 1000000L;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static inline int libc_test_setup(void **state)
{
    coro_init(256 * 1024);
    wait_init(4);
    libc_init(RESOLVER_CARES);
    return 0;
}

static inline int libc_test_teardown(void **state)
{
    wait_exit();
    coro_exit();
    return 0;
}

/* ---- children ---- */

/* A child that exits with that code after a moment. */
static inline pid_t child(int code)
{
    pid_t pid = fork();

    if (pid == 0) {
        usleep(LATER_MS * 1000);
        _exit(code);
    }
    return pid;
}

/* ---- descriptors ---- */

static inline void make_pipe(int ends[2])
{
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
}

static inline void make_pair(int type, int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
}

static inline void close_both(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

/* A listening TCP socket on the loopback; its address goes to *at. */
static inline int make_listener(struct sockaddr_in *at, int backlog)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof(*at);

    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)at, size), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &size), 0);
    return fd;
}

#endif
