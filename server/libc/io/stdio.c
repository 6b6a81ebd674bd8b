/*
 * stdio.c: fgets, as far as it can park.
 *
 * libc's streams make their system calls inside libc, where we cannot interpose. But prompts read from a terminal,
 * which delivers whole lines, so there it is enough to park before the call until there is input. A line that arrives
 * in pieces, for example through a pipe, still blocks after the first piece.
 */
#include <stdio.h>

#include "base/real.h"
#include "libc/io/fortify.h"
#include "libc/runtime/park.h"

static bool stream_has_buffered(const FILE *stream)
{
    return stream->_IO_read_ptr < stream->_IO_read_end;
}

/* Returns false with errno if the wait has failed. */
static bool stream_await_input(FILE *stream)
{
    struct pollfd look = {.fd = fileno(stream), .events = POLLIN};

    return look.fd < 0 || stream_has_buffered(stream) || feof(stream) || poll(&look, 1, -1) >= 0;
}

char *fgets(char *buf, int size, FILE *stream)
{
    if (coro_self() && size > 1 && !stream_await_input(stream))
        return NULL;
    return real()->fgets(buf, size, stream);
}

char *__fgets_chk(char *buf, size_t capacity, int size, FILE *stream)
{
    if (size > 0 && (size_t)size > capacity)
        __chk_fail();
    return fgets(buf, size, stream);
}
