/* Signal handlers and the main coroutine: its waits end as they would in a main thread. */
#include "libc_test.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/wait.h>

static volatile sig_atomic_t handled;

static void on_signal(int signum)
{
    handled++;
}

static void install(int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

    assert_int_equal(sigaction(SIGUSR2, &action, NULL), 0);
}

static void kill_thread(long thread)
{
    pthread_kill((pthread_t)thread, SIGUSR2);
}

/* Send the signal a little later, while the next call waits. */
static void signal_later(struct scene *s)
{
    later(s, kill_thread, (long)pthread_self());
}

/* ---- the comparison: on the OS thread's own stack, and on the main coroutine ---- */

static void run_on_main(void *arg)
{
    wait_set_main(coro_self());
    run_scene(arg);
    wait_set_main(NULL);
}

static void compare_main(void (*fn)(struct scene *))
{
    struct run plain = {.fn = fn}, run = {.fn = fn};

    run_scene(&plain);
    RUN(&run, run_on_main, tick);
    if (strcmp(plain.scene.report.text, run.scene.report.text) != 0)
        printf("in the thread:\n%son the coroutine:\n%s", plain.scene.report.text, run.scene.report.text);
    assert_string_equal(plain.scene.report.text, run.scene.report.text);
    assert_true(run.beats >= BEATS);
}

#define COMPARE_MAIN(name)                                                                                             \
    static void test_##name(void **state)                                                                              \
    {                                                                                                                  \
        compare_main(name);                                                                                            \
    }

/* ---- calls that are there to wait: any handler ends them ---- */

static void wait_only(struct scene *s, int flags)
{
    struct timespec length = {1, 0};
    struct timeval second = {1, 0};
    struct pollfd look = {.events = POLLIN};
    int ends[2];
    fd_set set;

    install(flags);
    make_pipe(ends);
    look.fd = ends[0];
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    signal_later(s);
    CALL(&s->report, nanosleep(&length, NULL));
    signal_later(s);
    CALL(&s->report, clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL));
    signal_later(s);
    CALL(&s->report, pause());
    signal_later(s);
    CALL(&s->report, poll(&look, 1, 1000));
    signal_later(s);
    CALL(&s->report, select(ends[0] + 1, &set, NULL, NULL, &second));
    wait_for_helpers(s);
    close_both(ends);
}

static void wait_only_ends(struct scene *s)
{
    wait_only(s, 0);
}
COMPARE_MAIN(wait_only_ends)

static void wait_only_ends_restarting(struct scene *s)
{
    wait_only(s, SA_RESTART);
}
COMPARE_MAIN(wait_only_ends_restarting)

/* ---- calls that do something: they go on after SA_RESTART ---- */

static void write_byte(long fd)
{
    assert_int_equal(write((int)fd, "x", 1), 1);
}

static void post(long sem)
{
    sem_post((sem_t *)sem);
}

static void end_child(long pid)
{
    kill((pid_t)pid, SIGKILL);
}

static pid_t start_child(void)
{
    pid_t child = fork();

    if (child == 0) {
        alarm(20); /* in case the test fails */
        for (;;)
            pause();
    }
    return child;
}

/* Send the signal, and later do what the call waits for. */
static void signal_then(struct scene *s, void (*fn)(long), long arg)
{
    signal_later(s);
    after(s, 8 * LATER_MS, fn, arg); /* on a busy machine the signal may be late */
}

static void work(struct scene *s, int flags)
{
    int ends[2], pair[2], status;
    pid_t child = start_child();
    char byte;
    sem_t sem;

    install(flags);
    make_pipe(ends);
    make_pair(SOCK_STREAM, pair);
    sem_init(&sem, 0, 0);
    signal_then(s, write_byte, ends[1]);
    CALL(&s->report, read(ends[0], &byte, 1));
    wait_for_helpers(s);
    signal_then(s, write_byte, pair[1]);
    CALL(&s->report, recv(pair[0], &byte, 1, 0));
    wait_for_helpers(s);
    signal_then(s, post, (long)&sem);
    CALL(&s->report, sem_wait(&sem));
    wait_for_helpers(s);
    signal_then(s, end_child, child);
    CALL(&s->report, waitpid(child, &status, 0) > 0);
    wait_for_helpers(s);
    sem_destroy(&sem);
    close_both(ends);
    close_both(pair);
    waitpid(child, &status, WNOHANG);
}

static void work_ends(struct scene *s)
{
    work(s, 0);
}
COMPARE_MAIN(work_ends)

static void work_restarts(struct scene *s)
{
    work(s, SA_RESTART);
}
COMPARE_MAIN(work_restarts)

/* ---- no signal is lost, and none counts twice ---- */

