/*
 * output.c: the output buffer of a connection.
 *
 * Small pieces, and small files, are copied into one block, so that head and body, and the responses to pipelined
 * requests, leave in one send. A large piece is not copied: it leaves after the block, in one sendmsg. The block is
 * sent when it is full, when it is flushed, when the connection has no further request, and at the latest when the
 * coroutine parks: a response never waits for a later request that sleeps.
 */
#include "http/io/output.h"

#include <errno.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/real.h"
#include "http/io/socket.h"
#include "libc/disk/disk.h"
#include "wait/reason.h"

#define MAX_COPY     4096 /* bytes; larger pieces are sent from where they are */
#define MAX_PIECES   4
#define MAX_SENDFILE (512 * 1024) /* bytes of one call, before others may run */

void output_init(struct output *out, struct wait_source *source)
{
    *out = (struct output){.source = source};
}

static void release_block(struct output *out)
{
    if (out->block)
        arena_block_put(out->block);
    out->block = NULL;
    out->start = out->end = 0;
}

void output_release(struct output *out)
{
    release_block(out);
}

/* Wait until no other coroutine sends. Returns 0, or -errno if the coroutine was cancelled meanwhile. Not inlined,
 * since it is hardly ever called. */
static __attribute__((noinline)) int output_await_turn(struct output *out)
{
    int err = 0;

    while (out->sending && !err) {
        struct wait_addr waiter;
        bool told;

        wait_addr_enter(&waiter, out);
        told = reason_begin(FOR_CLIENT, out->source->fd, NULL);
        err = wait_addr_park_cancellable(&waiter, WAIT_FOREVER);
        reason_end(told);
    }
    return err;
}

/* Two coroutines of a handler may send: one that reads the body flushes before it waits, one writes the response.
 * Returns as output_await_turn. */
static inline int output_lock(struct output *out)
{
    int err = out->sending ? output_await_turn(out) : 0;

    if (!err)
        out->sending = true;
    return err;
}

static void output_unlock(struct output *out)
{
    out->sending = false;
    if (atomic_load_explicit(&wait_addr_waiters, memory_order_relaxed))
        wait_addr_wake(out, 1);
}

static int output_wait(struct output *out)
{
    struct client_wait *client_wait = out->client_wait; /* the request may be over meanwhile */
    bool told = reason_begin(FOR_CLIENT, out->source->fd, NULL);
    int events;

    client_wait_begin(client_wait);
    events = wait_fd(out->source->fd, POLLOUT, out->timeout ? wait_deadline(out->timeout) : WAIT_FOREVER);
    client_wait_end(client_wait);
    reason_end(told);
    return events < 0 ? events : 0;
}

/* Remove n bytes from the front of a list of pieces. */
static void skip_sent(struct iovec **pieces, int *count, size_t n)
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

/* Send all bytes of a list of pieces. The list is modified. */
static int send_pieces(struct output *out, struct iovec *pieces, int count)
{
    while (count > 0 && !out->error) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
        ssize_t n = count == 1 ? socket_send(out->source->fd, pieces->iov_base, pieces->iov_len)
                               : real()->sendmsg(out->source->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n >= 0) {
            skip_sent(&pieces, &count, (size_t)n);
            coro_give_way();
        } else if (errno == EAGAIN) {
            out->error = output_wait(out);
        } else if (errno != EINTR) {
            out->error = -errno;
        }
    }
    return out->error;
}

/* Send the block. */
static int flush_locked(struct output *out)
{
    struct iovec piece;
    int err = out->error;

    if (!out->block)
        return err;
    piece = (struct iovec){out->block + out->start, out->end - out->start};
    if (!err && piece.iov_len)
        err = send_pieces(out, &piece, 1);
    release_block(out);
    return err;
}

int output_flush(struct output *out)
{
    int err = output_lock(out);

    if (err)
        return err;
    err = flush_locked(out);
    output_unlock(out);
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
        release_block(out);
}

/* Send the block and the pieces after it together. */
static int send_with_block(struct output *out, const struct iovec *pieces, int count)
{
    struct iovec all[MAX_PIECES + 1] = {{0}};
    int skip = out->start == out->end, err;

    if (!skip)
        all[0] = (struct iovec){out->block + out->start, out->end - out->start};
    memcpy(all + 1, pieces, (size_t)count * sizeof(*pieces));
    err = out->error ? out->error : send_pieces(out, all + skip, count + 1 - skip);
    release_block(out);
    return err;
}

static void output_append(struct output *out, const void *buf, size_t size)
{
    if (!out->block)
        out->block = arena_block_get();
    memcpy(out->block + out->end, buf, size);
    out->end += size;
}

int output_writev(struct output *out, const struct iovec *pieces, int count)
{
    size_t size = 0;
    int err = output_lock(out);

    if (err)
        return err;
    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    if (out->error)
        err = out->error;
    else if (size > MAX_COPY || size > ARENA_BLOCK - out->end)
        err = send_with_block(out, pieces, count);
    else
        for (int i = 0; i < count; i++)
            output_append(out, pieces[i].iov_base, pieces[i].iov_len);
    output_unlock(out);
    return err;
}

int output_write(struct output *out, const void *buf, size_t size)
{
    return output_writev(out, &(struct iovec){(void *)buf, size}, 1);
}

int output_reserve(struct output *out, size_t size, char **at)
{
    int err = output_lock(out);

    if (err)
        return err;
    if (size > ARENA_BLOCK - out->end)
        err = flush_locked(out);
    if (!err && !out->block)
        out->block = arena_block_get();
    output_unlock(out);
    *at = err ? NULL : out->block + out->end;
    return err;
}

void output_commit(struct output *out, size_t used)
{
    out->end += used;
}

/* Send a part of a file. Returns the bytes sent, or -errno. The interposed sendfile would ask the kernel each time
 * whether the socket has O_NONBLOCK. */
static ssize_t sendfile_once(struct output *out, int fd, off_t *offset, size_t size)
{
    ssize_t n;

    for (;;) {
        n = disk_sendfile(out->source->fd, fd, offset, *offset, min_size(size, MAX_SENDFILE));
        if (n > 0)
            return n;
        if (n == 0)
            return -EIO; /* the file was truncated */
        if (errno == EAGAIN)
            out->error = output_wait(out);
        else if (errno != EINTR)
            return -errno;
        if (out->error)
            return out->error;
    }
}

/* Append a small file that is in memory, so that it leaves with the head. Returns whether that was possible. */
static bool append_file(struct output *out, int fd, off_t offset, size_t size)
{
    struct iovec piece;

    if (size > ARENA_BLOCK - out->end || out->error)
        return false;
    if (!out->block)
        out->block = arena_block_get();
    piece = (struct iovec){out->block + out->end, size};
    if (real()->preadv2(fd, &piece, 1, offset, RWF_NOWAIT) != (ssize_t)size)
        return false;
    out->end += size;
    return true;
}

int output_sendfile(struct output *out, int fd, off_t offset, size_t size)
{
    int err = output_lock(out);

    if (err)
        return err;
    if (append_file(out, fd, offset, size)) {
        output_unlock(out);
        return 0;
    }
    err = flush_locked(out); /* without MSG_MORE: pages behind a corked head cost the kernel half as much again */
    while (!err && size > 0) {
        ssize_t n = sendfile_once(out, fd, &offset, size);

        if (n < 0) {
            err = out->error = (int)n; /* the announced length cannot be reached: nothing may follow */
            break;
        }
        size -= (size_t)n;
        coro_give_way();
    }
    output_unlock(out);
    return err;
}
