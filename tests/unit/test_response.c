/* test_response.c: responses on the wire: framing, refused fields, bodies that are too long or too short. */
#include "response_test.h"

/* The same without the lines that follow the status line in every head. */
static char *taken_without_server_lines(void)
{
    char *from, *to;

    assert_non_null(taken());
    from = strstr(text, "\r\n");
    assert_non_null(from);
    assert_memory_equal(from, "\r\nServer: syncless\r\nDate: ", 26);
    to = strstr(from + 26, "\r\n");
    assert_int_equal(to - from, 26 + strlen("Sun, 06 Nov 1994 08:49:37 GMT"));
    memmove(from, to, strlen(to) + 1);
    return text;
}

/* ---- framing ---- */

/* What a handler does: set a status and a length, and write pieces; or reply with one. */
static const struct row {
    const char *method;
    int minor;
    bool keep_alive;
    int status;
    const char *length, *reply, *pieces[3];
    const char *head, *body; /* expected, without the status line */
    bool kept;
} rows[] = {
    /* length known */
    {"GET", 1, true, 200, NULL, "hello", {0}, "Content-Length: 5\r\n", "hello", true},
    {"GET", 1, false, 200, NULL, "hello", {0}, "Content-Length: 5\r\nConnection: close\r\n", "hello", false},
    {"GET", 0, true, 200, NULL, "hello", {0}, "Content-Length: 5\r\nConnection: keep-alive\r\n", "hello", true},
    {"GET", 0, false, 200, NULL, "hello", {0}, "Content-Length: 5\r\nConnection: close\r\n", "hello", false},
    {"GET", 1, true, 200, "5", NULL, {"he", "llo"}, "Content-Length: 5\r\n", "hello", true},
    {"GET", 1, true, 200, "0", NULL, {""}, "Content-Length: 0\r\n", "", true},
    {"GET", 1, true, 404, NULL, "", {0}, "Content-Length: 0\r\n", "", true},
    {"GET", 1, true, 205, NULL, NULL, {0}, "Content-Length: 0\r\n", "", true},
    {"GET", 1, true, 205, NULL, NULL, {"hello"}, "Content-Length: 0\r\n", "", true},
    {"GET", 1, true, 205, "5", NULL, {"hello"}, "Content-Length: 0\r\n", "", true},
    {"GET", 1, true, 205, "5", NULL, {0}, "Content-Length: 0\r\n", "", true},
    {"GET", 1, true, 205, NULL, "hello", {0}, "Content-Length: 0\r\n", "", true},
    {"GET", 0, true, 205, NULL, NULL, {"hello"}, "Content-Length: 0\r\nConnection: keep-alive\r\n", "", true},
    {"HEAD", 1, true, 205, "5", NULL, {0}, "Content-Length: 0\r\n", "", true},
    {"GET", 1, true, 999, NULL, "hello", {0}, "Content-Length: 5\r\n", "hello", true},
    {"POST", 1, true, 500, NULL, NULL, {0}, "Content-Length: 0\r\n", "", true},

    /* length not known */
    {"GET",
     1,
     true,
     200,
     NULL,
     NULL,
     {"he", "llo"},
     "Transfer-Encoding: chunked\r\n",
     "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
     true},
    {"GET",
     1,
     false,
     200,
     NULL,
     NULL,
     {"hello"},
     "Transfer-Encoding: chunked\r\nConnection: close\r\n",
     "5\r\nhello\r\n0\r\n\r\n",
     false},
    {"GET",
     1,
     true,
     200,
     NULL,
     NULL,
     {"", "0123456789abcdefg", ""},
     "Transfer-Encoding: chunked\r\n",
     "11\r\n0123456789abcdefg\r\n0\r\n\r\n",
     true},
    {"GET", 1, true, 200, NULL, NULL, {""}, "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", true},
    {"GET", 0, true, 200, NULL, NULL, {"he", "llo"}, "Connection: close\r\n", "hello", false},
    {"GET", 0, false, 200, NULL, NULL, {"hello"}, "Connection: close\r\n", "hello", false},

    /* HEAD: the head of a GET where it is known, and never a body */
    {"HEAD", 1, true, 200, NULL, "hello", {0}, "Content-Length: 5\r\n", "", true},
    {"HEAD", 1, true, 200, "7", NULL, {0}, "Content-Length: 7\r\n", "", true},
    {"HEAD", 1, true, 200, "7", NULL, {"hello", "world"}, "Content-Length: 7\r\n", "", true},
    {"HEAD", 1, true, 200, NULL, NULL, {"hello"}, "", "", true},
    {"HEAD", 1, true, 200, NULL, NULL, {0}, "", "", true},
    {"HEAD", 0, true, 200, NULL, NULL, {"hello"}, "Connection: keep-alive\r\n", "", true},

    /* neither 204 nor 304 has a length */
    {"GET", 1, true, 204, NULL, NULL, {0}, "", "", true},
    {"GET", 1, true, 204, "5", NULL, {"hello"}, "", "", true},
    {"GET", 1, true, 204, NULL, "hello", {0}, "", "", true},
    {"GET", 0, true, 204, NULL, NULL, {0}, "Connection: keep-alive\r\n", "", true},
    {"GET", 1, true, 304, NULL, NULL, {0}, "", "", true},
    {"GET", 1, true, 304, "5", NULL, {"hello"}, "", "", true},
    {"GET", 1, true, 304, "0", NULL, {0}, "", "", true},
    {"HEAD", 1, true, 304, "5", NULL, {0}, "", "", true},
    {"GET", 0, true, 304, "5", NULL, {"hello"}, "Connection: keep-alive\r\n", "", true},
    {"GET", 1, true, 304, NULL, "hello", {0}, "", "", true},
};

