/*
 * outbound.c: limits for the connections that an application opens.
 *
 * Thousands of requests may run at once, but a database takes a hundred connections. So connect() waits, whichever
 * library calls it, while all workers together have as many to that peer as they may: the coroutine is parked until one
 * is closed. A socket with O_NONBLOCK waits as well: libraries such as libpq set it also where they are used in a
 * blocking way, and would fail otherwise.
 *
 * Within a worker the queue is in order. Its first one looks every POLL whether another worker has closed one, and is
 * woken if this worker has. OS threads have no place in the queue: they look again and again.
 *
 * A name is compared with what the application looks up: its addresses are known from then on.
 */
#include "libc/outbound/outbound.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/mem.h"
#include "base/real.h"
#include "libc/outbound/holder.h"
#include "libc/runtime/park.h"
#include "log/log.h"
#include "wait/reason.h"

#define POLL         INT64_C(3000000)    /* nanoseconds between two looks of the first in the queue */
#define SWEEP        INT64_C(1000000000) /* nanoseconds of a wait after which lost connections are looked for */
#define MAX_LEARNED  64                  /* addresses of a name; the oldest is forgotten */
#define LOG_INTERVAL INT64_C(1000000000) /* nanoseconds */

struct outbound {
    const struct outbound_limit *limit; /* borrowed */
    int cell;                           /* of this worker in its tally */
    struct list queue;                  /* of struct outbound_waiter; only the loop's thread uses it */
    struct in6_addr learned[MAX_LEARNED];
    unsigned learned_count; /* ever */
    _Atomic int64_t swept;  /* ns, when lost connections were looked for */
    _Atomic int64_t warned; /* ns, of the last line in the log */
};

/* A coroutine in a queue; lives on its stack. */
struct outbound_waiter {
    struct list link;
    int64_t since; /* ns */
};

bool outbound_used;

static struct outbound *outbounds; /* owned, never freed; sorted by rank */
static size_t outbound_count;
static pid_t outbound_pid;                                     /* the worker's, which vforked children have not */
static pthread_mutex_t learn_lock = PTHREAD_MUTEX_INITIALIZER; /* of learned; by real(), never held over a park */

/* ---- in the master ---- */

static struct shared {
    struct shared *next;
    char *title;         /* owned */
    struct tally *tally; /* owned */
} * shares;

static struct tally *share_tally(const char *title)
{
    struct shared *s = shares;

    while (s && strcmp(s->title, title))
        s = s->next;
    if (s)
        return s->tally;
    s = xmalloc(sizeof(*s));
    *s = (struct shared){shares, xstrdup(title), tally_new()};
    if (!s->tally)
        log_error("[%s] does not hold: no memory to share between workers: %s", title, strerror(errno));
    return (shares = s)->tally;
}

void outbound_share(const struct outbound_limits *limits)
{
    for (size_t i = 0; i < limits->count; i++)
        limits->list[i].tally = share_tally(limits->list[i].title);
}

const char *outbound_shared_counts(size_t n, struct tally_counts *counts)
{
    const struct shared *s = shares;

    while (s && (!s->tally || n-- > 0))
        s = s->next;
    if (!s)
        return NULL;
    tally_counts(s->tally, counts);
    return s->title + strlen("outbound ");
}

void outbound_child_ended(pid_t pid)
{
    for (struct shared *s = shares; s; s = s->next)
        if (s->tally)
            tally_drop(s->tally, pid);
}

/* ---- in a worker ---- */

