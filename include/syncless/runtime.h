/*
 * runtime.h: the part of the module API for language runtimes that take coroutines for threads.
 *
 * A runtime with its own threads and its own lock (CPython with the GIL) is embedded by making each coroutine one of
 * its threads: sl_runtime makes pthread_self tell them apart, and the hooks of sl_local_create release and take the
 * lock where a coroutine parks. modules/wsgi is the example.
 *
 * A member of struct sl_module is for runtimes only: `command` is a program that an executable of its own
 * (syncless-python) runs in place of the server. It is called once, on the main coroutine, whose waits end with EINTR
 * when a signal handler has run. It returns the exit code; coroutines that still wait then end with the process.
 */
#ifndef SYNCLESS_RUNTIME_H
#define SYNCLESS_RUNTIME_H

#include "../syncless.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What is called for a value that every coroutine may have, sl_local_set. Only called where the value is not NULL; each
 * function is optional. They need not keep errno. */
struct sl_local {
    /* The coroutine is about to give up the OS thread, and has it again. */
    void (*park)(void *value);
    void (*resume)(void *value);

    /* The coroutine is no longer needed, or goes on as another thread. It is then NULL. Called on the coroutine, as the
     * last function; must not wait. Between two uses a coroutine rests in a pool and keeps its value. */
    void (*release)(void *value);

    /* A wait of this coroutine is about to fail because of sl_cancel, with that error. Called on the coroutine. */
    void (*cancelled)(void *value, int error);

    /* Write to fd, as lines of text, what this coroutine is doing: for the log, when it blocks the OS thread for too
     * long. Called in a signal handler that interrupts its code, so everything may be half changed: only what is
     * async-signal-safe may be called, and a fault ends no more than this call. */
    void (*dump_stack)(void *value, int fd);

    /* The worker stops and this coroutine still runs: cancel it in the runtime's own way. Called once, on the loop's
     * stack; the coroutine then has a second. Without this function, or where it returns false, sl_cancel is called
     * with ECANCELED. */
    bool (*cancel)(void *value);

    /* An iteration of the loop is over; it looks for events now and may sleep. Called without a value, on its stack. */
    void (*iteration)(void);

    /* The thread that this coroutine is to the runtime ends. Called on the coroutine, before the destructors of its
     * thread-locals and before release; may wait. Since 4.1. */
    void (*end)(void *value);

    /* The same for the OS threads of the runtime that are no coroutines, and outside of coroutines for the one that
     * calls: called without a value, when the worker is stuck or does not become ready. */
    void (*dump_threads)(int fd);

    /* This coroutine has blocked the OS thread for watchdog-timeout: called then, and once a second until it gives it
     * up, in a signal handler as dump_stack. Returns whether it must end and does not: then the worker is replaced. */
    bool (*blocks)(void *value);

    /* Write to fd, as lines of text, what this coroutine is doing, which waits or is ready to run. Called on the loop's
     * stack, or on another coroutine; must not wait. Since 4.1. */
    void (*dump_parked)(void *value, int fd);

    /* An operator wants to debug what this coroutine does, over the socket fd: returns whether that is possible, and
     * then the socket is the runtime's. Called on the loop's stack; must not wait. The first line that is sent is
     * SL_SESSION. Since 4.1. */
    bool (*debug)(void *value, int fd);

    /* The same for a prompt of the runtime in this process; called without a value. Since 4.1. */
    bool (*console)(int fd);
};

#define SL_SESSION "syncless 1 0\n"

/* Make a key for such values. Returns it, or -ENOSPC (a process has four). */
int sl_local_create(const struct sl_local *hooks);

/* The value of this coroutine, NULL at first, also upon another thread (sl_depart). Outside of a coroutine get returns
 * NULL, and set does nothing. */
void *sl_local_get(int key);
void sl_local_set(int key, void *value);

/* sl_cancel, declared in syncless.h, takes EINTR as well: then waits fail with EINTR and ECANCELED in turns. The
 * runtime looks for the cause of the first; a library that tries again after it gives up after the second.
 *
 * sl_as_main_thread says whether pthread_self, called by the runtime on this coroutine, returns the main thread's
 * identity. A wait that failed with EINTR by sl_cancel sets it and the next wait clears it, since CPython runs signal
 * handlers in the main thread only. */
void sl_as_main_thread(bool on);

/* The same for another coroutine, until its next wait begins. Does nothing if it is away. Since 4.1. */
void sl_make_main_thread(void *coroutine);

/* The time of the request does not run, until that is taken back. Since 4.1. */
void sl_hold(struct sl_request *req, bool on);

/* This coroutine never runs again, and what is on its stack stays: for threads of a runtime that has ended. Without a
 * coroutine the thread ends. Since 4.1. */
void sl_park_for_good(void) __attribute__((noreturn));

