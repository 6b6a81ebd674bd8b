/* futex by syscall(): arguments, times, counts, and coroutines that wait on the same word as OS threads. */
#include "libc_test.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#define WAIT_PRIVATE FUTEX_WAIT_PRIVATE
#define WAKE_PRIVATE FUTEX_WAKE_PRIVATE

static uint32_t word, other;

static long futex(uint32_t *at, int op, uint32_t value, const void *timeout, uint32_t *at2, uint32_t value3)
{
    return syscall(SYS_futex, at, op, value, timeout, at2, value3);
}

/* ---- other calls ---- */

static void passes(struct scene *s)
{
    char *page = (char *)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
    struct timespec pause = {0, LATER_MS * 1000000L}, wrong = {0, -1};
    int ends[2];

    report(&s->report, "%d %d\n", page != MAP_FAILED, syscall(SYS_getpid) == getpid());
    CALL(&s->report, syscall(SYS_munmap, page, 4096));
    CALL(&s->report, syscall(SYS_close, -1));
    CALL(&s->report, syscall(4711));
    CALL(&s->report, syscall(SYS_nanosleep, &pause, NULL));
    CALL(&s->report, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &wrong, NULL));
    CALL(&s->report, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &pause, NULL));
    make_pipe(ends);
    CALL(&s->report, syscall(SYS_write, ends[1], "x", 1));
    CALL(&s->report, syscall(SYS_read, ends[0], (char[4]){0}, 4));
    CALL(&s->report, syscall(SYS_sched_yield));
    close_both(ends);
}
COMPARE(passes, BEATS)

static void write_end(long fd)
{
    syscall(SYS_write, (int)fd, "later", 5);
}

/* Calls that wait for a descriptor park. */
static void waits_for_descriptors(struct scene *s)
{
    char buf[8];
    int ends[2], status;
    pid_t pid;

    make_pipe(ends);
    later(s, write_end, ends[1]);
    CALL(&s->report, syscall(SYS_read, ends[0], buf, sizeof(buf)));
    close_both(ends);
    make_pair(SOCK_STREAM, ends);
    later(s, write_end, ends[1]);
    CALL(&s->report, syscall(SYS_recvfrom, ends[0], buf, sizeof(buf), 0, NULL, NULL));
#ifdef SYS_poll
    later(s, write_end, ends[1]);
    CALL(&s->report, syscall(SYS_poll, (struct pollfd[]){{ends[0], POLLIN, 0}}, 1, 5000));
#endif
    close_both(ends);
    pid = fork();
    if (pid == 0) {
        usleep(LATER_MS * 1000);
        _exit(3);
    }
    report(&s->report, "%d", syscall(SYS_wait4, pid, &status, 0, NULL) == pid);
    report(&s->report, " %d\n", WEXITSTATUS(status));
}
COMPARE(waits_for_descriptors, 3 * BEATS)

/* ---- arguments and times ---- */

static void arguments(struct scene *s)
{
    struct timespec wrong = {0, 1000000000}, before = {-1, 0}, zero = {0, 0};
    uint32_t *nowhere = (uint32_t *)16, *odd = (uint32_t *)((char *)&word + 2);

    word = other = 7;
    CALL(&s->report, futex(&word, WAIT_PRIVATE, 8, NULL, NULL, 0));
    CALL(&s->report, futex(&word, FUTEX_WAIT, 8, NULL, NULL, 0));
    CALL(&s->report, futex(&word, WAIT_PRIVATE, 7, &wrong, NULL, 0));
    CALL(&s->report, futex(&word, WAIT_PRIVATE, 7, &before, NULL, 0));
    CALL(&s->report, futex(&word, WAIT_PRIVATE, 7, &zero, NULL, 0));
    CALL(&s->report, futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 7, &zero, NULL, 0));
    CALL(&s->report, futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 7, &zero, NULL, 1));
    CALL(&s->report, futex(nowhere, WAIT_PRIVATE, 7, &zero, NULL, 0));
    CALL(&s->report, futex(odd, WAIT_PRIVATE, 7, &zero, NULL, 0));
    CALL(&s->report, futex(odd, WAKE_PRIVATE, 1, NULL, NULL, 0));
    CALL(&s->report, futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 0));
    CALL(&s->report, futex(&word, WAKE_PRIVATE, 1, NULL, NULL, 0));
    CALL(&s->report, futex(&word, FUTEX_REQUEUE_PRIVATE, 1, (void *)1, &other, 0));
    CALL(&s->report, futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &other, 8));
    CALL(&s->report, futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &other, 7));
    CALL(&s->report, futex(&word, 99, 1, NULL, NULL, 0));
}
COMPARE(arguments, 0)

