/*
 * test_cmdline.c: the command line to a command, and a command to a configuration.
 */
#include <signal.h>

#include "conf_test.h"
#include "main/cmdline.h"
#include "main/subject.h"

#define MAX_WORDS 20

/* Parse words, which end with NULL; what is written to standard error goes to the file "err". */
static enum cmdline_result parse_words(struct command *cmd, const char *const *words)
{
    static char *argv[2 * CMDLINE_MAX_OPTIONS + 10];
    enum cmdline_result result;
    int argc = 1;
    int saved = dup(STDERR_FILENO);

    argv[0] = "syncless-server";
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    argv[argc] = NULL;
    assert_non_null(freopen("err", "w", stderr));
    optind = 0; /* glibc: start again */
    result = command_parse(cmd, argc, argv);
    fflush(stderr);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    return result;
}

static const char *written(char text[4000])
{
    FILE *in = fopen("err", "r");
    size_t size = fread(text, 1, 3999, in);

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
    assert_null(cmd.app.value);
    assert_int_equal(cmd.option_count, 3);
    assert_string_equal(cmd.options[1].value, ":2");
    assert_int_equal(cmd.daemonize, 1);
    assert_true(cmd.check && cmd.check_app);
    assert_int_equal(cmd.signum, SIGHUP);
}

/* ---- what is set ---- */

/* The entries of the configuration that the words make, or the errors. */
static const char *entries_for(struct conf *c, const char *const *words)
{
    struct command cmd;
    char text[4000];

    if (parse_words(&cmd, words) != CMDLINE_OK)
        return arena_printf(&c->arena, "%s", written(text));
    command_configure(&cmd, c);
    return c->error_count ? errors_of(c) : entries_of(c);
}

struct words_row {
    const char *words[MAX_WORDS], *entries;
};

static void check_rows(const struct words_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct conf *c = conf_new(settings_sections);

        assert_string_equal(entries_for(c, rows[i].words), rows[i].entries);
        conf_free(c);
    }
}

static void test_applications(void **state)
{
    static const struct words_row rows[] = {
        {{"shop"}, "[wsgi /] app=shop;"},
        {{"shop.wsgi"}, "[wsgi /] app=shop.wsgi;"},
        {{"shop.wsgi:application"}, "[wsgi /] app=shop.wsgi:application;"},
        {{"shop:create_app('/a.ini', x=1)"}, "[wsgi /] app=shop:create_app('/a.ini', x=1);"},
        {{"-m", "shop:app"}, "[wsgi /] app=shop:app;"},
        {{"--app", "shop:app"}, "[wsgi /] app=shop:app;"},
        {{"app.py"}, "[wsgi /] app=app.py;"},
        {{"src/app.py:app"}, "[wsgi /] app=src/app.py:app;"},
        {{"/srv/shop/app.wsgi"}, "[wsgi /] app=/srv/shop/app.wsgi;"},
        {{"--module", "shop", "--callable", "app"}, "[wsgi /] app=shop:app;"},
        {{"--callable=app", "--wsgi-file=dir/shop.py"}, "[wsgi /] app=dir/shop.py:app;"},
        {{"--wsgi-file", "shop.wsgi"}, "[wsgi /] app=./shop.wsgi;"},
        {{"--module", "shop:app", "--callable", "other"}, "[wsgi /] app=shop:app;"},
        {{"shop:make", "--factory"}, "[wsgi /] app=shop:make();"},
        {{"shop:make()", "--factory"}, "[wsgi /] app=shop:make();"},
        {{"shop", "--factory"}, "--factory: name the factory, as in shop:create_app\n"},
        {{"no-file.ini"}, "cannot read no-file.ini: No such file or directory\n"},
        {{"shop.ini"}, "[hello /]"},
        {{"shop.ini", "shop:app"}, "[hello /][wsgi /] app=shop:app;[wsgi] pythonpath=.;"},
        {{"-c", "shop.ini", "shop:app"}, "[hello /][wsgi /] app=shop:app;[wsgi] pythonpath=.;"},
        {{"-c", "shop.ini", "shop:app", "--chdir", "x"}, "[hello /][wsgi] chdir=x;[wsgi /] app=shop:app;"},
    };

    put_ini_file("shop.ini", "[hello /]\n");
    check_rows(rows, ARRAY_SIZE(rows));
}