/* From now on, or no longer, this coroutine keeps the OS thread, and with it the runtime's lock, while it waits for a
 * pipe or a child. For code that relies on that lock to be alone while it forks: what ends such a wait is the child.
 * Other waits park, since another coroutine may have to end them. Then a new time slice begins. Since 4.1. */
void sl_stay_alone(bool on);

/* The signal by which an operator asks a worker for a prompt. Ignored unless a runtime takes it. Since 4.1. */
#define SL_CONSOLE_SIGNAL (SIGRTMIN + 2)

/* Call fn on the loop's stack after signal signum, which is below 64 and not one of the server's, for the life of the
 * process. Once there is a loop: in start, or later. Since 4.1. */
void sl_on_signal(int signum, void (*fn)(int signum));

/* Tell the server of files that the application was loaded from, absolute paths on lines of their own, up to 48 KB:
 * with reload-on-change it watches them too. "" asks whether it does. Returns 0, -ENOTSUP if it does not, -EAGAIN if
 * it cannot be told now. Since 4.1. */
int sl_watch_files(const char *lines);

/* Register the shared object that holds this address as a runtime whose threads are coroutines: pthread_self tells
 * coroutines apart in it, and its own pthread mutexes and conditions stay real ones, since its lock is handed over by
 * the hooks above. -EINVAL if no object holds the address. */
int sl_runtime(const void *address);

/* Keep size bytes for the runtime at the top of each stack that is allocated from now on; of one size in a process.
 * They lie beside the frames that are used first, so what begins there takes no page of its own. sl_reserved returns
 * those of this coroutine, zeroed at first and kept in the pool, with their size; NULL for one that is older, and
 * outside of coroutines. Since 4.1. */
void sl_reserve(size_t size);
void *sl_reserved(size_t *size);

/* How coroutines that run the runtime's code share the OS thread by time. */
struct sl_preempt {
    /* The coroutine that runs has used up its slice. Called on another OS thread: have the runtime's code let go of its
     * lock as soon as it can, as for a thread that wants the lock. Where the runtime then calls pthread_cond_wait, to
     * see that thread have it, the coroutine lets others run; the call returns even if nobody takes the lock. */
    void (*ask)(void);

    /* Returns whether this coroutine holds the lock, or must not be preempted for another reason. Its code then expects
     * that no other code of the runtime runs, so no call lets others run that does not have to wait. */
    bool (*holds)(void);

    const void *spare[2]; /* NULL: for members of later versions */
};

/* Register these functions; hooks is static. One runtime can. Since 4.1. */
void sl_preempt(const struct sl_preempt *hooks);

/* Threads that the runtime starts by pthread_create are coroutines, if the server is told so. */
struct sl_threads {
    /* Returns whether this one may be a coroutine; start is what its function gets. Called by who starts it. */
    bool (*may)(const void *start);

    /* It begins: called on the coroutine before its function. */
    void (*begin)(void);

    const void *spare[2]; /* NULL: for members of later versions */
};

/* Register these functions; hooks is static. One runtime can. Since 4.1. */
void sl_threads(const struct sl_threads *hooks);

/* Start a detached OS thread of the runtime's own, which gets no signals and is no danger to children that the process
 * forks. stack is in bytes. Returns 0 or a negative errno value. Since 4.1. */
int sl_thread_start(void *(*fn)(void *arg), void *arg, size_t stack);

/* Have calls of functions from shared objects go to others: those that are loaded, and those that will be. The table
 * ends with a row whose name is NULL, and stays valid; there can be one. Since 4.1. */
struct sl_redirect {
    const char *name; /* of the function */
    void *to;         /* the function that is called in its place */
    const void *in;   /* an address in an object: of all but this calls are redirected, or if only is set, of this one.
                       * Not of the object in which `to` is */
    bool only;
};
void sl_redirect(const struct sl_redirect *table);

/* This coroutine goes on upon a thread of the pool, to compute there while others run; the park hooks are called. If
 * too many are there it first waits. Until it is back its code is that of an OS thread, with the thread-locals of the
 * coroutine. It comes back, after the resume hooks, by sl_return, or as soon as it calls a function of libc or of this
 * API that waits. sl_depart returns 0, or -EPERM if it stays where it is: it is the main coroutine, or none. sl_return
 * returns whether it was still away. Since 4.1. */
int sl_depart(void);
bool sl_return(void);

/* In a park hook: whether the coroutine waits for something that others do; false if it lets others run, departs, or
 * waits for a disk or a lock. Since 4.1. */
bool sl_waits(void);

/* The server runs in the process of the runtime's own executable. Returns the path by which that was started, which
 * may be a symbolic link, as in a virtualenv; and the path of the program of ours that was started first, such as
 * syncless-python. Both static, and "" in a process that is not the runtime's. Since 4.1. */
const char *sl_runtime_path(void);
const char *sl_program_path(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
