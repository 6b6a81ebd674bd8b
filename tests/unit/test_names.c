/*
 * test_names.c: keys in the wrong section, and the names that other servers have for keys.
 */
#include "conf_test.h"
#include "settings/access_rule.h"
#include "settings/names.h"
#include "settings/peers.h"

/* A table as that of the module wsgi. */
static const struct sl_option app_options[] = {
    SL_OPTION("app", SL_STRING, struct shop, name),
    SL_OPTION("virtualenv", SL_PATH, struct shop, root),
    {.name = NULL},
};

/* The errors about an ini file whose modules have these keys. */
static const char *errors_about(struct conf *c)
{
    static const struct sl_option *const tables[] = {app_options, mount_limits_options, NULL};
    struct settings s;

    settings_fill(&s, c);
    for (struct conf_section *i = conf_modules(c, NULL); i; i = conf_modules(c, i))
        conf_check_section(c, i, tables);
    return errors_of(c);
}

static void test_explanations(void **state)
{
    static const struct {
        const char *ini, *says; /* the key is in line 2 */
    } rows[] = {
        {"[server]\nprocesses = 4\n", "\"processes\" in [server]; here it is \"workers\""},
        {"[wsgi /]\nprocesses = 4\n", "\"processes\" in [wsgi /]; here it is \"workers\" in [server]"},
        {"[wsgi /]\nuid = 4\n", "\"uid\" in [wsgi /]; here it is \"user\" in [server]"},
        {"[server]\nlog-level = debug\n", "\"log-level\" in [server]; here it is \"level\" in [log]"},
        {"[server]\nloglevel = debug\n", "\"loglevel\" in [server]; here it is \"level\" in [log]"},
        {"[server]\nvirtualenv = /v\n", "\"virtualenv\" in [server]; it belongs to [wsgi]"},
        {"[wsgi /]\nhome = /v\n", "\"home\" in [wsgi /]; here it is \"virtualenv\""},
        {"[server]\nwsgi_app = a:b\n", "\"wsgi-app\" in [server]; here it is \"app\" in [wsgi /]"},
        {"[server]\napp = a:b\n", "\"app\" in [server]; it belongs to [wsgi /]"},
        {"[wsgi /]\nharakiri = 4\n", "\"harakiri\" in [wsgi /]; here it is \"request-timeout\": it ends the request; "
                                     "the worker only if the request cannot be cancelled"},
        {"[server]\nharakiri = 4\n",
         "\"harakiri\" in [server]; here it is \"request-timeout\" in [limits]: it ends the "
         "request; the worker only if the request cannot be cancelled"},
        {"[wsgi /]\nworker_class = gevent\n", "\"worker-class\" in [wsgi /]; leave it out: every request runs on a "
                                              "coroutine"},
        {"[wsgi /]\nthreads = 4\n", "\"threads\" in [wsgi /]; leave it out: every request runs on a coroutine "
                                    "(\"threads\" in [server] is for calls that cannot wait on one)"},
        {"[server]\nmaster = true\n", "\"master\" in [server]; leave it out: there is always a master process"},
        {"[server]\ncheaper-initial = 2\n", "\"cheaper-initial\" in [server]; leave it out: the number of workers is "
                                            "fixed"},
        /* our own keys elsewhere */
        {"[wsgi /]\nbacklog = 4\n", "\"backlog\" in [wsgi /]; it belongs to [server]"},
        {"[log]\nresolver = system\n", "\"resolver\" in [log]; it belongs to [server]"},
        {"[server]\nrequest-timeout = 4\n", "\"request-timeout\" in [server]; it belongs to [limits]"},
        {"[log]\nmax-headers = 4\n", "\"max-headers\" in [log]; it belongs to [limits]"},
        /* mistyped names, of this section first */
        {"[server]\nwrokers = 4\n", "\"wrokers\" in [server]; did you mean \"workers\"?"},
        {"[log]\nlog-fromat = x\n", "\"log-fromat\" in [log]; did you mean \"log-format\"?"},
        {"[server]\nlog-fromat = x\n", "\"log-fromat\" in [server]; see docs/logs.md for what the logs can do"},
        {"[wsgi /]\nwrokers = 4\n", "\"wrokers\" in [wsgi /]; did you mean \"workers\", which belongs to [server]?"},
        {"[wsgi /]\nwroking = 4\n", "\"wroking\" in [wsgi /]"},
        /* modules that others have written keep out of this, unless it is about a key that they have */
        {"[shop /]\nname = x\n", "\"name\" in [shop /]"},
        {"[shop /]\ncache = x\n", "\"cache\" in [shop /]"},
        {"[shop /]\nfile = x\n", "\"file\" in [shop /]; here it is \"app\": app = /path/to/file.py, or FILE:CALLABLE"},
        {"[shop /]\nworkers = 4\n", "\"workers\" in [shop /]; it belongs to [server]"},
        {"[shop /]\nlimit-post = 4\n", "\"limit-post\" in [shop /]; here it is \"max-body-size\""},
    };
    char want[300];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct conf *c = parse_ini(rows[i].ini);

        snprintf(want, sizeof(want), "t.ini:2: unknown key %s\n", rows[i].says);
        assert_string_equal(errors_about(c), want);
        conf_free(c);
    }
}

