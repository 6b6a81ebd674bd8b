/*
 * scan_wide.c: wscanf, fwscanf, vwscanf and vfwscanf.
 *
 * libc has no streams of wide characters that get them from us, as scan.c needs. So the coroutine parks until there is
 * something to read, and then libc reads. If that is only a part of what the format asks for, libc waits for the rest.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

#include "base/real.h"
#include "libc/stdio/stream.h"
#include "libc/stdio/wide.h"

typedef int wide_scan_fn(FILE *restrict file, const wchar_t *restrict format, va_list ap);

static int wide_scan_any(FILE *file, wide_scan_fn *call, const wchar_t *format, va_list ap)
{
    struct stream_hold hold;
    int result;

    if (!stream_may_wait_wide(file, false) || fwide(file, 1) <= 0)
        return call(file, format, ap);
    stream_hold(&hold, file);
    wide_fill(file);
    result = call(file, format, ap);
    stream_release(&hold);
    return result;
}

/* libc has this one since 2.38, so it is not in the table. Programs that call it need that libc. */
static wide_scan_fn *wide_scan_of_c23(void)
{
    static wide_scan_fn *call;

    if (!call)
        call = (wide_scan_fn *)dlsym(RTLD_NEXT, "__isoc23_vfwscanf");
    return call;
}

/* The exported names; headers give other ones to scanf in C. */
#define WIDE_SCAN_CALLS(X)                                                                                             \
    X(real()->vfwscanf, , ) X(real()->__isoc99_vfwscanf, __isoc99_, 99) X(wide_scan_of_c23(), __isoc23_, 23)

#define X(vfwscan, prefix, suffix)                                                                                     \
    int vfwscanf_of##suffix(FILE *file, const wchar_t *format, va_list ap) __asm__(#prefix "vfwscanf");                \
    int vwscanf_of##suffix(const wchar_t *format, va_list ap) __asm__(#prefix "vwscanf");                              \
    int fwscanf_of##suffix(FILE *file, const wchar_t *format, ...) __asm__(#prefix "fwscanf");                         \
    int wscanf_of##suffix(const wchar_t *format, ...) __asm__(#prefix "wscanf");                                       \
                                                                                                                       \
    int vfwscanf_of##suffix(FILE *file, const wchar_t *format, va_list ap)                                             \
    {                                                                                                                  \
        return wide_scan_any(file, vfwscan, format, ap);                                                               \
    }                                                                                                                  \
                                                                                                                       \
    int vwscanf_of##suffix(const wchar_t *format, va_list ap)                                                          \
    {                                                                                                                  \
        return wide_scan_any(stdin, vfwscan, format, ap);                                                              \
    }                                                                                                                  \
                                                                                                                       \
    int fwscanf_of##suffix(FILE *file, const wchar_t *format, ...)                                                     \
    {                                                                                                                  \
        va_list ap;                                                                                                    \
        int result;                                                                                                    \
                                                                                                                       \
        va_start(ap, format);                                                                                          \
        result = wide_scan_any(file, vfwscan, format, ap);                                                             \
        va_end(ap);                                                                                                    \
        return result;                                                                                                 \
    }                                                                                                                  \
                                                                                                                       \
    int wscanf_of##suffix(const wchar_t *format, ...)                                                                  \
    {                                                                                                                  \
        va_list ap;                                                                                                    \
        int result;                                                                                                    \
                                                                                                                       \
        va_start(ap, format);                                                                                          \
        result = wide_scan_any(stdin, vfwscan, format, ap);                                                            \
        va_end(ap);                                                                                                    \
        return result;                                                                                                 \
    }

WIDE_SCAN_CALLS(X)
