/* pthread_once, barriers, spin locks, C11, and the less common kinds of mutexes and read-write locks. */
#include "libc_test.h"

#include <limits.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <threads.h>

/* ---- pthread_once and call_once ---- */

static pthread_once_t once;
static once_flag flag;
static int calls, ready;

static void initialise(void)
{
    calls++;
    usleep(LATER_MS * 1000); /* parks, or an OS thread sleeps */
    ready = 1;
}

static void *need_once(void *arg)
{
    if (arg)
        call_once(&flag, initialise);
    else
        assert_int_equal(pthread_once(&once, initialise), 0);
    assert_int_equal(ready, 1);
    return NULL;
}

static void need(void *arg)
{
    need_once(arg);
}

/* Called by coroutines and OS threads at once, whoever is first. */
static void test_once(void **state)
{
    for (int i = 0; i < 12; i++) {
        void *by_c11 = i % 2 ? &flag : NULL;
        pthread_t threads[2];

        once = PTHREAD_ONCE_INIT;
        flag = (once_flag)ONCE_FLAG_INIT;
        calls = ready = 0;
        if (i < 6)
            pthread_create(&threads[0], NULL, need_once, by_c11);
        if (i < 4)
            usleep(5000); /* the thread is first */
        RUN(by_c11, need, need, need);
        if (i < 6)
            pthread_join(threads[0], NULL);
        assert_int_equal(calls, 1);
    }
}

/* A coroutine that waits for another's initialiser does not stop the loop. */
static void call_both(void *arg)
{
    struct run *run = arg;

    need_once(NULL);
    assert_true(atomic_load(&run->beats) >= BEATS);
    run->over = true;
}

static void test_once_parks(void **state)
{
    struct run run = {0};

    once = PTHREAD_ONCE_INIT;
    calls = ready = 0;
    RUN(&run, call_both, call_both, tick);
    assert_int_equal(calls, 1);
}

/* ---- barriers ---- */

#define ROUNDS 200

struct meeting {
    pthread_barrier_t barrier;
    int members;
    atomic_int arrived, serial;
    bool pauses;
};

