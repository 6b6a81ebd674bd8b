/*
 * wide.c: streams of wide characters: fgetwc, fgetws, fputwc, fputws, wprintf and the like.
 *
 * As with bytes (stream.c), but libc keeps characters in a buffer of their own, and makes bytes of them when it writes
 * that. Here the characters are turned into bytes, which our write takes. If the bytes of one character arrive in two
 * pieces, libc waits for the second.
 */
#include "libc/stdio/wide.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/array.h"
#include "base/real.h"
#include "libc/io/fortify.h"
#include "libc/stdio/stream.h"

#define UNBUFFERED 0x0002
#define PUTTING    0x0800 /* the buffer is for writing */
#define PIECE      1024   /* bytes that are written at once */

wchar_t *__fgetws_chk(wchar_t *buf, size_t capacity, int size, FILE *file);
wchar_t *__fgetws_unlocked_chk(wchar_t *buf, size_t capacity, int size, FILE *file);
int __vwprintf_chk(int flag, const wchar_t *format, va_list ap);
int __fwprintf_chk(FILE *file, int flag, const wchar_t *format, ...);
int __wprintf_chk(int flag, const wchar_t *format, ...);

/* ---- reading ---- */

/* Whether the bytes that were read are a whole character, or wrong ones: libc need not read more. */
static bool wide_has_bytes(const FILE *file)
{
    size_t count = stream_buffered(file);
    mbstate_t state = {0};

    return count > 0 && mbrlen(file->_IO_read_ptr, count, &state) != (size_t)-2;
}

bool wide_fill(FILE *file)
{
    if (wide_buffered(file) > 0)
        return true;
    if (feof(file))
        return false;
    if (!wide_has_bytes(file) && !stream_await_input(file))
        return false;
    return real()->__wunderflow(file) != WEOF;
}

static wint_t wide_getc(FILE *file, wint_t (*call)(FILE *))
{
    struct stream_hold hold;
    wint_t c;

    if (!stream_may_wait_wide(file, wide_buffered(file) > 0) || fwide(file, 1) <= 0)
        return call(file);
    stream_hold(&hold, file);
    c = wide_fill(file) ? call(file) : WEOF;
    stream_release(&hold);
    return c;
}

wint_t fgetwc(FILE *file)
{
    return wide_getc(file, real()->fgetwc);
}

wint_t getwc(FILE *file) __attribute__((alias("fgetwc")));

wint_t fgetwc_unlocked(FILE *file)
{
    return wide_getc(file, real()->fgetwc_unlocked);
}

wint_t getwc_unlocked(FILE *file) __attribute__((alias("fgetwc_unlocked")));

wint_t getwchar(void)
{
    return fgetwc(stdin);
}

wint_t getwchar_unlocked(void)
{
    return fgetwc_unlocked(stdin);
}

/* Take characters from the buffer: up to size, and up to the end of the line; *found: that was among them. */
static size_t wide_take(FILE *file, wchar_t *to, size_t size, bool *found)
{
    size_t count = min_size(wide_buffered(file), size);
    const wchar_t *from = wide_buffer_of(file)->read_ptr, *end = wmemchr(from, L'\n', count);

    *found = end != NULL;
    if (end)
        count = (size_t)(end + 1 - from);
    wmemcpy(to, from, count);
    wide_buffer_of(file)->read_ptr += count;
    return count;
}

static wchar_t *wide_gets(wchar_t *buf, int size, FILE *file)
{
    int old_error = file->_flags & _IO_ERR_SEEN;
    size_t count = 0, most = (size_t)size - 1;
    bool found = false;
    wchar_t *result;

    file->_flags &= ~_IO_ERR_SEEN;
    while (count < most && !found && wide_fill(file))
        count += wide_take(file, buf + count, most - count, &found);
    result = count == 0 || (file->_flags & _IO_ERR_SEEN && errno != EAGAIN) ? NULL : buf;
    if (result)
        buf[count] = L'\0';
    file->_flags |= old_error;
    return result;
}

static bool wide_has_line(const FILE *file, size_t most)
{
    size_t count = wide_buffered(file);

    return count >= most || (count > 0 && wmemchr(wide_buffer_of(file)->read_ptr, L'\n', count));
}

