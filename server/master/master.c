/*
 * master.c: the process that keeps workers running.
 *
 * It holds the listening sockets and the configuration, and does nothing else but wait for signals, for what workers
 * say and for times at which something is due. It has no event loop and no threads, so that what it forks is clean:
 * signals are blocked and read from a signalfd, next to the workers' channels, by one poll. It never runs code of an
 * application, and keeps its privileges for the next reload.
 *
 *   HUP   read the configuration anew, and replace the workers one by one     USR1  open the log files anew
 *   USR2  start a new binary beside (successor.c)                             WINCH let the workers end, and stay
 *   TERM  stop: running requests may end         QUIT  the same, gentler      INT   stop at once
 *   TTIN  one worker more                        TTOU  one worker less        a second TERM or QUIT: as INT
 */
#include "master/master.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/exit_code.h"
#include "log/log.h"
#include "master/supervisor.h"
#include "master/upgrade.h"
#include "process/daemonize.h"
#include "process/inherit.h"
#include "process/notify.h"
#include "process/pidfile.h"
#include "process/watch.h"
#include "log/sink.h"
#include "wait/wait.h"

#define SECOND  INT64_C(1000000000)
#define QUIET   (SECOND / 10) /* after the last change of a file, before the reload that it asks for */
#define MOST_MS 3600000       /* of one poll */

enum { POLL_SIGNALS, POLL_CHANGES, POLL_SUPERVISOR };

static struct {
    const struct command *cmd;
    struct pollfd *polls;
    size_t room;   /* in polls */
    char *pidfile; /* owned; that of the start, a reload does not change it */
    sigset_t signals;
    int signal_fd;
    int watch_fd;        /* -1: no files are watched */
    int64_t changed_due; /* a change was seen, and is acted on then; WAIT_FOREVER: none */
    int64_t ping_due;    /* of systemd's watchdog; WAIT_FOREVER: there is none */
    bool stopping;
    bool changing;      /* workers are being started or replaced */
    bool reload_wanted; /* a SIGHUP came meanwhile */
} master;

/* In a child: nothing of the master's stays open. */
static void clean(void)
{
    close(master.signal_fd);
    if (master.watch_fd >= 0)
        close(master.watch_fd);
    daemonize_close();
    supervisor_close_channels();
}

/* ---- stopping ---- */

/* The service stops, unless another master goes on with it. */
static void announce_stop(void)
{
    if (upgrade_pid())
        notify_send("MAINPID=%d", (int)upgrade_pid());
    else
        notify_send("STOPPING=1");
}

static void stop(int signum)
{
    int64_t patience = supervisor_generation()->settings.shutdown_timeout * 1000000;

    log_info("SIG%s: stopping%s", sigabbrev_np(signum), master.stopping || signum == SIGINT ? " at once" : "");
    if (master.stopping)
        signum = SIGINT;
    else
        announce_stop();
    if (signum == SIGINT)
        patience = 0;
    master.stopping = true;
    supervisor_stop(signum, patience);
}

/* ---- reload ---- */

static void watch_files(const struct generation *g)
{
    if (master.watch_fd >= 0)
        close(master.watch_fd);
    master.watch_fd = watch_open(g->settings.process.reload_on_change);
}

/* Read the configuration: one that can be served, or NULL after a message. */
static struct generation *load(void)
{
    struct generation *g = generation_load(master.cmd);
    bool good = g->conf->error_count == 0;

    settings_log_messages(g->conf);
    if (good)
        good = listen_acquire(&g->settings, &g->sockets) == 0 && generation_open_logs(g) == 0;
    if (good)
        return g;
    generation_drop(g);
    generation_open_logs(supervisor_generation());
    log_error("the reload is given up: everything goes on as it was");
    return NULL;
}

static void tell_reloading(void)
{
    notify_send("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(wait_now() / 1000));
}

static void reload(void)
{
    struct generation *g;

    master.reload_wanted = false;
    log_info("reading the configuration anew");
    tell_reloading();
    g = load();
    if (g) {
        supervisor_adopt(g);
        watch_files(g);
    }
    master.changing = true;
}

/* Workers are forked with the logs that are open, so this comes before the next one is. */
static void on_reload_given_up(void)
{
    generation_open_logs(supervisor_generation());
    watch_files(supervisor_generation());
    log_error("the new configuration is given up: its workers cannot start, those of the old one go on");
}

/* Something that was begun has come to its end, well or not. */
static void on_change_done(void)
{
    master.changing = false;
    notify_send("READY=1\nSTATUS=%zu workers serve", supervisor_wanted());
    daemonize_done();
    log_info("all workers are ready");
}

static void reopen_logs(void)
{
    generation_reopen_logs(supervisor_generation(), -1);
    supervisor_reopen_logs();
    log_info("log files are opened anew");
}

/* ---- signals ---- */

static void on_signal(int signum)
{
    switch (signum) {
    case SIGTERM:
    case SIGQUIT:
    case SIGINT:
        stop(signum);
        break;
    case SIGHUP:
        master.reload_wanted = true;
        break;
    case SIGUSR1:
        reopen_logs();
        break;
    case SIGUSR2:
        upgrade_start(master.cmd->argv, master.pidfile, &master.signals);
        break;
    case SIGWINCH:
        log_info("SIGWINCH: the workers end, the master stays");
        supervisor_drain();
        break;
    case SIGTTIN:
    case SIGTTOU:
        supervisor_change_wanted(signum == SIGTTIN ? 1 : -1);
        master.changing = true;
        break;
    }
}

static void read_signals(void)
{
    struct signalfd_siginfo info;

    while (read(master.signal_fd, &info, sizeof(info)) == sizeof(info))
        if (info.ssi_signo != SIGCHLD &&
            (!master.stopping || info.ssi_signo == SIGTERM || info.ssi_signo == SIGQUIT || info.ssi_signo == SIGINT))
            on_signal((int)info.ssi_signo);
}

/* Reap every child that ended; as process 1 of a container those of others too, which nobody else would. */
static void reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (!supervisor_on_exit(pid, status))
            upgrade_on_exit(pid, status);
}

