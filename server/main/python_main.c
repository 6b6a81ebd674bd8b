/*
 * python_main.c: syncless-python, which runs a module's command in place of the server: that of the bridge, which is
 * CPython's own command line.
 *
 * The command runs on a coroutine, the main coroutine: a call that blocks parks it, and the coroutines that it spawned
 * go on. It keeps what belongs to the main thread of a process: the identity of that thread, and interruption by
 * signals. The process ends when the command returns, even if other coroutines still wait. So do forked children, where
 * the command returns as well. In these the coroutine that has forked goes on, with a loop of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/exit_code.h"
#include "conf/options.h"
#include "host/host.h"
#include "host/interpreter.h"
#include "libc/libc.h"
#include "libc/threads/threads.h"
#include "log/log.h"
#include "main/programs.h"
#include "mount/loader.h"
#include "mount/module_file.h"
#include "settings/cpus.h"
#include "settings/module_dirs.h"
#include "syncless.h"
#include "wait/wait.h"

#define COMMAND_MODULE "wsgi"
#define STACK_SIZE     (16 * 1024 * 1024) /* bytes: as large as a main thread's; only touched pages take memory */
#define SLICE_VARIABLE "SYNCLESS_TIME_SLICE"
#define MAX_SLICE      1000 /* milliseconds */

static struct {
    struct sl_module module;
    int argc;
    char **argv;
} command;

/* Go on in an interpreter. Returns only if that is not possible, with the reason in why. */
static void enter_python(const char *const *versions, char **argv, char why[HOST_WHY_SIZE])
{
    struct interpreter_wish wish = {.versions = versions};
    char path[PATH_MAX];

    if (interpreter_find(&wish, path, why))
        host_enter(HOST_PYTHON, path, argv, why);
}

/* Load the module for this interpreter. Returns whether it can be used; if not, why has the reason. */
static bool load_command(struct arena *a, const char *const *versions, char why[HOST_WHY_SIZE])
{
    const char *path = module_file_find(a, module_dirs(), COMMAND_MODULE, host_version());
    char loader_why[LOADER_WHY_SIZE] = "it has no command";

    if (!path)
        snprintf(why, HOST_WHY_SIZE, "%s", module_file_refusal(a, versions));
    else if (loader_open(&command.module, path, loader_why) < 0 || !command.module.command)
        snprintf(why, HOST_WHY_SIZE, "cannot use %s: %s", path, loader_why);
    else
        return true;
    return false;
}

/* Load the command, in an interpreter. Returns whether it can be used, or reports why not. */
static bool prepare_command(char **argv)
{
    char why[HOST_WHY_SIZE] = "";
    const char *const *versions;
    struct arena arena;
    bool ready = false;

    arena_init(&arena);
    versions = module_file_versions(&arena, module_dirs(), COMMAND_MODULE);
    if (!*versions)
        snprintf(why, sizeof(why), "there is no %s-VERSION.so in %s", COMMAND_MODULE, *module_dirs());
    else if (host_entered())
        ready = load_command(&arena, versions, why);
    else
        enter_python(versions, argv, why);
    if (!ready)
        fprintf(stderr, "%s: %s\n", argv[0], why);
    arena_release(&arena);
    return ready;
}

/* Coroutines share the OS thread by time as soon as there is a second one. */
static void watch_slices(void)
{
    const char *text = getenv(SLICE_VARIABLE);
    int64_t milliseconds = WAIT_SLICE / 1000000;

    if (text && (conf_value_duration(text, &milliseconds) || milliseconds > MAX_SLICE)) {
        fprintf(stderr, SLICE_VARIABLE ": expected a time of up to 1s, such as 5ms, or 0: %s\n", text);
        exit(EXIT_BADCONF);
    }
    wait_watch_late(&(struct wait_watching){.slice = milliseconds ? milliseconds * 1000000 : WAIT_SLICE,
                                            .preempt = milliseconds > 0});
}

static void run_command(void *arg)
{
    wait_set_main(coro_self());
    coro_share_tls(true);
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
    wait_init((unsigned)cpus_threads());
    libc_init(RESOLVER_CARES);
    wait_children_go_on();
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (closed[fd])
            close(fd);
}

/* Take our own option, which comes first, out of the arguments. Returns whether it was there. */
static bool take_threads_option(void)
{
    char **argv = command.argv;

    if (command.argc < 2 || strcmp(argv[1], "--coroutine-threads"))
        return false;
    memmove(argv + 1, argv + 2, (size_t)(command.argc - 1) * sizeof(*argv));
    command.argc--;
    return true;
}

int syncless_python(int argc, char **argv)
{
    command.argc = argc;
    command.argv = argv;
    log_init(LOG_LEVEL_WARN, 0); /* stderr is the program's own */
    if (!prepare_command(argv))
        return EXIT_BOOT;
    init_event_loop();
    watch_slices();
    threads_by_coroutines(take_threads_option());
    if (!wait_start(run_command, NULL))
        return EXIT_BOOT;
    wait_run();
    return EXIT_RUNTIME; /* not reached: run_command does not return */
}