static void note_is_kept(struct scene *s)
{
    install(0);
    raise(SIGUSR2); /* between the program's last look and its wait */
    CALL(&s->report, nanosleep(&(struct timespec){1, 0}, NULL));
    CALL(&s->report, nanosleep(&(struct timespec){0, 20000000}, NULL));
    raise(SIGUSR2);
    signal_later(s);
    CALL(&s->report, pause()); /* waits for a signal that comes from now on */
    wait_for_helpers(s);
}

static void run_note_is_kept(void *arg)
{
    struct run run = {.fn = note_is_kept};
    int64_t start = now_ms();

    run_on_main(&run);
    assert_string_equal(run.scene.report.text, "nanosleep(&(struct timespec){1, 0}, NULL) = -1 EINTR\n"
                                               "nanosleep(&(struct timespec){0, 20000000}, NULL) = 0 \n"
                                               "pause() = -1 EINTR\n");
    assert_in_range(now_ms() - start, 20 + LATER_MS - 1, 900);
}

static void test_note_is_kept(void **state)
{
    RUN(NULL, run_note_is_kept);
}

static void sleep_undisturbed(void *arg)
{
    pthread_kill(pthread_self(), SIGUSR2);
    assert_int_equal(nanosleep(&(struct timespec){0, 20000000}, NULL), 0);
}

/* Other coroutines are like threads to which the kernel does not deliver signals. */
static void test_others_sleep_on(void **state)
{
    install(0);
    handled = 0;
    RUN(NULL, sleep_undisturbed);
    assert_int_equal(handled, 1);
}

/* ---- what is installed ---- */

static void *seen_value;
static struct coro *seen_coro;

static void on_info(int signum, siginfo_t *info, void *context)
{
    seen_value = info->si_value.sival_ptr;
    seen_coro = coro_self();
    errno = EXDEV;
}

static void ask_what_is_installed(struct scene *s)
{
    struct sigaction info = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | SA_NODEFER}, old;

    signal(SIGUSR2, SIG_IGN);
    CALL(&s->report, signal(SIGUSR2, on_signal) == SIG_IGN);
    CALL(&s->report, sigaction(SIGUSR2, &info, &old));
    report(&s->report, "%d %x\n", old.sa_handler == on_signal, (unsigned)old.sa_flags);
    CALL(&s->report, sigaction(SIGUSR2, NULL, &old));
    report(&s->report, "%d %x\n", old.sa_sigaction == on_info, (unsigned)old.sa_flags);
    CALL(&s->report, sigqueue(getpid(), SIGUSR2, (union sigval){.sival_ptr = s}));
    report(&s->report, "%d %d\n", seen_value == s, seen_coro == NULL);
    CALL(&s->report, signal(SIGUSR2, SIG_DFL) == (sighandler_t)(void *)on_info);
    assert_true(signal(SIGUSR2, SIG_ERR) == SIG_ERR);
    assert_int_equal(errno, EINVAL);
    CALL(&s->report, sigaction(SIGKILL, &info, NULL));
    CALL(&s->report, sigaction(-1, &info, NULL));
    CALL(&s->report, sigaction(NSIG + 1, NULL, &old));
}

static void run_ask(void *arg)
{
    run_scene(arg);
}

static void test_ask_what_is_installed(void **state)
{
    struct run plain = {.fn = ask_what_is_installed}, run = {.fn = ask_what_is_installed};

    run_scene(&plain);
    RUN(&run, run_ask);
    assert_string_equal(plain.scene.report.text, run.scene.report.text);
}

/* ---- the older calls, of which libc calls some deprecated ---- */

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

sighandler_t bsd_signal(int signum, sighandler_t handler);

static void on_older(int signum)
{
    seen_coro = coro_self();
    handled++;
}

/* Call what was installed, and return its flags. */
static unsigned take_signal(void)
{
    struct sigaction action;

    handled = 0;
    seen_coro = coro_self();
    assert_int_equal(sigaction(SIGUSR2, NULL, &action), 0);
    assert_ptr_equal(action.sa_handler, on_older);
    raise(SIGUSR2);
    assert_int_equal(handled, 1);
    assert_null(seen_coro); /* a write in it would not park */
    return (unsigned)action.sa_flags & (SA_RESTART | SA_RESETHAND | SA_NODEFER);
}

