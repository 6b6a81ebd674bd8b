/*
 * parked_stack.c: the stack of a coroutine of this process that does not run, as its language runtime tells it.
 *
 * The runtime writes to a file in memory, since what it has for that are functions that write to a descriptor: they are
 * meant for signal handlers (worker/stack_report.c). Here nothing runs meanwhile, so what they read does not change.
 */
#include "inside/parked_stack.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/own.h"
#include "base/real.h"

#define MAX_STACK 32768 /* bytes of one that are shown */

static int dump_fd = -1; /* a file in memory; -1: there is none yet */

/* Returns the size of the dump, which is in text. */
static size_t dump_to(const struct coro *co, char text[MAX_STACK])
{
    ssize_t size;

    if (dump_fd < 0) {
        dump_fd = memfd_create("stack", MFD_CLOEXEC);
        own_fd(dump_fd);
    }
    if (ftruncate(dump_fd, 0) < 0 || lseek(dump_fd, 0, SEEK_SET) < 0)
        return 0;
    coro_dump_parked(co, dump_fd);
    size = real()->pread(dump_fd, text, MAX_STACK, 0);
    return size > 0 ? (size_t)size : 0;
}

void parked_stack_write(const struct coro *co, struct text *out, const char *begin)
{
    static char dump[MAX_STACK];
    size_t size = co && co != coro_self() ? dump_to(co, dump) : 0;

    for (const char *at = dump, *end; at < dump + size; at = end + 1) {
        end = memchr(at, '\n', (size_t)(dump + size - at));
        end = end ? end : dump + size;
        text_printf(out, "%s%.*s", begin, (int)(end - at), at);
    }
}
