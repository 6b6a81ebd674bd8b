/* test_coro.c: the scheduler: order, waking, what is kept across a switch, hooks, and the pool. */
#include "core_test.h"

#include <fenv.h>

#include "syncless.h"

static char trace[4096];
static size_t traced;

static void put(char c)
{
    trace[traced++] = c;
    trace[traced] = '\0';
}

static void clear(void)
{
    traced = 0;
    trace[0] = '\0';
}

static void run_to_the_end(void)
{
    while (sched_run())
        ;
    assert_int_equal(coro_count(), 0);
}

/* ---- order ---- */

static void letters(void *arg)
{
    for (int i = 0; i < 3; i++) {
        put(*(char *)arg);
        coro_yield();
    }
}

static void test_order_is_first_in_first_out(void **state)
{
    clear();
    coro_start(letters, "A");
    coro_start(letters, "B");
    coro_start(letters, "C");
    run_to_the_end();
    assert_string_equal(trace, "ABCABCABC");
}

/* sched_run runs what was ready when it began: neither a yield nor a start makes it go on. */
static void starts_another(void *arg)
{
    put('s');
    if (traced < 5)
        coro_start(starts_another, NULL);
}

static void test_a_round_ends(void **state)
{
    clear();
    coro_start(letters, "Y");
    coro_start(starts_another, NULL);
    assert_true(sched_run());
    assert_string_equal(trace, "Ys");
    assert_true(sched_run());
    assert_string_equal(trace, "YsYs");
    run_to_the_end();
    assert_false(sched_ready());
}

static struct coro *sleeper;

/* ---- time slices ---- */

/* Uses up one slice for each letter. */
static void computes(void *arg)
{
    for (const char *letter = arg; *letter; letter++) {
        put(*letter);
        use_up_slice();
        coro_give_way();
    }
}

/* One that has not used up a slice goes on. */
static void is_quick(void *arg)
{
    coro_give_way();
    put(*(char *)arg);
    coro_give_way();
}

/* Between two rounds the loop polls. */
static void poll_and_run(const char *expected)
{
    slice_clear();
    sched_run();
    assert_string_equal(trace, expected);
}

static void test_a_used_up_slice_ends_the_round(void **state)
{
    clear();
    coro_start(computes, "12");
    coro_start(is_quick, "a");
    coro_start(computes, "34");
    coro_start(is_quick, "b");
    poll_and_run("1");
    coro_start(is_quick, "c");
    poll_and_run("1a3");
    poll_and_run("1a3bc2"); /* nobody else is ready any more, so one of the second queue runs */
    poll_and_run("1a3bc24");
    run_to_the_end();
}

/* Who has used up a slice before it waits starts late when it is woken. */
static void computes_and_sleeps(void *arg)
{
    use_up_slice();
    sleeper = coro_self();
    coro_park();
    put(*(char *)arg);
}

static void test_who_has_computed_starts_late(void **state)
{
    clear();
    coro_start(computes_and_sleeps, "L");
    sched_run();
    assert_true(coro_wake(sleeper, 0));
    coro_start(is_quick, "a");
    coro_start(is_quick, "b");
    run_to_the_end();
    assert_string_equal(trace, "abL");
    clear();
    coro_start_late(is_quick, "L");
    coro_start(is_quick, "a");
    run_to_the_end();
    assert_string_equal(trace, "aL");
}

/* However many are ready all the time, the second queue has its turn. */
static bool late_one_has_run;

static void runs_late(void *arg)
{
    late_one_has_run = true;
}

static void is_always_ready(void *arg)
{
    while (!late_one_has_run)
        coro_yield();
}

static void test_the_second_queue_does_not_starve(void **state)
{
    late_one_has_run = false;
    coro_start(is_always_ready, NULL);
    coro_start_late(runs_late, NULL);
    sched_run();
    assert_false(late_one_has_run);
    run_to_the_end();
}

/* ---- waking ---- */

static void sleeps(void *arg)
{
    sleeper = coro_self();
    *(int *)arg = coro_park();
}

static void test_first_wake_up_wins(void **state)
{
    int result = 0;

    coro_start(sleeps, &result);
    sched_run();
    assert_int_equal(coro_count(), 1);
    assert_true(coro_wake(sleeper, 5));
    assert_false(coro_wake(sleeper, 6));
    sched_run();
    assert_int_equal(result, 5);
    assert_false(coro_wake(sleeper, 7));
}

