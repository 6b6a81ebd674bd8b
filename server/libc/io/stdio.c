/*
 * stdio.c: fgets, as far as it can park.
 *
 * libc's streams read inside libc, where no call of ours is in between. Prompts read lines from a terminal, which gives
 * whole lines: so it is enough to wait, before the call, until there is something to read. A line that comes in pieces,
 * through a pipe say, still blocks between the first and the last.
 */
#include <stdio.h>

#include "libc/io/fortify.h"
#include "libc/runtime/park.h"
#include "base/real.h"

static bool has_buffered(const FILE *stream)
{
    return stream->_IO_read_ptr < stream->_IO_read_end;
}

/* False with errno if the wait was ended. */
static bool await_input(FILE *stream)
{
    struct pollfd look = {.fd = fileno(stream), .events = POLLIN};

    return look.fd < 0 || has_buffered(stream) || feof(stream) || poll(&look, 1, -1) >= 0;
}

char *fgets(char *buf, int size, FILE *stream)
{
    if (coro_self() && size > 1 && !await_input(stream))
        return NULL;
    return real()->fgets(buf, size, stream);
}

char *__fgets_chk(char *buf, size_t room, int size, FILE *stream)
{
    if (size > 0 && (size_t)size > room)
        __chk_fail();
    return fgets(buf, size, stream);
}
