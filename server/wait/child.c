/*
 * child.c: wait for a child process by a pidfd, which becomes readable when the process ends.
 *
 * SIGCHLD would tell too, but its handler belongs to the application, and one signal stands for any number of children.
 * Nothing is reaped here: the caller takes the status with waitpid(2). When there are no more descriptors, the child is
 * polled.
 */
#include "wait/wait.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/real.h"
#include "wait/reason.h"

#define POLL_EVERY INT64_C(20000000) /* nanoseconds */

static int child_poll(int pid, int64_t deadline)
{
    siginfo_t info = {0};
    int err;

    for (;;) {
        if (real()->waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
            return -errno;
        if (info.si_pid == pid)
            return 0;
        if (wait_now() >= deadline)
            return -ETIMEDOUT;
        err = wait_sleep(wait_deadline(POLL_EVERY));
        if (err)
            return err;
    }
}

static int child_wait(int pid, int64_t deadline)
{
    struct pollfd pidfd = {.fd = (int)real()->syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    int result;

    if (pidfd.fd < 0)
        return errno == ESRCH ? -ECHILD : child_poll(pid, deadline);
    result = wait_fds(&pidfd, 1, deadline);
    wait_fd_close(pidfd.fd);
    real()->close(pidfd.fd);
    if (result == 0)
        return -ETIMEDOUT;
    return result < 0 ? result : 0;
}

int wait_child(int pid, int64_t deadline)
{
    bool told = reason_begin(FOR_CHILD, pid, NULL);
    int result = child_wait(pid, deadline);

    reason_end(told);
    return result;
}
