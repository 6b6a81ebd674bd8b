/* test_cancellation.c: a cancelled coroutine's waits fail until that is cleared: wait/wait_cancel.c. */
#include "core_test.h"

#include "syncless.h"

static struct coro *subject;
static int results[8], count;

static int sleep_ms(int ms)
{
    return wait_sleep(wait_deadline(ms * MS));
}

/* Run subject_fn on a coroutine, and other_fn on another one that begins after it. */
static void run_both(void (*subject_fn)(void *arg), void (*other_fn)(void *arg))
{
    count = 0;
    subject = coro_start(subject_fn, NULL);
    on_coroutine(other_fn, NULL);
}

static void note(int result)
{
    results[count++] = result;
}

/* ---- a level ---- */

static void waits_four_times(void *arg)
{
    int64_t before = wait_now();

    note(wait_sleep(WAIT_FOREVER));
    note(wait_fds(NULL, 0, WAIT_FOREVER));
    note(wait_park(WAIT_FOREVER));
    note(wait_sleep(WAIT_FOREVER));
    assert_true(wait_now() - before < 1000 * MS);
    wait_cancel(coro_self(), 0);
    note(sleep_ms(1));
}

static void cancels_once(void *arg)
{
    wait_cancel(subject, -ECANCELED);
}

static void test_every_wait_fails_until_cleared(void **state)
{
    run_both(waits_four_times, cancels_once);
    assert_int_equal(count, 5);
    for (int i = 0; i < 4; i++)
        assert_int_equal(results[i], -ECANCELED);
    assert_int_equal(results[4], 0);
}

static void runs_then_waits(void *arg)
{
    wait_cancel(coro_self(), -ECANCELED);
    note(sleep_ms(1000));
}

static void nothing(void *arg)
{
}

static void test_before_the_wait(void **state)
{
    run_both(runs_then_waits, nothing);
    assert_int_equal(results[0], -ECANCELED);
}

/* The stack of a coroutine serves others afterwards. */
static void waits_shortly(void *arg)
{
    note(sleep_ms(1));
}

static void test_the_next_one_begins_uncancelled(void **state)
{
    run_both(runs_then_waits, nothing);
    run_both(waits_shortly, nothing);
    assert_int_equal(results[0], 0);
}

/* A wake-up that came first is not lost: its result is returned, and the next wait fails. */
static void parks_then_sleeps(void *arg)
{
    note(wait_park(WAIT_FOREVER));
    note(sleep_ms(1000));
}

static void wakes_then_cancels(void *arg)
{
    assert_true(coro_wake(subject, 7));
    wait_cancel(subject, -ECANCELED);
}

static void test_a_result_is_not_lost(void **state)
{
    run_both(parks_then_sleeps, wakes_then_cancels);
    assert_int_equal(results[0], 7);
    assert_int_equal(results[1], -ECANCELED);
}

/* Cleared before the coroutine has run: the wait ends as after a signal handler. */
static void cancels_and_clears(void *arg)
{
    wait_cancel(subject, -ECANCELED);
    wait_cancel(subject, 0);
}

static void sleeps_twice(void *arg)
{
    note(wait_sleep(WAIT_FOREVER));
    assert_false(coro_self()->as_main);
    note(sleep_ms(1));
}

static void test_cleared_in_time(void **state)
{
    run_both(sleeps_twice, cancels_and_clears);
    assert_int_equal(results[0], -EINTR);
    assert_int_equal(results[1], 0);
}

/* ---- for runtimes ---- */

static void waits_in_turns(void *arg)
{
    note(wait_sleep(WAIT_FOREVER));
    assert_true(coro_self()->as_main);
    note(wait_sleep(WAIT_FOREVER));
    assert_false(coro_self()->as_main);
    note(wait_sleep(WAIT_FOREVER));
    note(wait_sleep(WAIT_FOREVER));
    wait_cancel(coro_self(), -EINTR); /* again: begins with EINTR */
    note(wait_sleep(WAIT_FOREVER));
    wait_cancel(coro_self(), 0);
    note(sleep_ms(1));
    assert_false(coro_self()->as_main);
}

static void interrupts(void *arg)
{
    wait_cancel(subject, -EINTR);
}

static void test_eintr_and_ecanceled_in_turns(void **state)
{
    static const int expected[] = {-EINTR, -ECANCELED, -EINTR, -ECANCELED, -EINTR, 0};

    run_both(waits_in_turns, interrupts);
    assert_memory_equal(results, expected, sizeof(expected));
}

static int told[8], told_count, key;

static void is_told(void *value, int error)
{
    assert_ptr_equal(value, told);
    told[told_count++] = error;
}

static void waits_as_runtime(void *arg)
{
    coro_self()->local[key] = told;
    waits_in_turns(arg);
    coro_self()->local[key] = NULL;
}

static void test_the_runtime_is_told(void **state)
{
    static const int expected[] = {EINTR, ECANCELED, EINTR, ECANCELED, EINTR};

    key = coro_local_create(&(struct sl_local){.cancelled = is_told});
    assert_true(key >= 0);
    run_both(waits_as_runtime, interrupts);
    assert_int_equal(told_count, 5);
    assert_memory_equal(told, expected, sizeof(expected));
}

