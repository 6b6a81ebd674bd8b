/*
 * worker.c: a process that serves: it makes the loop, starts the modules and accepts connections.
 *
 * Modules start on the OS thread's own stack, before there is anything to serve: what they do then may block. A stop
 * first closes the listening sockets, so that new connections go to other workers, and then waits for what is running.
 */
#include "worker.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "access/access.h"
#include "arena.h"
#include "coro/fault.h"
#include "exit_code.h"
#include "http/connection.h"
#include "libc/libc.h"
#include "log.h"
#include "route.h"
#include "wait/wait.h"

#define CANCEL_FOR                                                                                                     \
    INT64_C(1000000000)   /* nanoseconds that cancelled coroutines have to end; the master waits twice as long */
#define FLUSH_EVERY  1000 /* milliseconds */
#define CANCEL_EVERY 50   /* milliseconds */

static struct {
    const struct settings *settings;
    struct listener **listeners;
    bool stopping;
} worker;

/* ---- stopping ---- */

static void on_timeout(void)
{
    if (http_connections() > 0)
        log_warn("shutdown-timeout is over: %zu connections are cut", http_connections());
    wait_stop();
}

static void stop_gracefully(void)
{
    worker.stopping = true;
    for (size_t i = 0; i < worker.settings->bind_count; i++)
        listener_close(worker.listeners[i]);
    wait_after(worker.settings->shutdown_timeout, on_timeout);
    http_drain();
}

static void on_signal(int signum)
{
    if (signum == SIGINT || worker.stopping)
        wait_stop();
    else
        stop_gracefully();
}

/* ---- starting ---- */

static void open_listeners(const int *fds)
{
    size_t count = worker.settings->bind_count;

    worker.listeners = xcalloc(count, sizeof(*worker.listeners));
    for (size_t i = 0; i < count; i++)
        worker.listeners[i] = listener_open(fds[i]);
}

static void flush_logs(void)
{
    sink_flush(log_sink());
    if (access_sink())
        access_flush();
}

static void start_logs(int number)
{
    wait_every(FLUSH_EVERY, flush_logs); /* what a full pipe did not take */
    if (!access_sink())
        return;
    format_set_worker(number);
    coro_clock();
    wait_each_turn(access_flush);
}

static void start_http(const struct traffic_settings *t)
{
    http_init(&(struct http_config){
        .handle = route_handle,
        .ended = access_sink() ? access_log : NULL,
        .max_concurrency = (size_t)t->max_concurrency,
        .queue_timeout = t->queue_timeout,
        .max_connections = (size_t)t->max_connections,
        .max_request_line = (size_t)t->max_request_line,
        .max_header_size = (size_t)t->max_header_size,
        .max_headers = (size_t)t->max_headers,
        .header_timeout = t->header_timeout,
        .keepalive_timeout = t->keepalive_timeout,
        .body_timeout = t->body_timeout,
        .write_timeout = t->write_timeout,
    });
}

static int start(struct mount *mounts, int number)
{
    const struct settings *settings = worker.settings;

    log_init((enum log_level)settings->log.level, number);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* no worker outlives its master */
    signal(SIGPIPE, SIG_IGN);
    fault_init();
    coro_init((size_t)settings->stack_size);
    wait_init((unsigned)settings->threads);
    libc_init(settings->resolver == RESOLVER_SYSTEM ? LIBC_RESOLVER_SYSTEM : LIBC_RESOLVER_CARES);
    start_http(&settings->traffic);
    route_init(mounts);
    start_logs(number);
    return modules_start(mounts);
}

static void cancel_all(void)
{
    struct list *all = coro_all();

    for (struct list *node = all->next; node != all; node = node->next)
        wait_cancel(list_entry(node, struct coro, all), -ECANCELED);
}

/* End what still runs as code expects to be ended: each wait fails with ECANCELED, so that children are killed,
 * `finally` blocks run and memory is given back. Some need several waits to come to their end, hence the rounds. */
static void end_coroutines(void)
{
    int64_t end = wait_deadline(CANCEL_FOR);

    http_cut();
    while (coro_count() > 0 && wait_now() < end) {
        cancel_all();
        wait_after(CANCEL_EVERY, wait_stop);
        wait_run();
    }
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

/* What would show that something leaks, or what a setting should be. */
static void log_counters(void)
{
    struct coro_stats stats = coro_stats();

    log_info("coroutines: %" PRIu64 " started, at most %zu at once, %zu running; %zu stacks; %" PRIu64 " waits; "
             "%zu open descriptors",
             stats.started, stats.most, stats.running, stats.stacks, wait_count(), count_descriptors());
}

static void finish(struct mount *mounts)
{
    log_counters();
    end_coroutines();
    if (coro_count() > 0) { /* coroutines of modules still hold what stop would take apart */
        log_warn("stopped, %zu coroutines were still running", coro_count());
        _exit(EXIT_STOPPED);
    }
    modules_stop(mounts);
    log_info("stopped");
}

int worker_run(const struct settings *settings, struct mount *mounts, const int *fds, int number, int ready_fd)
{
    int err;

    worker.settings = settings;
    err = start(mounts, number);
    if (err)
        return err == -ENOEXEC ? EXIT_APP : EXIT_BOOT;
    wait_signal(SIGTERM, on_signal);
    wait_signal(SIGQUIT, on_signal);
    wait_signal(SIGINT, on_signal);
    open_listeners(fds);
    log_info("worker %d is ready", number);
    if (write(ready_fd, "", 1) < 0)
        log_warn("cannot tell the master that the worker is ready: %m");
    wait_run();
    finish(mounts);
    return EXIT_STOPPED;
}
