/* send.h: sending to a socket, for send and for write. */
#ifndef LIBC_SEND_H
#define LIBC_SEND_H

#include <sys/socket.h>

#include "libc/io/io.h"

/* sendto(2) and sendmsg(2) in the name of io: everything is taken, or an error ends it. errno ENOTSOCK if that is no
 * socket. */
ssize_t send_to(struct io *io, const void *buf, size_t size, int flags, const struct sockaddr *to, socklen_t to_size);
ssize_t send_msg(struct io *io, const struct msghdr *msg, int flags);

#endif
