/*
 * worker.c: a process that serves: it makes the loop, starts the modules and accepts connections.
 *
 * Modules start on the OS thread's own stack, before there is anything to serve: what they do then may block. A stop
 * first closes the listening sockets, so that new connections go to other workers, and then waits for what is running.
 */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "arena.h"
#include "coro/fault.h"
#include "exit_code.h"
#include "http/connection.h"
#include "libc/libc.h"
#include "log.h"
#include "route.h"
#include "wait/wait.h"

static struct {
    const struct settings *settings;
    struct listener **listeners;
    bool stopping, cut;
} worker;

/* ---- stopping ---- */

static void stop_now(void)
{
    worker.cut = http_connections() > 0;
    wait_stop();
}

static void on_timeout(void)
{
    if (http_connections() > 0)
        log_warn("shutdown-timeout is over: %zu connections are cut", http_connections());
    stop_now();
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
        stop_now();
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

static int start(struct mount *mounts, int number)
{
    const struct settings *settings = worker.settings;

    log_init((enum log_level)settings->log_level, number);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* no worker outlives its master */
    signal(SIGPIPE, SIG_IGN);
    fault_init();
    coro_init((size_t)settings->stack_size);
    wait_init((unsigned)settings->threads);
    libc_init(settings->resolver == RESOLVER_SYSTEM ? LIBC_RESOLVER_SYSTEM : LIBC_RESOLVER_CARES);
    http_init(&(struct http_config){route_handle, (size_t)settings->max_concurrency});
    route_init(mounts);
    return modules_start(mounts);
}

static void finish(struct mount *mounts)
{
    if (coro_count() > 0) { /* coroutines of modules still hold what stop would take apart */
        log_info("stopped, %zu coroutines were still running", coro_count());
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
