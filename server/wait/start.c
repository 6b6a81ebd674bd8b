/* start.c: start coroutines, and log why that is not possible. */
#include "wait/wait.h"

#include <errno.h>
#include <time.h>

#include "coro/stack.h"
#include "log/log.h"
#include "wait/loop.h"

/* At most once a second: under load every connection would log it. */
static void log_no_stack(void)
{
    static time_t last;
    struct coro_stats stats = coro_stats();
    time_t now = time(NULL);

    if (now == last)
        return;
    last = now;
    if (stats.stacks >= stack_max())
        log_error("no mappings for another coroutine stack, %zu are running: each takes two, raise vm.max_map_count "
                  "(sysctl), or lower max-concurrency",
                  stats.running);
    else
        log_error("no memory for another coroutine stack, %zu are running: raise the limit of address space, or lower "
                  "max-concurrency or stack-size",
                  stats.running);
}

struct coro *wait_start_sized(void (*fn)(void *arg), void *arg, size_t stack_size)
{
    struct coro *co;

    watcher_start_late();
    co = coro_start_sized(fn, arg, stack_size);
    if (!co && errno == EPERM && wait_revive())
        co = coro_start_sized(fn, arg, stack_size);
    if (!co && errno == ENOMEM)
        log_no_stack();
    return co;
}

struct coro *wait_start_computing(void (*fn)(void *arg), void *arg)
{
    struct coro *co = coro_start_late(fn, arg);

    if (!co && errno == ENOMEM)
        log_no_stack();
    return co;
}

struct coro *wait_start(void (*fn)(void *arg), void *arg)
{
    return wait_start_sized(fn, arg, 0);
}

bool wait_start_now(void (*fn)(void *arg), void *arg)
{
    bool started = coro_run(fn, arg);

    if (!started && errno == ENOMEM)
        log_no_stack();
    return started;
}
