/* stdio on pipes: lines and blocks that come in pieces, and output to a pipe that is full. */
#include "output_test.h"

#include <signal.h>
#include <stdio_ext.h>
#include <sys/stat.h>

/* ---- input ---- */

static int to_stream;

/* Pieces with pauses, and the end. */
static void write_pieces_slowly(long unused)
{
    static const char *const pieces[] = {"fir", "st\nsec", "ond\n", "12 ", "-3", "4 word", " 0x1f\n", "tail"};

    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        assert_int_equal(write(to_stream, pieces[i], strlen(pieces[i])), (ssize_t)strlen(pieces[i]));
        usleep(3000);
    }
    close(to_stream);
}

static FILE *open_stream(struct scene *s, void (*fn)(long))
{
    int ends[2];

    make_pipe(ends);
    to_stream = ends[1];
    later(s, fn, 0);
    return fdopen(ends[0], "r");
}

static void report_line(struct scene *s, const char *line)
{
    report(&s->report, "[%s]\n", line ? line : "none");
}

static void lines(struct scene *s)
{
    FILE *file = open_stream(s, write_pieces_slowly);
    char buf[32], *line = NULL;
    size_t size = 0;

    report_line(s, fgets(buf, sizeof(buf), file));
    CALL(&s->report, getline(&line, &size, file));
    report_line(s, line);
    report_line(s, fgets(buf, 6, file));
    CALL(&s->report, getdelim(&line, &size, 'w', file));
    report_line(s, line);
    CALL(&s->report, ungetc('W', file));
    report_line(s, fgets(buf, sizeof(buf), file));
    CALL(&s->report, getline(&line, &size, file));
    report_line(s, line);
    CALL(&s->report, getline(&line, &size, file));
    report(&s->report, "eof %d error %d\n", feof(file), ferror(file));
    report_line(s, fgets(buf, sizeof(buf), file));
    CALL(&s->report, getc(file));
    free(line);
    fclose(file);
    wait_for_helpers(s);
}
COMPARE(lines, 5 * BEATS)

static void characters(struct scene *s)
{
    FILE *file = open_stream(s, write_pieces_slowly);
    char block[16] = "";
    int c, count = 0;

    while (count < 12 && (c = count % 3 == 0   ? fgetc(file)
                              : count % 3 == 1 ? getc(file)
                                               : getc_unlocked(file)) != EOF) {
        report(&s->report, "%c", c);
        count++;
    }
    CALL(&s->report, fread(block, 3, 4, file));
    report_line(s, block);
    memset(block, 0, sizeof(block));
    CALL(&s->report, fread(block, 1, 0, file));
    CALL(&s->report, fread(block, 1, 15, file));
    report_line(s, block);
    memset(block, 0, sizeof(block));
    CALL(&s->report, fread(block, 4, 3, file));
    report_line(s, block);
    report(&s->report, "eof %d\n", feof(file));
    fclose(file);
    wait_for_helpers(s);
}
COMPARE(characters, 5 * BEATS)

static void scanned(struct scene *s)
{
    FILE *file = open_stream(s, write_pieces_slowly);
    char one[16] = "", two[16] = "";
    int a = 0, b = 0, c = 0;

    CALL(&s->report, fscanf(file, "%15s %15s", one, two));
    CALL(&s->report, fscanf(file, "%d%d", &a, &b));
    CALL(&s->report, fscanf(file, "%d", &c));
    CALL(&s->report, getc(file)); /* what did not match is still there */
    CALL(&s->report, fscanf(file, "%15s %i", one, &c));
    report(&s->report, "%s %s %d %d %d\n", one, two, a, b, c);
    CALL(&s->report, fscanf(file, " t%15[a-z]", two));
    CALL(&s->report, fscanf(file, "%d", &c));
    report(&s->report, "%s eof %d\n", two, feof(file));
    fclose(file);
    wait_for_helpers(s);
}
COMPARE(scanned, 5 * BEATS)

