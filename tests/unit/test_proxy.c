/* test_proxy.c: who the client is: the PROXY protocol, and what trusted proxies forward. */
#include "core_test.h"

#include "http/proxy/forwarded.h"
#include "http/request/head.h"
#include "http/proxy/proxy.h"

/* ---- PROXY ---- */

#define V2   "\r\n\r\n\0\r\nQUIT\n"
#define IPV4 "\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x00\x50"

static const struct {
    const char *bytes;
    size_t size;
    int result;          /* of the whole: 1 its size, or -EBADMSG */
    const char *address; /* NULL: the load balancer's own connection */
    int port;
} headers[] = {
#define ROW(text) text, sizeof(text) - 1
    {ROW("PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\r\n"), 1, "192.0.2.1", 4660},
    {ROW("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), 1, "2001:db8::1", 1},
    {ROW("PROXY UNKNOWN\r\n"), 1, NULL, 0},
    {ROW("PROXY UNKNOWN what ever this is\r\n"), 1, NULL, 0},
    {ROW("PROXY TCP4 192.0.2.1 192.0.2.2 4660\r\n"), -EBADMSG, NULL, 0},
    {ROW("PROXY TCP4 192.0.2.1 192.0.2.2 4660 80 1\r\n"), -EBADMSG, NULL, 0},
    {ROW("PROXY TCP4 192.0.2.1 192.0.2.2 4660 65536\r\n"), -EBADMSG, NULL, 0},
    {ROW("PROXY TCP4 192.0.2.1  192.0.2.2 4660 80\r\n"), -EBADMSG, NULL, 0},
    {ROW("PROXY TCP4 ::1 192.0.2.2 4660 80\r\n"), -EBADMSG, NULL, 0},
    {ROW("PROXY TCP4 192.0.2.1 x 4660 80\r\n"), -EBADMSG, NULL, 0},
    {ROW("PROXY TCP5 192.0.2.1 192.0.2.2 4660 80\r\n"), -EBADMSG, NULL, 0},
    {ROW("PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\n"), -EBADMSG, NULL, 0},
    {ROW("PROXY \r\n"), -EBADMSG, NULL, 0},
    {ROW("PROXY\n"), -EBADMSG, NULL, 0},
    {ROW("GET / HTTP/1.1\r\n"), -EBADMSG, NULL, 0},
    {ROW("PROXY TCP4 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxx\r\n"),
     -EBADMSG, NULL, 0},
    {ROW(V2 "\x21\x11\0\x0c" IPV4), 1, "192.0.2.1", 4660},
    {ROW(V2 "\x21\x11\0\x10" IPV4 "\x01\0\x01x"), 1, "192.0.2.1", 4660},
    {ROW(V2 "\x21\x21\0\x24"
            "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\1\0\2"),
     1, "2001:db8::1", 1},
    {ROW(V2 "\x20\x00\0\0"), 1, NULL, 0},
    {ROW(V2 "\x20\x11\0\x0c" IPV4), 1, NULL, 0},
    {ROW(V2 "\x21\x00\0\0"), 1, NULL, 0},
    {ROW(V2 "\x21\x11\0\x0b\0\0\0\0\0\0\0\0\0\0\0"), -EBADMSG, NULL, 0},
    {ROW(V2 "\x21\x12\0\x0c" IPV4), -EBADMSG, NULL, 0},
    {ROW(V2 "\x22\x11\0\x0c" IPV4), -EBADMSG, NULL, 0},
    {ROW(V2 "\x11\x11\0\x0c" IPV4), -EBADMSG, NULL, 0},
    {ROW(V2 "\x21\x11\xff\xff" IPV4), -EBADMSG, NULL, 0},
};

static void test_proxy_headers(void **state)
{
    for (size_t i = 0; i < COUNT(headers); i++) {
        struct proxy_header header;
        char bytes[256], text[INET6_ADDRSTRLEN] = "";
        struct in6_addr address;
        ssize_t size;

        memcpy(bytes, headers[i].bytes, headers[i].size);
        memcpy(bytes + headers[i].size, "GET", 3);
        for (size_t part = 0; part < headers[i].size; part++) {
            size = proxy_parse(&header, bytes, part);
            assert_true(size == 0 || (size < 0 && headers[i].result < 0));
        }
        size = proxy_parse(&header, bytes, headers[i].size + 3);
        if (size != (headers[i].result < 0 ? -EBADMSG : (ssize_t)headers[i].size))
            fail_msg("%zu: %zd", i, size);
        if (size < 0)
            continue;
        assert_int_equal(address_ip(&address, &header.peer.any), headers[i].address != NULL);
        if (!headers[i].address)
            continue;
        address_ip_text(&address, text);
        assert_string_equal(text, headers[i].address);
        assert_int_equal(ntohs(header.peer.in.sin_port), headers[i].port);
    }
}

/* ---- forwarded ---- */

static const struct {
    const char *fields;
    const char *peer; /* "": that of the connection */
    const char *scheme, *host, *prefix;
    unsigned without; /* fields that are not believed */
} forwards[] = {
    {"", "", "http", "test", NULL, 0},
    /* X-Forwarded-For, right to left */
    {"X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1", "http", "test", NULL, 0},
    {"X-Forwarded-For: 192.0.2.1:1234\r\n", "192.0.2.1", "http", "test", NULL, 0},
    {"X-Forwarded-For: 1.1.1.1, 192.0.2.1, 10.0.0.2\r\n", "192.0.2.1", "http", "test", NULL, 0},
    {"X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3", "http", "test", NULL, 0},
    {"X-Forwarded-For: 1.1.1.1, what, 10.0.0.2\r\n", "10.0.0.2", "http", "test", NULL, 0},
    {"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1", "http", "test", NULL, 0},
    {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.2\r\n", "192.0.2.1", "http", "test", NULL, 0},
    {"X-Forwarded-For: 192.0.2.1,\r\n", "192.0.2.1", "http", "test", NULL, 0},
    {"X-Forwarded-For: 1.1.1.1, 192.0.2.1, , 10.0.0.2\r\n", "192.0.2.1", "http", "test", NULL, 0},
    {"X-Forwarded-For: ,192.0.2.1\t,,\t, 10.0.0.2 ,\r\nX-Forwarded-For:\r\nX-Forwarded-For: ,\r\n", "192.0.2.1", "http",
     "test", NULL, 0},
    {"X-Forwarded-For: ,\r\n", "", "http", "test", NULL, 0},
    {"X-Forwarded-For: 1.1.1.1, \"\", 10.0.0.2\r\n", "10.0.0.2", "http", "test", NULL, 0},
    {"X-Forwarded-For: 192.0.2.1, 10.0.0.2\r\nX-Forwarded-Proto: https, , http,\r\n", "192.0.2.1", "https", "test",
     NULL, 0},
    {"X-Forwarded-Proto: https,\r\n", "", "https", "test", NULL, 0},
    {"X-Forwarded-Host: shop.example ,\t\r\n", "", "http", "shop.example", NULL, 0},
    {"X-Forwarded-Host: a:80x\r\n", "", "http", "test", NULL, 0},
    {"X-Forwarded-Prefix: ,/app,\r\n", "", "http", "test", "/app", 0},
    {"X-Forwarded-For: unknown\r\n", "", "http", "test", NULL, 0},
    {"X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1", "http", "test", NULL, 0},
    {"X-Forwarded-For: 192.0.2.1\r\n", "", "http", "test", NULL, FORWARDED_FOR},
    {"X-Forwarded-For: 1.1.1.1, \"x, 192.0.2.1\r\n", "192.0.2.1", "http", "test", NULL,
     0}, /* this field has no quoted strings */
    /* the others */
    {"X-Forwarded-Proto: https\r\n", "", "https", "test", NULL, 0},
    {"X-Forwarded-Proto: HTTPS\r\n", "", "https", "test", NULL, 0},
    {"X-Forwarded-Proto: gopher\r\n", "", "http", "test", NULL, 0},
    {"X-Forwarded-Proto: wss\r\n", "", "https", "test", NULL, 0},
    {"X-Forwarded-For: 192.0.2.1, 10.0.0.2\r\nX-Forwarded-Proto: WS, https\r\n", "192.0.2.1", "http", "test", NULL, 0},
    {"X-Forwarded-Proto: https\r\n", "", "http", "test", NULL, FORWARDED_PROTO},
    {"X-Forwarded-For: 192.0.2.1, 10.0.0.2\r\nX-Forwarded-Proto: https, http\r\n", "192.0.2.1", "https", "test", NULL,
     0},
    {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https, http\r\n", "192.0.2.1", "http", "test", NULL, 0},
    {"X-Forwarded-For: 192.0.2.1, 10.0.0.2\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1", "https", "test", NULL, 0},
    {"X-Forwarded-Host: shop.example:81\r\n", "", "http", "shop.example:81", NULL, 0},
    {"X-Forwarded-Host: a/b\r\n", "", "http", "test", NULL, 0},
    {"X-Forwarded-Host:\r\n", "", "http", "test", NULL, 0},
    {"X-Forwarded-Host: evil, good\r\n", "", "http", "good", NULL, 0},
    {"X-Forwarded-Host: shop.example\r\n", "", "http", "test", NULL, FORWARDED_HOST},
    {"X-Forwarded-Prefix: /app/\r\n", "", "http", "test", "/app", 0},
    {"X-Forwarded-Prefix: /\r\n", "", "http", "test", "", 0},
    {"X-Forwarded-Prefix: //evil.example\r\n", "", "http", "test", NULL, 0},
    {"X-Forwarded-Prefix: app\r\n", "", "http", "test", NULL, 0},
    {"X-Forwarded-Prefix: /a?b\r\n", "", "http", "test", NULL, 0},
    {"X-Forwarded-Prefix: /app\r\n", "", "http", "test", NULL, FORWARDED_PREFIX},
    /* Forwarded */
    {"Forwarded: for=192.0.2.1;proto=https, ,for=10.0.0.2;proto=http,\r\nForwarded:\t\r\n", "192.0.2.1", "https",
     "test", NULL, 0},
    {"Forwarded: for=1.1.1.1, ;, for=192.0.2.1\r\n", "192.0.2.1", "http", "test", NULL, 0},
    {"Forwarded: , \r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1", "http", "test", NULL, 0},
    {"Forwarded: for=192.0.2.1;proto=https;host=shop.example;by=10.0.0.9\r\n", "192.0.2.1", "https", "shop.example",
     NULL, 0},
    {"Forwarded: For=\"[2001:db8::1]:4711\" ; PROTO=https\r\n", "2001:db8::1", "https", "test", NULL, 0},
    {"Forwarded: for=1.1.1.1;proto=http;host=evil, for=192.0.2.1;proto=https, for=10.0.0.2;proto=http\r\n", "192.0.2.1",
     "https", "test", NULL, 0},
    {"Forwarded: for=192.0.2.1;proto=https\r\nForwarded: for=10.0.0.2;proto=http\r\n", "192.0.2.1", "https", "test",
     NULL, 0},
    {"Forwarded: for=_hidden;proto=https\r\n", "", "https", "test", NULL, 0},
    {"Forwarded: for=\"192.0.2.1, 10.0.0.2\"\r\n", "", "http", "test", NULL, 0},
    {"Forwarded: host=\"a;b=c\";proto=https\r\n", "", "https", "a;b=c", NULL, 0},
    {"Forwarded: for=\"192.0.2.1\r\n", "", "http", "test", NULL, 0},
    /* A client opens a quote, so that the proxy's element is inside it: what stands before is what the client wrote. */
    {"Forwarded: for=1.1.1.1;proto=https;host=evil, for=\"x, for=192.0.2.1;proto=http\r\n", "", "http", "test", NULL,
     0},
    {"Forwarded: for=1.1.1.1;proto=https, for=\"x\\, for=\"[2001:db8::1]\"\r\n", "", "http", "test", NULL, 0},
    {"Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.9\r\n", "192.0.2.1", "http", "test", NULL, 0},
    {"Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9", "http", "test", NULL, FORWARDED},
};

static void test_forwarded(void **state)
{
    for (size_t i = 0; i < COUNT(forwards); i++) {
        struct network network;
        struct proxies proxies = {&network, 1, false, FORWARDED_ALL & ~forwards[i].without};
        struct request req = {.view = {.peer = "", .scheme = "http"}};
        struct head_scan scan = {0};
        char head[512];
        const char *why;
        size_t size;

        network_parse(&network, "10.0.0.0/8");
        size = (size_t)sprintf(head, "GET / HTTP/1.1\r\nHost: test\r\n%s\r\n", forwards[i].fields);
        arena_init(&req.arena);
        assert_int_equal(head_find(head, size, &scan), size);
        assert_int_equal(head_parse(&req, head, size, scan.lines, &why), 0);
        forwarded_apply(&proxies, &req);
        if (strcmp(req.view.peer, forwards[i].peer))
            fail_msg("%s: %s", forwards[i].fields, req.view.peer);
        if (strcmp(req.view.scheme, forwards[i].scheme) || strcmp(req.view.host, forwards[i].host))
            fail_msg("%s: %s %s", forwards[i].fields, req.view.scheme, req.view.host);
        assert_string_equal(req.view.fields[0].value, forwards[i].host);
        assert_int_equal(req.prefix != NULL, forwards[i].prefix != NULL);
        if (req.prefix)
            assert_string_equal(req.prefix, forwards[i].prefix);
        arena_release(&req.arena);
    }
}

/* A list of any length is read from its right end. */
static void test_long_list(void **state)
{
    struct network network;
    struct proxies proxies = {&network, 1, false, FORWARDED_ALL};
    struct request req = {.view = {.peer = "", .scheme = "http"}};
    struct head_scan scan = {0};
    char head[4096] = "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 1.1.1.1";
    const char *why;

    network_parse(&network, "10.0.0.0/8");
    for (int i = 0; i < 100; i++)
        strcat(head, ", 1.1.1.1");
    strcat(head, ", 192.0.2.1, 10.0.0.2\r\n\r\n");
    arena_init(&req.arena);
    assert_int_equal(head_find(head, strlen(head), &scan), strlen(head));
    assert_int_equal(head_parse(&req, head, scan.at, scan.lines, &why), 0);
    forwarded_apply(&proxies, &req);
    assert_string_equal(req.view.peer, "192.0.2.1");
    arena_release(&req.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy_headers),
        cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_long_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
