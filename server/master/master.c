/*
 * master.c: the process that keeps workers running.
 *
 * It holds the listen sockets and the configuration, and only waits: for signals, for messages of workers and for the
 * time at which something is due. It has no event loop and no threads, so that what it forks is clean: signals are
 * blocked and read from a signalfd, which one poll() watches together with the channels of the workers. It never runs
 * code of an application, and keeps its privileges for the next reload.
 *
 *   HUP   reload: read the configuration and replace the workers       USR1   reopen the log files
 *   USR2  start a new binary beside this one (upgrade.c)                WINCH  stop the workers, but not the master
 *   TERM  stop: running requests may end        QUIT  the same, gentler        INT   stop at once
 *   TTIN  one worker more                       TTOU  one worker less          a second TERM or QUIT: as INT
 *   RTMIN+1  have the workers write their running requests to the log
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

#include "base/array.h"
#include "base/exit_code.h"
#include "base/mem.h"
#include "http/share/seats.h"
#include "access/access.h"
#include "log/log.h"
#include "log/log_program.h"
#include "log/log_target.h"
#include "log/sink.h"
#include "master/about.h"
#include "master/asked.h"
#include "master/control.h"
#include "master/supervisor.h"
#include "master/upgrade.h"
#include "master/workers.h"
#include "metrics/metrics_table.h"
#include "metrics/statsd.h"
#include "process/daemonize.h"
#include "process/inherit.h"
#include "process/notify.h"
#include "process/open_files.h"
#include "process/pidfile.h"
#include "process/prometheus_dir.h"
#include "process/reload_state.h"
#include "process/sandbox/sandbox.h"
#include "process/watch.h"
#include "wait/wait.h"
#include "worker/stack_report.h"

#define SECOND        INT64_C(1000000000)
#define SETTLE_TIME   (SECOND / 10) /* between the last change of a watched file and the reload */
#define PROGRAMS_TIME 500           /* milliseconds for the programs of logs to end, when the server does */
#define MAX_POLL      3600000       /* milliseconds of one poll() */

enum { POLL_SIGNALS, POLL_CHANGES, POLL_SUPERVISOR };

static struct {
    const struct master_start *start;
    struct pollfd *polls; /* owned */
    size_t capacity;      /* of polls */
    char *pidfile;        /* owned; that of the start, since a reload does not change it; NULL: none */
    sigset_t signals;
    int signal_fd;
    int watch_fd;        /* -1: no files are watched */
    int64_t changed_due; /* CLOCK_MONOTONIC nanoseconds at which to reload for a changed file; WAIT_FOREVER: none */
    int64_t ping_due; /* CLOCK_MONOTONIC nanoseconds of the next message for systemd's watchdog; WAIT_FOREVER: none */
    int64_t started;  /* CLOCK_MONOTONIC nanoseconds */
    bool stopping;
    int draining;       /* the signal that stops workers at drain_due; 0: none */
    int64_t drain_due;  /* CLOCK_MONOTONIC nanoseconds; WAIT_FOREVER: not */
    bool changing;      /* workers are being started or replaced */
    bool reload_wanted; /* by a SIGHUP or a changed file */
    bool is_change;     /* by a changed file: workers with the old code are to leave soon */
} master;

/* In a forked child: close what belongs to the master. */
static void close_inherited(void)
{
    close(master.signal_fd);
    if (master.watch_fd >= 0)
        close(master.watch_fd);
    daemonize_close();
    supervisor_close_channels();
    reload_state_close();
    control_forget();
    metrics_close_file();
    statsd_forget();
    log_programs_close();
}

/* ---- stopping ---- */

static bool has_older_master(void)
{
    return inherit_predecessor() && inherit_predecessor() == getppid();
}

/* Whether another master with the same sockets lives, an older or a newer one. */
static bool is_one_of_two(void)
{
    return upgrade_pid() || has_older_master();
}

