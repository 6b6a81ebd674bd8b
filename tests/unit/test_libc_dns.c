/*
 * Names: getaddrinfo, getnameinfo and gethostby* on a coroutine, against a DNS server in the test (dns_test.h).
 */
#include "dns_test.h"
#include "libc/names/resolver.h"
#include "wait/reason.h"

static const struct dns_record records[] = {
    {"a.test", ns_t_a, "192.0.2.1"},
    {"a.test", ns_t_a, "192.0.2.2"},
    {"both.test", ns_t_a, "192.0.2.3"},
    {"both.test", ns_t_aaaa, "2001:db8::3"},
    {"near.test", ns_t_a, "127.0.0.9"},
    {"near.test", ns_t_aaaa, "2001:db8::9"},
    {"six.test", ns_t_aaaa, "2001:db8::6"},
    {"alias.test", ns_t_cname, "middle.test"},
    {"middle.test", ns_t_cname, "a.test"},
    {"empty.test", ns_t_ptr, "unrelated.test"},
    {"nowhere.test", ns_t_cname, "gone.test"},
    {"www.corp.test", ns_t_a, "192.0.2.10"},
    {"api.v2.corp.test", ns_t_a, "192.0.2.11"},
    {"api.v2", ns_t_a, "192.0.2.12"},
    {"has.fails.corp.test", ns_t_a, "192.0.2.13"},
    {"has.refuses.corp.test", ns_t_a, "192.0.2.14"},
    {"second.more.test", ns_t_a, "192.0.2.15"},
    {"addressless.corp.test", ns_t_ptr, "unrelated.test"},
    {"addressless2.more.test", ns_t_ptr, "unrelated.test"},
    {"nick.corp.test", ns_t_cname, "a.test"},
    {"slow.test", ns_t_a, "192.0.2.20"},
    {"20.2.0.192.in-addr.arpa", ns_t_ptr, "slow.test"},
    {"tcp.test", ns_t_a, "192.0.2.30"},
    {"1.2.0.192.in-addr.arpa", ns_t_ptr, "a.test"},
    {"2.2.0.192.in-addr.arpa", ns_t_ptr, "second.test"},
    {"2.2.0.192.in-addr.arpa", ns_t_ptr, "third.test"},
    {"3.2.0.192.in-addr.arpa", ns_t_a, "192.0.2.1"},
    {"6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", ns_t_ptr, "six.test"},
    {NULL, 0, NULL},
};

static const struct dns_special specials[] = {
    {"fail.test", DNS_FAILS},
    {"refused.test", DNS_REFUSES},
    {"silent.test", DNS_SILENT},
    {"slow.test", DNS_SLOW},
    {"20.2.0.192.in-addr.arpa", DNS_SLOW},
    {"tcp.test", DNS_ONLY_TCP},
    {"9.2.0.192.in-addr.arpa", DNS_FAILS},
    {"has.fails", DNS_FAILS},
    {"has.refuses", DNS_REFUSES},
    {"second.corp.test", DNS_FAILS},
    {"fails.corp.test", DNS_FAILS},
    {"fails.more.test", DNS_FAILS},
    {"top-fails", DNS_FAILS},
    {"top-refuses", DNS_REFUSES},
    {"fails-later.more.test", DNS_FAILS},
    {NULL, DNS_ANSWERS},
};

static struct dns_server server = {.records = records, .specials = specials};
/* ---- getaddrinfo, as glibc does it ---- */

