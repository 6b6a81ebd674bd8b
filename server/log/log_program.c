/*
 * log_program.c: programs that take a log, as the configuration has them: `|COMMAND`.
 *
 * The master starts the command by the shell and keeps both ends of its pipe. So nothing is lost when the program ends:
 * the writers notice nothing, and the next one goes on with the same pipe. It leads a process group of its own, since
 * Ctrl-C in a terminal must not end it before the last lines. When nobody writes any more, it reads the end of its
 * input.
 */
#include "log/log_program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/real.h"
#include "log/log.h"

#define RESTART_AFTER INT64_C(1000000000) /* nanoseconds */
#define CHECK_EVERY   10                  /* milliseconds */

extern char **environ;

struct program {
    struct list link; /* in programs */
    char *command;    /* owned */
    int ends[2];      /* owned; of its pipe */
    pid_t pid;        /* 0: it does not run */
    int64_t due;      /* CLOCK_MONOTONIC nanoseconds at which it is started again */
    bool used;
};

static struct list programs = LIST_INIT(programs);

static struct program *program_of(struct list *node)
{
    return list_entry(node, struct program, link);
}

static int64_t monotonic_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Returns 0 or a positive errno. */
static int program_start(struct program *p)
{
    char *argv[] = {"sh", "-c", p->command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t signals;
    int err;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_adddup2(&actions, p->ends[0], STDIN_FILENO);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attr, 0);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attr, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attr, &signals);
    err = posix_spawn(&p->pid, "/bin/sh", &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    if (err)
        p->pid = 0;
    return err;
}

static void program_close(struct program *p)
{
    real()->close(p->ends[0]);
    real()->close(p->ends[1]);
}

static void program_free(struct program *p)
{
    program_close(p);
    list_remove(&p->link);
    free(p->command);
    free(p);
}

static struct program *program_find(const char *command)
{
    struct list *node;

    list_for_each (node, &programs)
        if (!strcmp(program_of(node)->command, command))
            return program_of(node);
    return NULL;
}

/* Returns NULL with errno. */
static struct program *program_new(const char *command)
{
    struct program *p = xcalloc(1, sizeof(*p));
    int err;

    if (pipe2(p->ends, O_CLOEXEC) < 0) {
        free(p);
        return NULL;
    }
    p->command = xstrdup(command);
    p->due = INT64_MAX;
    real()->fcntl(p->ends[1], F_SETFL, O_WRONLY | O_NONBLOCK);
    list_push(&programs, &p->link);
    err = program_start(p);
    if (!err)
        return p;
    program_free(p);
    errno = err;
    return NULL;
}

int log_program_open(const char *command)
{
    struct program *p = program_find(command);

    if (!p)
        p = program_new(command);
    if (!p)
        return -1;
    p->used = true;
    return real()->fcntl(p->ends[1], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

void log_programs_unused(void)
{
    struct list *node;

    list_for_each (node, &programs)
        program_of(node)->used = false;
}

void log_programs_close_unused(void)
{
    for (struct list *node = programs.next, *next; node != &programs; node = next) {
        next = node->next;
        if (!program_of(node)->used)
            program_free(program_of(node));
    }
}

bool log_program_on_exit(pid_t pid, int status)
{
    struct list *node;

    list_for_each (node, &programs) {
        struct program *p = program_of(node);

        if (p->pid != pid)
            continue;
        p->pid = 0;
        p->due = monotonic_now() + RESTART_AFTER;
        log_error("the program of a log ended (%s %d): starting it again in a second: %s",
                  WIFEXITED(status) ? "exit code" : "signal",
                  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), p->command);
        return true;
    }
    return false;
}

int64_t log_programs_step(int64_t now)
{
    int64_t next = INT64_MAX;
    struct list *node;

    list_for_each (node, &programs) {
        struct program *p = program_of(node);

        if (p->due <= now) {
            int err = program_start(p);

            p->due = err ? now + RESTART_AFTER : INT64_MAX;
            if (err)
                log_error("cannot start the program of a log: %s: %s", strerror(err), p->command);
        }
        next = min_int64(next, p->due);
    }
    return next;
}

void log_programs_close(void)
{
    struct list *node;

    list_for_each (node, &programs)
        program_close(program_of(node));
}

/* Whether one of the programs runs. */
static bool programs_run(void)
{
    struct list *node;
    bool any = false;

    list_for_each (node, &programs) {
        struct program *p = program_of(node);

        if (p->pid && real()->waitpid(p->pid, NULL, WNOHANG) != 0)
            p->pid = 0;
        any |= p->pid != 0;
    }
    return any;
}

void log_programs_end(int milliseconds)
{
    log_programs_close();
    for (; programs_run() && milliseconds > 0; milliseconds -= CHECK_EVERY)
        real()->nanosleep(&(struct timespec){0, CHECK_EVERY * 1000000}, NULL);
}
