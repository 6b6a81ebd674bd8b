/* Streams of wide characters on pipes: the same as in a thread. */
#include "output_test.h"

#include <locale.h>
#include <stdio_ext.h>
#include <wchar.h>

/* ---- input ---- */

static int to_stream;

/* Pieces with pauses, and the end. */
static void write_pieces_slowly(long unused)
{
    static const char *const pieces[] = {"fir",   "st\nsec", "ond \u00e4\u20ac\n", "12 ", "-3", "4 \u00dcber",
                                         " 31\n", "tail"};

    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        assert_int_equal(write(to_stream, pieces[i], strlen(pieces[i])), (ssize_t)strlen(pieces[i]));
        usleep(3000);
    }
    close(to_stream);
}

static FILE *open_stream(struct scene *s)
{
    int ends[2];

    make_pipe(ends);
    to_stream = ends[1];
    later(s, write_pieces_slowly, 0);
    return fdopen(ends[0], "r");
}

static void report_line(struct scene *s, const wchar_t *line)
{
    char bytes[256] = "none";

    if (line)
        wcstombs(bytes, line, sizeof(bytes));
    report(&s->report, "[%s]\n", bytes);
}

static void wide_lines(struct scene *s)
{
    FILE *file = open_stream(s);
    wchar_t buf[32];

    report_line(s, fgetws(buf, ARRAY_SIZE(buf), file));
    CALL(&s->report, fgetwc(file));
    report_line(s, fgetws(buf, 4, file));
    report_line(s, fgetws_unlocked(buf, ARRAY_SIZE(buf), file));
    CALL(&s->report, ungetwc(L'\u03c0', file));
    report_line(s, fgetws(buf, ARRAY_SIZE(buf), file));
    CALL(&s->report, getwc_unlocked(file));
    report_line(s, fgetws(buf, ARRAY_SIZE(buf), file));
    report(&s->report, "eof %d error %d mode %d\n", feof(file), ferror(file), fwide(file, 0) > 0);
    report_line(s, fgetws(buf, ARRAY_SIZE(buf), file));
    CALL(&s->report, getwc(file));
    CALL(&s->report, fgetc(file)); /* not for bytes */
    fclose(file);
    wait_for_helpers(s);
}
COMPARE(wide_lines, 5 * BEATS)

static void wide_scanned(struct scene *s)
{
    FILE *file = open_stream(s);
    wchar_t one[16] = L"", two[16] = L"";
    int a = 0, b = 0, c = 0;

    CALL(&s->report, fwscanf(file, L"%15ls %15ls %15ls", one, two, one));
    report_line(s, one);
    report_line(s, two);
    CALL(&s->report, fwscanf(file, L"%d%d", &a, &b));
    CALL(&s->report, fwscanf(file, L"%d", &c));
    CALL(&s->report, fgetwc(file)); /* what did not match is still there */
    CALL(&s->report, fwscanf(file, L"%15ls %d", one, &c));
    report_line(s, one);
    report(&s->report, "%d %d %d\n", a, b, c);
    CALL(&s->report, fwscanf(file, L" t%15l[a-z]", two));
    CALL(&s->report, fwscanf(file, L"%d", &c));
    report_line(s, two);
    wait_for_helpers(s);
    fclose(file);
}
COMPARE(wide_scanned, BEATS)

/* ---- output ---- */

static void wide_output(struct scene *s, int buffer_mode, size_t buffer_size)
{
    static wchar_t big[20000];
    int ends[2];
    size_t before;
    FILE *file;

    wmemset(big, L'\u00df', ARRAY_SIZE(big) - 1);
    make_pipe(ends);
    before = fill(ends[1]);
    file = fdopen(ends[1], "w");
    setvbuf(file, NULL, buffer_mode, buffer_size);
    later(s, collect, ends[0]);
    CALL(&s->report, fputws(L"text\n", file) >= 0);
    CALL(&s->report, fputwc(L'\u20ac', file));
    CALL(&s->report, fwprintf(file, L"%d %ls\nrest", 42, L"printed"));
    CALL(&s->report, fputws(big, file) >= 0);
    CALL(&s->report, putwc(L'\n', file));
    CALL(&s->report, fflush(file));
    report(&s->report, "pending %zu\n", __fpending(file));
    for (int i = 0; i < 3000; i++)
        putwc_unlocked(L'a' + i % 26, file);
    CALL(&s->report, fclose(file));
    wait_for_helpers(s);
    report(&s->report, "%zu\n", collected_size - before);
    report(&s->report, "%.40s\n%.40s\n", collected + before, collected + collected_size - 3010);
    free(collected);
    close(ends[0]);
}

static void wide_by_block(struct scene *s)
{
    wide_output(s, _IOFBF, 4096);
    wide_output(s, _IOFBF, 60000);
}
COMPARE(wide_by_block, BEATS)

static void wide_by_line(struct scene *s)
{
    wide_output(s, _IOLBF, 1024);
}
COMPARE(wide_by_line, BEATS)

static void wide_at_once(struct scene *s)
{
    wide_output(s, _IONBF, 0);
}
COMPARE(wide_at_once, BEATS)

static void wide_errors(struct scene *s)
{
    int ends[2];
    FILE *file;

    make_pipe(ends);
    file = fdopen(ends[1], "w");
    CALL(&s->report, fputwc((wchar_t)0x7fffffff, file)); /* no character */
    CALL(&s->report, fflush(file));
    report(&s->report, "error %d\n", ferror(file));
    fclose(file);
    close(ends[0]);
}
COMPARE(wide_errors, 0)

static int wide_setup(void **state)
{
    setlocale(LC_ALL, "C.UTF-8");
    return libc_test_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wide_lines),   cmocka_unit_test(test_wide_scanned), cmocka_unit_test(test_wide_by_block),
        cmocka_unit_test(test_wide_by_line), cmocka_unit_test(test_wide_at_once), cmocka_unit_test(test_wide_errors),
    };

    return cmocka_run_group_tests(tests, wide_setup, libc_test_teardown);
}
