/*
 * tstate.c: one PyThreadState for each coroutine, so that to CPython a coroutine is a thread.
 *
 * A state is made on the coroutine itself, at its first request, so that it takes the coroutine's thread identity, and
 * stays with it in the pool: making and deleting one costs more than a whole request. Only spawned functions get a new
 * one, since they are threads to Python, whose threading.local begins empty. It is freed on the coroutine too, for that
 * runs Python code, which may wait. A coroutine takes and releases the GIL as a thread does (gil.c), by
 * PyEval_RestoreThread and PyEval_SaveThread, never by PyThreadState_Swap, which means something else in each CPython.
 *
 * PyGILState_Ensure, by which C code calls back into Python, looks up the state by a pthread key. A coroutine has a
 * value of its own for each key (server/libc/tls), so it finds the coroutine's. From 3.15 on it looks in a variable of
 * the OS thread, which an attach sets: a coroutine that resumes without the GIL is attached and detached once, if that
 * variable is not right already.
 *
 * When a coroutine parks, it is usually in a blocking call that CPython has already bracketed: its state is detached
 * and nothing is to be done. Some calls come with the GIL held: those of extensions that never release it, and ours of
 * sl_write. The park hook releases it then and the resume hook takes it back, so the bridge need not foresee which call
 * waits, nor release the GIL around calls that hardly ever do.
 *
 * The threading.Thread of a coroutine is new for each request and each function, and made when somebody looks at it
 * (thread_table.c). What threading.local has stays with the state.
 *
 * OS threads look at the records too. So the list of them has a lock; and state and x, and runs while there is a state,
 * are changed with the GIL held.
 */
#include "threads/tstate.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "interp/compat.h"
#include "syncless/runtime.h"
#include "threads/fork_section.h"
#include "threads/gil.h"
#include "threads/handle.h"
#include "threads/interrupt.h"
#include "threads/without_gil.h"
#include "threads/stack_dump.h"
#include "threads/thread_object.h"
#include "threads/thread_table.h"
#include "threads/trace_hooks.h"

/* What the bridge knows of a coroutine. */
struct thread {
    PyThreadState *state; /* owned, unless is_main; NULL if there is none now */
    unsigned steady;      /* calls of tstate_steady that are not taken back */
    bool is_main;         /* state is the interpreter's main one */
    bool starts_real;     /* threads that it starts are threads of the system */
    bool is_own;          /* CPython has started it as a thread, and has its state: state is NULL */
    bool runs;            /* Python code, or waits in it; if not, it is idle or in code that is not Python */
    PyThreadState *held;  /* with which it had the GIL when it parked; or NULL */
    PyThreadState *found; /* by PyGILState_Ensure when it parked, see compat_found; or NULL */
    struct exchange *x;   /* the request that it serves, borrowed; or NULL */
    struct interrupt interrupt;
    struct section section;
    struct thread *next;  /* in the list of all */
    struct thread **link; /* what points to it in the list */
};

static int thread_key = -1;    /* of sl_local_get */
static struct thread *threads; /* all of them */
static bool have_served;       /* a request has had a state */
static bool has_main;          /* a coroutine is Python's main thread */

/* Of the list. Python code may not run while it is held. */
static pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER;

static void (*on_blocking)(const struct exchange *x, unsigned long identity);
static void (*on_cut)(struct exchange *x);
static bool (*on_debug)(int fd, unsigned long identity);
static bool (*on_console)(int fd);

static void thread_watch(const struct thread *t)
{
    if (t->is_own && t->steady == 0)
        gil_watch_holder();
    else
        gil_watch(t->steady > 0 ? NULL : t->state);
}

/* Not inlined: most that park run no Python code. */
static __attribute__((noinline)) void thread_park_running(struct thread *t)
{
    gil_watch(NULL);
    t->found = compat_found(t->state);
    t->held = gil_park(t->state);
    if (!t->held && t->section.site)
        section_leave(&t->section);
}

static void thread_park(void *value)
{
    struct thread *t = value;

    if (t->runs)
        thread_park_running(t);
}