static void respond(void *arg)
{
    const struct row *row = arg;

    if (row->reply) {
        assert_int_equal(response_reply(&scene.req, row->status, NULL, row->reply, strlen(row->reply)), 0);
    } else {
        assert_int_equal(response_status(&scene.req, row->status, NULL), 0);
        if (row->length)
            assert_int_equal(header("Content-Length", row->length), 0);
        for (int i = 0; i < 3 && row->pieces[i]; i++)
            assert_int_equal(say(row->pieces[i]), 0);
    }
    assert_int_equal(response_finish(&scene.req), 0);
    assert_null(taken()); /* nothing leaves before it has to */
    assert_int_equal(output_flush(&scene.out), 0);
}

static void test_framing(void **state)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        char want[256], *got, *fields;

        begin(row->method, row->minor, row->keep_alive);
        on_coroutine(respond, (void *)row);
        got = taken_without_server_lines();
        sprintf(want, "HTTP/1.1 %d ", row->status);
        assert_memory_equal(got, want, strlen(want));
        fields = strstr(got, "\r\n") + 2;
        sprintf(want, "%s\r\n%s", row->head, row->body);
        if (strcmp(fields, want) != 0)
            fail_msg("row %zu, %s HTTP/1.%d %d: got\n%s\nin place of\n%s", i, row->method, row->minor, row->status,
                     fields, want);
        assert_int_equal(scene.req.keep_alive, row->kept);
        assert_null(taken());
        scene_close(&scene);
    }
}

/* ---- status and fields ---- */

static void sets_status(void *arg)
{
    static const int bad[] = {-1, 0, 99, 100, 101, 199, 1000, 9999};

    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(response_status(&scene.req, bad[i], NULL), -EINVAL);
    assert_int_equal(response_status(&scene.req, 200, "a\r\nB: c"), -EINVAL);
    assert_int_equal(response_status(&scene.req, 200, "a\x01"), -EINVAL);
    assert_int_equal(response_status(&scene.req, 299, "So \xc3\xbc"), 0);
    assert_int_equal(response_finish(&scene.req), 0);
    assert_int_equal(response_status(&scene.req, 200, NULL), -EALREADY);
    output_flush(&scene.out);
}

static void test_status(void **state)
{
    begin("GET", 1, true);
    on_coroutine(sets_status, NULL);
    assert_non_null(strstr(taken(), "HTTP/1.1 299 So \xc3\xbc\r\n"));
    scene_close(&scene);
}

