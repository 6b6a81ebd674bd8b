/*
 * stack_dump.c: the Python stacks of threads that do not give up the GIL, from a signal handler.
 *
 * CPython has a function for this, which only reads memory and makes system calls; faulthandler is built on it. Up to
 * 3.11 it is exported, and since 3.15 by another name. Between these we reach it by faulthandler's public register():
 * we register a signal, take the handler that was installed, remove it and call it ourselves. Either way pointers are
 * followed that the interrupted code may be changing, and the dump may fault, for which the caller is prepared. After
 * such a fault faulthandler's handler writes nothing any more, so we prefer the function where it is exported.
 *
 * Of all threads only those are shown that are no coroutines: the others wait. Coroutines are told apart by the lowest
 * bit of their identity (server/libc/runtime/identity.c). faulthandler shows a hundred threads at most, coroutines
 * among them.
 */
#include "threads/stack_dump.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "interp/compat.h"
#include "threads/gil.h"

#define ONE_SIGNAL (SIGRTMAX - 2) /* registered, but never sent; so is the next */
#define ALL_SIGNAL (SIGRTMAX - 3)
#define MAX_OUTPUT 65536 /* bytes of the stacks of all threads */

static const char stack_head[] = "Stack (most recent call first):\n"; /* as CPython's own functions write it */

static void (*dump_3_11)(int fd, PyThreadState *state);            /* exported up to there, or NULL */
static const char *(*dump_unstable)(int fd, PyThreadState *state); /* of 3.15, or NULL; returns what is wrong */
static void (*dump_one)(int signum); /* faulthandler's handler for the calling thread, used if there is neither */
static void (*dump_all)(int signum); /* the same for all threads */
static int output = -1;              /* the file in memory that these write to */

/* ---- faulthandler ---- */