/* A line that is longer than the buffer. */
static void write_long_line(long unused)
{
    char block[1000];

    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 20; i++) {
        assert_int_equal(write(to_stream, block, sizeof(block)), sizeof(block));
        usleep(500);
    }
    assert_int_equal(write(to_stream, "\nend", 4), 4);
    close(to_stream);
}

static void long_line(struct scene *s)
{
    FILE *file = open_stream(s, write_long_line);
    char *line = NULL;
    size_t size = 0;

    CALL(&s->report, getline(&line, &size, file));
    CALL(&s->report, getline(&line, &size, file));
    report_line(s, line);
    free(line);
    fclose(file);
    wait_for_helpers(s);
}
COMPARE(long_line, BEATS)

/* These must not wait: the descriptor has O_NONBLOCK, or there is enough in the buffer. */
static void not_waiting(struct scene *s)
{
    char buf[16];
    int ends[2];
    FILE *file;

    make_pipe(ends);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    file = fdopen(ends[0], "r");
    CALL(&s->report, getc(file));
    clearerr(file);
    CALL(&s->report, fgets(buf, sizeof(buf), file) == NULL);
    clearerr(file);
    assert_int_equal(write(ends[1], "ab", 2), 2);
    CALL(&s->report, fgets(buf, sizeof(buf), file) == NULL);
    report(&s->report, "error %d\n", ferror(file));
    close(ends[1]);
    fclose(file);
    file = fopen("/proc/self/status", "r");
    report_line(s, fgets(buf, 6, file));
    fclose(file);
    CALL(&s->report, fwrite("x", 1, 1, stdin)); /* not open for writing */
    clearerr(stdin);
}
COMPARE(not_waiting, 0)

/* ---- two coroutines ---- */

static FILE *shared;
static char taken[2][32];

static void take_line(void *arg)
{
    assert_non_null(fgets(arg, 32, shared));
}

static void feed(void *arg)
{
    int fd = *(int *)arg;

    usleep(2000);
    assert_int_equal(write(fd, "one ", 4), 4);
    usleep(2000);
    assert_int_equal(write(fd, "line\ntwo ", 9), 9);
    usleep(2000);
    assert_int_equal(write(fd, "lines\n", 6), 6);
}

static void take_first(void *arg)
{
    take_line(taken[0]);
}

static void take_second(void *arg)
{
    take_line(taken[1]);
}

/* A line goes to one of them as a whole. */
static void test_a_line_is_whole(void **state)
{
    int ends[2];

    make_pipe(ends);
    shared = fdopen(ends[0], "r");
    RUN(&ends[1], take_first, take_second, feed);
    assert_string_equal(taken[0], "one line\n");
    assert_string_equal(taken[1], "two lines\n");
    fclose(shared);
    close(ends[1]);
}

static atomic_int
    locked_inside; /* flockfile is declared as a leaf function: a plain variable might be read before it */

static void lock_stream(void *arg)
{
    for (int i = 0; i < 5; i++) {
        flockfile(shared);
        flockfile(shared);
        assert_int_equal(locked_inside++, 0);
        usleep(500);
        locked_inside--;
        funlockfile(shared);
        funlockfile(shared);
        if (ftrylockfile(shared) == 0)
            funlockfile(shared);
    }
}

static void *lock_stream_in_thread(void *arg)
{
    lock_stream(NULL);
    return NULL;
}

static void test_flockfile(void **state)
{
    pthread_t thread;

    shared = fopen("/dev/null", "r");
    pthread_create(&thread, NULL, lock_stream_in_thread, NULL);
    RUN(NULL, lock_stream, lock_stream, lock_stream);
    pthread_join(thread, NULL);
    assert_int_equal(ftrylockfile(shared), 0);
    funlockfile(shared);
    fclose(shared);
}

static struct coro *reader;

