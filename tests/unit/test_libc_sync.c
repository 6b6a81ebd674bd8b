/* Semaphores, mutexes, conditions and read-write locks, between coroutines and with OS threads. */
#include "libc_test.h"

#include <dlfcn.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* ---- semaphores ---- */

static void post(long sem)
{
    sem_post((sem_t *)sem);
}

static void semaphore(struct scene *s)
{
    struct timespec until, wrong = {0, 1000000000};
    sem_t sem;

    sem_init(&sem, 0, 1);
    CALL(&s->report, sem_wait(&sem));
    later(s, post, (long)&sem);
    CALL(&s->report, sem_wait(&sem));
    until = in_ms(CLOCK_REALTIME, 20);
    CALL(&s->report, sem_timedwait(&sem, &until));
    CALL(&s->report, sem_timedwait(&sem, &until));
    until = in_ms(CLOCK_MONOTONIC, 20);
    CALL(&s->report, sem_clockwait(&sem, CLOCK_MONOTONIC, &until));
    CALL(&s->report, sem_timedwait(&sem, &wrong));
    CALL(&s->report, sem_clockwait(&sem, 4711, &until));
    until = in_ms(CLOCK_REALTIME, 1000);
    later(s, post, (long)&sem);
    CALL(&s->report, sem_timedwait(&sem, &until));
    until = in_ms(CLOCK_MONOTONIC, 1000);
    later(s, post, (long)&sem);
    CALL(&s->report, sem_clockwait(&sem, CLOCK_MONOTONIC, &until));
    wait_for_helpers(s);
    sem_destroy(&sem);
}
COMPARE(semaphore, 5 * BEATS)

/* Posted by another process, whose sem_post does not know our coroutines. */
static void shared_semaphore(struct scene *s)
{
    sem_t *sem = mmap(NULL, sizeof(*sem), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    pid_t pid;

    sem_init(sem, 1, 0);
    pid = fork();
    if (pid == 0) {
        usleep(LATER_MS * 1000);
        sem_post(sem);
        _exit(0);
    }
    CALL(&s->report, sem_wait(sem));
    waitpid(pid, &status, 0);
    munmap(sem, sizeof(*sem));
}
COMPARE(shared_semaphore, BEATS)

struct ring {
    sem_t sems[3];
    int turns, at;
};

static void pass_on(struct ring *ring, int i)
{
    for (int turn = 0; turn < 1000; turn++) {
        assert_int_equal(sem_wait(&ring->sems[i]), 0);
        ring->turns++;
        assert_int_equal(sem_post(&ring->sems[(i + 1) % 3]), 0);
    }
}

static void pass_0(void *arg)
{
    pass_on(arg, 0);
}

static void pass_1(void *arg)
{
    pass_on(arg, 1);
}

static void *pass_2(void *arg)
{
    pass_on(arg, 2);
    return NULL;
}

/* Two coroutines and an OS thread pass a token around. */
static void test_ring(void **state)
{
    struct ring ring = {0};
    pthread_t thread;

    for (int i = 0; i < 3; i++)
        sem_init(&ring.sems[i], 0, i == 0);
    pthread_create(&thread, NULL, pass_2, &ring);
    RUN(&ring, pass_0, pass_1);
    pthread_join(thread, NULL);
    assert_int_equal(ring.turns, 3000);
}

/* ---- mutexes ---- */

struct guarded {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_rwlock_t rwlock;
    int inside, entered, most;
    bool ready;
    int woken;
};

static void mutex_init(pthread_mutex_t *mutex, int type)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, type);
    pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

static void *stay_inside(void *arg)
{
    struct guarded *g = arg;

    for (int i = 0; i < 20; i++) {
        assert_int_equal(pthread_mutex_lock(&g->mutex), 0);
        g->inside++;
        g->entered++;
        if (g->inside > g->most)
            g->most = g->inside;
        usleep(1000); /* parks while it holds the mutex */
        g->inside--;
        assert_int_equal(pthread_mutex_unlock(&g->mutex), 0);
    }
    return NULL;
}

static void stay(void *arg)
{
    stay_inside(arg);
}

