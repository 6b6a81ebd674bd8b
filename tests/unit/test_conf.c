/*
 * test_conf.c: ini files to raw sections and entries: the format and its errors, long lines, ${ENV}, includes.
 *
 * Most cases are rows: a text in, and out either the entries as one string or the errors as the user sees them, whole,
 * with file and line.
 */
#include "conf_test.h"

/* ---- the format ---- */

static void test_format(void **state)
{
    static const struct {
        const char *text, *entries;
    } rows[] = {
        {"[server]\nbind = :80\n", "[server] bind=:80;"},
        {"[server]\r\nbind = :80\r\nworkers=2\r\n", "[server] bind=:80; workers=2;"},
        {"[server]\nbind = :80", "[server] bind=:80;"},
        {"[server]\nbind = :80\r", "[server] bind=:80;"},
        {"\xef\xbb\xbf[server]\nbind = :80\n", "[server] bind=:80;"},
        {"\xef\xbb\xbf; comment\n[server]\n", "[server]"},
        {"[hello /]", "[hello /]"},
        {"[hello /]\n[hello /a]\n[hello]\n", "[hello /][hello /a][hello]"},
        {"  [ hello   /a ]  ; comment\n\tname = x\n  \t list=no\n", "[hello /a] name=x; list=no;"},
        {"; c\n# c\n  ; c\n\t# c\n[a]\n;k = v\n#k = v\nk = v\n", "[a] k=v;"},
        {"[a]\nk = v ; comment\nl = v;w # x\nm = ;\nn =;x\no = a\t;b\n", "[a] k=v; l=v;w # x; m=; n=;x; o=a;"},
        {"[a]\nk = a = b\nl==\nm = [x]\n", "[a] k=a = b; l==; m=[x];"},
        {"[a]\nk : v\n", "[a] k=v;"},
        {"[a]\nmax_body_size = 1\nmax-body_size = 2\n", "[a] max-body-size=1; max-body-size=2;"},
        {"[a]\nk =\nk=  \n", "[a] k=; k=;"},
        {"[a]\nk = caf\xc3\xa9 \xe2\x82\xac\n", "[a] k=caf\xc3\xa9 \xe2\x82\xac;"},
        {"[a]\nk = \"quoted\" 'too'\n", "[a] k=\"quoted\" 'too';"},
        {"[a]\nk = 1\n[b]\nk = 2\n[a]\nl = 3\n", "[a] k=1; l=3;[b] k=2;"},
        {"\n\n \t \n", ""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct conf *c = parse_ini(rows[i].text);

        assert_string_equal(errors_of(c), "");
        assert_string_equal(entries_of(c), rows[i].entries);
        conf_free(c);
    }
}

static void test_format_errors(void **state)
{
    static const struct {
        const char *text, *errors;
    } rows[] = {
        {"bind = :80\n", "t.ini:1: \"bind\" comes before the first section; write [server] above it\n"},
        {"[server]\n\nbind\n", "t.ini:3: expected KEY = VALUE or [SECTION]\n"},
        {"[server]\nbind\nport\n[log]\nx",
         "t.ini:2: expected KEY = VALUE or [SECTION]\nt.ini:3: expected KEY = VALUE or [SECTION]\n"
         "t.ini:5: expected KEY = VALUE or [SECTION]\n"},
        {"[server]\nbind 127.0.0.1:80\n", "t.ini:2: expected KEY = VALUE, found \"bind 127.0.0.1\" as the key\n"},
        {"[server]\n = x\n", "t.ini:2: expected KEY = VALUE, found \"\" as the key\n"},
        {"[server\nbind = x\n", "t.ini:1: expected [SECTION] and nothing after it, found [server\n"},
        {"[server] x\n", "t.ini:1: expected [SECTION] and nothing after it, found [server] x\n"},
        {"[]\nk = v\n", "t.ini:1: bad section []: expected [server], [log], [limits], [limits /prefix], "
                        "[outbound PEER], [tracing], [MODULE] or [MODULE /prefix]\n"},
        {"[ ; ]\n", "t.ini:1: expected [SECTION] and nothing after it, found [\n"},
        {"[a.b /]\n", "t.ini:1: bad section [a.b /]: expected [server], [log], [limits], [limits /prefix], "
                      "[outbound PEER], [tracing], [MODULE] or [MODULE /prefix]\n"},
        {"[a]\nk = a\rb\nl = \x1b[0m\nm = 1\n", "t.ini:2: the line has a control character in it; remove it\nt.ini:3: "
                                                "the line has a control character in it; remove it\n"},
        {"[server /x]\n", "t.ini:1: [server] takes no prefix, but has \"/x\"\n"},
        {"[wsgi shop]\n",
         "t.ini:1: bad prefix \"shop\" in [wsgi shop]: write /prefix or host/prefix, without blanks\n"},
        {"[wsgi /a b]\n",
         "t.ini:1: bad prefix \"/a b\" in [wsgi /a b]: write /prefix or host/prefix, without blanks\n"},
        {"[wsgi a:80/]\n", "t.ini:1: bad host \"a:80\" in [wsgi a:80/]: expected a name or address, without a port\n"},
        {"[wsgi /a]\n\n[wsgi /a/]\nk=v\n", "t.ini:3: [wsgi /a] is given twice; first at t.ini:1\n"},
        {"[wsgi X.org/]\n[wsgi x.org]\n[wsgi x.ORG//]\n",
         "t.ini:2: bad prefix \"x.org\" in [wsgi x.org]: write /prefix or host/prefix, without blanks\n"
         "t.ini:3: [wsgi x.org/] is given twice; first at t.ini:1\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct conf *c = parse_ini(rows[i].text);

        assert_string_equal(errors_of(c), rows[i].errors);
        conf_free(c);
    }
}

static void test_titles(void **state)
{
    static const struct {
        const char *title, *normal, *name, *host, *prefix;
    } rows[] = {
        {"wsgi", "wsgi", "wsgi", "", NULL},
        {"wsgi /", "wsgi /", "wsgi", "", ""},
        {"wsgi //", "wsgi /", "wsgi", "", ""},
        {"wsgi /shop/", "wsgi /shop", "wsgi", "", "/shop"},
        {"wsgi \t /shop/de", "wsgi /shop/de", "wsgi", "", "/shop/de"},
        {"wsgi Example.COM/Shop", "wsgi example.com/Shop", "wsgi", "example.com", "/Shop"},
        {"wsgi example.com/", "wsgi example.com/", "wsgi", "example.com", ""},
        {"wsgi [::1]/a]b", "wsgi [::1]/a]b", "wsgi", "[::1]", "/a]b"},
        {"my_module-2 /", "my_module-2 /", "my_module-2", "", ""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct conf *c = conf_new(settings_sections);
        struct conf_section *s = conf_section_get(c, rows[i].title, (struct conf_place){0}, "/");

        assert_string_equal(errors_of(c), "");
        assert_string_equal(s->title, rows[i].normal);
        assert_string_equal(s->name, rows[i].name);
        assert_string_equal(s->host, rows[i].host);
        if (rows[i].prefix)
            assert_string_equal(s->prefix, rows[i].prefix);
        else
            assert_null(s->prefix);
        assert_ptr_equal(conf_section_find(c, rows[i].normal), s);
        conf_free(c);
    }
}

/* ---- what inih alone would cut ---- */

static char *repeat(char *out, const char *what, size_t count)
{
    while (count--)
        out = stpcpy(out, what);
    return out;
}

/* Every size near the length of inih's line, and 10,000 bytes, of texts that are hard to cut in pieces. */
static void test_long_values(void **state)
{
    static const char *const patterns[] = {"x", "word ", "a; ", "#b", "c;;", "1 ", "d\t\t\t", "\xc3\xa9", "x\t\t y"};
    char text[12000], *value;

    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
        for (size_t size = 150; size <= 10000; size = size == 450 ? 10000 : size + 1) {
            struct conf *c;

            value = stpcpy(text, "[a]\n  key =   ");
            repeat(value, patterns[i], size / strlen(patterns[i]) + 1);
            strcpy(value + size - 1, "z\nnext = 1\n");
            c = parse_ini(text);
            assert_string_equal(errors_of(c), "");
            assert_int_equal(strncmp(conf_entry_first(c->sections, "key")->value, value, size), 0);
            assert_int_equal(strlen(conf_entry_first(c->sections, "key")->value), size);
            assert_string_equal(conf_entry_first(c->sections, "next")->value, "1");
            assert_int_equal(conf_entry_first(c->sections, "next")->place.line, 3);
            conf_free(c);
        }
}

static void test_long_comment(void **state)
{
    char text[12000], *end = stpcpy(text, "[a]\nk = v ; ");
    struct conf *c;

    end = repeat(end, "comment ; = ", 500);
    end = stpcpy(end, "\n# ");
    end = repeat(end, "x", 5000);
    strcpy(end, "\nl = w\n");
    c = parse_ini(text);
    assert_string_equal(errors_of(c), "");
    assert_string_equal(entries_of(c), "[a] k=v; l=w;");
    conf_free(c);
}

/* Runs of a character in which a piece ends. A key that fills the first piece is one error, and no other key. */
static void test_long_runs(void **state)
{
    static const struct {
        const char *head, *run, *tail, *key, *errors;
    } rows[] = {
        {"k = a", " ", "b", "k", ""},
        {"k = ", "#", "c", "k", ""},
        {"k =", ";", "", "k", ""},
        {"k = ", "", "v", "k", ""},
        {"k =", " ", "v", "k", ""},
        {"", "name", " = v", NULL, "t.ini:3: expected KEY = VALUE or [SECTION]\n"},
        {"k", " ", "= v", NULL, "t.ini:3: expected KEY = VALUE or [SECTION]\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char line[3000], text[3100], *end = repeat(stpcpy(line, rows[i].head), rows[i].run, 500);
        const char *value;
        struct conf *c;

        strcpy(end, rows[i].tail);
        snprintf(text, sizeof(text), "[a]\nbefore = 1\n%s\nafter = 2\n", line);
        c = parse_ini(text);
        assert_string_equal(errors_of(c), rows[i].errors);
        value = strchr(line, '=') + 1;
        if (rows[i].key)
            assert_string_equal(conf_entry_first(c->sections, rows[i].key)->value, value + strspn(value, " "));
        else
            assert_string_equal(entries_of(c), "[a] before=1; after=2;");
        assert_int_equal(conf_entry_first(c->sections, "after")->place.line, 4);
        conf_free(c);
    }
}

static void test_long_names(void **state)
{
    char name[121] = "", text[1000];
    struct conf *c;

    repeat(name, "ten-bytes-", 12);
    snprintf(text, sizeof(text), "[hello /%s]\n%s = 1\n[%s h.%s/%s]\nk = 2\n", name, name, name, name, name);
    c = parse_ini(text);
    assert_string_equal(errors_of(c), "");
    snprintf(text, sizeof(text), "[hello /%s] %s=1;[%s h.%s/%s] k=2;", name, name, name, name, name);
    assert_string_equal(entries_of(c), text);
    fill_shops(c, (struct mount_limits[8]){0});
    snprintf(text, sizeof(text), "t.ini:2: unknown key \"%s\" in [hello /%s]", name, name);
    assert_string_equal(c->errors->text, text);
    conf_free(c);
}

static void test_nul_byte(void **state)
{
    static const char text[] = "[a]\nk = v\nl = x\0y\nm = z\n";
    struct conf *c = conf_new(settings_sections);

    read_ini_bytes(c, text, sizeof(text) - 1);
    assert_string_equal(errors_of(c), "t.ini:3: NUL byte: this is not a text file, the rest is not read\n");
    assert_string_equal(entries_of(c), "[a] k=v;");
    conf_free(c);
}

/* ---- ${ENV} and %(here) ---- */

static void test_expand(void **state)
{
    static const struct {
        const char *value, *expanded, *errors;
    } rows[] = {
        {"%(here)/x", "/here/x", ""},
        {"%(here)%(here)", "/here/here", ""},
        {"%(method)s 100% %(host) %(x %(here", "%(method)s 100% %(host) %(x %(here", ""},
        {"%(hre)", "%(hre)", "t.ini:2: unknown \"%(hre)\" in the value of \"k\"; did you mean \"%(here)\"?\n"},
        {"pa$$word $HOME $", "pa$$word $HOME $", ""},
        {"a${T_SET}b${T_SET}c", "aonebonec", ""},
        {"${T_SET}", "one", ""},
        {"${T_SET:-two}", "one", ""},
        {"${T_UNSET:-two}", "two", ""},
        {"${T_UNSET:-}", "", ""},
        {"${T_EMPTY}", "", ""},
        {"${T_EMPTY:-two}", "two", ""},
        {"${T_UNSET:-%(here)/x}/y", "/here/x/y", ""},
        {"${T_EVIL}", "${T_SET}%(here)", ""},
        {"$${T_SET}", "${T_SET}", ""},
        {"${T_UNSET}", "",
         "t.ini:2: \"k\" needs the environment variable T_UNSET, which is not set; set it, or write "
         "${T_UNSET:-default}\n"},
        {"x${T_SET", "x", "t.ini:2: \"${\" without \"}\" in the value of \"k\"; write $${ for a plain ${\n"},
        {"${}", "", "t.ini:2: \"${}\" in the value of \"k\" names no variable; write $${ for a plain ${\n"},
        {"${9a}${b-c}", "", "t.ini:2: \"${9a}\" in the value of \"k\" names no variable; write $${ for a plain ${\n"},
    };

    setenv("T_SET", "one", 1);
    setenv("T_EMPTY", "", 1);
    setenv("T_EVIL", "${T_SET}%(here)", 1);
    unsetenv("T_UNSET");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[200];
        struct conf *c = conf_new(settings_sections);

        c->cwd = "/here";
        snprintf(text, sizeof(text), "[a]\nk = %s\n", rows[i].value);
        read_ini_bytes(c, text, strlen(text));
        assert_string_equal(errors_of(c), rows[i].errors);
        assert_string_equal(c->sections->entries->value, rows[i].expanded);
        conf_free(c);
    }
}

static void test_here(void **state)
{
    static const struct {
        const char *file, *here;
    } rows[] = {{"t.ini", "/cwd"}, {"./t.ini", "/cwd"}, {"a/b/t.ini", "/cwd/a/b"}, {"/t.ini", "/"}, {"/a/t.ini", "/a"}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct conf *c = conf_new(settings_sections);

        c->cwd = "/cwd";
        assert_string_equal(conf_path_here(c, rows[i].file), rows[i].here);
        conf_free(c);
    }
}

static void test_report(void **state)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct conf *c = parse_ini("[server]\nx\n[server] y\n");

    assert_int_equal(conf_report(c, out), 2);
    fclose(out);
    assert_string_equal(text, "t.ini:2: expected KEY = VALUE or [SECTION]\n"
                              "t.ini:3: expected [SECTION] and nothing after it, found [server] y\n");
    free(text);
    conf_free(c);
}

/* ---- includes ---- */

static void check_file(const char *path, const char *want_entries, const char *want_errors)
{
    struct conf *c = conf_new(settings_sections);

    conf_read(c, path);
    assert_string_equal(errors_of(c), want_errors);
    assert_string_equal(entries_of(c), want_entries);
    conf_free(c);
}

static void test_include(void **state)
{
    char text[200];

    put_ini_file("main.ini", "include = conf.d/*.ini ; all\n[server]\ninclude = conf.d/more\nworkers = 2\n");
    put_ini_file("conf.d/b.ini", "[b]\nk = 2\n");
    put_ini_file("conf.d/a.ini", "[a]\nk = 1\ninclude = more\nl = 3\n");
    put_ini_file("conf.d/more", "[more /]\n");
    check_file("main.ini", "[a] k=1; l=3;[more /][b] k=2;[server] workers=2;",
               "conf.d/more:1: [more /] is given twice; first at conf.d/more:1\n");
    put_ini_file("main.ini", "include = conf.d/*.none\ninclude = ./conf.d/more\n");
    check_file("./main.ini", "[more /]", "");
    put_ini_file("odd[1]*/main.ini", "include = d/*.ini\n");
    put_ini_file("odd[1]*/d/x.ini", "[x]\nhere = %(here)\n");
    snprintf(text, sizeof(text), "[x] here=%s/odd[1]*/d;", dir);
    check_file("odd[1]*/main.ini", text, "");
    snprintf(text, sizeof(text), "include = %s/conf.d/more\ninclude = %%(here)/conf.d/[b].ini\n", dir);
    put_ini_file("abs.ini", text);
    check_file("abs.ini", "[more /][b] k=2;", "");
}

static void test_include_errors(void **state)
{
    put_ini_file("main.ini",
                 "[a]\ninclude = conf.d/none.ini\ninclude =\ninclude = none.d/*.ini\ninclude = conf.d\nk = v\n"
                 "include = ${T_UNSET}\n");
    check_file("main.ini", "[a] k=v;",
               "main.ini:2: cannot read conf.d/none.ini: No such file or directory\n"
               "main.ini:3: \"include\" needs a file, or a pattern such as conf.d/*.ini\n"
               "main.ini:4: cannot include none.d/*.ini: No such file or directory\n"
               "main.ini:5: cannot include conf.d: not a regular file\n"
               "main.ini:7: \"include\" needs the environment variable T_UNSET, which is not set; set it, or write "
               "${T_UNSET:-default}\n");
    check_file("none.ini", "", "cannot read none.ini: No such file or directory\n");
    put_ini_file("conf.d/bad.ini", "k = v\n[a]\nx\n");
    put_ini_file("main.ini", "[a]\ninclude = conf.d/bad.ini\ny = 1\n");
    check_file("main.ini", "[a] y=1;",
               "conf.d/bad.ini:1: \"k\" comes before the first section; write [server] above it\n"
               "conf.d/bad.ini:3: expected KEY = VALUE or [SECTION]\n");
}

static void test_include_cycles(void **state)
{
    put_ini_file("self.ini", "[a]\ninclude = ./self.ini\nk = v\n");
    check_file("self.ini", "[a] k=v;", "self.ini:2: self.ini includes itself, directly or through other files\n");
    put_ini_file("one.ini", "include = conf.d/two\n");
    put_ini_file("conf.d/two", "\ninclude = ../three.ini\n[two]\n");
    put_ini_file("three.ini", "[three]\n");
    assert_int_equal(symlink("../one.ini", "conf.d/link"), 0);
    check_file("one.ini", "[three][two]", "");
    put_ini_file("three.ini", "include = conf.d/li*\n[three]\n");
    check_file("one.ini", "[three][two]",
               "conf.d/../three.ini:1: conf.d/../conf.d/link includes itself, directly or through other files\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),      cmocka_unit_test(test_format_errors), cmocka_unit_test(test_titles),
        cmocka_unit_test(test_long_values), cmocka_unit_test(test_long_comment),  cmocka_unit_test(test_long_runs),
        cmocka_unit_test(test_long_names),  cmocka_unit_test(test_nul_byte),      cmocka_unit_test(test_expand),
        cmocka_unit_test(test_here),        cmocka_unit_test(test_report),
    };
    const struct CMUnitTest file_tests[] = {
        cmocka_unit_test(test_include),
        cmocka_unit_test(test_include_errors),
        cmocka_unit_test(test_include_cycles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) + cmocka_run_group_tests(file_tests, enter_dir, leave_dir);
}
