/* test_address.c: addresses and networks, from text and to text. test_settings.c has what bind takes. */
#include "core_test.h"

#include "base/address.h"

/* ---- socket addresses ---- */

/* What address_name writes, address_parse reads. */
static void test_names(void **state)
{
    static const struct {
        const char *name, *text;
        int port;
    } rows[] = {
        {"192.0.2.1:80", "192.0.2.1", 80},           {"0.0.0.0:0", "0.0.0.0", 0},      {"[::1]:65535", "::1", 65535},
        {"[2001:db8::1]:8080", "2001:db8::1", 8080}, {"unix:/run/a:b", "/run/a:b", 0}, {"unix:@a b", "@a b", 0},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[ADDRESS_TEXT_SIZE], name[ADDRESS_NAME_SIZE];
        union address address;
        socklen_t size;
        uint16_t port;

        assert_null(address_parse(&address, &size, rows[i].name));
        address_name(&address.any, name, sizeof(name));
        assert_string_equal(name, rows[i].name);
        address_text(&address.any, text, sizeof(text), &port);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(port, rows[i].port);
    }
}

static void test_longest_path(void **state)
{
    char name[ADDRESS_NAME_SIZE] = "unix:/", text[ADDRESS_TEXT_SIZE], again[ADDRESS_NAME_SIZE];
    union address address;
    socklen_t size;
    uint16_t port;

    memset(name + 6, 'x', 106);
    assert_null(address_parse(&address, &size, name));
    address_name(&address.any, again, sizeof(again));
    assert_string_equal(again, name);
    address.un.sun_path[107] = 'x'; /* the kernel's may fill the field, without a NUL */
    address_text(&address.any, text, sizeof(text), &port);
    assert_int_equal(strlen(text), 108);
    address_name(&address.any, again, sizeof(again));
    assert_int_equal(strlen(again), 113);
}

static void test_mapped_ipv4_is_written_as_ipv4(void **state)
{
    char name[ADDRESS_NAME_SIZE];
    union address address = {{0}};

    assert_true(address_set(&address, AF_INET6, "::ffff:192.0.2.1", 80));
    address_name(&address.any, name, sizeof(name));
    assert_string_equal(name, "192.0.2.1:80");
}

/* ---- networks ---- */

static void test_networks(void **state)
{
    static const struct {
        const char *network, *in, *out;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1", "11.0.0.1"},
        {"10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"},
        {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
        {"192.0.2.128/25", "192.0.2.255", "192.0.2.127"},
        {"192.0.2.130/25", "192.0.2.129", "192.0.2.1"}, /* bits behind the network's do not count */
        {"0.0.0.0/0", "255.255.255.255", "::1"},
        {"::/0", "192.0.2.1", NULL},
        {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
        {"::1", "::1", "::2"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct network network, in, out;

        assert_null(network_parse(&network, rows[i].network));
        assert_null(network_parse(&in, rows[i].in));
        assert_true(network_has(&network, &in.ip));
        if (!rows[i].out)
            continue;
        assert_null(network_parse(&out, rows[i].out));
        assert_false(network_has(&network, &out.ip));
    }
}

static void test_bad_networks(void **state)
{
    static const char *const rows[] = {
        "",         "10",        "10.0.0.0/",   "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8",
        "::/129",   "10.0.0/8",  "010.0.0.0/8", "localhost",   "10.0.0.0/ 8", "[::1]",
        "10.0.0.*", "::1%lo/10", "1.2.3.4:80",  "/8",          "::/0000"};
    struct network network;

    for (size_t i = 0; i < COUNT(rows); i++)
        if (!network_parse(&network, rows[i]))
            fail_msg("%s", rows[i]);
}

static void test_peers(void **state)
{
    static const struct {
        const char *text, *address; /* NULL: none */
        int port;
    } rows[] = {{"192.0.2.1", "192.0.2.1", 0},
                {"192.0.2.1:80", "192.0.2.1", 80},
                {"2001:db8::1", "2001:db8::1", 0},
                {"[::1]", "::1", 0},
                {"[::1]:65535", "::1", 65535},
                {"[::ffff:192.0.2.1]", "192.0.2.1", 0},
                {"unknown", NULL, 0},
                {"_hidden", NULL, 0},
                {"", NULL, 0},
                {"192.0.2.1:", NULL, 0},
                {"192.0.2.1:65536", NULL, 0},
                {"192.0.2.1:x", NULL, 0},
                {"[::1", NULL, 0},
                {"[::1]x", NULL, 0},
                {"[192.0.2.1]", NULL, 0},
                {"192.0.2.1 ", NULL, 0},
                {"192.0.2", NULL, 0},
                {"[::1]:", NULL, 0},
                {"0x7f.0.0.1", NULL, 0},
                {"[]", NULL, 0},
                {":80", NULL, 0},
                {"::1:2:3:4:5:6:7:8:9", NULL, 0}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct in6_addr address;
        char text[INET6_ADDRSTRLEN];
        uint16_t port;
        bool good = address_parse_peer(&address, &port, rows[i].text, strlen(rows[i].text));

        if (good != (rows[i].address != NULL))
            fail_msg("%s", rows[i].text);
        if (!good)
            continue;
        address_ip_text(&address, text);
        assert_string_equal(text, rows[i].address);
        assert_int_equal(port, rows[i].port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_longest_path),
        cmocka_unit_test(test_mapped_ipv4_is_written_as_ipv4),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_bad_networks),
        cmocka_unit_test(test_peers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
