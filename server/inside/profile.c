/*
 * profile.c: where the time of this process goes, by samples: on the CPU, and in the waits of all coroutines.
 *
 * While a profile is made a thread of its own has a clock. For what runs it sends a signal to the loop's thread, whose
 * handler has the language runtime write its stack, as for the watchdog (worker/stack_report.c); the sample counts for
 * the CPU time since the last one. So code in C that holds the GIL is seen too, where it is. For what waits the clock
 * posts to the loop, which looks at all coroutines (profile_waits.c).
 *
 * Both measure what they take, and take fewer samples if that is too much: a hundredth of the time for what runs, a bit
 * more for what waits. The handler puts what it has read into a buffer; samples that are the same one after the other
 * need no more space. Nobody ends a profile if syncless-ctl is killed, so it ends by itself when nobody asks for it any
 * more.
 */
#include "inside/profile.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/own.h"
#include "base/real.h"
#include "base/thread.h"
#include "coro/fault.h"
#include "http/request/request.h"
#include "http/session.h"
#include "inside/profile_stacks.h"
#include "inside/profile_waits.h"
#include "log/log.h"
#include "wait/wait.h"

#define SECOND      INT64_C(1000000000)
#define LASTS       (5 * SECOND)  /* nanoseconds without a question */
#define BUFFER_SIZE (1 << 20)     /* bytes of samples that the loop has not seen yet */
#define MAX_DUMP    32768         /* bytes of a stack */
#define SHARE       100           /* of which one part may be used for samples of what runs, */
#define WAITS_SHARE 66            /* and for those of what waits */
#define STACK_SIZE  (64 * 1024)   /* bytes, of the thread */
#define MIN_PAUSE   INT64_C(1000) /* nanoseconds between two samples */

/* A sample of what ran, in the buffer. */
struct sample {
    int64_t time; /* CPU time, nanoseconds */
    bool in_loop; /* no coroutine ran */
    uint32_t size;
    char dump[];
};

static struct {
    void (*ask)(void);
    uint64_t id;      /* 0: none is made */
    int64_t interval; /* nanoseconds between two samples */
    char prefix[QUESTION_SIZE];
    _Atomic int64_t end; /* CLOCK_MONOTONIC ns when it ends by itself; 0: it has */
    atomic_bool has_thread;
    atomic_bool tick_comes;                   /* the loop is to look */
    _Atomic int64_t tick_after, signal_after; /* CLOCK_MONOTONIC ns before which no sample is taken */
    int64_t ticked;                           /* of the last look */
    clockid_t cpu;                            /* the CPU time of the loop's thread */

    /* the handler's and the loop's */
    char *buffer; /* owned, mapped */
    size_t used;
    struct sample *last; /* in the buffer, or NULL */
    volatile bool reading;
    int64_t cpu_sampled; /* CPU time at the last sample */
    int dump_fd;
} profile = {.dump_fd = -1};

void profile_init(void (*ask)(void))
{
    profile.ask = ask;
}

