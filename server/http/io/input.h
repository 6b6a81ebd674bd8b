/* input.h: the input buffer of a connection: received, not yet parsed. */
#ifndef HTTP_INPUT_H
#define HTTP_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "wait/wait.h"

struct input {
    struct wait_source *source;
    char *buf; /* [start, end) is unread; the caller's memory until it has grown */
    size_t size, start, end;
    int64_t timeout; /* nanoseconds that a wait for a body takes at most; 0: no limit */
    bool grown;      /* buf is on the heap, and owned */
    bool drained;    /* the last receive took all there was */
    bool ended;      /* the client has closed its side */
};

void input_init(struct input *in, struct wait_source *source, char *buf, size_t size);
void input_release(struct input *in);

/* Receive into the buffer without waiting; unread bytes may move to its front. Returns the bytes received, 0 at the end
 * of the stream, -EAGAIN if there are none now, -ENOBUFS if the buffer is full, or another -errno. */
ssize_t input_fill(struct input *in);

/* The same straight into the caller's memory. */
ssize_t input_recv(struct input *in, void *buf, size_t size);

/* Park until there may be something to receive. Returns 0 or -errno. */
int input_wait(struct input *in, int64_t deadline);

/* Whether a receive would find nothing, as far as is known without a system call. */
bool input_is_drained(const struct input *in);

/* Make the buffer hold size bytes. Unread bytes move: pointers into the buffer become invalid. */
void input_grow(struct input *in, size_t size);

/* Move unread bytes to a new buffer of at least size bytes. Pointers into the old one stay valid until the arena is
 * released. */
void input_renew(struct input *in, struct arena *arena, size_t size);

static inline size_t input_unread(const struct input *in)
{
    return in->end - in->start;
}

#endif
