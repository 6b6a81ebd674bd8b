/*
 * stdio_out.c: what writes to a stream: fwrite, fputs, putc, printf and the like; and dprintf.
 *
 * Where the buffer has room, or the file is on a disk, that is libc's call. Else it is made here (stream.c). What is to
 * be printed is made in memory first.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#include "base/real.h"
#include "libc/io/fortify.h"
#include "libc/stdio/stream.h"

int __vasprintf_chk(char **text, int flag, const char *format, va_list ap);

/* Whether so many bytes fit into the buffer, and need not be written at once. */
static bool stream_has_room(const FILE *file, size_t size)
{
    return file->_IO_write_ptr && (size_t)(file->_IO_write_end - file->_IO_write_ptr) > size;
}

/* ---- bytes ---- */

size_t fwrite(const void *restrict bytes, size_t size, size_t count, FILE *restrict file)
{
    size_t all, done;

    if (__builtin_mul_overflow(size, count, &all) || all == 0 || !stream_may_wait(file, stream_has_room(file, all)))
        return real()->fwrite(bytes, size, count, file);
    done = stream_put(file, bytes, all);
    return done == all ? count : done / size;
}

size_t(fwrite_unlocked)(const void *restrict bytes, size_t size, size_t count, FILE *restrict file)
    __attribute__((alias("fwrite")));

int fputs(const char *restrict text, FILE *restrict file)
{
    size_t size = strlen(text);

    return fwrite(text, 1, size, file) == size ? 1 : EOF;
}

int fputs_unlocked(const char *restrict text, FILE *restrict file) __attribute__((alias("fputs")));

/* One line, not mixed with those of others. */
int puts(const char *text)
{
    int result;

    if (!stream_may_wait(stdout, false))
        return real()->puts(text);
    flockfile(stdout);
    result = fputs(text, stdout) < 0 || fputc('\n', stdout) < 0 ? EOF : (int)strlen(text) + 1;
    funlockfile(stdout);
    return result;
}

static int stream_putc(int c, FILE *file, int (*call)(int, FILE *))
{
    char byte = (char)c;

    if (!stream_may_wait(file, stream_has_room(file, 1)))
        return call(c, file);
    return stream_put(file, &byte, 1) == 1 ? (unsigned char)byte : EOF;
}

int fputc(int c, FILE *file)
{
    return stream_putc(c, file, real()->fputc);
}

int putc(int c, FILE *file) __attribute__((alias("fputc")));
int _IO_putc(int c, FILE *file) __attribute__((alias("fputc"), nonnull(2)));

int fputc_unlocked(int c, FILE *file)
{
    return stream_putc(c, file, real()->fputc_unlocked);
}

int putc_unlocked(int c, FILE *file) __attribute__((alias("fputc_unlocked")));

int putchar(int c)
{
    return fputc(c, stdout);
}

int putchar_unlocked(int c)
{
    return fputc_unlocked(c, stdout);
}

static int call_overflow(int c, FILE *file)
{
    return real()->__overflow(file, c);
}

/* What putc_unlocked calls where it is a macro, when the buffer is full. */
int __overflow(FILE *file, int c)
{
    return c == EOF ? real()->__overflow(file, c) : stream_putc(c, file, call_overflow);
}

/* ---- formats ---- */

/* Writes a text that vasprintf has made. Returns its length, or a negative number. */
static int stream_put_text(FILE *file, char *text, int length)
{
    bool done = length < 0 || stream_put(file, text, (size_t)length) == (size_t)length;

    if (length >= 0)
        free(text);
    return done ? length : -1;
}

int __vfprintf_chk(FILE *restrict file, int flag, const char *restrict format, va_list ap)
{
    char *text;
    int length;

    if (!stream_may_wait(file, false))
        return real()->__vfprintf_chk(file, flag, format, ap);
    length = __vasprintf_chk(&text, flag, format, ap);
    return stream_put_text(file, text, length);
}

int vfprintf(FILE *restrict file, const char *restrict format, va_list ap)
{
    char *text;
    int length;

    if (!stream_may_wait(file, false))
        return real()->vfprintf(file, format, ap);
    length = vasprintf(&text, format, ap);
    return stream_put_text(file, text, length);
}

int vprintf(const char *restrict format, va_list ap)
{
    return vfprintf(stdout, format, ap);
}

int __vprintf_chk(int flag, const char *restrict format, va_list ap)
{
    return __vfprintf_chk(stdout, flag, format, ap);
}

int fprintf(FILE *restrict file, const char *restrict format, ...)
{
    va_list ap;
    int length;

    va_start(ap, format);
    length = vfprintf(file, format, ap);
    va_end(ap);
    return length;
}

int __fprintf_chk(FILE *restrict file, int flag, const char *restrict format, ...)
{
    va_list ap;
    int length;

    va_start(ap, format);
    length = __vfprintf_chk(file, flag, format, ap);
    va_end(ap);
    return length;
}

int printf(const char *restrict format, ...)
{
    va_list ap;
    int length;

    va_start(ap, format);
    length = vfprintf(stdout, format, ap);
    va_end(ap);
    return length;
}

int __printf_chk(int flag, const char *restrict format, ...)
{
    va_list ap;
    int length;

    va_start(ap, format);
    length = __vfprintf_chk(stdout, flag, format, ap);
    va_end(ap);
    return length;
}

/* ---- to a descriptor ---- */

static int dprintf_write(int fd, char *text, int length)
{
    int done = 0;
    ssize_t put = 0;

    while (done < length && (put = write(fd, text + done, (size_t)(length - done))) >= 0)
        done += (int)put;
    if (length >= 0)
        free(text);
    return put < 0 ? -1 : length;
}

int __vdprintf_chk(int fd, int flag, const char *restrict format, va_list ap)
{
    char *text;
    int length;

    if (!coro_self())
        return real()->__vdprintf_chk(fd, flag, format, ap);
    length = __vasprintf_chk(&text, flag, format, ap);
    return dprintf_write(fd, text, length);
}

int vdprintf(int fd, const char *restrict format, va_list ap)
{
    char *text;
    int length;

    if (!coro_self())
        return real()->vdprintf(fd, format, ap);
    length = vasprintf(&text, format, ap);
    return dprintf_write(fd, text, length);
}

int dprintf(int fd, const char *restrict format, ...)
{
    va_list ap;
    int length;

    va_start(ap, format);
    length = vdprintf(fd, format, ap);
    va_end(ap);
    return length;
}

int __dprintf_chk(int fd, int flag, const char *restrict format, ...)
{
    va_list ap;
    int length;

    va_start(ap, format);
    length = __vdprintf_chk(fd, flag, format, ap);
    va_end(ap);
    return length;
}
