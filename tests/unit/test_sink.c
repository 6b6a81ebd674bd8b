/*
 * test_sink.c: lines to a pipe that nobody reads, to a file, and to the next file after it was renamed: no call waits,
 * and no line is cut.
 *
 * Standard error is a pipe here; `talk` is a duplicate of the real one.
 */
#include "core_test.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "log/log.h"
#include "log/sink.h"
#include "log/log_target.h"

#define LINE  100
#define LINES 20000

static int ends[2], talk;
static char received[8 << 20];

static int setup(void **state)
{
    talk = dup(STDERR_FILENO);
    return pipe(ends) || dup2(ends[1], STDERR_FILENO) < 0;
}

static int teardown(void **state)
{
    dup2(talk, STDERR_FILENO);
    return close(talk) || close(ends[0]) || close(ends[1]);
}

/* Read all that is in the pipe now. Returns its size. */
static size_t take(char *to)
{
    struct pollfd in = {.fd = ends[0], .events = POLLIN};
    size_t size = 0;

    while (poll(&in, 1, 0) == 1)
        size += (size_t)read(ends[0], to + size, 65536);
    return size;
}

static void put_lines(struct sink *sink, int count)
{
    char line[LINE + 1];

    for (int i = 0; i < count; i++) {
        snprintf(line, sizeof(line), "%0*d\n", LINE - 1, i);
        sink_write(sink, 6, line, LINE, true);
    }
}

/* A full pipe does not make the caller wait, and its flags, which other users share, are not changed. */
static void test_full_pipe(void **state)
{
    struct sink *sink = sink_open("stderr");
    size_t size = 0, more;
    int lines = 0;

    put_lines(sink, LINES); /* 2 MB: 64 KiB fit into the pipe, 1 MiB into the buffer */
    assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
    assert_true(sink_pending_fd(sink) >= 0);
    while ((more = take(received + size)) > 0) {
        size += more;
        sink_flush(sink);
    }
    assert_int_equal(sink_pending_fd(sink), -1);
    for (char *at = received; at < received + size; lines++) {
        char *end = memchr(at, '\n', size - (size_t)(at - received));

        assert_non_null(end);
        if (end + 1 - at != LINE) { /* the last line: how many were dropped */
            assert_int_equal(atoi(strstr(at, "dropped ") + 8) + lines, LINES);
            assert_non_null(strstr(at, "log lines: stderr was not accepting writes"));
            at = end + 1;
            lines--;
            continue;
        }
        assert_int_equal(atoi(at), lines); /* in order, and none is missing */
        at = end + 1;
    }
    assert_in_range(lines, (1 << 20) / LINE, LINES - 1);
    sink_close(sink);
}

static size_t read_file(const char *path, char *to)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, to, 65536);

    close(fd);
    return n < 0 ? 0 : (size_t)n;
}

/* Lines are collected until a flush, unless one is to be written at once; after sink_reopen they go to the new file. */
static void test_file(void **state)
{
    char path[] = "/tmp/sink-test-XXXXXX", old[64];
    struct sink *sink;
    struct stat st;

    close(mkstemp(path));
    unlink(path);
    snprintf(old, sizeof(old), "%s.1", path);
    sink = sink_open(path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640 & ~umask(umask(0)));
    sink_write(sink, 6, "one\n", 4, false);
    assert_int_equal(read_file(path, received), 0);
    sink_write(sink, 6, "two\n", 4, true);
    assert_int_equal(read_file(path, received), 8);
    sink_write(sink, 6, "three\n", 6, false);
    rename(path, old);
    sink_reopen(sink, sink_open_file(path)); /* pending lines go to the old one */
    sink_write(sink, 6, "four\n", 5, true);
    assert_int_equal(read_file(old, received), 14);
    assert_int_equal(read_file(path, received), 5);
    assert_memory_equal(received, "four\n", 5);
    sink_close(sink);
    unlink(path);
    unlink(old);
}

static void test_targets(void **state)
{
    static const char *const good[] = {"stderr", "stdout", "syslog", "syslog:daemon", "syslog:local7", "/var/log/x"};
    static const char *const bad[] = {"", "-", "syslog:", "syslog:mail", "x.log"};

    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(log_target_is_known(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(log_target_is_known(bad[i]));
    assert_null(sink_open("/nonexistent/x.log"));
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_pipe, setup, teardown),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
