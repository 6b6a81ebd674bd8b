/*
 * test_cmdline.c: the command line to a command, and a command to a configuration.
 */
#include <signal.h>

#include "conf_test.h"
#include "main/cmdline.h"

/* Parse words, which end with NULL; what is written to standard error goes to the file "err". */
static enum cmdline_result parse_words(struct command *cmd, const char *const *words)
{
    char *argv[300] = {"syncless-server"};
    enum cmdline_result result;
    int argc = 1;
    int saved = dup(STDERR_FILENO);

    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    assert_non_null(freopen("err", "w", stderr));
    optind = 0; /* glibc: start again */
    result = command_parse(cmd, argc, argv);
    fflush(stderr);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    return result;
}

static const char *written(char text[1000])
{
    FILE *in = fopen("err", "r");
    size_t size = fread(text, 1, 999, in);

    fclose(in);
    text[size] = '\0';
    return text;
}

static void test_command(void **state)
{
    struct command cmd;
    const char *const words[] = {"-c",    "a.ini", "-b",          ":1", "--bind", ":2", "-o",
                                 "a.b=c", "-d",    "--check=app", "-s", "reload", NULL};

    assert_int_equal(parse_words(&cmd, words), CMDLINE_OK);
    assert_string_equal(cmd.file, "a.ini");
    assert_null(cmd.app);
    assert_int_equal(cmd.bind_count, 2);
    assert_string_equal(cmd.binds[1], ":2");
    assert_int_equal(cmd.assignment_count, 1);
    assert_int_equal(cmd.daemonize, 1);
    assert_true(cmd.check && cmd.check_app);
    assert_int_equal(cmd.signum, SIGHUP);
}

static void test_usage_errors(void **state)
{
    static const struct {
        const char *words[5], *said;
    } rows[] = {
        {{"foo", NULL},
         "unexpected argument \"foo\": write -c foo to read it as a configuration, or -m foo to serve it as an "
         "application\n"},
        {{"-c", "a.ini", "foo", NULL}, "unexpected argument \"foo\": remove it, or write its option in front of it\n"},
        {{"foo", "-c", "a.ini", "bar", NULL},
         "unexpected argument \"foo\": remove it, or write its option in front of it\n"},
        {{"--check", "app", "-m", "a:b", NULL},
         "unexpected argument \"app\": remove it, or write its option in front of it\n"},
        {{NULL}, "name a configuration with -c FILE, or an application with -m MODULE:APP\n"},
        {{"-s", "restart", NULL}, "-s restart: expected reload, reopen, stop, quit or upgrade\n"},
        {{"--check=all", NULL}, "--check=all: expected --check or --check=app\n"},
    };
    char text[1000], want[1000];
    struct command cmd;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(parse_words(&cmd, rows[i].words), CMDLINE_WRONG);
        snprintf(want, sizeof(want), "syncless-server: %sTry 'syncless-server --help'.\n", rows[i].said);
        assert_string_equal(written(text), want);
    }
    assert_int_equal(parse_words(&cmd, (const char *const[]){"-x", NULL}), CMDLINE_WRONG);
    assert_non_null(strstr(written(text), "'x'\nTry 'syncless-server --help'.\n"));
}

static void test_too_many_options(void **state)
{
    const char *words[2 * CMDLINE_MAX_OPTIONS + 5] = {"-c", "a.ini"};
    char text[1000];
    struct command cmd;

    for (int i = 0; i < CMDLINE_MAX_OPTIONS; i++) {
        words[2 * i + 2] = "-b";
        words[2 * i + 3] = ":80";
    }
    assert_int_equal(parse_words(&cmd, words), CMDLINE_OK);
    words[2 * CMDLINE_MAX_OPTIONS + 2] = "-b";
    words[2 * CMDLINE_MAX_OPTIONS + 3] = ":80";
    assert_int_equal(parse_words(&cmd, words), CMDLINE_WRONG);
    assert_non_null(strstr(written(text), "-b can be given 100 times at most\n"));
}

static void test_configure(void **state)
{
    struct conf *c = conf_new(settings_sections);
    struct command cmd;
    struct settings s;

    assert_int_equal(parse_words(&cmd, (const char *const[]){"-m", "shop.wsgi:app", "-b", ":8000", "-F", "-o",
                                                             "server.workers=2", NULL}),
                     CMDLINE_OK);
    command_configure(&cmd, c);
    settings_fill(&s, c);
    assert_string_equal(errors_of(c), "");
    assert_string_equal(entries_of(c), "[wsgi /] app=shop.wsgi:app; pythonpath=.;[server] bind=:8000; daemonize=no; "
                                       "workers=2;");
    assert_int_equal(s.bind_count, 1);
    assert_string_equal(s.binds[0].text, ":8000");
    assert_string_equal(conf_modules(c, NULL)->prefix, "");
    conf_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_usage_errors),
        cmocka_unit_test(test_too_many_options),
        cmocka_unit_test(test_configure),
    };

    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