/* FUTEX_WAIT takes an interval, FUTEX_WAIT_BITSET a point in time of either clock. */
static void times(struct scene *s)
{
    struct timespec interval = {0, 30000000}, until;
    int64_t start = now_ms();

    word = 7;
    CALL(&s->report, futex(&word, WAIT_PRIVATE, 7, &interval, NULL, 0));
    CALL(&s->report, futex(&word, FUTEX_WAIT, 7, &interval, NULL, 0));
    until = in_ms(CLOCK_MONOTONIC, 30);
    CALL(&s->report, futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 7, &until, NULL, 1));
    until = in_ms(CLOCK_REALTIME, 30);
    CALL(&s->report, futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 7, &until, NULL, 1));
    report(&s->report, "%d\n", now_ms() - start >= 120);
}
COMPARE(times, 20)

/* ---- who wakes ---- */

static void set_and_wake(long op)
{
    __atomic_store_n(&word, 8, __ATOMIC_SEQ_CST);
    futex(&word, (int)op, 1, NULL, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void woken_by_thread(struct scene *s)
{
    struct timespec until;

    word = 7;
    later(s, set_and_wake, WAKE_PRIVATE);
    CALL(&s->report, futex(&word, WAIT_PRIVATE, 7, NULL, NULL, 0));
    word = 7;
    later(s, set_and_wake, FUTEX_WAKE);
    CALL(&s->report, futex(&word, FUTEX_WAIT, 7, NULL, NULL, 0));
    word = 7;
    later(s, set_and_wake, FUTEX_WAKE_BITSET_PRIVATE);
    until = in_ms(CLOCK_REALTIME, 5000);
    CALL(&s->report, futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 7, &until, NULL, 4));
    wait_for_helpers(s);
}
COMPARE(woken_by_thread, 3 * BEATS)

/* Another process, whose call does not come to us. */
static void woken_by_process(struct scene *s)
{
    uint32_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();

    if (pid == 0) {
        usleep(LATER_MS * 1000);
        __atomic_store_n(shared, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, shared, FUTEX_WAKE, 1, NULL, NULL, 0);
        _exit(0);
    }
    CALL(&s->report, futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0));
    waitpid(pid, NULL, 0);
    munmap(shared, 4096);
}
COMPARE(woken_by_process, BEATS)

/* ---- counts ---- */

enum { COROUTINES = 5, THREADS = 4 };

static atomic_int inside, returned;

/* Wait once. inside says that it is about to. */
static void wait_once(uint32_t bits)
{
    atomic_fetch_add(&inside, 1);
    assert_int_equal(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, bits), 0);
    atomic_fetch_add(&returned, 1);
}

static void *wait_in_thread(void *bits)
{
    wait_once((uint32_t)(uintptr_t)bits);
    return NULL;
}

static void wait_on_coroutine(void *bits)
{
    wait_once((uint32_t)(uintptr_t)bits);
}

static void settle(int count)
{
    while (atomic_load(&inside) < count)
        usleep(1000);
    usleep(30000); /* until the threads sleep in the kernel */
}

static void await_returned(int count)
{
    for (int i = 0; i < 2000 && atomic_load(&returned) < count; i++)
        usleep(1000);
    usleep(5000);
    assert_int_equal(returned, count);
}

struct crowd {
    void (*check)(void);
    uintptr_t coroutine_bits, thread_bits;
};

static void lead_crowd(void *arg)
{
    const struct crowd *crowd = arg;
    pthread_t threads[THREADS];

    word = other = 0;
    inside = returned = 0;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, wait_in_thread, (void *)crowd->thread_bits);
    for (int i = 0; i < COROUTINES; i++)
        coro_start(wait_on_coroutine, (void *)crowd->coroutine_bits);
    settle(COROUTINES + THREADS);
    crowd->check();
    assert_int_equal(returned, COROUTINES + THREADS);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void run_crowd(void (*check)(void), uintptr_t coroutine_bits, uintptr_t thread_bits)
{
    struct crowd crowd = {check, coroutine_bits, thread_bits};

    RUN(&crowd, lead_crowd);
}

