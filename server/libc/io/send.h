/* send.h: sending to a socket, for send and for write. */
#ifndef LIBC_SEND_H
#define LIBC_SEND_H

#include <sys/socket.h>

#include "libc/io/io.h"

/* As sendto(2) and sendmsg(2) on a blocking socket, without io_end: all is sent unless there is an error. They fail
 * with ENOTSOCK if io->fd is no socket. */
ssize_t send_to(struct io *io, const void *buf, size_t size, int flags, const struct sockaddr *to, socklen_t to_size);
ssize_t send_msg(struct io *io, const struct msghdr *msg, int flags);

#endif
