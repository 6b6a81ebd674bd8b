/*
 * worker.c: a process that serves: it makes the event loop, starts the modules and accepts connections.
 *
 * Modules start before there is anything to serve (main_thread.c), so they may take their time. A stop first closes the
 * listeners, so that new connections go to other workers, and then waits for running requests.
 */
#include "worker/worker.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/access.h"
#include "access/slow.h"
#include "base/array.h"
#include "base/exit_code.h"
#include "base/mem.h"
#include "base/own.h"
#include "coro/fault.h"
#include "http/connection.h"
#include "http/share/share.h"
#include "inside/flight.h"
#include "inside/health.h"
#include "inside/profile.h"
#include "inside/running.h"
#include "inside/server_timing.h"
#include "libc/libc.h"
#include "libc/threads/threads.h"
#include "log/log.h"
#include "metrics/metrics_count.h"
#include "mount/embed.h"
#include "mount/route.h"
#include "mount/status_mount.h"
#include "otlp/export.h"
#include "otlp/tracing.h"
#include "process/channel.h"
#include "process/inherit.h"
#include "process/open_files.h"
#include "process/privilege.h"
#include "process/prometheus_dir.h"
#include "syncless/runtime.h"
#include "wait/wait.h"
#include "worker/integrity.h"
#include "worker/main_thread.h"
#include "worker/recycle.h"
#include "worker/stack_report.h"
#include "worker/watchdog.h"
#include "worker/worker_answer.h"
#include "worker/worker_log.h"
#include "worker/worker_question.h"
#include "worker/worker_session.h"

#define CANCEL_FOR   INT64_C(1000000000) /* nanoseconds for cancelled coroutines to end; the master waits twice that */
#define CANCEL_CHECK 20                  /* milliseconds between two checks whether they have */
#define IDLE_GRACE   2000                /* milliseconds for the last request of an idle connection */
#define SHORT_GRACE  100                 /* milliseconds for a last request that is on its way already */

static struct {
    const struct settings *settings;
    struct endpoint **endpoints; /* owned */
    size_t endpoint_count;
    struct wait_source channel; /* to the master */
    bool stopping;
} worker;

static void read_channel(void);

/* ---- stopping ---- */

static void on_shutdown_timeout(void)
{
    if (http_connections() > 0)
        log_warn("shutdown-timeout exceeded: closing %zu connections", http_connections());
    wait_stop();
}

static void worker_drain(int64_t idle_grace)
{
    worker.stopping = true;
    read_channel(); /* connections of the backlog may have come */
    share_leave();
    for (size_t i = 0; i < worker.endpoint_count; i++)
        endpoint_close(worker.endpoints[i]);
    wait_after(worker.settings->shutdown_timeout, on_shutdown_timeout);
    http_drain(idle_grace);
}

/* Only INT stops at once. TERM may come twice: from the master and from a signal to all processes of a group, or
 * because the server is stopped while this worker leaves after a reload. A second TERM to the master arrives here as
 * INT. */
static void on_stop_signal(int signum)
{
    if (signum == SIGINT)
        wait_stop();
    else if (!worker.stopping)
        worker_drain(signum == SIGQUIT ? IDLE_GRACE : SHORT_GRACE);
}

/* Run the loop until there are no coroutines, or to the deadline. */
static void run_coroutines_until(int64_t deadline)
{
    while (coro_count() > threads_count() && wait_now() < deadline) {
        wait_after(CANCEL_CHECK, wait_stop);
        wait_run();
    }
}

/* Cancel all coroutines: each wait fails, so that children are killed, `finally` blocks run and memory is freed. Then
 * the threads of those in the pool end: their destructors may wait, for what is left of the time. */
static void end_coroutines(void)
{
    int64_t deadline = wait_deadline(CANCEL_FOR);

    wait_cancel_all(-ECANCELED);
    run_coroutines_until(deadline);
    coro_cancel_new(0);
    coro_end_pool();
    run_coroutines_until(deadline);
}

static size_t count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;

    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 3; /* ".", ".." and dir itself */
}

/* Figures that show a leak, or help to choose a setting. */
static void log_worker_counters(void)
{
    struct coro_stats stats = coro_stats();

    log_info("coroutines: %" PRIu64 " started, at most %zu at once, %zu running; %zu stacks; %" PRIu64 " waits; "
             "%zu open descriptors",
             stats.started, stats.max, stats.running, stats.stacks, wait_count(), count_descriptors());
}

static void worker_finish(struct mount *mounts)
{
    size_t left;

    if (http_served() > 0)
        log_worker_counters();
    outbound_log_counts();
    http_cut();
    export_stop();
    end_coroutines();
    export_finish();
    left = coro_count() - threads_count();
    if (left == 0)
        main_thread_stop(mounts);
    if (left > 0) /* they may use what the modules' stop would free */
        log_warn("stopped, %zu coroutines were still running", left);
    else
        log_info("stopped");
    metrics_publish();
    worker_log_drain();
    if (coro_count() > 0) /* such ones, or daemon threads */
        _exit(EXIT_STOPPED);
}