static void addresses(struct scene *s)
{
    struct report *r = &s->report;

    ask(r, "a.test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "a.test", NULL, AF_UNSPEC, 0, 0);
    ask(r, "A.Test.", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "a.test", "80", AF_INET6, SOCK_STREAM, 0);
    ask(r, "both.test", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "near.test", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "both.test", "80", AF_INET6, SOCK_DGRAM, 0);
    ask(r, "six.test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "six.test", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "alias.test", "80", AF_INET, SOCK_STREAM, AI_CANONNAME);
    ask(r, "a.test", "80", AF_INET, SOCK_STREAM, AI_CANONNAME | AI_PASSIVE);
    ask(r, "tcp.test", "80", AF_INET, SOCK_STREAM, 0);
    ask_hints(r, "a.test", "80", NULL);
}
COMPARE(addresses, 0)

static void services(struct scene *s)
{
    struct report *r = &s->report;

    ask(r, "a.test", "http", AF_INET, 0, 0);
    ask(r, "a.test", "tftp", AF_INET, 0, 0);
    ask(r, "a.test", "tftp", AF_INET, SOCK_STREAM, 0);
    ask(r, "a.test", "nonsense", AF_INET, SOCK_STREAM, 0);
    ask(r, "a.test", "http", AF_INET, SOCK_STREAM, AI_NUMERICSERV);
    ask(r, "a.test", "65536", AF_INET, SOCK_STREAM, 0);
    ask(r, "a.test", "", AF_INET, SOCK_STREAM, 0);
    ask(r, "a.test", "80", AF_INET, SOCK_RAW, 0);
    ask(r, "a.test", "80", AF_INET, 4711, 0);
    ask(r, "a.test", "80", AF_UNIX, SOCK_STREAM, 0);
    ask(r, "a.test", "80", AF_INET, SOCK_STREAM, 0x40000);
}
COMPARE(services, 0)

static void errors(struct scene *s)
{
    struct report *r = &s->report;

    ask(r, "gone.test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "gone.test", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "empty.test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "empty.test", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "nowhere.test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "fail.test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "fail.test", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "refused.test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "a..test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "in valid.test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "a12345678901234567890123456789012345678901234567890123456789012345.test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "refused.test", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "a..test", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "in valid.test", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, NULL, NULL, AF_INET, SOCK_STREAM, 0);
}
COMPARE(errors, 0)

static void silence(struct scene *s)
{
    ask(&s->report, "silent.test", "80", AF_INET, SOCK_STREAM, 0);
}
COMPARE(silence, 100)

static void search(struct scene *s)
{
    struct report *r = &s->report;

    ask(r, "www", "80", AF_INET, SOCK_STREAM, AI_CANONNAME);
    ask(r, "www.", "80", AF_INET, SOCK_STREAM, AI_CANONNAME);
    ask(r, "api.v2", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "api.v2.corp.test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "nothing", "80", AF_INET, SOCK_STREAM, 0);
}
COMPARE(search, 0)

static void flags(struct scene *s)
{
    struct report *r = &s->report;

    ask(r, "a.test", "80", AF_INET6, SOCK_STREAM, AI_V4MAPPED);
    ask(r, "both.test", "80", AF_INET6, SOCK_STREAM, AI_V4MAPPED);
    ask(r, "four-only.test", "80", AF_INET6, SOCK_STREAM, AI_V4MAPPED);
    ask(r, "gone.test", "80", AF_INET6, SOCK_STREAM, AI_V4MAPPED);
    ask(r, "both.test", "80", AF_UNSPEC, SOCK_STREAM, AI_ADDRCONFIG);
    ask(r, "both.test", "80", AF_INET, SOCK_STREAM, AI_ADDRCONFIG);
    ask(r, "both.test", "80", AF_INET6, SOCK_STREAM, AI_ADDRCONFIG);
    ask(r, "a.test", "80", AF_INET, SOCK_STREAM, AI_NUMERICHOST);
    ask(r,
        "b\xc3\xbc"
        "cher.test",
        "80", AF_INET, SOCK_STREAM, AI_IDN);
}
COMPARE(flags, 0)

static void without_dns(struct scene *s)
{
    struct report *r = &s->report;

    ask(r, "127.1", "80", AF_UNSPEC, SOCK_STREAM, AI_CANONNAME);
    ask(r, "::1", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "::1", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "fe80::1%lo", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, NULL, "80", AF_UNSPEC, SOCK_STREAM, AI_PASSIVE);
    ask(r, "localhost", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "host.test", "80", AF_UNSPEC, SOCK_STREAM, AI_CANONNAME);
    ask(r, "ALIAS2", "80", AF_INET, SOCK_STREAM, AI_CANONNAME);
    ask(r, "ip6-localhost", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "six-only.test", "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, "six-only.test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "comment", "80", AF_INET, SOCK_STREAM, 0);
}
COMPARE(without_dns, 0)

/* ---- gethostby* ---- */

static void hosts_by_name(struct scene *s)
{
    static const char *const names[] = {"a.test", "gone.test", "empty.test", "fail.test",  "refused.test", "both.test",
                                        "www",    "localhost", "host.test",  "192.0.2.77", "six.test"};
    struct report *r = &s->report;
    struct hostent host, *result;
    char buf[2048];
    int h_error = 0;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        by_name(r, names[i], AF_INET, sizeof(buf));
        by_name(r, names[i], AF_INET6, sizeof(buf));
    }
    by_name(r, "a.test", AF_INET, 20);
    by_name(r, "a.test", AF_UNIX, sizeof(buf));
    report(r, "%d\n", gethostbyname_r("alias.test", &host, buf, sizeof(buf), &result, &h_error));
    report_host(r, result, 0, h_error);
    result = gethostbyname("alias.test");
    report_host(r, result, 0, 0);
    result = gethostbyname2("both.test", AF_INET6);
    report_host(r, result, 0, 0);
    result = gethostbyname("gone.test");
    report_host(r, result, 0, h_errno);
    result = gethostbyname("empty.test");
    report_host(r, result, 0, h_errno);
}
COMPARE(hosts_by_name, 0)

/* ---- what a search comes to, when servers fail or know a name without an address ---- */

static void searches(struct scene *s)
{
    static const char *const names[] = {
        "has.fails",    "has.refuses",   "second",      "addressless", "addressless2", "nick",         "fails",
        "fails-later",  "top-fails",     "top-refuses", "fail.test",   "fail.test.",   "refused.test", "refused.test.",
        "nowhere.test", "nowhere.test.", "alias.test",  "alias.test.", "empty.test",   "empty.test.",  "gone.test",
        "gone.test.",   "-a.test",       "a-.test",     "_a.test",     "a/b.test",     "*.test",       "\351.test",
        "a..test",      ".test",         "..",          ".",           "1:2",
    };
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        for (int j = 0; j < 3; j++)
            ask(&s->report, names[i], "80", families[j], SOCK_STREAM, 0);
        by_name(&s->report, names[i], AF_INET, 2048);
        by_name(&s->report, names[i], AF_INET6, 2048);
    }
}
COMPARE(searches, 0)

static void hosts_by_address(struct scene *s)
{
    static const char *const texts[] = {"192.0.2.1", "192.0.2.2",   "192.0.2.3",   "192.0.2.4",    "192.0.2.9",
                                        "127.0.0.1", "192.0.2.100", "2001:db8::6", "2001:db8::99", "::1"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        by_address(&s->report, texts[i]);
    report(&s->report, "%d\n", gethostbyaddr("abc", 3, AF_INET) == NULL);
}
COMPARE(hosts_by_address, 0)

/* ---- getnameinfo ---- */

static void names(struct scene *s)
{
    static const char *const texts[] = {"192.0.2.1", "192.0.2.2",   "192.0.2.4",   "192.0.2.9",
                                        "127.0.0.1", "192.0.2.100", "2001:db8::6", "2001:db8::99"};
    static const int some_flags[] = {0, NI_NAMEREQD, NI_NUMERICHOST, NI_NUMERICSERV, NI_NOFQDN, NI_DGRAM};
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/tmp/x"};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
    struct report *r = &s->report;
    char host[64] = "";

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        for (size_t j = 0; j < ARRAY_SIZE(some_flags); j++)
            name(r, texts[i], 80, some_flags[j], 256);
    name(r, "192.0.2.1", 80, 0, 3);
    name(r, "192.0.2.1", 4711, 0, 256);
    CALL(r, getnameinfo((struct sockaddr *)&in, sizeof(in), host, sizeof(host), NULL, 0, 0));
    CALL(r, getnameinfo((struct sockaddr *)&in, sizeof(in), NULL, 0, NULL, 0, 0));
    CALL(r, getnameinfo((struct sockaddr *)&in, 3, host, sizeof(host), NULL, 0, 0));
    CALL(r, getnameinfo((struct sockaddr *)&local, sizeof(local), NULL, 0, host, sizeof(host), 0));
    report(r, "%s\n", host);
}
COMPARE(names, 0)

/* ---- files that change ---- */

static void changing(struct scene *s)
{
    struct report *r = &s->report;

    write_file("/etc/hosts", "192.0.2.55 fresh.test\n");
    ask(r, "fresh.test", "80", AF_INET, SOCK_STREAM, 0);
    write_file("/etc/hosts", files[2][1]);
    ask(r, "fresh.test", "80", AF_INET, SOCK_STREAM, 0);
    write_file("/etc/resolv.conf", "nameserver 127.0.0.1\nsearch other.test\noptions timeout:1 attempts:1\n");
    ask(r, "www", "80", AF_INET, SOCK_STREAM, 0);
    write_file("/etc/resolv.conf", files[0][1]);
    ask(r, "www", "80", AF_INET, SOCK_STREAM, 0);
    write_file("/etc/nsswitch.conf", "hosts: dns\n");
    ask(r, "fresh.test", "80", AF_INET, SOCK_STREAM, 0);
    ask(r, "a.test", "80", AF_INET, SOCK_STREAM, 0);
    name(r, "192.0.2.1", 80, 0, 256);
    by_name(r, "a.test", AF_INET, 2048);
    by_address(r, "192.0.2.1");
    write_file("/etc/nsswitch.conf", files[1][1]);
    ask(r, "host.test", "80", AF_INET, SOCK_STREAM, 0);
}
COMPARE(changing, 0)

/* ---- the reply as it is ---- */

static void report_reply(struct report *r, const char *what, const char *name, const unsigned char *reply, int size)
{
    report(r, "%s %s: %d, h_errno %d:", what, name, size, size < 0 ? h_errno : 0);
    for (int i = 2; i < size; i++) /* the first two bytes are an id */
        report(r, " %02x", reply[i]);
    report(r, "\n");
}

static void ask_for_reply(struct scene *s, const char *name, int type)
{
    struct __res_state state = {0};
    unsigned char reply[1024], query[512];
    int size;

    report_reply(&s->report, "query", name, reply, res_query(name, ns_c_in, type, reply, sizeof(reply)));
    report_reply(&s->report, "search", name, reply, res_search(name, ns_c_in, type, reply, sizeof(reply)));
    report_reply(&s->report, "domain", name, reply,
                 res_querydomain(name, "corp.test", ns_c_in, type, reply, sizeof(reply)));
    size = res_mkquery(ns_o_query, name, ns_c_in, type, NULL, 0, NULL, query, sizeof(query));
    report_reply(&s->report, "send", name, reply, res_send(query, size, reply, sizeof(reply)));
    report(&s->report, "%d\n", res_query(name, ns_c_in, type, reply, 14)); /* what does not fit is cut off */
    res_ninit(&state);
    report_reply(&s->report, "nquery", name, reply, res_nquery(&state, name, ns_c_in, type, reply, sizeof(reply)));
    report_reply(&s->report, "nsearch", name, reply, res_nsearch(&state, name, ns_c_in, type, reply, sizeof(reply)));
    res_nclose(&state);
}

static void replies(struct scene *s)
{
    ask_for_reply(s, "a.test", ns_t_a);
    ask_for_reply(s, "www", ns_t_a);
    ask_for_reply(s, "2.2.0.192.in-addr.arpa", ns_t_ptr);
    ask_for_reply(s, "nothing.test", ns_t_a);
    ask_for_reply(s, "empty.test", ns_t_a);
    ask_for_reply(s, "fail.test", ns_t_a);
    ask_for_reply(s, "tcp.test", ns_t_a);
}
COMPARE(replies, 0)

static void slow_reply(struct scene *s)
{
    unsigned char reply[512];

    report_reply(&s->report, "query", "slow.test", reply,
                 res_query("slow.test", ns_c_in, ns_t_a, reply, sizeof(reply)));
}
COMPARE(slow_reply, BEATS)

static void look_at_sources(void *arg)
{
    enum resolver thread = RESOLVER_SYSTEM, dns = RESOLVER_CARES;

    write_file("/etc/nsswitch.conf", "hosts: files myhostname dns\n");
    assert_int_equal(resolver_for_name("a.test", AF_INET), thread);
    write_file("/etc/nsswitch.conf", files[1][1]);
    assert_int_equal(resolver_for_name("a.test", AF_INET), dns);
}

static void test_sources(void **state)
{
    RUN(NULL, look_at_sources);
}

/* ---- what needs no namespaces ---- */

static const unsigned char slow_address[4] = {192, 0, 2, 20};
static struct hostent slow_host;
static char slow_buf[2048];

static bool slow_getaddrinfo(void)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;

    if (getaddrinfo("slow.test", "80", &hints, &list) != 0)
        return false;
    freeaddrinfo(list);
    return true;
}

static bool slow_getnameinfo(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    char name[64];

    memcpy(&in.sin_addr, slow_address, 4);
    return getnameinfo((struct sockaddr *)&in, sizeof(in), name, sizeof(name), NULL, 0, NI_NAMEREQD) == 0;
}

static bool slow_gethostbyname(void)
{
    return gethostbyname("slow.test") != NULL;
}

static bool slow_gethostbyname2(void)
{
    return gethostbyname2("slow.test", AF_INET) != NULL;
}

static bool slow_gethostbyname_r(void)
{
    struct hostent *result;
    int h_error;

    return gethostbyname_r("slow.test", &slow_host, slow_buf, sizeof(slow_buf), &result, &h_error) == 0 && result;
}

static bool slow_gethostbyname2_r(void)
{
    struct hostent *result;
    int h_error;

    return gethostbyname2_r("slow.test", AF_INET, &slow_host, slow_buf, sizeof(slow_buf), &result, &h_error) == 0 &&
           result;
}

static bool slow_gethostbyaddr(void)
{
    return gethostbyaddr(slow_address, 4, AF_INET) != NULL;
}

static bool slow_gethostbyaddr_r(void)
{
    struct hostent *result;
    int h_error;

    return gethostbyaddr_r(slow_address, 4, AF_INET, &slow_host, slow_buf, sizeof(slow_buf), &result, &h_error) == 0 &&
           result;
}

/* The server answers each of these slowly. */
static void ask_slowly(void *arg)
{
    static bool (*const calls[])(void) = {
        slow_getaddrinfo,     slow_getnameinfo,      slow_gethostbyname, slow_gethostbyname2,
        slow_gethostbyname_r, slow_gethostbyname2_r, slow_gethostbyaddr, slow_gethostbyaddr_r,
    };
    struct run *run = arg;

    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        int before = run->beats;

        assert_true(calls[i]());
        assert_true(run->beats >= before + BEATS);
    }
    run->over = true;
}

