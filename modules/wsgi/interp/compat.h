/*
 * compat.h: what differs between CPython 3.10 and 3.15. With compat.c the only place that asks for the version.
 */
#ifndef COMPAT_H
#define COMPAT_H

#include <stdbool.h>

#include "interp/cpython.h"

/* Returns the state with which this thread holds the GIL, NULL if it does not: its own, or another one that code which
 * it calls has put in place of it. Up to 3.11 CPython knows only which state of all threads has the GIL; then it must
 * be the own one or that of PyGILState_Ensure. */
static inline PyThreadState *compat_holder(const PyThreadState *own)
{
#if PY_VERSION_HEX >= 0x030d0000
    return PyThreadState_GetUnchecked();
#elif PY_VERSION_HEX >= 0x030c0000
    return _PyThreadState_UncheckedGet();
#else
    PyThreadState *holder = _PyThreadState_UncheckedGet();

    return holder && (holder == own || holder == PyGILState_GetThisThreadState()) ? holder : NULL;
#endif
}

/* Returns the state that PyGILState_Ensure would find, if that must be kept for a coroutine that parks, which has the
 * state own, or one of CPython's if that is NULL; else NULL. Up to 3.14 it is behind a pthread key, of which each
 * coroutine has its own value. Since 3.15 it is in a variable of the OS thread, which is that of the state attached
 * last. */
static inline PyThreadState *compat_found(const PyThreadState *own)
{
#if PY_VERSION_HEX >= 0x030f0000
    PyThreadState *found = PyGILState_GetThisThreadState();

    return found && found->thread_id == (own ? own->thread_id : PyThread_get_thread_ident()) ? found : NULL;
#else
    return NULL;
#endif
}

/* Whether this state runs Python code, or waits in it; in a signal handler. Up to 3.11 only, later it is always true.
 */
static inline bool compat_has_frame(PyThreadState *state)
{
#if PY_VERSION_HEX < 0x030b0000
    return state->frame != NULL;
#elif PY_VERSION_HEX < 0x030c0000
    return state->cframe && state->cframe->current_frame;
#else
    return true;
#endif
}

/* Up to 3.11 strings made by the old API may not have their data yet. */
static inline int compat_text_ready(PyObject *text)
{
#if PY_VERSION_HEX < 0x030c0000
    return PyUnicode_READY(text);
#else
    return 0;
#endif
}

/* The code of this state runs on this stack from now on: by it CPython since 3.14 limits recursion. */
void compat_use_this_stack(PyThreadState *state);

/* The thread of this state has left its Python code without leaving the frames, as pthread_exit does. The state is as
 * that of a thread that has run nothing; what the frames refer to is lost. With the GIL. */
void compat_cut(PyThreadState *state);

/* Bytes that compat_give_memory can use for the frames of Python code; 0: it needs none. The rest over whole pages
 * shares one with the C stack: as much as a request needs that waits for an Event, so that both fit in two pages. */
#if PY_VERSION_HEX >= 0x030c0000
#define COMPAT_FRAMES_SIZE (16 * 1024 + 768)
#elif PY_VERSION_HEX >= 0x030b0000
#define COMPAT_FRAMES_SIZE (16 * 1024 + 1024)
#else
#define COMPAT_FRAMES_SIZE 0
#endif

/* Has a new state, which has run nothing, keep the first of its frames in this memory, which must be zeroed or have
 * been used so before. compat_take_memory ends that, when nothing runs with the state any more. */
void compat_give_memory(PyThreadState *state, void *memory, size_t size);
void compat_take_memory(PyThreadState *state, const void *memory);

/* The state's thread is about to run the handler of a signal in place of the main thread: has it look for signals
 * before its next instruction, and not collect garbage before that. Needs no GIL. */
void compat_expect_signal(PyThreadState *state);

/* Has the code of this state, which has the GIL or will have it, drop the GIL before one of its next instructions, as a
 * thread does that wants it. Needs no GIL, and may be called in any thread. */
void compat_ask_for_gil(PyThreadState *state);

/* The same for the state that has the GIL of the main interpreter, if any has it. */
void compat_ask_holder(void);

/* Returns what the function of a thread gets that CPython starts; start is the argument of pthread_create. */
void *compat_thread_argument(const void *start);

/* Takes the exception that is set, an instance with its __traceback__, as a new reference. */
PyObject *compat_raised(void);

#endif