static void test_refused_fields(void **state)
{
    static const struct {
        const char *name, *value;
    } bad[] = {
        {"", "a"},
        {"A B", "a"},
        {"A:", "a"},
        {"A\r\nB", "a"},
        {"\xc3\xa4", "a"},
        {"A\x7f", "a"},
        {"(a)", "a"},
        {"A", "b\r\nC: d"},
        {"A", "b\nC"},
        {"A", "b\rC"},
        {"A", "\x01"},
        {"A", "\x7f"},
        {"Content-Length", ""},
        {"Content-Length", "-1"},
        {"Content-Length", "+1"},
        {"Content-Length", " 1"},
        {"Content-Length", "1 "},
        {"Content-Length", "1,1"},
        {"content-length", "9999999999999999999"},
        {"Connection", "close\r\n"},
        {"Transfer-Encoding", "\x01"},
    };

    begin("GET", 1, true);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (header(bad[i].name, bad[i].value) != -EINVAL)
            fail_msg("%s: %s", bad[i].name, bad[i].value);
    assert_int_equal(response_header(&scene.req, "A", 1, "a\0b", 3), -EINVAL);
    assert_int_equal(response_header(&scene.req, "A\0", 2, "b", 1), -EINVAL);
    assert_int_equal(scene.req.fields_size, 0);
    scene_close(&scene);
}

/* Those that are the server's are left out. Only Connection: close has an effect. */
static const struct {
    const char *name, *value;
    bool kept; /* the connection */
} dropped[] = {
    {"CONNECTION", "keep-alive", true},
    {"Connection", "upgrade", true},
    {"connection", "closed", true},
    {"Keep-Alive", "timeout=5", true},
    {"Proxy-Connection", "close", true},
    {"TE", "trailers", true},
    {"Trailer", "A", true},
    {"transfer-encoding", "chunked", true},
    {"Upgrade", "h2c", true},
    {"Connection", "close", false},
    {"connection", "a, ,\tClose\t,", false},
};

static void sets_dropped_field(void *arg)
{
    size_t i = *(size_t *)arg;

    assert_int_equal(header(dropped[i].name, dropped[i].value), 0);
    assert_int_equal(response_reply(&scene.req, 200, NULL, "hello", 5), 0);
    assert_int_equal(response_finish(&scene.req), 0);
    assert_int_equal(output_flush(&scene.out), 0);
}

