/* test_wait.c: deadlines, posts, signals, periodic callbacks, the thread pool, init and exit of the loop. */
#include "core_test.h"

#include <pthread.h>
#include <signal.h>

/* ---- deadlines ---- */

struct sleeper {
    int after; /* milliseconds */
    int64_t deadline, woke;
    int turn;
};

static int turns;

static void sleeps(void *arg)
{
    struct sleeper *s = arg;

    assert_int_equal(wait_sleep(s->deadline), 0);
    s->woke = wait_now();
    s->turn = ++turns;
}

/* In the order of their deadlines, never early, and not very late. */
static void test_sleepers_wake_in_order(void **state)
{
    struct sleeper sleepers[] = {{.after = 30}, {.after = 10}, {.after = 20}, {.after = 0},
                                 {.after = -5}, {.after = 10}, {.after = 21}};
    int64_t now = wait_now();

    turns = 0;
    for (size_t i = 0; i < COUNT(sleepers); i++) {
        sleepers[i].deadline = now + sleepers[i].after * MS;
        coro_start(sleeps, &sleepers[i]);
    }
    wait_run();
    for (size_t i = 0; i < COUNT(sleepers); i++) {
        struct sleeper *s = &sleepers[i];

        assert_true(s->woke >= s->deadline);
        assert_true(s->woke < s->deadline + 1000 * MS);
        for (size_t j = 0; j < COUNT(sleepers); j++) /* those that are due already are all due at once */
            assert_true(sleepers[j].after >= s->after || sleepers[j].turn < s->turn || s->after <= 0);
    }
}

static void naps(void *arg)
{
    for (int i = 0; i < 5; i++)
        wait_sleep(wait_deadline(MS / 10));
}

/* Five sleeps of 0.1 ms take much less than 5 ms: in the best of some attempts, since the machine may be busy. */
static void test_sleeps_are_finer_than_milliseconds(void **state)
{
    int64_t best = INT64_MAX;

    for (int i = 0; i < 100 && best >= 3 * MS; i++) {
        int64_t begin = wait_now(), took;

        on_coroutine(naps, NULL);
        took = wait_now() - begin;
        best = took < best ? took : best;
    }
    assert_in_range(best, MS / 2, 3 * MS);
}

#define CROWD 1000

static struct sleeper crowd[CROWD];
static struct coro *crowd_coros[CROWD];

static void sleeps_or_is_woken(void *arg)
{
    struct sleeper *s = arg;

    crowd_coros[s - crowd] = coro_self();
    assert_int_equal(wait_park(s->deadline), s->after < 0 ? -EINTR : -ETIMEDOUT);
    s->woke = wait_now();
    s->turn = ++turns;
}

static void wakes_some(void *arg)
{
    for (size_t i = 0; i < CROWD; i++)
        if (crowd[i].after < 0)
            assert_true(coro_wake(crowd_coros[i], -EINTR));
}

/* Deadlines in any order, a third of which are cancelled: the others end in their order. */
static void test_a_crowd_of_sleepers_ends_in_order(void **state)
{
    int64_t last = 0;

    srand(1);
    turns = 0;
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = (struct sleeper){.after = rand() % 3 - 1,
                                    .deadline = wait_now() + (20000 + rand() % 50000) * INT64_C(1000)};
        coro_start(sleeps_or_is_woken, &crowd[i]);
    }
    coro_start(wakes_some, NULL);
    wait_run();
    for (int turn = 1; turn <= CROWD; turn++)
        for (size_t i = 0; i < CROWD; i++)
            if (crowd[i].turn == turn && crowd[i].after >= 0) {
                assert_true(crowd[i].woke >= crowd[i].deadline);
                assert_true(crowd[i].deadline >= last);
                last = crowd[i].deadline;
            }
}

/* Not even by a part of a microsecond. */
static void test_sleep_is_never_short(void **state)
{
    for (int64_t ns = 1; ns < 5 * MS; ns += MS / 3) {
        struct sleeper s = {.deadline = wait_deadline(ns)};

        on_coroutine(sleeps, &s);
        assert_true(s.woke >= s.deadline);
    }
}

static void test_deadline_arithmetic(void **state)
{
    int64_t before = wait_now(), deadline = wait_deadline(5 * MS);

    assert_in_range(deadline, before + 5 * MS, wait_now() + 5 * MS);
    assert_int_equal(wait_deadline(-1), WAIT_FOREVER);
    assert_int_equal(wait_deadline(INT64_MAX), WAIT_FOREVER);
    assert_int_equal(wait_deadline(INT64_MAX - 1), WAIT_FOREVER);
}

