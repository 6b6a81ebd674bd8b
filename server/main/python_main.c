/*
 * python_main.c: the main function of executables that run a module's command instead of the server: syncless-python.
 *
 * The command runs on a coroutine, the main coroutine: a call that blocks parks it, and the coroutines that it spawned
 * go on. It keeps what belongs to the main thread of a process: the identity of that thread, and interruption by
 * signals. The process ends when the command returns, even if other coroutines still wait. So do forked children, where
 * the command returns as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "libc/libc.h"
#include "log/log.h"
#include "settings/module_dirs.h"
#include "mount/loader.h"
#include "syncless.h"
#include "wait/wait.h"

#define COMMAND_FILE    "wsgi.so"
#define STACK_SIZE      (16 * 1024 * 1024) /* bytes: as large as a main thread's; only touched pages take memory */
#define DEFAULT_THREADS 0                  /* libuv's number of threads, for calls that cannot park */

static struct {
    struct sl_module module;
    int argc;
    char **argv;
} command;

/* Write the path of the module: of the first directory that has it, or of the last one, for the error message. */
static void find_command_module(char *path, size_t size)
{
    for (const char *const *dir = module_dirs(); *dir; dir++) {
        snprintf(path, size, "%s/" COMMAND_FILE, *dir);
        if (!access(path, F_OK))
            return;
    }
}

static int load_command(const char *program)
{
    char path[2 * PATH_MAX];
    char why[LOADER_WHY_SIZE] = "it has no command";

    find_command_module(path, sizeof(path));
    if (loader_open(&command.module, path, why) == 0 && command.module.command)
        return 0;
    fprintf(stderr, "%s: cannot use %s: %s\n", program, path, why);
    return -ENOEXEC;
}

static void run_command(void *arg)
{
    wait_set_main(coro_self());
    exit(command.module.command(command.argc, command.argv));
}

/* Make the event loop. Standard descriptors that are closed stay closed for the program: the loop's descriptors must
 * not take their numbers. */
static void init_event_loop(void)
{
    bool closed[STDERR_FILENO + 1];

    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        closed[fd] = fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) == fd;
    coro_init(STACK_SIZE);
    wait_init(DEFAULT_THREADS);
    libc_init(RESOLVER_CARES);
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (closed[fd])
            close(fd);
}

int main(int argc, char **argv)
{
    command.argc = argc;
    command.argv = argv;
    log_init(LOG_LEVEL_WARN, 0); /* stderr is the program's own */
    if (load_command(argv[0]) < 0)
        return EXIT_BOOT;
    init_event_loop();
    if (!wait_start(run_command, NULL))
        return EXIT_BOOT;
    wait_run();
    return EXIT_RUNTIME; /* not reached: run_command does not return */
}
