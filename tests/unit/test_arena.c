/* test_arena.c: bump allocation: alignment, the caller's space, defers, large objects, the pool, out of memory. */
#include "core_test.h"

#include <malloc.h>

#include "base/arena.h"

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

/* The caller's space is used first, whatever its alignment and size, and nothing is written outside of it. */
static void test_space_is_used_up(void **state)
{
    char space[128 + 16];

    for (size_t skip = 0; skip < 16; skip++)
        for (size_t size = 0; size <= 128; size++) {
            char *low = space + skip, *high = low + size;
            bool left = false;
            struct arena a;

            arena_init_with(&a, low, size);
            for (int i = 0; i < 10; i++) {
                char *p = arena_alloc(&a, 16);
                bool inside = p >= low && p + 16 <= high;

                assert_true(inside || p + 16 <= space || p >= space + sizeof(space));
                assert_false(inside && left);
                left = !inside;
                memset(p, 0xff, 16);
            }
            arena_release(&a);
        }
}

/* Every size up to that of a block, so that objects fail to fit in every way. */
static void test_pieces_do_not_overlap(void **state)
{
    enum { PIECES = 200 };
    unsigned char *pieces[PIECES];
    size_t sizes[PIECES];
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < PIECES; i++) {
        sizes[i] = i * 97 % 5000;
        pieces[i] = arena_alloc(&a, sizes[i]);
        memset(pieces[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(pieces[i][j], i & 0xff);
    arena_release(&a);
}

/* ---- defers ---- */

static char order[8];
static size_t ordered;

static void put(void *arg)
{
    order[ordered++] = *(char *)arg;
}

static void test_defers_run_last_added_first(void **state)
{
    struct arena a;

    ordered = 0;
    arena_init(&a);
    arena_defer(&a, put, "a");
    arena_defer(&a, put, "b");
    arena_alloc(&a, 100000); /* has a malloc of its own, which a defer frees too */
    arena_defer(&a, put, "c");
    arena_release(&a);
    assert_int_equal(ordered, 3);
    assert_memory_equal(order, "cba", 3);
}

static void defer_another(void *arg)
{
    put("1");
    arena_defer(arg, put, "2");
    assert_non_null(arena_alloc(arg, 5000));
}

static void test_defers_may_add_defers(void **state)
{
    struct arena a;

    ordered = 0;
    arena_init(&a);
    arena_defer(&a, put, "3");
    arena_defer(&a, defer_another, &a);
    arena_release(&a);
    assert_int_equal(ordered, 3);
    assert_memory_equal(order, "123", 3);
}

/* ---- the pool ---- */

static void test_blocks_are_used_again(void **state)
{
    void *block = arena_block_get();

    arena_block_put(block);
    assert_ptr_equal(arena_block_get(), block);
    arena_block_put(block);
    arena_trim();
    arena_trim();
}

#ifndef __SANITIZE_ADDRESS__ /* whose malloc does not count */
static void test_trim_frees_what_nobody_needed(void **state)
{
    enum { BLOCKS = 64, NEEDED = 10 };
    void *blocks[BLOCKS];
    size_t before;

    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = arena_block_get();
    for (int i = 0; i < BLOCKS; i++)
        arena_block_put(blocks[i]);
    arena_trim();
    before = mallinfo2().uordblks;
    for (int i = 0; i < NEEDED; i++)
        blocks[i] = arena_block_get();
    for (int i = 0; i < NEEDED; i++)
        arena_block_put(blocks[i]);
    arena_trim();
    if (before > 0) /* valgrind's malloc does not count */
        assert_in_range(before - mallinfo2().uordblks, (BLOCKS - NEEDED) * ARENA_BLOCK,
                        (BLOCKS - NEEDED + 1) * ARENA_BLOCK);
    for (int i = 0; i < 2; i++)
        arena_trim();
}
#endif

/* ---- strings ---- */

static void test_strings(void **state)
{
    struct arena a;

    arena_init(&a);
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(&a, "", 0), "");
    assert_memory_equal(arena_strndup(&a, "a\0b", 3), "a\0b", 4);
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 7), "x-7");
    assert_int_equal(strlen(arena_printf(&a, "%*d", 20000, 1)), 20000);
    arena_release(&a);
}

/* ---- out of memory ---- */

static void ask_for_too_much(void)
{
    struct arena a;

    arena_init(&a);
    arena_alloc(&a, SIZE_MAX - 3); /* rounding up must not make it small */
}

static void test_out_of_memory_ends_the_process(void **state)
{
    char text[256];
    int status = in_child(ask_for_too_much, text, sizeof(text));

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "out of memory: cannot allocate 18446744073709551612 bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_space_is_used_up),
        cmocka_unit_test(test_pieces_do_not_overlap),
        cmocka_unit_test(test_defers_run_last_added_first),
        cmocka_unit_test(test_defers_may_add_defers),
        cmocka_unit_test(test_blocks_are_used_again),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(test_trim_frees_what_nobody_needed),
#endif
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_out_of_memory_ends_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
