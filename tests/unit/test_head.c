/* test_head.c: finding the end of a head, and parsing it: facts, and what is refused. */
#include "core_test.h"

#include <stdlib.h>

#include "http/head.h"

#define HOST "Host: test\r\n"

/* Parse a copy of text; returns the status. The request's memory is the caller's to release. */
static int parse(struct request *req, char *copy, const char *text)
{
    struct head_scan scan = {0};
    const char *why = NULL;
    size_t size;

    strcpy(copy, text);
    *req = (struct request){0};
    arena_init(&req->arena);
    size = head_find(copy, strlen(copy), &scan);
    assert_int_equal(size, strlen(text));
    return head_parse(req, copy, size, scan.lines, &why);
}

static int status_of(const char *text)
{
    struct request req;
    char copy[1024];
    int status = parse(&req, copy, text);

    arena_release(&req.arena);
    return status;
}

static void test_end_is_found_at_every_split(void **state)
{
    const char *text = "GET / HTTP/1.1\r\n" HOST "\r\nrest";
    size_t size = strlen(text) - 4;

    for (size_t split = 0; split < size; split++) {
        struct head_scan scan = {0};

        assert_int_equal(head_find(text, split, &scan), 0);
        assert_int_equal(head_find(text, size + 4, &scan), size);
        assert_int_equal(scan.lines, 3);
    }
}

static void test_facts(void **state)
{
    struct request req;
    char copy[1024];

    assert_int_equal(
        parse(&req, copy, "POST /a%20b/c?x=%20 HTTP/1.1\r\n" HOST "A:  b c \t\r\nEmpty:\r\nContent-Length: 12\r\n\r\n"),
        0);
    assert_string_equal(req.facts.method, "POST");
    assert_string_equal(req.facts.target, "/a%20b/c?x=%20");
    assert_string_equal(req.facts.path, "/a b/c");
    assert_string_equal(req.facts.query, "x=%20");
    assert_string_equal(req.facts.host, "test");
    assert_int_equal(req.facts.field_count, 4);
    assert_string_equal(req.facts.fields[1].value, "b c");
    assert_string_equal(req.facts.fields[2].value, "");
    assert_int_equal(req.facts.length, 12);
    assert_true(req.keep_alive);
    arena_release(&req.arena);
}

static void test_forms_of_the_target(void **state)
{
    struct request req;
    char copy[1024];

    assert_int_equal(parse(&req, copy, "GET http://other:81/p?q HTTP/1.1\r\n" HOST "\r\n"), 0);
    assert_string_equal(req.facts.host, "other:81");
    assert_string_equal(req.facts.path, "/p");
    arena_release(&req.arena);
    assert_int_equal(parse(&req, copy, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 0);
    assert_string_equal(req.facts.path, "*");
    arena_release(&req.arena);
}

static void test_bodies(void **state)
{
    struct request req;
    char copy[1024];

    assert_int_equal(parse(&req, copy, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"), 0);
    assert_int_equal(req.body_kind, BODY_CHUNKED);
    assert_int_equal(req.facts.length, -1);
    arena_release(&req.arena);
    assert_int_equal(parse(&req, copy, "GET / HTTP/1.0\r\n\r\n"), 0);
    assert_int_equal(req.body_kind, BODY_NONE);
    assert_false(req.keep_alive);
    arena_release(&req.arena);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        int status;
    } table[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : test\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "A: b\nC: d\r\n\r\n", 400},
        {"GET / HTTP/1.1\n" HOST "\r\n", 400},
        {"GET /%zz HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /%00 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET a HTTP/1.1\r\n" HOST "\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 9999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Expect: more\r\n\r\n", 417},
        {"GET / HTTP/1.2\r\n" HOST "\r\n", 505},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (status_of(table[i].text) != table[i].status)
            fail_msg("%d for %s", status_of(table[i].text), table[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_is_found_at_every_split),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_forms_of_the_target),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
