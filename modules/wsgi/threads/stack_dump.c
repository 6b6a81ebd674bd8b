/*
 * stack_dump.c: the Python stack of a thread that does not give up the GIL, from a signal handler.
 *
 * CPython has a function for this, which only reads memory and makes system calls; faulthandler is built on it. Up to
 * 3.11 it is exported, and since 3.15 by another name. Between these we reach it by faulthandler's public register():
 * we register a signal, take the handler that was installed, remove it and call it ourselves. Either way pointers are
 * followed that the interrupted code may be changing, and the dump may fault, for which the caller is prepared. After
 * such a fault faulthandler's handler writes nothing any more, so we prefer the function where it is exported.
 */
#include "threads/stack_dump.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#define DUMP_SIGNAL (SIGRTMAX - 2) /* registered, but never sent */

static void (*dump)(int fd, PyThreadState *state);                 /* of 3.11 */
static const char *(*dump_unstable)(int fd, PyThreadState *state); /* of 3.15; returns NULL or what is wrong */
static void (*handler)(int signum);                                /* faulthandler's, used if there is neither */
static int output = -1;                                            /* the file in memory that handler writes to */

/* faulthandler.register(DUMP_SIGNAL, file=output, all_threads=False) */
static int register_faulthandler(void)
{
    PyObject *module = PyImport_ImportModule("faulthandler");
    PyObject *function = module ? PyObject_GetAttrString(module, "register") : NULL;
    PyObject *args = Py_BuildValue("(ii)", DUMP_SIGNAL, output),
             *kwargs = Py_BuildValue("{sO}", "all_threads", Py_False);
    PyObject *result = function && args && kwargs ? PyObject_Call(function, args, kwargs) : NULL;

    Py_XDECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int take_faulthandler(void)
{
    struct sigaction before, theirs;

    output = memfd_create("python-stack", MFD_CLOEXEC);
    if (output < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    sigaction(DUMP_SIGNAL, NULL, &before);
    if (register_faulthandler() < 0)
        return -1;
    sigaction(DUMP_SIGNAL, &before, &theirs);
    handler = theirs.sa_handler;
    return 0;
}

int stack_dump_init(void)
{
    dump = (void (*)(int, PyThreadState *))dlsym(RTLD_DEFAULT, "_Py_DumpTraceback");
    dump_unstable = (const char *(*)(int, PyThreadState *))dlsym(RTLD_DEFAULT, "PyUnstable_DumpTraceback");
    return dump || dump_unstable ? 0 : take_faulthandler();
}

void stack_dump_write(PyThreadState *state, int fd)
{
    char buf[4096];
    ssize_t n;
    off_t at = 0;

    if (dump) {
        dump(fd, state);
        return;
    }
    if (dump_unstable) {
        dump_unstable(fd, state);
        return;
    }
    if (!handler || ftruncate(output, 0) < 0)
        return;
    lseek(output, 0, SEEK_SET);
    handler(DUMP_SIGNAL);
    while ((n = pread(output, buf, sizeof(buf), at)) > 0 && write(fd, buf, (size_t)n) == n)
        at += n;
}
