/*
 * wordexp.c: wordexp of words with commands in them, which libc executes by a shell whose output it reads.
 *
 * That is inside of libc, so a thread calls it.
 */
#include <string.h>
#include <wordexp.h>

#include "base/real.h"
#include "libc/runtime/park.h"

struct expansion {
    const char *words;
    wordexp_t *result;
    int flags;
};

static int expansion_run(void *arg)
{
    const struct expansion *e = arg;

    return real()->wordexp(e->words, e->result, e->flags);
}

static bool words_have_command(const char *words)
{
    return strchr(words, '`') || strstr(words, "$(");
}

int wordexp(const char *restrict words, wordexp_t *restrict result, int flags)
{
    struct expansion e = {words, result, flags};

    if (!coro_self() || flags & WRDE_NOCMD || !words_have_command(words) || !park_possible())
        return real()->wordexp(words, result, flags);
    return wait_thread(expansion_run, &e);
}
