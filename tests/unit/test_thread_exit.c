/* pthread_exit on a coroutine: what runs then, and in which order, is what runs in a thread. throwing.so brings C++. */
#include "libc_test.h"

#include <dlfcn.h>
#include <libgen.h>
#include <sys/wait.h>
#include <threads.h>

static void (*guarded)(void (*fn)(void *arg), void *arg, void (*told)(int number));
static pthread_key_t key;
static struct report *told_report;

static void told(int number)
{
    report(told_report, "%d\n", number);
}

static void tell_of_key(void *value)
{
    usleep(1000); /* may wait */
    told(value != NULL ? 90 : 91);
}

static void clean_up(void *number)
{
    usleep(1000);
    told((int)(intptr_t)number);
}

static void exits(void *arg)
{
    told(1);
    if (arg)
        thrd_exit(3);
    pthread_exit(NULL);
}

static void with_handler(void *arg)
{
    pthread_cleanup_push(clean_up, (void *)20);
    pthread_cleanup_push(clean_up, (void *)10);
    pthread_cleanup_push(clean_up, (void *)11);
    usleep(1000);
    pthread_cleanup_pop(1);
    guarded(exits, arg, told);
    told(-1);
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    told(-2);
}

static void *ends_in_the_middle(void *arg)
{
    pthread_setspecific(key, &key);
    guarded(with_handler, arg, told);
    told(-3);
    return NULL;
}

static void runs_on_coroutine(void *arg)
{
    ends_in_the_middle(arg);
}

static void *holds_handler(void *arg)
{
    pthread_cleanup_push(clean_up, (void *)30); /* of another one: not its business */
    for (int i = 0; i < 20; i++)
        usleep(1000);
    pthread_cleanup_pop(0);
    return NULL;
}

static void holds_on_coroutine(void *arg)
{
    holds_handler(arg);
}

static void check_exit(void *arg)
{
    struct report thread = {.size = 0}, coroutine = {.size = 0};
    pthread_t id;

    told_report = &thread;
    assert_int_equal(pthread_create(&id, NULL, ends_in_the_middle, arg), 0);
    assert_int_equal(pthread_join(id, NULL), 0);
    told_report = &coroutine;
    coro_start(runs_on_coroutine, arg);
    coro_start(holds_on_coroutine, NULL);
    wait_run();
    assert_int_equal(coro_count(), 0);
    assert_string_equal(coroutine.text, "11\n1\n100\n10\n20\n100\n90\n");
    assert_string_equal(coroutine.text, thread.text);
}

static void test_exit(void **state)
{
    for (int i = 0; i < 20; i++) {
        check_exit(NULL);
        check_exit(&key);
    }
    coro_trim();
    assert_true(coro_stats().stacks <= 2); /* those that have ended are freed */
}

/* ---- who must not end ---- */

static void main_exits(void *arg)
{
    coro_self()->is_main = true;
    pthread_exit(NULL);
}

static void stop_loop(void *arg)
{
    usleep(5000);
    wait_stop();
}

/* The main coroutine stays parked. In a child, since its loop cannot be ended properly then. */
static void test_main_parks(void **state)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        coro_init(256 * 1024);
        wait_init(1);
        libc_init(RESOLVER_CARES);
        RUN(NULL, main_exits, stop_loop);
        _exit(coro_count() == 1 ? 7 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

static int exit_setup(void **state)
{
    char path[4096], name[4200];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);

    path[size] = '\0';
    snprintf(name, sizeof(name), "%s/throwing.so", dirname(path));
    *(void **)&guarded = dlsym(dlopen(name, RTLD_NOW), "guarded");
    libc_test_setup(state);
    return !guarded || pthread_key_create(&key, tell_of_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exit), cmocka_unit_test(test_main_parks)};

    return cmocka_run_group_tests(tests, exit_setup, libc_test_teardown);
}
