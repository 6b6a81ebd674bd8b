/*
 * writer.c: a thread that does what may take long, each time it is kicked.
 *
 * Kicks are counted, and the thread says up to which of them it has worked; both counts are futexes, so that kicking
 * and waiting need no lock, which a crash might have left held. A kick costs a system call only if the thread sleeps.
 * It is no thread of the pool: those may all be waiting for another disk.
 */
#include "log/writer.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/real.h"
#include "base/thread.h"

#define WRITER_STACK (256 * 1024) /* bytes */

struct writer {
    writer_fn *fn;
    void *arg;
    atomic_uint kicks;   /* so often it was kicked; futex, on which the thread sleeps */
    atomic_uint served;  /* the number of kicks before the latest call that has returned; futex */
    atomic_bool asleep;  /* the thread sleeps, or is about to */
    atomic_uint waiting; /* threads in writer_wait */
};

static long writer_futex(atomic_uint *word, int operation, unsigned value, const struct timespec *timeout)
{
    return real()->syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

static void writer_sleep(struct writer *w, unsigned served)
{
    atomic_store(&w->asleep, true);
    while (atomic_load(&w->kicks) == served)
        writer_futex(&w->kicks, FUTEX_WAIT, served, NULL);
    atomic_store(&w->asleep, false);
}

static void *writer_run(void *arg)
{
    struct writer *w = arg;
    unsigned kicks = 0;

    for (;;) {
        writer_sleep(w, kicks);
        kicks = atomic_load(&w->kicks);
        if (!w->fn(w->arg))
            break;
        atomic_store(&w->served, kicks);
        if (atomic_load(&w->waiting) > 0)
            writer_futex(&w->served, FUTEX_WAKE, INT32_MAX, NULL);
    }
    free(w);
    return NULL;
}

struct writer *writer_new(writer_fn *fn, void *arg)
{
    struct writer *w = xcalloc(1, sizeof(*w));

    w->fn = fn;
    w->arg = arg;
    if (thread_start(writer_run, w, WRITER_STACK) == 0)
        return w;
    free(w);
    return NULL;
}

void writer_kick(struct writer *w)
{
    atomic_fetch_add(&w->kicks, 1);
    if (atomic_load(&w->asleep))
        writer_futex(&w->kicks, FUTEX_WAKE, 1, NULL);
}

static int64_t writer_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

bool writer_wait(struct writer *w, int milliseconds)
{
    int64_t end = writer_now() + milliseconds * INT64_C(1000000), left;
    unsigned kicks = atomic_load(&w->kicks), served;

    atomic_fetch_add(&w->waiting, 1);
    while ((int)((served = atomic_load(&w->served)) - kicks) < 0 && (left = end - writer_now()) > 0)
        writer_futex(&w->served, FUTEX_WAIT, served,
                     &(struct timespec){left / INT64_C(1000000000), left % INT64_C(1000000000)});
    atomic_fetch_sub(&w->waiting, 1);
    return (int)(served - kicks) >= 0;
}

void writer_forget(struct writer *w)
{
    free(w);
}