static void test_self_is_the_coroutine_that_runs(void **state)
{
    int result = 0;
    struct coro *first, *second;
    uint64_t id;

    assert_null(coro_self());
    first = coro_start(sleeps, &result);
    assert_null(coro_self());
    sched_run();
    assert_null(coro_self());
    assert_ptr_equal(sleeper, first);
    second = coro_start(sleeps, &result);
    sched_run();
    assert_ptr_equal(sleeper, second);
    assert_ptr_not_equal(first, second);
    assert_true(first->id != second->id);
    id = second->id;
    coro_wake(second, 0);
    sched_run();
    second = coro_start(sleeps, &result);
    assert_true(second->id > id);
    coro_wake(first, 0);
    sched_run();
    coro_wake(second, 0);
    run_to_the_end();
}

/* ---- what is kept across a switch ---- */

/* Each coroutine, like a thread, has an errno, and a rounding mode in MXCSR and the x87 control word. */
static void keeps(void *arg)
{
    int mode = *(int *)arg;
    volatile double one = 1, three = 3;
    volatile long double long_one = 1, long_three = 3;
    double quotient;
    long double long_quotient;

    errno = mode;
    fesetround(mode);
    quotient = one / three;
    long_quotient = long_one / long_three;
    for (int i = 0; i < 3; i++) {
        coro_yield();
        assert_int_equal(errno, mode);
        assert_int_equal(fegetround(), mode);
        assert_true(one / three == quotient);
        assert_true(long_one / long_three == long_quotient);
    }
}

static void test_errno_and_rounding_are_kept(void **state)
{
    static int up = FE_UPWARD, down = FE_DOWNWARD;

    errno = EDOM;
    coro_start(keeps, &up);
    coro_start(keeps, &down);
    run_to_the_end();
    assert_int_equal(fegetround(), FE_TONEAREST);
    fesetround(FE_UPWARD);
    coro_start(keeps, &down);
    run_to_the_end();
    assert_int_equal(fegetround(), FE_UPWARD);
    fesetround(FE_TONEAREST);
}

/* As many values live across a switch as there are callee-saved registers: 12 and 8 on aarch64. */
static void holds_values(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    volatile unsigned n = seed; /* so that none can be computed from another */
    unsigned a = n, b = n, c = n, d = n, e = n, f = n, g = n, h = n, i = n, j = n, k = n, l = n;
    double q = n, r = n, s = n, t = n, u = n, v = n, w = n, x = n, y = n, z = n;

    for (int round = 1; round <= 5; round++) {
        coro_yield();
        /* keep the compiler from holding several in a vector */
        __asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
        __asm__("" : "+r"(g), "+r"(h), "+r"(i), "+r"(j), "+r"(k), "+r"(l));
        a += 1, b += 2, c += 3, d += 4, e += 5, f += 6, g += 7, h += 8, i += 9, j += 10, k += 11, l += 12;
        q += 1, r += 2, s += 3, t += 4, u += 5, v += 6, w += 7, x += 8, y += 9, z += 10;
    }
    assert_int_equal(a + b + c + d + e + f + g + h + i + j + k + l, 12 * seed + 5 * 78);
    assert_true(q + r + s + t + u + v + w + x + y + z == 10 * seed + 5 * 55);
}

static void test_registers_are_kept(void **state)
{
    static unsigned seeds[] = {1, 1000, 77};

    for (size_t i = 0; i < COUNT(seeds); i++)
        coro_start(holds_values, &seeds[i]);
    run_to_the_end();
}

static void is_aligned(void *arg)
{
    _Alignas(16) volatile char here[16] = {0};

    assert_int_equal((uintptr_t)here % 16, 0);
    assert_int_equal((uintptr_t)__builtin_frame_address(0) % 16, 0);
}

static void test_stack_is_aligned(void **state)
{
    coro_start(is_aligned, NULL);
    run_to_the_end();
}

/* What is reserved for a runtime is zero at first, writable to its end, and kept in the pool; frames do not reach it.
 */
static void uses_reserved(void *arg)
{
    struct coro *co = coro_self();
    unsigned char *at = (unsigned char *)(co + 1), *before = arg;
    volatile char frame[8192];

    assert_int_equal(co->reserved, 5000);
    for (size_t i = 0; i < co->reserved; i++)
        assert_int_equal(at[i], *before);
    memset(at, *before + 1, co->reserved);
    memset((void *)frame, 0xee, sizeof(frame));
    coro_yield();
    for (size_t i = 0; i < co->reserved; i++)
        assert_int_equal(at[i], *before + 1);
}