static void test_parks(void **state)
{
    struct run run = {0};

    RUN(&run, ask_slowly, tick);
}

static const struct coro *told_asker;

static void ask_told(void *arg)
{
    struct run *run = arg;

    told_asker = coro_self();
    assert_true(slow_getaddrinfo());
    told_asker = NULL;
    run->over = true;
}

/* While it waits, the other one says for what. */
static void look_for_what(void *arg)
{
    struct run *run = arg;
    char name[REASON_TEXT_SIZE] = "";
    enum wait_kind kind = FOR_OTHER;

    while (!run->over) {
        if (told_asker && told_asker->parked)
            kind = reason_of_park(told_asker, name, sizeof(name));
        wait_sleep(wait_deadline(1000000));
    }
    assert_int_equal(kind, FOR_DNS);
    assert_string_equal(name, "slow.test");
}

static void test_tells(void **state)
{
    struct run run = {0};

    RUN(&run, ask_told, look_for_what);
}

static void ask_several(void *arg)
{
    struct run *run = arg;

    ask(&run->scene.report, "alias.test", "80", AF_INET, SOCK_STREAM, AI_CANONNAME);
    ask(&run->scene.report, "gone.test.", "80", AF_INET, SOCK_STREAM, 0);
    ask(&run->scene.report, "tcp.test", "80", AF_INET, SOCK_STREAM, 0);
    name(&run->scene.report, "192.0.2.1", 80, NI_NUMERICSERV, 256);
    by_name(&run->scene.report, "both.test", AF_INET6, 2048);
}

