/*
 * test_conf_fill.c: raw entries to typed options: units, defaults, process keys, limits, -o, precedence, relative
 * paths.
 */
#include <errno.h>

#include "conf_test.h"

/* ---- values ---- */

static void test_numbers(void **state)
{
    static const struct {
        int (*parse)(const char *s, int64_t *value);
        const char *text;
        int result;
        int64_t value;
    } rows[] = {
        {conf_value_integer, "0", 0, 0},
        {conf_value_integer, "-1", 0, -1},
        {conf_value_integer, "+12", 0, 12},
        {conf_value_integer, "007", 0, 7},
        {conf_value_integer, "9223372036854775807", 0, INT64_MAX},
        {conf_value_integer, "9223372036854775808", -ERANGE, 0},
        {conf_value_integer, "-9223372036854775808", 0, INT64_MIN},
        {conf_value_integer, "-9223372036854775809", -ERANGE, 0},
        {conf_value_integer, "", -EINVAL, 0},
        {conf_value_integer, "-", -EINVAL, 0},
        {conf_value_integer, "--1", -EINVAL, 0},
        {conf_value_integer, "1k", -EINVAL, 0},
        {conf_value_integer, "0x10", -EINVAL, 0},
        {conf_value_integer, "1 2", -EINVAL, 0},
        {conf_value_size, "0", 0, 0},
        {conf_value_size, "512", 0, 512},
        {conf_value_size, "64k", 0, 65536},
        {conf_value_size, "64K", 0, 65536},
        {conf_value_size, "3m", 0, 3 << 20},
        {conf_value_size, "3M", 0, 3 << 20},
        {conf_value_size, "5g", 0, (int64_t)5 << 30},
        {conf_value_size, "5G", 0, (int64_t)5 << 30},
        {conf_value_size, "9223372036854775807", 0, INT64_MAX},
        {conf_value_size, "9223372036854775808", -ERANGE, 0},
        {conf_value_size, "9007199254740991k", 0, (int64_t)9007199254740991 << 10},
        {conf_value_size, "9007199254740992k", -ERANGE, 0},
        {conf_value_size, "8796093022207m", 0, (int64_t)8796093022207 << 20},
        {conf_value_size, "8796093022208m", -ERANGE, 0},
        {conf_value_size, "8589934591g", 0, (int64_t)8589934591 << 30},
        {conf_value_size, "8589934592g", -ERANGE, 0},
        {conf_value_size, "99999999999999999999g", -ERANGE, 0},
        {conf_value_size, "-1", -EINVAL, 0},
        {conf_value_size, "+1", -EINVAL, 0},
        {conf_value_size, "1.5m", -EINVAL, 0},
        {conf_value_size, "1 k", -EINVAL, 0},
        {conf_value_size, "k", -EINVAL, 0},
        {conf_value_size, "1kb", -EINVAL, 0},
        {conf_value_size, "1s", -EINVAL, 0},
        {conf_value_duration, "0", 0, 0},
        {conf_value_duration, "2", 0, 2000},
        {conf_value_duration, "10s", 0, 10000},
        {conf_value_duration, "500ms", 0, 500},
        {conf_value_duration, "5m", 0, 300000},
        {conf_value_duration, "2h", 0, 7200000},
        {conf_value_duration, "365d", 0, 31536000000},
        {conf_value_duration, "9223372036854775807ms", 0, INT64_MAX},
        {conf_value_duration, "9223372036854775808ms", -ERANGE, 0},
        {conf_value_duration, "9223372036854775s", 0, 9223372036854775000},
        {conf_value_duration, "9223372036854776", -ERANGE, 0},
        {conf_value_duration, "9223372036854776s", -ERANGE, 0},
        {conf_value_duration, "153722867280913m", -ERANGE, 0},
        {conf_value_duration, "2562047788016h", -ERANGE, 0},
        {conf_value_duration, "106751991168d", -ERANGE, 0},
        {conf_value_duration, "106751991167d", 0, 106751991167 * 86400000},
        {conf_value_duration, "-1s", -EINVAL, 0},
        {conf_value_duration, "5M", -EINVAL, 0},
        {conf_value_duration, "1.5s", -EINVAL, 0},
        {conf_value_duration, "1h30m", -EINVAL, 0},
        {conf_value_duration, "64k", -EINVAL, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t value = 0;

        assert_int_equal(rows[i].parse(rows[i].text, &value), rows[i].result);
        if (rows[i].result == 0)
            assert_true(value == rows[i].value);
    }
}

static void test_words(void **state)
{
    static const char *const yes[] = {"yes", "on", "true", "1", "True", "ON"};
    static const char *const no[] = {"no", "off", "false", "0", "False", "nO"};
    static const char *const bad[] = {"", "y", "2", "enabled", "yes no"};
    bool value;
    int choice;

    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        assert_int_equal(conf_value_bool(yes[i], &value), 0);
        assert_true(value);
        assert_int_equal(conf_value_bool(no[i], &value), 0);
        assert_false(value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(conf_value_bool(bad[i], &value), -EINVAL);
    assert_int_equal(conf_value_choice("blue", colors, &choice), 0);
    assert_int_equal(choice, 2);
    assert_int_equal(conf_value_choice("Blue", colors, &choice), -EINVAL);
}

static void test_nearest(void **state)
{
    static const char *const names[] = {"processes", "bind", "workers", "max-body-size", "root", "app"};
    static const struct {
        const char *wrong, *name;
    } rows[] = {
        {"proceses", "processes"},
        {"process", "processes"},
        {"bnid", "bind"},
        {"binds", "bind"},
        {"Bind", "bind"},
        {"worker", "workers"},
        {"wrokesr", "workers"},
        {"maxbodysize", "max-body-size"},
        {"ap", "app"},
        {"x", NULL},
        {"harakiri", NULL},
        {"bin-dir-of-it", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct conf_nearest n = {.wrong = rows[i].wrong};

        for (size_t j = 0; j < ARRAY_SIZE(names); j++)
            conf_nearest_try(&n, names[j]);
        if (rows[i].name)
            assert_string_equal(n.name, rows[i].name);
        else
            assert_null(n.name);
    }
}

/* ---- a module's options ---- */

static void test_fill(void **state)
{
    struct conf *c =
        parse_ini("[shop /]\nname = Tea\nroot = site\nlist = off\nnumber = 12\nsize = 1m\nwait = 3\n"
                  "env = A=1\nenv = B=2\npaths = ./a\npaths = /b\npaths = .\ncolor = blue\nvenv = %(here)/v\n");
    struct shop *s = fill_shops(c, (struct mount_limits[8]){0});
    const char *a = arena_printf(&c->arena, "%s/a", c->cwd);

    assert_string_equal(errors_of(c), "");
    assert_string_equal(s->name, "Tea");
    assert_string_equal(s->root, arena_printf(&c->arena, "%s/site", c->cwd));
    assert_false(s->list);
    assert_int_equal(s->number, 12);
    assert_int_equal(s->size, 1 << 20);
    assert_int_equal(s->wait, 3000);
    assert_string_equal(s->env[0], "A=1");
    assert_string_equal(s->env[1], "B=2");
    assert_null(s->env[2]);
    assert_string_equal(s->paths[0], a);
    assert_string_equal(s->paths[1], "/b");
    assert_string_equal(s->paths[2], c->cwd);
    assert_null(s->paths[3]);
    assert_int_equal(s->color, 2);
    assert_string_equal(s->venv, arena_printf(&c->arena, "%s/v", c->cwd));
    conf_free(c);
}

static void test_default_values(void **state)
{
    struct conf *c = parse_ini("[shop /]\nname =\n");
    struct shop *s = fill_shops(c, (struct mount_limits[8]){0});

    assert_string_equal(errors_of(c), "");
    assert_string_equal(s->name, "");
    assert_null(s->root);
    assert_true(s->list);
    assert_int_equal(s->number, -7);
    assert_int_equal(s->size, 65536);
    assert_int_equal(s->wait, 0);
    assert_null(s->env);
    assert_string_equal(s->paths[0], arena_printf(&c->arena, "%s/lib", c->cwd));
    assert_int_equal(s->color, 1);
    conf_free(c);
}

/* [shop] is the default of each mount, before and after it; a list of the mount replaces that of [shop]. */
static void test_defaults(void **state)
{
    struct conf *c = parse_ini("[shop /a]\nname = a\nenv = X\n[shop]\nname = all\nnumber = 3\nenv = 1\nenv = 2\n"
                               "[shop /b]\nenv =\n[shop /c]\n");
    struct shop *s = fill_shops(c, (struct mount_limits[8]){0});

    assert_string_equal(errors_of(c), "");
    assert_string_equal(s[0].name, "a");
    assert_int_equal(s[0].number, 3);
    assert_string_equal(s[0].env[0], "X");
    assert_null(s[0].env[1]);
    assert_string_equal(s[1].name, "all");
    assert_null(s[1].env);
    assert_string_equal(s[2].env[1], "2");
    conf_free(c);
}

static void test_fill_errors(void **state)
{
    static const struct {
        const char *text, *errors;
    } rows[] = {
        {"[shop /]\nnmae = x\n", "t.ini:2: unknown key \"nmae\" in [shop /]; did you mean \"name\"?\n"},
        {"[shop /]\nharakiri = 1\n", "t.ini:2: unknown key \"harakiri\" in [shop /]\n"},
        {"[shop h/x/]\nmax-bodysize = 1\n",
         "t.ini:2: unknown key \"max-bodysize\" in [shop h/x]; did you mean \"max-body-size\"?\n"},
        {"[shop]\nnmae = x\n[shop /]\n[shop /b]\n",
         "t.ini:2: unknown key \"nmae\" in [shop]; did you mean \"name\"?\n"},
        {"[shop]\nsize = x\n[shop /]\n[shop /b]\n",
         "t.ini:2: \"size = x\": expected a size such as 512, 64k, 4m or 1g\n"},
        {"[shop]\nsize = x\n", "t.ini:2: \"size = x\": expected a size such as 512, 64k, 4m or 1g\n"},
        {"[shop /]\nsize = 1\n[shop]\nsize = x\nname = 1\nname = 2\n",
         "t.ini:4: \"size = x\": expected a size such as 512, 64k, 4m or 1g\n"
         "t.ini:6: \"name\" is given twice; first at t.ini:5\n"},
        {"[shop /]\nlist = maybe\nnumber = one\nwait = 1 s\ncolor = pink\n",
         "t.ini:2: \"list = maybe\": expected yes or no\n"
         "t.ini:3: \"number = one\": expected a whole number\n"
         "t.ini:4: \"wait = 1 s\": expected a duration such as 500ms, 10s, 5m, 1h or 1d\n"
         "t.ini:5: \"color = pink\": expected red, green or blue\n"},
        {"[shop /]\nsize = 99999999999999999999\n",
         "t.ini:2: \"size = 99999999999999999999\": expected a number that fits into 64 bits\n"},
        {"[shop /]\nroot =\n", "t.ini:2: \"root =\": expected a path (write . for the directory of the file)\n"},
        {"[shop /]\nname = a\n\nname = b\n", "t.ini:4: \"name\" is given twice; first at t.ini:2\n"},
        {"[shop /]\nmax-body-size = -1\n",
         "t.ini:2: \"max-body-size = -1\": expected a size such as 512, 64k, 4m or 1g\n"},
        {"[shop /]\nname = ${T_UNSET}\n",
         "t.ini:2: \"name\" needs the environment variable T_UNSET, which is not set; set it, or write "
         "${T_UNSET:-default}\n"},
        {"[shop /]\nsize = ${T_UNSET}\nhost = 1\n",
         "t.ini:2: \"size\" needs the environment variable T_UNSET, which is not set; set it, or write "
         "${T_UNSET:-default}\nt.ini:3: unknown key \"host\" in [shop /]\n"},
    };

    unsetenv("T_UNSET");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct conf *c = parse_ini(rows[i].text);

        fill_shops(c, (struct mount_limits[8]){0});
        assert_string_equal(errors_of(c), rows[i].errors);
        conf_free(c);
    }
}

static void test_required(void **state)
{
    static const struct sl_option options[] = {
        SL_OPTION("app", SL_STRING, struct shop, name, .help = "What to serve.", .flags = SL_REQUIRED),
        SL_OPTION("list", SL_STRINGS, struct shop, env, .help = "More.", .flags = SL_REQUIRED),
        {.name = NULL},
    };
    struct conf *c = parse_ini("[x]\n\n[x /]\nlist =\n[x /b]\nlist = 1\napp = a\n");
    struct shop instance;
    struct mount_limits limits;

    for (struct conf_section *s = conf_modules(c, NULL); s; s = conf_modules(c, s))
        settings_fill_mount(c, s, options, s->prefix ? &instance : NULL, &limits);
    assert_string_equal(errors_of(c), "t.ini:3: [x /] needs \"app\": What to serve.\n"
                                      "t.ini:3: [x /] needs \"list\": More.\n");
    conf_free(c);
}

static void test_process_keys(void **state)
{
    static const struct {
        const char *text, *option, *venv, *errors;
    } rows[] = {
        {"[shop]\nvenv = /v\n[shop /a]\n[shop /b]\n", NULL, "/v", ""},
        {"[shop /a]\n[shop /b]\nvenv = /v\n", NULL, "/v", ""},
        {"[shop /a]\nvenv = /v\n[shop /b]\nvenv = /v\n[shop]\nvenv = /v\n", NULL, "/v", ""},
        {"[shop /a]\nvenv = /v\n[shop /b]\nvenv = /w\n", NULL, "/v",
         "t.ini:4: \"venv\" belongs to the whole process, but [shop /b] does not agree with t.ini:2\n"},
        {"[shop /a]\nvenv = /v\n[shop /b]\nvenv = /w\n[shop]\nvenv = /w\n", NULL, "/w",
         "t.ini:2: \"venv\" belongs to the whole process, but [shop /a] does not agree with t.ini:6\n"},
        {"[shop /a]\nvenv = /v\n[shop /b]\nvenv = /w\n", "shop.venv=/x", "/x", ""},
        {"[shop /a]\nvenv = /v\n[shop /b]\nvenv = /v/.\n", "shop /b.venv=/v", "/v", ""},
        {"[shop /a]\nvenv = v\n[shop /b]\nvenv = ./v\n", NULL, "/cwd/v", ""},
        {"[shop /a]\n[other /b]\nvenv = /w\n", NULL, NULL, ""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct conf *c = conf_new(settings_sections);
        struct shop *s;

        c->cwd = "/cwd";
        read_ini_bytes(c, rows[i].text, strlen(rows[i].text));
        if (rows[i].option)
            conf_set(c, rows[i].option);
        s = fill_shops(c, (struct mount_limits[8]){0});
        assert_string_equal(errors_of(c), rows[i].errors);
        if (rows[i].venv) {
            assert_string_equal(s[0].venv, rows[i].venv);
            assert_string_equal(s[1].venv, rows[i].venv);
        } else {
            assert_null(s[0].venv);
        }
        conf_free(c);
    }
}

static void test_limits(void **state)
{
    struct mount_limits limits[8] = {0};
    struct conf *c = parse_ini("[limits]\nrequest-timeout = 30s\n[shop]\nmax-body-size = 2k\n[shop /a]\n"
                               "[shop /b]\nrequest_timeout = 1s\nmax-body-size = 0\n");

    fill_shops(c, limits);
    assert_string_equal(errors_of(c), "");
    assert_int_equal(limits[0].request_timeout, 30000);
    assert_int_equal(limits[0].max_body_size, 2048);
    assert_int_equal(limits[1].request_timeout, 1000);
    assert_int_equal(limits[1].max_body_size, 0);
    conf_free(c);
}

static void test_unknown_section(void **state)
{
    static const char *const modules[] = {"cgi", "hello", "static", "wsgi", NULL};
    struct conf *c = parse_ini("[wsig /]\n[servr]\n[proxy h/]\n");

    for (struct conf_section *s = conf_modules(c, NULL); s; s = conf_modules(c, s))
        conf_unknown_section(c, s, modules, s->prefix ? ": there is no such file" : "");
    assert_string_equal(
        errors_of(c),
        "t.ini:1: unknown section [wsig /]: there is no such file; did you mean \"wsgi\"?\n"
        "t.ini:2: unknown section [servr]; did you mean \"server\"?\n"
        "t.ini:3: unknown section [proxy h/]: there is no such file; known are server, log, limits, outbound, tracing, "
        "cgi, hello, static, wsgi\n");
    conf_free(c);
}

/* ---- ranges ---- */

static void test_option_ranges(void **state)
{
    static const struct {
        const char *line, *errors;
    } rows[] = {
        {"count = 1", ""},
        {"count = 100", ""},
        {"count = 0", "t.ini:2: \"count = 0\": expected 1 to 100\n"},
        {"count = -1", "t.ini:2: \"count = -1\": expected 1 to 100\n"},
        {"count = 101", "t.ini:2: \"count = 101\": expected 1 to 100\n"},
        {"count = 99999999999999999999", "t.ini:2: \"count = 99999999999999999999\": expected 1 to 100\n"},
        {"count = many", "t.ini:2: \"count = many\": expected a whole number\n"},
        {"buffer = 512", ""},
        {"buffer = 1m", ""},
        {"buffer = 511", "t.ini:2: \"buffer = 511\": expected 512 to 1m\n"},
        {"buffer = 1025k", "t.ini:2: \"buffer = 1025k\": expected 512 to 1m\n"},
        {"pause = 1500ms", ""},
        {"pause = 1000d", ""},
        {"pause = 1s", "t.ini:2: \"pause = 1s\": expected 1500ms to 36500d\n"},
        {"pause = 36500d", ""},
        {"pause = 36501d", "t.ini:2: \"pause = 36501d\": expected 1500ms to 36500d\n"},
        {"wait = 36501d", "t.ini:2: \"wait = 36501d\": expected 0 to 36500d\n"},
        {"wait = 9223372036854775807", "t.ini:2: \"wait = 9223372036854775807\": expected 0 to 36500d\n"},
        {"number = -9223372036854775808", ""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[100];
        struct conf *c;

        snprintf(text, sizeof(text), "[shop /]\n%s\n", rows[i].line);
        c = parse_ini(text);
        fill_shops(c, (struct mount_limits[8]){0});
        assert_string_equal(errors_of(c), rows[i].errors);
        conf_free(c);
    }
}

/* Defaults are checked like values of the user, and so are values that are overridden. */
static void test_range_of_defaults(void **state)
{
    static const struct sl_option options[] = {
        SL_OPTION("count", SL_INTEGER, struct shop, count, .default_value = "0", .min = 1, .max = 9),
        {.name = NULL},
    };
    struct conf *c = parse_ini("[x]\ncount = 10\n[x /a]\ncount = 1\n\n[y /]\n");
    struct mount_limits limits;
    struct shop instance;

    for (struct conf_section *s = conf_modules(c, NULL); s; s = conf_modules(c, s))
        settings_fill_mount(c, s, options, s->prefix ? &instance : NULL, &limits);
    assert_string_equal(errors_of(c), "t.ini:2: \"count = 10\": expected 1 to 9\n"
                                      "t.ini:6: \"count = 0\": expected 1 to 9\n");
    conf_free(c);
}

static void test_value_text(void **state)
{
    static const struct {
        enum sl_kind kind;
        int64_t value;
        const char *text;
    } rows[] = {
        {SL_INTEGER, 0, "0"},
        {SL_INTEGER, 65536, "65536"},
        {SL_INTEGER, INT64_MIN, "-9223372036854775808"},
        {SL_SIZE, 0, "0"},
        {SL_SIZE, 1000, "1000"},
        {SL_SIZE, 1536, "1536"},
        {SL_SIZE, 65536, "64k"},
        {SL_SIZE, 1 << 30, "1g"},
        {SL_SIZE, ((int64_t)1 << 30) + (1 << 20), "1025m"},
        {SL_SIZE, INT64_MAX, "9223372036854775807"},
        {SL_DURATION, 0, "0"},
        {SL_DURATION, 500, "500ms"},
        {SL_DURATION, 1000, "1s"},
        {SL_DURATION, 90000, "90s"},
        {SL_DURATION, 300000, "5m"},
        {SL_DURATION, 7200000, "2h"},
        {SL_DURATION, 86400000, "1d"},
    };
    struct conf *c = conf_new(settings_sections);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *text = conf_value_text(c, rows[i].kind, rows[i].value);
        int64_t value;

        assert_string_equal(text, rows[i].text);
        if (rows[i].kind == SL_SIZE)
            assert_int_equal(conf_value_size(text, &value), 0);
        else if (rows[i].kind == SL_DURATION)
            assert_int_equal(conf_value_duration(text, &value), 0);
        else
            assert_int_equal(conf_value_integer(text, &value), 0);
        assert_true(value == rows[i].value);
    }
    conf_free(c);
}

/* ---- renamed keys ---- */

static void test_old_names(void **state)
{
    static const struct {
        const char *text, *warnings, *errors;
        int64_t count; /* of the first mount */
    } rows[] = {
        {"[shop /]\nrepeat-count = 7\n",
         "t.ini:2: \"repeat-count\" has been renamed to \"count\"; the old name still works\n", "", 7},
        {"[shop /]\nrepeat_count = 7\n",
         "t.ini:2: \"repeat-count\" has been renamed to \"count\"; the old name still works\n", "", 7},
        {"[shop /]\ncount = 7\n", "", "", 7},
        {"[shop /]\nrepeat-count = 700\n",
         "t.ini:2: \"repeat-count\" has been renamed to \"count\"; the old name still works\n",
         "t.ini:2: \"count = 700\": expected 1 to 100\n", 700},
        {"[shop /]\nrepeat-count = 7\ncount = 8\n",
         "t.ini:2: \"repeat-count\" has been renamed to \"count\"; the old name still works\n",
         "t.ini:3: \"count\" is given twice; first at t.ini:2\n", 7},
        {"[shop /]\ncount = 8\nrepeat-count = 7\n",
         "t.ini:3: \"repeat-count\" has been renamed to \"count\"; the old name still works\n",
         "t.ini:3: \"count\" is given twice; first at t.ini:2\n", 8},
        {"[shop /]\nrepeat-cuont = 8\n", "", "t.ini:2: unknown key \"repeat-cuont\" in [shop /]\n", 1},
        /* Defaults of the module that come after the mounts, one warning for all of them. */
        {"[shop /]\n[shop /b]\n[shop]\nrepeat-count = 7\n",
         "t.ini:4: \"repeat-count\" has been renamed to \"count\"; the old name still works\n", "", 7},
        {"[other /]\nrepeat-count = 7\n",
         "t.ini:2: \"repeat-count\" has been renamed to \"count\"; the old name still works\n", "", 7},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct conf *c = parse_ini(rows[i].text);
        struct shop *s = fill_shops(c, (struct mount_limits[8]){0});

        assert_string_equal(warnings_of(c), rows[i].warnings);
        assert_string_equal(errors_of(c), rows[i].errors);
        assert_int_equal(s->count, rows[i].count);
        conf_free(c);
    }
}

/* The two names of a list are one list, in order. -o replaces the other name. A process key may have either name. */
static void test_old_names_join(void **state)
{
    struct conf *c = parse_ini("[shop /a]\nenvironment = A\nenv = B\nenvironment = C\nrepeat-count = 7\n"
                               "python-home = /v\n[shop /b]\nvenv = /v\nrepeat-count = 7\n");
    struct shop *s;

    conf_set(c, "shop /a.count=8");
    conf_set(c, "shop /b.repeat-count=9");
    s = fill_shops(c, (struct mount_limits[8]){0});
    assert_string_equal(errors_of(c), "");
    assert_string_equal(s[0].env[0], "A");
    assert_string_equal(s[0].env[1], "B");
    assert_string_equal(s[0].env[2], "C");
    assert_null(s[0].env[3]);
    assert_int_equal(s[0].count, 8);
    assert_int_equal(s[1].count, 9);
    assert_string_equal(s[1].venv, "/v");
    assert_non_null(
        strstr(warnings_of(c), "-o shop /b.repeat-count=9: \"repeat-count\" has been renamed to \"count\";"));
    conf_free(c);
}

static void test_old_names_that_disagree(void **state)
{
    struct conf *c = parse_ini("[shop /a]\npython-home = /v\n[shop /b]\nvenv = /w\n");

    fill_shops(c, (struct mount_limits[8]){0});
    assert_string_equal(errors_of(c),
                        "t.ini:4: \"venv\" belongs to the whole process, but [shop /b] does not agree with "
                        "t.ini:2\n");
    conf_free(c);
}

/* ---- the command line ---- */

static void test_options(void **state)
{
    struct conf *c = parse_ini("[shop /]\nenv = 1\nenv = 2\nname = file\nroot = r\n[shop v1.2/x.y]\n");
    struct shop *s;

    conf_set(c, "shop /.env=A=1");
    conf_set(c, "shop /.env=B=2.0");
    conf_set(c, "shop /.name=${T_UNSET:-cli}");
    conf_set(c, "shop v1.2/x.y.root=up");
    conf_set(c, "shop /new.max_body_size=1k");
    s = fill_shops(c, (struct mount_limits[8]){0});
    assert_string_equal(errors_of(c), "");
    assert_string_equal(s[0].env[0], "A=1");
    assert_string_equal(s[0].env[1], "B=2.0");
    assert_null(s[0].env[2]);
    assert_string_equal(s[0].name, "cli");
    assert_string_equal(s[0].root, arena_printf(&c->arena, "%s/r", c->cwd));
    assert_string_equal(s[1].root, arena_printf(&c->arena, "%s/up", c->cwd));
    assert_string_equal(s[2].name, "noname");
    conf_free(c);
}

static void test_no_assignment(void **state)
{
    static const char *const rows[] = {"",   "x",         "workers=4",  "server.workers", "=x",
                                       ".=", "server.=4", ".workers=4", "a=b.c"};
    struct conf *c = conf_new(settings_sections);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(conf_set(c, rows[i]), -EINVAL);
    assert_null(c->sections);
    assert_int_equal(c->error_count, ARRAY_SIZE(rows));
    assert_string_equal(c->errors->next->text, "-o x: expected SECTION.KEY=VALUE, as in -o server.workers=4");
    conf_free(c);
}

static void test_option_errors(void **state)
{
    struct conf *c = parse_ini("");

    conf_set(c, "server.proceses=4");
    conf_set(c, "shop x.name=4");
    conf_set(c, "shop /.size=big");
    conf_set(c, "shop /.name=a");
    conf_set(c, "shop /.name=b");
    conf_set_key(c, "-b nowhere", "server", "bind", "nowhere");
    settings_fill(&(struct settings){0}, c);
    fill_shops(c, (struct mount_limits[8]){0});
    assert_string_equal(
        errors_of(c),
        "-o shop x.name=4: bad prefix \"x\" in [shop x]: write /prefix or host/prefix, without blanks\n"
        "-o server.proceses=4: unknown key \"proceses\" in [server]\n"
        "-b nowhere: \"bind = nowhere\": expected HOST:PORT, :PORT, [IPv6]:PORT, unix:/path or unix:@name\n"
        "-o shop /.size=big: \"size = big\": expected a size such as 512, 64k, 4m or 1g\n"
        "-o shop /.name=b: \"name\" is given twice; first at -o shop /.name=a\n");
    conf_free(c);
}

/* ---- several sources ---- */

/* command line > file > what it includes > what that includes, for whole lists, wherever the include stands */
static void test_precedence(void **state)
{
    struct conf *c = conf_new(settings_sections);
    struct shop *s;

    put_ini_file("main.ini", "[shop /]\nenv = file1\ninclude = mid.ini\nenv = file2\nnumber = 1\n");
    put_ini_file("mid.ini", "[shop]\nnumber = 2\nlist = no\ninclude = low.ini\n[server]\nworkers = 3\n");
    put_ini_file("low.ini", "[shop]\nsize = 1\nlist = yes\nname = low\n[server]\nworkers = 2\nbacklog = 7\n");
    conf_read(c, "main.ini");
    conf_set(c, "shop.name=cli");
    s = fill_shops(c, (struct mount_limits[8]){0});
    assert_string_equal(errors_of(c), "");
    assert_string_equal(s->env[0], "file1");
    assert_string_equal(s->env[1], "file2");
    assert_null(s->env[2]);
    assert_int_equal(s->number, 1);
    assert_false(s->list);
    assert_int_equal(s->size, 1);
    assert_string_equal(s->name, "cli");
    assert_string_equal(conf_entry_first(conf_section_find(c, "server"), "workers")->value, "3");
    assert_string_equal(conf_entry_first(conf_section_find(c, "server"), "backlog")->value, "7");
    conf_free(c);
}

/* A relative path is relative to the file that names it; on the command line, to the working directory. */
static void test_paths(void **state)
{
    struct conf *c = conf_new(settings_sections);
    struct shop *s;

    put_ini_file("main.ini", "[shop /a]\ninclude = conf.d/p.ini\nroot = x\n[shop /b]\n[shop /c]\n");
    put_ini_file("conf.d/p.ini", "[shop]\nroot = y/z\nname = %(here)\n");
    conf_read(c, arena_printf(&c->arena, "%s/main.ini", dir));
    assert_int_equal(chdir("conf.d"), 0);
    c->cwd = "/work";
    conf_set(c, "shop /c.root=w");
    s = fill_shops(c, (struct mount_limits[8]){0});
    assert_int_equal(chdir(".."), 0);
    assert_string_equal(errors_of(c), "");
    assert_string_equal(s[0].root, arena_printf(&c->arena, "%s/x", dir));
    assert_string_equal(s[1].root, arena_printf(&c->arena, "%s/conf.d/y/z", dir));
    assert_string_equal(s[2].root, "/work/w");
    assert_string_equal(s[0].name, arena_printf(&c->arena, "%s/conf.d", dir));
    assert_string_equal(s[2].paths[0], arena_printf(&c->arena, "%s/lib", dir));
    conf_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_default_values),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_fill_errors),
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_process_keys),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_unknown_section),
        cmocka_unit_test(test_option_ranges),
        cmocka_unit_test(test_range_of_defaults),
        cmocka_unit_test(test_value_text),
        cmocka_unit_test(test_old_names),
        cmocka_unit_test(test_old_names_join),
        cmocka_unit_test(test_old_names_that_disagree),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_no_assignment),
        cmocka_unit_test(test_option_errors),
    };
    const struct CMUnitTest file_tests[] = {
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) + cmocka_run_group_tests(file_tests, enter_dir, leave_dir);
}
