/*
 * compat.c: what differs between CPython 3.10 and 3.13.
 *
 * PyGILState_Ensure, by which C code calls back into Python, looks up the thread state in a thread-specific slot. All
 * coroutines share one OS thread, so the slot must have the state of the coroutine that runs. Up to 3.11 CPython sets
 * it once, when the first state of an OS thread is made, and has no function to change it: we write to the slot itself.
 * From 3.12 on each attach sets it, so a coroutine that resumes detached (in C code that may call back) is attached and
 * detached once. Either way it costs next to nothing if the slot is right already.
 *
 * Up to 3.12 one word tells all threads that there is a signal; from 3.13 on each has its own, and PyErr_SetInterruptEx
 * sets that of the main thread. A coroutine that runs signal handlers in its place has to set its own.
 *
 * From 3.12 on a thread that looks for signals first collects garbage, if that is due. Finalizers and callbacks of
 * weak references then run the signal handlers, and what these raise there is only printed. So the collection is put
 * off: the next object that is made asks for it again.
 */
#include <patchlevel.h>

#if PY_VERSION_HEX < 0x030d0000
#define Py_BUILD_CORE 1
#include "interp/cpython.h"
#include <internal/pycore_interp.h>
#include <internal/pycore_runtime.h>
#endif

#include "interp/compat.h"

#if PY_VERSION_HEX < 0x030c0000

void compat_attach(PyThreadState *state)
{
    PyThread_tss_set(&_PyRuntime.gilstate.autoTSSkey, state);
    PyEval_RestoreThread(state);
}

void compat_resume(PyThreadState *state)
{
    PyThread_tss_set(&_PyRuntime.gilstate.autoTSSkey, state);
}

PyObject *compat_raised(void)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyException_SetTraceback(value, traceback ? traceback : Py_None); /* of this raise, not of an earlier one */
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

#else

void compat_attach(PyThreadState *state)
{
    PyEval_RestoreThread(state);
}

void compat_resume(PyThreadState *state)
{
    if (PyGILState_GetThisThreadState() == state)
        return;
    PyEval_RestoreThread(state);
    PyEval_SaveThread();
}

PyObject *compat_raised(void)
{
    return PyErr_GetRaisedException();
}

#endif

void compat_expect_signal(PyThreadState *state)
{
#if PY_VERSION_HEX >= 0x030d0000
    __atomic_fetch_and(&state->eval_breaker, ~((uintptr_t)1 << 4), __ATOMIC_SEQ_CST); /* _PY_GC_SCHEDULED_BIT */
    __atomic_fetch_or(&state->eval_breaker, (uintptr_t)1 << 1, __ATOMIC_SEQ_CST);     /* _PY_SIGNALS_PENDING_BIT */
#elif PY_VERSION_HEX >= 0x030c0000
    _Py_atomic_store_relaxed(&state->interp->ceval.gc_scheduled, 0);
#endif
}
