/* What libc writes and closes behind a stream: fflush(NULL), fclose with SO_LINGER, freopen of a FIFO, fseek, perror.
 */
#include "libc_test.h"

#include <err.h>
#include <error.h>
#include <gnu/libc-version.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio_ext.h>
#include <sys/stat.h>

static void read_all(long fd)
{
    char block[4096];

    while (read((int)fd, block, sizeof(block)) > 0)
        usleep(100);
}

static void fill(int fd)
{
    char block[4096] = "";

    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (write(fd, block, sizeof(block)) > 0)
        ;
    fcntl(fd, F_SETFL, 0);
}

/* A stream with something in its buffer, on a pipe that is full. */
static FILE *open_full(struct scene *s, int ends[2])
{
    FILE *file;

    make_pipe(ends);
    file = fdopen(ends[1], "w");
    setvbuf(file, NULL, _IOFBF, 4096);
    CALL(&s->report, fputs("pending", file) >= 0);
    fill(ends[1]);
    later(s, read_all, ends[0]);
    return file;
}

static void flush_all(struct scene *s)
{
    int ends[2][2];
    FILE *one = open_full(s, ends[0]), *two = open_full(s, ends[1]);

    CALL(&s->report, fflush(NULL));
    report(&s->report, "%zu %zu\n", __fpending(one), __fpending(two));
    fclose(one);
    fclose(two);
    wait_for_helpers(s);
    close(ends[0][0]);
    close(ends[1][0]);
}
COMPARE(flush_all, BEATS)

static void seek(struct scene *s)
{
    int ends[2];
    FILE *file = open_full(s, ends);

    CALL(&s->report, fseek(file, 0, SEEK_SET));
    report(&s->report, "%zu\n", __fpending(file));
    fclose(file);
    wait_for_helpers(s);
    close(ends[0]);
}
COMPARE(seek, BEATS)

/* Writing and reading in turns. */
static void turns(struct scene *s)
{
    char line[16] = "";
    int ends[2];
    FILE *file;

    make_pair(SOCK_STREAM, ends);
    fill(ends[0]);
    file = fdopen(ends[0], "r+");
    CALL(&s->report, fputs("pending", file) >= 0);
    assert_int_equal(write(ends[1], "line\n", 5), 5);
    later(s, read_all, ends[1]);
    CALL(&s->report, fgets(line, sizeof(line), file) != NULL);
    report(&s->report, "%s", line);
    fclose(file);
    wait_for_helpers(s);
    close(ends[1]);
}
COMPARE(turns, BEATS)

/* ---- closing ---- */

/* A connection that lingers, and whose peer does not read so far. */
static FILE *open_stuck(int *peer)
{
    struct linger linger = {1, 5};
    struct sockaddr_in at;
    int listener = make_listener(&at, 1), size = 4096, fd;
    char block[65536] = "";

    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    *peer = accept(listener, NULL, NULL);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    while (send(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
        ;
    close(listener);
    return fdopen(fd, "w");
}

static void read_connection(long fd)
{
    char block[65536];

    while (recv((int)fd, block, sizeof(block), 0) > 0)
        ;
}

static void lingering(struct scene *s)
{
    int64_t start;
    int peer;
    FILE *file = open_stuck(&peer);

    later(s, read_connection, peer);
    start = now_ms();
    CALL(&s->report, fclose(file));
    report(&s->report, "%d\n", now_ms() - start >= LATER_MS - 1);
    wait_for_helpers(s);
    close(peer);
    file = open_stuck(&peer);
    later(s, read_connection, peer);
    start = now_ms();
    file = freopen("/dev/null", "w", file);
    report(&s->report, "%d %d\n", file != NULL, now_ms() - start >= LATER_MS - 1);
    fclose(file);
    wait_for_helpers(s);
    close(peer);
}
COMPARE(lingering, 2 * BEATS)

/* ---- freopen ---- */

static char fifo[] = "/tmp/test_libc_flush.XXXXXX";

static void write_to_fifo(long unused)
{
    FILE *file = fopen(fifo, "w");

    fputs("through\n", file);
    fclose(file);
}

static void reopen(struct scene *s)
{
    char line[16] = "";
    FILE *file;
    int fd;

    strcpy(fifo + sizeof(fifo) - 7, "XXXXXX");
    close(mkstemp(fifo));
    unlink(fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    file = fopen("/dev/zero", "r");
    fd = fileno(file);
    later(s, write_to_fifo, 0);
    file = freopen(fifo, "re", file);
    report(&s->report, "%d %d %d\n", file != NULL, fileno(file) == fd, fcntl(fd, F_GETFD));
    CALL(&s->report, fgets(line, sizeof(line), file) != NULL);
    report(&s->report, "%s%d\n", line, fgetc(file));
    file = freopen("/dev/null", "r", file);
    CALL(&s->report, fgetc(file));
    wait_for_helpers(s);
    fclose(file);
    file = fopen("/dev/zero", "r");
    CALL(&s->report, freopen("/nonexistent/file", "r", file) == NULL);
    if (strverscmp(gnu_get_libc_version(), "2.41") < 0)
        CALL(&s->report, fclose(file)); /* it was closed, but not freed */
    unlink(fifo);
}
COMPARE(reopen, BEATS)

/* ---- messages ---- */

static char said[2048]; /* what is no zero byte */

static void collect(long fd)
{
    size_t size = 0;
    char c;

    while (size < sizeof(said) - 1 && read((int)fd, &c, 1) == 1)
        if (c)
            said[size++] = c;
    said[size] = '\0';
}

static void messages(struct scene *s)
{
    FILE *before = stderr;
    int ends[2];

    make_pipe(ends);
    fill(ends[1]);
    later(s, collect, ends[0]);
    stderr = fdopen(ends[1], "w");
    setvbuf(stderr, NULL, _IONBF, 0);
    errno = ENOENT;
    perror("a file");
    errno = ENOTDIR;
    perror(NULL);
    psignal(SIGHUP, "a signal");
    errno = EACCES;
    warn("%d", 1);
    warnx("%d", 2);
    errno = EACCES;
    warn(NULL);
    error(0, ENOENT, "%d", 3);
    error(0, 0, "%d", 4);
    error_at_line(0, 0, "file", 7, "%d", 5);
    error_at_line(0, EACCES, NULL, 8, "%d", 6);
    error_one_per_line = 1;
    error_at_line(0, 0, "file", 9, "%d", 7);
    error_at_line(0, 0, "file", 9, "%d", 8);
    error_one_per_line = 0;
    report(&s->report, "%u messages\n", error_message_count);
    error_message_count = 0;
    fclose(stderr);
    stderr = before;
    wait_for_helpers(s);
    report(&s->report, "%s", said);
    close(ends[0]);
}
COMPARE(messages, BEATS)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flush_all), cmocka_unit_test(test_seek),   cmocka_unit_test(test_turns),
        cmocka_unit_test(test_lingering), cmocka_unit_test(test_reopen), cmocka_unit_test(test_messages),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
