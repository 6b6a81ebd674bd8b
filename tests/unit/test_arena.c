/* test_arena.c: bump allocation: alignment, defers, large pieces, the pool. */
#include "core_test.h"

#include "arena.h"

static void test_alloc(void **state)
{
    struct arena a;
    char space[256];

    arena_init_with(&a, space, sizeof(space));
    for (size_t size = 0; size < 3000; size = size * 3 + 1) {
        char *p = arena_alloc(&a, size), *q = arena_alloc(&a, size);

        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(q >= p + size || q + size <= p);
        assert_ptr_not_equal(p, q);
        memset(p, 1, size);
        memset(q, 2, size);
    }
    arena_release(&a);
}

static char order[8];
static size_t ordered;

static void put_a(void *arg)
{
    order[ordered++] = *(char *)arg;
}

static void test_defers_run_last_added_first(void **state)
{
    struct arena a;

    ordered = 0;
    arena_init(&a);
    arena_defer(&a, put_a, "a");
    arena_defer(&a, put_a, "b");
    arena_alloc(&a, 100000); /* a piece of its own, freed by a defer too */
    arena_defer(&a, put_a, "c");
    arena_release(&a);
    assert_int_equal(ordered, 3);
    assert_memory_equal(order, "cba", 3);
}

static void test_blocks_are_used_again(void **state)
{
    void *block = arena_block_get();

    arena_block_put(block);
    assert_ptr_equal(arena_block_get(), block);
    arena_block_put(block);
    arena_trim(); /* it was used since the last trim */
    arena_trim();
}

static void test_strings(void **state)
{
    struct arena a;

    arena_init(&a);
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 7), "x-7");
    assert_int_equal(strlen(arena_printf(&a, "%*d", 20000, 1)), 20000);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_defers_run_last_added_first),
        cmocka_unit_test(test_blocks_are_used_again),
        cmocka_unit_test(test_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
