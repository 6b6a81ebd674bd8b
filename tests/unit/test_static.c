/*
 * test_static.c: the parts of the static module that need no server: fields of the protocol, and opening files.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "any_cmocka.h"

#include "modules/static/coding.h"
#include "modules/static/escape.h"
#include "modules/static/mime.h"
#include "modules/static/range.h"
#include "modules/static/root.h"

/* ---- ranges ---- */

static void check_ranges(const char *value, off_t size, const char *expected)
{
    struct range ranges[MAX_RANGES];
    char text[4096] = "";
    int count = range_parse(value, size, ranges);

    if (count == -ERANGE)
        strcpy(text, "none");
    for (int i = 0; i < count; i++)
        sprintf(text + strlen(text), "%s%jd-%jd", i ? " " : "", (intmax_t)ranges[i].first, (intmax_t)ranges[i].last);
    assert_string_equal(text, expected);
}

static void test_ranges(void **state)
{
    check_ranges("bytes=0-0", 1, "0-0");
    check_ranges("bytes=0-9,100-109", 110, "0-9 100-109");
    check_ranges("bytes=100-109,0-9", 110, "100-109 0-9");
    check_ranges("bytes=0-9,89-90", 1000, "0-90");
    check_ranges("bytes=0-9,90-90", 1000, "0-9 90-90");
    check_ranges("bytes=0-9,900-,400-500,5-450", 1000, "0-500 900-999");
    check_ranges("bytes=-5", 3, "0-2");
    check_ranges("bytes=-5", 0, "");
    check_ranges("bytes=0-", 0, "none");
    check_ranges("bytes=3-", 3, "none");
    check_ranges("bytes=-0,7-", 7, "none");
    check_ranges("bytes=9223372036854775806-9223372036854775807", INT64_MAX, "9223372036854775806-9223372036854775806");
    check_ranges("bytes=-9223372036854775808", 10, "0-9");
    check_ranges("bytes=18446744073709551616-", 10, "none");
    check_ranges("bytes=0--1", 10, "");
    check_ranges("bytes=\t0-1\t,\t,", 10, "0-1");
    check_ranges("bytes=,", 10, "");
    check_ranges("bits=0-1", 10, "");
}

enum { SIZE = 2000 };

/* A random field, and which bytes it asks for. */
static void draw_field(char *value, bool wanted[SIZE])
{
    int count = 1 + rand() % 12;

    memset(wanted, 0, SIZE);
    value += sprintf(value, "bytes=");
    for (int i = 0; i < count; i++) {
        int first = rand() % (SIZE + SIZE / 10), last = first + rand() % 150;

        if (rand() % 10 == 0) {
            first = SIZE - 1 - rand() % 200;
            last = SIZE - 1;
            value += sprintf(value, "-%d,", SIZE - first);
        } else {
            value += sprintf(value, "%d-%d,", first, last);
        }
        for (int at = first; at <= last && at < SIZE; at++)
            wanted[at] = true;
    }
}

/* Whether every byte that is sent without being wanted lies in a short gap between two that are. */
static void check_gaps(const bool wanted[SIZE], const struct range *range)
{
    int unwanted = 0;

    assert_true(wanted[range->first] && wanted[range->last]);
    for (off_t at = range->first; at <= range->last; at++) {
        unwanted = wanted[at] ? 0 : unwanted + 1;
        assert_in_range(unwanted, 0, 80);
    }
}

static void test_random_ranges(void **state)
{
    srand(4711);
    for (int round = 0; round < 20000; round++) {
        struct range ranges[MAX_RANGES];
        bool wanted[SIZE];
        char value[1024];
        int count, sent = 0, covered = 0;

        draw_field(value, wanted);
        count = range_parse(value, SIZE, ranges);
        for (int i = 0; i < count; i++) {
            check_gaps(wanted, &ranges[i]);
            for (int j = 0; j < i; j++)
                assert_true(ranges[i].first > ranges[j].last + 1 || ranges[j].first > ranges[i].last + 1);
            for (off_t at = ranges[i].first; at <= ranges[i].last; at++)
                sent += wanted[at];
        }
        for (int at = 0; at < SIZE; at++)
            covered += wanted[at];
        assert_int_equal(sent, covered);
        assert_int_equal(count == -ERANGE, covered == 0);
    }
}