wchar_t *fgetws(wchar_t *restrict buf, int size, FILE *restrict file)
{
    struct stream_hold hold;
    wchar_t *result;

    if (size <= 1 || !stream_may_wait_wide(file, wide_has_line(file, (size_t)size - 1)) || fwide(file, 1) <= 0)
        return real()->fgetws(buf, size, file);
    stream_hold(&hold, file);
    result = wide_gets(buf, size, file);
    stream_release(&hold);
    return result;
}

wchar_t *fgetws_unlocked(wchar_t *restrict buf, int size, FILE *restrict file) __attribute__((alias("fgetws")));

wchar_t *__fgetws_chk(wchar_t *buf, size_t capacity, int size, FILE *file)
{
    if (size > 0 && (size_t)size > capacity)
        __chk_fail();
    return fgetws(buf, size, file);
}

wchar_t *__fgetws_unlocked_chk(wchar_t *buf, size_t capacity, int size, FILE *file)
    __attribute__((alias("__fgetws_chk")));

/* ---- writing ---- */

static bool write_all(FILE *file, const char *bytes, size_t size)
{
    size_t done = 0;
    ssize_t put = 0;

    while (done < size && (put = write(fileno(file), bytes + done, size - done)) >= 0)
        done += (size_t)put;
    return put >= 0;
}

/* Write characters as bytes. Returns false with errno. */
static bool write_characters(FILE *file, const wchar_t *text, size_t size)
{
    char bytes[PIECE];
    mbstate_t state = {0};
    size_t count = 0;

    for (size_t i = 0; i < size; i++) {
        size_t more = wcrtomb(bytes + count, text[i], &state);

        if (more == (size_t)-1)
            return false;
        count += more;
        if (count <= PIECE - MB_LEN_MAX && i + 1 < size)
            continue;
        if (!write_all(file, bytes, count))
            return false;
        count = 0;
    }
    return true;
}

bool wide_has_pending(const FILE *file)
{
    const struct wide_buffer *wide = wide_buffer_of(file);

    return file->_flags & PUTTING && (wide->write_ptr > wide->write_base || file->_IO_write_ptr > file->_IO_write_base);
}

bool wide_write(FILE *file, const wchar_t *text, size_t size)
{
    struct wide_buffer *wide = wide_buffer_of(file);
    size_t bytes = (size_t)(file->_IO_write_ptr - file->_IO_write_base);
    bool done = write_all(file, file->_IO_write_base, bytes) &&
                write_characters(file, wide->write_base, (size_t)(wide->write_ptr - wide->write_base)) &&
                write_characters(file, text, size);

    if (!done)
        file->_flags |= _IO_ERR_SEEN;
    file->_IO_write_ptr = file->_IO_write_base;
    wide->write_ptr = wide->write_base;
    return done;
}

/* Whether so many characters fit into the buffer, and need not be written at once. */
static bool wide_has_room(const FILE *file, size_t size)
{
    const struct wide_buffer *wide = wide_buffer_of(file);

    return file->_mode > 0 && wide->write_ptr && (size_t)(wide->write_end - wide->write_ptr) > size;
}

/* Returns how many of the characters must be written now. */
static size_t wide_must_write(FILE *file, const wchar_t *text, size_t size)
{
    const struct wide_buffer *wide = wide_buffer_of(file);
    size_t now = 0;

    if (file->_flags & UNBUFFERED || (size_t)(wide->write_ptr - wide->write_base) + size >= __fbufsize(file))
        return size;
    if (__flbf(file))
        for (now = size; now > 0 && text[now - 1] != L'\n'; now--)
            ;
    return now;
}

/* Returns whether all were taken. The text ends with a NUL, or is only that. */
static bool wide_put(FILE *file, const wchar_t *text, size_t size)
{
    struct stream_hold hold;
    bool done;
    size_t now;

    stream_hold(&hold, file);
    done = file->_flags & PUTTING || real()->__woverflow(file, WEOF) != WEOF;
    if (done) {
        now = wide_must_write(file, text, size);
        if (now > 0)
            done = wide_write(file, text, now);
        for (; done && now < size; now++)
            done = real()->fputwc(text[now], file) != WEOF;
    }
    stream_release(&hold);
    return done;
}

