/* poll.h: waiting for several descriptors, for poll, select, epoll_wait and sigsuspend. */
#ifndef LIBC_POLL_H
#define LIBC_POLL_H

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

/* wait_fds; with a mask, also until a signal comes that is blocked now and would not be under the mask. Its handler has
 * run when this returns -EINTR. */
int poll_park(struct pollfd *fds, nfds_t count, int64_t deadline, const sigset_t *mask);

extern const struct timespec poll_at_once;

#endif
