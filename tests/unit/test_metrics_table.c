/* The table of counters: buckets, mounts, slots, and what a worker may have written into it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "any_cmocka.h"
#include "base/array.h"
#include "metrics/metrics_totals.h"
#include "metrics/openmetrics.h"

static void test_a_bucket_has_what_its_bound_says(void **state)
{
    assert_int_equal(metrics_bucket(-1), 0);
    assert_int_equal(metrics_bucket(0), 0);
    for (unsigned i = 0; i + 1 < METRICS_BUCKETS; i++) {
        assert_int_equal(metrics_bucket(metrics_bound(i) * 1000), i);
        assert_int_equal(metrics_bucket(metrics_bound(i) * 1000 + 1), i + 1);
    }
    assert_int_equal(metrics_bucket(INT64_MAX), METRICS_BUCKETS - 1);
}

static void test_mounts_have_numbers(void **state)
{
    char name[32];

    metrics_add_mount("wsgi /");
    metrics_add_mount("static /s");
    metrics_add_mount("wsgi /");
    assert_int_equal(metrics_mount("wsgi /"), 1);
    assert_int_equal(metrics_mount("static /s"), 2);
    assert_int_equal(metrics_mount("cgi /"), 0);
    assert_string_equal(metrics_mount_name(2), "static /s");
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "wsgi /%d", i);
        metrics_add_mount(name);
    }
    assert_int_equal(metrics_mount("wsgi /60"), METRICS_MOUNTS - 1);
    assert_int_equal(metrics_mount("wsgi /61"), 0); /* there is no number left */
    assert_string_equal(metrics_mount_name(METRICS_MOUNTS), "");
}

static void test_a_slot_goes_on(void **state)
{
    struct metrics_slot *slot = metrics_slot_take(), *other;
    struct metrics_totals *totals = malloc(sizeof(*totals));

    metrics_add(&slot->bytes_in, 5);
    metrics_set(&slot->gauges.connections, 3);
    other = metrics_slot_take();
    assert_ptr_not_equal(slot, other);
    metrics_add(&other->bytes_in, 2);
    metrics_totals_take(totals);
    assert_int_equal(totals->bytes_in, 7);
    assert_int_equal(totals->connections, 3);
    assert_int_equal(totals->workers, 2);
    metrics_vacate(getpid());
    metrics_totals_take(totals);
    assert_int_equal(totals->bytes_in, 7);
    assert_int_equal(totals->connections, 0);
    assert_ptr_equal(metrics_slot_take(), slot);
    metrics_add(&slot->bytes_in, 1);
    metrics_totals_take(totals);
    assert_int_equal(totals->bytes_in, 8);
    metrics_vacate(getpid());
    free(totals);
}

/* Workers run code of applications, and can write to the table. */
static void test_what_is_no_count_is_left_out(void **state)
{
    struct metrics_slot *slot = metrics_slot_take();
    struct metrics_totals *totals = malloc(sizeof(*totals));
    struct openmetrics_server server = {.version = "1"};
    struct text page = {0};

    memset(slot->series, 0xff, sizeof(slot->series));
    slot->series[0].key = metrics_key(1, METHOD_GET, 200);
    slot->series[0].count = 3;
    slot->series[1].key = metrics_key(1, METRICS_METHODS, 200);
    slot->series[2].key = metrics_key(METRICS_MOUNTS, METHOD_GET, 200);
    slot->series[3].key = metrics_key(1, METHOD_GET, 1000);
    metrics_totals_take(totals);
    assert_int_equal(totals->row_count, 1);
    assert_int_equal(totals->requests, 3);
    openmetrics_write(&server, true, &page);
    assert_non_null(memmem(page.buf, page.size, "# EOF\n", 6));
    free(page.buf);
    free(totals);
    metrics_vacate(getpid());
}

/* A new binary takes the table over, but not what is none. */
static void test_a_table_is_inherited(void **state)
{
    int fd = dup(metrics_file()), other = open("/dev/null", O_RDONLY | O_CLOEXEC);

    metrics_create(fd);
    assert_int_equal(metrics_file(), fd);
    assert_string_equal(metrics_mount_name(1), "wsgi /");
    metrics_create(other);
    assert_int_not_equal(metrics_file(), fd);
    assert_string_equal(metrics_mount_name(1), "");
}

static int make_table(void **state)
{
    metrics_create(-1);
    return metrics_file() < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bucket_has_what_its_bound_says),
        cmocka_unit_test(test_mounts_have_numbers),
        cmocka_unit_test(test_a_slot_goes_on),
        cmocka_unit_test(test_what_is_no_count_is_left_out),
        cmocka_unit_test(test_a_table_is_inherited),
    };

    return cmocka_run_group_tests(tests, make_table, NULL);
}
