/* output.h: bytes to send, gathered. */
#ifndef HTTP_OUTPUT_H
#define HTTP_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "wait/wait.h"

struct output {
    struct wait_source *source;
    char *block;       /* of ARENA_BLOCK bytes; NULL while there is nothing to send */
    size_t start, end; /* unsent bytes of block */
    int error;         /* the -errno that ended the connection's sending */
    int64_t timeout;   /* nanoseconds to wait for room to send; 0: for ever */
    size_t in_a_row;   /* bytes sent since the coroutine let others run */
    bool sending;      /* a send is under way, further up the stack */
};

void output_init(struct output *out, struct wait_source *source);
void output_release(struct output *out);

/* Gather size bytes; sends what is in the way first, and large pieces at once, so it may wait. Returns 0 or -errno. */
int output_write(struct output *out, const void *buf, size_t size);

/* The same of a list of up to 4 pieces that belong together. */
int output_writev(struct output *out, const struct iovec *pieces, int count);

/* *at: space for size bytes, size < ARENA_BLOCK / 2, to be written in place; then call output_commit with what was used.
 * Returns 0 or -errno. */
int output_reserve(struct output *out, size_t size, char **at);
void output_commit(struct output *out, size_t used);

/* Send all that was gathered. Waits. Returns 0 or -errno. */
int output_flush(struct output *out);

/* Send what can be sent without waiting, at a moment when the coroutine gives up the thread. */
void output_try_flush(struct output *out);

/* size bytes of a file, after what was gathered. Returns 0, -EIO if the file ends before, or -errno. */
int output_sendfile(struct output *out, int fd, off_t offset, size_t size);

#endif
