/*
 * cxx.c: a C++ exception state for each coroutine.
 *
 * A coroutine may park inside a catch block; what the C++ runtime then keeps for the OS thread belongs to that
 * coroutine. The runtime is not ours to link: it comes with some module or extension, at any time. But it asks for its
 * state by two functions that it exports, and, like the blocking calls, the executable's own are found before the
 * library's. So nothing has to be saved and restored at a switch, nor looked for, and no exception is missed that was
 * thrown before.
 */
#include "coro/cxx.h"

#include "coro/coro.h"

static __thread struct cxx_state thread_state;

struct cxx_state *__cxa_get_globals(void)
{
    struct coro *co = coro_self();

    return co ? &co->cxx : &thread_state;
}

struct cxx_state *__cxa_get_globals_fast(void)
{
    return __cxa_get_globals();
}