/* A wake-up before the deadline leaves no timer that would wake a later wait. */
static struct coro *parked;

static void parks_twice(void *arg)
{
    parked = coro_self();
    assert_int_equal(wait_park(wait_deadline(5 * MS)), 3);
    assert_int_equal(wait_park(WAIT_FOREVER), 4);
}

static void wakes_parked(void *arg)
{
    coro_wake(parked, 3);
    wait_sleep(wait_deadline(15 * MS));
    assert_true(coro_wake(parked, 4));
}

static void test_a_wake_up_ends_the_timer(void **state)
{
    coro_start(parks_twice, NULL);
    on_coroutine(wakes_parked, NULL);
}

static struct coro *parked_for_ever;

static void waits_for_ever(void *arg)
{
    parked_for_ever = coro_self();
    *(int *)arg = wait_sleep(WAIT_FOREVER);
}

static void cancels(void *arg)
{
    wait_cancel(parked_for_ever, -EINTR);
}

/* ---- the thread pool ---- */

static int square(void *arg)
{
    assert_null(coro_self());
    usleep(2000);
    return *(int *)arg * *(int *)arg;
}

static void offloads(void *arg)
{
    int *n = arg;

    *n = wait_offload(square, n);
}

static void test_offload(void **state)
{
    int numbers[8];

    for (int i = 0; i < 8; i++) {
        numbers[i] = i;
        coro_start(offloads, &numbers[i]);
    }
    wait_run();
    for (int i = 0; i < 8; i++)
        assert_int_equal(numbers[i], i * i);
    assert_int_equal(wait_offload(square, &(int){7}), 49); /* not on a coroutine: a plain call */
}

enum { POOL = 2 }; /* as many threads as loop_setup asks for */

static atomic_int working, most_working;

static int hold_a_thread(void *arg)
{
    int now = atomic_fetch_add(&working, 1) + 1, most = atomic_load(&most_working);

    while (now > most && !atomic_compare_exchange_weak(&most_working, &most, now))
        ;
    usleep(5000);
    atomic_fetch_sub(&working, 1);
    return 0;
}

static void hold_from_coroutine(void *arg)
{
    assert_int_equal(wait_offload(hold_a_thread, NULL), 0);
}

static void test_the_pool_grows_to_its_size(void **state)
{
    for (int i = 0; i < 4 * POOL; i++)
        coro_start(hold_from_coroutine, NULL);
    wait_run();
    assert_int_equal(atomic_load(&most_working), POOL);
}

static void leave_by_exit(void *arg)
{
    int status, n = 3;
    pid_t child;

    assert_int_equal(wait_offload(square, &n), 9); /* the pool has a thread */
    child = fork();
    if (child == 0)
        exit(7);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void test_a_forked_child_ends_without_the_pool(void **state)
{
#ifdef __SANITIZE_ADDRESS__
    skip(); /* the child would tell of leaks in what the parent has in use */
#endif
    on_coroutine(leave_by_exit, NULL);
}

/* ---- posts ---- */

enum { POSTERS = 3, POSTS = 3000 };

static int next_post[POSTERS];

struct post {
    int poster, number;
};

static void receive(void *arg)
{
    struct post *post = arg;

    assert_null(coro_self());
    assert_int_equal(post->number, next_post[post->poster]); /* each thread's in its order */
    next_post[post->poster]++;
    free(post);
    wait_hold(-1);
}

static void *posts(void *arg)
{
    for (int i = 0; i < POSTS; i++) {
        struct post *post = malloc(sizeof(*post));

        *post = (struct post){*(int *)arg, i};
        wait_post(receive, post);
    }
    return NULL;
}

static void test_posts_from_threads(void **state)
{
    pthread_t threads[POSTERS];
    int numbers[POSTERS];

    wait_hold(POSTERS * POSTS);
    for (int i = 0; i < POSTERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, posts, &numbers[i]), 0);
    }
    wait_run();
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(next_post[i], POSTS);
    }
}

static void stop(void *arg)
{
    wait_stop();
}

static void posts_again(void *arg)
{
    wait_post(stop, NULL);
}

static void test_a_post_may_post(void **state)
{
    wait_hold(+1);
    wait_post(posts_again, NULL);
    wait_run();
    wait_hold(-1);
}

