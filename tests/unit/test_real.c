/* test_real.c: the table of libc's own functions has them all, and none of ours. */
#include "core_test.h"

#include <dlfcn.h>

#include "base/real.h"

/* The file that a function is in. */
static const char *file_of(void *function)
{
    Dl_info info;

    assert_int_not_equal(dladdr(function, &info), 0);
    return info.dli_fname;
}

static void test_functions_are_not_ours(void **state)
{
#define X(name) {#name, (void *)real()->name, (void *)name},
    const struct {
        const char *name;
        void *real, *plain;
    } rows[] = {REAL_CALLS(X)};
#undef X
    const char *own = file_of((void *)test_functions_are_not_ours);
    size_t interposed = 0;

    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!rows[i].real || !strcmp(file_of(rows[i].real), own))
            fail_msg("%s is not libc's", rows[i].name);
        interposed += rows[i].real != rows[i].plain;
    }
    assert_in_range(interposed, 50, COUNT(rows)); /* the plain names are ours: this program has server/libc */
}

static void uses_table(void)
{
    if (real()->write(STDERR_FILENO, "written", 7) != 7)
        _exit(1);
}

static void test_forked_child(void **state)
{
    char text[64];

    assert_int_equal(in_child(uses_table, text, sizeof(text)), 0);
    assert_string_equal(text, "written");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_are_not_ours),
        cmocka_unit_test(test_forked_child),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
