/* block.h: waits that keep the OS thread. */
#ifndef WAIT_BLOCK_H
#define WAIT_BLOCK_H

#include <poll.h>
#include <stdint.h>

/* As wait_fds and wait_fd, but nobody else runs meanwhile. Signals do not end them. */
int block_fds(struct pollfd *fds, nfds_t count, int64_t deadline);
int block_fd(int fd, short events, int64_t deadline);

#endif
