/*
 * worker_session.c: sessions that an operator has with this worker: a prompt in it, a debugger on a request.
 *
 * The master passes the socket of the client on, and a language runtime in this process takes it from there: neither
 * the master nor the loop here has anything to do with the bytes. What an operator may do so, anybody may who can write
 * to the control socket; but that can end the server too.
 */
#include "worker/worker_session.h"

#include <stdio.h>
#include <sys/socket.h>

#include "base/real.h"
#include "coro/coro.h"
#include "inside/question.h"
#include "inside/running.h"
#include "log/log.h"

/* The client has sent a line only, so its socket takes these few bytes. */
static void refuse_session(int fd, const char *why)
{
    char answer[256];
    int size = snprintf(answer, sizeof(answer), "syncless %d 1\n%s\n", INSIDE_VERSION, why);

    if (real()->send(fd, answer, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("a client of the control socket has left");
    real()->close(fd);
}

void session_begin(int fd, const char *line)
{
    struct question q;

    if (fd < 0)
        return;
    log_info("an operator begins a session: %s", line);
    if (question_parse(&q, line)) /* by a master of another version */
        refuse_session(fd, "this worker does not know the command");
    else if (q.what == ASK_CONSOLE && !coro_console(fd))
        refuse_session(fd, "the worker runs no Python code");
    else if (q.what == ASK_DEBUG && !running_debug(q.number, fd))
        refuse_session(fd, "there is no such request that runs Python code");
}