static __attribute__((noinline)) void thread_resume_running(struct thread *t)
{
    if (!Py_IsInitialized() && !t->is_main && (t->held || !t->is_own))
        sl_park_for_good(); /* the interpreter is finalizing, which ends its other threads */
    gil_resume(t->held, t->found);
    if (!t->held && t->section.site && !t->section.away)
        section_go_on(&t->section);
    thread_watch(t);
}

static void thread_resume(void *value)
{
    struct thread *t = value;

    if (t->runs)
        thread_resume_running(t);
}

static void thread_link(struct thread *t)
{
    pthread_mutex_lock(&threads_lock);
    t->next = threads;
    t->link = &threads;
    if (threads)
        threads->link = &t->next;
    threads = t;
    pthread_mutex_unlock(&threads_lock);
}

static void thread_unlink(struct thread *t)
{
    pthread_mutex_lock(&threads_lock);
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    pthread_mutex_unlock(&threads_lock);
}

/* Extensions leave calls to the main thread: greenlet frees there what an ended thread had. That of a worker runs no
 * Python code. */
static void make_pending_calls(void)
{
    if (has_main)
        return;
    sl_as_main_thread(true);
    if (Py_MakePendingCalls() < 0)
        PyErr_WriteUnraisable(NULL);
    sl_as_main_thread(false);
}

/* Has the first frames of this coroutine lie in its own memory, not in a page of theirs. */
static void thread_give_memory(PyThreadState *state)
{
    size_t size;
    void *memory = sl_reserved(&size);

    if (memory)
        compat_give_memory(state, memory, size);
}

/* Frees the state, with which the GIL is held, and releases the GIL. */
static void thread_drop_state(struct thread *t)
{
    size_t size;

    make_pending_calls();
    PyThreadState_Clear(t->state);
    handle_end(&t->interrupt); /* destructors of threading.local may have made one */
    compat_take_memory(t->state, sl_reserved(&size));
    gil_unwatch(t->state);
    t->state = NULL;
    PyThreadState_DeleteCurrent();
}

/* What the coroutine did is over: it can no longer be interrupted, and its threading.Thread ends. */
static void thread_settle(struct thread *t)
{
    trace_hooks_end(t->state);
    Py_CLEAR(t->interrupt.function);
    handle_end(&t->interrupt);
    interrupt_settle(&t->interrupt);
    t->steady = 0;
}

/* pthread_exit was called in the middle of Python code, whose frames are never left. Takes the GIL, unless C code that
 * had it has called. */
static void thread_cut(struct thread *t)
{
    if (!compat_holder(t->state))
        gil_take(t->state);
    compat_cut(t->state);
    if (t->x && on_cut)
        on_cut(t->x);
    t->x = NULL;
    handle_cut(&t->interrupt);
    thread_settle(t);
}

/* From now on the coroutine has no state. Destructors of thread-locals that need one make it, as in any thread, and may
 * wait with it. */
static void thread_end(void *value)
{
    struct thread *t = value;
    bool cut = t->runs;

    t->runs = true;
    if (t->is_own)
        gil_watch(NULL);
    if (!t->state || !Py_IsInitialized())
        return;
    if (cut)
        thread_cut(t);
    else
        gil_take(t->state);
    thread_drop_state(t);
}

static void thread_release(void *value)
{
    struct thread *t = value;

    thread_unlink(t);
    free(t);
}

/* In a signal handler. If the state is not the one in use, the coroutine is about to begin or end its request. */
static void thread_dump_stack(void *value, int fd)
{
    const struct thread *t = value;
    PyThreadState *state = PyGILState_GetThisThreadState();

    if (t->runs && state && (t->is_own || t->state == state))
        stack_dump_write(state, fd);
}

/* Not in a signal handler: nothing of its state changes meanwhile. */
static void thread_dump_parked(void *value, int fd)
{
    const struct thread *t = value;

    if (t->runs && t->state && Py_IsInitialized())
        stack_dump_parked(t->state, fd);
}

/* In a signal handler, as above. */
static bool thread_blocks(void *value)
{
    const struct thread *t = value;

    if (t->x && on_blocking && t->state == PyGILState_GetThisThreadState())
        on_blocking(t->x, t->state->thread_id);
    return false;
}