/* ---- the loop ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void ping(int64_t now)
{
    if (now < master.ping_due)
        return;
    if (supervisor_ping() && !master.stopping)
        notify_send("WATCHDOG=1");
    master.ping_due = now + notify_watchdog() / 3;
}

/* While another master lives that has the same sockets, the files of Unix sockets are not ours to remove. */
static void leave_files_of_others(void)
{
    bool predecessor_lives = inherit_predecessor() && inherit_predecessor() == getppid();

    listen_keep_files(upgrade_pid() || predecessor_lives);
}

/* Do what is due. Returns the milliseconds until something else is. */
static int attend(void)
{
    int64_t now = wait_now(), next;

    leave_files_of_others();
    if (now >= master.changed_due) {
        master.changed_due = WAIT_FOREVER;
        log_info("files have changed");
        master.reload_wanted = true;
    }
    if (master.reload_wanted && now >= supervisor_adopts_from() && !master.stopping)
        reload();
    if (supervisor_rolled_back())
        on_reload_given_up();
    ping(now);
    next = supervisor_step();
    if (master.changing && !master.stopping && supervisor_state() == SUPERVISOR_STEADY)
        on_change_done();
    if (master.reload_wanted && !master.stopping)
        next = earlier(next, supervisor_adopts_from());
    sink_flush(log_sink());
    next = earlier(next, earlier(master.changed_due, master.ping_due));
    if (next == WAIT_FOREVER)
        return -1;
    next = (next - wait_now() + 999999) / 1000000;
    return next < 0 ? 0 : next > MOST_MS ? MOST_MS : (int)next;
}

static size_t fill_polls(void)
{
    size_t count = POLL_SUPERVISOR + supervisor_polls(NULL, 0);

    if (count > master.room) {
        master.room = 2 * count;
        master.polls = xrealloc(master.polls, master.room * sizeof(*master.polls));
    }
    master.polls[POLL_SIGNALS] = (struct pollfd){.fd = master.signal_fd, .events = POLLIN};
    master.polls[POLL_CHANGES] = (struct pollfd){.fd = master.watch_fd, .events = POLLIN};
    supervisor_polls(master.polls + POLL_SUPERVISOR, master.room - POLL_SUPERVISOR);
    return count;
}

static void wait_for_events(int timeout)
{
    size_t count = fill_polls();

    if (poll(master.polls, count, timeout) < 0)
        return;
    for (size_t i = POLL_SUPERVISOR; i < count; i++)
        if (master.polls[i].revents)
            supervisor_on_readable(master.polls[i].fd);
    if (master.polls[POLL_CHANGES].revents && watch_read(master.watch_fd))
        master.changed_due = wait_now() + QUIET;
    if (master.polls[POLL_SIGNALS].revents)
        read_signals();
    reap();
}

static void run(void)
{
    master.changing = true;
    for (;;) {
        int timeout = attend();

        if ((master.stopping || supervisor_state() == SUPERVISOR_FAILED) && !supervisor_has_workers())
            return;
        wait_for_events(timeout);
    }
}

/* ---- life ---- */

static void open_signals(void)
{
    static const int signals[] = {SIGCHLD, SIGTERM, SIGINT,   SIGQUIT, SIGHUP,
                                  SIGUSR1, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU};

    sigemptyset(&master.signals);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaddset(&master.signals, signals[i]);
    sigprocmask(SIG_BLOCK, &master.signals, NULL);
    signal(SIGPIPE, SIG_IGN); /* a log that nobody reads is no reason to end */
    master.signal_fd = signalfd(-1, &master.signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (master.signal_fd < 0)
        log_die("cannot make a signalfd: %m");
}

/* Bind, and take the process's place. 0 or -errno after a message. */
static int begin(struct generation *g)
{
    int err;

    leave_files_of_others(); /* should we fail */
    err = listen_acquire(&g->settings, &g->sockets);
    inherit_close();
    if (g->settings.process.pidfile)
        master.pidfile = xstrdup(g->settings.process.pidfile);
    if (!err && master.pidfile && (err = pidfile_write(master.pidfile)))
        log_error("cannot write the pidfile %s: %s", master.pidfile, strerror(-err));
    return err;
}

static void end(void)
{
    if (master.pidfile) {
        pidfile_remove(master.pidfile);
        pidfile_remove_aside(master.pidfile);
    }
    log_info("stopped");
    log_drain();
}

int master_run(const struct command *cmd, struct generation *g)
{
    struct generation *last = g;
    int code = EXIT_RUNTIME;

    master.cmd = cmd;
    master.watch_fd = -1;
    master.changed_due = WAIT_FOREVER;
    master.ping_due = notify_watchdog() ? wait_now() : WAIT_FOREVER;
    if (generation_open_logs(g) < 0)
        goto out;
    settings_log_messages(g->conf);
    daemonize_release_stderr();
    open_signals(); /* before we say that we listen: who reads that may send one */
    if (begin(g) < 0)
        goto out;
    supervisor_init(clean);
    supervisor_adopt(g);
    watch_files(g);
    run();
    code = supervisor_exit_code();
    last = supervisor_generation();
    end();
out:
    generation_retire(last);
    free(master.pidfile);
    free(master.polls);
    return code;
}