static void *meet_often(void *arg)
{
    struct meeting *m = arg;

    for (int i = 1; i <= ROUNDS; i++) {
        atomic_fetch_add(&m->arrived, 1);
        if (m->pauses && i % 16 == 0)
            usleep(100);
        if (pthread_barrier_wait(&m->barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            atomic_fetch_add(&m->serial, 1);
        assert_true(atomic_load(&m->arrived) >= i * m->members);
    }
    return NULL;
}

static void meet(void *arg)
{
    meet_often(arg);
}

static void hold_meeting(int coroutines, int threads)
{
    struct meeting m = {.members = coroutines + threads, .pauses = coroutines % 2};
    pthread_t others[4];

    pthread_barrier_init(&m.barrier, NULL, (unsigned)m.members);
    for (int i = 0; i < threads; i++)
        pthread_create(&others[i], NULL, meet_often, &m);
    for (int i = 0; i < coroutines; i++)
        coro_start(meet, &m);
    wait_run();
    for (int i = 0; i < threads; i++)
        pthread_join(others[i], NULL);
    assert_int_equal(m.serial, ROUNDS);
    assert_int_equal(m.arrived, ROUNDS * m.members);
    assert_int_equal(pthread_barrier_destroy(&m.barrier), 0);
    assert_int_equal(atomic_load(&wait_addr_waiters), 0);
}

static void test_barrier(void **state)
{
    hold_meeting(3, 0);
    hold_meeting(1, 1);
    hold_meeting(2, 3);
    hold_meeting(3, 2);
    hold_meeting(1, 0);
}

/* The first to leave destroys it, while the others have not run yet. */
static void leave_and_destroy(void *arg)
{
    struct meeting *m = arg;

    if (pthread_barrier_wait(&m->barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
        assert_int_equal(pthread_barrier_destroy(&m->barrier), 0);
        memset(&m->barrier, 0xff, sizeof(m->barrier));
        m->serial++;
    }
}

static void test_barrier_destroyed(void **state)
{
    for (int i = 0; i < 10; i++) {
        struct meeting m = {0};

        pthread_barrier_init(&m.barrier, NULL, 3);
        RUN(&m, leave_and_destroy, leave_and_destroy, leave_and_destroy);
        assert_int_equal(m.serial, 1);
    }
}

/* The numbers of arrivals start again before they overflow. */
static void test_barrier_numbers(void **state)
{
    struct meeting m = {.members = 3};
    unsigned *words = (unsigned *)&m.barrier, last = UINT_MAX / 2 - UINT_MAX / 2 % 3;

    pthread_barrier_init(&m.barrier, NULL, 3);
    words[0] = words[1] = words[4] = last - 30; /* in, current_round, out: as if so many had come and left */
    RUN(&m, meet, meet, meet);
    assert_int_equal(m.serial, ROUNDS);
    assert_int_equal(words[0], 3 * ROUNDS - 30);
    pthread_barrier_destroy(&m.barrier);
}

/* Shared with another process, whose arrival does not wake the lot. */
static void barrier_of_processes(struct scene *s)
{
    pthread_barrier_t *barrier = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t attributes;
    pid_t pid;
    int sum = 0, status;

    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(barrier, &attributes, 2);
    pid = fork();
    if (pid == 0) {
        usleep(LATER_MS * 1000);
        _exit(pthread_barrier_wait(barrier) != 0);
    }
    sum = pthread_barrier_wait(barrier) != 0;
    waitpid(pid, &status, 0);
    report(&s->report, "%d\n", sum + WEXITSTATUS(status));
    munmap(barrier, 4096);
}
COMPARE(barrier_of_processes, BEATS)

/* ---- spin locks ---- */

static pthread_spinlock_t spin;
static int spinning_inside, spin_entered;

static void *spin_inside(void *arg)
{
    for (int i = 0; i < 50; i++) {
        assert_int_equal(pthread_spin_lock(&spin), 0);
        assert_int_equal(spinning_inside++, 0);
        usleep(200); /* parks with the lock held */
        spinning_inside--;
        spin_entered++;
        assert_int_equal(pthread_spin_unlock(&spin), 0);
    }
    return NULL;
}

static void spin_on_coroutine(void *arg)
{
    spin_inside(arg);
}

static void test_spin(void **state)
{
    pthread_t thread;

    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    pthread_create(&thread, NULL, spin_inside, NULL);
    RUN(NULL, spin_on_coroutine, spin_on_coroutine, spin_on_coroutine);
    pthread_join(thread, NULL);
    assert_int_equal(spin_entered, 200);
    pthread_spin_destroy(&spin);
}

/* A lock of its own making, with sched_yield. */
static atomic_int homemade;

static void lock_homemade(void *arg)
{
    int none = 0;

    while (!atomic_compare_exchange_strong(&homemade, &none, 1)) {
        none = 0;
        if (arg)
            thrd_yield();
        else
            sched_yield();
    }
    usleep(3000);
    atomic_store(&homemade, 0);
}

static void test_yields(void **state)
{
    RUN(NULL, lock_homemade, lock_homemade);
    RUN(&homemade, lock_homemade, lock_homemade);
}

/* ---- C11 ---- */

static mtx_t mtx;
static cnd_t cnd;
static bool told;

static void tell_one(long broadcast)
{
    mtx_lock(&mtx);
    told = true;
    if (broadcast)
        cnd_broadcast(&cnd);
    else
        cnd_signal(&cnd);
    mtx_unlock(&mtx);
}

static void await_told(struct scene *s)
{
    CALL(&s->report, mtx_lock(&mtx));
    while (!told)
        CALL(&s->report, cnd_wait(&cnd, &mtx));
    told = false;
    CALL(&s->report, mtx_unlock(&mtx));
}

static int end_with_7(void *arg)
{
    usleep(LATER_MS * 1000);
    return 7;
}

static void c11(struct scene *s)
{
    struct timespec pause = {0, 20000000}, until;
    thrd_t thread;
    int result = 0;

    CALL(&s->report, mtx_init(&mtx, mtx_timed | mtx_recursive));
    CALL(&s->report, cnd_init(&cnd));
    later(s, tell_one, 0);
    await_told(s);
    later(s, tell_one, 1);
    await_told(s);
    CALL(&s->report, mtx_lock(&mtx));
    CALL(&s->report, mtx_trylock(&mtx));
    CALL(&s->report, mtx_unlock(&mtx));
    until = in_ms(CLOCK_REALTIME, 20);
    CALL(&s->report, cnd_timedwait(&cnd, &mtx, &until));
    CALL(&s->report, mtx_timedlock(&mtx, &until));
    CALL(&s->report, mtx_unlock(&mtx));
    CALL(&s->report, mtx_unlock(&mtx));
    CALL(&s->report, thrd_sleep(&pause, NULL));
    pause.tv_nsec = -1;
    CALL(&s->report, thrd_sleep(&pause, NULL));
    thrd_create(&thread, end_with_7, NULL);
    CALL(&s->report, thrd_join(thread, &result));
    report(&s->report, "%d\n", result);
    wait_for_helpers(s);
    mtx_destroy(&mtx);
    cnd_destroy(&cnd);
}
COMPARE(c11, 5 * BEATS)

static void hold_mtx(void *arg)
{
    mtx_lock(&mtx);
    usleep(5000);
    mtx_unlock(&mtx);
}

static void want_mtx(void *arg)
{
    struct timespec until = in_ms(CLOCK_REALTIME, 2), later_on = in_ms(CLOCK_REALTIME, 20000);

    assert_int_equal(mtx_trylock(&mtx), thrd_busy);
    assert_int_equal(mtx_timedlock(&mtx, &until), thrd_timedout);
    assert_int_equal(mtx_timedlock(&mtx, &later_on), thrd_success);
    mtx_unlock(&mtx);
}

static void test_mtx_held(void **state)
{
    mtx_init(&mtx, mtx_timed);
    RUN(NULL, hold_mtx, want_mtx);
    mtx_destroy(&mtx);
    mtx_init(&mtx, mtx_timed | mtx_recursive);
    RUN(NULL, hold_mtx, want_mtx);
    mtx_destroy(&mtx);
}

/* ---- owners ---- */

struct kind {
    int type, robust, protocol, shared;
};

static pthread_mutex_t *mutex_of_kind(const struct kind *kind)
{
    pthread_mutex_t *mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, kind->type);
    pthread_mutexattr_setrobust(&attributes, kind->robust);
    pthread_mutexattr_setprotocol(&attributes, kind->protocol);
    pthread_mutexattr_setpshared(&attributes, kind->shared);
    assert_int_equal(pthread_mutex_init(mutex, &attributes), 0);
    pthread_mutexattr_destroy(&attributes);
    return mutex;
}

static const struct kind kinds[] = {
    {PTHREAD_MUTEX_NORMAL, 0, PTHREAD_PRIO_INHERIT, 0},
    {PTHREAD_MUTEX_RECURSIVE, 0, PTHREAD_PRIO_INHERIT, 0},
    {PTHREAD_MUTEX_ERRORCHECK, 0, PTHREAD_PRIO_INHERIT, 0},
    {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE, 0},
    {PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE, 0},
    {PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE, PTHREAD_PROCESS_SHARED},
    {PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_INHERIT, PTHREAD_PROCESS_SHARED},
    {PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_INHERIT, 0},
    {PTHREAD_MUTEX_RECURSIVE, 0, PTHREAD_PRIO_NONE, PTHREAD_PROCESS_SHARED},
};

static const struct kind *this_kind;

/* By its owner. A normal one would wait for itself. */
static void owner_locks_again(struct scene *s)
{
    pthread_mutex_t *mutex = mutex_of_kind(this_kind);

    CALL(&s->report, pthread_mutex_lock(mutex));
    if (this_kind->type != PTHREAD_MUTEX_NORMAL)
        CALL(&s->report, pthread_mutex_lock(mutex));
    CALL(&s->report, pthread_mutex_trylock(mutex));
    CALL(&s->report, pthread_mutex_unlock(mutex));
    if (this_kind->type == PTHREAD_MUTEX_RECURSIVE) {
        CALL(&s->report, pthread_mutex_unlock(mutex));
        CALL(&s->report, pthread_mutex_unlock(mutex));
    }
    CALL(&s->report, pthread_mutex_trylock(mutex));
    CALL(&s->report, pthread_mutex_unlock(mutex));
    if (this_kind->type != PTHREAD_MUTEX_NORMAL)
        CALL(&s->report, pthread_mutex_unlock(mutex));
    CALL(&s->report, pthread_mutex_destroy(mutex));
    munmap(mutex, 4096);
}

static pthread_mutex_t *contended;
static int mutex_inside, mutex_entered;

static void *enter_mutex(void *arg)
{
    for (int i = 0; i < 10; i++) {
        int err = pthread_mutex_trylock(contended);

        if (err)
            assert_int_equal(err, EBUSY);
        if (err)
            assert_int_equal(pthread_mutex_lock(contended), 0);
        assert_int_equal(mutex_inside++, 0);
        usleep(500); /* parks while it holds the mutex */
        mutex_inside--;
        mutex_entered++;
        assert_int_equal(pthread_mutex_unlock(contended), 0);
    }
    return NULL;
}

static void enter_on_coroutine(void *arg)
{
    enter_mutex(arg);
}

static void test_owners(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        pthread_t thread;

        this_kind = &kinds[i];
        compare(owner_locks_again, 0);
        contended = mutex_of_kind(this_kind);
        mutex_entered = 0;
        pthread_create(&thread, NULL, enter_mutex, NULL);
        RUN(NULL, enter_on_coroutine, enter_on_coroutine, enter_on_coroutine);
        pthread_join(thread, NULL);
        assert_int_equal(mutex_entered, 40);
        assert_int_equal(pthread_mutex_destroy(contended), 0);
        munmap(contended, 4096);
    }
}

static sem_t owns;

static void *lock_and_end(void *mutex)
{
    pthread_mutex_lock(mutex);
    sem_post(&owns);
    usleep(LATER_MS * 1000);
    return NULL;
}

/* Its owner dies while somebody waits. */
static void owner_dies(struct scene *s)
{
    pthread_mutex_t *mutex = mutex_of_kind(this_kind);
    pthread_t thread;

    sem_init(&owns, 0, 0);
    pthread_create(&thread, NULL, lock_and_end, mutex);
    sem_wait(&owns);
    CALL(&s->report, pthread_mutex_lock(mutex));
    CALL(&s->report, pthread_mutex_consistent(mutex));
    if (this_kind->type == PTHREAD_MUTEX_RECURSIVE) {
        CALL(&s->report, pthread_mutex_lock(mutex));
        CALL(&s->report, pthread_mutex_unlock(mutex));
    }
    CALL(&s->report, pthread_mutex_unlock(mutex));
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, lock_and_end, mutex);
    pthread_join(thread, NULL);
    CALL(&s->report, pthread_mutex_lock(mutex));
    CALL(&s->report, pthread_mutex_unlock(mutex)); /* not made consistent */
    CALL(&s->report, pthread_mutex_lock(mutex));
    munmap(mutex, 4096);
}