/* "localhost" need not be looked up by anybody. */
static void learn_localhost(struct outbound *o)
{
    if (!remote_has_name(&o->limit->remote, "localhost"))
        return;
    o->learned[o->learned_count++] = in6addr_loopback;
    o->learned[o->learned_count++] = (struct in6_addr){.s6_addr = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
}

static void outbound_open(struct outbound *o, const struct outbound_limit *limit)
{
    *o = (struct outbound){.limit = limit, .cell = limit->tally ? tally_join(limit->tally) : -1};
    if (limit->tally && o->cell < 0)
        log_error("[%s] does not hold in this worker: too many processes share it", limit->title);
    learn_localhost(o);
}

void outbound_start(const struct outbound_limits *limits)
{
    outbounds = xcalloc(limits->count, sizeof(*outbounds));
    for (size_t i = 0, j; i < limits->count; i++) {
        for (j = i; j > 0 && remote_rank(&limits->list[i].remote) > remote_rank(&outbounds[j - 1].limit->remote); j--)
            outbounds[j] = outbounds[j - 1];
        outbound_open(&outbounds[j], &limits->list[i]);
    }
    for (size_t i = 0; i < limits->count; i++)
        list_init(&outbounds[i].queue);
    outbound_count = limits->count;
    outbound_pid = getpid();
    holder_init();
    outbound_used = outbound_count > 0;
}

void outbound_forget(void)
{
    outbound_used = false;
}

void outbound_log_counts(void)
{
    for (size_t i = 0; i < outbound_count; i++) {
        const struct outbound_limit *limit = outbounds[i].limit;
        struct tally_counts counts;

        if (!limit->tally)
            continue;
        tally_counts(limit->tally, &counts);
        log_info("[%s]: %llu connections, at most %u at once; %llu waited, %lld ms in all; %llu gave up", limit->title,
                 (unsigned long long)counts.opened, counts.most, (unsigned long long)counts.waited,
                 (long long)(counts.waited_for / 1000000), (unsigned long long)counts.given_up);
    }
}

/* ---- names ---- */

static bool has_learned(const struct outbound *o, const struct in6_addr *ip)
{
    for (unsigned i = 0; i < o->learned_count && i < MAX_LEARNED; i++)
        if (IN6_ARE_ADDR_EQUAL(&o->learned[i], ip))
            return true;
    return false;
}

static void learn_address(const char *name, const struct sockaddr *address)
{
    struct in6_addr ip;

    if (!address_ip(&ip, address))
        return;
    real()->pthread_mutex_lock(&learn_lock);
    for (size_t i = 0; i < outbound_count; i++)
        if (remote_has_name(&outbounds[i].limit->remote, name) && !has_learned(&outbounds[i], &ip))
            outbounds[i].learned[outbounds[i].learned_count++ % MAX_LEARNED] = ip;
    real()->pthread_mutex_unlock(&learn_lock);
}

void outbound_learn(const char *name, const struct addrinfo *found)
{
    for (; found; found = found->ai_next)
        learn_address(name, found->ai_addr);
}

void outbound_learn_host(const char *name, const struct hostent *found)
{
    for (char **at = found->h_addr_list; *at; at++) {
        union address address = {.any.sa_family = (sa_family_t)found->h_addrtype};

        if (found->h_addrtype == AF_INET)
            memcpy(&address.in.sin_addr, *at, sizeof(address.in.sin_addr));
        else
            memcpy(&address.in6.sin6_addr, *at, sizeof(address.in6.sin6_addr));
        learn_address(name, &address.any);
    }
}

static bool has_learned_address(const struct outbound *o, const struct sockaddr *to)
{
    struct in6_addr ip;
    bool found;

    if (o->limit->remote.kind != REMOTE_HOST || !address_ip(&ip, to) || !remote_has_port(&o->limit->remote, to))
        return false;
    real()->pthread_mutex_lock(&learn_lock);
    found = has_learned(o, &ip);
    real()->pthread_mutex_unlock(&learn_lock);
    return found;
}

/* ---- which one ---- */

static bool is_datagram(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type == SOCK_DGRAM;
}

static bool is_long_enough(const struct sockaddr *to, socklen_t size)
{
    if (size < sizeof(sa_family_t))
        return false;
    return to->sa_family == AF_UNIX ||
           size >= (to->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) - 4 : sizeof(struct sockaddr_in));
}

struct outbound *outbound_find(int fd, const struct sockaddr *to, socklen_t size)
{
    if (!is_long_enough(to, size) || getpid() != outbound_pid)
        return NULL;
    for (size_t i = 0; i < outbound_count; i++) {
        struct outbound *o = &outbounds[i];

        if (remote_has_address(&o->limit->remote, to, size) || has_learned_address(o, to))
            return o->cell < 0 || is_datagram(fd) ? NULL : o;
    }
    return NULL;
}

int64_t outbound_connect_timeout(const struct outbound *o)
{
    return o->limit->connect_timeout;
}

/* ---- peers that are gone without a word ---- */

#define PROBES 3

static void set_tcp_option(int fd, int option, int value)
{
    setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)); /* the connection works without */
}

/* The kernel asks an idle peer, which answers whatever its process does: a long query is no silence. What was sent must
 * be acknowledged in the same time. In whole seconds: idle for half of it, then a probe every sixth. */
void outbound_probe_peer(const struct outbound *o, int fd, int family)
{
    int seconds = (int)(o->limit->peer_timeout / 1000), interval = seconds / (2 * PROBES), on = 1;

    if (o->limit->peer_timeout == 0 || (family != AF_INET && family != AF_INET6))
        return;
    interval = interval ? interval : 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    set_tcp_option(fd, TCP_KEEPIDLE, seconds > (PROBES + 1) * interval ? seconds - PROBES * interval : 1);
    set_tcp_option(fd, TCP_KEEPINTVL, interval);
    set_tcp_option(fd, TCP_KEEPCNT, PROBES);
    set_tcp_option(fd, TCP_USER_TIMEOUT, (int)o->limit->peer_timeout);
}

