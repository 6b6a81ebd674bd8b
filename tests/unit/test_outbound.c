/* test_outbound.c: peers of [outbound PEER], from text and compared with addresses; and the tally that workers share.
 */
#include "core_test.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libc/outbound/remote.h"
#include "libc/outbound/tally.h"

/* ---- peers ---- */

static void test_remote_has_address(void **state)
{
    static const struct {
        const char *remote, *address; /* as address_parse reads it */
        bool has;
    } rows[] = {
        {"192.0.2.1:5432", "192.0.2.1:5432", true},
        {"192.0.2.1:5432", "192.0.2.1:5433", false},
        {"192.0.2.1", "192.0.2.1:9", true},
        {"192.0.2.1", "192.0.2.2:9", false},
        {"10.0.0.0/8", "10.1.2.3:1", true},
        {"10.0.0.0/8:1", "10.1.2.3:2", false},
        {"[2001:db8::1]:80", "[2001:db8::1]:80", true},
        {"2001:db8::/32", "[2001:db8:1::1]:80", true},
        {"[2001:db8::/32]:81", "[2001:db8::1]:80", false},
        {"10.0.0.0/8", "[::ffff:10.0.0.1]:80", true},
        {"unix:/run/a", "unix:/run/a", true},
        {"unix:/run/a", "unix:/run/ab", false},
        {"unix:/run/ab", "unix:/run/a", false},
        {"unix:/run/a", "192.0.2.1:1", false},
        {"192.0.2.1", "unix:/run/a", false},
        {"db:80", "192.0.2.1:80", false},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct remote remote;
        union address address;
        socklen_t size;

        assert_null(remote_parse(&remote, rows[i].remote));
        assert_null(address_parse(&address, &size, rows[i].address));
        assert_int_equal(remote_has_address(&remote, &address.any, size), rows[i].has);
    }
}

static void test_abstract_socket(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "\0db"};
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 3;
    struct remote remote, other;

    assert_null(remote_parse(&remote, "unix:@db"));
    assert_null(remote_parse(&other, "unix:@dc"));
    assert_true(remote_has_address(&remote, (struct sockaddr *)&un, size));
    assert_false(remote_has_address(&other, (struct sockaddr *)&un, size));
    assert_false(remote_has_address(&remote, (struct sockaddr *)&un, size + 1));
    assert_false(remote_has_address(&remote, (struct sockaddr *)&un, sizeof(sa_family_t)));
}

static void test_names(void **state)
{
    struct remote remote;

    assert_null(remote_parse(&remote, "Db.Internal:5432"));
    assert_true(remote_has_name(&remote, "db.internal"));
    assert_true(remote_has_name(&remote, "DB.internal."));
    assert_false(remote_has_name(&remote, "db.internal.example"));
    assert_false(remote_has_name(&remote, "db.intern"));
}

static void test_wrong_peers(void **state)
{
    static const char *const texts[] = {
        "",       ":1",    "a:",     "a:0", "a:65536",     "a:1x", "[::1", "[::1]x",
        "[db]:1", "unix:", "unix:a", "a b", "10.0.0.0/33", "a/8",  "[]:1", "[10.0.0.1/40]:1"};
    char name[400] = {0};
    struct remote remote;

    for (size_t i = 0; i < COUNT(texts); i++)
        assert_non_null(remote_parse(&remote, texts[i]));
    memset(name, 'x', sizeof(name) - 1);
    assert_non_null(remote_parse(&remote, name));
}

static void test_rank(void **state)
{
    static const char *const texts[] = {"10.0.0.0/8", "10.0.0.0/8:1", "10.1.0.0/16", "10.1.2.3", "10.1.2.3:1"};
    unsigned before = 0;

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct remote remote;

        assert_null(remote_parse(&remote, texts[i]));
        assert_true(remote_rank(&remote) > before);
        before = remote_rank(&remote);
    }
}

/* ---- the tally ---- */

static void test_tally(void **state)
{
    struct tally *tally = tally_new();
    struct tally_counts counts;
    int cell = tally_join(tally);

    assert_int_equal(cell, 0);
    assert_true(tally_take(tally, cell, 2) && tally_take(tally, cell, 2));
    assert_false(tally_take(tally, cell, 2));
    assert_true(tally_take(tally, cell, 0));
    tally_give(tally, cell);
    tally_give(tally, cell);
    assert_true(tally_take(tally, cell, 2));
    tally_count_wait(tally, 5, false);
    tally_count_wait(tally, 6, true);
    tally_counts(tally, &counts);
    assert_int_equal(counts.open, 2);
    assert_int_equal(counts.most, 3);
    assert_int_equal(counts.opened, 4);
    assert_int_equal(counts.waited, 2);
    assert_int_equal(counts.waited_for, 11);
    assert_int_equal(counts.given_up, 1);
    tally_drop(tally, getpid());
    tally_counts(tally, &counts);
    assert_int_equal(counts.open, 0);
}

/* Processes that take and give back as fast as they can never have more than the limit. One that is killed in the
 * middle leaves nothing. */
static void test_tally_of_processes(void **state)
{
    struct tally *tally = tally_new();
    atomic_int *open = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct tally_counts counts;
    pid_t pids[4];

    for (size_t i = 0; i < COUNT(pids); i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            int cell = tally_join(tally);

            for (int n = 0; n < 20000; n++)
                if (tally_take(tally, cell, 2)) {
                    if (atomic_fetch_add(open, 1) >= 2)
                        _exit(1);
                    atomic_fetch_sub(open, 1);
                    tally_give(tally, cell);
                }
            tally_take(tally, cell, 0); /* dies with it */
            _exit(0);
        }
    }
    for (size_t i = 0; i < COUNT(pids); i++) {
        int status;

        waitpid(pids[i], &status, 0);
        assert_int_equal(status, 0);
        tally_counts(tally, &counts);
        assert_true(counts.open > 0);
        tally_drop(tally, pids[i]);
    }
    tally_counts(tally, &counts);
    assert_int_equal(counts.open, 0);
    assert_true(counts.opened > 4);
}

static void test_older_waits(void **state)
{
    const int64_t second = INT64_C(1000000000);
    struct tally *tally = tally_new();
    int64_t now = 1000 * second;
    pid_t pid;

    assert_int_equal(tally_join(tally), 0);
    pid = fork();
    if (pid == 0) {
        tally_wait(tally, tally_join(tally), now - second);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    assert_true(tally_has_older(tally, 0, now));
    assert_false(tally_has_older(tally, 0, now - second)); /* as old */
    usleep(60000);
    assert_false(tally_has_older(tally, 0, now)); /* it no longer looks */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remote_has_address),
        cmocka_unit_test(test_abstract_socket),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_wrong_peers),
        cmocka_unit_test(test_rank),
        cmocka_unit_test(test_tally),
        cmocka_unit_test(test_tally_of_processes),
        cmocka_unit_test(test_older_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
