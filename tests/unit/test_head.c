/* test_head.c: finding the end of a head, and parsing it: what a handler sees, and what is refused. */
#include "core_test.h"

#include "http/request/head.h"
#include "http/request/line.h"
#include "http/request/target.h"

#define HOST "Host: test\r\n"
#define REST "rest"

static struct request req;
static char copy[4096];
static const char *why;

/* Parse the head at the beginning of text, as if it had just been received. Call release() after it. */
static int parse_some(const char *text, size_t *found)
{
    struct head_scan scan = {0};
    size_t size = strlen(text);

    memcpy(copy, text, size);
    memcpy(copy + size, REST, sizeof(REST));
    req = (struct request){0};
    why = NULL;
    arena_init(&req.arena);
    *found = head_find(copy, size + sizeof(REST) - 1, &scan);
    return *found ? head_parse(&req, copy, *found, scan.lines, &why) : 400;
}

/* The same for a text that is only a head. */
static int parse(const char *text)
{
    size_t found;
    int status = parse_some(text, &found);

    assert_int_equal(found, strlen(text));
    return status;
}

static void release(void)
{
    arena_release(&req.arena);
}

/* ---- the end ---- */

static void test_end_is_found_at_every_split(void **state)
{
    static const char *const heads[] = {
        "GET / HTTP/1.1\r\n" HOST "\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\n\n",
        "GET / HTTP/1.1\n\r\n",
        "GET / HTTP/1.1\r\nA: b\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n\n",
        "GET / HTTP/1.1\r\nA: \r\r\nB:\r\n\r\n",
    };
    char text[128];

    for (size_t i = 0; i < COUNT(heads); i++) {
        size_t size = strlen(heads[i]);

        sprintf(text, "%s%s", heads[i], "rest\r\n\r\n");
        for (size_t split = 0; split < size; split++) {
            struct head_scan scan = {0};

            assert_int_equal(head_find(text, split, &scan), 0);
            assert_int_equal(head_find(text, strlen(text), &scan), size);
            assert_int_equal(scan.at, size);
        }
    }
}

static void test_end_is_found_byte_by_byte(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\n" HOST "A: b\r\n\r\n";
    struct head_scan scan = {0};

    for (size_t size = 0; size < sizeof(text) - 1; size++)
        assert_int_equal(head_find(text, size, &scan), 0);
    assert_int_equal(head_find(text, sizeof(text) - 1, &scan), sizeof(text) - 1);
    assert_int_equal(scan.lines, 4);
}

/* What cannot become a head is refused before its end has come; the beginning of a good one never is. */
static void test_plausible(void **state)
{
    static const char *const bad[] = {"\x16\x03\x01",
                                      " GET",
                                      ":",
                                      "\n",
                                      "\r\n",
                                      "\rG",
                                      "{",
                                      "GET\x01",
                                      "GET\v/",
                                      "GET /\x7f",
                                      "GET / HTTP/1.1\r\nA: \x1b"};
    static const char *const good[] = {"", "\r", "G", "GET / HTTP/1.1\r\nA:\tb\r\n", "GET /\xc3\xa4"};

    for (size_t i = 0; i < COUNT(bad); i++)
        if (head_is_plausible(bad[i], strlen(bad[i]), 0))
            fail_msg("%s", bad[i]);
    for (size_t i = 0; i < COUNT(good); i++)
        if (!head_is_plausible(good[i], strlen(good[i]), 0))
            fail_msg("%s", good[i]);
    assert_true(head_is_plausible("GET\x01", 4, 4)); /* looked at before */
    assert_false(head_is_plausible("GET\x01", 4, 3));
}

/* ---- the view ---- */

static void test_request_line(void **state)
{
    assert_int_equal(parse("POST /a%20b/c?x=%20 HTTP/1.1\r\n" HOST "\r\n"), 0);
    assert_string_equal(req.view.method, "POST");
    assert_string_equal(req.view.target, "/a%20b/c?x=%20");
    assert_string_equal(req.view.path, "/a b/c");
    assert_string_equal(req.view.query, "x=%20");
    assert_string_equal(req.view.host, "test");
    assert_int_equal(req.view.http_minor, 1);
    release();
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n"), 0);
    assert_string_equal(req.view.method, "GET");
    assert_string_equal(req.view.query, "");
    assert_string_equal(req.view.host, "");
    assert_int_equal(req.view.http_minor, 0);
    assert_int_equal(req.view.field_count, 0);
    release();
}

