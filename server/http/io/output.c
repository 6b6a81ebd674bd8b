/*
 * output.c: bytes to send, gathered.
 *
 * Small pieces are copied into one block, so that head and body, and the answers to pipelined requests, leave in one
 * send; a large piece goes out by reference behind them, in one writev. What is gathered is sent when the block is
 * full, when somebody flushes, when the connection has no further request to serve, and at the latest when the
 * coroutine parks: an answer never waits for a request behind it that sleeps.
 */
#include "http/io/output.h"

#include <errno.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/arena.h"
#include "http/io/fair.h"
#include "http/io/socket.h"
#include "base/real.h"

#define COPY_UP_TO 4096 /* larger pieces are sent from where they are */
#define PIECES     4

void output_init(struct output *out, struct wait_source *source)
{
    *out = (struct output){.source = source};
}

static void drop(struct output *out)
{
    if (out->block)
        arena_block_put(out->block);
    out->block = NULL;
    out->start = out->end = 0;
}

void output_release(struct output *out)
{
    drop(out);
}

/* Begin to send, after whoever else does on this connection: a handler may read the body on one coroutine, which sends
 * what was gathered before it waits, and write the response on another one. Returns 0, or -errno if the coroutine was
 * cancelled while it waited. */
static int lock(struct output *out)
{
    while (out->sending) {
        struct wait_addr waiter;
        int err;

        wait_addr_enter(&waiter, out);
        err = wait_addr_park_cancellable(&waiter, WAIT_FOREVER);
        if (err)
            return err;
    }
    out->sending = true;
    return 0;
}

static void unlock(struct output *out)
{
    out->sending = false;
    if (atomic_load_explicit(&wait_addr_waiters, memory_order_relaxed))
        wait_addr_wake(out, 1);
}

static int wait_writable(struct output *out)
{
    int events = wait_fd(out->source->fd, POLLOUT, out->timeout ? wait_deadline(out->timeout) : WAIT_FOREVER);

    out->in_a_row = 0;
    return events < 0 ? events : 0;
}

/* Take n bytes off the front of a list of pieces. */
static void advance(struct iovec **pieces, int *count, size_t n)
{
    while (*count > 0 && n >= (*pieces)->iov_len) {
        n -= (*pieces)->iov_len;
        (*pieces)++;
        (*count)--;
    }
    if (*count > 0) {
        (*pieces)->iov_base = (char *)(*pieces)->iov_base + n;
        (*pieces)->iov_len -= n;
    }
}

/* Send a list of pieces to the last byte. The list is used up. */
static int send_all(struct output *out, struct iovec *pieces, int count)
{
    while (count > 0 && !out->error) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
        ssize_t n = count == 1 ? socket_send(out->source->fd, pieces->iov_base, pieces->iov_len)
                               : real()->sendmsg(out->source->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n >= 0) {
            advance(&pieces, &count, (size_t)n);
            fair_count(&out->in_a_row, (size_t)n);
        } else if (errno == EAGAIN) {
            out->error = wait_writable(out);
        } else if (errno != EINTR) {
            out->error = -errno;
        }
    }
    return out->error;
}

/* Send what was gathered, with the lock held. */
static int flush(struct output *out)
{
    struct iovec piece;
    int err = out->error;

    if (!out->block)
        return err;
    piece = (struct iovec){out->block + out->start, out->end - out->start};
    if (!err && piece.iov_len)
        err = send_all(out, &piece, 1);
    drop(out);
    return err;
}

int output_flush(struct output *out)
{
    int err = lock(out);

    if (err)
        return err;
    err = flush(out);
    unlock(out);
    return err;
}

void output_try_flush(struct output *out)
{
    ssize_t n;

    if (out->sending || out->error || out->start == out->end)
        return;
    n = socket_send(out->source->fd, out->block + out->start, out->end - out->start);
    if (n < 0)
        return; /* the next flush sees the same error */
    out->start += (size_t)n;
    if (out->start == out->end)
        drop(out);
}

/* What was gathered, and the pieces behind it, in one go. */
static int send_behind(struct output *out, const struct iovec *pieces, int count)
{
    struct iovec all[PIECES + 1] = {{0}};
    int skip = out->start == out->end, err;

    if (!skip)
        all[0] = (struct iovec){out->block + out->start, out->end - out->start};
    memcpy(all + 1, pieces, (size_t)count * sizeof(*pieces));
    err = out->error ? out->error : send_all(out, all + skip, count + 1 - skip);
    drop(out);
    return err;
}

static void append(struct output *out, const void *buf, size_t size)
{
    if (!out->block)
        out->block = arena_block_get();
    memcpy(out->block + out->end, buf, size);
    out->end += size;
}

int output_writev(struct output *out, const struct iovec *pieces, int count)
{
    size_t size = 0;
    int err = lock(out);

    if (err)
        return err;
    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    if (out->error)
        err = out->error;
    else if (size > COPY_UP_TO || size > ARENA_BLOCK - out->end)
        err = send_behind(out, pieces, count);
    else
        for (int i = 0; i < count; i++)
            append(out, pieces[i].iov_base, pieces[i].iov_len);
    unlock(out);
    return err;
}

int output_write(struct output *out, const void *buf, size_t size)
{
    return output_writev(out, &(struct iovec){(void *)buf, size}, 1);
}

int output_reserve(struct output *out, size_t size, char **at)
{
    int err = lock(out);

    if (err)
        return err;
    if (size > ARENA_BLOCK - out->end)
        err = flush(out);
    if (!err && !out->block)
        out->block = arena_block_get();
    unlock(out);
    *at = err ? NULL : out->block + out->end;
    return err;
}

void output_commit(struct output *out, size_t used)
{
    out->end += used;
}

/* One piece of a file. Returns the bytes sent, or -errno. The socket is ours and has O_NONBLOCK, about which the
 * sendfile of libc/ would ask the kernel each time. */
static ssize_t send_piece(struct output *out, int fd, off_t *offset, size_t size)
{
    ssize_t n;

    for (;;) {
        n = real()->sendfile(out->source->fd, fd, offset, size < FAIR_BYTES ? size : FAIR_BYTES);
        if (n > 0)
            return n;
        if (n == 0)
            return -EIO; /* the file has become shorter */
        if (errno == EAGAIN)
            out->error = wait_writable(out);
        else if (errno != EINTR)
            return -errno;
        if (out->error)
            return out->error;
    }
}

int output_sendfile(struct output *out, int fd, off_t offset, size_t size)
{
    int err = lock(out);

    if (err)
        return err;
    err = flush(out); /* without MSG_MORE: pages behind a corked head cost the kernel half as much again */
    while (!err && size > 0) {
        ssize_t n = send_piece(out, fd, &offset, size);

        if (n < 0) {
            err = out->error = (int)n; /* what was announced cannot be completed: nothing may follow */
            break;
        }
        size -= (size_t)n;
        fair_count(&out->in_a_row, (size_t)n);
    }
    unlock(out);
    return err;
}
