/*
 * main.c: from the command line to the master.
 *
 * The file is read, every mistake in it and in the options is reported at once, and the master takes over; or what is
 * asked for instead is done: a check, a look at the configuration, a signal to a server that runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "main/cmdline.h"
#include "conf/dump.h"
#include "base/exit_code.h"
#include "master/master.h"
#include "process/daemonize.h"
#include "process/inherit.h"
#include "process/notify.h"
#include "process/pidfile.h"
#include "worker/worker.h"

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

/* A caller that ignores SIGCHLD passes that on, and then no end of a child is ever told. */
static void hear_of_children(void)
{
    signal(SIGCHLD, SIG_DFL);
}

static int say(const char *text)
{
    return puts(text) < 0 || fflush(stdout) ? EXIT_RUNTIME : EXIT_STOPPED;
}

/* Load the applications too, with the privileges of a worker. */
static int check_app(const struct generation *g)
{
    int err = worker_prepare(&g->settings, &g->sockets);

    if (!err)
        err = modules_start(g->mounts);
    if (err)
        return err == -ENOEXEC ? EXIT_APP : EXIT_BOOT;
    modules_stop(g->mounts);
    return say("the configuration is good, and the applications can be loaded");
}

static int send_signal(const struct generation *g, int signum)
{
    const char *path = g->settings.process.pidfile;
    pid_t pid;

    if (!path) {
        fputs("syncless-server: -s finds the server by its pidfile: set \"pidfile\" in [server]\n", stderr);
        return EXIT_USAGE;
    }
    pid = pidfile_read(path);
    if (pid > 0 && kill(pid, signum) < 0)
        pid = -errno;
    if (pid > 0)
        return EXIT_STOPPED;
    fprintf(stderr, "syncless-server: no server was found by the pidfile %s: %s\n", path,
            pid == -EINVAL ? "it holds no pid" : strerror(-pid));
    return EXIT_RUNTIME;
}

static int serve(const struct command *cmd, struct generation *g)
{
    inherit_init();
    notify_init();
    if (g->settings.process.daemonize && !inherit_predecessor())
        daemonize(g->settings.log.error_log);
    return master_run(cmd, g);
}

int main(int argc, char **argv)
{
    struct generation *g;
    struct command cmd;
    int code;

    open_standard_fds();
    hear_of_children();
    code = command_parse(&cmd, argc, argv);
    if (code >= 0)
        return code;
    g = generation_load(&cmd);
    if (conf_report(g->conf, stderr) > 0)
        code = EXIT_BADCONF;
    else if (cmd.signum)
        code = send_signal(g, cmd.signum);
    else if (cmd.dump)
        code = generation_dump(g, stdout);
    else if (cmd.check_app)
        code = check_app(g);
    else if (cmd.check)
        code = say("the configuration is good");
    else
        return serve(&cmd, g);
    generation_drop(g);
    return code;
}
