/*
 * scan.c: scanf, fscanf, vscanf and vfscanf.
 *
 * What they read depends on what they have read, so they cannot be made in steps as the calls of stdio.c. They read
 * from a stream of ours in place of the given one, without a buffer, which gets each character by our getc. A character
 * that they put back goes back. The C standard has changed what some conversions mean; programs of each time call other
 * names.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/real.h"
#include "libc/stdio/stream.h"

typedef int scan_fn(FILE *restrict file, const char *restrict format, va_list ap);

static ssize_t scan_read(void *file, char *buf, size_t size)
{
    int c = fgetc(file);

    if (c == EOF)
        return ferror(file) ? -1 : 0;
    *buf = (char)c;
    return 1;
}

/* In steps. Returns what scanf does. */
static int stream_scan(FILE *file, scan_fn *call, const char *format, va_list ap)
{
    cookie_io_functions_t functions = {.read = scan_read};
    FILE *chars = fopencookie(file, "r", functions);
    int result, saved;

    if (!chars)
        return EOF;
    setvbuf(chars, NULL, _IONBF, 0);
    result = call(chars, format, ap);
    saved = errno;
    if (stream_buffered(chars) > 0)
        ungetc((unsigned char)*chars->_IO_read_ptr, file);
    real()->fclose(chars);
    errno = saved;
    return result;
}

static int scan_any(FILE *file, scan_fn *call, const char *format, va_list ap)
{
    struct stream_hold hold;
    int result;

    if (!stream_may_wait(file, false))
        return call(file, format, ap);
    stream_hold(&hold, file);
    result = stream_scan(file, call, format, ap);
    stream_release(&hold);
    return result;
}

/* libc has this one since 2.38, so it is not in the table. Programs that call it need that libc. */
static scan_fn *scan_of_c23(void)
{
    static scan_fn *call;

    if (!call)
        call = (scan_fn *)dlsym(RTLD_NEXT, "__isoc23_vfscanf");
    return call;
}

/* The exported names; headers give other ones to scanf in C. */
#define SCAN_CALLS(X) X(real()->vfscanf, , ) X(real()->__isoc99_vfscanf, __isoc99_, 99) X(scan_of_c23(), __isoc23_, 23)

#define X(vfscan, prefix, suffix)                                                                                      \
    int vfscanf_of##suffix(FILE *file, const char *format, va_list ap) __asm__(#prefix "vfscanf");                     \
    int vscanf_of##suffix(const char *format, va_list ap) __asm__(#prefix "vscanf");                                   \
    int fscanf_of##suffix(FILE *file, const char *format, ...) __asm__(#prefix "fscanf");                              \
    int scanf_of##suffix(const char *format, ...) __asm__(#prefix "scanf");                                            \
                                                                                                                       \
    int vfscanf_of##suffix(FILE *file, const char *format, va_list ap)                                                 \
    {                                                                                                                  \
        return scan_any(file, vfscan, format, ap);                                                                     \
    }                                                                                                                  \
                                                                                                                       \
    int vscanf_of##suffix(const char *format, va_list ap)                                                              \
    {                                                                                                                  \
        return scan_any(stdin, vfscan, format, ap);                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    int fscanf_of##suffix(FILE *file, const char *format, ...)                                                         \
    {                                                                                                                  \
        va_list ap;                                                                                                    \
        int result;                                                                                                    \
                                                                                                                       \
        va_start(ap, format);                                                                                          \
        result = scan_any(file, vfscan, format, ap);                                                                   \
        va_end(ap);                                                                                                    \
        return result;                                                                                                 \
    }                                                                                                                  \
                                                                                                                       \
    int scanf_of##suffix(const char *format, ...)                                                                      \
    {                                                                                                                  \
        va_list ap;                                                                                                    \
        int result;                                                                                                    \
                                                                                                                       \
        va_start(ap, format);                                                                                          \
        result = scan_any(stdin, vfscan, format, ap);                                                                  \
        va_end(ap);                                                                                                    \
        return result;                                                                                                 \
    }

SCAN_CALLS(X)
