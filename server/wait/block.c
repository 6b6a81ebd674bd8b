/*
 * block.c: waits of a coroutine that must not let others run: it holds a lock of the OS thread.
 *
 * That is the dynamic linker's, in constructors of a library that is loaded. An OS thread that has the GIL may wait for
 * that lock, in a look-up of a symbol for example, and then nobody could take the GIL to end the constructor's wait.
 */
#include "wait/block.h"

#include <errno.h>

#include "base/real.h"
#include "wait/wait.h"

int block_fds(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    int result;

    do {
        int64_t left = deadline == WAIT_FOREVER ? -1 : deadline - wait_now();
        struct timespec timeout = {left / 1000000000, left % 1000000000};

        if (deadline != WAIT_FOREVER && left < 0)
            timeout = (struct timespec){0, 0};
        result = real()->ppoll(fds, count, deadline == WAIT_FOREVER ? NULL : &timeout, NULL);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

int block_fd(int fd, short events, int64_t deadline)
{
    struct pollfd look = {.fd = fd, .events = events};
    int result = block_fds(&look, 1, deadline);

    if (result == 0)
        return -ETIMEDOUT;
    return result < 0 ? result : look.revents;
}
