/* test_http_date.c: dates as HTTP writes them. */
#include "core_test.h"

#include "base/http_date.h"

#define EXAMPLE 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */

static void test_date_format(void **state)
{
    char text[HTTP_DATE_SIZE];

    http_date_format(EXAMPLE, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    http_date_format(0, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    http_date_format(253402300799, text);
    assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void test_date_parse(void **state)
{
    static const char *const good[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    static const char *const bad[] = {
        "",
        "Sun",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 No 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 -8:49:37 GMT",
        "784111777",
        "Sunday, 06-Nov-94 08:49:37 GMT, Sunday, 06-Nov-94 08:49:37 GMT",
    };
    time_t when;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        when = 0;
        assert_true(http_date_parse(good[i], &when));
        assert_int_equal(when, EXAMPLE);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(http_date_parse(bad[i], &when));
}

static void test_date_there_and_back(void **state)
{
    char text[HTTP_DATE_SIZE];
    time_t when;

    for (time_t t = 0; t < 253402300799; t += 86399 * 1013) {
        http_date_format(t, text);
        assert_true(http_date_parse(text, &when));
        assert_int_equal(when, t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_date_format),
        cmocka_unit_test(test_date_parse),
        cmocka_unit_test(test_date_there_and_back),
    };

    return cmocka_run_group_tests_name("http_date", tests, NULL, NULL);
}
