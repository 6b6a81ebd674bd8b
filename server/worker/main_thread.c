/*
 * main_thread.c: modules start and stop on a coroutine that is the main thread of the process.
 *
 * An application is loaded then and ends, and that may wait for coroutines: a module may spawn one and wait for its
 * result, and so may a function of atexit. On the loop's stack it would wait for ever. The coroutine has the identity,
 * the thread-locals and the signals of the OS thread (wait_set_main), and a stack as large as that of a main thread,
 * however small those of requests are.
 */
#include "worker/main_thread.h"

#include <errno.h>

#include "wait/wait.h"

#define STACK_SIZE (16 * 1024 * 1024) /* bytes; only touched pages take memory */

struct main_call {
    struct mount *mounts;
    bool stop, done;
    int result;
};

static void main_call_run(void *arg)
{
    struct main_call *call = arg;

    wait_set_main(coro_self());
    coro_share_tls(true);
    if (call->stop)
        mounts_stop(call->mounts);
    else
        call->result = mounts_start(call->mounts);
    coro_share_tls(false);
    wait_set_main(NULL);
    call->done = true;
    wait_stop();
}

static int main_call(struct main_call *call)
{
    coro_set_stack_size(STACK_SIZE);
    if (!wait_start(main_call_run, call))
        return -errno;
    while (!call->done)
        wait_run();
    return call->result;
}

int main_thread_start(struct mount *mounts, size_t stack_size)
{
    int err = main_call(&(struct main_call){.mounts = mounts});

    coro_set_stack_size(stack_size);
    return err;
}

void main_thread_stop(struct mount *mounts)
{
    main_call(&(struct main_call){.mounts = mounts, .stop = true});
}