/* Refuse new connections from now on, unless somebody else serves our sockets, or will. */
static void stop_listening(void)
{
    if (!is_one_of_two() && !inherit_activated())
        listen_stop(workers_pass);
}

static void master_stop(int signum)
{
    int64_t timeout = supervisor_generation()->settings.shutdown_timeout * 1000000;

    if (!master.stopping)
        stop_listening();
    log_info("SIG%s: stopping%s", sigabbrev_np(signum), master.stopping || signum == SIGINT ? " at once" : "");
    if (master.stopping)
        signum = SIGINT;
    else if (upgrade_pid()) /* the service does not stop: the new master goes on with it */
        notify_send("MAINPID=%d", (int)upgrade_pid());
    else
        notify_send("STOPPING=1");
    if (signum == SIGINT)
        timeout = 0;
    master.stopping = true;
    supervisor_stop(signum, timeout);
}

/* ---- reload ---- */

static void watch_files(const struct generation *g)
{
    if (master.watch_fd >= 0)
        close(master.watch_fd);
    master.watch_fd = watch_open(&(struct watch_spec){.paths = g->settings.process.reload_on_change,
                                                      .files = g->conf->files,
                                                      .patterns = g->settings.process.reload_patterns});
}

/* What the configuration makes us warn of, and that nobody has chosen a user for code of applications. */
static void log_warnings(const struct generation *g)
{
    settings_log_messages(g->conf);
    if (geteuid() == 0 && !g->settings.process.user)
        log_warn("the workers run as root: set \"user\" in [server], or start the server as another user");
    open_files_check(g->settings.http.max_connections);
    sandbox_check(&g->settings.process);
}

/* exit_code: of a server that was started with the new configuration. */
static void on_reload_failed(int exit_code, const char *reason)
{
    log_error("reload failed, keeping the old configuration: %s", reason);
    reload_state_end(exit_code, reason);
    if (metrics_of_master())
        metrics_add(&metrics_of_master()->failed_reloads, 1);
    control_reload_is_over(exit_code, reason);
}

/* A folder that is there already is in use. Returns 0, or -errno after a message. */
static int adopt_prometheus_dir(const struct generation *g)
{
    const char *path = g->settings.process.prometheus_dir;
    const char *before = supervisor_generation()->settings.process.prometheus_dir;

    return path && before && !strcmp(path, before) ? 0 : prometheus_dir_prepare(&g->settings.process);
}

/* Read the configuration and open its sockets and logs. Returns NULL after a message. */
static struct generation *open_generation(void)
{
    struct generation *g = generation_load(master.start->configure, master.start->cmd);
    char reason[LOG_KEPT] = "";
    int code = EXIT_BADCONF;
    bool good;

    if (g->unhosted)
        conf_error(g->conf, g->unhosted->place,
                   "[%s] needs Python, and this server was started without: upgrade it (SIGUSR2), or start it anew",
                   g->unhosted->title);
    good = g->conf->error_count == 0;
    log_keep_error(reason);
    log_warnings(g);
    if (good) {
        code = EXIT_RUNTIME;
        good = listen_acquire(&g->settings, &g->sockets) == 0 && generation_open_logs(g) == 0 &&
               control_open(g->settings.process.control) == 0 && adopt_prometheus_dir(g) == 0;
    }
    log_keep_error(NULL);
    if (good)
        return g;
    generation_drop(g);
    generation_open_logs(supervisor_generation());
    on_reload_failed(code, reason);
    return NULL;
}

