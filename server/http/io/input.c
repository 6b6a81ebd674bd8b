/*
 * input.c: the input buffer of a connection.
 *
 * It begins as a small one on the coroutine's stack, where most requests fit, and moves to the heap when a head or a
 * chunked body needs more. The source is edge-triggered, so a coroutine must not park before a receive came back short
 * or with EAGAIN: no further edge may come. `drained` and the source's `seen` bits record that, and save the receive
 * that would only return EAGAIN.
 */
#include "http/io/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "http/io/socket.h"
#include "wait/reason.h"

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

/* Move unread bytes to a new buffer. Returns the old one, or NULL if it is not on the heap. */
static char *replace_buffer(struct input *in, size_t size)
{
    char *old = in->grown ? in->buf : NULL, *buf = xmalloc(size);

    memcpy(buf, in->buf + in->start, input_unread(in));
    in->buf = buf;
    in->size = size;
    in->end -= in->start;
    in->start = 0;
    in->grown = true;
    return old;
}

void input_grow(struct input *in, size_t size)
{
    if (size > in->size)
        free(replace_buffer(in, size));
}

void input_renew(struct input *in, struct arena *arena, size_t size)
{
    size_t unread = input_unread(in);
    char *old = replace_buffer(in, unread > size ? unread : size);

    if (old)
        arena_defer(arena, free, old);
}

ssize_t input_recv(struct input *in, void *buf, size_t size)
{
    ssize_t n;

    in->source->seen &= (short)~POLLIN;
    do
        n = socket_recv(in->source->fd, buf, size);
    while (n < 0 && errno == EINTR);
    in->drained = n < (ssize_t)size;
    in->ended = n == 0;
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
    bool told;
    int events;

    if (!input_is_drained(in)) /* an edge has come meanwhile, and will not come again */
        return 0;
    told = reason_begin(FOR_CLIENT, in->source->fd, NULL);
    events = wait_fd(in->source->fd, POLLIN | POLLRDHUP, deadline);
    reason_end(told);
    return events < 0 ? events : 0;
}
