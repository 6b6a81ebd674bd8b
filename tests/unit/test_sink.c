/*
 * test_sink.c: lines to a pipe that nobody reads, to a file, and to the next file after it was renamed: no call waits,
 * and no line is cut.
 *
 * Standard error is a pipe here; `talk` is a duplicate of the real one. A disk that hangs is a function in place of
 * libc's write.
 */
#include "core_test.h"

#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <time.h>

#include "base/real.h"
#include "log/log.h"
#include "log/sink.h"
#include "log/log_target.h"

#define LINE  100
#define LINES 20000

static int ends[2], talk;
static char received[8 << 20];

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 * MS + now.tv_nsec;
}

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

/* ---- a disk that hangs ---- */

static sem_t disk; /* each write takes one */
static struct real_calls libc;

static ssize_t hanging_write(int fd, const void *data, size_t size)
{
    struct stat st;

    if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
        sem_wait(&disk);
        sem_post(&disk);
    }
    return libc.write(fd, data, size);
}

struct hung {
    char path[32], other[40];
    struct sink *sink;
};

static int hang(void **state)
{
    static struct hung h;

    strcpy(h.path, "/tmp/sink-test-XXXXXX");
    close(mkstemp(h.path));
    snprintf(h.other, sizeof(h.other), "%s.1", h.path);
    libc = real_calls;
    real_calls.write = hanging_write;
    sem_init(&disk, 0, 0);
    sinks_use_threads();
    h.sink = sink_open(h.path);
    *state = &h;
    return setup(NULL) || log_open("stderr");
}

static int hang_over(void **state)
{
    struct hung *h = *state;

    real_calls = libc;
    unlink(h->path);
    unlink(h->other);
    return teardown(NULL);
}

/* What is in a file, when it has so many bytes. */
static const char *wait_for_bytes(const char *path, size_t size)
{
    size_t is = 0;

    for (int i = 0; i < 3000 && is != size; i++) {
        is = read_file(path, received);
        usleep(is == size ? 0 : 1000);
    }
    received[is] = '\0';
    return received;
}

/* An error waits for some milliseconds at first, and others not at all. What does not fit is counted. */
static void test_hanging_disk(void **state)
{
    struct hung *h = *state;
    struct sink *sink = h->sink;
    int64_t begun = now_ns();
    int lost;

    put_lines(sink, 200);
    assert_true(now_ns() - begun < 500 * MS);
    sem_post(&disk);
    wait_for_bytes(h->path, 200 * LINE);
    for (int i = 0; i < 200; i++)
        assert_int_equal(atoi(received + i * LINE), i);
    sem_wait(&disk);
    put_lines(sink, LINES);
    assert_true(now_ns() - begun < 5000 * MS);
    sem_post(&disk);
    sink_drain(sink, 500);
    sink_flush(sink); /* which reports */
    received[take(received)] = '\0';
    lost = atoi(strstr(received, "dropped ") + 8);
    assert_in_range(lost, 1, LINES - (1 << 19) / LINE);
    wait_for_bytes(h->path, 0);
    sink_write(sink, 6, "end\n", 4, true);
    sink_close(sink);
}

static void test_files_change_while_the_disk_hangs(void **state)
{
    struct hung *h = *state;
    struct sink *sink = h->sink;

    sink_write(sink, 6, "one\n", 4, true);
    sink_write(sink, 6, "two\n", 4, false);
    rename(h->path, h->other);
    sink_reopen(sink, sink_open_file(h->path));
    sink_write(sink, 6, "three\n", 6, false);
    sink_reopen(sink, sink_open_file(h->path)); /* once more, before the first has happened */
    sink_write(sink, 6, "four\n", 5, true);
    close(sink_dup_for_stderr(sink));
    assert_string_equal(wait_for_bytes(h->path, 0), "");
    sem_post(&disk);
    assert_string_equal(wait_for_bytes(h->path, 11), "three\nfour\n");
    assert_string_equal(wait_for_bytes(h->other, 8), "one\ntwo\n");
    sink_close(sink);
}

/* At the end what is pending has five seconds; a sink that is closed is written to its end. */
static void test_end_while_the_disk_hangs(void **state)
{
    struct hung *h = *state;
    struct sink *sink = h->sink;
    int64_t begun = now_ns();

    sink_write(sink, 6, "one\ntwo\n", 8, true);
    sink_drain(sink, 5);
    assert_in_range(now_ns() - begun, 40 * MS, 5000 * MS);
    received[take(received)] = '\0';
    assert_non_null(strstr(received, "lost 2 log lines: /tmp/sink-test-"));
    sink_settle(sink, 1);
    assert_true(sink_try_write(sink, "three\n", 6));
    sink_close(sink);
    sem_post(&disk);
    assert_string_equal(wait_for_bytes(h->path, 14), "one\ntwo\nthree\n");
}

/* A child has neither the thread nor the pending lines. */
static void test_fork_while_the_disk_hangs(void **state)
{
    struct hung *h = *state;
    struct sink *sink = h->sink;
    int status;
    pid_t pid;

    sink_write(sink, 6, "parent\n", 7, true);
    pid = fork();
    if (pid == 0) {
        sink_clear(sink);
        real_calls = libc;
        sink_write(sink, 6, "child\n", 6, true);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_string_equal(wait_for_bytes(h->path, 6), "child\n");
    sem_post(&disk);
    assert_string_equal(wait_for_bytes(h->path, 13), "child\nparent\n");
    sink_close(sink);
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
        cmocka_unit_test_setup_teardown(test_hanging_disk, hang, hang_over),
        cmocka_unit_test_setup_teardown(test_files_change_while_the_disk_hangs, hang, hang_over),
        cmocka_unit_test_setup_teardown(test_end_while_the_disk_hangs, hang, hang_over),
        cmocka_unit_test_setup_teardown(test_fork_while_the_disk_hangs, hang, hang_over),
        cmocka_unit_test(test_targets),
    };

#ifdef CORO_QEMU /* takes the root directory for that of its libraries, where guarded_open would begin as root */
    if (geteuid() == 0 && seteuid(65534) < 0)
        return 1;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
