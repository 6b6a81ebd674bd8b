/*
 * flush.c: what writes the buffer of a stream: fflush, fclose, and calls that move to another place.
 *
 * fclose closes the descriptor inside libc. With SO_LINGER that waits for the peer, so a thread calls it. fflush(NULL)
 * walks through libc's list of all streams, whose lock is not held while one is written: another coroutine may need it
 * to open a file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/real.h"
#include "libc/io/close.h"
#include "libc/outbound/holder.h"
#include "libc/outbound/outbound.h"
#include "libc/runtime/park.h"
#include "libc/stdio/stream.h"

/* Exported by libc, and declared nowhere. */
extern FILE *_IO_list_all;
void _IO_list_lock(void);
void _IO_list_unlock(void);

/* ---- fflush ---- */

/* Streams that were written; so each is once, also one that fails. */
struct flushed {
    FILE **files; /* owned */
    size_t count;
};

static bool was_flushed(const struct flushed *done, const FILE *file)
{
    for (size_t i = 0; i < done->count; i++)
        if (done->files[i] == file)
            return true;
    return false;
}

/* Returns a stream that has something to write for which it may wait, or NULL. */
static FILE *find_to_flush(const struct flushed *done)
{
    FILE *file;

    _IO_list_lock();
    for (file = _IO_list_all; file; file = file->_chain)
        if (stream_has_pending(file) && !was_flushed(done, file) && stream_may_wait_any(file, false))
            break;
    _IO_list_unlock();
    return file;
}

/* The rest is libc's. */
static void flush_slow_ones(void)
{
    struct flushed done = {0};
    FILE *file;

    while ((file = find_to_flush(&done))) {
        done.files = xrealloc(done.files, (done.count + 1) * sizeof(*done.files));
        done.files[done.count++] = file;
        stream_flush(file);
    }
    free(done.files);
}

int fflush(FILE *file)
{
    if (!file && coro_self())
        flush_slow_ones();
    if (!file || !stream_may_wait_any(file, !stream_has_pending(file)))
        return real()->fflush(file);
    return stream_flush(file);
}

int fflush_unlocked(FILE *file) __attribute__((alias("fflush")));

/* ---- fclose ---- */

static int fclose_run(void *file)
{
    return real()->fclose(file) == 0 ? 0 : -errno;
}

static int fclose_free(FILE *file)
{
    int saved = errno, fd;

    stream_settle(file);
    fd = coro_self() ? fileno(file) : -1;
    errno = saved;
    if (fd < 0 || !close_lingers(fd))
        return real()->fclose(file);
    return park_end(wait_thread(fclose_run, file), saved) < 0 ? EOF : 0;
}

/* libc closes the descriptor by itself; see io/close.c. Weak: clang's AddressSanitizer, where it is linked in, must see
 * all streams closed. */
__attribute__((weak)) int fclose(FILE *file)
{
    struct holder *holder = outbound_used ? holder_take(fileno(file)) : NULL;
    int result = fclose_free(file);

    if (holder)
        holder_drop(holder);
    return result;
}

/* ---- to another place ---- */

int fseek(FILE *file, long offset, int from)
{
    stream_settle(file);
    return real()->fseek(file, offset, from);
}

int fseeko(FILE *file, off_t offset, int from)
{
    stream_settle(file);
    return real()->fseeko(file, offset, from);
}

int fseeko64(FILE *file, off64_t offset, int from) __attribute__((alias("fseeko")));

int fsetpos(FILE *file, const fpos_t *position)
{
    stream_settle(file);
    return real()->fsetpos(file, position);
}

int fsetpos64(FILE *file, const fpos64_t *position) __attribute__((alias("fsetpos")));

void rewind(FILE *file)
{
    stream_settle(file);
    real()->rewind(file);
}
