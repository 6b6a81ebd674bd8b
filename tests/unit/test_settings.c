/*
 * test_settings.c: the keys of [server] and [log], their ranges, and listen addresses.
 */
#include "conf_test.h"
#include "libc/libc.h"
#include "log/log.h"
#include "settings/access_rule.h"
#include "settings/cpus.h"

static void test_settings_defaults(void **state)
{
    struct conf *c = parse_ini("");
    struct settings s;

    settings_fill(&s, c);
    assert_string_equal(errors_of(c), "");
    assert_int_equal(s.bind_count, 1);
    assert_string_equal(s.binds[0].text, "127.0.0.1:8080");
    assert_int_equal(s.workers, 1);
    assert_int_equal(s.backlog, 2048);
    assert_int_equal(s.stack_size, 8 << 20);
    assert_int_equal(s.http.max_concurrency, 10000);
    assert_int_equal(s.http.header_timeout, 60000);
    assert_int_equal(s.http.keepalive_timeout, 75000);
    assert_int_equal(s.http.proxies.count, 0);
    assert_false(s.http.proxies.local);
    assert_int_equal(s.http.proxies.fields, FORWARDED_DEFAULT);
    assert_false(s.binds[0].proxied);
    assert_int_equal(s.threads, cpus_threads());
    assert_int_equal(s.resolver, RESOLVER_CARES);
    assert_int_equal(s.python_threads, PYTHON_THREADS_REAL);
    assert_int_equal(s.shutdown_timeout, 30000);
    assert_int_equal(s.log.level, LOG_LEVEL_INFO);
    assert_int_equal(s.limits.request_timeout, 60000);
    assert_int_equal(s.limits.timeout_counts, COUNTS_TO_RESPONSE);
    assert_int_equal(s.limits.min_rate, 500);
    assert_int_equal(s.limits.min_rate_after, 10000);
    assert_non_null(strstr(s.module_path[0], "/modules"));
    assert_null(s.module_path[1]);
    conf_free(c);
}

