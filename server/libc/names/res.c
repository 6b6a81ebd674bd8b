/*
 * res.c: res_query, res_search, res_querydomain and res_send, and their forms with a state (res_n*).
 *
 * They fill the caller's buffer with the reply of a DNS server, byte by byte; c-ares would make another message of it.
 * So libc sends the query, on a thread of its own, since a server that is silent takes seconds. The forms without a
 * state use that of the calling thread, which is shared by all coroutines: they get a copy.
 */
#include <errno.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>

#include "base/real.h"
#include "libc/runtime/park.h"

enum query_kind {
    QUERY_ONE,
    QUERY_SEARCH,
    QUERY_DOMAIN,
    QUERY_SEND,
};

struct res_call {
    enum query_kind kind;
    res_state state;
    const char *name, *domain;
    int class, type;
    const unsigned char *message; /* of QUERY_SEND */
    int message_size;
    unsigned char *answer;
    int size;
    int err, h_error; /* of the thread */
};

static int res_call_run(void *arg)
{
    struct res_call *c = arg;
    int result = -1;

    h_errno = c->h_error; /* some failures leave it as it was */
    switch (c->kind) {
    case QUERY_ONE:
        result = real()->res_nquery(c->state, c->name, c->class, c->type, c->answer, c->size);
        break;
    case QUERY_SEARCH:
        result = real()->res_nsearch(c->state, c->name, c->class, c->type, c->answer, c->size);
        break;
    case QUERY_DOMAIN:
        result = real()->res_nquerydomain(c->state, c->name, c->domain, c->class, c->type, c->answer, c->size);
        break;
    case QUERY_SEND:
        result = real()->res_nsend(c->state, c->message, c->message_size, c->answer, c->size);
        break;
    }
    c->err = errno;
    c->h_error = h_errno;
    return result;
}

/* With the state of the call. */
static int res_call_parked(struct res_call *c)
{
    int saved = errno, result;

    c->h_error = h_errno;
    result = wait_thread_for(FOR_DNS, c->name, res_call_run, c);
    h_errno = c->h_error;
    errno = result < 0 ? c->err : saved;
    return result;
}

/* With a copy of the thread's state: its servers, domains, and what the program has set. */
static int res_call_copied(struct res_call *c)
{
    struct __res_state copy = {0};
    int result;

    if ((_res.options & RES_INIT) == 0 && res_init() < 0)
        return -1;
    if (res_ninit(&copy) < 0)
        return -1;
    copy.options = _res.options;
    copy.retrans = _res.retrans;
    copy.retry = _res.retry;
    copy.ndots = _res.ndots;
    copy.nscount = _res.nscount;
    memcpy(copy.nsaddr_list, _res.nsaddr_list, sizeof(copy.nsaddr_list));
    c->state = &copy;
    result = res_call_parked(c);
    _res.res_h_errno = copy.res_h_errno;
    res_nclose(&copy);
    return result;
}

static bool res_passes(void)
{
    return !coro_self() || !park_possible();
}

/* ---- with a state ---- */

int res_nquery(res_state state, const char *name, int class, int type, unsigned char *answer, int size)
{
    struct res_call c = {.kind = QUERY_ONE, .state = state, .name = name, .class = class, .type = type};

    c.answer = answer;
    c.size = size;
    return res_passes() ? real()->res_nquery(state, name, class, type, answer, size) : res_call_parked(&c);
}

int res_nsearch(res_state state, const char *name, int class, int type, unsigned char *answer, int size)
{
    struct res_call c = {.kind = QUERY_SEARCH, .state = state, .name = name, .class = class, .type = type};

    c.answer = answer;
    c.size = size;
    return res_passes() ? real()->res_nsearch(state, name, class, type, answer, size) : res_call_parked(&c);
}

int res_nquerydomain(res_state state, const char *name, const char *domain, int class, int type, unsigned char *answer,
                     int size)
{
    struct res_call c = {.kind = QUERY_DOMAIN, .state = state, .name = name, .domain = domain, .class = class};

    c.type = type;
    c.answer = answer;
    c.size = size;
    return res_passes() ? real()->res_nquerydomain(state, name, domain, class, type, answer, size)
                        : res_call_parked(&c);
}

int res_nsend(res_state state, const unsigned char *message, int message_size, unsigned char *answer, int size)
{
    struct res_call c = {.kind = QUERY_SEND, .state = state, .message = message, .message_size = message_size};

    c.answer = answer;
    c.size = size;
    return res_passes() ? real()->res_nsend(state, message, message_size, answer, size) : res_call_parked(&c);
}

/* ---- without ---- */

int res_query(const char *name, int class, int type, unsigned char *answer, int size)
{
    struct res_call c = {.kind = QUERY_ONE, .name = name, .class = class, .type = type, .answer = answer, .size = size};

    return res_passes() ? real()->res_query(name, class, type, answer, size) : res_call_copied(&c);
}

int res_search(const char *name, int class, int type, unsigned char *answer, int size)
{
    struct res_call c = {.kind = QUERY_SEARCH, .name = name, .class = class, .type = type};

    c.answer = answer;
    c.size = size;
    return res_passes() ? real()->res_search(name, class, type, answer, size) : res_call_copied(&c);
}

int res_querydomain(const char *name, const char *domain, int class, int type, unsigned char *answer, int size)
{
    struct res_call c = {.kind = QUERY_DOMAIN, .name = name, .domain = domain, .class = class, .type = type};

    c.answer = answer;
    c.size = size;
    return res_passes() ? real()->res_querydomain(name, domain, class, type, answer, size) : res_call_copied(&c);
}

int res_send(const unsigned char *message, int message_size, unsigned char *answer, int size)
{
    struct res_call c = {.kind = QUERY_SEND, .message = message, .message_size = message_size};

    c.answer = answer;
    c.size = size;
    return res_passes() ? real()->res_send(message, message_size, answer, size) : res_call_copied(&c);
}

/* The names before glibc 2.34. */
#define OLD_NAME(name) __typeof__(name) old_##name __asm__("__" #name) __attribute__((alias(#name), nothrow, leaf))
OLD_NAME(res_nquery);
OLD_NAME(res_nsearch);
OLD_NAME(res_nquerydomain);
OLD_NAME(res_nsend);
OLD_NAME(res_query);
OLD_NAME(res_search);
OLD_NAME(res_querydomain);
OLD_NAME(res_send);