/* Any minor version after the first is served as that. */
static void test_versions(void **state)
{
    for (char minor = '0'; minor <= '9'; minor++) {
        char text[64];

        sprintf(text, "GET / HTTP/1.%c\r\n" HOST "\r\n", minor);
        assert_int_equal(parse(text), 0);
        assert_int_equal(req.view.http_minor, minor > '0');
        assert_true(req.keep_alive == (minor > '0'));
        assert_int_equal(req.version[7], minor);
        release();
    }
}

static void test_methods(void **state)
{
    static const char *const methods[] = {"GET",      "HEAD",  "POST",     "PUT",    "DELETE",          "OPTIONS",
                                          "PATCH",    "TRACE", "REPORT",   "MKCOL",  "PROPFIND",        "PURGE",
                                          "QUERY",    "get",   "M-SEARCH", "UNLOCK", "VERSION-CONTROL", "SUBSCRIBE",
                                          "CONNECTS", "X",     "GETT",     "9",      "!#$%&'*+-.^_`|~9"};

    for (size_t i = 0; i < COUNT(methods); i++) {
        char text[64];

        sprintf(text, "%s / HTTP/1.1\r\n" HOST "\r\n", methods[i]);
        assert_int_equal(parse(text), 0);
        assert_string_equal(req.view.method, methods[i]);
        release();
    }
}

/* Names are as sent, values without the blanks around them; each string ends with a NUL and has its size. */
static void test_fields(void **state)
{
    static const struct {
        const char *name, *value;
    } rows[] = {
        {"Host", "test"},  {"A", "b c"},   {"B", ""},         {"C", ""},     {"D", ""},
        {"e-E", ";= : x"}, {"A", "again"}, {"F", "\xc3\xa4"}, {"G", "last"},
    };

    assert_int_equal(parse("GET / HTTP/1.1\r\n" HOST
                           "A:  b c \t \r\nB:\r\nC: \r\nD:\t \t\r\ne-E:\t;= : x\r\nA:again\r\n"
                           "F: \xc3\xa4\r\nG: last\r\n\r\n"),
                     0);
    assert_int_equal(req.view.field_count, COUNT(rows));
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct sl_field *field = &req.view.fields[i];

        assert_string_equal(field->name, rows[i].name);
        assert_int_equal(field->name_size, strlen(rows[i].name));
        assert_string_equal(field->value, rows[i].value);
        assert_int_equal(field->value_size, strlen(rows[i].value));
    }
    release();
}

/* Nothing after the head is changed: it is the body, or the next request. */
static void test_what_follows_is_left_alone(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\n" HOST "A:\r\n\r\n";

    assert_int_equal(parse(text), 0);
    assert_memory_equal(copy + sizeof(text) - 1, REST, sizeof(REST));
    release();
}

static void test_as_many_fields_as_fit(void **state)
{
    enum { FIELDS = 300 };
    char text[16 * FIELDS] = "GET / HTTP/1.1\r\n" HOST;

    for (int i = 1; i < FIELDS; i++)
        sprintf(text + strlen(text), "f%d:%d\r\n", i, i);
    strcat(text, "\r\n");
    assert_true(strlen(text) < sizeof(copy));
    assert_int_equal(parse(text), 0);
    assert_int_equal(req.view.field_count, FIELDS);
    for (int i = 1; i < FIELDS; i++)
        assert_int_equal(atoi(req.view.fields[i].name + 1), atoi(req.view.fields[i].value));
    release();
}

/* ---- the target ---- */

static void test_targets(void **state)
{
    static const struct {
        const char *target, *host, *path, *query;
    } rows[] = {
        {"/", "test", "/", ""},
        {"/?", "test", "/", ""},
        {"/a?b?c", "test", "/a", "b?c"},
        {"/a?%zz%00", "test", "/a", "%zz%00"}, /* a query is not decoded, so neither judged */
        {"//a//b/", "test", "//a//b/", ""},
        {"/a/../b/./c", "test", "/a/../b/./c", ""},
        {"/%2e%2E/%2f%25%3f%C3%a4+", "test", "/..//%?\xc3\xa4+", ""},
        {"/%0d%0a%01%7f", "test", "/\r\n\x01\x7f", ""},
        {"/a\\b|c", "test", "/a\\b|c", ""},
        {"/\xc3\xa4?\xff", "test", "/\xc3\xa4", "\xff"}, /* as nginx hands it on */
        {"http://other:81/p?q", "other:81", "/p", "q"},
        {"HTTP://other", "other", "/", ""},
        {"https://[::1]:8443?q", "[::1]:8443", "/", "q"},
        {"http://h/a?http://b", "h", "/a", "http://b"},
        {"/http://b", "test", "/http://b", ""},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[256];

        sprintf(text, "GET %s HTTP/1.1\r\n" HOST "\r\n", rows[i].target);
        assert_int_equal(parse(text), 0);
        assert_string_equal(req.view.target, rows[i].target);
        assert_string_equal(req.view.host, rows[i].host);
        assert_string_equal(req.view.path, rows[i].path);
        assert_string_equal(req.view.query, rows[i].query);
        release();
    }
}