static void test_options(void **state)
{
    static const struct words_row rows[] = {
        {{"a:b", "-b", ":8000", "-F", "-o", "server.workers=2"},
         "[server] daemonize=no; bind=:8000; workers=2;[wsgi /] app=a:b;"},
        {{"a:b", "-w", "4"}, "[server] workers=4;[wsgi /] app=a:b;"},
        {{"-w4", "a:b"}, "[server] workers=4;[wsgi /] app=a:b;"},
        {{"a:b", "--workers", "auto", "--bind=:1", "-b", ":2"},
         "[server] workers=auto; bind=:1; bind=:2;[wsgi /] app=a:b;"},
        {{"a:b", "--workers=4"}, "[server] workers=4;[wsgi /] app=a:b;"},
        {{"a:b", "-e", "A=b=c", "--env", "D="}, "[wsgi] env=A=b=c; env=D=;[wsgi /] app=a:b;"},
        {{"a:b", "-D", "-u", "me", "-g", "us", "--umask", "027", "--pid", "p"},
         "[server] daemonize=yes; user=me; group=us; umask=027; pidfile=p;[wsgi /] app=a:b;"},
        {{"a:b", "--access-logfile", "-", "--error-logfile", "/e", "--log-level", "WARNING"},
         "[log] access-log=-; error-log=/e; level=warn;[wsgi /] app=a:b;"},
        {{"a:b", "--log-level", "critical", "--log-file=-"}, "[log] level=error; error-log=-;[wsgi /] app=a:b;"},
        {{"a:b", "--log-level", "loud"}, "[log] level=loud;[wsgi /] app=a:b;"},
        {{"a:b", "--preload", "--max-requests", "9", "--max-requests-jitter", "2", "--graceful-timeout", "5"},
         "[server] preload=yes; max-requests=9; max-requests-jitter=2; shutdown-timeout=5;[wsgi /] app=a:b;"},
        {{"a:b", "--keep-alive", "5", "--limit-request-fields", "50", "--limit-request-line", "4094"},
         "[limits] keepalive-timeout=5; max-headers=50; max-request-line=4094;[wsgi /] app=a:b;"},
        {{"a:b", "--forwarded-allow-ips", "10.0.0.1,::1"},
         "[server] trusted-proxies=10.0.0.1; trusted-proxies=::1;[wsgi /] app=a:b;"},
        {{"a:b", "--forwarded-allow-ips=*"},
         "[server] trusted-proxies=0.0.0.0/0; trusted-proxies=::/0; trusted-proxies=unix;[wsgi /] app=a:b;"},
        {{"a:b", "--chdir", "src", "--pythonpath", "x,,y"},
         "[wsgi] chdir=src; pythonpath=x; pythonpath=y;[wsgi /] app=a:b;"},
        {{"a:b", "--reload"}, "[server] reload-on-change=.;[wsgi /] app=a:b;"},
        {{"a:b", "--reload", "--chdir", "src", "--reload-extra-file", "x"},
         "[server] reload-on-change=src; reload-on-change=x;[wsgi] chdir=src;[wsgi /] app=a:b;"},
        {{"a:b", "--py-autoreload", "1"}, "[server] reload-on-change=.;[wsgi /] app=a:b;"},
        {{"a:b", "--py-autoreload", "0"}, "[wsgi /] app=a:b;"},
        /* uvicorn */
        {{"a:b", "--host", "0.0.0.0", "--port", "80"}, "[server] bind=0.0.0.0:80;[wsgi /] app=a:b;"},
        {{"a:b", "--port=80"}, "[server] bind=127.0.0.1:80;[wsgi /] app=a:b;"},
        {{"a:b", "--host", "::1"}, "[server] bind=[::1]:8080;[wsgi /] app=a:b;"},
        {{"a:b", "--host", "[::]"}, "[server] bind=[::]:8080;[wsgi /] app=a:b;"},
        {{"a:b", "--uds", "/run/a"}, "[server] bind=unix:/run/a;[wsgi /] app=a:b;"},
        {{"a:b", "--timeout-keep-alive", "3", "--limit-max-requests", "8", "--app-dir", "src"},
         "[limits] keepalive-timeout=3;[server] max-requests=8;[wsgi] pythonpath=src;[wsgi /] app=a:b;"},
        /* uWSGI */
        {{"--http", ":80", "--http-socket", "/run/a", "--processes", "4", "-H", "v", "--module", "a:b"},
         "[server] bind=:80; bind=unix:/run/a; workers=4;[wsgi] virtualenv=v;[wsgi /] app=a:b;"},
        {{"--harakiri", "30", "--reload-on-rss", "100", "--chmod-socket", "660", "--uid=me", "a:b"},
         "[limits] request-timeout=30;[server] max-rss=100m; socket-mode=660; user=me;[wsgi /] app=a:b;"},
        /* our own keys */
        {{"a:b", "--request-timeout", "30s", "--error-log=syslog", "--stack-size", "1m", "--max_body_size", "5m"},
         "[limits] request-timeout=30s; max-body-size=5m;[log] error-log=syslog;[server] stack-size=1m;[wsgi /] "
         "app=a:b;"},
        {{"a:b", "--umask", "22"}, "--umask 22: expected an octal number that begins with 0, such as 027\n"},
        {{"a:b", "-o", "x"}, "-o x: expected SECTION.KEY=VALUE, as in -o server.workers=4\n"},
    };

    check_rows(rows, ARRAY_SIZE(rows));
}