static void master_reload(void)
{
    struct generation *g;

    master.reload_wanted = false;
    master.changing = true;
    if (master.draining == SIGWINCH) { /* the service goes on */
        master.draining = 0;
        master.drain_due = WAIT_FOREVER;
        workers_drain(false);
    }
    reload_state_begin();
    if (metrics_of_master())
        metrics_add(&metrics_of_master()->reloads, 1);
    log_info("reloading configuration");
    notify_send("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(wait_now() / 1000));
    g = open_generation();
    if (g) {
        g->replaces_fast = master.is_change;
        supervisor_adopt(g);
        watch_files(g);
    }
    master.is_change = false;
}

/* Workers are forked with the logs that are open, so this is called before the next one is. */
static void on_rollback(int exit_code)
{
    generation_open_logs(supervisor_generation());
    control_open(supervisor_generation()->settings.process.control);
    watch_files(supervisor_generation());
    on_reload_failed(exit_code, exit_code == EXIT_APP ? "no worker could start with the new one, since the application "
                                                        "cannot be loaded; the log says why"
                                                      : "no worker could start with the new one; the log says why");
}

/* A start, a reload or another change of the workers is complete, or has failed. */
static void on_steady(void)
{
    const char *failure;

    master.changing = false;
    reload_state_end(0, NULL);
    if (!master.reload_wanted)
        control_reload_is_over(0, NULL);
    failure = reload_state_failure();
    notify_send("READY=1\nSTATUS=%zu workers serving%s%s", supervisor_wanted(),
                failure ? " the old configuration: the last reload failed: " : "", failure ? failure : "");
    daemonize_done();
    if (failure)
        log_error("all workers are ready, with the old configuration: the last reload failed: %s", failure);
    else
        log_info("all workers are ready");
}

static void master_reopen_logs(void)
{
    generation_reopen_logs(supervisor_generation(), -1);
    supervisor_reopen_logs();
    log_info("log files reopened");
}

/* ---- signals ---- */

/* Whether the signal stops workers later: balancers first see that nothing here is ready any more. A second one does so
 * at once. */
static bool drains_first(int signum)
{
    int64_t delay = supervisor_generation()->settings.process.drain_delay;

    if ((signum != SIGTERM && signum != SIGQUIT && signum != SIGWINCH) || !delay || master.draining || master.stopping)
        return false;
    log_info("SIG%s: not ready from now on; stopping in %lld.%03lld s (drain-delay)", sigabbrev_np(signum),
             (long long)(delay / 1000), (long long)(delay % 1000));
    master.draining = signum;
    master.drain_due = wait_now() + delay * 1000000;
    workers_drain(true);
    return true;
}

static void on_master_signal(int signum)
{
    if (drains_first(signum))
        return;
    if (signum == STACK_SIGNAL) { /* it is no constant */
        workers_tell_requests();
        return;
    }
    switch (signum) {
    case SIGTERM:
    case SIGQUIT:
    case SIGINT:
        master_stop(signum);
        break;
    case SIGHUP:
        master.reload_wanted = true;
        break;
    case SIGUSR1:
        master_reopen_logs();
        break;
    case SIGUSR2:
        upgrade_start(master.start->argv, master.pidfile, &master.signals);
        break;
    case SIGWINCH:
        log_info("SIGWINCH: stopping all workers, but not the master");
        supervisor_drain();
        break;
    case SIGTTIN:
    case SIGTTOU:
        supervisor_change_wanted(signum == SIGTTIN ? 1 : -1);
        master.changing = true;
        break;
    }
}

/* drain-delay is over. */
static void end_drain_delay(void)
{
    master.drain_due = WAIT_FOREVER;
    if (!master.stopping)
        on_master_signal(master.draining);
}

/* A master that stops does nothing else. */
static void master_obey(int signum)
{
    if (signum != SIGCHLD && (!master.stopping || signum == SIGTERM || signum == SIGQUIT || signum == SIGINT))
        on_master_signal(signum);
}

static void read_signals(void)
{
    struct signalfd_siginfo info;

    while (read(master.signal_fd, &info, sizeof(info)) == sizeof(info))
        master_obey((int)info.ssi_signo);
}

static struct overview_master master_overview(void)
{
    const char *state = master.stopping                           ? "stopping"
                        : master.draining                         ? "draining"
                        : supervisor_wanted() == 0                ? "drained"
                        : supervisor_state() != SUPERVISOR_STEADY ? "changing"
                                                                  : "serving";

    return (struct overview_master){state, master.started};
}

static const struct control_hooks control_hooks = {master_obey, master_overview};

/* Reap all children that have ended. In a container we may be process 1, and then orphans of others are among them. */
static void reap_children(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (!supervisor_on_exit(pid, status) && !log_program_on_exit(pid, status))
            upgrade_on_exit(pid, status);
}

/* ---- the loop ---- */

/* Tell systemd that the service lives, if it does. */
static void feed_watchdog(int64_t now)
{
    if (now < master.ping_due)
        return;
    if (supervisor_is_good() && !master.stopping)
        notify_send("WATCHDOG=1");
    master.ping_due = now + notify_watchdog() / 3;
}

/* While there is another master, the files of Unix sockets are not ours to remove. */
static void update_keep_files(void)
{
    bool other = is_one_of_two();

    listen_keep_files(other);
    if (!other)
        control_check(); /* the other one may have taken the file, and have ended */
}

/* Returns the milliseconds until that time, for poll(). */
static int poll_timeout_until(int64_t due)
{
    int64_t milliseconds = (due - wait_now() + 999999) / 1000000;

    return due == WAIT_FOREVER ? -1 : (int)min_int64(max_int64(milliseconds, 0), MAX_POLL);
}

/* Do what is due. Returns the time at which more is. */
static int64_t master_step(void)
{
    int64_t now = wait_now(), next;
    int failed;

    update_keep_files();
    if (now >= master.drain_due)
        end_drain_delay();
    if (now >= master.changed_due) {
        master.changed_due = WAIT_FOREVER;
        master.reload_wanted = master.is_change = true;
    }
    if (master.reload_wanted && now >= supervisor_adopts_from() && !master.stopping)
        master_reload();
    failed = supervisor_rolled_back();
    if (failed)
        on_rollback(failed);
    feed_watchdog(now);
    next = min_int64(supervisor_step(), upgrade_step(now, supervisor_generation()->settings.process.start_timeout));
    if (master.changing && !master.stopping && supervisor_state() == SUPERVISOR_STEADY)
        on_steady();
    if (master.reload_wanted && !master.stopping)
        next = min_int64(next, supervisor_adopts_from());
    sink_flush(log_sink());
    next = min_int64(next, control_step(now));
    next = min_int64(next, statsd_step(&supervisor_generation()->settings.process.statsd, has_older_master(), now));
    next = min_int64(next, log_programs_step(now));
    return min_int64(min_int64(next, master.drain_due), min_int64(master.changed_due, master.ping_due));
}

/* Returns how many there are; those of control begin at *control. */
static size_t fill_polls(size_t *control)
{
    size_t count;

    *control = POLL_SUPERVISOR + supervisor_polls(NULL, 0);
    count = *control + control_polls(NULL, 0);
    if (count > master.capacity) {
        master.capacity = 2 * count;
        master.polls = xrealloc(master.polls, master.capacity * sizeof(*master.polls));
    }
    master.polls[POLL_SIGNALS] = (struct pollfd){.fd = master.signal_fd, .events = POLLIN};
    master.polls[POLL_CHANGES] = (struct pollfd){.fd = master.watch_fd, .events = POLLIN};
    supervisor_polls(master.polls + POLL_SUPERVISOR, *control - POLL_SUPERVISOR);
    control_polls(master.polls + *control, count - *control);
    return count;
}

static void read_changes(void)
{
    const char *changed = watch_read(master.watch_fd);

    if (!changed)
        return;
    if (master.changed_due == WAIT_FOREVER) /* of several files the first is enough */
        log_info("%s has changed", changed);
    master.changed_due = wait_now() + SETTLE_TIME;
}

static void wait_for_events(int timeout)
{
    size_t control, count = fill_polls(&control);

    if (poll(master.polls, count, timeout) < 0)
        return;
    for (size_t i = POLL_SUPERVISOR; i < control; i++)
        if (master.polls[i].revents)
            supervisor_on_readable(master.polls[i].fd);
    for (size_t i = control; i < count; i++)
        if (master.polls[i].revents)
            control_on_ready(master.polls[i].fd);
    if (master.polls[POLL_CHANGES].revents)
        read_changes();
    if (master.polls[POLL_SIGNALS].revents)
        read_signals();
    reap_children();
}

/* ---- life ---- */

static void open_signals(void)
{
    static const int signals[] = {SIGCHLD, SIGTERM, SIGINT,   SIGQUIT, SIGHUP,
                                  SIGUSR1, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU};

    sigemptyset(&master.signals);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        sigaddset(&master.signals, signals[i]);
    sigaddset(&master.signals, STACK_SIGNAL);
    sigprocmask(SIG_BLOCK, &master.signals, NULL);
    signal(SIGPIPE, SIG_IGN); /* a log that nobody reads must not end the server, */
    signal(SIGXFSZ, SIG_IGN); /* nor one that has reached the limit of its size */
    master.signal_fd = signalfd(-1, &master.signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (master.signal_fd < 0)
        log_die("cannot create a signalfd: %m");
}

/* Open logs, signals and sockets, and write the pidfile. Returns 0, or -errno after a message. */
static int master_open(struct generation *g)
{
    const char *pidfile = g->settings.process.pidfile;
    int err = generation_open_logs(g);

    if (err)
        return err;
    log_warnings(g);
    daemonize_release_stderr();
    mounts_log_python(g->mounts);
    stack_report_init(-1); /* for the processes that are forked, until they do that themselves */
    open_signals();        /* before the log says that we listen: a reader of that may send one */
    update_keep_files();
    metrics_create(inherit_take(METRICS_FILE));
    err = listen_acquire(&g->settings, &g->sockets);
    if (!err)
        err = control_open(g->settings.process.control);
    inherit_close();
    if (!err)
        err = prometheus_dir_prepare(&g->settings.process);
    if (err || !pidfile)
        return err;
    master.pidfile = xstrdup(pidfile);
    err = pidfile_write(pidfile);
    if (err)
        log_error("cannot write the pidfile %s: %s", pidfile, strerror(-err));
    return err;
}

/* They end when no process has their pipes open any more, this one neither. */
static void end_log_programs(void)
{
    const char *failed;

    access_open((const char *[]){NULL}, &failed);
    if (log_target_command(supervisor_generation()->settings.log.error_log))
        log_open("stderr");
    log_programs_end(PROGRAMS_TIME);
}

/* Take over g and serve until told to stop. Returns the exit code. */
static int master_serve(struct generation *g)
{
    int code;

    sinks_use_threads();
    seats_create();
    supervisor_init(close_inherited);
    supervisor_adopt(g);
    watch_files(g);
    master.changing = true;
    for (;;) {
        int64_t next = master_step();

        if ((master.stopping || supervisor_state() == SUPERVISOR_FAILED) && !supervisor_has_processes())
            break;
        wait_for_events(poll_timeout_until(next));
    }
    if (master.pidfile) {
        pidfile_remove(master.pidfile);
        pidfile_remove_aside(master.pidfile);
    }
    control_close();
    statsd_end(&supervisor_generation()->settings.process.statsd, has_older_master());
    log_info("stopped");
    log_drain();
    end_log_programs();
    code = supervisor_exit_code();
    supervisor_release();
    return code;
}

int master_run(const struct master_start *start, struct generation *g)
{
    int code = EXIT_RUNTIME;

    master.start = start;
    master.started = wait_now();
    control_init(&control_hooks);
    asked_init(master_overview);
    about_init(start->versions);
    master.drain_due = WAIT_FOREVER;
    reload_state_init();
    master.watch_fd = -1;
    master.changed_due = WAIT_FOREVER;
    master.ping_due = notify_watchdog() ? wait_now() : WAIT_FOREVER;
    if (master_open(g) < 0)
        generation_drop(g);
    else
        code = master_serve(g);
    free(master.pidfile);
    free(master.polls);
    return code;
}