/* ---- waiting ---- */

static bool outbound_take(struct outbound *o)
{
    return tally_take(o->limit->tally, o->cell, (uint32_t)o->limit->max_connections);
}

static struct outbound_waiter *queue_head(const struct outbound *o)
{
    return list_empty(&o->queue) ? NULL : list_entry(o->queue.next, struct outbound_waiter, link);
}

/* The first in the queue may have its turn. On the loop's thread. */
static void wake_head(const struct outbound *o)
{
    if (queue_head(o))
        wait_addr_wake(queue_head(o), 1);
}

static void warn_of_timeout(struct outbound *o)
{
    int64_t now = wait_now();

    if (now - o->warned < LOG_INTERVAL)
        return;
    o->warned = now;
    log_warn("[%s]: queue-timeout exceeded while max-connections, %lld, were open: connect fails with ETIMEDOUT",
             o->limit->title, (long long)o->limit->max_connections);
}

static void sweep_now_and_then(struct outbound *o, int64_t now)
{
    if (now - o->swept < SWEEP)
        return;
    o->swept = now;
    holder_sweep();
}

/* Park until there may be a turn. Returns 0 to look for it, or -errno. */
static int waiter_park(const struct outbound *o, struct outbound_waiter *w, int64_t deadline)
{
    bool first = queue_head(o) == w;
    int64_t until = first ? min_int64(wait_deadline(POLL), deadline) : deadline;
    struct wait_addr place;
    int err;

    wait_addr_enter(&place, w);
    err = wait_addr_park_cancellable(&place, until);
    if (park_restarts(err) || (err == -ETIMEDOUT && wait_now() < deadline))
        return 0;
    return err;
}

/* Whether the first in the queue has its turn. */
static bool waiter_takes(struct outbound *o, const struct outbound_waiter *w)
{
    if (queue_head(o) != w)
        return false;
    tally_wait(o->limit->tally, o->cell, w->since);
    sweep_now_and_then(o, wait_now());
    return !tally_has_older(o->limit->tally, o->cell, w->since) && outbound_take(o);
}

static int waiter_run(struct outbound *o, struct outbound_waiter *w, int64_t deadline)
{
    int err = 0;

    while (!err && !waiter_takes(o, w))
        err = waiter_park(o, w, deadline);
    return err;
}

static int64_t outbound_deadline(const struct outbound *o)
{
    return o->limit->queue_timeout ? wait_deadline(o->limit->queue_timeout * 1000000) : WAIT_FOREVER;
}

/* On a coroutine. */
static int outbound_queue(struct outbound *o)
{
    struct outbound_waiter w = {.since = wait_now()};
    int err;

    list_push(&o->queue, &w.link);
    err = waiter_run(o, &w, outbound_deadline(o));
    list_remove(&w.link);
    tally_wait(o->limit->tally, o->cell, queue_head(o) ? queue_head(o)->since : 0);
    wake_head(o);
    tally_count_wait(o->limit->tally, wait_now() - w.since, err == -ETIMEDOUT);
    return err;
}

/* On another OS thread. */
static int outbound_poll(struct outbound *o)
{
    const struct timespec pause = {.tv_nsec = POLL};
    int64_t since = wait_now(), deadline = outbound_deadline(o);
    bool taken;

    while (!(taken = outbound_take(o)) && wait_now() < deadline) {
        real()->nanosleep(&pause, NULL);
        sweep_now_and_then(o, wait_now());
    }
    tally_count_wait(o->limit->tally, wait_now() - since, !taken);
    return taken ? 0 : -ETIMEDOUT;
}

static int outbound_park(struct outbound *o)
{
    bool told = reason_begin(FOR_PLACE, -1, NULL);
    int err = outbound_queue(o);

    reason_end(told);
    return err;
}

static int outbound_wait(struct outbound *o)
{
    int err;

    if (!coro_self())
        err = outbound_poll(o);
    else
        err = outbound_park(o);
    if (err == -ETIMEDOUT)
        warn_of_timeout(o);
    return err;
}

int outbound_begin(struct outbound *o, int fd)
{
    int err = 0;

    if (holder_has(fd, o) || (wait_is_owner() && !coro_self())) /* the loop itself must not wait */
        return 0;
    if ((coro_self() && !list_empty(&o->queue)) || !outbound_take(o))
        err = outbound_wait(o);
    if (!err && !holder_add(fd, o))
        outbound_end(o);
    return err;
}

void outbound_end(struct outbound *o)
{
    tally_give(o->limit->tally, o->cell);
    if (wait_is_owner())
        wake_head(o);
}