static void test_settings(void **state)
{
    struct conf *c = parse_ini(
        "[server]\nbind = :80 \tproxy-protocol  protocol=http \nbind = unix:/run/a\nworkers = auto\nbacklog = "
        "9\nstack-size = 1m\n"
        "max_concurrency = 5\nthreads = 2\nresolver = system\npython-threads = coroutines\nmodule-path = /m\n"
        "shutdown-timeout = 500ms\ntrusted-proxies = ::/0\n"
        "trusted-proxies = unix\ntrusted-headers = X-Request-ID\n[log]\nlevel = debug\n[limits]\nmax-body-size = 1g\n");
    struct settings s;

    settings_fill(&s, c);
    assert_string_equal(errors_of(c), "");
    assert_int_equal(s.bind_count, 2);
    assert_int_equal(s.workers, cpus_count());
    assert_int_equal(s.backlog, 9);
    assert_int_equal(s.stack_size, 1 << 20);
    assert_int_equal(s.http.max_concurrency, 5);
    assert_int_equal(s.http.proxies.count, 1);
    assert_true(s.http.proxies.local);
    assert_int_equal(s.http.proxies.fields, FORWARDED_ID);
    assert_true(s.binds[0].proxied);
    assert_string_equal(s.binds[0].text, ":80");
    assert_false(s.binds[1].proxied);
    assert_int_equal(s.threads, 2);
    assert_int_equal(s.resolver, RESOLVER_SYSTEM);
    assert_int_equal(s.python_threads, PYTHON_THREADS_COROUTINES);
    assert_string_equal(s.module_path[0], "/m");
    assert_non_null(strstr(s.module_path[1], "/modules"));
    assert_null(s.module_path[2]);
    assert_int_equal(s.shutdown_timeout, 500);
    assert_int_equal(s.log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(s.limits.max_body_size, 1 << 30);
    conf_free(c);
}

static void test_settings_errors(void **state)
{
    static const struct {
        const char *text, *errors;
    } rows[] = {
        {"[server]\n\nwrokers = 4\n", "t.ini:3: unknown key \"wrokers\" in [server]; did you mean \"workers\"?\n"},
        {"[log]\nlevle = info\n[limits]\nbody-size = 1\n",
         "t.ini:2: unknown key \"levle\" in [log]; did you mean \"level\"?\n"
         "t.ini:4: unknown key \"body-size\" in [limits]\n"},
        {"[server]\nworkers = many\n", "t.ini:2: \"workers = many\": expected 1 to 1024, or auto\n"},
        {"[server]\nworkers = 0\nbacklog = -5\nstack-size = 1k\nmax-concurrency = 0\nthreads = 2000\n",
         "t.ini:3: \"backlog = -5\": expected 1 to 65535\n"
         "t.ini:4: \"stack-size = 1k\": expected 64k to 1g\n"
         "t.ini:5: \"max-concurrency = 0\": expected 1 to 1000000\n"
         "t.ini:2: \"workers = 0\": expected 1 to 1024, or auto\n"
         "t.ini:6: \"threads = 2000\": expected 1 to 1024, or auto\n"},
        {"[limits]\nmax-connections = 0\nmax-request-line = 2m\nmax-header-size = 1\n[server]\nmax-headers = 0\n",
         "t.ini:6: \"max-headers = 0\": expected 1 to 100000\n"
         "t.ini:2: \"max-connections = 0\": expected 1 to 10000000\n"
         "t.ini:3: \"max-request-line = 2m\": expected 64 to 1m\n"
         "t.ini:4: \"max-header-size = 1\": expected 256 to 1m\n"},
        {"[server]\nmax-requests = -1\nmax-requests-jitter = -1\n",
         "t.ini:2: \"max-requests = -1\": expected 0 or more\n"
         "t.ini:3: \"max-requests-jitter = -1\": expected 0 or more\n"},
        {"[server]\nbind = :1 proxy-protocol\nbind = :2 protocol=fastcgi\nbind = :3  what\nbind = :1 protocol=http\n",
         "t.ini:3: \"bind = :2 protocol=fastcgi\": only protocol=http is supported\n"
         "t.ini:4: \"bind = :3  what\": expected proxy-protocol or protocol=http after the address\n"
         "t.ini:5: \"bind = :1 protocol=http\": this address is given twice\n"},
        {"[server]\ntrusted-proxies = unix\ntrusted-proxies = 10.0.0.0/33\ntrusted-headers = Forwarded\n"
         "trusted-headers = via\n",
         "t.ini:3: \"trusted-proxies = 10.0.0.0/33\": expected a number of bits after the slash, at most 32 for IPv4 "
         "and "
         "128 for IPv6, or unix\n"
         "t.ini:5: \"trusted-headers = via\": expected forwarded, x-forwarded-for, x-forwarded-proto, "
         "x-forwarded-host, "
         "x-forwarded-prefix or x-request-id\n"},
        {"[log]\nlevel = verbose\n", "t.ini:2: \"level = verbose\": expected error, warn, info or debug\n"},
        {"[server]\nresolver = dns\n", "t.ini:2: \"resolver = dns\": expected c-ares or system\n"},
        {"[server]\nbind =\n", "t.ini:2: \"bind =\": expected an address such as 127.0.0.1:8080\n"},
        {"[server]\nbind = :80\nbind =\nbind = *:80\nbind = :0\nbind = :0\nbind = x:1\n",
         "t.ini:4: \"bind = *:80\": this address is given twice\n"
         "t.ini:7: \"bind = x:1\": expected a numeric address, localhost or * before the port (IPv6 in brackets); "
         "names are not resolved\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct conf *c = parse_ini(rows[i].text);

        settings_fill(&(struct settings){0}, c);
        assert_string_equal(errors_of(c), rows[i].errors);
        conf_free(c);
    }
}

static void test_addresses(void **state)
{
    static const struct {
        const char *text;
        int family;
        const char *host; /* in hexadecimal, or the path */
        int port;
    } rows[] = {
        {"127.0.0.1:8080", AF_INET, "7f000001", 8080},
        {"localhost:1", AF_INET, "7f000001", 1},
        {"*:65535", AF_INET, "00000000", 65535},
        {":0", AF_INET, "00000000", 0},
        {"[::]:80", AF_INET6, "00000000000000000000000000000000", 80},
        {"[2001:db8::1]:80", AF_INET6, "20010db8000000000000000000000001", 80},
        {"unix:/run/app.sock", AF_UNIX, "/run/app.sock", 0},
        {"unix:/a:b", AF_UNIX, "/a:b", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bind_address a;
        char host[40] = "";

        assert_null(bind_address_parse(&a, rows[i].text));
        assert_int_equal(a.sa.any.sa_family, rows[i].family);
        assert_string_equal(a.text, rows[i].text);
        if (rows[i].family == AF_UNIX) {
            assert_int_equal(a.size, sizeof(a.sa.un));
            assert_string_equal(a.sa.un.sun_path, rows[i].host);
            continue;
        }
        assert_int_equal(a.size, rows[i].family == AF_INET ? sizeof(a.sa.in) : sizeof(a.sa.in6));
        assert_int_equal(ntohs(a.sa.in.sin_port), rows[i].port);
        for (size_t j = 0; j < strlen(rows[i].host) / 2; j++)
            sprintf(host + 2 * j, "%02x",
                    rows[i].family == AF_INET ? ((unsigned char *)&a.sa.in.sin_addr)[j]
                                              : a.sa.in6.sin6_addr.s6_addr[j]);
        assert_string_equal(host, rows[i].host);
    }
}

static void test_bad_addresses(void **state)
{
    static const char *const rows[] = {
        "",
        "8080",
        "127.0.0.1",
        "127.0.0.1:",
        ":65536",
        ":-1",
        ":+1",
        ":8o",
        ":000080",
        "a.b:80",
        "::1:80",
        "[::1:80",
        "[::1]",
        "[]:80",
        "1:80",
        "[fe80::x]:1",
        "unix:a.sock",
        "unix:",
        "unix:@",
        "[1]:80",
        "256.0.0.1:80",
        "2130706433.127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1:80",
    };
    struct bind_address a;
    char path[200] = "unix:/";

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_non_null(bind_address_parse(&a, rows[i]));
    memset(path + 6, 'x', 106);
    assert_null(bind_address_parse(&a, path));
    path[6 + 106] = 'x';
    assert_non_null(bind_address_parse(&a, path));
}

/* ---- the tables ---- */

/* The default, if there is one, is a value that the user could write, in its range. */
static void check_default(const struct sl_option *o)
{
    struct sl_option row[] = {*o, {.name = NULL}};
    struct conf *c = parse_ini("[server]\n");
    struct conf_section *s = conf_section_find(c, "server");
    union {
        int64_t number;
        const char *text;
    } field;

    row[0].offset = 0;
    conf_fill_options(c, &s, 1, row, &field);
    assert_string_equal(errors_of(c), "");
    conf_free(c);
}

static bool is_name_in(const struct sl_option *table, const char *name)
{
    for (const struct sl_option *o = table; o->name; o++)
        if (!strcmp(o->name, name))
            return true;
    return false;
}

static void test_tables(void **state)
{
    const struct sl_option *const tables[] = {server_options,      proxies_options, process_options,     log_options,
                                              access_rule_options, http_options,    mount_limits_options};

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        for (const struct sl_option *o = tables[i]; o->name; o++) {
            bool is_number = o->kind == SL_INTEGER || o->kind == SL_SIZE || o->kind == SL_DURATION;

            assert_non_null(o->help);
            assert_null(strchr(o->name, '_'));
            assert_true(o->min <= o->max && (is_number || o->max == 0));
            assert_true(o->kind == SL_CHOICE ? o->choices && o->choices[0] : !o->choices);
            check_default(o);
            for (size_t j = 0; j < ARRAY_SIZE(tables); j++)
                assert_false(o->old_name && is_name_in(tables[j], o->old_name));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_defaults), cmocka_unit_test(test_settings),
        cmocka_unit_test(test_settings_errors),   cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_bad_addresses),     cmocka_unit_test(test_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