/* Held across a park while other coroutines and an OS thread want it. */
static void contend(int type)
{
    struct guarded g = {0};
    pthread_t thread;

    mutex_init(&g.mutex, type);
    pthread_create(&thread, NULL, stay_inside, &g);
    RUN(&g, stay, stay, stay);
    pthread_join(thread, NULL);
    assert_int_equal(g.entered, 80);
    assert_int_equal(g.most, 1);
    assert_int_equal(pthread_mutex_trylock(&g.mutex), 0); /* free, and owned by nobody */
    assert_int_equal(pthread_mutex_unlock(&g.mutex), 0);
    assert_int_equal(pthread_mutex_destroy(&g.mutex), 0);
}

static void test_contended(void **state)
{
    contend(PTHREAD_MUTEX_NORMAL);
    contend(PTHREAD_MUTEX_RECURSIVE);
    contend(PTHREAD_MUTEX_ERRORCHECK);
    contend(PTHREAD_MUTEX_ADAPTIVE_NP);
}

static void recursive(struct scene *s)
{
    pthread_mutex_t mutex;

    mutex_init(&mutex, PTHREAD_MUTEX_RECURSIVE);
    CALL(&s->report, pthread_mutex_lock(&mutex));
    CALL(&s->report, pthread_mutex_lock(&mutex));
    CALL(&s->report, pthread_mutex_trylock(&mutex));
    CALL(&s->report, pthread_mutex_unlock(&mutex));
    CALL(&s->report, pthread_mutex_unlock(&mutex));
    CALL(&s->report, pthread_mutex_destroy(&mutex));
    CALL(&s->report, pthread_mutex_unlock(&mutex));
    CALL(&s->report, pthread_mutex_unlock(&mutex));
    CALL(&s->report, pthread_mutex_destroy(&mutex));
    mutex_init(&mutex, PTHREAD_MUTEX_ERRORCHECK);
    CALL(&s->report, pthread_mutex_unlock(&mutex));
    CALL(&s->report, pthread_mutex_lock(&mutex));
    CALL(&s->report, pthread_mutex_lock(&mutex));
    CALL(&s->report, pthread_mutex_trylock(&mutex));
    CALL(&s->report, pthread_mutex_unlock(&mutex));
    CALL(&s->report, pthread_mutex_unlock(&mutex));
}
COMPARE(recursive, 0)

static pthread_mutex_t held;
static sem_t has_it, may_go;

static void hold(long unused)
{
    pthread_mutex_lock(&held);
    sem_post(&has_it);
    sem_wait(&may_go);
    pthread_mutex_unlock(&held);
}

static void let_go(long unused)
{
    sem_post(&may_go);
}

static void timed_lock(struct scene *s)
{
    struct timespec until, wrong = {0, -1};

    pthread_mutex_init(&held, NULL);
    sem_init(&has_it, 0, 0);
    sem_init(&may_go, 0, 0);
    CALL(&s->report, pthread_mutex_timedlock(&held, &wrong)); /* not used: the mutex is free */
    CALL(&s->report, pthread_mutex_unlock(&held));
    after(s, 0, hold, 0);
    sem_wait(&has_it);
    CALL(&s->report, pthread_mutex_trylock(&held));
    until = in_ms(CLOCK_REALTIME, 20);
    CALL(&s->report, pthread_mutex_timedlock(&held, &until));
    until = in_ms(CLOCK_MONOTONIC, 20);
    CALL(&s->report, pthread_mutex_clocklock(&held, CLOCK_MONOTONIC, &until));
    CALL(&s->report, pthread_mutex_timedlock(&held, &wrong));
    until = in_ms(CLOCK_MONOTONIC, 5000);
    later(s, let_go, 0);
    CALL(&s->report, pthread_mutex_clocklock(&held, CLOCK_MONOTONIC, &until));
    CALL(&s->report, pthread_mutex_unlock(&held));
    wait_for_helpers(s);
    after(s, 0, hold, 0);
    sem_wait(&has_it);
    until = in_ms(CLOCK_REALTIME, 5000);
    later(s, let_go, 0);
    CALL(&s->report, pthread_mutex_timedlock(&held, &until));
    CALL(&s->report, pthread_mutex_unlock(&held));
    wait_for_helpers(s);
    pthread_mutex_destroy(&held);
}
COMPARE(timed_lock, 3 * BEATS)

