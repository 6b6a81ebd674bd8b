/*
 * Names from a hostile DNS server: what our functions make of its replies is what glibc's make of them.
 *
 * The replies are in a table; others are made at random, and changed byte by byte. A reply is a list of records,
 * OWNER TYPE DATA, with ; between them and | between sections. The owner @ is the name that was asked for, CH.A is a
 * record of another class, A3 one that is too short, and CUT leaves out so many bytes at the end of the reply.
 */
#include "dns_test.h"
#include "libc/dns/cares.h"

#define SCRIPT  "<script>alert\\(1\\)</script>.evil.test"
#define LABEL60 "a23456789.b23456789.c23456789.d23456789.e23456789.f23456789."
#define LONG    LABEL60 LABEL60 LABEL60 LABEL60 "abcde.test"

struct host {
    const char *a, *aaaa;
};

/* What is said about cN.test. */
static const struct host hosts[] = {
    {"@ A 192.0.2.1", "@ AAAA 2001:db8::1"},
    {"other.test A 192.0.2.66; @ A 192.0.2.1; more.other.test A 192.0.2.67", "other.test AAAA 2001:db8::66"},
    {"other.test A 192.0.2.66", ""},
    {"C3.TeSt A 192.0.2.1", "C3.tEST AAAA 2001:db8::1"},
    {"@ CNAME real.test; real.test A 192.0.2.1; @ A 192.0.2.66", "@ CNAME real.test; @ AAAA 2001:db8::66"},
    {"real.test A 192.0.2.66; @ CNAME real.test; real.test A 192.0.2.1", ""},
    {"@ CNAME x.test; x.test CNAME y.test; y.test A 192.0.2.1; x.test A 192.0.2.66", "@ CNAME y.test"},
    {"other.test CNAME real.test; real.test A 192.0.2.1", "x.test CNAME z.test; z.test AAAA 2001:db8::1"},
    {"@ CNAME " SCRIPT "; " SCRIPT " A 192.0.2.1", "@ CNAME " SCRIPT "; " SCRIPT " AAAA 2001:db8::1"},
    {"@ CNAME " SCRIPT "; " SCRIPT " CNAME fine.test; fine.test A 192.0.2.1", ""},
    {"@ CNAME fine.test; fine.test CNAME a\\032b.test; a\\032b.test A 192.0.2.1", "@ CNAME fine.test"},
    {"@ CNAME -dash.test; -dash.test A 192.0.2.1", "@ CNAME under_score.test; under_score.test AAAA 2001:db8::1"},
    {"@ CNAME a\\.b.test; a.b.test A 192.0.2.66", "@ CNAME a.b.test; a\\.b.test AAAA 2001:db8::66"},
    {"@ CNAME a\\010b.test; a\\010b.test A 192.0.2.1", "@ CNAME \\$\\(id\\).test; \\$\\(id\\).test AAAA 2001:db8::1"},
    {"@ CNAME .; . A 192.0.2.1", "@ CNAME a\\000b.test; a\\000b.test AAAA 2001:db8::1"},
    {"@ CNAME @; @ A 192.0.2.1", "@ CNAME b.test; b.test CNAME @; @ AAAA 2001:db8::1"},
    {"@ CNAME " LONG "; " LONG " A 192.0.2.1", ""},
    {"@ AAAA 2001:db8::66", "@ A 192.0.2.66"},
    {"@ A 192.0.2.1; @ AAAA 2001:db8::66", "@ A 192.0.2.66; @ AAAA 2001:db8::1"},
    {"@ CH.A 192.0.2.66", ""},
    {"@ CH.A 192.0.2.66; @ A 192.0.2.1", ""},
    {"@ CH.CNAME other.test; other.test A 192.0.2.66", ""},
    {"| @ A 192.0.2.66", "| | @ AAAA 2001:db8::66"},
    {"@ CNAME real.test | real.test A 192.0.2.66 | real.test A 192.0.2.67", ""},
    {"@ A 192.0.2.1 | other.test A 192.0.2.66 | other.test A 192.0.2.67", ""},
    {"@ A 192.0.2.1; @ CNAME late.test; late.test A 192.0.2.2", "@ AAAA 2001:db8::1; @ CNAME late2.test"},
    {"@ CNAME four.test; four.test A 192.0.2.1", "@ CNAME six.test; six.test AAAA 2001:db8::1"},
    {"@ CNAME four.test", "@ CNAME six.test; six.test AAAA 2001:db8::1"},
    {"", "@ CNAME six.test; six.test AAAA 2001:db8::1"},
    {"", "@ CNAME " SCRIPT},
    {"@ A 127.0.0.1; @ A 0.0.0.0; @ A 255.255.255.255", "@ AAAA ::ffff:127.0.0.1; @ AAAA ::"},
};

