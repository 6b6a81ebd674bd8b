/*
 * child.c: wait for a child process by a pidfd, which becomes readable when the process ends.
 *
 * SIGCHLD would tell too, but its handler belongs to the application, and one signal stands for any number of children.
 * Nothing is reaped here: who waits takes the status with waitpid(2). If there can be no further descriptor, look every
 * now and then.
 */
#include "wait/wait.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_EVERY INT64_C(20000000) /* nanoseconds */

static int look_now_and_then(int pid, int64_t deadline)
{
    siginfo_t info = {0};
    int result;

    for (;;) {
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
            return -errno;
        if (info.si_pid == pid)
            return 0;
        if (wait_now() >= deadline)
            return -ETIMEDOUT;
        result = wait_sleep(wait_deadline(LOOK_EVERY));
        if (result < 0)
            return result;
    }
}

int wait_child(int pid, int64_t deadline)
{
    struct pollfd look = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    int result;

    if (look.fd < 0)
        return errno == ESRCH ? -ECHILD : look_now_and_then(pid, deadline);
    result = wait_fds(&look, 1, deadline);
    wait_fd_close(look.fd);
    close(look.fd);
    if (result == 0)
        return -ETIMEDOUT;
    return result < 0 ? result : 0;
}