/* Where this machine itself has one of the addresses, that one comes first (RFC 6724). */
static const char *const alias_answers[] = {
    "alias.test 80 2: 0 \n  2 1 6 2 16 a.test 192.0.2.1:80\n  2 1 6 2 16  192.0.2.2:80\n",
    "alias.test 80 2: 0 \n  2 1 6 2 16 a.test 192.0.2.2:80\n  2 1 6 2 16  192.0.2.1:80\n",
};

static void test_answers(void **state)
{
    struct run run = {0};
    char *text = run.scene.report.text;
    size_t size = strlen(alias_answers[0]);

    RUN(&run, ask_several);
    assert_true(!strncmp(text, alias_answers[0], size) || (!isolated && !strncmp(text, alias_answers[1], size)));
    assert_string_equal(text + size, "gone.test. 80 0: -2 Name or service not known\n"
                                     "tcp.test 80 0: 0 \n  2 1 6 0 16  192.0.2.30:80\n"
                                     "192.0.2.1 2: 0 a.test 80\n"
                                     "both.test 0 0\n  both.test 10 16 2001:db8::3\n");
}

static void ask_one(void *arg)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;

    assert_int_equal(getaddrinfo("both.test", "80", &hints, &list), 0);
    freeaddrinfo(list);
    ++*(int *)arg;
}

