/* input.h: bytes received and not yet understood. */
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
    char *buf; /* [start, end) is unread; buf belongs to the owner of the struct until it grew */
    size_t size, start, end;
    int64_t timeout; /* nanoseconds that input_await waits; 0: for ever */
    size_t in_a_row; /* bytes of body received since the coroutine let others run */
    bool grown;      /* buf is ours */
    bool drained;    /* the last recv took all there was */
    bool ended;      /* the client sends no more */
};

void input_init(struct input *in, struct wait_source *source, char *buf, size_t size);
void input_release(struct input *in);

/* Receive into the buffer without waiting. Returns the bytes received, 0 at the end of the stream, -EAGAIN if there
 * are none now, -ENOBUFS if the buffer is full, or another -errno. Moves unread bytes to the front if needed. */
ssize_t input_fill(struct input *in);

/* The same straight into memory of the caller. */
ssize_t input_recv(struct input *in, void *buf, size_t size);

/* Park until there may be something to receive: 0 or -errno. */
int input_wait(struct input *in, int64_t deadline);

/* The same for as long as the timeout of the struct. */
int input_await(struct input *in);

/* Whether a receive would find nothing, as far as is known without a system call. */
bool input_is_drained(const struct input *in);

/* Make room for size bytes in all. Unread bytes move: pointers into the buffer are no longer good. */
void input_grow(struct input *in, size_t size);

/* Make a new buffer of at least size bytes and leave the old one as it is: what points into it stays good until arena
 * is released. */
void input_renew(struct input *in, struct arena *arena, size_t size);

static inline size_t input_unread(const struct input *in)
{
    return in->end - in->start;
}

#endif