/* ---- messages of the master ---- */

static void tell_master(enum channel_kind kind)
{
    int err = channel_send(worker.channel.fd, &(struct channel_message){kind, 0, -1});

    if (err)
        log_warn("cannot send a message to the master: %s", strerror(-err));
}

static void on_master_died(void)
{
    wait_source_end(&worker.channel);
    worker.channel.fd = -1;
    if (worker.stopping)
        return;
    log_warn("the master has died: stopping");
    worker_drain(SHORT_GRACE);
}

/* A connection that was in a backlog when the server was told to stop. */
static void take_connection(const struct channel_message *message)
{
    union address peer = {0};
    socklen_t size = sizeof(peer);
    size_t number = (size_t)message->number;

    if (message->fd < 0)
        return;
    if (number >= worker.endpoint_count || getpeername(message->fd, &peer.any, &size) < 0)
        close(message->fd);
    else
        conn_open(worker.endpoints[number], message->fd, &peer.any);
}

/* Returns whether there may be another message. */
static bool on_master_message(const struct channel_message *message)
{
    switch (message->kind) {
    case CHANNEL_PING:
        tell_master(CHANNEL_PING);
        return true;
    case CHANNEL_ERROR_LOG:
    case CHANNEL_ACCESS_LOG:
        worker_log_reopen(message);
        return true;
    case CHANNEL_CONNECTION:
        take_connection(message);
        return true;
    case CHANNEL_DRAIN:
        health_drain();
        return true;
    case CHANNEL_ANSWER:
        worker_question_answered(message);
        return true;
    case CHANNEL_ASK:
        answer_master(worker.channel.fd, message, channel_text());
        return true;
    case CHANNEL_SESSION:
        session_begin(message->fd, channel_text());
        return true;
    case CHANNEL_END:
        on_master_died();
        return false;
    default:
        return false;
    }
}

static void read_channel(void)
{
    struct channel_message message;

    do {
        if (worker.channel.fd < 0)
            return;
        message = channel_receive(worker.channel.fd);
    } while (on_master_message(&message));
}

static void on_channel_ready(struct wait_source *source, short events)
{
    read_channel();
}

static int tell_of_files(const char *lines)
{
    return *lines ? channel_send_text(worker.channel.fd, CHANNEL_FILES, lines) : 0;
}

static void ask_for_replacement(void)
{
    tell_master(CHANNEL_REPLACE);
}

/* ---- starting ---- */

static void ignore_signal(int signum)
{
}

/* Ignore the signals that are meant for the master, since killall and terminals send them to every process. By a
 * handler and not by SIG_IGN, which programs that the application starts would inherit. */
