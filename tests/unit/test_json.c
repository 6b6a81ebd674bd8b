/* test_json.c: JSON as syncless-ctl reads it: whole, cut anywhere, and with bytes that control a terminal. */
#include "core_test.h"

#include <string.h>
#include <sys/mman.h>

#include "ctl/ctl.h"
#include "ctl/json.h"

static const char sample[] = "{\"version\":1, \"of\":\"GET /\\u001b[2J\\u00ff\\\"\\\\\\/\\n\x1b\xc3\", \"none\":null,\n"
                             " \"list\":[1,-2.5e1,true,{}, []]}";

void ctl_fail(int code, const char *fmt, ...)
{
    fail_msg("%s", fmt);
    abort();
}

/* Returns the tree of a text whose NUL is the last byte of a page, behind which nothing may be read. */
static struct json *parse_at_end(const char *text, size_t size)
{
    static char *page;

    if (!page) {
        page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(page, MAP_FAILED);
        assert_int_equal(mprotect(page + 4096, 4096, PROT_NONE), 0);
    }
    memcpy(page + 4095 - size, text, size);
    page[4095] = '\0';
    return json_parse(page + 4095 - size, size);
}

static void test_values(void **state)
{
    struct json *tree = parse_at_end(sample, strlen(sample));
    const struct json *item;

    assert_non_null(tree);
    assert_true(json_number(tree, "version") == 1);
    assert_string_equal(json_text(tree, "of"), "GET /?[2J?\"\\/???");
    assert_string_equal(json_text(tree, "version"), "");
    assert_string_equal(json_text(tree, "missing"), "");
    assert_int_equal(json_member(tree, "none")->kind, JSON_NULL);
    assert_null(json_member(json_member(tree, "list"), "x"));
    assert_null(json_member(NULL, "x"));
    item = json_member(tree, "list")->first;
    assert_true(item->number == 1 && item->next->number == -25 && item->next->next->number == 1);
    assert_int_equal(item->next->next->next->kind, JSON_OBJECT);
    assert_null(item->next->next->next->next->next);
    json_free(tree);
}

static void test_cut_anywhere(void **state)
{
    for (size_t size = 0; size < strlen(sample); size++)
        assert_null(parse_at_end(sample, size));
}

static void test_no_json(void **state)
{
    static const char *const texts[] = {"{} x", "{1:2}", "{\"a\" 1}", "[1,]", "[1 2]", "nul", "-", "\"\\", "\"\\u12"};
    char deep[4000];

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_null(parse_at_end(texts[i], strlen(texts[i])));
    memset(deep, '[', sizeof(deep));
    assert_null(parse_at_end(deep, sizeof(deep)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_no_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
