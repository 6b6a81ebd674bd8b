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

/* The same for a call with wide characters. */
bool stream_may_wait_wide(FILE *file, bool enough);

/* The same for a call with what the stream is used for. */
bool stream_may_wait_any(FILE *file, bool enough);

/* Park until the descriptor is readable, after a prompt was written and what is in the buffer for writing. Returns
 * false after an error, with errno. */
bool stream_await_input(FILE *file);

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

/* Whether there is something in the buffer that was not written yet. */
bool stream_has_pending(FILE *file);

/* Write what is in the buffer. Returns 0 or EOF. */
int stream_flush(FILE *file);

/* Before a call of libc that writes what is in the buffer: do that, if it may wait. If it fails, libc tries again and
 * says so. */
void stream_settle(FILE *file);

#endif