/* A relative path of a socket begins at the working directory. */
static void test_relative_socket(void **state)
{
    struct conf *c = conf_new(settings_sections);

    assert_string_equal(entries_for(c, (const char *const[]){"a:b", "--uds", "s", NULL}),
                        arena_printf(&c->arena, "[server] bind=unix:%s/s;[wsgi /] app=a:b;", c->cwd));
    conf_free(c);
}

/* Errors about values name the option as it was given. */
static void test_origins(void **state)
{
    static const struct words_row rows[] = {
        {{"a:b", "-w", "2000"}, "-w 2000: \"workers = 2000\": expected 1 to 1024, or auto\n"},
        {{"a:b", "--workers=0"}, "--workers=0: \"workers = 0\": expected 1 to 1024, or auto\n"},
        {{"a:b", "--http", "80"},
         "--http 80: \"bind = 80\": expected HOST:PORT, :PORT, [IPv6]:PORT, unix:/path or unix:@name\n"},
        {{"a:b", "-b", "fd://3"}, "-b fd://3: \"bind = fd://3\": expected a port of 0 to 65535 after the last \":\"\n"},
        {{"a:b", "--port", "x"},
         "--port x: \"bind = 127.0.0.1:x\": expected a port of 0 to 65535 after the last \":\"\n"},
        {{"a:b", "--host", "x", "--port", "1"},
         "--host x --port 1: \"bind = x:1\": expected a numeric address, localhost or * before the port (IPv6 in "
         "brackets); names are not resolved\n"},
        {{"a:b", "-w", "1", "--workers", "2"}, "--workers 2: \"workers\" is given twice; first at -w 1\n"},
        {{"a:b", "--log-level", "loud"}, "--log-level loud: \"level = loud\": expected error, warn, info or debug\n"},
        {{"a:b", "--request-timeout", "x"},
         "--request-timeout x: \"request-timeout = x\": expected a duration such as 500ms, 10s, 5m, 1h or 1d\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct conf *c = conf_new(settings_sections);
        struct settings s;
        struct command cmd;

        assert_int_equal(parse_words(&cmd, rows[i].words), CMDLINE_OK);
        command_configure(&cmd, c);
        settings_fill(&s, c);
        assert_string_equal(errors_of(c), rows[i].entries);
        conf_free(c);
    }
}

/* ---- what is refused ---- */

static void test_usage_errors(void **state)
{
    static const struct words_row rows[] = {
        {{NULL}, "name an application, MODULE:APP, or a configuration, -c FILE\n"},
        {{"-c", "a.ini", "foo"}, "unexpected argument \"foo\": remove it, or write its option in front of it\n"},
        {{"foo", "-c", "a.ini"}, "unexpected argument \"foo\": remove it, or write its option in front of it\n"},
        {{"a:b", "c:d"}, "two applications, a:b and c:d: write a file with a section for each, and name it with -c\n"},
        {{"a:b", "--module", "c"},
         "two applications, c and a:b: write a file with a section for each, and name it with -c\n"},
        {{"-c", "a.ini", "b.ini"}, "two configurations, a.ini and b.ini: write \"include = b.ini\" into the first\n"},
        {{"--check", "app"}, "--check app: write --check=app\n"},
        {{"--check=all"}, "--check=all: expected --check or --check=app\n"},
        {{"-s", "restart"}, "-s restart: expected reload, reopen, stop, quit or upgrade\n"},
        {{"-s", "/run/x"},
         "-s /run/x: expected reload, reopen, stop, quit or upgrade; an address to listen on is -b ADDRESS\n"},
        {{"reload"}, "reload: write -s reload to signal a running server\n"},
        {{"-c", "a.ini", "stop"}, "stop: write -s stop to signal a running server\n"},
        /* options that are none */
        {{"-x"}, "unknown option -x\n"},
        {{"--check", "-zd", "a:b"}, "unknown option -z\n"},
        {{"--nonsense"}, "unknown option --nonsense\n"},
        {{"--wrokers=4"}, "unknown option --wrokers=4; did you mean --workers?\n"},
        {{"--accesslogfile", "x"}, "unknown option --accesslogfile; did you mean --access-logfile?\n"},
        {{"--forground"}, "unknown option --forground; did you mean --foreground?\n"},
        {{"-b"}, "-b needs a value\n"},
        {{"--bind"}, "--bind needs a value\n"},
        {{"a:b", "--workers"}, "--workers needs a value\n"},
        {{"--reload=x"}, "--reload=x: --reload takes no value\n"},
        {{"--foreground=x"}, "--foreground=x: it takes no value\n"},
        {{"--daemonize=/x"}, "--daemonize=/x: it takes no value; the log is named by --error-log FILE\n"},
        /* letters that mean something else */
        {{"-t", "30", "a:b"},
         "-t 30: -t is --check and takes no value; write --request-timeout 30 for the time that a "
         "request may take\n"},
        {{"-m", "007", "a:b"}, "-m 007: -m names the application, MODULE:APP; a umask is --umask 007\n"},
        {{"-w", "a:b"}, "-w a:b: -w is the number of workers; name the application without an option\n"},
        {{"-p", "80", "a:b"}, "-p has several meanings: write --pid FILE, --port PORT or --workers N\n"},
        {{"-k", "gevent", "a:b"}, "-k: leave it out: every request runs on a coroutine\n"},
        /* all that is wrong is reported */
        {{"a:b", "--timeout", "30", "--master", "-w", "4", "--threads=8", "--ssl-keyfile", "x"},
         "--timeout: write -o limits.request-timeout=30: it ends a request that takes longer; "
         "\"worker-timeout\" in [server] ends a worker that is silent for that long\n"
         "syncless-server: --master: leave it out: there is always a master process\n"
         "syncless-server: --threads=8: leave it out: every request runs on a coroutine (\"threads\" in [server] is "
         "for "
         "calls that cannot wait on one)\n"
         "syncless-server: --ssl-keyfile: there is no TLS: put nginx or HAProxy in front\n"},
        {{"--socket", "/x"},
         "--socket: write -o server.bind=VALUE: it speaks HTTP, not the uwsgi protocol: in nginx "
         "write proxy_pass for uwsgi_pass\n"},
        {{"--mount", "/x=a"},
         "--mount: here it is \"app\" in [wsgi /prefix]: each prefix is a section, [wsgi "
         "/prefix]\n"},
        {{"--access-log", "a:b"},
         "--access-log: write -o log.access-log=VALUE: it is stdout, stderr, syslog, journal, a file or |COMMAND\n"},
        /* files that are not ours */
        {{"-c", "gunicorn.conf.py"},
         "-c gunicorn.conf.py: a configuration is an ini file: \"syncless-server --migrate "
         "gunicorn.conf.py\" converts gunicorn's\n"},
        {{"-c", "python:conf"},
         "-c python:conf: a configuration is an ini file: \"syncless-server --migrate "
         "python:conf\" converts gunicorn's\n"},
        {{"--config", "x.yml"},
         "-c x.yml: a configuration is an ini file: \"syncless-server --migrate x.yml\" converts "
         "uWSGI's\n"},
        {{"d/gunicorn_config.py"},
         "d/gunicorn_config.py: it is gunicorn's configuration: \"syncless-server --migrate "
         "d/gunicorn_config.py\" converts it\n"},
        {{"uwsgi.xml"}, "uwsgi.xml: a configuration is an ini file\n"},
        {{"a/b"}, "a/b: write MODULE:APP or FILE.py:APP for an application, FILE.ini for a configuration\n"},
        /* directories */
        {{"empty"}, "empty: it is a directory: name the application in it, MODULE:APP or FILE.py:APP\n"},
        {{"project"}, "project: it is a directory: name the application in it, such as project/shop/wsgi.py\n"},
        {{"project/"}, "project/: it is a directory: name the application in it, such as project/shop/wsgi.py\n"},
        {{"project/shop"},
         "project/shop: it is a directory: name the application in it, such as project/shop/wsgi.py\n"},
    };
    char text[4000], want[4000];
    struct command cmd;

    assert_int_equal(system("mkdir -p empty project/shop && touch project/shop/wsgi.py"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(parse_words(&cmd, rows[i].words), CMDLINE_WRONG);
        snprintf(want, sizeof(want), "syncless-server: %sTry 'syncless-server --help'.\n", rows[i].entries);
        assert_string_equal(written(text), want);
    }
}

/* A directory that is a package may be meant as one. */
static void test_package(void **state)
{
    char text[1000];

    assert_int_equal(system("mkdir -p package && touch package/__init__.py"), 0);
    assert_int_equal(subject_of("package", text, sizeof(text)), SUBJECT_APP);
    assert_int_equal(subject_of("./package", text, sizeof(text)), SUBJECT_WRONG);
    assert_int_equal(subject_of("package/", text, sizeof(text)), SUBJECT_WRONG);
}

static void test_too_many_options(void **state)
{
    const char *words[2 * CMDLINE_MAX_OPTIONS + 5] = {"-c", "a.ini"};
    char text[4000];
    struct command cmd;

    for (int i = 0; i < CMDLINE_MAX_OPTIONS; i++) {
        words[2 * i + 2] = "-b";
        words[2 * i + 3] = ":80";
    }
    assert_int_equal(parse_words(&cmd, words), CMDLINE_OK);
    words[2 * CMDLINE_MAX_OPTIONS + 2] = "-b";
    words[2 * CMDLINE_MAX_OPTIONS + 3] = ":80";
    assert_int_equal(parse_words(&cmd, words), CMDLINE_WRONG);
    assert_non_null(strstr(written(text), "more than 200 options that set something: write them into a file\n"));
}

static void test_migrate(void **state)
{
    struct command cmd;

    assert_int_equal(parse_words(&cmd, (const char *const[]){"--migrate", "uwsgi.ini", NULL}), CMDLINE_OK);
    assert_string_equal(cmd.migrate, "uwsgi.ini");
    assert_null(cmd.app.value);
    assert_int_equal(parse_words(&cmd, (const char *const[]){"--migrate=gunicorn.conf.py", "a:b", NULL}), CMDLINE_OK);
    assert_string_equal(cmd.migrate, "gunicorn.conf.py");
    assert_string_equal(cmd.app.value, "a:b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command), cmocka_unit_test(test_applications),
        cmocka_unit_test(test_options), cmocka_unit_test(test_relative_socket),
        cmocka_unit_test(test_origins), cmocka_unit_test(test_usage_errors),
        cmocka_unit_test(test_package), cmocka_unit_test(test_too_many_options),
        cmocka_unit_test(test_migrate),
    };

    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