static void test_hosts(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "a:80",
                                       "a:",
                                       "a:1",
                                       "a:65535",
                                       "a:00080",
                                       "a.b-c_d.e",
                                       "a.",
                                       "1.2.3.4",
                                       "1.2.3.4:8080",
                                       "[::1]",
                                       "[::1]:80",
                                       "[::1]:",
                                       "[2001:db8::1]:443",
                                       "[::ffff:1.2.3.4]",
                                       "%41%c3%A4",
                                       "a!$&'()*+;=~"};
    static const char *const bad[] = {
        "a:80x",
        "a:-1",
        "a:+1",
        "a:99999",
        "a:65536",
        "a:0",
        "a:000000000000000000000000",
        "a:80:80",
        "a::80",
        "a:8 0",
        "a: 80",
        ":80",
        ":",
        "[::1",
        "::1",
        "::1]",
        "[::1]80",
        "[::1]a",
        "[]",
        "[1.2.3.4]",
        "[::g]",
        "[a]:80",
        "[[::1]]",
        "a[::1]",
        "[::1]:x",
        "[fe80::1%25eth0]",
        "a,b",
        "a%zz",
        "a%",
        "a%4",
        "a%4g",
        "a b",
        "a/b",
        "a?b",
        "a#b",
        "u@a",
        "a\\b",
        "a\"b",
        "<a>",
        "a\tb",
        "\xc3\xa4",
        "{a}",
        "a|b",
        "a^b",
        "a`b",
        "a:\xc2\xb2",
        "a:4294967376",
        "[00000000000000000000000000000000000000000000000000000000000001::1]",
    };

    for (size_t i = 0; i < COUNT(good); i++)
        if (!target_is_host(good[i]))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (target_is_host(bad[i]))
            fail_msg("%s", bad[i]);
}

static void test_plain_path_is_not_copied(void **state)
{
    assert_int_equal(parse("GET /a/b HTTP/1.1\r\n" HOST "\r\n"), 0);
    assert_ptr_equal(req.view.path, req.view.target);
    release();
    assert_int_equal(parse("GET /a/b?q HTTP/1.1\r\n" HOST "\r\n"), 0);
    assert_ptr_not_equal(req.view.path, req.view.target);
    assert_string_equal(req.view.target, "/a/b?q");
    release();
}