static void thread_cancelled(void *value, int error)
{
    struct thread *t = value;

    if (!t->runs)
        return;
    interrupt_cancelled(&t->interrupt, error);
    if (t->state && error == EINTR)
        compat_expect_signal(t->state);
}

/* It sees the signal of its interrupts as soon as it runs Python code, as after a wait that fails with EINTR. */
static void thread_reach(struct interrupt *i)
{
    struct thread *t = (struct thread *)((char *)i - offsetof(struct thread, interrupt));

    if (!t->state)
        return;
    sl_make_main_thread(i->coroutine);
    thread_cancelled(t, EINTR);
}

/* An operator wants to debug the request that it serves. */
static bool thread_debug(void *value, int fd)
{
    const struct thread *t = value;

    return t->runs && t->x && t->state && on_debug && on_debug(fd, t->state->thread_id);
}

static bool thread_console(int fd)
{
    return on_console && on_console(fd);
}

/* The worker stops: raises Killed in a coroutine that runs Python code, or waits in it. */
static bool thread_cancel(void *value)
{
    struct thread *t = value;

    if (!t->runs || t->is_main)
        return false;
    if (t->is_own)
        return true; /* when the interpreter ends it waits for its threads, or leaves daemons alone */
    interrupt_kill(&t->interrupt);
    return true;
}

/* Whether this coroutine holds the GIL, or is steady. */
static bool thread_holds(void)
{
    const struct thread *t = sl_local_get(thread_key);

    return t && t->runs && (t->steady > 0 || compat_holder(t->state));
}

static const struct sl_preempt preempt_hooks = {.ask = gil_ask, .holds = thread_holds};
static const struct sl_local thread_hooks = {
    .park = thread_park,
    .resume = thread_resume,
    .end = thread_end,
    .release = thread_release,
    .cancelled = thread_cancelled,
    .dump_stack = thread_dump_stack,
    .dump_threads = stack_dump_threads,
    .dump_parked = thread_dump_parked,
    .blocks = thread_blocks,
    .debug = thread_debug,
    .console = thread_console,
    .cancel = thread_cancel,
    .iteration = gil_return,
};

/* ---- fork ---- */

static struct thread *forking; /* the coroutine that forks; NULL: it is an OS thread */

static void before_any_fork(void)
{
    pthread_mutex_lock(&threads_lock);
    forking = sl_local_get(thread_key);
}

static void after_fork_in_any_parent(void)
{
    pthread_mutex_unlock(&threads_lock);
}

/* The child has no other coroutine, and CPython frees the states of the others. */
static void after_fork_in_any_child(void)
{
    threads_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    gil_forget_threads();
    for (struct thread *t = threads; t; t = t->next)
        if (t != forking)
            handle_abandon(&t->interrupt);
    threads = forking;
    if (!forking)
        return;
    forking->next = NULL;
    forking->link = &threads;
}

/* Returns the record of this coroutine, which is made if there is none; NULL without memory. */
static struct thread *thread_get(void)
{
    struct thread *t = sl_local_get(thread_key);

    if (t)
        return t;
    t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->interrupt.coroutine = sl_self();
    thread_link(t);
    sl_local_set(thread_key, t);
    return t;
}

/* CPython has started a thread as a coroutine. It makes and frees the state itself, and takes the GIL now, which an
 * idle coroutine may have kept. But it does not know of parks. */
static void thread_begin_own(void)
{
    struct thread *t = sl_must(thread_get());

    gil_return();
    t->is_own = t->runs = true;
    thread_watch(t);
}

/* The thread of faulthandler.dump_traceback_later gets no argument. It must look when all others are stuck. */
static bool thread_may_be_coroutine(const void *start)
{
    const struct thread *t = sl_local_get(thread_key);

    return !(t && t->starts_real) && compat_thread_argument(start) != NULL;
}

static const struct sl_threads own_hooks = {.may = thread_may_be_coroutine, .begin = thread_begin_own};

/* ---- set-up ---- */

int tstate_init(void)
{
    if (thread_key >= 0)
        return 0;
    thread_key = sl_local_create(&thread_hooks);
    if (thread_key < 0)
        return thread_key;
    sl_reserve(COMPAT_FRAMES_SIZE);
    sl_preempt(&preempt_hooks);
    sl_threads(&own_hooks);
    return -pthread_atfork(before_any_fork, after_fork_in_any_parent, after_fork_in_any_child);
}

