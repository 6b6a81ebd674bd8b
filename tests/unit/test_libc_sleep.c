/* Sleeping and waiting for signals: the same to their caller on a coroutine as in a thread. */
#include "libc_test.h"

#include <signal.h>
#include <sys/wait.h>

static int64_t start;

static void begin(void)
{
    start = now_ms();
}

/* Whether it took as long as it should; the upper bound allows for a busy machine. */
static bool took(int milliseconds)
{
    int64_t spent = now_ms() - start;

    return spent >= milliseconds - 1 && spent < milliseconds + 500;
}

static void sleep_relative(struct scene *s)
{
    struct timespec length = {0, 20000000}, remaining = {7, 7};

    begin();
    CALL(&s->report, nanosleep(&length, &remaining));
    report(&s->report, "%d %ld\n", took(20), (long)remaining.tv_sec);
    begin();
    CALL(&s->report, usleep(20000));
    report(&s->report, "%d\n", took(20));
    begin();
    CALL(&s->report, clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL));
    CALL(&s->report, clock_nanosleep(CLOCK_REALTIME, 0, &length, NULL));
    CALL(&s->report, clock_nanosleep(CLOCK_BOOTTIME, 0, &length, NULL));
    report(&s->report, "%d\n", took(60));
    begin();
    CALL(&s->report, sleep(1));
    CALL(&s->report, sleep(0));
    report(&s->report, "%d\n", took(1000));
}
COMPARE(sleep_relative, 10 * BEATS)

static void sleep_absolute(struct scene *s)
{
    struct timespec until = in_ms(CLOCK_MONOTONIC, 20);

    begin();
    CALL(&s->report, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
    CALL(&s->report, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)); /* already in the past */
    report(&s->report, "%d\n", took(20));
    until = in_ms(CLOCK_REALTIME, 20);
    CALL(&s->report, clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL));
    until = in_ms(CLOCK_TAI, 20);
    CALL(&s->report, clock_nanosleep(CLOCK_TAI, TIMER_ABSTIME, &until, NULL));
    report(&s->report, "%d\n", took(60));
}
COMPARE(sleep_absolute, 3 * BEATS)

static void sleep_wrong(struct scene *s)
{
    struct timespec nanoseconds = {0, 1000000000}, negative = {-1, 0}, length = {0, 1};

    CALL(&s->report, nanosleep(&nanoseconds, NULL));
    CALL(&s->report, nanosleep(&negative, NULL));
    CALL(&s->report, clock_nanosleep(CLOCK_MONOTONIC, 0, &nanoseconds, NULL));
    CALL(&s->report, clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &length, NULL));
    CALL(&s->report, clock_nanosleep(CLOCK_MONOTONIC_COARSE, 0, &length, NULL));
    CALL(&s->report, clock_nanosleep(4711, 0, &length, NULL));
}
COMPARE(sleep_wrong, 0)

/* A sleep of 0 lets others run, so that a loop of them does not starve them. */
struct turns {
    int mine, others;
};

static void sleep_zero(void *arg)
{
    struct turns *turns = arg;

    for (; turns->mine < 10; turns->mine++)
        nanosleep(&(struct timespec){0, 0}, NULL);
    assert_true(turns->others >= 8);
}

static void yield(void *arg)
{
    struct turns *turns = arg;

    for (; turns->mine < 10; turns->others++)
        coro_yield();
}

static void test_sleep_zero(void **state)
{
    struct turns turns = {0};

    RUN(&turns, sleep_zero, yield);
}

/* ---- side by side ---- */

static void sleep_a_while(void *arg)
{
    usleep(100000);
    ++*(int *)arg;
}

static void test_side_by_side(void **state)
{
    int woken = 0;

    begin();
    for (int i = 0; i < 1000; i++)
        assert_non_null(coro_start(sleep_a_while, &woken));
    wait_run();
    assert_int_equal(woken, 1000);
    assert_true(took(100));
}

/* ---- interrupted ---- */

static struct coro *sleeper;

/* Each call is interrupted by another cancellation. */
static void forget(void)
{
    wait_cancel(coro_self(), 0);
    errno = 0;
}

static void sleep_interrupted(void *arg)
{
    struct timespec length = {5, 0}, remaining = {0};
    sigset_t set;
    siginfo_t info;
    int pipe_ends[2], status;
    char byte;

    sleeper = coro_self();
    errno = 0;
    assert_int_equal(nanosleep(&length, &remaining), -1);
    assert_int_equal(errno, EINTR);
    assert_true(remaining.tv_sec == 4);
    forget();
    assert_int_equal(clock_nanosleep(CLOCK_MONOTONIC, 0, &length, &remaining), EINTR);
    assert_true(remaining.tv_sec == 4);
    forget();
    assert_int_equal(sleep(5), 5);
    forget();
    assert_int_equal(pause(), -1);
    assert_int_equal(errno, EINTR);
    make_pipe(pipe_ends);
    forget();
    assert_int_equal(read(pipe_ends[0], &byte, 1), -1);
    assert_int_equal(errno, EINTR);
    close_both(pipe_ends);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    forget();
    assert_int_equal(sigwaitinfo(&set, &info), -1);
    assert_int_equal(errno, EINTR);
    forget();
    assert_int_equal(waitpid(0, &status, 0), -1);
    assert_int_equal(errno, ECHILD); /* nothing to wait for: no interruption */
    *(bool *)arg = true;
}

static void interrupt(void *arg)
{
    while (!*(bool *)arg) {
        usleep(3000);
        if (sleeper)
            wait_cancel(sleeper, -EINTR);
    }
}

static void test_interrupted(void **state)
{
    bool over = false;

    RUN(&over, sleep_interrupted, interrupt);
}

/* ---- sigwait ---- */

static void raise_it(long thread)
{
    pthread_kill((pthread_t)thread, SIGUSR2);
}

static void wait_for_signal(struct scene *s)
{
    sigset_t set;
    siginfo_t info;
    int signum = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    later(s, raise_it, (long)pthread_self());
    CALL(&s->report, sigwait(&set, &signum));
    report(&s->report, "%d\n", signum);
    later(s, raise_it, (long)pthread_self());
    CALL(&s->report, sigwaitinfo(&set, &info));
    report(&s->report, "%d %d\n", info.si_signo, info.si_pid == getpid());
    begin();
    CALL(&s->report, sigtimedwait(&set, &info, &(struct timespec){0, 20000000}));
    report(&s->report, "%d\n", took(20));
    CALL(&s->report, sigtimedwait(&set, &info, &(struct timespec){0, 0}));
    CALL(&s->report, sigtimedwait(&set, &info, &(struct timespec){0, -1}));
    later(s, raise_it, (long)pthread_self());
    CALL(&s->report, sigtimedwait(&set, NULL, &(struct timespec){1, 0}));
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
COMPARE(wait_for_signal, 4 * BEATS)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sleep_relative),  cmocka_unit_test(test_sleep_absolute),
        cmocka_unit_test(test_sleep_wrong),     cmocka_unit_test(test_sleep_zero),
        cmocka_unit_test(test_side_by_side),    cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_wait_for_signal),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