static void test_memory_is_reserved(void **state)
{
    static unsigned char before[] = {0, 1};

    coro_exit();
    coro_reserve(5000);
    for (size_t i = 0; i < COUNT(before); i++) {
        coro_start(uses_reserved, &before[i]);
        run_to_the_end();
        coro_trim();
    }
    coro_start(is_aligned, NULL);
    run_to_the_end();
    coro_reserve(0);
    coro_exit();
}

/* ---- hooks ---- */

static int keys[CORO_LOCALS], key_count;

static void on_park(void *value)
{
    put('(');
    put(*(char *)value);
    errno = EBADF; /* hooks need not keep it */
}

static void on_resume(void *value)
{
    put(*(char *)value);
    put(')');
    errno = EBADF;
}

static void on_release(void *value)
{
    put('-');
    put(*(char *)value);
}

/* May wait, as a destructor of the application may. */
static void on_end(void *value)
{
    assert_non_null(coro_self());
    put('!');
    coro_yield();
    put(*(char *)value);
}

/* A runtime that lets go of its lock may try to give way. The watcher has seen the run that ends here. */
static void gives_way_in_hook(void *value)
{
    coro_expire(atomic_load(&slice.run) - 1);
    coro_give_way();
}

/* A process has so many keys and no more; later tests use the first two. */
static void test_keys(void **state)
{
    static const struct sl_local all = {.park = on_park, .resume = on_resume, .end = on_end, .release = on_release},
                                 giving = {.park = gives_way_in_hook}, none = {0};

    while (key_count < CORO_LOCALS) {
        keys[key_count] = coro_local_create(key_count < 2 ? &all : key_count == 3 ? &giving : &none);
        assert_int_equal(keys[key_count], key_count);
        key_count++;
    }
    assert_int_equal(coro_local_create(&none), -ENOSPC);
}

static void with_locals(void *arg)
{
    struct coro *co = coro_self();

    co->local[keys[0]] = "a";
    co->local[keys[2]] = "x"; /* has no hooks */
    errno = EDOM;
    coro_yield();
    assert_int_equal(errno, EDOM);
    co->local[keys[1]] = "b";
    coro_yield();
    co->local[keys[0]] = NULL;
    coro_yield();
    co->local[keys[1]] = NULL;
    coro_yield();
    co->local[keys[2]] = NULL;
}

static void test_hooks_run_at_switches(void **state)
{
    clear();
    coro_start(with_locals, NULL);
    run_to_the_end();
    assert_string_equal(trace, "(aa)(a(ba)b)(bb)");
}

static void leaves_with_hook(void *arg)
{
    coro_self()->local[keys[3]] = arg;
    for (int i = 0; i < 3; i++) {
        use_up_slice();
        coro_give_way();
        coro_yield();
    }
    coro_self()->local[keys[3]] = NULL;
    put('.');
}

/* It is in a queue already. */
static void test_a_coroutine_that_leaves_cannot_give_way(void **state)
{
    clear();
    coro_start(leaves_with_hook, "a");
    coro_start(leaves_with_hook, "b");
    run_to_the_end();
    assert_string_equal(trace, "..");
}

/* A value stays with a coroutine in the pool; each start calls resume once, and each end calls park once. */
static void sets_local(void *arg)
{
    coro_self()->local[keys[0]] = arg;
}

static void sees_local(void *arg)
{
    put(*(char *)coro_self()->local[keys[0]]);
}

static void test_values_rest_in_the_pool(void **state)
{
    clear();
    coro_start(sets_local, "v");
    sched_run();
    assert_string_equal(trace, "(v");
    coro_start(sees_local, NULL);
    sched_run();
    assert_string_equal(trace, "(vv)v(v");
    clear();
    coro_exit(); /* ends the coroutine and its values */
    assert_string_equal(trace, "v)!(vv)v-v");
}

/* A thread ends and another one begins, on one coroutine. */
static void is_two_threads(void *arg)
{
    struct coro *co = coro_self();

    coro_end_thread();
    assert_null(co->local[keys[0]]);
    co->local[keys[0]] = "w";
}