/* ---- Accept-Encoding ---- */

static void check_codings(const char *accept, const char *expected)
{
    const struct coding *chosen[CODING_COUNT];
    char text[64] = "";
    int count = coding_choose(accept, chosen);

    for (int i = 0; i < count; i++)
        sprintf(text + strlen(text), "%s%s", i ? " " : "", chosen[i]->name);
    assert_string_equal(text, expected);
}

static void test_codings(void **state)
{
    check_codings("gzip, deflate, br, zstd", "br zstd gzip");
    check_codings("gzip;q=0.3, br;q=0.2, zstd;q=0.30", "zstd gzip br");
    check_codings("*;q=0.1, gzip", "gzip br zstd");
    check_codings("br;q=0, *", "zstd gzip");
    check_codings("identity;q=0.5, br;q=0.5, gzip;q=0.499", "br");
    check_codings("identity;q=0, *;q=0", "");
    check_codings("gzip;q=1.000;x, br;q=1.1, zstd;q=", "br gzip");
    check_codings("gzip;q=-1, br;q=a, zstd q=1", "");
    check_codings(",,, ,gzip,", "gzip");
    check_codings(";q=1", "");
    check_codings("", "");
}

/* ---- escapes ---- */

static void test_escapes(void **state)
{
    char out[256];

    assert_string_equal(escape_url(out, "/a-b._~/Z9"), "/a-b._~/Z9");
    assert_string_equal(escape_url(out, "\\a:b?c#d%e f\xff\r\n"), "%5Ca%3Ab%3Fc%23d%25e%20f%FF%0D%0A");
    assert_string_equal(escape_html(out, "<a href='x'>\"&amp;"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;amp;");
}

/* ---- media types ---- */

static void test_types(void **state)
{
    struct mime *mime = mime_new(NULL, "application/octet-stream", "utf-8");

    assert_string_equal(mime_find(mime, "a/b.HTML")->name, "text/html; charset=utf-8");
    assert_string_equal(mime_find(mime, "a.b/c")->name, "application/octet-stream");
    assert_string_equal(mime_find(mime, "")->name, "application/octet-stream");
    assert_true(mime_find(mime, "x.png")->compressed);
    assert_false(mime_find(mime, "x.svg")->compressed);
    assert_false(mime_find(mime, "x")->compressed);
    mime_free(mime);
}

/* ---- opening files ---- */

/* A folder under /tmp with root/, in it what the tests open. */
struct world {
    char path[64], root[80];
};

static void put_file(const char *folder, const char *name, const char *content)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static void put_link(const char *folder, const char *name, const char *target)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(symlink(target, path), 0);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    char name[128];

    strcpy(w->path, "/tmp/test_static.XXXXXX");
    assert_non_null(mkdtemp(w->path));
    snprintf(w->root, sizeof(w->root), "%s/root", w->path);
    assert_int_equal(mkdir(w->root, 0755), 0);
    snprintf(name, sizeof(name), "%s/sub", w->root);
    assert_int_equal(mkdir(name, 0755), 0);
    snprintf(name, sizeof(name), "%s/root-beside", w->path);
    assert_int_equal(mkdir(name, 0755), 0);
    put_file(name, "file", "outside");
    put_file(w->path, "secret", "outside");
    put_file(w->root, "file", "inside");
    put_link(w->root, "relative", "sub/../file");
    put_link(w->root, "secret", "../secret");
    put_link(w->root, "beside", name);
    put_link(w->root, "loop", "loop");
    snprintf(name, sizeof(name), "%s/file", w->root);
    put_link(w->root, "absolute", name);
    snprintf(name, sizeof(name), "%s/fifo", w->root);
    assert_int_equal(mkfifo(name, 0644), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char command[128];

    snprintf(command, sizeof(command), "rm -r %s", w->path);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

static void check_open(struct root *root, const char *path, const char *expected)
{
    char content[16] = "";
    struct stat st;
    int fd = root_open(root, path, &st);

    assert_true(fd >= 0);
    assert_true(read(fd, content, sizeof(content) - 1) > 0);
    assert_string_equal(content, expected);
    close(fd);
}

static int try_open(struct root *root, const char *path)
{
    struct stat st;
    int fd = root_open(root, path, &st);

    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

/* Both ways of staying inside agree: openat2, and the one for systems without it. */
static void test_open(void **state)
{
    struct world *w = *state;
    struct root root;

    assert_int_equal(root_start(&root, w->root, false), 0);
    for (int way = 0; way < 2; way++, root.openat2 = false) {
        check_open(&root, "file", "inside");
        check_open(&root, "relative", "inside");
        check_open(&root, "absolute", "inside");
        assert_int_equal(try_open(&root, ""), 0);
        assert_int_equal(try_open(&root, "sub/"), 0);
        assert_int_equal(try_open(&root, "file/"), -ENOTDIR);
        assert_int_equal(try_open(&root, "none"), -ENOENT);
        assert_int_equal(try_open(&root, "secret"), -EXDEV);
        assert_int_equal(try_open(&root, "beside/file"), -EXDEV);
        assert_int_equal(try_open(&root, "beside"), -EXDEV);
        assert_int_equal(try_open(&root, ".."), -EXDEV);
        assert_int_equal(try_open(&root, "/etc/passwd"), -EXDEV);
        assert_int_equal(try_open(&root, "loop"), -ELOOP);
        assert_int_equal(try_open(&root, "fifo"), -EOPNOTSUPP);
    }
    root_stop(&root);
    assert_int_equal(root_start(&root, w->root, true), 0);
    check_open(&root, "secret", "outside");
    check_open(&root, "beside/file", "outside");
    root_stop(&root);
}

struct swapper {
    char link[96];
    atomic_bool stop;
};

/* Let a link lead outside and inside in turns. */
static void *swap_links(void *arg)
{
    struct swapper *s = arg;
    char other[100];

    snprintf(other, sizeof(other), "%s2", s->link);
    for (int i = 0; !s->stop; i++) {
        if (symlink(i % 2 ? "file" : "../secret", other) == 0)
            rename(other, s->link);
    }
    unlink(other);
    return NULL;
}

static void test_open_while_links_change(void **state)
{
    struct world *w = *state;
    struct swapper swapper = {.stop = false};
    struct root root;
    pthread_t thread;
    int opened = 0, refused = 0;

    snprintf(swapper.link, sizeof(swapper.link), "%s/swapped", w->root);
    assert_int_equal(symlink("file", swapper.link), 0);
    assert_int_equal(root_start(&root, w->root, false), 0);
    assert_int_equal(pthread_create(&thread, NULL, swap_links, &swapper), 0);
    for (int i = 0; i < 20000; i++) {
        char content[16] = "";
        struct stat st;
        int fd;

        root.openat2 &= i < 10000;
        fd = root_open(&root, "swapped", &st);
        if (fd < 0) {
            assert_int_equal(fd, -EXDEV);
            refused++;
            continue;
        }
        assert_true(read(fd, content, sizeof(content) - 1) > 0);
        assert_string_equal(content, "inside");
        close(fd);
        opened++;
    }
    swapper.stop = true;
    pthread_join(thread, NULL);
    root_stop(&root);
    assert_true(opened > 0 && refused > 0);
}

static void test_allowed_paths(void **state)
{
    static const char *const good[] = {"",     "/",    "/a",    "/a/b/", "//a", "/.well-known/", "/.well-known/a",
                                       "/a.b", "/a..", "/a/b.."};
    static const char *const hidden[] = {"/.a",          "/a/.b", "/...", "/..a", "/.well-known/.a", "/a/.well-known/b",
                                         "/.well-known2"};
    static const char *const bad[] = {
        "/.", "/..", "..", "/a/..", "/a/../b", "//..", "/./a", "/a/./", "/.well-known/../a"};

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(root_allows(good[i], false));
    for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++) {
        assert_false(root_allows(hidden[i], false));
        assert_true(root_allows(hidden[i], true));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_false(root_allows(bad[i], false));
        assert_false(root_allows(bad[i], true));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_random_ranges),
        cmocka_unit_test(test_codings),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_types),
        cmocka_unit_test_setup_teardown(test_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_while_links_change, setup, teardown),
        cmocka_unit_test(test_allowed_paths),
    };

    return cmocka_run_group_tests_name("static", tests, NULL, NULL);
}
