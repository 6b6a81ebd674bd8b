/*
 * test_log.c: lines on standard error: their format, what is escaped, and that each takes one write.
 *
 * Standard error is a socket that preserves message boundaries, so one recv(2) returns what one write(2) wrote.
 */
#include "core_test.h"

#include <regex.h>
#include <sys/socket.h>

#include "log/log.h"

static char line[65536];
static int ends[2], saved_stderr;

/* Receive one write into line. Returns its size, or -1 if there was none. */
static ssize_t take(void)
{
    ssize_t n = recv(ends[0], line, sizeof(line) - 1, MSG_DONTWAIT);

    line[n > 0 ? n : 0] = '\0';
    return n;
}

static void assert_matches(const char *pattern)
{
    regex_t compiled;

    assert_int_equal(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&compiled, line, 0, NULL, 0) != 0)
        fail_msg("\"%s\" does not match %s", line, pattern);
    regfree(&compiled);
}

/* Returns the text of the line, after its head. */
static const char *text(void)
{
    const char *at = strchr(line, '#');

    assert_non_null(at);
    return strchr(at, ' ') + 1;
}

static void test_line(void **state)
{
    log_init(LOG_LEVEL_DEBUG, 7);
    log_warn("a %s of %d", "line", 3);
    assert_true(take() > 0);
    assert_matches("^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z \\[warn\\] [0-9]+#7 a "
                   "line of 3\n$");
    assert_int_equal(atoi(strstr(line, "] ") + 2), getpid());
    assert_int_equal(take(), -1);
}

static void test_levels(void **state)
{
    static const char *const names[] = {"[error]", "[warn]", "[info]", "[debug]"};

    for (int limit = LOG_LEVEL_ERROR; limit <= LOG_LEVEL_DEBUG; limit++) {
        log_init((enum log_level)limit, 0);
        for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
            log_write((enum log_level)level, "x");
            assert_int_equal(take() > 0, level <= limit);
            assert_int_equal(log_enabled((enum log_level)level), level <= limit);
            if (level <= limit)
                assert_non_null(strstr(line, names[level]));
        }
    }
}

/* What a client has put into a text can neither forge a line nor control a terminal. */
static void test_escapes(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", "\n"},
        {"a\nb", "a\n  b\n"},
        {"a\n\nb\n\n", "a\n  \n  b\n"},
        {"\n", "\n"},
        {"a\r\nb", "a\\x0d\n  b\n"},
        {"\x1b[31m", "\\x1b[31m\n"},
        {"\x01\x1f\x7f", "\\x01\\x1f\\x7f\n"},
        {"tab\tstays", "tab\tstays\n"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f\n"},
        {"100%", "100%\n"},
    };

    log_init(LOG_LEVEL_INFO, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        log_info("%s", rows[i].in);
        assert_true(take() > 0);
        assert_string_equal(text(), rows[i].out);
    }
}

/* Sizes around those of the buffers on the stack; each byte becomes four. */
static void test_long_lines(void **state)
{
    static char in[5001], out[4 * 5000 + 2];

    log_init(LOG_LEVEL_INFO, 0);
    for (size_t size = 480; size <= 5000; size += size < 530 ? 1 : 223) {
        memset(in, '\x02', size);
        in[size] = '\0';
        for (size_t i = 0; i < size; i++)
            memcpy(out + 4 * i, "\\x02", 4);
        strcpy(out + 4 * size, "\n");
        log_info("%s", in);
        assert_true(take() > 0);
        assert_string_equal(text(), out);
        assert_int_equal(take(), -1);
    }
}

static void test_errno_is_kept(void **state)
{
    log_init(LOG_LEVEL_INFO, 0);
    errno = EDOM;
    log_error("why: %m");
    assert_int_equal(errno, EDOM);
    assert_true(take() > 0);
    assert_string_equal(text(), "why: Numerical argument out of domain\n");
    errno = EDOM;
    log_debug("nothing");
    assert_int_equal(errno, EDOM);
}

static void dies(void)
{
    log_die("the %s is on fire", "printer");
}

static void test_die(void **state)
{
    char said[256];
    int status = in_child(dies, said, sizeof(said));

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_non_null(strstr(said, "[error]"));
    assert_non_null(strstr(said, "the printer is on fire\n"));
}

static int setup(void **state)
{
    saved_stderr = dup(STDERR_FILENO);
    return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) || dup2(ends[1], STDERR_FILENO) < 0;
}

static int teardown(void **state)
{
    dup2(saved_stderr, STDERR_FILENO);
    return close(saved_stderr) || close(ends[0]) || close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errno_is_kept, setup, teardown),
        cmocka_unit_test(test_die),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