static void set_worker_signals(void)
{
    static const int masters[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU};
    struct sigaction action = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
    sigset_t none;

    for (size_t i = 0; i < ARRAY_SIZE(masters); i++)
        own_signal(masters[i], &action);
    own_signal(SL_CONSOLE_SIGNAL, &action); /* modules of runtimes handle it */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int worker_prepare(const struct settings *settings, const struct listen_set *sockets)
{
    set_worker_signals();
    prometheus_dir_export(&settings->process);
    listen_close_others(sockets);
    open_files_raise();
    return privilege_drop(&settings->process);
}

/* Whether connections of the n-th socket begin with a PROXY header. Our settings decide: another configuration that
 * shares the socket may differ. */
static bool is_proxied(const struct settings *settings, size_t n)
{
    return !inherit_activated() && settings->binds[n].proxied;
}

static void on_listener_lost(struct listener *listener)
{
    const struct endpoint *endpoint = list_entry(listener, struct endpoint, listener);
    char port[8] = "";

    if (endpoint->port)
        snprintf(port, sizeof(port), ":%u", endpoint->port);
    log_error("application code has closed descriptor %d, the listen socket of %s%s: asking for a replacement",
              listener->source.fd, endpoint->address, port);
    own_fd_end(listener->source.fd); /* integrity.c need not tell it again */
    ask_for_replacement();
}

static void open_endpoints(const struct settings *settings, const struct listen_set *sockets)
{
    worker.endpoint_count = sockets->count;
    worker.endpoints = xcalloc(sockets->count, sizeof(*worker.endpoints));
    for (size_t i = 0; i < sockets->count; i++) {
        worker.endpoints[i] = endpoint_open(sockets->sockets[i]->fd, &conn_handler);
        worker.endpoints[i]->proxied = is_proxied(settings, i);
        listener_guard(&worker.endpoints[i]->listener, on_listener_lost);
    }
}

/* What workers must have in common to take over connections of each other: their user, and which sockets they serve in
 * which way. Never 0. */
static uint64_t kind_of_worker(void)
{
    uint64_t kind = geteuid() + 1;

    for (size_t i = 0; i < worker.endpoint_count; i++) {
        const struct endpoint *endpoint = worker.endpoints[i];

        kind = kind * 1099511628211U + 2 * endpoint->listener.socket + endpoint->proxied;
    }
    return kind ? kind : 1;
}

static void watch_channel(int fd)
{
    int err;

    worker.channel = (struct wait_source){.ready = on_channel_ready, .fd = fd};
    err = wait_source_open(&worker.channel);
    if (err)
        log_die("cannot watch the channel to the master: %s", strerror(-err));
}

static void worker_init_loop(const struct settings *settings)
{
    coro_init((size_t)settings->stack_size);
    wait_init((unsigned)settings->threads);
    libc_init(settings->resolver);
    threads_by_coroutines(settings->python_threads == PYTHON_THREADS_COROUTINES);
    outbound_start(&settings->outbound);
}

static void on_endless_request(struct request *req)
{
    request_log(req, LOG_LEVEL_ERROR,
                "it is past its request-timeout, computes upon a thread, and cannot be cancelled: asking for a "
                "replacement of this worker");
    ask_for_replacement();
}

static void (*log_ended_request)(const struct request *req);

static void on_request_ended(const struct request *req)
{
    metrics_count_request(req);
    log_ended_request(req);
}

/* Have requests looked at, as far as that is wanted. */
static void watch_requests(const struct settings *settings, const struct mount *mounts)
{
    bool shown = settings->process.control || status_is_mounted(mounts),
         counted = shown || settings->process.statsd.size;
    struct http_hooks hooks;

    if (settings->log.slow->target)
        slow_init(settings->log.slow, settings->log.slow_time);
    if (settings->log.server_timing)
        server_timing_init();
    if (shown)
        route_let_operators_cancel();
    hooks = access_hooks(settings->log.server_timing);
    if (counted) {
        metrics_count_start();
        log_ended_request = hooks.ended;
        hooks.ended = hooks.ended ? on_request_ended : metrics_count_request;
    }
    hooks = tracing_hooks(&settings->tracing, hooks);
    hooks.endless = on_endless_request;
    hooks.timed_out = flight_on_timeout;
    if (hooks.ended)
        coro_clock();
    route_http_init(&settings->http, &settings->limits, hooks);
}

static void start_flight_recorder(const struct process_settings *settings, int number)
{
    flight_start(&(struct flight_settings){
        .size = (size_t)settings->flight_recorder,
        .dir = settings->flight_dir,
        .files = (size_t)settings->flight_files,
        .worker = number,
    });
}

/* Set up the process, the event loop and the modules. Returns 0 or -errno; -ENOEXEC: the application cannot be loaded.
 */
static int worker_init(const struct worker_job *job)
{
    const struct settings *settings = job->settings;
    int err = job->prepared ? 0 : worker_prepare(settings, job->sockets);

    if (err)
        return err;
    log_init((enum log_level)settings->log.level, job->number);
    running_init(job->number);
    fault_init();
    worker_init_loop(settings);
    start_flight_recorder(&settings->process, job->number);
    watch_requests(settings, job->mounts);
    route_init(job->mounts, &settings->limits, settings->http.queue_timeout);
    worker_log_start(job->number);
    if (settings->process.reload_on_change)
        mount_set_watch(tell_of_files);
    err = main_thread_start(job->mounts, (size_t)settings->stack_size);
    fault_init();
    return err;
}

int worker_check(const struct worker_job *job)
{
    int err = worker_prepare(job->settings, job->sockets);

    if (!err) {
        worker_init_loop(job->settings);
        err = main_thread_start(job->mounts, (size_t)job->settings->stack_size);
    }
    if (err)
        return err == -ENOEXEC ? EXIT_APP : EXIT_BOOT;
    end_coroutines();
    if (coro_count() == threads_count())
        main_thread_stop(job->mounts);
    return EXIT_STOPPED;
}

int worker_run(const struct worker_job *job)
{
    int err;

    worker.settings = job->settings;
    own_fd(job->channel);
    stack_report_init(job->channel);
    err = worker_init(job);
    if (err) {
        worker_log_drain();
        return err == -ENOEXEC ? EXIT_APP : EXIT_BOOT;
    }
    wait_signal(SIGTERM, on_stop_signal);
    wait_signal(SIGQUIT, on_stop_signal);
    wait_signal(SIGINT, on_stop_signal);
    watch_channel(job->channel);
    answer_signals();
    profile_init(stack_report_sample);
    worker_question_init(job->channel);
    status_ask_master = worker_question;
    open_endpoints(job->settings, job->sockets);
    watchdog_start(&job->settings->process);
    recycle_start(&job->settings->process, ask_for_replacement);
    integrity_watch(ask_for_replacement);
    http_share(kind_of_worker());
    log_info("worker %d is ready", job->number);
    tell_master(CHANNEL_READY);
    wait_run();
    if (worker.channel.fd >= 0)
        tell_master(CHANNEL_LOOP_ENDED);
    worker_finish(job->mounts);
    return EXIT_STOPPED;
}