/* ---- conditions ---- */

static struct guarded gate;

static void open_gate(long broadcast)
{
    pthread_mutex_lock(&gate.mutex);
    gate.ready = true;
    if (broadcast)
        pthread_cond_broadcast(&gate.cond);
    else
        pthread_cond_signal(&gate.cond);
    pthread_mutex_unlock(&gate.mutex);
}

static int wait_at_gate(clockid_t clock, int milliseconds)
{
    struct timespec until = in_ms(clock, milliseconds);
    int result = 0;

    pthread_mutex_lock(&gate.mutex);
    while (!gate.ready && result == 0) {
        if (clock == CLOCK_REALTIME)
            result = pthread_cond_timedwait(&gate.cond, &gate.mutex, &until);
        else
            result = pthread_cond_clockwait(&gate.cond, &gate.mutex, clock, &until);
    }
    gate.ready = false;
    pthread_mutex_unlock(&gate.mutex);
    return result;
}

static void condition(struct scene *s)
{
    struct timespec wrong = {0, 1000000000}, until;
    pthread_condattr_t attributes;
    int64_t start;

    gate = (struct guarded){.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    CALL(&s->report, wait_at_gate(CLOCK_REALTIME, 20));
    CALL(&s->report, wait_at_gate(CLOCK_MONOTONIC, 20));
    later(s, open_gate, 0);
    CALL(&s->report, wait_at_gate(CLOCK_REALTIME, 1000));
    later(s, open_gate, 1);
    CALL(&s->report, wait_at_gate(CLOCK_MONOTONIC, 1000));
    later(s, open_gate, 1);
    pthread_mutex_lock(&gate.mutex);
    while (!gate.ready)
        CALL(&s->report, pthread_cond_wait(&gate.cond, &gate.mutex));
    CALL(&s->report, pthread_cond_timedwait(&gate.cond, &gate.mutex, &wrong));
    pthread_mutex_unlock(&gate.mutex);
    wait_for_helpers(s);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&gate.cond, &attributes);
    pthread_mutex_lock(&gate.mutex);
    until = in_ms(CLOCK_MONOTONIC, 20); /* would be long ago on the other clock */
    start = now_ms();
    CALL(&s->report, pthread_cond_timedwait(&gate.cond, &gate.mutex, &until));
    report(&s->report, "%d\n", now_ms() - start >= 15);
    CALL(&s->report, pthread_mutex_trylock(&gate.mutex)); /* it has the mutex again */
    pthread_mutex_unlock(&gate.mutex);
    CALL(&s->report, pthread_cond_destroy(&gate.cond));
}
COMPARE(condition, 6 * BEATS)

static void *wait_for_ready(void *arg)
{
    struct guarded *g = arg;

    pthread_mutex_lock(&g->mutex);
    while (!g->ready)
        pthread_cond_wait(&g->cond, &g->mutex);
    g->woken++;
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}

static void wait_ready(void *arg)
{
    wait_for_ready(arg);
}

static void announce(void *arg)
{
    struct guarded *g = arg;

    usleep(10000);
    pthread_mutex_lock(&g->mutex);
    g->ready = true;
    pthread_cond_broadcast(&g->cond);
    pthread_mutex_unlock(&g->mutex);
}

/* One broadcast from a coroutine reaches coroutines and OS threads alike. */
static void test_broadcast(void **state)
{
    struct guarded g = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, wait_for_ready, &g);
    RUN(&g, wait_ready, wait_ready, wait_ready, announce);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(g.woken, 5);
}

/* ---- read-write locks ---- */

static void read_inside(void *arg)
{
    struct guarded *g = arg;

    assert_int_equal(pthread_rwlock_rdlock(&g->rwlock), 0);
    g->inside++;
    if (g->inside > g->most)
        g->most = g->inside;
    usleep(5000);
    g->inside--;
    assert_int_equal(pthread_rwlock_unlock(&g->rwlock), 0);
}

