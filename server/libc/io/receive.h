/* receive.h: receiving from a socket, for recv and for read. */
#ifndef LIBC_RECEIVE_H
#define LIBC_RECEIVE_H

#include <sys/socket.h>

#include "libc/io/io.h"

/* As recvfrom(2) and recvmsg(2), without io_end. They fail with ENOTSOCK if io->fd is no socket. */
ssize_t receive_from(struct io *io, void *buf, size_t size, int flags, struct sockaddr *from, socklen_t *from_size);
ssize_t receive_msg(struct io *io, struct msghdr *msg, int flags);

#endif
