/* core_test.h: what the unit tests of arena, log, coro, wait and http share. */
#ifndef CORE_TEST_H
#define CORE_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "any_cmocka.h"

#include "coro/coro.h"
#include "slice_test.h"
#include "syncless/runtime.h"
#include "wait/wait.h"

#define MS       INT64_C(1000000) /* in nanoseconds */
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

#define TEST_STACK (256 * 1024) /* bytes */

static inline int coro_setup(void **state)
{
    coro_init(TEST_STACK);
    return 0;
}

static inline int coro_teardown(void **state)
{
    coro_exit();
    return 0;
}

static inline int loop_setup(void **state)
{
    coro_init(TEST_STACK);
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

/* Run fn in a child process, up to _exit(0). Returns its status as waitpid does, and what it wrote to standard error.
 */
static inline int in_child(void (*fn)(void), char *text, size_t size)
{
    size_t got = 0;
    ssize_t n;
    int ends[2], status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        fn();
        _exit(0);
    }
    close(ends[1]);
    while (got < size - 1 && (n = read(ends[0], text + got, size - 1 - got)) > 0)
        got += (size_t)n;
    text[got] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

#endif
