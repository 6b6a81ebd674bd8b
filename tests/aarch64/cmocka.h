/*
 * cmocka.h: the part of cmocka that the unit tests of `make test-aarch64` use.
 *
 * Installing cmocka for aarch64 would need a foreign architecture in dpkg, which changes the whole system. As in
 * cmocka, a failed assertion leaves the test by longjmp, from whatever stack it is on, and results are printed as TAP.
 * A program includes this file once.
 */
#ifndef CMOCKA_H
#define CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
    int (*setup)(void **state);
    int (*teardown)(void **state);
};

enum check_end { CHECK_FAILED = 1, CHECK_SKIPPED };
static jmp_buf check_back;

__attribute__((noreturn, unused, format(printf, 3, 4))) static void check_fail(const char *file, int line,
                                                                               const char *format, ...)
{
    va_list args;

    printf("# %s:%d: ", file, line);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    longjmp(check_back, CHECK_FAILED);
}

#define cmocka_unit_test(f)                                                                                            \
    {                                                                                                                  \
#f, f, NULL, NULL                                                                                              \
    }
#define cmocka_unit_test_setup_teardown(f, setup, teardown)                                                            \
    {                                                                                                                  \
#f, f, setup, teardown                                                                                         \
    }
#define cmocka_run_group_tests(tests, setup, teardown)                                                                 \
    check_group(tests, sizeof(tests) / sizeof(*(tests)), setup, teardown)

#define fail_msg(...) check_fail(__FILE__, __LINE__, __VA_ARGS__)
#define skip()        longjmp(check_back, CHECK_SKIPPED)

#define assert_true(c)               ((c) ? (void)0 : fail_msg("%s is false", #c))
#define assert_false(c)              assert_true(!(c))
#define assert_null(p)               assert_true((p) == NULL)
#define assert_non_null(p)           assert_true((p) != NULL)
#define assert_ptr_equal(a, b)       assert_true((const void *)(a) == (const void *)(b))
#define assert_ptr_not_equal(a, b)   assert_true((const void *)(a) != (const void *)(b))
#define assert_memory_equal(a, b, n) assert_true(memcmp(a, b, n) == 0)

#define assert_int_equal(a, b)                                                                                         \
    do {                                                                                                               \
        long long seen_ = (long long)(a), wanted_ = (long long)(b);                                                    \
        if (seen_ != wanted_)                                                                                          \
            fail_msg("%s is %lld, not %lld", #a, seen_, wanted_);                                                      \
    } while (0)

#define assert_in_range(a, low, high)                                                                                  \
    do {                                                                                                               \
        unsigned long long seen_ = (unsigned long long)(a);                                                            \
        if (seen_ < (unsigned long long)(low) || seen_ > (unsigned long long)(high))                                   \
            fail_msg("%s is %llu", #a, seen_);                                                                         \
    } while (0)

#define assert_string_equal(a, b)                                                                                      \
    do {                                                                                                               \
        const char *seen_ = (a), *wanted_ = (b);                                                                       \
        if (strcmp(seen_, wanted_) != 0)                                                                               \
            fail_msg("%s is \"%s\", not \"%s\"", #a, seen_, wanted_);                                                  \
    } while (0)

/* A test fails if its setup or teardown does. */
static inline enum check_end check_one(const struct CMUnitTest *test)
{
    void *state = NULL;
    enum check_end end = setjmp(check_back);

    if (end)
        return end;
    if (test->setup && test->setup(&state) != 0)
        fail_msg("the setup failed");
    test->run(&state);
    if (test->teardown && test->teardown(&state) != 0)
        fail_msg("the teardown failed");
    return 0;
}

/* Returns the number of tests that failed. */
static inline int check_group(const struct CMUnitTest *tests, size_t count, int (*setup)(void **),
                              int (*teardown)(void **))
{
    void *state = NULL;
    int failed = 0;

    printf("1..%zu\n", count);
    if (setup && setup(&state) != 0)
        return (int)count;
    for (size_t i = 0; i < count; i++) {
        enum check_end end = check_one(&tests[i]);

        printf("%s %zu - %s%s\n", end == CHECK_FAILED ? "not ok" : "ok", i + 1, tests[i].name,
               end == CHECK_SKIPPED ? " # SKIP" : "");
        fflush(stdout); /* a test may fork */
        failed += end == CHECK_FAILED;
    }
    if (teardown && teardown(&state) != 0)
        return failed + 1;
    return failed;
}

#endif