static void test_owner_dies(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        this_kind = &kinds[i];
        if (this_kind->robust)
            compare(owner_dies, BEATS);
    }
}

static pthread_cond_t robust_cond = PTHREAD_COND_INITIALIZER;

static void *signal_and_end(void *mutex)
{
    usleep(LATER_MS * 1000);
    pthread_mutex_lock(mutex);
    pthread_cond_signal(&robust_cond);
    return NULL;
}

/* A wait on a condition gets the mutex of one that has died. */
static void condition_of_dead_owner(struct scene *s)
{
    pthread_mutex_t *mutex = mutex_of_kind(&kinds[3]);
    pthread_t thread;

    pthread_mutex_lock(mutex);
    pthread_create(&thread, NULL, signal_and_end, mutex);
    CALL(&s->report, pthread_cond_wait(&robust_cond, mutex));
    CALL(&s->report, pthread_mutex_consistent(mutex));
    CALL(&s->report, pthread_mutex_unlock(mutex));
    pthread_join(thread, NULL);
    munmap(mutex, 4096);
}
COMPARE(condition_of_dead_owner, BEATS)

/* A coroutine ends that holds it. The others, and an OS thread that waits in the kernel, get it one after the other. */
static atomic_int dead_seen, held_again;

static void lock_and_end_life(void *mutex)
{
    assert_int_equal(pthread_mutex_lock(mutex), 0);
    if (this_kind->type == PTHREAD_MUTEX_RECURSIVE)
        assert_int_equal(pthread_mutex_lock(mutex), 0);
    usleep(LATER_MS * 1000);
    coro_end_thread();
}

