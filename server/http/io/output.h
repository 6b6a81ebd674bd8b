/* output.h: the output buffer of a connection. */
#ifndef HTTP_OUTPUT_H
#define HTTP_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "http/io/client_wait.h"
#include "wait/wait.h"

struct output {
    struct wait_source *source;
    char *block;                     /* of ARENA_BLOCK bytes; NULL if there is nothing to send */
    size_t start, end;               /* unsent bytes of block */
    int error;                       /* the -errno after which nothing more can be sent, or 0 */
    int64_t timeout;                 /* nanoseconds without room to send; 0: no limit */
    bool sending;                    /* a coroutine sends; others wait */
    struct client_wait *client_wait; /* told when one waits for room to send; or NULL */
};

void output_init(struct output *out, struct wait_source *source);
void output_release(struct output *out);

/* Add size bytes to the buffer. Sends what leaves no room for them, and large pieces at once, so it may wait. Returns 0
 * or -errno. */
int output_write(struct output *out, const void *buf, size_t size);

/* The same for a list of up to 4 pieces that belong together. */
int output_writev(struct output *out, const struct iovec *pieces, int count);

/* Reserve size bytes in the buffer, size < ARENA_BLOCK / 2, to be written at *at; then call output_commit with how many
 * were used. Returns 0 or -errno. */
int output_reserve(struct output *out, size_t size, char **at);
void output_commit(struct output *out, size_t used);

/* Send the whole buffer. Waits. Returns 0 or -errno. */
int output_flush(struct output *out);

/* Send what can be sent without waiting; called when the coroutine parks. */
void output_try_flush(struct output *out);

/* Send size bytes of a file, after the buffer. Returns 0, -EIO if the file is shorter, or -errno. */
int output_sendfile(struct output *out, int fd, off_t offset, size_t size);

#endif
