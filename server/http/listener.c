/*
 * listener.c: listening sockets.
 *
 * All workers watch the same sockets, exclusively (EPOLLEXCLUSIVE), so that a new connection wakes one of them. A
 * worker takes a few at a time and leaves the rest to the others. When the process is out of descriptors, accepting
 * pauses for a moment instead of spinning on a socket that stays readable.
 */
#include "http/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/connection.h"
#include "log/log.h"

#define ACCEPT_AT_ONCE 16
#define LAST_ROUNDS    64                 /* of accepting, before a listener is closed */
#define PAUSE          INT64_C(100000000) /* nanoseconds */

/* Its address, as in bind; valid until the next call. */
static const char *name_of(const struct listener *listener)
{
    static char name[ADDRESS_NAME_SIZE];
    union address address;
    socklen_t size = sizeof(address);

    memset(&address, 0, sizeof(address));
    getsockname(listener->source.fd, &address.any, &size);
    address_name(&address.any, name, sizeof(name));
    return name;
}

static void open_source(struct listener *listener)
{
    int err = wait_source_open_shared(&listener->source);

    if (err)
        log_die("cannot watch the socket %s: %s", name_of(listener), strerror(-err));
}

static void pause_accepting(void *arg)
{
    struct listener *listener = arg;

    wait_sleep(wait_deadline(PAUSE));
    if (listener->source.fd >= 0)
        open_source(listener);
}

/* Leave the clients in the backlog for a moment, and say why, but not too often. */
static void hold_off(struct listener *listener, const char *why, const char *advice)
{
    static int64_t last;

    if (wait_now() - last > INT64_C(1000000000)) {
        last = wait_now();
        log_error("cannot accept connections on %s: %s: %s", name_of(listener), why, advice);
    }
    if (coro_start(pause_accepting, listener))
        wait_source_close(&listener->source);
}

static void on_accept_error(struct listener *listener, int err)
{
    if (err != EAGAIN && err != EINTR && err != ECONNABORTED)
        hold_off(listener, strerror(err),
                 err == EMFILE ? "raise the limit of open files (ulimit -n, LimitNOFILE=)" : "trying again");
}

static void on_full(struct listener *listener)
{
    hold_off(listener, "max-connections are open, none of them idle", "raise it, or start more workers");
}

/* Accept a few. Returns whether there may be more. */
static bool accept_some(struct listener *listener)
{
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof(peer);
        int fd;

        if (i > 0 && http_is_full())
            return false; /* whether there is one more, the next turn tells */
        if (!http_make_room()) {
            on_full(listener);
            return false;
        }
        fd = accept4(listener->source.fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            on_accept_error(listener, errno);
            return false;
        }
        conn_open(listener, fd, (struct sockaddr *)&peer);
    }
    return true;
}

static void on_ready(struct wait_source *source, short events)
{
    accept_some(list_entry(source, struct listener, source));
}

struct listener *listener_make(int fd)
{
    struct listener *listener = xcalloc(1, sizeof(*listener));
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        log_die("cannot tell the address of listening socket %d: %m", fd);
    address_text((struct sockaddr *)&address, listener->address, sizeof(listener->address), &listener->port);
    listener->source.fd = -1;
    listener->scheme = "http";
    listener->users = 1;
    return listener;
}

struct listener *listener_open(int fd, bool proxied)
{
    struct listener *listener = listener_make(fd);

    listener->source = (struct wait_source){.ready = on_ready, .fd = fd};
    listener->proxied = proxied;
    open_source(listener);
    wait_hold(+1);
    return listener;
}

void listener_leave(struct listener *listener)
{
    if (--listener->users == 0 && listener->unused)
        listener->unused(listener);
}

void listener_close(struct listener *listener)
{
    listener->closed = true;
    if (listener->source.fd < 0)
        return;
    for (int i = 0; i < LAST_ROUNDS && accept_some(listener); i++)
        ;
    wait_source_close(&listener->source);
    listener->source.fd = -1;
    wait_hold(-1);
}