/* What is said about bN.test, with records that are no such: an address of three bytes, a text longer than the record.
 */
static const struct host malformed_hosts[] = {
    {"@ A3 192.0.2.66", "@ A3 192.0.2.66"},
    {"@ A3 192.0.2.66; @ A 192.0.2.1", ""},
    {"@ PTR other.test; @ TXT 192.0.2.66", "@ PTR other.test"},
    {"@ TXT 192.0.2.66; @ A 192.0.2.1; @ PTR other.test; @ A 192.0.2.2", ""},
};

/* The same, cut off. */
static const char *const cut_hosts[] = {
    "@ A 192.0.2.1; @ A 192.0.2.2; CUT 1",
    "@ A 192.0.2.1; @ A 192.0.2.2; CUT 5",
    "@ A 192.0.2.1; CUT 20",
    "@ CNAME real.test; real.test A 192.0.2.1; CUT 30",
    "@ CNAME real.test; CUT 3",
    "@ A 192.0.2.1 | other.test A 192.0.2.66; CUT 3",
    "@ A 192.0.2.1 | | other.test A 192.0.2.66; CUT 17",
};

/* What is said about the names of 192.0.2.N. */
static const char *const pointers[] = {
    "@ PTR fine.test",
    "@ PTR " SCRIPT,
    "@ PTR " SCRIPT "; @ PTR fine.test",
    "@ PTR fine.test; @ PTR " SCRIPT,
    "other.test PTR evil.test",
    "other.test PTR evil.test; @ PTR fine.test",
    "@ CNAME 7.0/25.2.0.192.in-addr.arpa; 7.0/25.2.0.192.in-addr.arpa PTR fine.test",
    "@ CNAME 7.sub.test; 7.sub.test PTR fine.test; @ PTR evil.test",
    "@ CNAME 7.sub.test; 7.sub.test PTR " SCRIPT,
    "@ CNAME 7.sub.test",
    "@ PTR -dash.test",
    "@ PTR a\\010b.test",
    "@ PTR a\\032b.test",
    "@ PTR a\\.b.test",
    "@ PTR a\\000.test",
    "@ PTR \\$\\(id\\).test",
    "@ PTR \\.\\./\\.\\./etc/passwd.test",
    "@ PTR \\195\\188.test",
    "@ PTR .",
    "@ PTR 127.0.0.1",
    "@ PTR under_score.test",
    "@ PTR " LONG,
    "@ CH.PTR evil.test; @ PTR fine.test",
    "@ A 192.0.2.66",
    "@ PTR fine.test | @ PTR evil.test | @ PTR evil.test",
    "@ CNAME 7.sub.test | 7.sub.test PTR evil.test",
};

/* ---- the server ---- */

static void put_name(struct dns_message *m, const char *name)
{
    unsigned char wire[NS_MAXCDNAME];
    size_t size = 0;

    if (!strcmp(name, "@"))
        name = m->name;
    assert_true(ns_name_pton(name, wire, sizeof(wire)) >= 0);
    while (wire[size])
        size += wire[size] + 1u;
    memcpy(m->bytes + m->size, wire, size + 1);
    m->size += size + 1;
}

