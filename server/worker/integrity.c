/*
 * integrity.c: notices that the application has taken from the worker what it needs to serve.
 *
 * Code that is made for children and daemons (close all descriptors, lower the limit of open files) does run in
 * requests by mistake. Without its epoll set a worker ends at once, and without a listen socket it learns it with the
 * next connection. The rest is looked at once a second here: descriptors by which threads wake the loop, and a limit
 * with which no connection can be accepted, for which nobody would restart the worker. What the application does while
 * it is loaded is left alone, since its replacement would do the same.
 */
#include "worker/integrity.h"

#include <inttypes.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "base/own.h"
#include "log/log.h"
#include "wait/wait.h"

#define LOOK_EVERY 1000 /* milliseconds */

static struct {
    rlim_t open_files;
    void (*on_damage)(void); /* NULL once it has been called */
} integrity;

static rlim_t open_files_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? RLIM_INFINITY : limit.rlim_cur;
}

/* Returns whether there is damage, which is logged. */
static bool find_damage(void)
{
    int fd = own_lost_fd();
    rlim_t limit = open_files_limit();

    if (fd >= 0)
        log_error("application code has closed descriptor %d, which is the server's: asking for a replacement", fd);
    else if (limit < integrity.open_files)
        log_error("application code has lowered the limit of open files from %ju to %ju: asking for a replacement",
                  (uintmax_t)integrity.open_files, (uintmax_t)limit);
    else
        return false;
    return true;
}

static void look_for_damage(void)
{
    void (*on_damage)(void) = integrity.on_damage;

    if (!on_damage || !find_damage())
        return;
    integrity.on_damage = NULL;
    on_damage();
}

void integrity_watch(void (*on_damage)(void))
{
    integrity.open_files = open_files_limit();
    integrity.on_damage = on_damage;
    wait_every(LOOK_EVERY, look_for_damage);
}
