/*
 * main.c: syncless-server, from the command line to the master.
 *
 * The configuration is read and every mistake in it and in the options is reported. Then the master takes over, or what
 * the options ask for instead is done: check the configuration, show it, or send a signal to a running server.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/array.h"
#include "main/check_start.h"
#include "main/cmdline.h"
#include "main/enter.h"
#include "main/migrate.h"
#include "main/programs.h"
#include "main/signal_server.h"
#include "main/version.h"
#include "master/master.h"
#include "process/daemonize.h"
#include "process/inherit.h"
#include "process/notify.h"
#include "worker/worker.h"

/* Open descriptors 0 to 2 if they are closed, or the next socket would be taken for standard error. */
static void open_standard_fds(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* What a parent ignores, we would ignore too. Without SIGCHLD waitid reports no child, and without the others a worker
 * that still loads its application would not stop: a script's `syncless-server &` has no SIGINT and SIGQUIT. */
static void reset_signals(void)
{
    static const int signals[] = {SIGCHLD, SIGINT, SIGQUIT, SIGTERM};

    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        signal(signals[i], SIG_DFL);
}

static int print_result(const char *text)
{
    return puts(text) < 0 || fflush(stdout) ? EXIT_RUNTIME : EXIT_STOPPED;
}

/* Load the applications, with the privileges of a worker. Returns the exit code. */
static int check_applications(const struct generation *g)
{
    int code =
        worker_check(&(struct worker_job){.settings = &g->settings, .mounts = g->mounts, .sockets = &g->sockets});

    if (code != EXIT_STOPPED)
        return code;
    return print_result("the configuration is good, and the applications can be loaded");
}

/* Show the version, and the Python that would serve. Returns the exit code. */
static int show_version(const struct command *cmd)
{
    struct conf *c = conf_new(settings_sections);
    char why[HOST_WHY_SIZE] = "";
    struct settings settings;

    command_configure(cmd, c);
    settings_fill(&settings, c);
    if (!host_entered())
        enter_interpreter(cmd->argv, c, &settings, "wsgi", why);
    fputs(cmd->version_details ? version_details() : version_line(), stdout);
    version_print_python(c, settings.module_path, why);
    conf_free(c);
    return fflush(stdout) ? EXIT_RUNTIME : EXIT_STOPPED;
}

/* Read the configuration. If a section of it needs Python, that is done in an interpreter. */
static struct generation *load_generation(const struct command *cmd)
{
    struct generation *g = generation_load(command_configure, cmd);
    char why[HOST_WHY_SIZE];

    if (!g->unhosted || cmd->signum)
        return g;
    enter_interpreter(cmd->argv, g->conf, &g->settings, g->unhosted->name, why);
    conf_error(g->conf, g->unhosted->place, "[%s] needs Python: %s", g->unhosted->title, why);
    return g;
}

static bool wants_server(const struct command *cmd)
{
    return !cmd->signum && !cmd->dump && !cmd->check;
}

static int start_server(const struct command *cmd, struct generation *g)
{
    inherit_init();
    notify_init();
    if (g->settings.process.daemonize && !inherit_predecessor())
        daemonize(g->settings.log.error_log);
    return master_run(&(struct master_start){cmd->argv, command_configure, cmd, version_details()}, g);
}

/* Do what is asked for instead of starting a server. Returns the exit code. */
static int run_without_server(const struct command *cmd, struct generation *g)
{
    if (cmd->check && g->conf->error_count == 0)
        check_start(g);
    if (conf_report(g->conf, stderr) > 0)
        return EXIT_BADCONF;
    if (cmd->signum)
        return signal_server(0, g->settings.process.pidfile, cmd->signum);
    if (cmd->dump)
        return generation_dump(g, stdout);
    if (cmd->check_app)
        return check_applications(g);
    return print_result("the configuration is good");
}

int syncless_server(int argc, char **argv)
{
    enum cmdline_result result;
    struct generation *g;
    struct command cmd;
    int code;

    open_standard_fds();
    reset_signals();
    result = command_parse(&cmd, argc, argv);
    if (result != CMDLINE_OK)
        return result == CMDLINE_DONE ? EXIT_STOPPED : EXIT_USAGE;
    if (cmd.migrate)
        return migrate_run(cmd.migrate, cmd.app.value);
    if (cmd.version)
        return show_version(&cmd);
    if (cmd.signum && cmd.to)
        return signal_server(cmd.to, NULL, cmd.signum);
    g = load_generation(&cmd);
    if (wants_server(&cmd) && g->conf->error_count == 0)
        return start_server(&cmd, g); /* which logs the warnings */
    code = run_without_server(&cmd, g);
    generation_drop(g);
    return code;
}