static void check_wake_counts(void)
{
    assert_int_equal(futex(&other, WAKE_PRIVATE, 10, NULL, NULL, 0), 0);
    assert_int_equal(futex(&word, WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
    await_returned(1);
    assert_int_equal(futex(&word, WAKE_PRIVATE, 3, NULL, NULL, 0), 3);
    await_returned(4);
    assert_int_equal(futex(&word, WAKE_PRIVATE, 0, NULL, NULL, 0), 1); /* so does the kernel */
    await_returned(5);
    assert_int_equal(futex(&word, WAKE_PRIVATE, INT_MAX, NULL, NULL, 0), 4);
    await_returned(9);
    assert_int_equal(futex(&word, WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
}

static void test_wake_counts(void **state)
{
    run_crowd(check_wake_counts, FUTEX_BITSET_MATCH_ANY, FUTEX_BITSET_MATCH_ANY);
    run_crowd(check_wake_counts, FUTEX_BITSET_MATCH_ANY, FUTEX_BITSET_MATCH_ANY); /* the order alternates */
}

static void check_bits(void)
{
    assert_int_equal(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 8), 0);
    assert_int_equal(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 2), COROUTINES);
    await_returned(COROUTINES);
    assert_int_equal(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 4), THREADS);
    await_returned(COROUTINES + THREADS);
}

static void test_bits(void **state)
{
    run_crowd(check_bits, 3, 5);
}

/* Neither coroutines nor threads are passed over for ever. */
static void check_turns(void)
{
    int before = atomic_load(&wait_addr_waiters);

    assert_int_equal(futex(&word, WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
    await_returned(1);
    assert_int_equal(futex(&word, WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
    await_returned(2);
    assert_int_equal(atomic_load(&wait_addr_waiters), before - 1);
    assert_int_equal(futex(&word, WAKE_PRIVATE, INT_MAX, NULL, NULL, 0), 7);
    await_returned(9);
}

static void test_turns(void **state)
{
    run_crowd(check_turns, FUTEX_BITSET_MATCH_ANY, FUTEX_BITSET_MATCH_ANY);
}

static void check_requeue(void)
{
    assert_int_equal(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)INT_MAX, &other, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)6, &other, 0), 7);
    await_returned(1);
    assert_int_equal(futex(&word, FUTEX_REQUEUE_PRIVATE, 1, (void *)INT_MAX, &other, 0), 2);
    await_returned(2);
    assert_int_equal(futex(&word, WAKE_PRIVATE, INT_MAX, NULL, NULL, 0), 0);
    assert_int_equal(futex(&other, WAKE_PRIVATE, 3, NULL, NULL, 0), 3);
    await_returned(5);
    assert_int_equal(futex(&other, WAKE_PRIVATE, INT_MAX, NULL, NULL, 0), 4);
    await_returned(9);
}

static void test_requeue(void **state)
{
    run_crowd(check_requeue, FUTEX_BITSET_MATCH_ANY, FUTEX_BITSET_MATCH_ANY);
}

/* FUTEX_OP without its shift of a negative number. */
static uint32_t wake_op(uint32_t op, uint32_t number, uint32_t cmp, uint32_t than)
{
    return op << 28 | cmp << 24 | number << 12 | than;
}

static void check_wake_op(void)
{
    uint32_t add = wake_op(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0);

    /* The operation is on other; the waiters are on word, as the second address. */
    assert_int_equal(futex(&other, FUTEX_WAKE_OP_PRIVATE, 1, (void *)2, &word, add), 2);
    assert_int_equal(word, 5);
    await_returned(2);
    assert_int_equal(futex(&other, FUTEX_WAKE_OP_PRIVATE, 1, (void *)2, &word, add), 0);
    assert_int_equal(word, 10);
    assert_int_equal(futex(&word, FUTEX_WAKE_OP_PRIVATE, 3, (void *)1, &other,
                           wake_op(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_GT, 0)),
                     3);
    assert_int_equal(other, 16);
    await_returned(5);
    assert_int_equal(futex(&word, WAKE_PRIVATE, INT_MAX, NULL, NULL, 0), 4);
    await_returned(9);
}

static void test_wake_op(void **state)
{
    run_crowd(check_wake_op, FUTEX_BITSET_MATCH_ANY, FUTEX_BITSET_MATCH_ANY);
}

/* ---- cancellation ---- */

static struct coro *waiter;

/* The first wait fails, the second for the same word goes on: callers try again after an EINTR. */
static void wait_cancelled(void *arg)
{
    waiter = coro_self();
    word = 0;
    assert_int_equal(futex(&word, WAIT_PRIVATE, 0, NULL, NULL, 0), -1);
    assert_int_equal(errno, EINTR);
    assert_int_equal(futex(&word, WAIT_PRIVATE, 0, NULL, NULL, 0), 0);
    wait_cancel(waiter, 0);
    waiter = NULL;
}

static void cancel_and_wake(void *arg)
{
    usleep(5000);
    wait_cancel(waiter, *(int *)arg);
    usleep(5000);
    assert_int_equal(futex(&word, WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
}

static void test_cancelled(void **state)
{
    int codes[] = {-EINTR, -ECANCELED};

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        RUN(&codes[i], wait_cancelled, cancel_and_wake);
        assert_null(waiter);
    }
}

/* A wake-up that has chosen a coroutine which is cancelled in the same moment is not lost: it counts as woken. */
static void wait_until_woken(void *arg)
{
    waiter = coro_self();
    assert_int_equal(futex(&word, WAIT_PRIVATE, 0, NULL, NULL, 0), 0);
    assert_false(coro_self()->as_main);
    wait_cancel(coro_self(), 0);
}

static void cancel_then_wake(void *arg)
{
    wait_cancel(waiter, -EINTR);
    assert_int_equal(futex(&word, WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
}

static void test_cancelled_and_woken(void **state)
{
    word = 0;
    RUN(NULL, wait_until_woken, cancel_then_wake);
    assert_int_equal(atomic_load(&wait_addr_waiters), 0);
}

/* ---- FUTEX_LOCK_PI ---- */

static uint32_t pi_word;
static int pi_inside, pi_entered;

static void lock_pi_often(void)
{
    for (int i = 0; i < 20; i++) {
        uint32_t none = 0;
        struct timespec until = in_ms(CLOCK_REALTIME, 20000);

        if (!__atomic_compare_exchange_n(&pi_word, &none, (uint32_t)gettid(), false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST))
            assert_int_equal(futex(&pi_word, FUTEX_LOCK_PI_PRIVATE, 0, &until, NULL, 0), 0);
        assert_int_equal(pi_inside++, 0);
        pi_entered++;
        usleep(500);
        pi_inside--;
        none = (uint32_t)gettid();
        if (!__atomic_compare_exchange_n(&pi_word, &none, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            assert_int_equal(futex(&pi_word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    }
}

static void *lock_pi_in_thread(void *arg)
{
    lock_pi_often();
    return NULL;
}

static void lock_pi(void *arg)
{
    lock_pi_often();
}

static void test_lock_pi(void **state)
{
    pthread_t thread;

    pi_word = 0;
    pi_entered = 0;
    pthread_create(&thread, NULL, lock_pi_in_thread, NULL);
    RUN(NULL, lock_pi, lock_pi, lock_pi);
    pthread_join(thread, NULL);
    assert_int_equal(pi_entered, 80);
    assert_int_equal(pi_word, 0);
}

/* ---- the later calls ---- */

struct any_waitv {
    uint64_t value, address;
    uint32_t flags, reserved;
};

static struct any_waitv waitv_word(uint32_t *at, uint32_t expected)
{
    return (struct any_waitv){.value = expected, .address = (uintptr_t)at, .flags = 2 | FUTEX_PRIVATE_FLAG};
}

static void wake_second(long unused)
{
    futex(&other, WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void waitv(struct scene *s)
{
    struct any_waitv list[2] = {waitv_word(&word, 0), waitv_word(&other, 0)};
    struct timespec until = in_ms(CLOCK_MONOTONIC, 20);

    word = other = 0;
    CALL(&s->report, syscall(449, list, 2, 0, &until, CLOCK_MONOTONIC));
    list[1].value = 1;
    CALL(&s->report, syscall(449, list, 2, 0, NULL, CLOCK_MONOTONIC));
    list[1].value = 0;
    CALL(&s->report, syscall(449, list, 0, 0, NULL, CLOCK_MONOTONIC));
    CALL(&s->report, syscall(449, list, 129, 0, NULL, CLOCK_MONOTONIC));
    if (syscall(449, list, 0, 0, NULL, 0) < 0 && errno == ENOSYS)
        return;
    later(s, wake_second, 0);
    CALL(&s->report, syscall(449, list, 2, 0, NULL, CLOCK_MONOTONIC));
    wait_for_helpers(s);
}
COMPARE(waitv, BEATS)

#define FLAGS2 (2L | FUTEX_PRIVATE_FLAG)

static void wake_by_second_call(long unused)
{
    syscall(454, &word, 3L, 1, FLAGS2);
}

static void futex2(struct scene *s)
{
    struct any_waitv list[2] = {waitv_word(&word, 0), waitv_word(&other, 0)};
    struct timespec until = in_ms(CLOCK_REALTIME, 20);

    word = other = 0;
    CALL(&s->report, syscall(455, &word, 0L, 1L, FLAGS2, &until, CLOCK_REALTIME));
    CALL(&s->report, syscall(455, &word, 1L, 1L, FLAGS2, NULL, CLOCK_REALTIME));
    CALL(&s->report, syscall(454, &word, 1L, 0, FLAGS2));
    CALL(&s->report, syscall(456, list, 0, 1, 1));
    if (syscall(454, &word, 1L, 0, FLAGS2) < 0)
        return;
    later(s, wake_by_second_call, 0);
    CALL(&s->report, syscall(455, &word, 0L, 1L, FLAGS2, NULL, CLOCK_MONOTONIC));
    wait_for_helpers(s);
}
COMPARE(futex2, BEATS)

/* ---- races ---- */

#ifdef CORO_VALGRIND
#define SECONDS 1
#else
#define SECONDS 2
#endif

/* The word never changes, so each wait that returns 0 has used one wake-up that was counted. */
static atomic_long woken_waits, woken_calls;
static atomic_int waiting;
static atomic_bool enough;

static void wait_often(unsigned seed)
{
    while (!atomic_load(&enough)) {
        struct timespec short_time = {0, rand_r(&seed) % 200000};
        const struct timespec *timeout = rand_r(&seed) % 2 ? &short_time : NULL;

        if (futex(&word, WAIT_PRIVATE, 0, timeout, NULL, 0) == 0)
            atomic_fetch_add(&woken_waits, 1);
        else
            assert_true(errno == ETIMEDOUT || errno == EINTR);
    }
    atomic_fetch_sub(&waiting, 1);
}

static void *wait_often_in_thread(void *arg)
{
    wait_often((unsigned)(uintptr_t)arg);
    return NULL;
}

static void wait_often_on_coroutine(void *arg)
{
    wait_often((unsigned)(uintptr_t)arg);
}

static void wake_often(unsigned seed)
{
    int64_t end = now_ms() + SECONDS * 1000;

    while (now_ms() < end) {
        int count = 1 + rand_r(&seed) % 3;
        long woken = futex(&word, WAKE_PRIVATE, (uint32_t)count, NULL, NULL, 0);

        assert_in_range(woken, 0, count);
        atomic_fetch_add(&woken_calls, woken);
        if (rand_r(&seed) % 4 == 0)
            sched_yield();
    }
}

static void *wake_often_in_thread(void *arg)
{
    wake_often((unsigned)(uintptr_t)arg);
    return NULL;
}

static void wake_often_on_coroutine(void *arg)
{
    wake_often((unsigned)(uintptr_t)arg);
}

/* Cancels waits now and then. */
static void cancel_often(void *arg)
{
    while (!atomic_load(&enough)) {
        struct list *node;

        usleep(300);
        list_for_each (node, coro_all()) {
            struct coro *co = list_entry(node, struct coro, all);

            if (co->fn == wait_often_on_coroutine)
                wait_cancel(co, rand() % 3 ? 0 : -EINTR);
        }
    }
}

static void finish_race(void *arg)
{
    pthread_t *wakers = arg;

    for (int i = 0; i < 2; i++)
        pthread_join(wakers[i], NULL);
    atomic_store(&enough, true);
    while (atomic_load(&waiting) > 0) {
        atomic_fetch_add(&woken_calls, futex(&word, WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
        usleep(1000);
    }
}

static void test_race(void **state)
{
    pthread_t waiters[3], wakers[2];

    word = 0;
    waiting = 8;
    for (uintptr_t i = 0; i < 3; i++)
        pthread_create(&waiters[i], NULL, wait_often_in_thread, (void *)(i + 1));
    for (uintptr_t i = 0; i < 2; i++)
        pthread_create(&wakers[i], NULL, wake_often_in_thread, (void *)(i + 11));
    for (uintptr_t i = 0; i < 5; i++)
        coro_start(wait_often_on_coroutine, (void *)(i + 21));
    coro_start(wake_often_on_coroutine, (void *)31);
    coro_start(cancel_often, NULL);
    RUN(wakers, finish_race);
    for (int i = 0; i < 3; i++)
        pthread_join(waiters[i], NULL);
    assert_true(woken_waits > 1000);
    assert_int_equal(woken_waits, woken_calls);
    assert_int_equal(atomic_load(&wait_addr_waiters), 0);
}

/* The mutex of Drepper's "Futexes are tricky": 0 free, 1 locked, 2 locked with waiters. */
static uint32_t tricky;
static long counted;

static void tricky_lock(void)
{
    uint32_t c = 0;

    if (__atomic_compare_exchange_n(&tricky, &c, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return;
    while (__atomic_exchange_n(&tricky, 2, __ATOMIC_SEQ_CST) != 0)
        futex(&tricky, WAIT_PRIVATE, 2, NULL, NULL, 0);
}

static void tricky_unlock(void)
{
    if (__atomic_fetch_sub(&tricky, 1, __ATOMIC_SEQ_CST) == 1)
        return;
    __atomic_store_n(&tricky, 0, __ATOMIC_SEQ_CST);
    futex(&tricky, WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void count_inside(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        long before;

        tricky_lock();
        before = counted;
        if (i % 8 == 0)
            usleep(1); /* parks, or lets others run, while it holds the lock */
        counted = before + 1;
        tricky_unlock();
    }
}

#define TRICKY_ROUNDS 2000

static void *count_in_thread(void *arg)
{
    count_inside(TRICKY_ROUNDS);
    return NULL;
}

static void count_on_coroutine(void *arg)
{
    count_inside(TRICKY_ROUNDS);
}

static void test_mutex_of_futexes(void **state)
{
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, count_in_thread, NULL);
    RUN(NULL, count_on_coroutine, count_on_coroutine, count_on_coroutine);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counted, 6 * TRICKY_ROUNDS);
}

/* ---- signal handlers ---- */

static sem_t alarms;

static void post_alarm(int signum)
{
    sem_post(&alarms);
}

/* The handler interrupts the lot and the scheduler in the middle of what they do. */
static void take_alarms(void *arg)
{
    struct sigaction action = {.sa_handler = post_alarm, .sa_flags = SA_RESTART}, before;
    struct itimerval often = {{0, 50}, {0, 50}}, never = {0};

    sem_init(&alarms, 0, 0);
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(sem_wait(&alarms), 0);
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    atomic_store(&enough, true);
}

static uint32_t busy_word;

static void keep_lot_busy(void *arg)
{
    struct timespec moment = {0, 1000};

    while (!atomic_load(&enough)) {
        futex(&busy_word, WAIT_PRIVATE, 0, &moment, NULL, 0);
        futex(&busy_word, WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void test_posts_in_handlers(void **state)
{
    enough = false;
    RUN(NULL, take_alarms, keep_lot_busy, keep_lot_busy, keep_lot_busy);
    sem_destroy(&alarms);
}

/* ---- children ---- */

static void child_scene(void *arg)
{
    struct timespec moment = {0, 1000000};
    pid_t pid;
    int status;

    word = 0;
    pid = fork();
    if (pid == 0) {
        alarm(10);
        _exit(futex(&word, WAIT_PRIVATE, 0, &moment, NULL, 0) == -1 && errno == ETIMEDOUT &&
                      futex(&word, WAKE_PRIVATE, 1, NULL, NULL, 0) == 0
                  ? 7
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void test_in_a_child(void **state)
{
    RUN(NULL, child_scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_waits_for_descriptors),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_woken_by_thread),
        cmocka_unit_test(test_woken_by_process),
        cmocka_unit_test(test_wake_counts),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_requeue),
        cmocka_unit_test(test_wake_op),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_cancelled_and_woken),
        cmocka_unit_test(test_lock_pi),
        cmocka_unit_test(test_waitv),
        cmocka_unit_test(test_futex2),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_mutex_of_futexes),
        cmocka_unit_test(test_posts_in_handlers),
        cmocka_unit_test(test_in_a_child),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
