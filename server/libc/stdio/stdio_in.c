/*
 * stdio_in.c: what reads from a stream: getc, fgets, getline, fread and the like; and flockfile.
 *
 * Where the buffer has all that a call needs, or the file is on a disk, that is libc's call. Else it is made here, in
 * steps (stream.c), with the results of libc's.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "base/real.h"
#include "libc/io/fortify.h"
#include "libc/stdio/stream.h"
#include "libc/runtime/park.h"

#define FIRST_LINE 120 /* bytes that getline allocates, as libc does */

/* ---- one character ---- */

static int stream_getc(FILE *file, int (*call)(FILE *))
{
    struct stream_hold hold;
    int c;

    if (!stream_may_wait(file, stream_buffered(file) > 0))
        return call(file);
    stream_hold(&hold, file);
    c = stream_fill(file) ? call(file) : EOF;
    stream_release(&hold);
    return c;
}

int fgetc(FILE *file)
{
    return stream_getc(file, real()->fgetc);
}

int getc(FILE *file) __attribute__((alias("fgetc")));
int _IO_getc(FILE *file) __attribute__((alias("fgetc")));

int fgetc_unlocked(FILE *file)
{
    return stream_getc(file, real()->fgetc_unlocked);
}

int getc_unlocked(FILE *file) __attribute__((alias("fgetc_unlocked")));

int getchar(void)
{
    return fgetc(stdin);
}

int getchar_unlocked(void)
{
    return fgetc_unlocked(stdin);
}

/* What getc_unlocked calls where it is a macro, when the buffer is empty. */
int __uflow(FILE *file)
{
    return stream_getc(file, real()->__uflow);
}

int __underflow(FILE *file)
{
    return stream_getc(file, real()->__underflow);
}

/* ---- lines ---- */

/* Take bytes from the buffer: up to size, and up to a delimiter; *found: that was among them. */
static size_t stream_take(FILE *file, char *to, size_t size, int delimiter, bool *found)
{
    size_t count = min_size(stream_buffered(file), size);
    const char *end = memchr(file->_IO_read_ptr, delimiter, count);

    *found = end != NULL;
    if (end)
        count = (size_t)(end + 1 - file->_IO_read_ptr);
    memcpy(to, file->_IO_read_ptr, count);
    file->_IO_read_ptr += count;
    return count;
}

static char *stream_gets(char *buf, int size, FILE *file)
{
    int old_error = file->_flags & _IO_ERR_SEEN;
    size_t count = 0, most = (size_t)size - 1;
    bool found = false;
    char *result;

    file->_flags &= ~_IO_ERR_SEEN;
    while (count < most && !found && stream_fill(file))
        count += stream_take(file, buf + count, most - count, '\n', &found);
    result = count == 0 || (file->_flags & _IO_ERR_SEEN && errno != EAGAIN) ? NULL : buf;
    if (result)
        buf[count] = '\0';
    file->_flags |= old_error;
    return result;
}

static bool stream_has_line(const FILE *file, size_t most, int delimiter)
{
    size_t count = stream_buffered(file);

    return count >= most || (count > 0 && memchr(file->_IO_read_ptr, delimiter, count));
}

static char *fgets_any(char *buf, int size, FILE *file, char *(*call)(char *, int, FILE *))
{
    struct stream_hold hold;
    char *result;

    if (size <= 1 || !stream_may_wait(file, stream_has_line(file, (size_t)size - 1, '\n')))
        return call(buf, size, file);
    stream_hold(&hold, file);
    result = stream_gets(buf, size, file);
    stream_release(&hold);
    return result;
}

char *fgets(char *restrict buf, int size, FILE *restrict file)
{
    return fgets_any(buf, size, file, real()->fgets);
}

char *fgets_unlocked(char *restrict buf, int size, FILE *restrict file)
{
    return fgets_any(buf, size, file, real()->fgets_unlocked);
}

char *__fgets_chk(char *buf, size_t capacity, int size, FILE *file)
{
    if (size > 0 && (size_t)size > capacity)
        __chk_fail();
    return fgets(buf, size, file);
}

char *__fgets_unlocked_chk(char *buf, size_t capacity, int size, FILE *file)
{
    if (size > 0 && (size_t)size > capacity)
        __chk_fail();
    return fgets_unlocked(buf, size, file);
}

/* Make room for count bytes and a NUL. Returns false with errno. */
static bool line_grow(char **line, size_t *size, size_t count)
{
    size_t wanted = *size < FIRST_LINE ? FIRST_LINE : *size;
    char *grown;

    if (*line && count < *size)
        return true;
    while (wanted <= count)
        wanted *= 2;
    grown = realloc(*line, wanted);
    if (!grown)
        return false;
    *line = grown;
    *size = wanted;
    return true;
}

