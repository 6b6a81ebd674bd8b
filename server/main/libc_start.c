/*
 * libc_start.c: the first function of a process, in which a Python interpreter becomes one of our programs.
 *
 * The first code of every executable calls __libc_start_main with its main function. libsyncless.so is searched before
 * libc, so the call comes here. In a process that host_enter has started, libc gets the main function of our program in
 * place of the interpreter's. In any other nothing is changed. It is also the last moment before an application can
 * load objects, which coroutines have thread-locals of.
 */
#include <dlfcn.h>

#include "host/host.h"
#include "libc/tls/tls.h"
#include "main/programs.h"

typedef int main_fn(int argc, char **argv, char **envp);
typedef int start_fn(main_fn *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                     void (*loader_fini)(void), void *stack_end);

PROGRAM_EXPORT start_fn __libc_start_main;

static int run_server(int argc, char **argv, char **envp)
{
    return syncless_server(argc, argv);
}

static int run_python(int argc, char **argv, char **envp)
{
    return syncless_python(argc, argv);
}

int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end)
{
    start_fn *next = (start_fn *)dlsym(RTLD_NEXT, "__libc_start_main");

    tls_start();
    switch (host_arrive(argv + argc + 1)) {
    case HOST_SERVER:
        main = run_server;
        break;
    case HOST_PYTHON:
        main = run_python;
        break;
    case HOST_NONE:
        break;
    }
    return next(main, argc, argv, init, fini, loader_fini, stack_end);
}
