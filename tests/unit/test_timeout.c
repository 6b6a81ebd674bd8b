/* test_timeout.c: timeouts of one length: order, stopping, starting again, and many lists on one timer. */
#include "core_test.h"

struct item {
    struct wait_timeout timeout;
    int number;
};

static struct wait_timeouts shorts, longs, never;
static int fired[64], fired_count, restarts;
static int64_t fired_at, fired_times[64];

static void on_timeout(struct wait_timeout *t)
{
    fired_at = fired_times[fired_count] = wait_now();
    fired[fired_count++] = ((struct item *)t)->number;
    if (restarts-- > 0)
        wait_timeout_start(&shorts, t);
}

static int setup(void **state)
{
    loop_setup(state);
    wait_timeouts_init(&shorts, 50, on_timeout);
    wait_timeouts_init(&longs, 200, on_timeout);
    wait_timeouts_init(&never, 0, on_timeout);
    return 0;
}

static struct item item(int number)
{
    struct item i = {.number = number};

    return i;
}

static void start(struct wait_timeouts *list, struct item *i)
{
    if (!i->timeout.link.next)
        list_init(&i->timeout.link);
    wait_timeout_start(list, &i->timeout);
}

static void sleep_ms(int ms)
{
    wait_sleep(wait_deadline(ms * MS));
}

static void lists_and_orders(void *arg)
{
    struct item items[] = {item(0), item(1), item(2), item(3), item(4)};
    int64_t began = wait_now();

    fired_count = 0;
    start(&never, &items[4]);
    start(&longs, &items[0]);
    start(&shorts, &items[1]);
    start(&shorts, &items[2]);
    start(&shorts, &items[3]);
    wait_timeout_stop(&items[2].timeout);
    wait_timeout_stop(&items[2].timeout); /* harmless */
    sleep_ms(120);
    assert_int_equal(fired_count, 2);
    assert_int_equal(fired[0], 1);
    assert_int_equal(fired[1], 3);
    assert_true(fired_at - began >= 48 * MS && fired_at - began < 120 * MS);
    sleep_ms(150);
    assert_int_equal(fired_count, 3);
    assert_int_equal(fired[2], 0);
    wait_timeout_stop(&items[4].timeout);
}

static void test_lists_and_orders(void **state)
{
    on_coroutine(lists_and_orders, NULL);
}

/* A timeout that is started again and again, as that of a busy connection, does not expire, whatever the timer does. */
static void started_again(void *arg)
{
    struct item a = item(1), b = item(2);

    fired_count = 0;
    start(&longs, &b);
    for (int i = 0; i < 25; i++) {
        start(&shorts, &a);
        sleep_ms(5);
    }
    assert_int_equal(fired_count, 0);
    start(&longs, &a); /* into another list */
    sleep_ms(130);
    assert_int_equal(fired_count, 1);
    assert_int_equal(fired[0], 2);
    sleep_ms(150);
    assert_int_equal(fired_count, 2);
}

static void test_started_again(void **state)
{
    on_coroutine(started_again, NULL);
}

static void restarts_itself(void *arg)
{
    struct item a = item(1);

    fired_count = 0;
    restarts = 3;
    start(&shorts, &a);
    sleep_ms(400);
    assert_int_equal(fired_count, 4);
}

static void test_restarts_itself(void **state)
{
    on_coroutine(restarts_itself, NULL);
}

#define MANY 60

/* Started at any point of a millisecond, while the loop is busy. The loop reads the clock once per iteration, so one
 * that is started while this process was not scheduled may be early by as long; but not many. */
static void many(void *arg)
{
    struct item items[MANY];
    int64_t began[MANY];
    int early = 0;

    fired_count = 0;
    for (int i = 0; i < MANY; i++) {
        items[i] = item(i);
        wait_sleep(wait_deadline(MS * 37 / 100));
        began[i] = wait_now();
        start(&shorts, &items[i]);
    }
    while (fired_count < MANY)
        wait_sleep(wait_deadline(MS / 10));
    for (int i = 0; i < MANY; i++)
        early += fired_times[i] < began[i] + 50 * MS - MS / 5;
    assert_in_range(early, 0, MANY / 4);
}

static void test_not_early(void **state)
{
    on_coroutine(many, NULL);
}

static void at_other_times(void *arg)
{
    static const int expected[] = {3, 1, 4, 0, 2};
    struct item items[] = {item(0), item(1), item(2), item(3), item(4)};
    int64_t now = wait_time();

    fired_count = 0;
    start(&longs, &items[2]);
    for (size_t i = 0; i < COUNT(items); i++)
        if (i != 2)
            list_init(&items[i].timeout.link);
    wait_timeout_start_at(&longs, &items[0].timeout, now + 100);
    wait_timeout_start_at(&longs, &items[1].timeout, now + 20);
    wait_timeout_start_at(&longs, &items[3].timeout, now + 10);
    wait_timeout_start_at(&longs, &items[4].timeout, now + 100);
    wait_timeout_start_at(&longs, &items[4].timeout, now + 50); /* runs already */
    sleep_ms(300);
    assert_int_equal(fired_count, 5);
    assert_memory_equal(fired, expected, sizeof(expected));
}

static void test_at_other_times(void **state)
{
    on_coroutine(at_other_times, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_and_orders), cmocka_unit_test(test_started_again),
        cmocka_unit_test(test_restarts_itself),  cmocka_unit_test(test_not_early),
        cmocka_unit_test(test_at_other_times),
    };

    return cmocka_run_group_tests(tests, setup, loop_teardown);
}