/* ---- signals and periodic callbacks ---- */

static int got_signal;

static void on_signal(int signum)
{
    assert_null(coro_self());
    got_signal = signum;
    wait_stop();
}

static void test_signal(void **state)
{
    wait_signal(SIGUSR1, on_signal);
    wait_hold(+1);
    for (int i = 0; i < 2; i++) {
        got_signal = 0;
        kill(getpid(), SIGUSR1);
        wait_run();
        assert_int_equal(got_signal, SIGUSR1);
    }
    wait_hold(-1);
}

static int ticks, alarms;

static void on_tick(void)
{
    if (++ticks == 3)
        wait_stop();
}

static void on_alarm(void)
{
    alarms++;
}

static void test_ticks(void **state)
{
    int64_t before = wait_now();

    wait_every(5, on_tick);
    wait_after(7, on_alarm);
    wait_hold(+1);
    wait_run();
    wait_hold(-1);
    assert_int_equal(ticks, 3);
    assert_int_equal(alarms, 1);
    assert_in_range(wait_now() - before, 14 * MS, 2000 * MS);
}

/* ---- init and exit ---- */

static void returns(void *arg)
{
    *(bool *)arg = true;
}

static void test_run_ends_with_the_last_coroutine(void **state)
{
    bool ran = false;

    wait_run(); /* returns: periodic callbacks do not keep it */
    coro_start(returns, &ran);
    wait_run();
    assert_true(ran);
}

static void stops(void *arg)
{
    wait_stop();
}

/* Parked coroutines stay so after a stop, and the next run continues with them. */
static void test_stop(void **state)
{
    int result = 0;

    coro_start(waits_for_ever, &result);
    coro_start(stops, NULL);
    wait_run();
    assert_int_equal(coro_count(), 1);
    on_coroutine(cancels, NULL);
    assert_int_equal(result, -EINTR);
}

static void test_hold(void **state)
{
    wait_hold(+2);
    wait_hold(-1);
    ticks = 0; /* the tick of the test before stops the loop, which else would never end */
    wait_run();
    assert_int_equal(ticks, 3);
    wait_hold(-1);
    wait_run();
    assert_int_equal(ticks, 3);
}

/* The loop can be made and freed repeatedly, with timers and posts pending. */
static void test_exit_and_init(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct sleeper s = {.deadline = wait_deadline(MS)};

        wait_exit();
        wait_init(1);
        wait_every(1000, on_alarm);
        on_coroutine(sleeps, &s);
        wait_post(stop, NULL);
    }
}

/* ---- no memory for another stack ---- */

static void starts(void *arg)
{
}

static void start_with_huge_stacks(void)
{
    coro_exit();
    coro_init((size_t)1 << 47);
    for (int i = 0; i < 3; i++)
        if (wait_start(starts, NULL) || errno != ENOMEM || wait_start_now(starts, NULL) || errno != ENOMEM)
            _exit(1);
}

static void test_no_memory_is_logged_once_a_second(void **state)
{
    char text[2048];
    int status = in_child(start_with_huge_stacks, text, sizeof(text));
    const char *first = strstr(text, "no memory for another coroutine stack, 0 are running"), *second;

    assert_int_equal(status, 0);
    assert_non_null(first);
    assert_null(strstr(first, "vm.max_map_count"));
    assert_non_null(strstr(first, "stack-size"));
    second = strstr(first + 1, "no memory");
    assert_true(!second || !strstr(second + 1, "no memory")); /* the second may have changed meanwhile */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sleepers_wake_in_order),
        cmocka_unit_test(test_sleeps_are_finer_than_milliseconds),
        cmocka_unit_test(test_a_crowd_of_sleepers_ends_in_order),
        cmocka_unit_test(test_sleep_is_never_short),
        cmocka_unit_test(test_deadline_arithmetic),
        cmocka_unit_test(test_a_wake_up_ends_the_timer),
        cmocka_unit_test(test_offload),
        cmocka_unit_test(test_the_pool_grows_to_its_size),
        cmocka_unit_test(test_a_forked_child_ends_without_the_pool),
        cmocka_unit_test(test_posts_from_threads),
        cmocka_unit_test(test_a_post_may_post),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_run_ends_with_the_last_coroutine),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_no_memory_is_logged_once_a_second),
        cmocka_unit_test(test_exit_and_init),
    };

    return cmocka_run_group_tests(tests, loop_setup, loop_teardown);
}
