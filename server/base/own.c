/*
 * own.c: what belongs to the server in a process, and not to the application that runs in it.
 *
 * A child that the application forks is a process of the application. If it kept our listening sockets, the port would
 * not be free when the server has ended; with our connections, clients would wait for the child's end; with our signal
 * handlers, SIGTERM would do nothing in it. So all that is released before fork returns in the child. Signals are
 * blocked over the fork: one that comes too early for the child must not go to our handler.
 *
 * The fork may happen in any thread, while the thread of the event loop is anywhere. So the lists here are only
 * changed by single stores, and memory that another thread may be reading is never freed.
 *
 * Children of vfork and posix_spawn are not concerned: they run another program at once, which has no handler of ours,
 * and all descriptors are close-on-exec.
 */
#include "base/own.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/real.h"

#define FREE (-1) /* an element that is not used */

struct owned_fd {
    int fd; /* or FREE */
    dev_t dev;
    ino_t ino; /* of the file that it is; 0: not known */
};

/* Descriptors. When it is full a larger one replaces it. */
struct owned_fds {
    struct owned_fds *smaller; /* owned: the one that this has replaced; or NULL */
    size_t capacity;
    struct owned_fd fds[];
};

struct owned_signal {
    struct sigaction ours, before;
    bool owned;
};

static struct {
    struct owned_fds *table; /* owned; or NULL */
    struct owned_signal signals[NSIG];
    void (*in_child)(void); /* or NULL */
    bool by_server;         /* the fork is own_fork's */
} own;

static __thread sigset_t mask; /* of the thread that forks */

/* ---- descriptors ---- */

/* Returns where fd is, or NULL. */
static struct owned_fd *find_fd(int fd)
{
    for (size_t i = 0; own.table && i < own.table->capacity; i++)
        if (own.table->fds[i].fd == fd)
            return &own.table->fds[i];
    return NULL;
}

void own_fd_end(int fd)
{
    struct owned_fd *found = fd >= 0 ? find_fd(fd) : NULL;

    if (found)
        found->fd = FREE;
}

static void own_grow(void)
{
    struct owned_fds *smaller = own.table, *table;
    size_t used = smaller ? smaller->capacity : 0, capacity = 2 * used + 16;

    table = xmalloc(sizeof(*table) + capacity * sizeof(*table->fds));
    table->smaller = smaller;
    table->capacity = capacity;
    for (size_t i = 0; i < capacity; i++)
        table->fds[i] = i < used ? smaller->fds[i] : (struct owned_fd){.fd = FREE};
    __atomic_store_n(&own.table, table, __ATOMIC_RELEASE);
}

void own_fd(int fd)
{
    struct owned_fd *place;
    struct stat st;

    if (fd < 0 || find_fd(fd))
        return;
    if (!find_fd(FREE))
        own_grow();
    place = find_fd(FREE);
    place->ino = 0;
    if (fstat(fd, &st) == 0) {
        place->dev = st.st_dev;
        place->ino = st.st_ino;
    }
    __atomic_store_n(&place->fd, fd, __ATOMIC_RELEASE);
}

int own_lost_fd(void)
{
    for (size_t i = 0; own.table && i < own.table->capacity; i++) {
        const struct owned_fd *owned = &own.table->fds[i];
        struct stat st;

        if (owned->fd != FREE && owned->ino &&
            (fstat(owned->fd, &st) < 0 || st.st_dev != owned->dev || st.st_ino != owned->ino))
            return owned->fd;
    }
    return -1;
}

static void release_fds(void)
{
    for (size_t i = 0; own.table && i < own.table->capacity; i++)
        if (own.table->fds[i].fd != FREE) {
            real()->close(own.table->fds[i].fd);
            own.table->fds[i].fd = FREE;
        }
}

/* ---- signals ---- */

static bool is_ours(const struct owned_signal *s, const struct sigaction *action)
{
    return s->owned && action->sa_handler == s->ours.sa_handler;
}

void own_signal(int signum, const struct sigaction *action)
{
    struct owned_signal *s = &own.signals[signum];
    struct sigaction before;

    real()->sigaction(signum, action, &before);
    if (!is_ours(s, &before))
        s->before = before;
    s->ours = *action;
    s->owned = true;
}

static void release_signals(void)
{
    for (int signum = 1; signum < NSIG; signum++) {
        struct owned_signal *s = &own.signals[signum];
        struct sigaction now;

        if (!s->owned)
            continue;
        real()->sigaction(signum, NULL, &now);
        if (is_ours(s, &now))
            real()->sigaction(signum, &s->before, NULL);
        s->owned = false;
    }
}

/* ---- fork ---- */

static void own_before_fork(void)
{
    sigset_t all;

    sigfillset(&all);
    real()->pthread_sigmask(SIG_SETMASK, &all, &mask);
}

static void own_after_fork(void)
{
    real()->pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void own_in_child(void)
{
    if (!own.by_server) {
        release_signals();
        release_fds();
        if (own.in_child)
            own.in_child();
    }
    own_after_fork();
}

void own_init(void (*fn)(void))
{
    static bool registered;

    own.in_child = fn;
    if (!registered)
        pthread_atfork(own_before_fork, own_after_fork, own_in_child);
    registered = true;
}

pid_t own_fork(void)
{
    pid_t pid;

    own.by_server = true;
    pid = real()->fork();
    own.by_server = false;
    return pid;
}
