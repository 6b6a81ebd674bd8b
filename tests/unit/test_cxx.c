/*
 * test_cxx.c: C++ exceptions on coroutines. Several coroutines throw, catch and throw again, interleaved: the runtime's
 * state for the thread must be the coroutine's. throwing.so brings libstdc++, as an extension module would.
 */
#include "core_test.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>

#include "coro/cxx.h"

static int (*throwing)(int number, void (*yield)(void));

struct thrower {
    int number, result;
};

static void throws(void *arg)
{
    struct thrower *thrower = arg;

    thrower->result = throwing(thrower->number, coro_yield);
}

static void test_exceptions_belong_to_coroutines(void **state)
{
    struct thrower throwers[20];

    for (int i = 0; i < 20; i++) {
        throwers[i] = (struct thrower){.number = i + 1};
        coro_start(throws, &throwers[i]);
        sched_run(); /* each is at a different step */
    }
    while (sched_run())
        ;
    for (int i = 0; i < 20; i++)
        assert_int_equal(throwers[i].result, throwers[i].number);
}

static void do_not_yield(void)
{
}

static void test_threads_have_their_own(void **state)
{
    assert_int_equal(throwing(5, do_not_yield), 5);
    assert_null(__cxa_get_globals()->caught);
    assert_int_equal(__cxa_get_globals_fast()->uncaught, 0);
}

/* A coroutine from the pool starts without an exception, even if the last one ended in the middle of one. */
static void leaves_a_mess(void *arg)
{
    *__cxa_get_globals() = (struct cxx_state){arg, 3};
}

static void is_clean(void *arg)
{
    assert_null(__cxa_get_globals()->caught);
    assert_int_equal(__cxa_get_globals()->uncaught, 0);
}

static void test_a_start_is_clean(void **state)
{
    coro_start(leaves_a_mess, &throwing);
    sched_run();
    coro_start(is_clean, NULL);
    sched_run();
    assert_int_equal(coro_count(), 0);
}

/* In the folder of this program. */
static int load(void **state)
{
    char path[PATH_MAX] = "", name[PATH_MAX + 16];
    void *handle;

    coro_setup(state);
    if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
        return -1;
    snprintf(name, sizeof(name), "%s/throwing.so", dirname(path));
    handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        fprintf(stderr, "%s\n", dlerror());
        return -1;
    }
    throwing = (int (*)(int, void (*)(void)))dlsym(handle, "throwing");
    return !throwing;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exceptions_belong_to_coroutines),
        cmocka_unit_test(test_threads_have_their_own),
        cmocka_unit_test(test_a_start_is_clean),
    };

    return cmocka_run_group_tests(tests, load, coro_teardown);
}