static void take_from_dead(void *mutex)
{
    int error;

    usleep(1000);
    error = pthread_mutex_lock(mutex);
    if (error == EOWNERDEAD) {
        dead_seen++;
        assert_int_equal(pthread_mutex_consistent(mutex), 0);
    } else {
        assert_int_equal(error, 0);
    }
    held_again++;
    assert_int_equal(pthread_mutex_unlock(mutex), 0);
    coro_end_thread(); /* nothing is held */
}

static void *take_in_thread(void *mutex)
{
    int error = pthread_mutex_lock(mutex);

    if (error == EOWNERDEAD) {
        dead_seen++;
        error = pthread_mutex_consistent(mutex);
    }
    held_again += error == 0;
    pthread_mutex_unlock(mutex);
    return NULL;
}

static void start_taker(void *arg)
{
    pthread_t *thread = ((void **)arg)[1];

    usleep(1000);
    pthread_create(thread, NULL, take_in_thread, ((void **)arg)[0]);
    pthread_detach(*thread);
}

static void test_coroutine_dies(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        pthread_mutex_t *mutex = mutex_of_kind(&kinds[i]);
        pthread_t thread;

        this_kind = &kinds[i];
        if (!this_kind->robust)
            continue;
        dead_seen = held_again = 0;
        RUN(mutex, lock_and_end_life, take_from_dead, take_from_dead);
        assert_int_equal(dead_seen, 1);
        assert_int_equal(held_again, 2);
        if (this_kind->protocol == PTHREAD_PRIO_INHERIT)
            continue;
        coro_start(lock_and_end_life, mutex);
        coro_start(start_taker, ((void *[]){mutex, &thread}));
        wait_run();
        for (int n = 0; held_again < 3 && n < 5000; n++)
            usleep(1000);
        assert_int_equal(held_again, 3);
        assert_int_equal(dead_seen, 2);
        munmap(mutex, 4096);
    }
}