/* A signal and a cancellation: the wait is the signal's, whichever came first, and the next one fails. */
static void waits_as_main(void *arg)
{
    wait_set_main(coro_self());
    note(wait_sleep(WAIT_FOREVER));
    note(wait_sleep(WAIT_FOREVER));
    wait_cancel(coro_self(), 0);
    note(sleep_ms(1));
    wait_set_main(NULL);
}

static void cancels_and_signals(void *arg)
{
    wait_cancel(subject, -ECANCELED);
    wait_interrupt(-EINTR);
}

static void signals_and_cancels(void *arg)
{
    wait_interrupt(-EINTR);
    wait_cancel(subject, -ECANCELED);
}

static void test_signals_come_first(void **state)
{
    static const int expected[] = {-EINTR, -ECANCELED, 0};

    run_both(waits_as_main, cancels_and_signals);
    assert_memory_equal(results, expected, sizeof(expected));
    run_both(waits_as_main, signals_and_cancels);
    assert_memory_equal(results, expected, sizeof(expected));
}

/* ---- waits that cannot fail ---- */

static void parks(void *arg)
{
    note(coro_park());
}

static void cancels_and_wakes(void *arg)
{
    wait_cancel(subject, -ECANCELED);
    sleep_ms(5);
    assert_int_equal(count, 0);
    assert_true(coro_wake(subject, 8));
}

static void test_a_plain_park_goes_on(void **state)
{
    run_both(parks, cancels_and_wakes);
    assert_int_equal(results[0], 8);
}

static int square(void *arg)
{
    usleep(20000);
    return *(int *)arg * *(int *)arg;
}

static void offloads(void *arg)
{
    int n = 5;

    note(wait_offload(square, &n));
}

static void test_offload_goes_on(void **state)
{
    run_both(offloads, cancels_once);
    assert_int_equal(results[0], 25);
}

static int places[2];

static int park_at(int *place, bool cancellable)
{
    struct wait_addr w;

    wait_addr_enter(&w, place);
    return cancellable ? wait_addr_park_cancellable(&w, wait_deadline(20 * MS)) : wait_addr_park(&w, WAIT_FOREVER);
}

static void waits_for_a_mutex(void *arg)
{
    note(park_at(places, false));
    note(sleep_ms(1000));
}

static void cancels_and_unlocks(void *arg)
{
    wait_cancel(subject, -ECANCELED);
    sleep_ms(5);
    assert_int_equal(count, 0);
    wait_addr_wake(places, 1);
}

static void test_a_lock_that_cannot_fail(void **state)
{
    run_both(waits_for_a_mutex, cancels_and_unlocks);
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], -ECANCELED);
}

/* A lock that is waited for again is one that cannot be done without; another one fails. EINTR and ECANCELED in turns
 * are not for locks, nor disturbed by them. */
static void waits_for_locks(void *arg)
{
    note(park_at(&places[0], true));
    note(park_at(&places[0], true));
    note(park_at(&places[1], true));
    note(wait_sleep(WAIT_FOREVER));
    note(park_at(&places[1], true));
    note(wait_sleep(WAIT_FOREVER));
}

static void test_a_lock_fails_once(void **state)
{
    static const int expected[] = {-EINTR, -ETIMEDOUT, -EINTR, -EINTR, -EINTR, -ECANCELED};

    run_both(waits_for_locks, interrupts);
    assert_memory_equal(results, expected, sizeof(expected));
}

/* ---- coroutines that go on all the same ---- */

enum { STUBBORN = 300 };
static int beats;

static void tries_again_and_again(void *arg)
{
    for (int i = 0; i < STUBBORN; i++)
        assert_int_equal(wait_sleep(WAIT_FOREVER), -ECANCELED);
}

static void beat(void)
{
    beats++;
}

/* The loop goes on meanwhile, and the coroutine does not spin: 200 of 300 failures take 10 ms each. */
static void test_the_loop_goes_on(void **state)
{
    int64_t before = wait_now();

    wait_every(10, beat);
    run_both(tries_again_and_again, cancels_once);
    assert_true(wait_now() - before >= 1900 * MS);
    assert_true(beats > 100);
}

/* ---- all ---- */

static void cancels_all(void *arg)
{
    wait_cancel_all(-ECANCELED);
    note(sleep_ms(1000)); /* itself too */
    coro_start(runs_then_waits, NULL);
    coro_start(waits_shortly, NULL);
}

static void waits(void *arg)
{
    note(sleep_ms(1000));
}

static void test_all(void **state)
{
    run_both(waits, cancels_all);
    assert_int_equal(count, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(results[i], -ECANCELED);
    coro_cancel_new(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_wait_fails_until_cleared),
        cmocka_unit_test(test_before_the_wait),
        cmocka_unit_test(test_the_next_one_begins_uncancelled),
        cmocka_unit_test(test_a_result_is_not_lost),
        cmocka_unit_test(test_cleared_in_time),
        cmocka_unit_test(test_eintr_and_ecanceled_in_turns),
        cmocka_unit_test(test_the_runtime_is_told),
        cmocka_unit_test(test_signals_come_first),
        cmocka_unit_test(test_a_plain_park_goes_on),
        cmocka_unit_test(test_offload_goes_on),
        cmocka_unit_test(test_a_lock_that_cannot_fail),
        cmocka_unit_test(test_a_lock_fails_once),
        cmocka_unit_test(test_the_loop_goes_on),
        cmocka_unit_test(test_all),
    };

    return cmocka_run_group_tests(tests, loop_setup, loop_teardown);
}
