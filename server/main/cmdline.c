/*
 * cmdline.c: the command line.
 *
 * Options that set something are added to the configuration as if they stood in the file, so there is one place that
 * checks values and reports what is wrong with them.
 */
#include "main/cmdline.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "conf/conf.h"

static const char usage_text[] =
    "usage: syncless-server -c FILE [options]\n"
    "       syncless-server -m MODULE:APP [-b ADDRESS] [options]\n"
    "\n"
    "  -c, --config FILE       read the configuration from FILE\n"
    "  -m, --app MODULE:APP    serve a WSGI application at /, without a file\n"
    "  -b, --bind ADDRESS      listen on HOST:PORT, :PORT, [IPV6]:PORT or unix:/path; repeat for more\n"
    "  -o SECTION.KEY=VALUE    set a key, replacing what the file says; repeat for more\n"
    "  -d, --daemonize         run in the background: return when the workers are ready\n"
    "  -F, --foreground        stay in the foreground, whatever the file says\n"
    "  -s, --signal SIGNAL     signal the running server (found by its pidfile): reload, reopen, stop, quit or "
    "upgrade\n"
    "  -t, --check             check the configuration and exit; --check=app loads the applications too\n"
    "  -T, --dump-config       show the configuration with all defaults and exit\n"
    "  -v, --version           show the version and the Python, and exit; -V also shows what it was built from\n"
    "  -h, --help              show this help and exit\n"
    "\n"
    "Exit codes: 0 stopped as requested, 1 failure at run time, 2 usage error, 3 workers cannot start, 4 application\n"
    "cannot be loaded, 78 bad configuration.\n";

static const struct {
    const char *name;
    int signum;
} signals[] = {{"reload", SIGHUP}, {"reopen", SIGUSR1}, {"stop", SIGTERM}, {"quit", SIGQUIT}, {"upgrade", SIGUSR2}};

__attribute__((format(printf, 1, 2))) static enum cmdline_result usage_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("syncless-server: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputs("\nTry 'syncless-server --help'.\n", stderr);
    va_end(ap);
    return CMDLINE_WRONG;
}

static enum cmdline_result add_value(const char **list, int *count, char option, const char *value)
{
    if (*count == CMDLINE_MAX_OPTIONS)
        return usage_error("-%c can be given %d times at most", option, CMDLINE_MAX_OPTIONS);
    list[(*count)++] = value;
    return CMDLINE_OK;
}

static enum cmdline_result set_signal(struct command *cmd, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        if (!strcmp(signals[i].name, name)) {
            cmd->signum = signals[i].signum;
            return CMDLINE_OK;
        }
    return usage_error("-s %s: expected reload, reopen, stop, quit or upgrade", name);
}

static enum cmdline_result set_check(struct command *cmd, const char *what)
{
    cmd->check = true;
    cmd->check_app = what;
    if (what && strcmp(what, "app"))
        return usage_error("--check=%s: expected --check or --check=app", what);
    return CMDLINE_OK;
}

static enum cmdline_result apply_option(struct command *cmd, int c, const char *value)
{
    switch (c) {
    case 'c':
        cmd->file = value;
        return CMDLINE_OK;
    case 'm':
        cmd->app = value;
        return CMDLINE_OK;
    case 'b':
        return add_value(cmd->binds, &cmd->bind_count, 'b', value);
    case 'o':
        return add_value(cmd->assignments, &cmd->assignment_count, 'o', value);
    case 'd':
    case 'F':
        cmd->daemonize = c == 'd';
        return CMDLINE_OK;
    case 's':
        return set_signal(cmd, value);
    case 't':
        return set_check(cmd, value);
    case 'T':
        cmd->dump = true;
        return CMDLINE_OK;
    case 'v':
    case 'V':
        cmd->version = true;
        cmd->version_details = c == 'V';
        return CMDLINE_OK;
    case 'h':
        fputs(usage_text, stdout);
        return CMDLINE_DONE;
    default: /* getopt has reported it */
        fputs("Try 'syncless-server --help'.\n", stderr);
        return CMDLINE_WRONG;
    }
}

/* What is wrong once all options were applied; stray is the first argument that belongs to none, or NULL. */
static enum cmdline_result check_command(const struct command *cmd, const char *stray)
{
    bool has_subject = cmd->file || cmd->app;

    if (stray && has_subject)
        return usage_error("unexpected argument \"%s\": remove it, or write its option in front of it", stray);
    if (stray)
        return usage_error("unexpected argument \"%s\": write -c %s to read it as a configuration, or -m %s to serve "
                           "it as an application",
                           stray, stray, stray);
    if (!has_subject && !cmd->version)
        return usage_error("name a configuration with -c FILE, or an application with -m MODULE:APP");
    return CMDLINE_OK;
}

enum cmdline_result command_parse(struct command *cmd, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"app", required_argument, NULL, 'm'},
        {"bind", required_argument, NULL, 'b'},
        {"check", optional_argument, NULL, 't'},
        {"dump-config", no_argument, NULL, 'T'},
        {"daemonize", no_argument, NULL, 'd'},
        {"foreground", no_argument, NULL, 'F'},
        {"signal", required_argument, NULL, 's'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    enum cmdline_result result = CMDLINE_OK;
    int c;

    *cmd = (struct command){.argv = argv, .daemonize = -1};
    while (result == CMDLINE_OK && (c = getopt_long(argc, argv, "c:m:b:o:s:dFtTvVh", options, NULL)) != -1)
        result = apply_option(cmd, c, optarg);
    return result == CMDLINE_OK ? check_command(cmd, argv[optind]) : result;
}

/* -m MODULE:APP mounts the WSGI application at /, importable from the working directory. */
static void configure_app(struct conf *conf, const char *app)
{
    char origin[4096];

    snprintf(origin, sizeof(origin), "-m %s", app);
    conf_set_key(conf, origin, "wsgi /", "app", app);
    conf_set_key(conf, origin, "wsgi /", "pythonpath", ".");
}

void command_configure(const struct command *cmd, struct conf *conf)
{
    char origin[4096];

    if (cmd->file)
        conf_read(conf, cmd->file);
    if (cmd->app)
        configure_app(conf, cmd->app);
    for (int i = 0; i < cmd->bind_count; i++) {
        snprintf(origin, sizeof(origin), "-b %s", cmd->binds[i]);
        conf_set_key(conf, origin, "server", "bind", cmd->binds[i]);
    }
    if (cmd->daemonize >= 0)
        conf_set_key(conf, cmd->daemonize ? "-d" : "-F", "server", "daemonize", cmd->daemonize ? "yes" : "no");
    for (int i = 0; i < cmd->assignment_count; i++)
        conf_set(conf, cmd->assignments[i]);
}
