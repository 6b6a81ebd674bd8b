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

/* The state's thread is about to run the handler of a signal in place of the main thread: has it look for signals
 * before its next instruction, and not collect garbage before that. Needs no GIL. */
void compat_expect_signal(PyThreadState *state);

/* Takes the exception that is set, an instance with its __traceback__, as a new reference. */
PyObject *compat_raised(void);

#endif