static void test_asterisk(void **state)
{
    assert_int_equal(parse("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 0);
    assert_string_equal(req.view.path, "*");
    assert_string_equal(req.view.query, "");
    release();
}

/* ---- framing and the connection ---- */

static void test_bodies(void **state)
{
    static const struct {
        const char *fields;
        enum body_kind kind;
        int64_t length;
    } rows[] = {
        {"", BODY_NONE, 0},
        {"Content-Length: 0\r\n", BODY_NONE, 0},
        {"Content-Length: 12\r\n", BODY_SIZED, 12},
        {"content-LENGTH:00012 \r\n", BODY_SIZED, 12},
        {"Content-Length: 999999999999999999\r\n", BODY_SIZED, 999999999999999999},
        {"Content-Length:\t12\r\n", BODY_SIZED, 12},
        {"Content-Length: 12\t\r\n", BODY_SIZED, 12},
        {"Content-Length: \t 12 \t \t\t \r\nA: b\t\r\n", BODY_SIZED, 12},
        {"Content-Type: a/b\r\nContent-Length:0\t\r\n", BODY_NONE, 0},
        {"Transfer-Encoding: chunked\r\n", BODY_CHUNKED, -1},
        {"transfer-encoding:Chunked \t\r\n", BODY_CHUNKED, -1},
        {"Transfer-Encoding:\tchunked\t\r\n", BODY_CHUNKED, -1},
        {"Transfer-Encoding: , chunked\r\n", BODY_CHUNKED, -1},
        {"Transfer-Encoding: chunked ,\t, \r\n", BODY_CHUNKED, -1},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[256];

        sprintf(text, "POST / HTTP/1.1\r\n" HOST "%s\r\n", rows[i].fields);
        assert_int_equal(parse(text), 0);
        assert_int_equal(req.body_kind, rows[i].kind);
        assert_int_equal(req.view.length, rows[i].length);
        assert_int_equal(req.body_done, rows[i].kind == BODY_NONE);
        release();
    }
}

static void test_keep_alive(void **state)
{
    static const struct {
        const char *text;
        bool keep_alive;
    } rows[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", true},
        {"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: te, Close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", true},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: close\t\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection:\tclose \t,\t\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: , close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: a,,\tclose,b\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: closed, clos, not close, \"close\"\r\n\r\n", true},
        {"GET / HTTP/1.1\r\n" HOST "Connection:\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: ,\tkeep-alive\t,\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: a\r\nconnection:KEEP-alive\r\n\r\n", true},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(parse(rows[i].text), 0);
        if (req.keep_alive != rows[i].keep_alive)
            fail_msg("%s", rows[i].text);
        release();
    }
}

static void test_expect(void **state)
{
    assert_int_equal(parse("POST / HTTP/1.1\r\n" HOST "Expect: 100-CONTINUE\r\nContent-Length: 1\r\n\r\n"), 0);
    assert_true(req.expects_100);
    release();
    assert_int_equal(parse("POST / HTTP/1.1\r\n" HOST "Expect: ,\t100-continue ,\r\nExpect: \r\n\r\n"), 0);
    assert_true(req.expects_100);
    release();
    assert_int_equal(parse("POST / HTTP/1.1\r\n" HOST "Expect:\r\n\r\n"), 0);
    assert_false(req.expects_100);
    release();
    assert_int_equal(parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"), 0);
    assert_false(req.expects_100);
    release();
}

/* ---- what is refused: RFC 9112, RFC 9110 ---- */

#define GET  "GET / HTTP/1.1\r\n" HOST
#define POST "POST / HTTP/1.1\r\n" HOST

static const struct {
    const char *text;
    int status;
} refused[] = {
    /* the request line */
    {"NO(NE / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"G\xc3\xa4T / HTTP/1.1\r\n" HOST "\r\n", 400},
    {" / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"NONE / HTTP/2.0\r\n" HOST "\r\n", 505},
    {"GE T / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /  HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / a HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.1 \r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.1\r\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.1\n" HOST "\r\n", 400},
    {"GET / HTTP/1.1\n\n", 400},
    {"GET /\r\rHTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.10\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/11\r\n" HOST "\r\n", 400},
    {"GET / http/1.1\r\n" HOST "\r\n", 400},
    {"GET / RTSP/1.0\r\n" HOST "\r\n", 400},
    {"\nGET / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400}, /* to skip it is connection.c's */
    {"GET / HTTP/0.9\r\n" HOST "\r\n", 505},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
    {"GET / HTTP/3.7\r\n" HOST "\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\n", 505},
    {"GET /\r\n\r\n", 505}, /* HTTP/0.9 */

    /* the target */
    {"GET a HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET ?a HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET * HTTP/1.1\r\n" HOST "\r\n", 400},
    {"OPTIONS *a HTTP/1.1\r\n" HOST "\r\n", 400},
    {"CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 501},
    {"CONNECT / HTTP/1.1\r\n" HOST "\r\n", 501},
    {"GET /% HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /%1 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /%1?23 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /%zz HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /a%00b HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /?a#b HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /\x7f HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /a\tb HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET http:// HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET http:///a HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET http://user@h/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET http:a HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET ftp://h/ HTTP/1.1\r\n" HOST "\r\n", 400},

    /* the layout of fields */
    {GET "A\r\n\r\n", 400},
    {GET "A b\r\n\r\n", 400},
    {GET "A : b\r\n\r\n", 400},
    {GET "A\t: b\r\n\r\n", 400},
    {GET " A: b\r\n\r\n", 400},
    {GET ": b\r\n\r\n", 400},
    {GET "A\x01: b\r\n\r\n", 400},
    {GET "\xc3\xa4: b\r\n\r\n", 400},
    {GET "A\"b: c\r\n\r\n", 400},
    {GET "A: b\x01\r\n\r\n", 400},
    {GET "A: b\x7f\r\n\r\n", 400},
    {GET "A: b\rc\r\n\r\n", 400},
    {GET "A: b\r\r\n\r\n", 400},
    {GET "A: b\r\n c\r\n\r\n", 400},
    {GET "A: b\r\n\tc\r\n\r\n", 400},
    {GET "A:\r\n b\r\n\r\n", 400},
    {GET "A: \r\n \r\n\r\n", 400},
    {GET "A: b\nC: d\r\n\r\n", 400},
    {GET "A: b\n\r\n", 400},
    {GET "A: b\r\n\n", 400},
    {GET "A:\n\r\n", 400},
    {GET "A:\rB: c\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n " HOST "\r\n", 400},

    /* Host */
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost : test\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: <h>\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", 400},
    {"GET http://good/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
    {"GET http://bad:x/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.0\r\nHost: a:b\r\n\r\n", 400},
    {GET HOST "\r\n", 400},
    {"GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400},

    /* the length */
    {POST "Content-Length:\r\n\r\n", 400},
    {POST "Content-Length:\t\r\n\r\n", 400},
    {POST "Content-Length: 1\t1\r\n\r\n", 400},
    {POST "Content-Length: \t1 \t 1\r\n\r\n", 400},
    {POST "Content-Length: 1\t\x0b\r\n\r\n", 400},
    {POST "Content-Length: 1\t\r\n 1\r\n\r\n", 400},
    {POST "Content-Length: 1\t\r\nContent-Length: 1\t\r\n\r\n", 400},
    {POST "Content-Length: 1,\r\n\r\n", 400},
    {POST "Content-Length: +1\r\n\r\n", 400},
    {POST "Content-Length: -1\r\n\r\n", 400},
    {POST "Content-Length: 1 1\r\n\r\n", 400},
    {POST "Content-Length: 1,1\r\n\r\n", 400},
    {POST "Content-Length: 0x1\r\n\r\n", 400},
    {POST "Content-Length: 1.0\r\n\r\n", 400},
    {POST "Content-Length:\r\n 1\r\n\r\n", 400},
    {POST "Content-Length : 1\r\n\r\n", 400},
    {POST "Content-Length: 9999999999999999999\r\n\r\n", 400},
    {POST "Content-Length: 18446744073709551617\r\n\r\n", 400},
    {POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
    {POST "Content-Length: 1\r\ncontent-length: 2\r\n\r\n", 400},

    /* the coding */
    {POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {POST "Transfer-Encoding: gzip;a=b ,\tchunked\r\n\r\n", 501},
    {POST "Transfer-Encoding: gzip ; a=\"b\", chunked\r\n\r\n", 501},
    {POST "Transfer-Encoding: gzip\r\n\r\n", 501},
    {POST "Transfer-Encoding: gzip b, chunked\r\n\r\n", 400},
    {POST "Transfer-Encoding: gz(ip, chunked\r\n\r\n", 400},
    {POST "Transfer-Encoding: gzip, chunked, gzip\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked, identity\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 400},
    {POST "Transfer-Encoding: ,\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {POST "Transfer-Encoding: identity\r\n\r\n", 501},
    {POST "Transfer-Encoding: xchunked\r\n\r\n", 501},
    {POST "Transfer-Encoding: chunked;a=b\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked ;a\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked a\r\n\r\n", 400},
    {POST "Transfer-Encoding: \"chunked\"\r\n\r\n", 400},
    {POST "Transfer-Encoding:\r\n\r\n", 400},
    {POST "Transfer-Encoding:\r\n chunked\r\n\r\n", 400},
    {POST "Transfer-Encoding : chunked\r\n\r\n", 400},
    {POST "Transfer-Encoding: \x0b chunked\r\n\r\n", 400},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},

    /* the expectation */
    {POST "Expect: more\r\n\r\n", 417},
    {POST "Expect: 100-continue, more\r\n\r\n", 417},
    {POST "Expect: more\r\nExpect: 100-continue\r\n\r\n", 417},

    /* the type */
    {POST "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n", 400},
    {POST "Content-Type: a/b\r\nA: b\r\ncontent-type:\r\n\r\n", 400},
};

static void test_refused(void **state)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        int status = parse(refused[i].text);

        if (status != refused[i].status)
            fail_msg("%d for %s", status, refused[i].text);
        assert_non_null(why);
        assert_true(strlen(why) > 10); /* a sentence for the log */
        release();
    }
}

/* What the access log is told of a request that is refused. */
static void test_what_stays_of_a_refused_line(void **state)
{
    static const struct {
        const char *text, *method, *target, *version;
    } lines[] = {
        {"CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", "CONNECT", "a:1", "HTTP/1.1"},
        {"BREW /pot HTTP/2.0\r\n" HOST "\r\n", "BREW", "/pot", "HTTP/2.0"},
        {"GET /a b\r\n\r\n", "GET", "/a", "b"},
        {"HEAD /\r\n\r\n", "HEAD", NULL, NULL},
        {"PUT  / HTTP/1.1\r\n\r\n", "PUT", NULL, NULL},
        {"POST / HTTP/1.0\r\nA\r\n\r\n", "POST", "/", "HTTP/1.0"},
        {"PUT / HTTP/1.1\r\n\r\n", "PUT", "/", "HTTP/1.1"},
    };

    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_true(parse(lines[i].text) >= 400);
        assert_string_equal(req.view.method, lines[i].method);
        assert_string_equal(req.view.target ? req.view.target : "", lines[i].target ? lines[i].target : "");
        assert_string_equal(req.version ? req.version : "", lines[i].version ? lines[i].version : "");
        release();
    }
}

/* The same of a head whose end has not come: size bytes of the text, with others behind them that were not received. */
static void test_what_stays_of_an_incomplete_head(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        const char *method, *target, *version;
    } heads[] = {
        {"BREW /pot HTTP/1.1\r\nHost", 24, "BREW", "/pot", "HTTP/1.1"},
        {"BREW /pot HTTP/1.1\r\n", 20, "BREW", "/pot", "HTTP/1.1"},
        {"BREW /pot HTTP/1.1\r\n", 19, "BREW", NULL, NULL},
        {"BREW /pot HTTP/1.1\r\n", 5, "BREW", NULL, NULL},
        {"BREW /pot HTTP/1.1\r\n", 4, NULL, NULL, NULL},
        {"BREW /pot HTTP/1.1\r\n", 0, NULL, NULL, NULL},
        {"BR(W /pot HTTP/1.1\r\n", 19, NULL, NULL, NULL},
        {"\n\r\n", 3, NULL, NULL, NULL},
        {"BREW\n", 5, NULL, NULL, NULL},
        {"BREW \n", 6, "BREW", NULL, NULL},
        {"BREW /\r\n", 8, "BREW", NULL, NULL},
        {"BREW / HTTP\n", 12, "BREW", "/", NULL},
    };

    for (size_t i = 0; i < COUNT(heads); i++) {
        char *exact = malloc(heads[i].size); /* so that a sanitizer sees a read behind it */

        memcpy(exact, heads[i].text, heads[i].size);
        req = (struct request){0};
        arena_init(&req.arena);
        line_note(&req, exact, heads[i].size);
        assert_string_equal(req.view.method ? req.view.method : "", heads[i].method ? heads[i].method : "");
        assert_string_equal(req.view.target ? req.view.target : "", heads[i].target ? heads[i].target : "");
        assert_string_equal(req.version ? req.version : "", heads[i].version ? heads[i].version : "");
        release();
        free(exact);
    }
}

/* Each byte of a good head is replaced by every other: what is still accepted is one request of the same size, with no
 * control byte in its view except in the decoded path. */
static void assert_no_control(const char *s)
{
    for (; *s; s++)
        assert_true((unsigned char)*s >= ' ' || *s == '\t');
}

static void test_one_wrong_byte(void **state)
{
    static const char good[] = POST "A: b\r\nContent-Length: 12\r\n\r\n";
    char text[sizeof(good)];

    for (size_t at = 0; at < sizeof(good) - 5; at++)
        for (int byte = 1; byte < 256; byte++) {
            size_t found;

            memcpy(text, good, sizeof(good));
            text[at] = (char)byte;
            if (parse_some(text, &found) == 0) {
                assert_int_equal(found, sizeof(good) - 1);
                assert_no_control(req.view.target);
                assert_int_equal(req.view.field_count, 3);
                for (size_t i = 0; i < req.view.field_count; i++) {
                    assert_no_control(req.view.fields[i].name);
                    assert_no_control(req.view.fields[i].value);
                }
            }
            release();
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_is_found_at_every_split),
        cmocka_unit_test(test_end_is_found_byte_by_byte),
        cmocka_unit_test(test_plausible),
        cmocka_unit_test(test_request_line),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_what_follows_is_left_alone),
        cmocka_unit_test(test_as_many_fields_as_fit),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_plain_path_is_not_copied),
        cmocka_unit_test(test_asterisk),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_expect),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_what_stays_of_a_refused_line),
        cmocka_unit_test(test_what_stays_of_an_incomplete_head),
        cmocka_unit_test(test_one_wrong_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
