/*
 * main.c: the command line.
 *
 * Options are put into the configuration as if they stood in the file, the file is read, every mistake in either is
 * reported at once, and the master takes over.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/settings.h"
#include "exit_code.h"
#include "master.h"
#include "module.h"

#ifndef VERSION
#define VERSION "0.1.0"
#endif

#define MAX_ASSIGNMENTS 100

static const char usage_text[] =
    "usage: syncless-server -c FILE [options]\n"
    "       syncless-server -m MODULE:APP [-b ADDRESS] [options]\n"
    "\n"
    "  -c, --config FILE       read the configuration from FILE\n"
    "  -m, --app MODULE:APP    serve a WSGI application at /, without a file\n"
    "  -b, --bind ADDRESS      listen on HOST:PORT, :PORT, [IPV6]:PORT or unix:/path; repeat for more\n"
    "  -o SECTION.KEY=VALUE    set a key, in place of what the file says; repeat for more\n"
    "  -t, --check             check the configuration and exit\n"
    "  -v, --version           show the version and exit\n"
    "  -h, --help              show this and exit\n"
    "\n"
    "Exit codes: 0 stopped as asked, 1 run-time failure, 2 usage, 3 workers cannot start, 4 the application cannot be\n"
    "loaded, 78 bad configuration.\n";

struct command {
    const char *file, *app;
    const char *binds[MAX_ASSIGNMENTS], *assignments[MAX_ASSIGNMENTS];
    int bind_count, assignment_count;
    bool check;
};

static void say_version(void)
{
    puts("syncless-server " VERSION);
}

static int usage_error(const char *what)
{
    if (what)
        fprintf(stderr, "syncless-server: %s\n", what);
    fputs("Try 'syncless-server --help'.\n", stderr);
    return EXIT_USAGE;
}

static int add(const char **list, int *count, const char *value)
{
    if (*count == MAX_ASSIGNMENTS)
        return usage_error("too many options of one kind");
    list[(*count)++] = value;
    return -1;
}

/* Parse the command line. Returns -1 to go on, or the exit code. */
static int parse(struct command *cmd, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"app", required_argument, NULL, 'm'},
        {"bind", required_argument, NULL, 'b'},
        {"check", no_argument, NULL, 't'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c, code = -1;

    while (code < 0 && (c = getopt_long(argc, argv, "c:m:b:o:tvh", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            cmd->file = optarg;
            break;
        case 'm':
            cmd->app = optarg;
            break;
        case 'b':
            code = add(cmd->binds, &cmd->bind_count, optarg);
            break;
        case 'o':
            code = add(cmd->assignments, &cmd->assignment_count, optarg);
            break;
        case 't':
            cmd->check = true;
            break;
        case 'v':
            say_version();
            return 0;
        case 'h':
            fputs(usage_text, stdout);
            return 0;
        default:
            return usage_error(NULL);
        }
    }
    if (code < 0 && optind < argc)
        code = usage_error("there are words on the command line that belong to no option");
    if (code < 0 && !cmd->file && !cmd->app)
        code = usage_error("give a configuration with -c FILE, or an application with -m MODULE:APP");
    return code;
}

static void configure(struct conf *conf, const struct command *cmd)
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
    for (int i = 0; i < cmd->assignment_count; i++)
        conf_set(conf, cmd->assignments[i]);
}

/* Descriptors 0 to 2 must be open, or the next socket would be taken for standard error. */
static void open_standard_fds(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    struct command cmd = {0};
    struct settings settings;
    struct mount *mounts;
    struct conf *conf;
    int code;

    open_standard_fds();
    code = parse(&cmd, argc, argv);
    if (code >= 0)
        return code;
    conf = conf_new();
    configure(conf, &cmd);
    settings_fill(&settings, conf);
    mounts = modules_load(conf, &settings);
    if (!conf_modules(conf, NULL))
        conf_error(conf, (struct conf_place){0},
                   "there is nothing to serve: add a section such as [static /] or [wsgi /]");
    if (conf_report(conf, stderr) > 0)
        code = EXIT_BADCONF;
    else if (cmd.check)
        code = puts("the configuration is good") < 0 ? EXIT_RUNTIME : EXIT_STOPPED;
    else
        code = master_run(&settings, mounts);
    conf_free(conf);
    return code;
}
