/*
 * input.c: bytes received and not yet understood.
 *
 * The buffer begins as a small one on the coroutine's stack, where most requests fit, and moves to the heap when a head
 * or a chunked body wants more. The source is edge-triggered, so nobody may go to sleep before a receive came back short or
 * with EAGAIN: `drained` and the source's `seen` bits keep track, and save the receive that would only say EAGAIN.
 */
#include "http/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "arena.h"

#define CLOSED (POLLRDHUP | POLLHUP | POLLERR)

void input_init(struct input *in, struct wait_source *source, char *buf, size_t size)
{
    *in = (struct input){.source = source, .buf = buf, .size = size};
}

void input_release(struct input *in)
{
    if (in->grown)
        free(in->buf);
}

void input_grow(struct input *in, size_t size)
{
    char *buf;

    if (size <= in->size)
        return;
    buf = xmalloc(size);
    memcpy(buf, in->buf + in->start, input_unread(in));
    input_release(in);
    in->buf = buf;
    in->end -= in->start;
    in->start = 0;
    in->size = size;
    in->grown = true;
}

void input_renew(struct input *in, struct arena *arena, size_t size)
{
    size_t unread = input_unread(in);
    char *buf = xmalloc(unread > size ? unread : size);

    memcpy(buf, in->buf + in->start, unread);
    if (in->grown)
        arena_defer(arena, free, in->buf);
    in->buf = buf;
    in->size = unread > size ? unread : size;
    in->start = 0;
    in->end = unread;
    in->grown = true;
}

ssize_t input_recv(struct input *in, void *buf, size_t size)
{
    ssize_t n;

    in->source->seen &= (short)~POLLIN;
    do
        n = recv(in->source->fd, buf, size, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    in->drained = n < (ssize_t)size;
    return n < 0 ? -errno : n;
}

ssize_t input_fill(struct input *in)
{
    ssize_t n;

    if (in->start == in->end) {
        in->start = in->end = 0;
    } else if (in->end == in->size && in->start > 0) {
        memmove(in->buf, in->buf + in->start, input_unread(in));
        in->end -= in->start;
        in->start = 0;
    }
    if (in->end == in->size)
        return -ENOBUFS;
    n = input_recv(in, in->buf + in->end, in->size - in->end);
    if (n > 0)
        in->end += (size_t)n;
    return n;
}

bool input_is_drained(const struct input *in)
{
    return in->drained && !(in->source->seen & (POLLIN | CLOSED));
}

int input_wait(struct input *in, int64_t deadline)
{
    int events;

    if (!input_is_drained(in) && (in->source->seen & CLOSED))
        return 0;
    events = wait_fd(in->source->fd, POLLIN | POLLRDHUP, deadline);
    return events < 0 ? events : 0;
}
