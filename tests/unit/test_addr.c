/*
 * test_addr.c: the parking lot: order, timeouts, cancellation, wake-ups that are passed on, and wake-ups by OS threads.
 */
#include "core_test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static int place, other_place;

struct parker {
    struct wait_addr w;
    int64_t deadline;
    int result;
    int turn; /* 1 for the first that returns, and so on */
};

static int turns;

static void parks(void *arg)
{
    struct parker *p = arg;

    wait_addr_enter(&p->w, &place);
    p->result = wait_addr_park_cancellable(&p->w, p->deadline);
    p->turn = ++turns;
}

static void start(struct parker *parkers, int count)
{
    turns = 0;
    for (int i = 0; i < count; i++) {
        parkers[i] = (struct parker){.deadline = WAIT_FOREVER, .result = 1};
        coro_start(parks, &parkers[i]);
    }
    sched_run();
    assert_int_equal(atomic_load(&wait_addr_waiters), count);
}

static void test_first_come_first_served(void **state)
{
    struct parker parkers[4];

    start(parkers, 4);
    wait_addr_wake(&other_place, 10);
    assert_false(sched_ready());
    wait_addr_wake(&place, 1);
    wait_addr_wake(&place, 2);
    sched_run();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(parkers[i].result, 0);
        assert_int_equal(parkers[i].turn, i + 1);
    }
    assert_int_equal(parkers[3].turn, 0);
    wait_addr_wake(&place, 100);
    wait_run();
    assert_int_equal(parkers[3].result, 0);
    assert_int_equal(atomic_load(&wait_addr_waiters), 0);
}

/* More addresses than there are buckets: each wake-up reaches the right waiter. */
static void parks_at(void *arg)
{
    struct wait_addr w;

    wait_addr_enter(&w, arg);
    assert_int_equal(wait_addr_park(&w, WAIT_FOREVER), 0);
    *(int *)arg = 1;
}

static void test_addresses_do_not_mix(void **state)
{
    static int places[2000];

    for (size_t i = 0; i < COUNT(places); i++)
        coro_start(parks_at, &places[i]);
    sched_run();
    for (size_t i = 0; i < COUNT(places); i += 2)
        wait_addr_wake(&places[i], 1);
    sched_run();
    for (size_t i = 0; i < COUNT(places); i++)
        assert_int_equal(places[i], i % 2 == 0);
    for (size_t i = 1; i < COUNT(places); i += 2)
        wait_addr_wake(&places[i], 1);
    wait_run();
}

static void test_deadline(void **state)
{
    struct parker p;
    int64_t before = wait_now();

    p = (struct parker){.deadline = before + 20 * MS};
    on_coroutine(parks, &p);
    assert_int_equal(p.result, -ETIMEDOUT);
    assert_true(wait_now() >= p.deadline);
    p.deadline = before; /* in the past */
    on_coroutine(parks, &p);
    assert_int_equal(p.result, -ETIMEDOUT);
    assert_int_equal(atomic_load(&wait_addr_waiters), 0);
}

/* A waiter that is cancelled, and woken before it runs, has been woken. */
static void test_wake_up_before_a_cancellation(void **state)
{
    struct parker parkers[3];

    start(parkers, 3);
    wait_cancel(parkers[0].w.co, -ECANCELED);
    wait_cancel(parkers[1].w.co, -ECANCELED);
    wait_addr_wake(&place, 1);
    sched_run();
    assert_int_equal(parkers[0].result, 0);
    assert_int_equal(parkers[1].result, -ECANCELED);
    assert_int_equal(parkers[2].turn, 0);
    wait_addr_wake(&place, 1);
    wait_run();
    assert_int_equal(parkers[2].result, 0);
}

/* A wake-up for a waiter that has left goes to the next one. */

static void enters_and_leaves(void *arg)
{
    struct wait_addr first, second;

    wait_addr_enter(&first, &place);
    wait_addr_enter(&second, &place);
    wait_addr_wake(&place, 1);
    assert_true(first.woken);
    assert_false(second.woken);
    wait_addr_leave(&first);
    assert_true(second.woken);
    wait_addr_leave(&second);
}

static void test_leaving_passes_on(void **state)
{
    on_coroutine(enters_and_leaves, NULL);
    assert_int_equal(atomic_load(&wait_addr_waiters), 0);
}