static void test_many(void **state)
{
    int answered = 0;

    for (int i = 0; i < 200; i++)
        assert_non_null(coro_start(ask_one, &answered));
    wait_run();
    assert_int_equal(answered, 200);
}

static struct coro *asker;

static void ask_cancelled(void *arg)
{
    struct addrinfo *list;

    asker = coro_self();
    errno = 0;
    assert_int_equal(getaddrinfo("silent.test", "80", &(struct addrinfo){.ai_family = AF_INET}, &list), EAI_SYSTEM);
    assert_int_equal(errno, ECANCELED);
}

static void cancel(void *arg)
{
    usleep(10000);
    wait_cancel(asker, -EINTR); /* a signal handler does not end it */
    usleep(10000);
    wait_cancel(asker, -ECANCELED);
}

static void test_cancelled(void **state)
{
    RUN(NULL, ask_cancelled, cancel);
}

static void ask_system(void *arg)
{
    struct run *run = arg;

    ask(&run->scene.report, "localhost", "80", AF_INET, SOCK_STREAM, 0);
    name(&run->scene.report, "127.0.0.1", 80, NI_NUMERICSERV | NI_NUMERICHOST, 256);
    by_name(&run->scene.report, "localhost", AF_INET, 2048);
}

static void test_system(void **state)
{
    static const char expected[] = "localhost 80 0: 0 \n  2 1 6 0 16  127.0.0.1:80\n";
    struct run run = {0};

    if (access("/etc/hosts", R_OK) < 0)
        skip(); /* a chroot */
    libc_init(RESOLVER_SYSTEM);
    RUN(&run, ask_system);
    libc_init(RESOLVER_CARES);
    assert_memory_equal(run.scene.report.text, expected, strlen(expected));
    assert_non_null(strstr(run.scene.report.text, "127.0.0.1 3: 0 127.0.0.1 80\n"));
}