static void put_data(struct dns_message *m, const char *type, const char *data)
{
    size_t size_at = m->size;

    dns_put16(m, 0);
    if (!strcmp(type, "CNAME") || !strcmp(type, "PTR")) {
        put_name(m, data);
    } else {
        assert_int_equal(inet_pton(!strcmp(type, "AAAA") ? AF_INET6 : AF_INET, data, m->bytes + m->size), 1);
        m->size += !strcmp(type, "AAAA") ? 16 : !strcmp(type, "A3") ? 3 : 4;
    }
    m->bytes[size_at + 1] = (uint8_t)(m->size - size_at - 2);
}

static int type_of(const char *type)
{
    static const struct {
        const char *name;
        int type;
    } types[] = {{"A", ns_t_a},         {"A3", ns_t_a},    {"AAAA", ns_t_aaaa},
                 {"CNAME", ns_t_cname}, {"PTR", ns_t_ptr}, {"TXT", ns_t_txt}};

    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (!strcmp(types[i].name, type))
            return types[i].type;
    fail_msg("type %s", type);
    return 0;
}

static void put_record(struct dns_message *m, int section, const char *owner, const char *type, const char *data)
{
    bool chaos = !strncmp(type, "CH.", 3);

    type += chaos ? 3 : 0;
    put_name(m, owner);
    dns_put16(m, (unsigned)type_of(type));
    dns_put16(m, chaos ? ns_c_chaos : ns_c_in);
    dns_put16(m, 0);
    dns_put16(m, 60); /* time to live */
    put_data(m, type, data);
    m->bytes[7 + 2 * section]++;
}

static void put_reply(struct dns_message *m, const char *text)
{
    char owner[256], type[16], data[256];
    int section = 0, size;

    for (; *text; text += strspn(text, " ;")) {
        size = 0;
        if (*text == '|') {
            section++;
            text++;
        } else if (sscanf(text, "CUT %d%n", &size, &size) == 1) {
            m->size -= (size_t)atoi(text + 4);
            text += size;
        } else {
            assert_int_equal(sscanf(text, "%255s %15s %255[^; ]%n", owner, type, data, &size), 3);
            put_record(m, section, owner, type, data);
            text += size;
        }
    }
}

/* ---- replies made at random ---- */

static uint32_t seed;

static unsigned any_of(unsigned count)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 16) % count;
}

/* Append up to six records; they depend on the question only. */
static void put_any_records(struct dns_message *m)
{
    static const char *const names[] = {"@",    "@",        "real.test",  "other.test",
                                        SCRIPT, "x/y.test", "a\\.b.test", "-d.test"};
    static const char *const types[] = {"A", "AAAA", "CNAME", "CNAME", "PTR", "CH.A", "A3", "TXT"};
    unsigned count = 1 + any_of(6);

    for (unsigned i = 0; i < count; i++) {
        const char *owner = names[any_of(ARRAY_SIZE(names))];
        const char *type = any_of(3) ? NULL : types[any_of(ARRAY_SIZE(types))];
        bool is_name;
        char address[32];

        if (!type)
            type = m->type == ns_t_a ? "A" : m->type == ns_t_aaaa ? "AAAA" : "PTR";
        is_name = !strcmp(type, "CNAME") || !strcmp(type, "PTR");
        snprintf(address, sizeof(address), !strcmp(type, "AAAA") ? "2001:db8::%x" : "192.0.2.%d", 1 + any_of(200));
        put_record(m, 0, owner, type, is_name ? names[any_of(ARRAY_SIZE(names))] : address);
    }
}

/* Change a few bytes after the question. */
static void change_bytes(struct dns_message *m)
{
    for (unsigned i = 1 + any_of(3); i > 0; i--)
        m->bytes[m->question_end + any_of((unsigned)(m->size - m->question_end))] = (uint8_t)any_of(256);
    if (any_of(4) == 0)
        m->size -= any_of((unsigned)(m->size - m->question_end));
    if (any_of(4) == 0)
        m->bytes[7] = (uint8_t)(1 + any_of(8));
}