static void write_inside(void *arg)
{
    struct guarded *g = arg;
    struct timespec past = in_ms(CLOCK_REALTIME, -1);

    assert_int_equal(pthread_rwlock_wrlock(&g->rwlock), 0);
    assert_int_equal(g->inside, 0);
    g->entered++;
    usleep(5000);
    assert_int_equal(g->inside, 0);
    assert_int_equal(pthread_rwlock_unlock(&g->rwlock), 0);
    assert_int_equal(pthread_rwlock_rdlock(&g->rwlock), 0);
    assert_int_equal(pthread_rwlock_timedwrlock(&g->rwlock, &past), ETIMEDOUT);
    assert_int_equal(pthread_rwlock_unlock(&g->rwlock), 0);
}

/* The same with a timeout that is far away. */
static void read_timed(void *arg)
{
    struct guarded *g = arg;
    struct timespec until = in_ms(CLOCK_REALTIME, 20000);

    assert_int_equal(pthread_rwlock_timedrdlock(&g->rwlock, &until), 0);
    g->inside++;
    usleep(5000);
    g->inside--;
    assert_int_equal(pthread_rwlock_unlock(&g->rwlock), 0);
}

static void write_timed(void *arg)
{
    struct guarded *g = arg;
    struct timespec until = in_ms(CLOCK_REALTIME, 20000);

    assert_int_equal(pthread_rwlock_timedwrlock(&g->rwlock, &until), 0);
    assert_int_equal(g->inside, 0);
    g->entered++;
    usleep(5000);
    assert_int_equal(g->inside, 0);
    assert_int_equal(pthread_rwlock_unlock(&g->rwlock), 0);
}

/* The first one writes, so that each of the others finds the lock taken; a call that blocked would never get it. */
static void test_rwlock_taken(void **state)
{
    void (*const others[])(void *) = {read_inside, write_inside, read_timed, write_timed};

    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        struct guarded g = {.rwlock = PTHREAD_RWLOCK_INITIALIZER};

        RUN(&g, write_timed, others[i]);
        assert_int_equal(g.entered, 1 + i % 2);
        assert_int_equal(pthread_rwlock_destroy(&g.rwlock), 0);
    }
}

static void test_rwlock(void **state)
{
    struct guarded g = {.rwlock = PTHREAD_RWLOCK_INITIALIZER};

    RUN(&g, read_inside, read_inside, write_inside, read_inside, write_inside, read_inside);
    assert_int_equal(g.entered, 2);
    assert_true(g.most >= 2);
    assert_int_equal(pthread_rwlock_destroy(&g.rwlock), 0);
}

/* ---- threads ---- */

static void *end_later(void *arg)
{
    usleep(LATER_MS * 1000);
    return arg;
}

static void join_thread(struct scene *s)
{
    pthread_t thread;
    void *value = NULL;

    pthread_create(&thread, NULL, end_later, &value);
    CALL(&s->report, pthread_join(thread, &value));
    report(&s->report, "%d\n", value == &value);
    CALL(&s->report, pthread_join(pthread_self(), NULL));
}
COMPARE(join_thread, BEATS)

static sem_t may_end;

static void *end_when_told(void *arg)
{
    sem_wait(&may_end);
    return arg;
}

static void let_end(long unused)
{
    sem_post(&may_end);
}

static void join_with_timeout(struct scene *s)
{
    struct timespec until;
    pthread_t thread;
    void *value = NULL;

    sem_init(&may_end, 0, 0);
    pthread_create(&thread, NULL, end_when_told, &value);
    CALL(&s->report, pthread_tryjoin_np(thread, NULL));
    until = in_ms(CLOCK_REALTIME, 20);
    CALL(&s->report, pthread_timedjoin_np(thread, NULL, &until));
    until = in_ms(CLOCK_MONOTONIC, 20);
    CALL(&s->report, pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until));
    later(s, let_end, 0);
    until = in_ms(CLOCK_MONOTONIC, 5000);
    CALL(&s->report, pthread_clockjoin_np(thread, &value, CLOCK_MONOTONIC, &until));
    report(&s->report, "%d\n", value == &value);
    pthread_create(&thread, NULL, end_later, &value);
    CALL(&s->report, pthread_timedjoin_np(thread, &value, NULL));
    pthread_create(&thread, NULL, end_later, NULL);
    CALL(&s->report, pthread_detach(thread));
    wait_for_helpers(s);
    sem_destroy(&may_end);
}
COMPARE(join_with_timeout, 2 * BEATS)

