/* core_test.h: what the unit tests of arena, coro, wait and http share. */
#ifndef CORE_TEST_H
#define CORE_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "coro/coro.h"
#include "wait/wait.h"

#define MS INT64_C(1000000) /* in nanoseconds */

static inline int loop_setup(void **state)
{
    coro_init(256 * 1024);
    wait_init(2);
    return 0;
}

static inline int loop_teardown(void **state)
{
    wait_exit();
    coro_exit();
    return 0;
}

/* Run fn(arg) on a coroutine, and the loop until all coroutines have returned. */
static inline void on_coroutine(void (*fn)(void *arg), void *arg)
{
    assert_non_null(coro_start(fn, arg));
    wait_run();
    assert_int_equal(coro_count(), 0);
}

#endif
