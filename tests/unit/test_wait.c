/* test_wait.c: timers, descriptors, the parking lot, the thread pool, posts and cancelling. */
#include "core_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

static int ends[2];

static void sleep_20(void *arg)
{
    int64_t before = wait_now(), took;

    assert_int_equal(wait_sleep(wait_deadline(20 * MS)), 0);
    took = wait_now() - before;
    assert_true(took >= 20 * MS && took < 2000 * MS);
    assert_int_equal(wait_sleep(before), 0); /* in the past */
}

static void test_sleep_lasts(void **state)
{
    on_coroutine(sleep_20, NULL);
}

static struct coro *waiting;

static void waits_for_ever(void *arg)
{
    waiting = coro_self();
    *(int *)arg = wait_sleep(WAIT_FOREVER);
}

static void cancels(void *arg)
{
    assert_true(wait_cancel(waiting, -EINTR));
    assert_false(wait_cancel(waiting, -ECANCELED));
}

static void test_cancel(void **state)
{
    int result = 0;

    coro_start(waits_for_ever, &result);
    on_coroutine(cancels, NULL);
    assert_int_equal(result, -EINTR);
}

static void reads_pipe(void *arg)
{
    *(int *)arg = wait_fd(ends[0], POLLIN, WAIT_FOREVER);
}

static void writes_pipe(void *arg)
{
    assert_int_equal(wait_fd(ends[0], POLLIN, wait_deadline(5 * MS)), -ETIMEDOUT);
    assert_int_equal(write(ends[1], "x", 1), 1);
}

static void test_two_readers_both_wake(void **state)
{
    int first = 0, second = 0;

    assert_int_equal(pipe(ends), 0);
    coro_start(reads_pipe, &first);
    coro_start(reads_pipe, &second);
    on_coroutine(writes_pipe, NULL);
    assert_int_equal(first, POLLIN);
    assert_int_equal(second, POLLIN);
    close(ends[0]);
    close(ends[1]);
}

static void closes_pipe(void *arg)
{
    wait_fd_close(ends[0]);
}

static void test_close_wakes(void **state)
{
    int result = 0;

    assert_int_equal(pipe(ends), 0);
    coro_start(reads_pipe, &result);
    on_coroutine(closes_pipe, NULL);
    assert_int_equal(result, -EBADF);
    close(ends[0]);
    close(ends[1]);
}

static void waits_for_disk(void *arg)
{
    int fd = open("/proc/self/exe", O_RDONLY);

    assert_int_equal(wait_fd(fd, POLLIN, WAIT_FOREVER), -EPERM);
    assert_int_equal(wait_fd(-1, POLLIN, WAIT_FOREVER), -EBADF);
    close(fd);
}

static void test_disk_files_cannot_be_watched(void **state)
{
    on_coroutine(waits_for_disk, NULL);
}

static int ready_calls;

static void on_ready(struct wait_source *source, short events)
{
    ready_calls++;
    assert_true(events & POLLIN);
    wait_stop();
}

static void test_source_is_edge_triggered(void **state)
{
    struct wait_source source = {.ready = on_ready};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    source.fd = ends[0];
    assert_int_equal(wait_source_open(&source), 0);
    wait_hold(+1);
    for (ready_calls = 0; ready_calls < 3;) {
        assert_int_equal(write(ends[1], "x", 1), 1); /* never read: each write is an edge */
        wait_run();
    }
    wait_hold(-1);
    assert_true(source.seen & POLLIN);
    wait_source_close(&source);
    close(ends[0]);
    close(ends[1]);
}

/* ---- the parking lot: tokens handed over by an OS thread ---- */

#define TOKENS 20000

static atomic_int tokens;

static void *gives(void *arg)
{
    for (int i = 0; i < TOKENS; i++) {
        atomic_fetch_add(&tokens, 1);
        wait_addr_wake(&tokens, 1);
    }
    return NULL;
}

static bool take(void)
{
    int n = atomic_load(&tokens);

    while (n > 0 && !atomic_compare_exchange_weak(&tokens, &n, n - 1))
        ;
    return n > 0;
}

static void takes(void *arg)
{
    for (int i = 0; i < TOKENS / 2; i++) {
        while (!take()) {
            struct wait_addr w;

            wait_addr_enter(&w, &tokens);
            if (take()) {
                wait_addr_leave(&w);
                break;
            }
            assert_int_equal(wait_addr_park(&w, wait_deadline(10000 * MS)), 0);
        }
    }
}

static void test_no_wake_up_is_lost(void **state)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, gives, NULL), 0);
    coro_start(takes, NULL);
    on_coroutine(takes, NULL);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&tokens), 0);
    assert_int_equal(atomic_load(&wait_addr_waiters), 0);
}

static int seven(void *arg)
{
    assert_null(coro_self());
    usleep(5000);
    return 7;
}

static void offloads(void *arg)
{
    assert_int_equal(wait_offload(seven, NULL), 7);
}

static void test_offload(void **state)
{
    on_coroutine(offloads, NULL);
}

static void wakes(void *arg)
{
    coro_wake(waiting, 3);
}

static void *posts(void *arg)
{
    wait_post(wakes, NULL);
    return NULL;
}

static void test_post_from_a_thread(void **state)
{
    pthread_t thread;
    int result = 0;

    coro_start(waits_for_ever, &result);
    sched_run();
    assert_int_equal(pthread_create(&thread, NULL, posts, NULL), 0);
    wait_run();
    pthread_join(thread, NULL);
    assert_int_equal(result, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sleep_lasts),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_two_readers_both_wake),
        cmocka_unit_test(test_close_wakes),
        cmocka_unit_test(test_disk_files_cannot_be_watched),
        cmocka_unit_test(test_source_is_edge_triggered),
        cmocka_unit_test(test_no_wake_up_is_lost),
        cmocka_unit_test(test_offload),
        cmocka_unit_test(test_post_from_a_thread),
    };

    return cmocka_run_group_tests(tests, loop_setup, loop_teardown);
}
