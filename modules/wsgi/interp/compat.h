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

/* Strings made by the old API of 3.11 and before have no data yet. */
static inline int compat_text_ready(PyObject *text)
{
#if PY_VERSION_HEX < 0x030c0000
    return PyUnicode_READY(text);
#else
    return 0;
#endif
}

/* PyEval_RestoreThread for a state of which PyGILState_Ensure may not know that it is the one in use now. */
void compat_attach(PyThreadState *state);

/* Make PyGILState_Ensure find this state, which runs again without the GIL. */
void compat_resume(PyThreadState *state);

/* Take the exception that is set, an instance with its __traceback__. New reference. */
PyObject *compat_raised(void);

/* A message if the CPython that is loaded cannot run on a stack of ours, else NULL. */
const char *compat_refuse(void);

#endif
