/*
 * compat.c: what differs between CPython 3.10 and 3.15.
 *
 * Up to 3.12 one word tells all threads that there is a signal; from 3.13 on each has its own, and PyErr_SetInterruptEx
 * sets that of the main thread. A coroutine that runs signal handlers in its place has to set its own.
 *
 * From 3.12 on a thread that looks for signals first collects garbage, if that is due. Finalizers and callbacks of
 * weak references then run the signal handlers, and what these raise there is only printed. So the collection is put
 * off: the next object that is made asks for it again.
 *
 * Since 3.11 frames of Python code lie on a stack of their own, in chunks that CPython maps and unmaps, of 16 KiB. Of
 * the first one most threads use a few hundred bytes, so it takes a page of which the rest is lost; here it lies beside
 * the coroutine's C stack. CPython never unmaps the first one while the state lives.
 *
 * A thread that wants the GIL sets a flag: up to 3.12 one of the interpreter, later one of the thread that has it.
 */
#include <patchlevel.h>

#define Py_BUILD_CORE 1
#include "interp/cpython.h"
#include <internal/pycore_interp.h>

#include "interp/compat.h"

#include <pthread.h>

#if PY_VERSION_HEX < 0x030c0000

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

PyObject *compat_raised(void)
{
    return PyErr_GetRaisedException();
}

#endif

#if PY_VERSION_HEX < 0x030e0000

void compat_use_this_stack(PyThreadState *state)
{
}

#else

void compat_use_this_stack(PyThreadState *state)
{
    pthread_attr_t attr;
    size_t size, guard;
    void *low;

    if (pthread_getattr_np(pthread_self(), &attr))
        return;
    if (!pthread_attr_getguardsize(&attr, &guard) && !pthread_attr_getstack(&attr, &low, &size))
        PyUnstable_ThreadState_SetStackProtection(state, (char *)low + guard, size - guard);
    pthread_attr_destroy(&attr);
}

#endif

#if PY_VERSION_HEX < 0x030b0000

void compat_give_memory(PyThreadState *state, void *memory, size_t size)
{
}

void compat_take_memory(PyThreadState *state, const void *memory)
{
}

#else

void compat_give_memory(PyThreadState *state, void *memory, size_t size)
{
    _PyStackChunk *chunk = memory;

    *chunk = (_PyStackChunk){.size = size};
    state->datastack_chunk = chunk;
    state->datastack_top = chunk->data + 1; /* so that the chunk is not freed when its first frame ends */
    state->datastack_limit = (PyObject **)((char *)memory + size);
}

void compat_take_memory(PyThreadState *state, const void *memory)
{
    _PyStackChunk **place = &state->datastack_chunk;

    while (*place && *place != memory)
        place = &(*place)->previous;
    if (*place)
        *place = NULL;
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

void compat_cut(PyThreadState *state)
{
#if PY_VERSION_HEX < 0x030b0000
    state->frame = NULL;
    state->recursion_depth = 0;
#endif
#if PY_VERSION_HEX < 0x030d0000
    state->cframe = &state->root_cframe;
#endif
#if PY_VERSION_HEX >= 0x030b0000 && PY_VERSION_HEX < 0x030d0000
    state->root_cframe.current_frame = NULL;
#elif PY_VERSION_HEX >= 0x030d0000 && PY_VERSION_HEX < 0x030f0000
    state->current_frame = NULL;
#endif
#if PY_VERSION_HEX >= 0x030b0000 && PY_VERSION_HEX < 0x030c0000
    state->recursion_remaining = state->recursion_limit;
#elif PY_VERSION_HEX >= 0x030c0000
    state->py_recursion_remaining = state->py_recursion_limit;
#endif
#if PY_VERSION_HEX >= 0x030d0000 && PY_VERSION_HEX < 0x030e0000
    state->c_recursion_remaining = Py_C_RECURSION_LIMIT;
#elif PY_VERSION_HEX >= 0x030c0000 && PY_VERSION_HEX < 0x030d0000
    state->c_recursion_remaining = C_RECURSION_LIMIT;
#endif
    state->exc_info = &state->exc_state;
    PyErr_Clear();
}

#if PY_VERSION_HEX < 0x030d0000
static void ceval_ask(struct _ceval_state *ceval)
{
    _Py_atomic_store_relaxed(&ceval->gil_drop_request, 1);
    _Py_atomic_store_relaxed(&ceval->eval_breaker, 1);
}
#endif

void compat_ask_for_gil(PyThreadState *state)
{
#if PY_VERSION_HEX >= 0x030d0000
    __atomic_fetch_or(&state->eval_breaker, (uintptr_t)1, __ATOMIC_SEQ_CST); /* _PY_GIL_DROP_REQUEST_BIT */
#else
    ceval_ask(&state->interp->ceval);
#endif
}

/* As in Python/thread_pthread.h of all versions. */
struct pythread_start {
    void (*function)(void *argument);
    void *argument;
};

void *compat_thread_argument(const void *start)
{
    return ((const struct pythread_start *)start)->argument;
}

#if PY_VERSION_HEX >= 0x030d0000

void compat_ask_holder(void)
{
    struct _gil_runtime_state *gil = PyInterpreterState_Main()->ceval.gil;

    pthread_mutex_lock(&gil->mutex); /* the holder cannot end meanwhile */
    if (gil->locked > 0)
        compat_ask_for_gil(gil->last_holder);
    pthread_mutex_unlock(&gil->mutex);
}

#else

void compat_ask_holder(void)
{
    ceval_ask(&PyInterpreterState_Main()->ceval);
}

#endif
