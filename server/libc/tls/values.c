/*
 * values.c: pthread keys, and those of C11: a value for each coroutine.
 *
 * The keys are libc's, and so are the values of OS threads. A coroutine has values of its own, each with the generation
 * of the key for which it was set: when a key is deleted, its values are forgotten, and its number may be given out
 * again. A look-up compares that of one entry, by index.
 *
 * CPython keeps the state of the running thread by a key (PyGILState). It is one like any other: since each coroutine
 * has a state, each finds its own.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#include "base/array.h"
#include "base/real.h"
#include "libc/tls/tls.h"

#define FIRST_COUNT 16 /* keys for which the first table has room */

struct key {
    void (*destructor)(void *value); /* or NULL */
    unsigned generation;             /* odd while the key exists and coroutines have values of their own; never 0 */
};

struct tls_value {
    void *value;
    unsigned generation; /* of the key; 0: not set */
};

struct tls_values {
    struct tls_values *older; /* the table before it grew, which a signal handler may have interrupted; owned */
    size_t count;
    struct tls_value value[]; /* by key */
};

static struct key keys[PTHREAD_KEYS_MAX];
static bool started; /* keys that are made from now on are those of coroutines too */

void values_start(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        keys[i].generation = 2;
    started = true;
}

/* ---- keys ---- */

static bool key_is_ours(pthread_key_t key)
{
    return key < PTHREAD_KEYS_MAX && keys[key].generation % 2;
}

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *value))
{
    int error = real()->pthread_key_create(key, destructor);

    if (error || !started || *key >= PTHREAD_KEYS_MAX)
        return error;
    keys[*key].destructor = destructor;
    keys[*key].generation++;
    return 0;
}

int pthread_key_delete(pthread_key_t key)
{
    if (key_is_ours(key))
        keys[key].generation++;
    return real()->pthread_key_delete(key);
}

/* ---- values ---- */

/* The value is not in the table of the coroutine. */
static __attribute__((noinline)) void *value_unset(const struct coro *co, pthread_key_t key)
{
    return co && !co->tls.of_thread && key_is_ours(key) ? NULL : real()->pthread_getspecific(key);
}

void *pthread_getspecific(pthread_key_t key)
{
    const struct coro *co = coro_thread();
    const struct tls_values *values = co ? co->tls.values : NULL;

    if (values && key < values->count && values->value[key].generation == keys[key].generation)
        return values->value[key].value;
    return value_unset(co, key);
}

/* Returns a table with room for a key, or NULL. */
static struct tls_values *values_reserve(struct coro_tls *tls, pthread_key_t key)
{
    struct tls_values *values = tls->values, *grown;
    size_t count = values ? values->count : FIRST_COUNT;

    if (values && key < count)
        return values;
    while (count <= key)
        count *= 2;
    grown = calloc(1, sizeof(*grown) + count * sizeof(grown->value[0]));
    if (!grown)
        return NULL;
    grown->count = count;
    grown->older = values;
    if (values)
        memcpy(grown->value, values->value, values->count * sizeof(grown->value[0]));
    tls->values = grown;
    return grown;
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
    struct coro *co = coro_thread();
    struct tls_values *values;

    if (!co || co->tls.of_thread || !key_is_ours(key))
        return real()->pthread_setspecific(key, value);
    values = values_reserve(&co->tls, key);
    if (!values)
        return ENOMEM;
    values->value[key] = (struct tls_value){(void *)value, keys[key].generation};
    return 0;
}

/* ---- C11 ---- */

int tss_create(tss_t *key, tss_dtor_t destructor)
{
    return pthread_key_create(key, destructor) ? thrd_error : thrd_success;
}

void tss_delete(tss_t key)
{
    pthread_key_delete(key);
}

void *tss_get(tss_t key)
{
    return pthread_getspecific(key);
}

int tss_set(tss_t key, void *value)
{
    return pthread_setspecific(key, value) ? thrd_error : thrd_success;
}

/* ---- the end ---- */

/* Take the value of a key, and call its destructor. Returns whether it had one. */
static bool value_end(struct tls_values *values, pthread_key_t key)
{
    struct tls_value value = values->value[key];

    if (!value.value || value.generation != keys[key].generation || !keys[key].destructor)
        return false;
    values->value[key].value = NULL;
    keys[key].destructor(value.value);
    return true;
}

/* Whether a destructor was called. These may set values, and so replace the table. */
static bool values_end_once(struct coro_tls *tls)
{
    bool any = false;

    for (pthread_key_t key = 0; tls->values && key < tls->values->count; key++)
        any |= value_end(tls->values, key);
    return any;
}

void values_end(struct coro_tls *tls)
{
    struct tls_values *values, *older;

    for (int round = 0; round < PTHREAD_DESTRUCTOR_ITERATIONS && values_end_once(tls); round++)
        ;
    values = tls->values;
    tls->values = NULL;
    for (; values; values = older) {
        older = values->older;
        free(values);
    }
}
