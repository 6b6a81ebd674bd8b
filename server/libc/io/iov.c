/*
 * iov.c: buffers of which some bytes are done, for calls that go on with the rest.
 *
 * The caller's array must not change, and a copy of it would need memory. So after a part of a buffer the rest of that
 * one is sent or received alone.
 */
#include "libc/io/iov.h"

void iov_rest_skip(struct iov_rest *rest, size_t done)
{
    done += rest->offset;
    while (rest->count > 0 && done >= rest->iov->iov_len) {
        done -= rest->iov->iov_len;
        rest->iov++;
        rest->count--;
    }
    rest->offset = done;
}

void iov_rest_next(struct iov_rest *rest, struct msghdr *msg)
{
    if (rest->offset == 0) {
        msg->msg_iov = (struct iovec *)rest->iov;
        msg->msg_iovlen = rest->count;
        return;
    }
    rest->part.iov_base = (char *)rest->iov->iov_base + rest->offset;
    rest->part.iov_len = rest->iov->iov_len - rest->offset;
    msg->msg_iov = &rest->part;
    msg->msg_iovlen = 1;
}

size_t iov_total(const struct iovec *iov, size_t count)
{
    size_t total = 0;

    for (size_t i = 0; i < count; i++)
        total += iov[i].iov_len;
    return total;
}
