/*
 * waitpid.c: wait, wait3, wait4, waitpid and waitid.
 *
 * The kernel is asked with WNOHANG. If no child has changed its state, the coroutine parks until the child in question
 * ends (wait_child), and asks again. No descriptor tells of "any child", of a process group, or of a child that stops
 * or continues: then it asks again after pauses of at most 32 ms.
 */
#include "base/real.h"
#include "libc/runtime/park.h"
#include "wait/reason.h"

/* ---- waitpid ---- */

/* Park until it may be worth asking again. Returns 0 or a negative errno. */
static int park_for_child(pid_t pid, int options, struct park_backoff *backoff)
{
    int result;

    if (pid <= 0 || options & (WUNTRACED | WCONTINUED))
        result = park_backoff_for(FOR_CHILD, -1, backoff, WAIT_FOREVER);
    else
        result = wait_child(pid, WAIT_FOREVER);
    return result == -ECHILD || park_restarts(result) ? 0 : result;
}

pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
    struct park_backoff backoff = {0};
    int saved = errno;
    pid_t found;

    if (!coro_self() || options & WNOHANG)
        return real()->wait4(pid, status, options, usage);
    while ((found = real()->wait4(pid, status, options | WNOHANG, usage)) == 0) {
        if (!park_possible_for_child())
            return real()->wait4(pid, status, options, usage);
        if (!park_ok(park_for_child(pid, options, &backoff)))
            return -1;
    }
    if (found > 0)
        errno = saved;
    return found;
}

pid_t waitpid(pid_t pid, int *status, int options)
{
    if (!coro_self())
        return real()->waitpid(pid, status, options);
    return wait4(pid, status, options, NULL);
}

pid_t wait(int *status)
{
    return waitpid(-1, status, 0);
}

pid_t wait3(int *status, int options, struct rusage *usage)
{
    return wait4(-1, status, options, usage);
}

/* ---- waitid ---- */

static int wait_for_pidfd(int fd)
{
    bool told = reason_begin(FOR_CHILD, -1, NULL);
    int result = wait_fd(fd, POLLIN, WAIT_FOREVER);

    reason_end(told);
    return result;
}

/* As park_for_child. */
static int park_for_id(idtype_t type, id_t id, int options, struct park_backoff *backoff)
{
    int result;

    if (type == P_PID && !(options & WEXITED)) /* its end is not asked for */
        return park_for_child((pid_t)id, WUNTRACED, backoff);
    if (type == P_PID)
        return park_for_child((pid_t)id, options & (WUNTRACED | WCONTINUED), backoff);
    if (type != P_PIDFD || options & (WSTOPPED | WCONTINUED))
        result = park_backoff_for(FOR_CHILD, -1, backoff, WAIT_FOREVER);
    else
        result = wait_for_pidfd((int)id);
    return result > 0 || park_restarts(result) ? 0 : result;
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
    struct park_backoff backoff = {0};
    siginfo_t found = {0};
    int saved = errno;

    if (!coro_self() || options & WNOHANG)
        return real()->waitid(type, id, info, options);
    for (;;) {
        if (real()->waitid(type, id, &found, options | WNOHANG) < 0)
            return -1;
        if (found.si_pid != 0)
            break;
        if (!park_possible_for_child())
            return real()->waitid(type, id, info, options);
        if (!park_ok(park_for_id(type, id, options, &backoff)))
            return -1;
    }
    if (info)
        *info = found;
    errno = saved;
    return 0;
}