static const char *host_text(const struct host *host, const struct dns_message *m)
{
    return m->type == ns_t_a ? host->a : host->aaaa;
}

/* The questions: cN.test, bN.test and cutN.test are of the tables, rN.test and mN.test at random, the latter changed.
 */
static void reply_hostile(struct dns_message *m)
{
    unsigned a, b, c, d;

    if (sscanf(m->name, "cut%u.", &a) == 1) {
        put_reply(m, cut_hosts[a % ARRAY_SIZE(cut_hosts)]);
    } else if (sscanf(m->name, "c%u.", &a) == 1) {
        put_reply(m, host_text(&hosts[a % ARRAY_SIZE(hosts)], m));
    } else if (sscanf(m->name, "b%u.", &a) == 1) {
        put_reply(m, host_text(&malformed_hosts[a % ARRAY_SIZE(malformed_hosts)], m));
    } else if (sscanf(m->name, "%u.%u.%u.%u.", &a, &b, &c, &d) == 4 && d == 192) {
        put_reply(m, pointers[a % ARRAY_SIZE(pointers)]);
    } else if (sscanf(m->name, "%*[rm]%u.", &a) == 1 || sscanf(m->name, "%u.%u.", &a, &b) == 2) {
        seed = a * 7919 + (unsigned)m->type * 104729 + (uint8_t)m->name[0];
        put_any_records(m);
        if (m->name[0] == 'm')
            change_bytes(m);
    }
}

static struct dns_server server = {.reply = reply_hostile};

/* ---- all ways to ask ---- */

static void ask_all(struct report *r, const char *format, unsigned number)
{
    char name[64];

    snprintf(name, sizeof(name), format, number);
    ask(r, name, "80", AF_UNSPEC, SOCK_STREAM, AI_CANONNAME);
    ask(r, name, "80", AF_UNSPEC, SOCK_STREAM, 0);
    ask(r, name, "80", AF_INET, SOCK_STREAM, 0);
    ask(r, name, "80", AF_INET, SOCK_STREAM, AI_CANONNAME);
    ask(r, name, "80", AF_INET6, SOCK_STREAM, AI_CANONNAME);
    by_name(r, name, AF_INET, 2048);
    by_name(r, name, AF_INET6, 2048);
}

static void tables(struct scene *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(hosts); i++)
        ask_all(&s->report, "c%u.test", i);
}
COMPARE(tables, 0)

/* Names in blocks, so that a report is not too long. */
#define BLOCK  20
#define BLOCKS 4

static unsigned block;

static void at_random(struct scene *s)
{
    for (unsigned i = 0; i < BLOCK; i++)
        ask_all(&s->report, "r%u.test", block * BLOCK + i);
}

static void changed(struct scene *s)
{
    for (unsigned i = 0; i < BLOCK; i++)
        ask_all(&s->report, "m%u.test", block * BLOCK + i);
}

static void cut_off(struct scene *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(cut_hosts); i++)
        ask_all(&s->report, "cut%u.test", i);
}

static void malformed(struct scene *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(malformed_hosts); i++)
        ask_all(&s->report, "b%u.test", i);
}

/* The result of one call in a report: a line, and those after it that begin with a blank, which are answers. */
static size_t result_size(const char *text)
{
    const char *end = text;

    do
        end += strcspn(end, "\n") + (strchr(end, '\n') != NULL);
    while (*end == ' ');
    return (size_t)(end - text);
}

/* Whether each word of our answers, addresses and names, is in glibc's result too. */
static bool is_part_of(const char *ours, size_t size, const char *glibc, size_t theirs)
{
    char *copy = strndup(ours, size), *result = strndup(glibc, theirs), *rest = copy, *word;
    bool all = true;

    strsep(&rest, "\n"); /* what is asked, and the code */
    while ((word = strsep(&rest, " \n")))
        all &= strstr(result, word) != NULL;
    free(copy);
    free(result);
    return all;
}

