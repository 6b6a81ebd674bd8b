/* receive.h: receiving from a socket, for recv and for read. */
#ifndef LIBC_RECEIVE_H
#define LIBC_RECEIVE_H

#include <sys/socket.h>

#include "libc/io/io.h"

/* recvfrom(2) and recvmsg(2) in the name of io. errno ENOTSOCK if that is no socket. */
ssize_t receive_from(struct io *io, void *buf, size_t size, int flags, struct sockaddr *from, socklen_t *from_size);
ssize_t receive_msg(struct io *io, struct msghdr *msg, int flags);

#endif
