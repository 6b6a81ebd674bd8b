/*
 * listener.c: listen sockets.
 *
 * All workers watch the same sockets, exclusively (EPOLLEXCLUSIVE), so that a new connection wakes one of them. A
 * worker takes a few at a time, as long as it is its turn (share.c). The kernel wakes the worker that began to watch
 * first, so one that has accepted begins anew; that also reports again what is left. When a worker cannot accept,
 * because it has no descriptor left or too many connections, it stops watching for a moment.
 *
 * The one worker that is woken for a connection may be stopped by a signal, or die before it has accepted. The others
 * sleep on. So each looks every second whether something waits.
 */
#include "http/listener.h"

#include <errno.h>
#include <string.h>

#include "base/address.h"
#include "coro/recorder.h"
#include "http/share/share.h"
#include "log/log.h"

#define MAX_BATCH         16                 /* connections accepted at once */
#define MAX_FINAL_BATCHES 64                 /* before a listener is closed */
#define PAUSE             INT64_C(100000000) /* nanoseconds */
#define LOG_INTERVAL      INT64_C(1000000000)
#define GUARD_INTERVAL    1000 /* milliseconds */

static struct list guarded = LIST_INIT(guarded);

/* Its address as in bind; valid until the next call. */
static const char *listener_name(const struct listener *listener)
{
    static char name[ADDRESS_NAME_SIZE];
    union address address;

    address_of_socket(&address, listener->source.fd);
    address_name(&address.any, name, sizeof(name));
    return name;
}

static void listener_watch(struct listener *listener)
{
    int err = wait_source_open_shared(&listener->source);

    if (err)
        log_die("cannot watch the socket %s: %s", listener_name(listener), strerror(-err));
}

static void resume_accepting(void *arg)
{
    struct listener *listener = arg;

    wait_sleep(wait_deadline(PAUSE));
    listener->paused = false;
    if (listener->source.fd >= 0)
        listener_watch(listener);
}

/* Leave connections in the backlog for a moment. The log says why, once a second. */
static void pause_accepting(struct listener *listener, const char *why, const char *advice)
{
    static int64_t last;

    if (wait_now() - last > LOG_INTERVAL) {
        last = wait_now();
        log_error("cannot accept connections on %s: %s: %s", listener_name(listener), why, advice);
    }
    listener->paused = wait_start(resume_accepting, listener);
    if (listener->paused)
        wait_source_close(&listener->source);
}

/* Whether accept fails so because the descriptor is closed, or another file's by now. */
static bool is_lost(int err)
{
    return err == EBADF || err == ENOTSOCK || err == EOPNOTSUPP;
}

/* The number is no longer ours. */
static void listener_lose(struct listener *listener)
{
    void (*lost)(struct listener * listener) = listener->lost;

    wait_source_close(&listener->source);
    listener->gone = true;
    listener->lost = NULL;
    list_remove(&listener->guarded);
    lost(listener);
}

/* The server stops: the master has shut down the socket, in all processes. */
static void listener_end(struct listener *listener)
{
    wait_source_close(&listener->source);
    listener->gone = true;
    list_remove(&listener->guarded);
}

static void on_accept_error(struct listener *listener, int err)
{
    if (is_lost(err) && listener->lost)
        listener_lose(listener);
    else if (err == EINVAL)
        listener_end(listener);
    else if (err != EAGAIN && err != EINTR && err != ECONNABORTED)
        pause_accepting(listener, strerror(err),
                        err == EMFILE ? "raise the limit of open files (ulimit -n, LimitNOFILE=)" : "trying again");
}

/* Whether one more may be accepted. first: none has been just now. */
static bool may_accept_one(struct listener *listener, bool first)
{
    if (!listener->handler->may_accept(first)) {
        if (first)
            pause_accepting(listener, "max-connections are open, and all are busy", "raise it, or start more workers");
        return false;
    }
    return !listener->lost || listener->closing || share_turn(listener->source.fd) == SHARE_OURS;
}

/* Accept one and hand it over. Returns false if there is none. */
static bool accept_one(struct listener *listener)
{
    struct sockaddr_storage peer;
    socklen_t size;
    int fd;

    do {
        memset(&peer, 0, sizeof(peer));
        size = sizeof(peer);
        fd = accept4(listener->source.fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && (errno == EMFILE || errno == ENFILE) && listener->handler->make_room());
    if (fd < 0) {
        on_accept_error(listener, errno);
        return false;
    }
    record_note(RECORD_ACCEPT, NULL, (uint32_t)fd);
    if (listener->lost)
        share_count_accepted();
    listener->handler->accepted(listener, fd, (struct sockaddr *)&peer);
    return true;
}

/* Returns how many were accepted. *more: there may be more. */
static int accept_batch(struct listener *listener, bool *more)
{
    int count = 0;

    for (*more = true; *more && count < MAX_BATCH && may_accept_one(listener, count == 0); count += *more)
        *more = accept_one(listener);
    return count;
}

static void listener_look(struct listener *listener)
{
    bool more;
    int count = accept_batch(listener, &more);

    if (count == 0 || listener->paused || listener->gone || (!more && !share_has_others()))
        return;
    wait_source_close(&listener->source);
    listener_watch(listener);
}

static void on_listener_ready(struct wait_source *source, short events)
{
    listener_look(list_entry(source, struct listener, source));
}

void listeners_look(void)
{
    struct list *node, *after;

    list_for_each_safe (node, after, &guarded) {
        struct listener *listener = list_entry(node, struct listener, guarded);

        if (!listener->paused)
            listener_look(listener);
    }
}

struct listener *listener_find(uint64_t socket)
{
    struct list *node;

    list_for_each (node, &guarded)
        if (list_entry(node, struct listener, guarded)->socket == socket)
            return list_entry(node, struct listener, guarded);
    return NULL;
}

void listener_guard(struct listener *listener, void (*lost)(struct listener *listener))
{
    if (list_empty(&guarded))
        wait_every(GUARD_INTERVAL, listeners_look);
    listener->lost = lost;
    listener->socket = share_socket(listener->source.fd);
    list_push(&guarded, &listener->guarded);
}

void listener_open(struct listener *listener, int fd, const struct listener_handler *handler)
{
    *listener = (struct listener){.source = {.ready = on_listener_ready, .fd = fd}, .handler = handler};
    list_init(&listener->guarded);
    listener_watch(listener);
    wait_hold(+1);
}

void listener_close(struct listener *listener)
{
    bool more = true;

    if (listener->source.fd < 0)
        return;
    list_remove(&listener->guarded);
    listener->closing = true;
    for (int i = 0; i < MAX_FINAL_BATCHES && !listener->gone && more; i++)
        if (accept_batch(listener, &more) == 0)
            break;
    wait_source_close(&listener->source);
    listener->source.fd = -1;
    wait_hold(-1);
}
