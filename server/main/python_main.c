/*
 * python_main.c: the main function of executables that run a module's command instead of the server: syncless-python.
 *
 * The command runs on a coroutine, the main coroutine, so that every call that blocks parks it while the coroutines it
 * spawned go on. It keeps what belongs to the main thread of a process: the thread's identity, and being interrupted by
 * signals. The process ends when the command returns, whatever else still waits; so do children that it forked, which
 * return from it too.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "libc/libc.h"
#include "log/log.h"
#include "syncless.h"
#include "wait/wait.h"

#define COMMAND_MODULE "wsgi"
#ifndef MODULE_DIR /* where make install puts the modules */
#define MODULE_DIR "/usr/local/lib/syncless"
#endif

#define STACK_SIZE    (16 * 1024 * 1024) /* as generous as a main thread's, and as lazily touched */
#define LIBUV_DECIDES 0                  /* how many threads, for what cannot park */

static struct {
    const struct sl_module *module;
    int argc;
    char **argv;
} command;

/* A build tree keeps its modules beside the executable; an installed one has them in MODULE_DIR. */
static void find_module(char *path, size_t size)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

    if (n > 0) {
        exe[n] = '\0';
        *strrchr(exe, '/') = '\0';
        snprintf(path, size, "%s/modules/" COMMAND_MODULE ".so", exe);
        if (access(path, F_OK) == 0)
            return;
    }
    snprintf(path, size, MODULE_DIR "/" COMMAND_MODULE ".so");
}

static int load(const char *name)
{
    char path[PATH_MAX + sizeof("/modules/" COMMAND_MODULE ".so")];
    void *handle;

    find_module(path, sizeof(path));
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    command.module = handle ? dlsym(handle, "sl_module") : NULL;
    if (command.module && command.module->abi == SL_ABI && command.module->command)
        return 0;
    fprintf(stderr, "%s: cannot use %s: %s\n", name, path,
            !handle ? dlerror() : "it is no module with a command for this ABI, build it again");
    return -ENOEXEC;
}

static void run(void *arg)
{
    wait_set_main(coro_self());
    exit(command.module->command(command.argc, command.argv));
}

/* Make the loop. Standard descriptors that are closed stay so for the program: the loop's do not take their place. */
static void start_loop(void)
{
    bool closed[STDERR_FILENO + 1];

    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        closed[fd] = fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) == fd;
    coro_init(STACK_SIZE);
    wait_init(LIBUV_DECIDES);
    libc_init(LIBC_RESOLVER_CARES);
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (closed[fd])
            close(fd);
}

int main(int argc, char **argv)
{
    command.argc = argc;
    command.argv = argv;
    log_init(LOG_LEVEL_WARN, 0); /* a program's stderr is its own */
    if (load(argv[0]) < 0)
        return EXIT_BOOT;
    start_loop();
    if (!coro_start(run, NULL))
        return EXIT_BOOT;
    wait_run();
    return EXIT_RUNTIME; /* never: run does not return */
}
