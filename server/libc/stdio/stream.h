/* stream.h: libc's streams, read and written on a coroutine. */
#ifndef LIBC_STREAM_H
#define LIBC_STREAM_H

#include <stdbool.h>
#include <stdio.h>

#include "base/list.h"
#include "coro/coro.h"

/* A coroutine has the stream for itself, while it parks too. */
struct stream_hold {
    struct list link;
    FILE *file;
    struct coro *co;
    unsigned count; /* of nested holds, and of libc's lock */
};

/* Whether a call on the stream may wait for its descriptor or for another coroutine. enough: the call does not need
 * the descriptor. To find out may take a system call. */
bool stream_may_wait(FILE *file, bool enough);

/* Take the stream, as flockfile does: nested, and from OS threads too. */
void stream_hold(struct stream_hold *hold, FILE *file);
void stream_release(struct stream_hold *hold);

/* Bytes that can be read without the descriptor: at once, and after an ungetc, in libc's own buffer. */
static inline size_t stream_buffered(const FILE *file)
{
    return (size_t)(file->_IO_read_end - file->_IO_read_ptr);
}

/* Have the buffer contain something. Returns false at the end of the file or after an error, with errno. */
bool stream_fill(FILE *file);

/* Write, with what is in the buffer before it; size may be 0. The stream buffers a rest as it is set up to. Returns how
 * many of the bytes were taken; fewer after an error, with errno. */
size_t stream_put(FILE *file, const char *bytes, size_t size);

/* Write what is in the buffer. Returns 0 or EOF. */
int stream_flush(FILE *file);

#endif
