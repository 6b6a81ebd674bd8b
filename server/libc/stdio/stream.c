/*
 * stream.c: libc's streams, read and written on a coroutine.
 *
 * libc's streams make their system calls inside libc, where we cannot interpose. But they do so only when their buffer
 * is empty or full. So a call on a stream of a pipe, socket or terminal is made in steps: what is in the buffer is
 * used, then the coroutine parks until the descriptor is ready, and has libc fill the buffer (__underflow, which old
 * programs call for getc), by a read that does not wait. What is to be written is taken out of the buffer, and written
 * by our writev. The fields of FILE are part of libc's ABI, since old programs have getc and putc as macros.
 *
 * libc's lock of a stream belongs to the OS thread, so it keeps out other threads only. What keeps out other coroutines
 * while one is parked in the middle of a line is the list of holds.
 */
#include "libc/stdio/stream.h"

#include <stdio_ext.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/real.h"
#include "libc/io/io.h"
#include "libc/stdio/wide.h"

/* Flags of libc. */
#define UNBUFFERED 0x0002
#define IN_BACKUP  0x0100 /* reading what ungetc has put back */
#define PUTTING    0x0800 /* the buffer is for writing */

static struct list holds = LIST_INIT(holds); /* of coroutines; only the loop's thread uses it */

/* ---- holds ---- */

static struct stream_hold *stream_hold_of(const FILE *file)
{
    struct list *node;

    list_for_each (node, &holds)
        if (list_entry(node, struct stream_hold, link)->file == file)
            return list_entry(node, struct stream_hold, link);
    return NULL;
}

/* libc's lock, which an OS thread may have for a while; nothing tells when it is released. */
static void stream_lock(FILE *file)
{
    struct park_backoff backoff = {0};

    while (real()->ftrylockfile(file) != 0)
        park_ignore(park_backoff_for(FOR_LOCK, -1, &backoff, WAIT_FOREVER));
}

void stream_hold(struct stream_hold *hold, FILE *file)
{
    struct stream_hold *other;
    int saved = errno;

    while ((other = stream_hold_of(file)) && other->co != coro_self()) {
        struct wait_addr place;

        wait_addr_enter(&place, file);
        wait_addr_park(&place, WAIT_FOREVER);
    }
    *hold = (struct stream_hold){.file = file, .co = coro_self()};
    list_push(&holds, &hold->link);
    stream_lock(file);
    errno = saved;
}

void stream_release(struct stream_hold *hold)
{
    int saved = errno;

    real()->funlockfile(hold->file);
    list_remove(&hold->link);
    wait_addr_wake(hold->file, 1);
    errno = saved;
}

static bool stream_is_slow(FILE *file)
{
    struct stat st;
    int saved = errno, fd = fileno(file);
    bool slow = fd >= 0 && fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode));

    errno = saved;
    return slow;
}

bool stream_may_wait_any(FILE *file, bool enough)
{
    const struct stream_hold *hold;

    if (!coro_self())
        return false;
    if (!list_empty(&holds) && (hold = stream_hold_of(file)) && hold->co != coro_self())
        return true;
    return !enough && stream_is_slow(file) && park_possible();
}

bool stream_may_wait(FILE *file, bool enough)
{
    return coro_self() && file->_mode <= 0 && stream_may_wait_any(file, enough);
}

bool stream_may_wait_wide(FILE *file, bool enough)
{
    return coro_self() && file->_mode >= 0 && stream_may_wait_any(file, enough);
}

/* ---- reading ---- */

/* After an ungetc: whether there is more in libc's own buffer. */
static bool stream_has_main(const FILE *file)
{
    return file->_flags & IN_BACKUP && file->_IO_save_base < file->_IO_save_end;
}

/* libc flushes prompts before it reads from a terminal. */
static void stream_flush_prompt(const FILE *file)
{
    bool by_line = !file->_IO_buf_base || file->_flags & UNBUFFERED || __flbf((FILE *)file);

    if (by_line && file != stdout && __flbf(stdout))
        stream_flush(stdout);
}