static void test_dropped_fields(void **state)
{
    for (size_t i = 0; i < COUNT(dropped); i++) {
        bool kept = dropped[i].kept;

        begin("GET", 1, true);
        on_coroutine(sets_dropped_field, &i);
        assert_string_equal(strstr(taken_without_server_lines(), "\r\n"),
                            kept ? "\r\nContent-Length: 5\r\n\r\nhello"
                                 : "\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        assert_int_equal(scene.req.keep_alive, kept);
        scene_close(&scene);
    }
}

/* A handler that starts over has not asked for a close any more. A filter has. */
static void starts_over_without_close(void *arg)
{
    assert_int_equal(header("Connection", "close"), 0);
    if (arg)
        response_keep(&scene.req);
    assert_int_equal(response_reset(&scene.req), 0);
    assert_int_equal(response_finish(&scene.req), 0);
    output_flush(&scene.out);
}

static void test_close_is_forgotten(void **state)
{
    for (int filter = 0; filter < 2; filter++) {
        begin("GET", 1, true);
        on_coroutine(starts_over_without_close, filter ? &filter : NULL);
        taken();
        assert_int_equal(scene.req.keep_alive, !filter);
        scene_close(&scene);
    }
}

static void asks_for_upgrade(void *arg)
{
    assert_int_equal(response_status(&scene.req, 426, NULL), 0);
    assert_int_equal(header("Upgrade", arg), 0);
    assert_int_equal(response_finish(&scene.req), 0);
    output_flush(&scene.out);
}

static void test_upgrade_required(void **state)
{
    begin("GET", 1, true);
    on_coroutine(asks_for_upgrade, "h2c");
    assert_string_equal(strstr(taken_without_server_lines(), "\r\n"),
                        "\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n");
    scene_close(&scene);
    begin("GET", 1, true);
    on_coroutine(asks_for_upgrade, "websocket");
    assert_string_equal(strstr(taken_without_server_lines(), "\r\n"),
                        "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n");
    scene_close(&scene);
}

/* Every byte at every place of a value: values are checked by words, and the rest byte by byte. */
static void test_bytes_of_values(void **state)
{
    char value[19];

    begin("GET", 1, true);
    for (int byte = 0; byte < 256; byte++) {
        bool legal = byte == '\t' || (byte >= ' ' && byte != 0x7f);

        for (size_t i = 0; i < sizeof(value); i++) {
            memset(value, i % 2 ? ' ' : 0xff, sizeof(value)); /* bytes at the ends of what is legal */
            value[i] = (char)byte;
            assert_int_equal(response_header(&scene.req, "A", 1, value, sizeof(value)), legal ? 0 : -EINVAL);
        }
    }
    scene_close(&scene);
}

static void sends_fields(void *arg)
{
    char name[16], value[128];

    assert_int_equal(header("a-B.c!#$%&'*+^_`|~9", "\t x: \xc3\xa4;\"\\ "), 0);
    assert_int_equal(header("Empty", ""), 0);
    for (int i = 0; i < 200; i++) {
        sprintf(name, "F%d", i);
        memset(value, 'a' + i % 26, sizeof(value));
        value[i % 100] = '\0';
        assert_int_equal(header(name, value), 0);
    }
    assert_int_equal(response_reply(&scene.req, 200, "text/plain", "body", 4), 0);
    assert_int_equal(header("Late", "x"), -EALREADY);
    assert_int_equal(response_finish(&scene.req), 0);
    output_flush(&scene.out);
}

/* More fields than fit into the output block: all are there, in order. */
static void test_fields(void **state)
{
    char *at, want[160];

    begin("GET", 1, true);
    on_coroutine(sends_fields, NULL);
    at = strstr(taken_without_server_lines(), "\r\n") + 2;
    client_take(&scene, text + strlen(text), 100);
    at += sprintf(want, "a-B.c!#$%%&'*+^_`|~9: \t x: \xc3\xa4;\"\\ \r\nEmpty: \r\n");
    assert_memory_equal(at - strlen(want), want, strlen(want));
    for (int i = 0; i < 200; i++) {
        int n = sprintf(want, "F%d: ", i);

        memset(want + n, 'a' + i % 26, (size_t)(i % 100));
        strcpy(want + n + i % 100, "\r\n");
        assert_memory_equal(at, want, strlen(want));
        at += strlen(want);
    }
    assert_string_equal(at, "Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody");
    scene_close(&scene);
}

static void sends_own_server_lines(void *arg)
{
    for (const char *c = arg; *c; c++)
        assert_int_equal(*c == 'd' ? header("DATE", "never") : header("server", "mine"), 0);
    assert_int_equal(response_finish(&scene.req), 0);
    output_flush(&scene.out);
}

static int count_of(const char *word)
{
    int count = 0;

    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        count++;
    return count;
}

static void test_own_date_and_server(void **state)
{
    static const char *const own[] = {"", "d", "s", "ds"};

    for (size_t i = 0; i < COUNT(own); i++) {
        bool date = strchr(own[i], 'd'), server = strchr(own[i], 's');

        begin("GET", 1, true);
        on_coroutine(sends_own_server_lines, (void *)own[i]);
        taken();
        assert_int_equal(count_of("\r\nServer: syncless\r\n"), !server);
        assert_int_equal(count_of("\r\nserver: mine\r\n"), server);
        assert_int_equal(count_of("\r\nDATE: never\r\n"), date);
        assert_int_equal(count_of("GMT\r\n"), !date);
        scene_close(&scene);
    }
}

/* ---- too much and too little ---- */

static void writes_too_much(void *arg)
{
    assert_int_equal(header("Content-Length", "3"), 0);
    assert_int_equal(say("he"), 0);
    assert_int_equal(say("llo"), -EMSGSIZE);
    assert_int_equal(say("!"), -EMSGSIZE);
    assert_int_equal(response_finish(&scene.req), 0); /* the client has what was announced */
    output_flush(&scene.out);
}

static void test_too_much(void **state)
{
    begin("GET", 1, true);
    on_coroutine(writes_too_much, NULL);
    assert_string_equal(strstr(taken(), "\r\n\r\n"), "\r\n\r\nhel");
    scene_close(&scene);
}

static void writes_too_little(void *arg)
{
    assert_int_equal(header("Content-Length", "3"), 0);
    if (arg)
        assert_int_equal(say(arg), 0);
    assert_int_equal(response_finish(&scene.req), -EPROTO);
}

static void test_too_little(void **state)
{
    begin("GET", 1, true);
    on_coroutine(writes_too_little, "he");
    scene_close(&scene);
    begin("GET", 1, true);
    on_coroutine(writes_too_little, NULL);
    scene_close(&scene);
}

/* ---- a client that may not send its body any more ---- */

static void replies_at_once(void *arg)
{
    assert_int_equal(response_reply(&scene.req, 403, NULL, "no", 2), 0);
    assert_int_equal(response_finish(&scene.req), 0);
    output_flush(&scene.out);
}

static void test_unread_expectation_closes(void **state)
{
    begin("POST", 1, true);
    scene.req.expects_100 = true;
    scene.req.body_done = false;
    on_coroutine(replies_at_once, NULL);
    assert_non_null(strstr(taken(), "\r\nConnection: close\r\n"));
    assert_false(scene.req.keep_alive);
    scene_close(&scene);
}

/* ---- starting over, and the end before the end ---- */

static void starts_over(void *arg)
{
    assert_int_equal(header("Set-Cookie", "secret"), 0);
    assert_int_equal(header("Content-Length", "9999"), 0);
    assert_int_equal(response_status(&scene.req, 404, "None"), 0);
    assert_int_equal(response_reset(&scene.req), 0);
    assert_int_equal(header("A", "b"), 0);
    assert_int_equal(say("hello"), 0);
    assert_int_equal(response_reset(&scene.req), -EALREADY);
    assert_int_equal(response_finish(&scene.req), 0);
    assert_int_equal(say("more"), -EMSGSIZE);
    assert_int_equal(response_finish(&scene.req), 0);
    output_flush(&scene.out);
}

static void test_starting_over(void **state)
{
    begin("GET", 1, true);
    on_coroutine(starts_over, NULL);
    taken();
    assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
    assert_null(strstr(text, "secret"));
    assert_null(strstr(text, "9999"));
    assert_non_null(strstr(text, "\r\nA: b\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    scene_close(&scene);
}

/* ---- pages ---- */

static void sends_page(void *arg)
{
    assert_int_equal(header("Set-Cookie", "secret"), 0);
    assert_int_equal(header("Content-Length", "9999"), 0);
    assert_int_equal(response_status(&scene.req, 200, "Fine"), 0);
    assert_int_equal(response_page(&scene.req, *(int *)arg), 0);
    assert_int_equal(response_finish(&scene.req), 0);
    output_flush(&scene.out);
}

static void test_page_takes_the_place_of_all(void **state)
{
    int status = 404;
    char *body;

    begin("GET", 1, true);
    on_coroutine(sends_page, &status);
    taken();
    assert_memory_equal(text, "HTTP/1.1 404 Not Found\r\n", 24);
    assert_null(strstr(text, "secret"));
    body = strstr(text, "\r\n\r\n") + 4;
    assert_int_equal(atoi(strstr(text, "Content-Length: ") + 16), strlen(body));
    assert_non_null(strstr(body, "404 Not Found"));
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_refused_fields),
        cmocka_unit_test(test_dropped_fields),
        cmocka_unit_test(test_close_is_forgotten),
        cmocka_unit_test(test_upgrade_required),
        cmocka_unit_test(test_bytes_of_values),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_own_date_and_server),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_too_little),
        cmocka_unit_test(test_unread_expectation_closes),
        cmocka_unit_test(test_starting_over),
        cmocka_unit_test(test_page_takes_the_place_of_all),
    };

    return cmocka_run_group_tests(tests, loop_setup, loop_teardown);
}