static int64_t loop_cpu_time(void)
{
    struct timespec time = {0};

    clock_gettime(profile.cpu, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static bool is_wanted(const struct coro *co)
{
    const struct request *req;

    if (!*profile.prefix)
        return true;
    req = co ? session_request(co) : NULL;
    return req && req->view.target && !strncmp(req->view.target, profile.prefix, strlen(profile.prefix));
}

/* ---- in the handler ---- */

/* What the handler tells the function that may fault. */
struct dumping {
    const struct coro *co;
    bool wanted;
};

static void dump_running(void *arg)
{
    struct dumping *d = arg;

    d->wanted = is_wanted(d->co);
    if (d->wanted && d->co)
        coro_dump_stack(d->co, profile.dump_fd);
}

/* Returns a place for a sample of that size, or NULL. */
static struct sample *sample_new(size_t size)
{
    size_t whole = (sizeof(struct sample) + size + 15) & ~(size_t)15;
    struct sample *sample;

    if (profile.used + whole > BUFFER_SIZE)
        return NULL;
    sample = (struct sample *)(profile.buffer + profile.used);
    profile.used += whole;
    return sample;
}

static void sample_keep(const char *dump, size_t size, bool in_loop, int64_t time)
{
    struct sample *last = profile.last;

    if (last && last->size == size && last->in_loop == in_loop && !memcmp(last->dump, dump, size)) {
        last->time += time;
        return;
    }
    last = sample_new(size);
    if (!last)
        return;
    *last = (struct sample){.time = time, .in_loop = in_loop, .size = (uint32_t)size};
    memcpy(last->dump, dump, size);
    profile.last = last;
}

static void take_sample(const struct coro *co)
{
    static char dump[MAX_DUMP];
    struct dumping d = {.co = co};
    int64_t cpu = loop_cpu_time();
    ssize_t size = 0;

    if (ftruncate(profile.dump_fd, 0) == 0 && lseek(profile.dump_fd, 0, SEEK_SET) == 0 && fault_try(dump_running, &d))
        size = real()->pread(profile.dump_fd, dump, sizeof(dump), 0);
    if (d.wanted)
        sample_keep(dump, size > 0 ? (size_t)size : 0, !co, cpu - profile.cpu_sampled);
    profile.cpu_sampled = cpu;
}

void profile_on_signal(const struct coro *co)
{
    int64_t began = loop_cpu_time();

    if (!atomic_load(&profile.end) || profile.reading)
        return;
    take_sample(co);
    atomic_store(&profile.signal_after, wait_now() + SHARE * (loop_cpu_time() - began));
}

/* ---- on the loop ---- */

static void read_samples(void)
{
    size_t at = 0;

    profile.reading = true;
    while (at < profile.used) {
        const struct sample *s = (const struct sample *)(profile.buffer + at);
        struct profile_stack *stack =
            profile_stack_find("on CPU", s->dump, s->size, s->in_loop ? "[event loop]" : NULL);

        profile_stack_add(stack, s->time);
        at += (sizeof(*s) + s->size + 15) & ~(size_t)15;
    }
    profile.used = 0;
    profile.last = NULL;
    profile.reading = false;
}

static void profile_tick(void *arg)
{
    int64_t now = wait_now(), cpu = loop_cpu_time();

    atomic_store(&profile.tick_comes, false);
    if (!profile.id)
        return;
    read_samples();
    profile_waits_sample(now - profile.ticked, is_wanted);
    profile.ticked = now;
    atomic_store(&profile.tick_after, wait_now() + WAITS_SHARE * (loop_cpu_time() - cpu));
}

/* ---- the clock ---- */

/* Not quite regular, so that it does not go together with what the application does at regular times. */
static int64_t next_pause(void)
{
    static uint32_t random = 1;
    int64_t part = profile.interval / 4;

    random = random * 1103515245 + 12345;
    return profile.interval - part / 2 + (int64_t)(random >> 16) * part / 65536;
}

static void clock_sleep(int64_t time)
{
    int64_t left = time - wait_now();
    struct timespec pause = {left / SECOND, left % SECOND};

    if (left > 0)
        real()->nanosleep(&pause, NULL);
}

static void clock_tick(int64_t now, int64_t *cpu_before)
{
    int64_t cpu = loop_cpu_time();
    bool sleeps = wait_iteration() & 1;

    if (!sleeps && cpu - *cpu_before > 0 && now >= atomic_load(&profile.signal_after))
        profile.ask();
    *cpu_before = cpu;
    if (now >= atomic_load(&profile.tick_after) && !atomic_exchange(&profile.tick_comes, true))
        wait_post(profile_tick, NULL);
}

static void *profile_run(void *arg)
{
    int64_t next = wait_now(), cpu = 0;

    while (wait_now() < atomic_load(&profile.end)) {
        next += next_pause();
        if (next < wait_now())
            next = wait_now() + MIN_PAUSE; /* it has had no CPU */
        clock_sleep(next);
        clock_tick(wait_now(), &cpu);
    }
    atomic_store(&profile.has_thread, false);
    return NULL;
}

/* ---- beginning and end ---- */

/* Returns 0 or -errno. */
static int profile_prepare(void)
{
    void *buffer;

    if (profile.buffer)
        return 0;
    if (real()->pthread_getcpuclockid(real()->pthread_self(), &profile.cpu))
        profile.cpu = CLOCK_PROCESS_CPUTIME_ID;
    profile.dump_fd = memfd_create("profile", MFD_CLOEXEC);
    if (profile.dump_fd < 0)
        return -errno;
    own_fd(profile.dump_fd);
    buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED)
        return -errno;
    profile.buffer = buffer;
    return 0;
}

static void profile_end(void)
{
    profile.id = 0;
    atomic_store(&profile.end, 0);
    profile_stacks_clear();
    profile_waits_clear();
    profile.used = 0;
    profile.last = NULL;
}

static void profile_begin(const struct question *q)
{
    int err = profile_prepare();

    profile_end();
    coro_clock();
    profile.id = q->profile;
    profile.interval = SECOND / q->rate;
    strcpy(profile.prefix, q->prefix);
    profile.ticked = wait_now();
    profile.cpu_sampled = err ? 0 : loop_cpu_time();
    atomic_store(&profile.end, wait_now() + LASTS);
    if (!err && !atomic_exchange(&profile.has_thread, true)) {
        err = thread_start(profile_run, NULL, STACK_SIZE);
        if (err)
            atomic_store(&profile.has_thread, false);
    }
    if (!err)
        return;
    log_warn("cannot make a profile: %s", strerror(-err));
    profile_end();
}

void profile_answer(const struct question *q, struct text *out)
{
    int64_t now = wait_now();

    if (profile.id != q->profile) {
        if (profile.id && now < atomic_load(&profile.end))
            text_add(out, PROFILE_BUSY, strlen(PROFILE_BUSY));
        else if (q->rate)
            profile_begin(q);
        return;
    }
    read_samples();
    profile_waits_settle();
    if (profile_stacks_write(out))
        profile_waits_clear();
    if (q->rate)
        atomic_store(&profile.end, now + LASTS);
    else
        profile_end();
}
