/* sigmask.h: waiting for descriptors under another signal mask, for ppoll, pselect, epoll_pwait and sigsuspend. */
#ifndef LIBC_SIGMASK_H
#define LIBC_SIGMASK_H

#include <poll.h>
#include <signal.h>
#include <stdint.h>

/* As wait_fds. With a mask (or NULL), a signal that is blocked now and would not be under the mask ends the wait too:
 * its handler has run when this returns -EINTR. */
int sigmask_wait_fds(struct pollfd *fds, nfds_t count, int64_t deadline, const sigset_t *mask);

#endif