static void look_in_hosts(void *arg)
{
    unsigned char address[4] = {192, 0, 2, 100}, other[4] = {192, 0, 2, 1};
    enum resolver dns = RESOLVER_CARES, libc = RESOLVER_LOCAL;

    assert_int_equal(resolver_for_name("host.test", AF_INET), libc);
    assert_int_equal(resolver_for_name("host.test", AF_INET6), dns);
    assert_int_equal(resolver_for_name("host.tes", AF_INET), dns);
    assert_int_equal(resolver_for_name("alias1", AF_UNSPEC), libc);
    assert_int_equal(resolver_for_name("ip6-localhost", AF_INET), libc);
    assert_int_equal(resolver_for_name("six-only.test", AF_INET), dns);
    assert_int_equal(resolver_for_name("comment", AF_UNSPEC), dns);
    assert_int_equal(resolver_for_name("192.0.2.100", AF_UNSPEC), libc);
    assert_int_equal(resolver_for_name("fe80::1%lo", AF_UNSPEC), libc);
    assert_int_equal(resolver_for_address(address, AF_INET), libc);
    assert_int_equal(resolver_for_address(other, AF_INET), dns);
}

static void test_hosts(void **state)
{
    char path[128];

    file_path(path, sizeof(path), "/etc/hosts");
    write_file("/etc/hosts", files[2][1]);
    resolver_use_hosts(path);
    RUN(NULL, look_in_hosts);
    resolver_use_hosts(NULL);
}

static int setup(void **state)
{
    return dns_test_setup(state, &server);
}

static int teardown(void **state)
{
    return dns_test_teardown(state, &server);
}

int main(void)
{
    static struct CMUnitTest tests[] = {
        /* compared with glibc */
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_without_dns),
        cmocka_unit_test(test_hosts_by_name),
        cmocka_unit_test(test_searches),
        cmocka_unit_test(test_hosts_by_address),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_changing),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_slow_reply),
        cmocka_unit_test(test_sources),
        /* anywhere */
        cmocka_unit_test(test_parks),
        cmocka_unit_test(test_tells),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_system),
        cmocka_unit_test(test_hosts),
    };

    if (!dns_test_isolate(tests, test_parks))
        return 1;
    return cmocka_run_group_tests(tests, setup, teardown);
}