/* A waiter that is woken between its last look and the park does not park. */
static void is_woken_before_it_parks(void *arg)
{
    struct wait_addr w;

    wait_addr_enter(&w, &place);
    wait_addr_wake(&place, 1);
    assert_int_equal(wait_addr_park(&w, WAIT_FOREVER), 0);
}

static void test_wake_up_before_the_park(void **state)
{
    on_coroutine(is_woken_before_it_parks, NULL);
    assert_int_equal(atomic_load(&wait_addr_waiters), 0);
}

/* ---- OS threads ---- */

static void *wakes_place(void *arg)
{
    while (atomic_load(&wait_addr_waiters) < *(int *)arg)
        sched_yield();
    wait_addr_wake(&place, *(int *)arg);
    return NULL;
}

static void test_a_thread_wakes(void **state)
{
    struct parker parkers[3];
    pthread_t thread;
    int count = 3;

    start(parkers, count);
    assert_int_equal(pthread_create(&thread, NULL, wakes_place, &count), 0);
    wait_run();
    pthread_join(thread, NULL);
    for (int i = 0; i < count; i++) {
        assert_int_equal(parkers[i].result, 0);
        assert_int_equal(parkers[i].turn, i + 1);
    }
}

/* OS threads hand over tokens as fast as they can; the takers look, enter, look again and park. No token may be lost: a
 * taker that gets none within a second fails. */
#ifdef CORO_VALGRIND
#define TOKENS 5000 /* of each thread */
#else
#define TOKENS 50000
#endif
#define GIVERS 2
#define TAKERS 4

static atomic_int tokens;
static int parked;

static void *gives(void *arg)
{
    for (int i = 0; i < TOKENS; i++) {
        atomic_fetch_add(&tokens, 1);
        wait_addr_wake(&tokens, 1);
        if (i % 7 == 0)
            sched_yield();
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

/* Take one token, waiting for it if necessary. */
static void take_one(int64_t timeout)
{
    struct wait_addr w;

    while (!take()) {
        wait_addr_enter(&w, &tokens);
        if (take()) {
            wait_addr_leave(&w);
            return;
        }
        parked++;
        assert_true(wait_addr_park(&w, wait_deadline(timeout)) == 0 || timeout < 1000 * MS);
    }
}

/* Every other taker has so short a timeout that timeouts and wake-ups coincide. */
static void takes(void *arg)
{
    for (int i = 0; i < TOKENS * GIVERS / TAKERS; i++)
        take_one((intptr_t)arg % 2 ? MS / 10 : 10000 * MS);
}

static void test_no_wake_up_is_lost(void **state)
{
    pthread_t threads[GIVERS];

    for (int i = 0; i < GIVERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, gives, NULL), 0);
    for (intptr_t i = 0; i < TAKERS; i++)
        coro_start(takes, (void *)i);
    wait_run();
    for (int i = 0; i < GIVERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&tokens), 0);
    assert_int_equal(atomic_load(&wait_addr_waiters), 0);
    assert_true(parked > 0);
}

/* Ping-pong: each side waits for the other at every step. */
#define ROUNDS (TOKENS / 10)

static atomic_int ball;

static void *plays_in_a_thread(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        while (atomic_load(&ball) != 2 * i + 1)
            sched_yield();
        atomic_store(&ball, 2 * i + 2);
        wait_addr_wake(&ball, 1);
    }
    return NULL;
}

static void plays(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct wait_addr w;

        wait_addr_enter(&w, &ball);
        atomic_store(&ball, 2 * i + 1);
        assert_int_equal(wait_addr_park(&w, wait_deadline(10000 * MS)), 0);
        assert_int_equal(atomic_load(&ball), 2 * i + 2);
    }
}

static void test_ping_pong(void **state)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, plays_in_a_thread, NULL), 0);
    on_coroutine(plays, NULL);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_addresses_do_not_mix),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_wake_up_before_a_cancellation),
        cmocka_unit_test(test_leaving_passes_on),
        cmocka_unit_test(test_wake_up_before_the_park),
        cmocka_unit_test(test_a_thread_wakes),
        cmocka_unit_test(test_no_wake_up_is_lost),
        cmocka_unit_test(test_ping_pong),
    };

    return cmocka_run_group_tests(tests, loop_setup, loop_teardown);
}