/* libc would look at the clock again and again, without a pause. */
static void join_with_wrong_time(void *arg)
{
    struct timespec until = in_ms(CLOCK_MONOTONIC, 1000), wrong = {0, 1000000000};
    pthread_t thread;

    pthread_create(&thread, NULL, end_later, NULL);
    assert_int_equal(pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &wrong), EINVAL);
    assert_int_equal(pthread_timedjoin_np(thread, NULL, &wrong), EINVAL);
    assert_int_equal(pthread_clockjoin_np(thread, NULL, 4711, &until), EINVAL);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_join_with_wrong_time(void **state)
{
    RUN(NULL, join_with_wrong_time);
}

/* ---- interruption ---- */

static struct coro *waiter;

static void wait_interrupted(void *arg)
{
    struct guarded *g = arg;
    sem_t sem;

    sem_init(&sem, 0, 0);
    waiter = coro_self();
    errno = 0;
    assert_int_equal(sem_wait(&sem), -1);
    assert_int_equal(errno, EINTR);
    assert_int_equal(pthread_mutex_lock(&g->mutex), 0); /* is not interrupted, as POSIX says */
    assert_int_equal(g->inside, 0);
    pthread_mutex_unlock(&g->mutex);
    waiter = NULL;
}

static void interrupt_it(void *arg)
{
    struct guarded *g = arg;

    pthread_mutex_lock(&g->mutex);
    g->inside++;
    for (int i = 0; i < 5; i++) {
        usleep(2000);
        wait_cancel(waiter, -EINTR);
    }
    g->inside--;
    pthread_mutex_unlock(&g->mutex);
}

static void test_interrupted(void **state)
{
    struct guarded g = {.mutex = PTHREAD_MUTEX_INITIALIZER};

    RUN(&g, wait_interrupted, interrupt_it);
    assert_null(waiter);
}

/* A join goes on after EINTR. It must not leave its caller the identity of the main thread, which is for those that see
 * the EINTR. */
static void join_interrupted(void *arg)
{
    pthread_t thread;

    pthread_create(&thread, NULL, end_when_told, NULL);
    waiter = coro_self();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(coro_self()->as_main);
    wait_cancel(coro_self(), 0);
    waiter = NULL;
}

/* By then the join looks every 32 ms. So mostly the thread ends between two looks, and the cancellation comes before
 * the next one. */
static void interrupt_join(void *arg)
{
    usleep(80000);
    sem_post(&may_end);
    usleep(5000);
    if (waiter)
        wait_cancel(waiter, -EINTR);
}

static void test_join_interrupted(void **state)
{
    sem_init(&may_end, 0, 0);
    for (int i = 0; i < 4; i++)
        RUN(NULL, join_interrupted, interrupt_join);
    sem_destroy(&may_end);
}

/* ---- who calls ---- */

/* A mutex that libuv locks is for the OS thread: it blocks, and the ticker with it. */
static int (*uv_lock)(pthread_mutex_t *);

static void lock_by_libuv(struct scene *s)
{
    sem_init(&has_it, 0, 0);
    sem_init(&may_go, 0, 0);
    pthread_mutex_init(&held, NULL);
    after(s, 0, hold, 0);
    sem_wait(&has_it);
    after(s, 5 * LATER_MS, let_go, 0);
    uv_lock(&held);
    pthread_mutex_unlock(&held);
}

static void test_server_library(void **state)
{
    struct run run = {.fn = lock_by_libuv};

    *(void **)&uv_lock = dlsym(RTLD_DEFAULT, "uv_mutex_lock");
    RUN(&run, run_on_coroutine, tick);
    assert_true(run.beats < 5 * LATER_MS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_semaphore),
        cmocka_unit_test(test_shared_semaphore),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_contended),
        cmocka_unit_test(test_recursive),
        cmocka_unit_test(test_timed_lock),
        cmocka_unit_test(test_condition),
        cmocka_unit_test(test_broadcast),
        cmocka_unit_test(test_rwlock_taken),
        cmocka_unit_test(test_rwlock),
        cmocka_unit_test(test_join_thread),
        cmocka_unit_test(test_join_with_timeout),
        cmocka_unit_test(test_join_with_wrong_time),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_join_interrupted),
        cmocka_unit_test(test_server_library),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
