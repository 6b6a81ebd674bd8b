/* test_coro.c: the scheduler: order, waking, what is kept across a switch, the pool, overflow. */
#include "core_test.h"

#include <fenv.h>
#include <signal.h>
#include <sys/wait.h>

#include "coro/fault.h"

static char trace[64];
static size_t traced;

static void put(char c)
{
    trace[traced++] = c;
    trace[traced] = '\0';
}

static void letters(void *arg)
{
    for (int i = 0; i < 3; i++) {
        put(*(char *)arg);
        coro_yield();
    }
}

static void test_order_is_first_in_first_out(void **state)
{
    traced = 0;
    coro_start(letters, "A");
    coro_start(letters, "B");
    coro_start(letters, "C");
    while (sched_run())
        ;
    assert_string_equal(trace, "ABCABCABC");
    assert_int_equal(coro_count(), 0);
}

static struct coro *sleeper;

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

static void test_stack_is_used_again(void **state)
{
    int result;
    struct coro *first;

    coro_start(sleeps, &result);
    sched_run();
    first = sleeper;
    coro_wake(first, 0);
    sched_run();
    assert_ptr_equal(coro_start(sleeps, &result), first);
    sched_run();
    coro_wake(first, 0);
    sched_run();
}

/* errno and the rounding mode belong to a coroutine, as to a thread. */
static void keeps(void *arg)
{
    int *mode = arg;

    errno = *mode;
    fesetround(*mode);
    for (int i = 0; i < 3; i++) {
        coro_yield();
        assert_int_equal(errno, *mode);
        assert_int_equal(fegetround(), *mode);
    }
}

static void test_errno_and_rounding_are_kept(void **state)
{
    static int up = FE_UPWARD, down = FE_DOWNWARD;

    coro_start(keeps, &up);
    coro_start(keeps, &down);
    while (sched_run())
        ;
    assert_int_equal(fegetround(), FE_TONEAREST);
}

static void on_park(void *value)
{
    put('p');
    errno = EBADF; /* hooks need not keep it */
}

static void on_resume(void *value)
{
    put(*(char *)value);
}

static void with_local(void *arg)
{
    coro_self()->local[*(int *)arg] = "r";
    errno = 0;
    coro_yield();
    assert_int_equal(errno, 0);
    coro_self()->local[*(int *)arg] = NULL;
    coro_yield();
}

static void test_hooks_run_at_switches(void **state)
{
    static const struct coro_local hooks = {.park = on_park, .resume = on_resume};
    int key = coro_local_create(&hooks);

    assert_true(key >= 0);
    traced = 0;
    coro_start(with_local, &key);
    while (sched_run())
        ;
    assert_string_equal(trace, "pr");
}

static void test_many(void **state)
{
    int result;
    struct list *all = coro_all();

    for (int i = 0; i < 10000; i++)
        assert_non_null(coro_start(sleeps, &result));
    sched_run();
    assert_int_equal(coro_count(), 10000);
    for (struct list *node = all->next; node != all; node = node->next)
        coro_wake(list_entry(node, struct coro, all), 0);
    sched_run();
    assert_int_equal(coro_count(), 0);
    for (int i = 0; i < 100; i++)
        coro_trim();
}

#ifndef __SANITIZE_ADDRESS__ /* which reports an overflow itself */
static int deep(int n)
{
    volatile char frame[1024];

    frame[0] = (char)n;
    return n == 0 ? 0 : deep(n + 1) + frame[0];
}

static void overflows(void *arg)
{
    coro_self()->what = "GET /deep";
    deep(1);
}

/* In a child of its own: it dies by the signal, and says why before. */
static void test_overflow_is_reported(void **state)
{
    char text[512] = "";
    int ends[2], status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        fault_init();
        coro_start(overflows, NULL);
        sched_run();
        _exit(0);
    }
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    for (size_t n; (n = strlen(text)) < sizeof(text) - 1 && read(ends[0], text + n, sizeof(text) - 1 - n) > 0;)
        ;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_non_null(strstr(text, "stack overflow"));
    assert_non_null(strstr(text, "GET /deep"));
}

#endif

static int setup(void **state)
{
    coro_init(256 * 1024);
    return 0;
}

static int teardown(void **state)
{
    coro_exit();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_is_first_in_first_out), cmocka_unit_test(test_first_wake_up_wins),
        cmocka_unit_test(test_stack_is_used_again),         cmocka_unit_test(test_errno_and_rounding_are_kept),
        cmocka_unit_test(test_hooks_run_at_switches),       cmocka_unit_test(test_many),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(test_overflow_is_reported),
#endif
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
