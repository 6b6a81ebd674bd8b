/*
 * compat.h: what differs between CPython 3.10 and 3.13. With compat.c the only place that asks for the version.
 */
#ifndef COMPAT_H
#define COMPAT_H

#include <stdbool.h>

#include "interp/cpython.h"

/* Whether this state holds the GIL. */
static inline bool compat_holds_gil(PyThreadState *state)
{
#if PY_VERSION_HEX < 0x030d0000
    return _PyThreadState_UncheckedGet() == state;
#else
    return PyThreadState_GetUnchecked() == state;
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

/* PyEval_RestoreThread, after which PyGILState_Ensure finds this state too. */
void compat_attach(PyThreadState *state);

/* Makes PyGILState_Ensure find this state, whose coroutine resumes without the GIL. */
void compat_resume(PyThreadState *state);

/* Has the state's thread look for signals before its next instruction, as PyErr_SetInterruptEx does for the main
 * thread. Needs no GIL. */
static inline void compat_look_for_signals(PyThreadState *state)
{
#if PY_VERSION_HEX >= 0x030d0000
    __atomic_fetch_or(&state->eval_breaker, (uintptr_t)1 << 1, __ATOMIC_SEQ_CST); /* _PY_SIGNALS_PENDING_BIT */
#endif
}

/* Takes the exception that is set, an instance with its __traceback__, as a new reference. */
PyObject *compat_raised(void);

/* Returns why the CPython that is loaded cannot run on the stack of a coroutine; NULL if it can. */
const char *compat_refuse(void);

#endif