bool stream_await_input(FILE *file)
{
    struct io io = io_in(fileno(file));

    stream_flush_prompt(file);
    if (stream_has_pending(file)) /* libc turns from writing to reading */
        stream_flush(file);
    if (!io_await(&io)) {
        file->_flags |= _IO_ERR_SEEN;
        return false;
    }
    errno = io.saved_errno;
    return true;
}

bool stream_fill(FILE *file)
{
    if (stream_buffered(file) > 0)
        return true;
    if (stream_has_main(file))
        return real()->__underflow(file) != EOF;
    if (feof(file)) /* it stays so until it is cleared */
        return false;
    return stream_await_input(file) && real()->__underflow(file) != EOF;
}

/* ---- writing ---- */

/* Have the buffer ready for writing. Returns false if the stream cannot be written to. */
static bool stream_begin_put(FILE *file)
{
    return file->_flags & PUTTING || real()->__overflow(file, EOF) != EOF;
}

/* As __fpending, which in a stream of wide characters counts these. */
static size_t stream_pending_bytes(const FILE *file)
{
    return file->_flags & PUTTING ? (size_t)(file->_IO_write_ptr - file->_IO_write_base) : 0;
}

/* Write all that is in the buffer, and bytes. Returns how many of these. */
static size_t stream_write(FILE *file, const char *bytes, size_t size)
{
    size_t pending = stream_pending_bytes(file), all = pending + size, done = 0;
    struct iovec parts[] = {{file->_IO_write_base, pending}, {(char *)bytes, size}};
    ssize_t put = 0;

    while (done < all && (put = writev(fileno(file), parts, 2)) >= 0) {
        size_t first = min_size((size_t)put, parts[0].iov_len);

        done += (size_t)put;
        parts[0].iov_base = (char *)parts[0].iov_base + first;
        parts[0].iov_len -= first;
        parts[1].iov_base = (char *)parts[1].iov_base + ((size_t)put - first);
        parts[1].iov_len -= (size_t)put - first;
    }
    if (done < all)
        file->_flags |= _IO_ERR_SEEN;
    if (parts[0].iov_len > 0)
        memmove(file->_IO_write_base, parts[0].iov_base, parts[0].iov_len);
    file->_IO_write_ptr = file->_IO_write_base + parts[0].iov_len;
    return done > pending ? done - pending : 0;
}

/* Returns how many of the bytes must be written now. */
static size_t stream_must_write(FILE *file, const char *bytes, size_t size)
{
    const char *line = __flbf(file) ? memrchr(bytes, '\n', size) : NULL;
    size_t now = line ? (size_t)(line + 1 - bytes) : 0, pending = now ? 0 : __fpending(file);

    if (file->_flags & UNBUFFERED || pending + size - now >= __fbufsize(file))
        return size;
    return now;
}

size_t stream_put(FILE *file, const char *bytes, size_t size)
{
    struct stream_hold hold;
    size_t now, done;

    stream_hold(&hold, file);
    done = 0;
    if (stream_begin_put(file)) {
        now = stream_must_write(file, bytes, size);
        if (now > 0)
            done = stream_write(file, bytes, now);
        if (done == now && now < size)
            done += real()->fwrite(bytes + now, 1, size - now, file);
    }
    stream_release(&hold);
    return done;
}

bool stream_has_pending(FILE *file)
{
    return file->_mode > 0 ? wide_has_pending(file) : file->_IO_write_base && __fpending(file) > 0;
}

int stream_flush(FILE *file)
{
    struct stream_hold hold;
    int saved = errno;
    bool failed;

    stream_hold(&hold, file);
    if (file->_mode > 0)
        wide_write(file, NULL, 0);
    stream_write(file, NULL, 0);
    failed = stream_has_pending(file);
    stream_release(&hold);
    if (!failed)
        errno = saved;
    return failed ? EOF : 0;
}

void stream_settle(FILE *file)
{
    if (coro_self() && stream_has_pending(file) && stream_may_wait_any(file, false))
        stream_flush(file);
}