static void test_threads_end_on_their_coroutine(void **state)
{
    coro_start(sets_local, "v");
    run_to_the_end();
    clear();
    coro_start(is_two_threads, NULL);
    run_to_the_end();
    assert_string_equal(trace, "v)!(vv)v-v(w");
    clear();
    coro_end_pool();
    assert_int_equal(coro_count(), 1);
    run_to_the_end();
    assert_string_equal(trace, "w)!(ww)w-w");
    assert_int_equal(coro_stats().stacks, 1);
    coro_trim();
    assert_int_equal(coro_stats().stacks, 0);
}

/* ---- the pool ---- */

static void test_stack_is_used_again(void **state)
{
    int result;
    struct coro *first, *second;

    coro_start(sleeps, &result);
    sched_run();
    first = sleeper;
    coro_start(sleeps, &result);
    sched_run();
    second = sleeper;
    coro_wake(first, 0);
    sched_run();
    coro_wake(second, 0);
    sched_run();
    assert_ptr_equal(coro_start(sleeps, &result), second); /* last in, first out */
    assert_ptr_equal(coro_start(sleeps, &result), first);
    sched_run();
    coro_wake(first, 0);
    coro_wake(second, 0);
    run_to_the_end();
}

static size_t count_in_trace(char c)
{
    size_t count = 0;

    for (const char *at = trace; *at; at++)
        count += *at == c;
    return count;
}

/* Stacks that were not needed between two trims are freed, the longest unused first; the others stay. */
static void test_trim_frees_what_nobody_needed(void **state)
{
    enum { ALL = 50, NEEDED = 5 };
    static char value[] = "v";
    int result;

    coro_exit();
    for (int i = 0; i < ALL; i++)
        coro_start(sleeps, &result)->local[keys[0]] = value;
    for (int i = 0; i < 2; i++) {
        sched_run();
        for (struct list *node = coro_all()->next; node != coro_all(); node = node->next)
            coro_wake(list_entry(node, struct coro, all), 0);
    }
    assert_int_equal(coro_count(), 0);
    coro_trim();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < NEEDED; i++)
            coro_start(letters, value);
        traced = 0;
        while (coro_count() > 0) {
            sched_run();
            traced = 0;
        }
        clear();
        coro_trim();
        run_to_the_end();
        assert_int_equal(count_in_trace('-'), round == 0 ? ALL - NEEDED : 0);
    }
    assert_int_equal(coro_stats().stacks, NEEDED);
    coro_exit();
}

static void test_stats(void **state)
{
    struct coro_stats before, stats;
    int result;

    coro_exit();
    before = coro_stats();
    for (int i = 0; i < 3; i++)
        coro_start(sleeps, &result);
    sched_run();
    stats = coro_stats();
    assert_int_equal(stats.started - before.started, 3);
    assert_int_equal(stats.running, 3);
    assert_int_equal(stats.stacks, 3);
    assert_true(stats.max >= 3);
    while (!list_empty(coro_all())) {
        coro_wake(list_entry(coro_all()->next, struct coro, all), 0);
        sched_run();
    }
    stats = coro_stats();
    assert_int_equal(stats.running, 0);
    assert_int_equal(stats.stacks, 3);
    coro_start(sleeps, &result);
    sched_run();
    assert_int_equal(coro_stats().stacks, 3);
    coro_wake(list_entry(coro_all()->next, struct coro, all), 0);
    run_to_the_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_is_first_in_first_out),
        cmocka_unit_test(test_a_round_ends),
        cmocka_unit_test(test_a_used_up_slice_ends_the_round),
        cmocka_unit_test(test_who_has_computed_starts_late),
        cmocka_unit_test(test_the_second_queue_does_not_starve),
        cmocka_unit_test(test_first_wake_up_wins),
        cmocka_unit_test(test_self_is_the_coroutine_that_runs),
        cmocka_unit_test(test_errno_and_rounding_are_kept),
        cmocka_unit_test(test_registers_are_kept),
        cmocka_unit_test(test_stack_is_aligned),
        cmocka_unit_test(test_memory_is_reserved),
        cmocka_unit_test(test_stack_is_used_again),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_hooks_run_at_switches),
        cmocka_unit_test(test_a_coroutine_that_leaves_cannot_give_way),
        cmocka_unit_test(test_values_rest_in_the_pool),
        cmocka_unit_test(test_threads_end_on_their_coroutine),
        cmocka_unit_test(test_trim_frees_what_nobody_needed),
        cmocka_unit_test(test_stats),
    };

    return cmocka_run_group_tests(tests, coro_setup, coro_teardown);
}
