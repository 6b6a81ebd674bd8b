/*
 * stack_dump.c: the Python stack of a thread that does not give up the GIL, from a signal handler.
 *
 * CPython has a function for that, which uses nothing but system calls and looks at memory; faulthandler is made of it.
 * Up to 3.11 libpython exports it. Later on we get at it by faulthandler's public register(): it is asked to handle
 * some signal, and the handler that this installs is taken away again and called by us. Either way it follows pointers
 * that the interrupted code may be changing, and sometimes one leads nowhere: who calls us is ready for that.
 * faulthandler's handler, once left in that way, stays silent from then on, which is why the function itself is used
 * where it can be.
 */
#include "threads/stack_dump.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIGNAL (SIGRTMAX - 2) /* any that nobody uses: it is never sent */

static void (*dump)(int fd, PyThreadState *state); /* _Py_DumpTraceback; NULL: it is not exported */
static void (*handler)(int signum);                /* faulthandler's, if so */
static int said = -1;                              /* a file in memory, into which that writes */

/* faulthandler.register(SIGNAL, file=said, all_threads=False) */
static int ask_faulthandler(void)
{
    PyObject *module = PyImport_ImportModule("faulthandler");
    PyObject *function = module ? PyObject_GetAttrString(module, "register") : NULL;
    PyObject *args = Py_BuildValue("(ii)", SIGNAL, said), *kwargs = Py_BuildValue("{sO}", "all_threads", Py_False);
    PyObject *result = function && args && kwargs ? PyObject_Call(function, args, kwargs) : NULL;

    Py_XDECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int take_handler(void)
{
    struct sigaction before, theirs;

    said = memfd_create("python-stack", MFD_CLOEXEC);
    if (said < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    sigaction(SIGNAL, NULL, &before);
    if (ask_faulthandler() < 0)
        return -1;
    sigaction(SIGNAL, &before, &theirs);
    handler = theirs.sa_handler;
    return 0;
}

int stack_dump_init(void)
{
    dump = (void (*)(int, PyThreadState *))dlsym(RTLD_DEFAULT, "_Py_DumpTraceback");
    return dump ? 0 : take_handler();
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
    if (!handler || ftruncate(said, 0) < 0)
        return;
    lseek(said, 0, SEEK_SET);
    handler(SIGNAL);
    while ((n = pread(said, buf, sizeof(buf), at)) > 0 && write(fd, buf, (size_t)n) == n)
        at += n;
}