static void read_cancelled(void *arg)
{
    char buf[8];

    reader = coro_self();
    errno = 0;
    assert_null(fgets(buf, sizeof(buf), shared));
    assert_int_equal(errno, EINTR);
    assert_true(ferror(shared));
    wait_cancel(reader, 0);
}

static void cancel_reader(void *arg)
{
    usleep(3000);
    wait_cancel(reader, -EINTR);
}

static void test_cancelled(void **state)
{
    int ends[2];

    make_pipe(ends);
    shared = fdopen(ends[0], "r");
    RUN(NULL, read_cancelled, cancel_reader);
    fclose(shared);
    close(ends[1]);
}

/* ---- output ---- */

/* All kinds of output to a pipe that is full at first, under each kind of buffer. */
static void output(struct scene *s, int buffer_mode, size_t buffer_size)
{
    static char big[20000];
    int ends[2];
    size_t before;
    FILE *file;

    memset(big, 'b', sizeof(big));
    make_pipe(ends);
    before = fill(ends[1]);
    file = fdopen(ends[1], "w");
    setvbuf(file, NULL, buffer_mode, buffer_size);
    later(s, collect, ends[0]);
    CALL(&s->report, fputs("text\n", file) >= 0);
    CALL(&s->report, fputc('c', file));
    CALL(&s->report, fprintf(file, "%d %s\nrest", 42, "printed"));
    CALL(&s->report, fwrite(big, 10, sizeof(big) / 10, file));
    CALL(&s->report, putc('\n', file));
    CALL(&s->report, fflush(file));
    report(&s->report, "pending %zu\n", __fpending(file));
    for (int i = 0; i < 3000; i++)
        putc_unlocked('a' + i % 26, file);
    CALL(&s->report, fclose(file));
    wait_for_helpers(s);
    report(&s->report, "%zu\n", collected_size - before);
    report(&s->report, "%.40s\n%s\n", collected + before, collected + collected_size - 3010);
    free(collected);
    close(ends[0]);
}

static void output_by_block(struct scene *s)
{
    output(s, _IOFBF, 4096);
    output(s, _IOFBF, 60000);
}
COMPARE(output_by_block, BEATS)

static void output_by_line(struct scene *s)
{
    output(s, _IOLBF, 1024);
}
COMPARE(output_by_line, BEATS)

static void output_at_once(struct scene *s)
{
    output(s, _IONBF, 0);
}
COMPARE(output_at_once, BEATS)

static void to_descriptor(struct scene *s)
{
    int ends[2];
    size_t before;

    make_pipe(ends);
    before = fill(ends[1]);
    later(s, collect, ends[0]);
    CALL(&s->report, dprintf(ends[1], "%s %d\n", "number", 7));
    close(ends[1]);
    wait_for_helpers(s);
    report(&s->report, "%s", collected + before);
    free(collected);
    close(ends[0]);
}
COMPARE(to_descriptor, BEATS)

/* Nobody reads. */
static void broken_pipe(struct scene *s)
{
    int ends[2];
    FILE *file;

    make_pipe(ends);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    file = fdopen(ends[1], "w");
    CALL(&s->report, fputs("text", file) >= 0);
    CALL(&s->report, fflush(file));
    report(&s->report, "error %d\n", ferror(file));
    CALL(&s->report, fprintf(file, "%05000d", 1));
    fclose(file);
    signal(SIGPIPE, SIG_DFL);
}
COMPARE(broken_pipe, 0)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),           cmocka_unit_test(test_characters),
        cmocka_unit_test(test_scanned),         cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_not_waiting),     cmocka_unit_test(test_a_line_is_whole),
        cmocka_unit_test(test_flockfile),       cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_output_by_block), cmocka_unit_test(test_output_by_line),
        cmocka_unit_test(test_output_at_once),  cmocka_unit_test(test_to_descriptor),
        cmocka_unit_test(test_broken_pipe),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