static void use_older_calls(void *arg)
{
    unsigned once = SA_RESETHAND | SA_NODEFER;

    signal(SIGUSR2, SIG_IGN);
    assert_ptr_equal(bsd_signal(SIGUSR2, on_older), SIG_IGN);
    assert_int_equal(take_signal(), SA_RESTART);
    assert_ptr_equal(ssignal(SIGUSR2, on_older), on_older);
    assert_int_equal(take_signal(), SA_RESTART);
    assert_ptr_equal(sysv_signal(SIGUSR2, on_older), on_older);
    assert_int_equal(take_signal(), once);
    assert_ptr_equal(__sysv_signal(SIGUSR2, on_older), SIG_DFL);
    assert_int_equal(take_signal(), once);
    assert_ptr_equal(sigset(SIGUSR2, on_older), SIG_DFL);
    assert_int_equal(take_signal(), 0);
    assert_ptr_equal(sysv_signal(SIGUSR2, SIG_ERR), SIG_ERR);
    assert_int_equal(errno, EINVAL);
    assert_ptr_equal(sigset(NSIG + 1, SIG_IGN), SIG_ERR);
    assert_int_equal(errno, EINVAL);
}

static void hold_signal(void *arg)
{
    sigset_t pending;

    sigset(SIGUSR2, on_older);
    assert_ptr_equal(sigset(SIGUSR2, SIG_HOLD), on_older);
    assert_ptr_equal(sigset(SIGUSR2, SIG_HOLD), SIG_HOLD);
    handled = 0;
    raise(SIGUSR2);
    assert_int_equal(handled, 0);
    assert_int_equal(sigpending(&pending), 0);
    assert_true(sigismember(&pending, SIGUSR2));
    assert_ptr_equal(sigset(SIGUSR2, on_older), SIG_HOLD);
    assert_int_equal(handled, 1);
}

static void test_older_calls(void **state)
{
    RUN(NULL, use_older_calls);
    RUN(NULL, hold_signal);
}

static void wait_as_before(struct scene *s)
{
    install(0);
    signal_later(s);
    CALL(&s->report, sigpause(SIGUSR1));
    CALL(&s->report, sigpause(NSIG + 1));
    wait_for_helpers(s);
}
COMPARE_MAIN(wait_as_before)

/* What siginterrupt says decides whether the main coroutine's call goes on. */
static void change_restart(struct scene *s)
{
    int ends[2];
    char byte;

    make_pipe(ends);
    install(SA_RESTART);
    CALL(&s->report, siginterrupt(SIGUSR2, 1));
    signal_later(s);
    CALL(&s->report, read(ends[0], &byte, 1));
    signal(SIGUSR2, on_signal); /* heeds it */
    signal_later(s);
    CALL(&s->report, read(ends[0], &byte, 1));
    wait_for_helpers(s);
    CALL(&s->report, siginterrupt(SIGUSR2, 0));
    signal_then(s, write_byte, ends[1]);
    CALL(&s->report, read(ends[0], &byte, 1));
    wait_for_helpers(s);
    CALL(&s->report, siginterrupt(NSIG + 1, 0));
    CALL(&s->report, siginterrupt(SIGKILL, 1));
    close_both(ends);
}

static void run_change_restart(void *arg)
{
    struct run run = {.fn = change_restart};

    run_on_main(&run);
    assert_string_equal(run.scene.report.text, "siginterrupt(SIGUSR2, 1) = 0 \n"
                                               "read(ends[0], &byte, 1) = -1 EINTR\n"
                                               "read(ends[0], &byte, 1) = -1 EINTR\n"
                                               "siginterrupt(SIGUSR2, 0) = 0 \n"
                                               "read(ends[0], &byte, 1) = 1 \n"
                                               "siginterrupt(NSIG + 1, 0) = -1 EINVAL\n"
                                               "siginterrupt(SIGKILL, 1) = -1 EINVAL\n");
}

static void test_change_restart(void **state)
{
    RUN(NULL, run_change_restart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_wait_only_ends, libc_test_setup, libc_test_teardown),
        cmocka_unit_test_setup_teardown(test_wait_only_ends_restarting, libc_test_setup, libc_test_teardown),
        cmocka_unit_test_setup_teardown(test_work_ends, libc_test_setup, libc_test_teardown),
        cmocka_unit_test_setup_teardown(test_work_restarts, libc_test_setup, libc_test_teardown),
        cmocka_unit_test_setup_teardown(test_note_is_kept, libc_test_setup, libc_test_teardown),
        cmocka_unit_test_setup_teardown(test_others_sleep_on, libc_test_setup, libc_test_teardown),
        cmocka_unit_test_setup_teardown(test_ask_what_is_installed, libc_test_setup, libc_test_teardown),
        cmocka_unit_test_setup_teardown(test_older_calls, libc_test_setup, libc_test_teardown),
        cmocka_unit_test_setup_teardown(test_wait_as_before, libc_test_setup, libc_test_teardown),
        cmocka_unit_test_setup_teardown(test_change_restart, libc_test_setup, libc_test_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
