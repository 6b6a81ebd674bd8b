/*
 * library.h: functions of libuv, c-ares, inih and llhttp, which nobody else in the process finds.
 *
 * libsyncless.so is searched for symbols before the libraries of an application, and so is all that it is linked to.
 * Python extensions have copies of these libraries in them, often newer ones: uvloop that of libuv, pycares that of
 * c-ares, aiohttp that of llhttp. Their calls would find ours instead of their own. So libsyncless.so is linked to none
 * of them: it loads libraries.so, which is, for itself alone. A call is written libuv.uv_run(loop); the linker reports
 * a plain uv_run(loop).
 */
#ifndef BASE_LIBRARY_H
#define BASE_LIBRARY_H

#include <stddef.h>

/* Fill a table of function pointers by their names. Ends the process with a message if there is no such function. */
void library_fill(void **table, const char *const *names, size_t count);

/* CALLS is a macro with one X(name) for each function. In a header: declare the table of pointers to them. */
#define LIBRARY_POINTER(name) __typeof__(name) *name;
#define LIBRARY_DECLARE(library, CALLS)                                                                                \
    struct library##_calls {                                                                                           \
        CALLS(LIBRARY_POINTER)                                                                                         \
    };                                                                                                                 \
    extern struct library##_calls library

/* In one source file: define the table, which is filled before main. */
#define LIBRARY_NAME(name) #name,
#define LIBRARY_DEFINE(library, CALLS)                                                                                 \
    struct library##_calls library;                                                                                    \
    __attribute__((constructor)) static void library##_fill(void)                                                      \
    {                                                                                                                  \
        static const char *const names[] = {CALLS(LIBRARY_NAME)};                                                      \
        library_fill((void **)&library, names, sizeof(library) / sizeof(void *));                                      \
    }                                                                                                                  \
    extern struct library##_calls library

#endif