/* Each of our results is glibc's, a part of that, or no answer. */
static void expect_same_or_less(const char *glibc, const char *ours)
{
    while (*glibc && *ours) {
        size_t theirs = result_size(glibc), size = result_size(ours);

        if (!is_part_of(ours, size, glibc, theirs))
            fail_msg("glibc:\n%.*sours:\n%.*s", (int)theirs, glibc, (int)size, ours);
        glibc += theirs;
        ours += size;
    }
    assert_true(!*glibc && !*ours);
}

/* As compare; but from 1.28 on c-ares refuses malformed messages, from which glibc takes what it understands. */
static void compare_malformed(void (*fn)(struct scene *))
{
    struct run plain = {.fn = fn}, run = {.fn = fn};

    if (ARES_VERSION < 0x011c00) {
        compare(fn, 0);
        return;
    }
    run_both(&plain, &run);
    expect_same_or_less(plain.scene.report.text, run.scene.report.text);
}

static void test_malformed(void **state)
{
    compare_malformed(malformed);
}

static void test_cut_off(void **state)
{
    compare_malformed(cut_off);
}

static void test_at_random(void **state)
{
    for (block = 0; block < BLOCKS; block++)
        compare_malformed(at_random);
}

static void test_changed(void **state)
{
    for (block = 0; block < BLOCKS; block++)
        compare_malformed(changed);
}

static void all_pointers(struct scene *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(pointers); i++) {
        char text[32];

        snprintf(text, sizeof(text), "192.0.2.%u", i);
        by_address(&s->report, text);
        name(&s->report, text, 80, 0, 256);
        name(&s->report, text, 80, NI_NAMEREQD, 256);
    }
}

/* glibc checks these names since 2.44 and in security updates of older versions (CVE-2026-4438). */
static void test_pointers(void **state)
{
    static const unsigned char address[4] = {192, 0, 2, 1};

    if (gethostbyaddr(address, 4, AF_INET))
        skip();
    compare(all_pointers, 0);
}

/* ---- without glibc ---- */

static void expect_no_name(unsigned number)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000200 + number)};
    char host[256];

    assert_null(gethostbyaddr(&in.sin_addr, 4, AF_INET));
    assert_int_equal(h_errno, NO_RECOVERY);
    assert_int_equal(getnameinfo((struct sockaddr *)&in, sizeof(in), host, sizeof(host), NULL, 0, NI_NAMEREQD),
                     EAI_NONAME);
}

static void look_at_names(void *arg)
{
    static const unsigned bad[] = {1, 2, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 23, 25};
    static const unsigned char good[4] = {192, 0, 2, 6};
    struct run *run = arg;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        expect_no_name(bad[i]);
    assert_string_equal(gethostbyaddr(good, 4, AF_INET)->h_name, "fine.test");
    ask(&run->scene.report, "c2.test", "80", AF_UNSPEC, SOCK_STREAM, 0); /* addresses of others */
    ask(&run->scene.report, "c8.test", "80", AF_INET, SOCK_STREAM, AI_CANONNAME);
    by_name(&run->scene.report, "c9.test", AF_INET, 2048);
    assert_string_equal(run->scene.report.text, "c2.test 80 0: -2 Name or service not known\n"
                                                "c8.test 80 2: 0 \n  2 1 6 2 16 c8.test 192.0.2.1:80\n"
                                                "c9.test 0 0\n  fine.test 2 4 c9.test 192.0.2.1\n");
}

static void test_names(void **state)
{
    struct run run = {0};

    RUN(&run, look_at_names);
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
        cmocka_unit_test(test_tables),    cmocka_unit_test(test_malformed), cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_at_random), cmocka_unit_test(test_changed),   cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_names),
    };

    if (!dns_test_isolate(tests, test_names))
        return 1;
    return cmocka_run_group_tests(tests, setup, teardown);
}