static void test_sections(void **state)
{
    struct conf *c = parse_ini("[uwsgi]\n[gunicorn]\n[uWSGI /x]\n[nginx]\n");
    const char *const modules[] = {"wsgi", NULL};
    struct settings s;

    settings_fill(&s, c);
    for (struct conf_section *i = conf_modules(c, NULL); i; i = conf_modules(c, i))
        conf_unknown_section(c, i, modules, "");
    assert_string_equal(
        errors_of(c),
        "t.ini:1: unknown section [uwsgi]; this is uWSGI's configuration: \"syncless-server --migrate t.ini\" converts "
        "it\n"
        "t.ini:2: unknown section [gunicorn]; what gunicorn has as options are keys of [server], [log], [limits] and "
        "[wsgi]\n"
        "t.ini:3: unknown section [uWSGI /x]; this is uWSGI's configuration: \"syncless-server --migrate t.ini\" "
        "converts it\n"
        "t.ini:4: unknown section [nginx]; known are server, log, limits, outbound, tracing, wsgi\n");
    conf_free(c);
}

/* Before settings_fill has run there are no names of others. */
static void test_without_names(void **state)
{
    static const struct sl_option *const tables[] = {log_options, access_rule_options, NULL};
    struct conf *c = parse_ini("[log]\nprocesses = 4\nlevle = info\n");

    conf_check_section(c, conf_section_find(c, "log"), tables);
    assert_string_equal(errors_of(c), "t.ini:2: unknown key \"processes\" in [log]\n"
                                      "t.ini:3: unknown key \"levle\" in [log]; did you mean \"level\"?\n");
    conf_free(c);
}

static void test_peers(void **state)
{
    assert_string_equal(peers_find("limit-request-field-size", false)->key, "max-header-size");
    assert_string_equal(peers_find("cheaper", true)->name, "cheaper*");
    assert_null(peers_find("cheaper", false));
    assert_null(peers_find("cheape", true));
    assert_null(peers_find("worker", false));
    assert_null(peers_find("workers-", false));
    assert_null(peers_find("", false));
    assert_string_equal(peers_find_server("UWSGI"), "uWSGI");
    assert_null(peers_find_server("nginx"));
}

static void test_options(void **state)
{
    const char *section = NULL;

    assert_string_equal(settings_find_option("max-headers", &section)->name, "max-headers");
    assert_string_equal(section, "limits");
    assert_string_equal(settings_find_option("access-log", &section)->name, "access-log");
    assert_string_equal(section, "log");
    assert_null(settings_find_option("app", &section));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_explanations), cmocka_unit_test(test_sections), cmocka_unit_test(test_without_names),
        cmocka_unit_test(test_peers),        cmocka_unit_test(test_options),
    };

    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