/* faulthandler.register(signum, file=output, all_threads=...) */
static int register_faulthandler(int signum, bool all_threads)
{
    PyObject *module = PyImport_ImportModule("faulthandler");
    PyObject *function = module ? PyObject_GetAttrString(module, "register") : NULL;
    PyObject *args = Py_BuildValue("(ii)", signum, output);
    PyObject *kwargs = Py_BuildValue("{sO}", "all_threads", all_threads ? Py_True : Py_False);
    PyObject *result = function && args && kwargs ? PyObject_Call(function, args, kwargs) : NULL;

    Py_XDECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* Returns the handler, or NULL with an exception. */
static void (*take_handler(int signum, bool all_threads))(int)
{
    struct sigaction before, theirs;

    sigaction(signum, NULL, &before);
    if (register_faulthandler(signum, all_threads) < 0)
        return NULL;
    sigaction(signum, &before, &theirs);
    return theirs.sa_handler;
}

static int take_faulthandler(void)
{
    output = memfd_create("python-stack", MFD_CLOEXEC);
    if (output < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    dump_one = take_handler(ONE_SIGNAL, false);
    dump_all = dump_one ? take_handler(ALL_SIGNAL, true) : NULL;
    return dump_all ? 0 : -1;
}

/* Whether CPython exports its function. */
static bool has_dump(void)
{
    return dump_3_11 || dump_unstable;
}

static void dump_state(int fd, PyThreadState *state)
{
    if (dump_unstable)
        dump_unstable(fd, state);
    else
        dump_3_11(fd, state);
}

int stack_dump_init(void)
{
    dump_3_11 = (void (*)(int, PyThreadState *))dlsym(RTLD_DEFAULT, "_Py_DumpTraceback");
    dump_unstable = (const char *(*)(int, PyThreadState *))dlsym(RTLD_DEFAULT, "PyUnstable_DumpTraceback");
    return has_dump() ? 0 : take_faulthandler();
}

/* Have a handler of faulthandler write to the file in memory. Returns whether it could. */
static bool fill_output(void (*handler)(int), int signum)
{
    if (!handler || ftruncate(output, 0) < 0)
        return false;
    lseek(output, 0, SEEK_SET);
    handler(signum);
    return true;
}

/* ---- the running thread ---- */

static void write_text(int fd, const char *text, size_t size)
{
    ssize_t ignored = write(fd, text, size);

    (void)ignored; /* fd is a file in memory */
}

void stack_dump_write(PyThreadState *state, int fd)
{
    char buf[4096];
    ssize_t n;
    off_t at = 0;

    if (has_dump()) {
        dump_state(fd, state);
        return;
    }
    if (!fill_output(dump_one, ONE_SIGNAL))
        return;
    while ((n = pread(output, buf, sizeof(buf), at)) > 0) {
        write_text(fd, buf, (size_t)n);
        at += n;
    }
}

/* ---- a thread that waits ---- */

static void write_frame(PyFrameObject *frame, int fd)
{
    PyCodeObject *code = PyFrame_GetCode(frame);
    const char *file = PyUnicode_AsUTF8(code->co_filename), *name = PyUnicode_AsUTF8(code->co_name);

    dprintf(fd, "  File \"%s\", line %d in %s\n", file ? file : "???", PyFrame_GetLineNumber(frame),
            name ? name : "???");
    PyErr_Clear(); /* a surrogate in a name */
    Py_DECREF(code);
}

/* With the GIL, by the functions for debuggers. */
static void write_frames(PyThreadState *state, int fd)
{
    PyFrameObject *frame = PyThreadState_GetFrame(state);

    write_text(fd, stack_head, sizeof(stack_head) - 1);
    while (frame) {
        PyFrameObject *back = PyFrame_GetBack(frame);

        write_frame(frame, fd);
        Py_DECREF(frame);
        frame = back;
    }
}

void stack_dump_parked(PyThreadState *state, int fd)
{
    PyGILState_STATE ensured;

    if (has_dump()) {
        dump_state(fd, state);
        return;
    }
    gil_return(); /* an idle coroutine may have kept it */
    ensured = PyGILState_Ensure();
    write_frames(state, fd);
    PyGILState_Release(ensured);
}

/* ---- the other threads ---- */

static bool is_coroutine(unsigned long identity)
{
    return identity & 1;
}

static void write_thread_name(int fd, unsigned long identity, bool holds_gil)
{
    static const char gil[] = " holds the GIL";
    char line[] = "Thread 0x................";

    for (size_t i = 0; i < 16; i++)
        line[sizeof(line) - 2 - i] = "0123456789abcdef"[identity >> 4 * i & 15];
    write_text(fd, line, sizeof(line) - 1);
    if (holds_gil)
        write_text(fd, gil, sizeof(gil) - 1);
    write_text(fd, "\n", 1);
}

static void dump_states(int fd)
{
    PyThreadState *state = PyInterpreterState_ThreadHead(PyInterpreterState_Main());

    for (; state; state = PyThreadState_Next(state)) {
        if (is_coroutine(state->thread_id) || !compat_has_frame(state))
            continue;
        write_thread_name(fd, state->thread_id, compat_holder(state) == state);
        dump_state(fd, state);
    }
}

/* Returns the part of faulthandler's output that is about one thread: from its head line up to the next one's. */
static size_t section_size(const char *text)
{
    const char *end = strstr(text, "\n\n");

    return end ? (size_t)(end + 2 - text) : strlen(text);
}

static bool section_is_wanted(const char *text, size_t size)
{
    const char *identity = memmem(text, size, "hread 0x", 8), *frame = memmem(text, size, "  File ", 7);

    return identity && frame && !is_coroutine(strtoul(identity + 6, NULL, 16));
}

/* Copy the sections of threads that are no coroutines. */
static void copy_sections(int fd)
{
    static char text[MAX_OUTPUT];
    ssize_t n = pread(output, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    for (const char *at = text; *at;) {
        size_t size = section_size(at);

        if (section_is_wanted(at, size))
            write_text(fd, at, size);
        at += size;
    }
}

void stack_dump_threads(int fd)
{
    if (!Py_IsInitialized())
        return;
    if (has_dump())
        dump_states(fd);
    else if (fill_output(dump_all, ALL_SIGNAL))
        copy_sections(fd);
}