static ssize_t stream_getdelim(char **line, size_t *size, int delimiter, FILE *file)
{
    size_t count = 0;
    bool found = false;

    if (!line_grow(line, size, 0))
        return -1;
    while (!found && stream_fill(file)) {
        if (!line_grow(line, size, count + stream_buffered(file)))
            return -1;
        count += stream_take(file, *line + count, SIZE_MAX, delimiter, &found);
    }
    (*line)[count] = '\0';
    return count > 0 ? (ssize_t)count : -1;
}

ssize_t getdelim(char **restrict line, size_t *restrict size, int delimiter, FILE *restrict file)
{
    struct stream_hold hold;
    ssize_t count;

    if (!line || !size || !stream_may_wait(file, stream_has_line(file, SIZE_MAX, delimiter)))
        return real()->getdelim(line, size, delimiter, file);
    if (!*line)
        *size = 0;
    stream_hold(&hold, file);
    count = stream_getdelim(line, size, delimiter, file);
    stream_release(&hold);
    return count;
}

ssize_t __getdelim(char **restrict line, size_t *restrict size, int delimiter, FILE *restrict file)
    __attribute__((alias("getdelim")));

ssize_t getline(char **restrict line, size_t *restrict size, FILE *restrict file)
{
    return getdelim(line, size, '\n', file);
}

/* ---- blocks ---- */

static size_t stream_read(char *buf, size_t size, FILE *file)
{
    size_t done = 0;

    while (done < size && stream_fill(file)) {
        size_t count = min_size(stream_buffered(file), size - done);

        memcpy(buf + done, file->_IO_read_ptr, count);
        file->_IO_read_ptr += count;
        done += count;
    }
    return done;
}

size_t fread(void *restrict buf, size_t size, size_t count, FILE *restrict file)
{
    struct stream_hold hold;
    size_t all, done;

    if (__builtin_mul_overflow(size, count, &all) || all == 0 || !stream_may_wait(file, stream_buffered(file) >= all))
        return real()->fread(buf, size, count, file);
    stream_hold(&hold, file);
    done = stream_read(buf, all, file);
    stream_release(&hold);
    return done == all ? count : done / size;
}

size_t(fread_unlocked)(void *restrict buf, size_t size, size_t count, FILE *restrict file)
    __attribute__((alias("fread")));

size_t __fread_chk(void *restrict buf, size_t capacity, size_t size, size_t count, FILE *restrict file)
{
    size_t all;

    if (__builtin_mul_overflow(size, count, &all) || all > capacity)
        __chk_fail();
    return fread(buf, size, count, file);
}

size_t __fread_unlocked_chk(void *restrict buf, size_t capacity, size_t size, size_t count, FILE *restrict file)
    __attribute__((alias("__fread_chk")));

/* ---- locks ---- */

/* Of flockfile; in memory of their own, with the calls that have not been undone. */
static struct list explicit_holds = LIST_INIT(explicit_holds);

struct explicit_hold {
    struct list link;
    struct stream_hold hold;
    unsigned count;
};

static struct explicit_hold *explicit_hold_of(const FILE *file)
{
    struct list *node;

    list_for_each (node, &explicit_holds) {
        struct explicit_hold *e = list_entry(node, struct explicit_hold, link);

        if (e->hold.file == file && e->hold.co == coro_self())
            return e;
    }
    return NULL;
}

void flockfile(FILE *file)
{
    struct explicit_hold *e;

    if (!coro_self() || !park_possible()) {
        real()->flockfile(file);
        return;
    }
    e = explicit_hold_of(file);
    if (!e) {
        e = xcalloc(1, sizeof(*e));
        stream_hold(&e->hold, file);
        list_push(&explicit_holds, &e->link);
    }
    e->count++;
}

int ftrylockfile(FILE *file)
{
    if (!coro_self() || !park_possible())
        return real()->ftrylockfile(file);
    if (!explicit_hold_of(file) && stream_may_wait(file, true))
        return EBUSY; /* another coroutine has it */
    if (real()->ftrylockfile(file) != 0)
        return EBUSY;
    flockfile(file);
    real()->funlockfile(file);
    return 0;
}

void funlockfile(FILE *file)
{
    struct explicit_hold *e = coro_self() ? explicit_hold_of(file) : NULL;

    if (!e) {
        real()->funlockfile(file);
        return;
    }
    if (--e->count > 0)
        return;
    list_remove(&e->link);
    stream_release(&e->hold);
    free(e);
}
