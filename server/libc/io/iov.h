/* iov.h: buffers of which some bytes are done, for calls that go on with the rest. */
#ifndef LIBC_IOV_H
#define LIBC_IOV_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct iov_rest {
    const struct iovec *iov; /* the caller's */
    size_t count;
    size_t offset;     /* bytes of the first one that are done */
    struct iovec part; /* the rest of the first one */
};

/* Step over bytes that were done. */
void iov_rest_skip(struct iov_rest *rest, size_t done);

/* Make msg name the buffers to use next: the rest of the first one alone if it has been begun, else all. */
void iov_rest_next(struct iov_rest *rest, struct msghdr *msg);

/* Returns the size of all buffers together. */
size_t iov_total(const struct iovec *iov, size_t count);

#endif