/* Takes the GIL with a new state. Returns 0, or -ENOMEM without the GIL. A coroutine that has ended may have had the
 * same identity, and a _DummyThread made by destructors after that. */
static int thread_attach_new(struct thread *t)
{
    PyThreadState *state = PyThreadState_New(PyInterpreterState_Main());

    if (!state)
        return -ENOMEM;
    gil_take(state);
    t->state = state;
    thread_give_memory(state);
    thread_object_forget(state->thread_id);
    return 0;
}

/* Takes the GIL with the state of this coroutine, which is made if there is none, to run function. Returns 0, or
 * -ENOMEM without the GIL. */
static int thread_attach(struct thread *t, PyObject *function, bool for_request)
{
    int err = 0;

    if (t->state) {
        gil_take(t->state);
    } else {
        err = thread_attach_new(t);
        have_served |= for_request;
    }
    if (err < 0)
        return err;
    t->runs = true;
    gil_watch(t->state);
    t->interrupt.function = Py_XNewRef(function);
    trace_hooks_begin();
    return 0;
}

struct interrupt *tstate_enter(struct exchange *x, PyObject *function)
{
    struct thread *t = thread_get();

    if (!t || thread_attach(t, function, true) < 0)
        return NULL;
    t->x = x;
    return &t->interrupt;
}

void tstate_leave(void)
{
    struct thread *t = sl_local_get(thread_key);

    t->x = NULL;
    thread_settle(t);
    t->runs = false;
    gil_watch(NULL);
    gil_keep(t->state);
}

int tstate_enter_fresh(PyObject *function)
{
    struct thread *t = thread_get();

    if (!t)
        return -ENOMEM;
    if (t->state) {
        gil_take(t->state);
        t->runs = true; /* code that runs while the state is cleared may wait */
        thread_drop_state(t);
    }
    if (thread_attach(t, function, false) == 0)
        return 0;
    t->runs = false;
    return -ENOMEM;
}

void tstate_leave_fresh(void)
{
    struct thread *t = sl_local_get(thread_key);

    thread_settle(t);
    thread_drop_state(t);
    t->runs = false;
}

void tstate_adopt(void)
{
    struct thread *t;

    if (!sl_self())
        return;
    t = sl_must(thread_get());
    t->state = PyThreadState_Get();
    t->is_main = t->runs = has_main = true;
    gil_watch(t->state);
}

void tstate_disown(void)
{
    struct thread *t = sl_local_get(thread_key);

    if (!t)
        return;
    if (Py_IsInitialized())
        handle_end(&t->interrupt); /* the coroutine goes on as another thread */
    gil_unwatch(t->state);
    t->state = NULL;
    t->is_main = t->runs = has_main = false;
}

struct exchange *tstate_exchange(void)
{
    struct thread *t = sl_local_get(thread_key);

    return t ? t->x : NULL;
}

struct exchange *tstate_find(unsigned long identity)
{
    struct exchange *x = NULL;

    pthread_mutex_lock(&threads_lock);
    for (struct thread *t = threads; t; t = t->next)
        if (t->x && t->state->thread_id == identity)
            x = t->x;
    pthread_mutex_unlock(&threads_lock);
    return x;
}

struct interrupt *tstate_interrupt(void)
{
    struct thread *t = sl_local_get(thread_key);

    return t ? &t->interrupt : NULL;
}

void tstate_on_cut(void (*fn)(struct exchange *x))
{
    on_cut = fn;
}

void tstate_steady(bool on)
{
    struct thread *t = sl_local_get(thread_key);

    if (!t)
        return;
    t->steady += on ? 1 : -1U;
    thread_watch(t);
}

void tstate_start_real_threads(bool on)
{
    struct thread *t = sl_local_get(thread_key);

    if (t)
        t->starts_real = on;
}

unsigned long tstate_identity(const struct interrupt *interrupt)
{
    const struct thread *t = (const void *)((const char *)interrupt - offsetof(struct thread, interrupt));

    return t->state->thread_id;
}

