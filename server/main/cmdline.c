/*
 * cmdline.c: the command line.
 *
 * Options that set something are put into the configuration as if they stood in the file, so there is one place that
 * checks values and one that says what is wrong with them.
 */
#include "main/cmdline.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "base/exit_code.h"
#include "main/version.h"

static const char usage_text[] =
    "usage: syncless-server -c FILE [options]\n"
    "       syncless-server -m MODULE:APP [-b ADDRESS] [options]\n"
    "\n"
    "  -c, --config FILE       read the configuration from FILE\n"
    "  -m, --app MODULE:APP    serve a WSGI application at /, without a file\n"
    "  -b, --bind ADDRESS      listen on HOST:PORT, :PORT, [IPV6]:PORT or unix:/path; repeat for more\n"
    "  -o SECTION.KEY=VALUE    set a key, in place of what the file says; repeat for more\n"
    "  -d, --daemonize         go to the background once workers serve\n"
    "  -F, --foreground        stay in the foreground, whatever the file says\n"
    "  -s, --signal SIGNAL     tell the server that runs (by its pidfile): reload, reopen, stop, quit or upgrade\n"
    "  -t, --check             check the configuration and exit; --check=app loads the applications too\n"
    "  -T, --dump-config       show the configuration with all defaults and exit\n"
    "  -v, --version           show the version and exit; -V what it was built from too\n"
    "  -h, --help              show this and exit\n"
    "\n"
    "Exit codes: 0 stopped as asked, 1 run-time failure, 2 usage, 3 workers cannot start, 4 the application cannot be\n"
    "loaded, 78 bad configuration.\n";

static const struct {
    const char *name;
    int signum;
} signals[] = {{"reload", SIGHUP}, {"reopen", SIGUSR1}, {"stop", SIGTERM}, {"quit", SIGQUIT}, {"upgrade", SIGUSR2}};

static int usage_error(const char *what)
{
    if (what)
        fprintf(stderr, "syncless-server: %s\n", what);
    fputs("Try 'syncless-server --help'.\n", stderr);
    return EXIT_USAGE;
}

static int add(const char **list, int *count, const char *value)
{
    if (*count == COMMAND_MOST)
        return usage_error("too many options of one kind");
    list[(*count)++] = value;
    return -1;
}

static int set_signal(struct command *cmd, const char *name)
{
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        if (!strcmp(signals[i].name, name)) {
            cmd->signum = signals[i].signum;
            return -1;
        }
    return usage_error("-s takes reload, reopen, stop, quit or upgrade");
}

static int set_check(struct command *cmd, const char *what)
{
    cmd->check = true;
    cmd->check_app = what;
    return what && strcmp(what, "app") ? usage_error("--check takes nothing or =app") : -1;
}

static int show(const char *text)
{
    fputs(text, stdout);
    return EXIT_STOPPED;
}

/* Take one option. Returns -1 to go on, or the exit code. */
static int take(struct command *cmd, int c, const char *value)
{
    switch (c) {
    case 'c':
        cmd->file = value;
        return -1;
    case 'm':
        cmd->app = value;
        return -1;
    case 'b':
        return add(cmd->binds, &cmd->bind_count, value);
    case 'o':
        return add(cmd->assignments, &cmd->assignment_count, value);
    case 'd':
    case 'F':
        cmd->daemonize = c == 'd';
        return -1;
    case 's':
        return set_signal(cmd, value);
    case 't':
        return set_check(cmd, value);
    case 'T':
        cmd->dump = true;
        return -1;
    case 'v':
        return show(version_line());
    case 'V':
        return show(version_details());
    case 'h':
        return show(usage_text);
    default:
        return usage_error(NULL);
    }
}

int command_parse(struct command *cmd, int argc, char **argv)
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
    int c, code = -1;

    *cmd = (struct command){.argv = argv, .daemonize = -1};
    while (code < 0 && (c = getopt_long(argc, argv, "c:m:b:o:s:dFtTvVh", options, NULL)) != -1)
        code = take(cmd, c, optarg);
    if (code < 0 && optind < argc)
        code = usage_error("there are words on the command line that belong to no option");
    if (code < 0 && !cmd->file && !cmd->app)
        code = usage_error("give a configuration with -c FILE, or an application with -m MODULE:APP");
    return code;
}

void command_configure(const struct command *cmd, struct conf *conf)
{
    char origin[4096];

    if (cmd->file)
        conf_read(conf, cmd->file);
    if (cmd->app)
        conf_set_app(conf, cmd->app);
    for (int i = 0; i < cmd->bind_count; i++) {
        snprintf(origin, sizeof(origin), "-b %s", cmd->binds[i]);
        conf_set_key(conf, origin, "server", "bind", cmd->binds[i]);
    }
    if (cmd->daemonize >= 0)
        conf_set_key(conf, cmd->daemonize ? "-d" : "-F", "server", "daemonize", cmd->daemonize ? "yes" : "no");
    for (int i = 0; i < cmd->assignment_count; i++)
        conf_set(conf, cmd->assignments[i]);
}