/* ---- read-write locks ---- */

static pthread_rwlock_t rwlock;

static void write_for_a_while(long unused)
{
    pthread_rwlock_wrlock(&rwlock);
    sem_post(&owns);
    usleep(LATER_MS * 1000);
    pthread_rwlock_unlock(&rwlock);
}

static void rwlock_owner(struct scene *s)
{
    struct timespec until = in_ms(CLOCK_REALTIME, 1000), wrong = {0, -1};

    pthread_rwlock_init(&rwlock, NULL);
    CALL(&s->report, pthread_rwlock_wrlock(&rwlock));
    CALL(&s->report, pthread_rwlock_wrlock(&rwlock));
    CALL(&s->report, pthread_rwlock_rdlock(&rwlock));
    CALL(&s->report, pthread_rwlock_timedwrlock(&rwlock, &until));
    CALL(&s->report, pthread_rwlock_clockrdlock(&rwlock, CLOCK_MONOTONIC, &until));
    CALL(&s->report, pthread_rwlock_trywrlock(&rwlock));
    CALL(&s->report, pthread_rwlock_tryrdlock(&rwlock));
    CALL(&s->report, pthread_rwlock_unlock(&rwlock));
    CALL(&s->report, pthread_rwlock_trywrlock(&rwlock));
    CALL(&s->report, pthread_rwlock_wrlock(&rwlock));
    CALL(&s->report, pthread_rwlock_unlock(&rwlock));
    CALL(&s->report, pthread_rwlock_timedrdlock(&rwlock, &wrong));
    CALL(&s->report, pthread_rwlock_clockwrlock(&rwlock, CLOCK_MONOTONIC, &wrong));
    CALL(&s->report, pthread_rwlock_clockwrlock(&rwlock, 4711, &until));
    CALL(&s->report, pthread_rwlock_destroy(&rwlock));
}
COMPARE(rwlock_owner, 0)

static void rwlock_clocks(struct scene *s)
{
    struct timespec until;

    sem_init(&owns, 0, 0);
    pthread_rwlock_init(&rwlock, NULL);
    after(s, 0, write_for_a_while, 0);
    sem_wait(&owns);
    until = in_ms(CLOCK_MONOTONIC, 5000);
    CALL(&s->report, pthread_rwlock_clockwrlock(&rwlock, CLOCK_MONOTONIC, &until));
    CALL(&s->report, pthread_rwlock_unlock(&rwlock));
    after(s, 0, write_for_a_while, 0);
    sem_wait(&owns);
    until = in_ms(CLOCK_REALTIME, 5000);
    CALL(&s->report, pthread_rwlock_clockrdlock(&rwlock, CLOCK_REALTIME, &until));
    until = in_ms(CLOCK_MONOTONIC, 20);
    CALL(&s->report, pthread_rwlock_clockwrlock(&rwlock, CLOCK_MONOTONIC, &until));
    CALL(&s->report, pthread_rwlock_unlock(&rwlock));
    wait_for_helpers(s);
    CALL(&s->report, pthread_rwlock_destroy(&rwlock));
}
COMPARE(rwlock_clocks, 3)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_once_parks),
        cmocka_unit_test(test_barrier),
        cmocka_unit_test(test_barrier_destroyed),
        cmocka_unit_test(test_barrier_numbers),
        cmocka_unit_test(test_barrier_of_processes),
        cmocka_unit_test(test_spin),
        cmocka_unit_test(test_yields),
        cmocka_unit_test(test_c11),
        cmocka_unit_test(test_mtx_held),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_owner_dies),
        cmocka_unit_test(test_coroutine_dies),
        cmocka_unit_test(test_condition_of_dead_owner),
        cmocka_unit_test(test_rwlock_owner),
        cmocka_unit_test(test_rwlock_clocks),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
