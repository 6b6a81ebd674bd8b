/*
 * once.c: pthread_once and call_once.
 *
 * libc calls the function, and cleans up if it throws. Who comes meanwhile would wait in libc: a coroutine parks here
 * until the word of the control says that the function is no longer being called. That libc uses these bits for it is
 * checked once, by a look at the word of a control of our own during its call. A function that throws wakes nobody
 * here, so coroutines also look after short pauses. So they do for a call that libc has repeated in a forked child.
 *
 * std::call_once of libstdc++ passes its function in two thread-local variables, which other coroutines overwrite while
 * this one is parked. They are put back before the call.
 */
#include <dlfcn.h>
#include <limits.h>
#include <threads.h>

#include "base/real.h"
#include "libc/runtime/caller.h"
#include "libc/sync/parking.h"

#define ONCE_RUNNING 1
#define ONCE_DONE    2

static int once_word(const pthread_once_t *once)
{
    return __atomic_load_n((const int *)once, __ATOMIC_ACQUIRE);
}

/* ---- libc's control word ---- */

static pthread_once_t probe;
static int probe_word;

static void once_probe(void)
{
    probe_word = once_word(&probe);
}

/* Returns the word of a control whose function is being called: it changes with each fork. 0: libc uses other bits. */
static int once_running_word(void)
{
    probe = PTHREAD_ONCE_INIT;
    real()->pthread_once(&probe, once_probe);
    return probe_word & ONCE_RUNNING && once_word(&probe) & ONCE_DONE ? probe_word : 0;
}

static int once_try(void *once)
{
    int word = once_word(once);

    return word & ONCE_RUNNING && word == once_running_word() ? EBUSY : 0;
}

/* ---- std::call_once ---- */

struct call_once_args {
    void **variables[2]; /* of this OS thread; NULL: none */
    void *values[2];
};

/* Find and save the variables of the object in which the function is, if that is libstdc++. */
static void call_once_save(struct call_once_args *args, void (*function)(void))
{
    static const char *const names[] = {"_ZSt15__once_callable", "_ZSt11__once_call"};
    Dl_info info;
    void *object = NULL;

    *args = (struct call_once_args){0};
    if (dladdr((void *)function, &info))
        object = real()->dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (!object)
        return;
    for (int i = 0; i < 2 && (args->variables[i] = dlsym(object, names[i])); i++)
        args->values[i] = *args->variables[i];
    dlclose(object);
}

static void call_once_restore(const struct call_once_args *args)
{
    for (int i = 0; i < 2 && args->variables[i]; i++)
        *args->variables[i] = args->values[i];
}

/* ---- the calls ---- */

/* Park while somebody else calls the function. */
static void once_await(pthread_once_t *once, void (*function)(void))
{
    struct parking_wait wait = {.lock = once, .try = once_try, .shared = true};
    struct call_once_args args;

    if (once_try(once) == 0 || !park_possible())
        return;
    call_once_save(&args, function);
    parking_wait(&wait);
    call_once_restore(&args);
}

int pthread_once(pthread_once_t *once, void (*function)(void))
{
    int result;

    if (once_word(once) & ONCE_DONE)
        return 0;
    if (coro_self() && caller_kind() == CALLER_OTHER)
        once_await(once, function);
    result = real()->pthread_once(once, function);
    parking_wake(once, INT_MAX);
    return result;
}

void call_once(once_flag *flag, void (*function)(void))
{
    pthread_once((pthread_once_t *)flag, function);
}
