/*
 * gai.c: getaddrinfo_a and gai_suspend, by which libc's own threads look up names.
 *
 * As with aio_suspend (io/aio.c), nothing tells when one has ended.
 */
#include <netdb.h>

#include "base/real.h"
#include "libc/runtime/park.h"
#include "libc/runtime/timespec.h"

struct gai_call {
    struct gaicb **list;
    int count;
    struct sigevent *event;
};

static int gai_run(void *arg)
{
    const struct gai_call *call = arg;

    return real()->getaddrinfo_a(GAI_WAIT, call->list, call->count, call->event);
}

int getaddrinfo_a(int mode, struct gaicb *list[restrict], int count, struct sigevent *restrict event)
{
    struct gai_call call = {list, count, event};

    if (mode != GAI_WAIT || !coro_self() || !park_possible())
        return real()->getaddrinfo_a(mode, list, count, event);
    return wait_thread_for(FOR_DNS, NULL, gai_run, &call);
}

/* Whether libc would wait: some look-ups of the list are in progress, and none has ended. */
static bool gai_would_wait(const struct gaicb *const list[], int count)
{
    bool any = false;

    for (int i = 0; i < count; i++) {
        if (list[i] && gai_error((struct gaicb *)list[i]) != EAI_INPROGRESS)
            return false;
        any |= list[i] != NULL;
    }
    return any;
}

int gai_suspend(const struct gaicb *const list[], int count, const struct timespec *timeout)
{
    struct park_backoff backoff = {0};
    int saved = errno, result = 0;
    int64_t deadline;

    if (!coro_self() || (timeout && !timespec_may_wait(timeout)) || !park_possible())
        return real()->gai_suspend(list, count, timeout);
    deadline = timespec_deadline_in(timeout);
    while (result >= 0 && gai_would_wait(list, count))
        result = park_backoff_for(FOR_DNS, -1, &backoff, deadline);
    errno = saved;
    if (result < 0)
        return result == -ETIMEDOUT ? EAI_AGAIN : EAI_INTR;
    return real()->gai_suspend(list, count, timeout);
}