struct section *tstate_section(void)
{
    struct thread *t = sl_local_get(thread_key);

    return t ? &t->section : NULL;
}

void tstate_returned(void)
{
    struct thread *t = sl_local_get(thread_key);

    if (!t || !t->runs || !interrupt_is_pending(&t->interrupt))
        return;
    sl_as_main_thread(true); /* as after a wait that fails with EINTR */
    thread_cancelled(t, EINTR);
}

void tstate_on_blocking(void (*fn)(const struct exchange *x, unsigned long identity))
{
    on_blocking = fn;
}

void tstate_on_sessions(bool (*debug)(int fd, unsigned long identity), bool (*console)(int fd))
{
    on_debug = debug;
    on_console = console;
}

PyObject *tstate_handle(void)
{
    struct thread *t = sl_local_get(thread_key);

    return t && t->state ? handle_of(&t->interrupt, t->state->thread_id) : Py_NewRef(Py_None);
}

/* Puts the handles of all coroutines that run Python code into a list of new handles, as many as it has room for; new
 * ones are given to coroutines that have none. Returns how many coroutines there are. Python code does not run here, so
 * the GIL is held all the time and no coroutine can end. */
static Py_ssize_t list_handles(PyObject *list)
{
    Py_ssize_t count = 0;

    pthread_mutex_lock(&threads_lock);
    for (struct thread *t = threads; t; t = t->next) {
        if (!t->state || !t->runs)
            continue;
        if (count < PyList_GET_SIZE(list))
            handle_put(list, count, &t->interrupt, t->state->thread_id);
        count++;
    }
    pthread_mutex_unlock(&threads_lock);
    return count;
}

/* Whether threading knows this coroutine under that identity: it runs Python code, and is not the main one. */
static bool is_thread(const struct thread *t, unsigned long ident)
{
    return t && t->state && t->runs && !t->is_main && t->state->thread_id == ident;
}

/* Returns the handle of the coroutine with that identity as a new reference, None if there is none. */
static PyObject *find_handle(unsigned long ident)
{
    struct thread *t = sl_local_get(thread_key);
    PyObject *handle = Py_None;

    if (is_thread(t, ident))
        return handle_of(&t->interrupt, ident);
    pthread_mutex_lock(&threads_lock);
    for (t = threads; t; t = t->next)
        if (is_thread(t, ident))
            handle = handle_of(&t->interrupt, ident);
    pthread_mutex_unlock(&threads_lock);
    return handle == Py_None ? Py_NewRef(handle) : handle;
}

PyObject *tstate_handles(void)
{
    PyObject *list = PyList_New(0);
    Py_ssize_t count = list ? list_handles(list) : -1;

    while (list && count > PyList_GET_SIZE(list)) { /* others may begin while handles are made */
        Py_SETREF(list, handle_new_list(count));
        count = list ? list_handles(list) : -1;
    }
    if (list && PyList_SetSlice(list, count, PyList_GET_SIZE(list), NULL) < 0)
        Py_CLEAR(list);
    return list;
}

int tstate_init_types(void)
{
    static const struct thread_table_source source = {tstate_handles, find_handle};

    if (handle_init_type(thread_reach) < 0 || thread_table_init(&source) < 0 || trace_hooks_init() < 0 ||
        fork_section_init() < 0)
        return -1;
    return interrupt_init_types(tstate_interrupt);
}

/* Says nothing where no request was served, as in a check. CPython adds states at the head of its list, and removes
 * them with the GIL held, so this may walk it. */
void tstate_log_counts(void)
{
    PyThreadState *state = PyInterpreterState_ThreadHead(PyInterpreterState_Main());
    size_t all = 0, of_coroutines = 0;

    if (!have_served)
        return;
    for (; state; state = PyThreadState_Next(state))
        all++;
    pthread_mutex_lock(&threads_lock);
    for (struct thread *t = threads; t; t = t->next)
        of_coroutines += t->state && !t->is_main;
    pthread_mutex_unlock(&threads_lock);
    sl_log(NULL, SL_INFO, "wsgi: %zu thread states, %zu of them of coroutines", all, of_coroutines);
}