static wint_t wide_putc(wchar_t c, FILE *file, wint_t (*call)(wchar_t, FILE *))
{
    if (!stream_may_wait_wide(file, wide_has_room(file, 1)) || fwide(file, 1) <= 0)
        return call(c, file);
    return wide_put(file, &c, 1) ? (wint_t)c : WEOF;
}

wint_t fputwc(wchar_t c, FILE *file)
{
    return wide_putc(c, file, real()->fputwc);
}

wint_t putwc(wchar_t c, FILE *file) __attribute__((alias("fputwc")));

wint_t fputwc_unlocked(wchar_t c, FILE *file)
{
    return wide_putc(c, file, real()->fputwc_unlocked);
}

wint_t putwc_unlocked(wchar_t c, FILE *file) __attribute__((alias("fputwc_unlocked")));

wint_t putwchar(wchar_t c)
{
    return fputwc(c, stdout);
}

wint_t putwchar_unlocked(wchar_t c)
{
    return fputwc_unlocked(c, stdout);
}

int fputws(const wchar_t *restrict text, FILE *restrict file)
{
    size_t size = wcslen(text);

    if (size == 0 || !stream_may_wait_wide(file, wide_has_room(file, size)) || fwide(file, 1) <= 0)
        return real()->fputws(text, file);
    return wide_put(file, text, size) ? 1 : -1;
}

int fputws_unlocked(const wchar_t *restrict text, FILE *restrict file) __attribute__((alias("fputws")));

/* ---- formats ---- */

typedef int wide_format_fn(FILE *file, int flag, const wchar_t *format, va_list ap);

static int format_plainly(FILE *file, int flag, const wchar_t *format, va_list ap)
{
    return real()->vfwprintf(file, format, ap);
}

/* Make the text in memory first. */
static int wide_format(FILE *file, wide_format_fn *call, int flag, const wchar_t *format, va_list ap)
{
    wchar_t *text = NULL;
    size_t size = 0;
    FILE *memory;
    int length;

    if (!stream_may_wait_wide(file, false) || fwide(file, 1) <= 0)
        return call(file, flag, format, ap);
    memory = open_wmemstream(&text, &size);
    if (!memory)
        return -1;
    length = call(memory, flag, format, ap);
    if (real()->fclose(memory) != 0 || (length > 0 && !wide_put(file, text, size)))
        length = -1;
    free(text);
    return length;
}

int vfwprintf(FILE *restrict file, const wchar_t *restrict format, va_list ap)
{
    return wide_format(file, format_plainly, 0, format, ap);
}

int __vfwprintf_chk(FILE *file, int flag, const wchar_t *format, va_list ap)
{
    return wide_format(file, real()->__vfwprintf_chk, flag, format, ap);
}

int vwprintf(const wchar_t *restrict format, va_list ap)
{
    return vfwprintf(stdout, format, ap);
}

int __vwprintf_chk(int flag, const wchar_t *format, va_list ap)
{
    return __vfwprintf_chk(stdout, flag, format, ap);
}

#define CALL_WITH_LIST(call, last, ...)                                                                                \
    va_list ap;                                                                                                        \
    int length;                                                                                                        \
                                                                                                                       \
    va_start(ap, last);                                                                                                \
    length = call(__VA_ARGS__, ap);                                                                                    \
    va_end(ap);                                                                                                        \
    return length

int fwprintf(FILE *restrict file, const wchar_t *restrict format, ...)
{
    CALL_WITH_LIST(vfwprintf, format, file, format);
}

int wprintf(const wchar_t *restrict format, ...)
{
    CALL_WITH_LIST(vfwprintf, format, stdout, format);
}

int __fwprintf_chk(FILE *file, int flag, const wchar_t *format, ...)
{
    CALL_WITH_LIST(__vfwprintf_chk, format, file, flag, format);
}

int __wprintf_chk(int flag, const wchar_t *format, ...)
{
    CALL_WITH_LIST(__vfwprintf_chk, format, stdout, flag, format);
}
