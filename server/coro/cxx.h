/* cxx.h: the C++ runtime's per-thread exception state, one for each coroutine. */
#ifndef CORO_CXX_H
#define CORO_CXX_H

/* Layout of __cxa_eh_globals, Itanium C++ ABI section 2.2.2. */
struct cxx_state {
    void *caught;
    unsigned int uncaught;
};

/* What C++ runtimes call for the state of the running thread. */
struct cxx_state *__cxa_get_globals(void);
struct cxx_state *__cxa_get_globals_fast(void);

#endif
