/*
 * cxx.c: a C++ exception state for each coroutine.
 *
 * A coroutine may park inside a catch block, and the exception state that the C++ runtime keeps for the OS thread then
 * belongs to that coroutine. We do not link the runtime: a module or extension loads it, at any time. But it gets its
 * state from two functions that it exports, and, as with the blocking calls, the executable's are found first. So a
 * switch need not save and restore anything.
 */
#include "coro/cxx.h"

#include "coro/coro.h"

static __thread struct cxx_state thread_state;

__attribute__((visibility("default"))) struct cxx_state *__cxa_get_globals(void)
{
    struct coro *co = coro_here();

    return co ? &co->cxx : &thread_state;
}

__attribute__((visibility("default"))) struct cxx_state *__cxa_get_globals_fast(void)
{
    return __cxa_get_globals();
}
