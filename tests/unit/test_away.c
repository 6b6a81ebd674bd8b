/* Coroutines that compute upon threads of the pool. */
#include "libc_test.h"

#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/array.h"
#include "base/real.h"

#define TRAVELLERS 12

static pthread_mutex_t recursive, plain = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_key_t key;
static int most_away, turns;
static bool over;

static void init_recursive(void)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &attributes);
}

static int64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void compute_for(int64_t nanoseconds)
{
    int64_t end = cpu_ns() + nanoseconds;

    while (cpu_ns() < end)
        ;
}

static void compute(int milliseconds)
{
    compute_for(milliseconds * INT64_C(1000000));
}

static void ticker(void *arg)
{
    while (!over) {
        turns++;
        most_away = (int)wait_away() > most_away ? (int)wait_away() : most_away;
        usleep(500);
    }
}

/* ---- there and back ---- */

/* Not inlined, or the compiler would take errno for the one of the thread before. */
static __attribute__((noinline)) int error_now(void)
{
    return errno;
}

static void travel(void *arg)
{
    int *left = arg, here = 0;
    struct coro *self = coro_self();
    pid_t home = gettid();
    sigset_t set;

    pthread_setspecific(key, &here);
    errno = 77;
    assert_true(wait_depart());
    assert_int_equal(error_now(), 77);
    assert_null(coro_current);
    assert_ptr_equal(coro_here(), self);
    assert_ptr_equal(coro_thread(), self);
    assert_int_not_equal(gettid(), home);
    assert_ptr_equal(pthread_getspecific(key), &here);
    real()->pthread_sigmask(SIG_BLOCK, NULL, &set);
    assert_int_equal(sigismember(&set, SIGTERM), 1);
    compute(5);
    assert_int_equal(open("/nonexistent", O_RDONLY), -1);
    assert_true(wait_return());
    assert_false(wait_return());
    assert_int_equal(error_now(), ENOENT);
    assert_ptr_equal(coro_self(), self);
    assert_int_equal(gettid(), home);
    if (--*left == 0)
        over = true;
}

static void test_travel(void **state)
{
    int left = TRAVELLERS;

    over = false;
    turns = most_away = 0;
    pthread_key_create(&key, NULL);
    assert_non_null(coro_start(ticker, NULL));
    for (int i = 0; i < TRAVELLERS; i++)
        assert_non_null(coro_start(travel, &left));
    wait_run();
    assert_int_equal(left, 0);
    assert_int_equal(wait_away(), 0);
    assert_in_range(most_away, 2, 3); /* of four threads */
    assert_true(turns > 5);
    pthread_key_delete(key);
}

/* ---- calls that do not wait are made there ---- */

static void stay_there(void *arg)
{
    pthread_spinlock_t spin;
    int ends[2], file = memfd_create("away", 0);
    struct pollfd look = {.fd = file, .events = POLLIN};
    sem_t sem;
    char byte = 1;

    sem_init(&sem, 0, 1);
    pthread_spin_init(&spin, 0);
    assert_true(wait_depart());
    assert_int_equal(pthread_mutex_lock(&plain), 0);
    assert_int_equal(pthread_mutex_unlock(&plain), 0);
    assert_int_equal(sem_wait(&sem), 0);
    assert_int_equal(sem_post(&sem), 0);
    assert_int_equal(pthread_spin_lock(&spin), 0);
    assert_int_equal(pthread_spin_unlock(&spin), 0);
    assert_int_equal(write(file, &byte, 1), 1);
    assert_int_equal(pread(file, &byte, 1, 0), 1);
    assert_int_equal(poll(&look, 1, 0), 1);
    assert_int_equal(sched_yield(), 0);
    assert_true(syscall(SYS_gettid) != 0);
    close(open("/", O_RDONLY));
    close(file);
    assert_null(coro_current);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], &byte, 1), 1); /* a pipe may be full */
    assert_non_null(coro_current);
    assert_false(wait_return());
    close(ends[0]);
    close(ends[1]);
}

static void test_stay_there(void **state)
{
    RUN(NULL, stay_there);
}

/* ---- locks ---- */

static void lock_on_the_way(void *arg)
{
    assert_int_equal(pthread_mutex_lock(&recursive), 0);
    assert_int_equal(pthread_rwlock_wrlock(&rwlock), 0);
    assert_true(wait_depart());
    assert_int_equal(pthread_mutex_lock(&recursive), 0);
    assert_int_equal(pthread_mutex_trylock(&recursive), 0);
    assert_int_equal(pthread_mutex_unlock(&recursive), 0);
    assert_int_equal(pthread_rwlock_unlock(&rwlock), 0);
    assert_int_equal(pthread_mutex_lock(&plain), 0);
    compute(2);
    assert_int_equal(pthread_rwlock_wrlock(&rwlock), 0);
    wait_return();
    assert_int_equal(pthread_mutex_unlock(&plain), 0);
    assert_int_equal(pthread_mutex_unlock(&recursive), 0);
    usleep(1000);
    assert_int_equal(pthread_rwlock_unlock(&rwlock), 0);
    assert_int_equal(pthread_mutex_unlock(&recursive), 0);
}

static void test_locks_on_the_way(void **state)
{
    init_recursive();
    RUN(NULL, lock_on_the_way, lock_on_the_way, lock_on_the_way, lock_on_the_way);
    assert_int_equal(pthread_mutex_destroy(&recursive), 0);
}

static int returns;

static void lock_for_a_little(void *arg)
{
    for (int i = 0; i < 500; i++) {
        if (coro_current)
            assert_true(wait_depart());
        pthread_mutex_lock(&plain);
        pthread_rwlock_wrlock(&rwlock);
        returns += coro_current != NULL;
        compute_for(20000);
        pthread_rwlock_unlock(&rwlock);
        pthread_mutex_unlock(&plain);
        compute_for(20000);
    }
    wait_return();
}

/* Who contends for locks that are held for microseconds stays away, unless the holder's thread does not run for long.
 */
static void test_short_locks(void **state)
{
    returns = 0;
    RUN(NULL, lock_for_a_little, lock_for_a_little);
    assert_in_range(returns, 0, 10);
}

/* ---- nobody waits there ---- */

#define WAITERS 4 /* in each way */

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, robust;
static pthread_rwlock_t held_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_spinlock_t spin;
static sem_t sem;
static uint32_t word;
static int pipe_ends[2], socket_ends[2], hung_up[2];
static bool let_go;
static int waiting, ended;

static void await_mutex(void)
{
    assert_int_equal(pthread_mutex_lock(&held), 0);
    pthread_mutex_unlock(&held);
}

static void await_robust(void)
{
    assert_int_equal(pthread_mutex_lock(&robust), 0);
    pthread_mutex_unlock(&robust);
}

static void await_rwlock(void)
{
    assert_int_equal(pthread_rwlock_rdlock(&held_rwlock), 0);
    pthread_rwlock_unlock(&held_rwlock);
}

static void await_spin(void)
{
    assert_int_equal(pthread_spin_lock(&spin), 0);
    pthread_spin_unlock(&spin);
}

static void await_sem(void)
{
    assert_int_equal(sem_wait(&sem), 0);
}

static void await_cond(void)
{
    pthread_mutex_lock(&plain);
    while (!let_go)
        pthread_cond_wait(&cond, &plain);
    pthread_mutex_unlock(&plain);
}

static void await_barrier(void)
{
    pthread_barrier_wait(&barrier);
}

static void await_futex(void)
{
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
}

static void await_pipe(void)
{
    char byte;

    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
}

static void await_socket(void)
{
    char byte;

    assert_int_equal(recv(socket_ends[0], &byte, 1, 0), 1);
}

static void await_poll(void)
{
    struct pollfd look = {.fd = hung_up[0], .events = POLLIN};

    assert_int_equal(poll(&look, 1, -1), 1);
}

static void await_by_sleeps(void)
{
    while (!__atomic_load_n(&let_go, __ATOMIC_ACQUIRE))
        usleep(100);
}

static void await_by_yields(void)
{
    while (!__atomic_load_n(&let_go, __ATOMIC_ACQUIRE))
        sched_yield();
}

static void await_by_looks(void)
{
    while (!__atomic_load_n(&let_go, __ATOMIC_ACQUIRE))
        poll(NULL, 0, 0);
}

static void (*const awaits[])(void) = {
    await_mutex, await_robust, await_rwlock, await_spin, await_sem,       await_cond,      await_barrier,
    await_futex, await_pipe,   await_socket, await_poll, await_by_sleeps, await_by_yields, await_by_looks,
};

/* A loop that ends early may end there, and a lock be had there that has become free within a moment. */
static bool may_end_there(void (*await)(void))
{
    return await == await_by_yields || await == await_by_looks || await == await_mutex || await == await_rwlock;
}

static void wait_there(void *arg)
{
    struct coro *self = coro_self();
    void (*await)(void) = (void (*)(void))arg;

    assert_true(wait_depart());
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    await();
    if (!may_end_there(await))
        assert_ptr_equal(coro_current, self);
    wait_return();
    assert_ptr_equal(coro_current, self);
    ended++;
}

/* Releases what all of them wait for, but needs a place in the pool first. */
static void release_all(void *arg)
{
    char bytes[WAITERS] = {0};

    pthread_mutex_lock(&held);
    pthread_mutex_lock(&robust);
    pthread_rwlock_wrlock(&held_rwlock);
    pthread_spin_lock(&spin);
    while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < *(int *)arg)
        usleep(1000);
    assert_true(wait_depart());
    compute(1);
    assert_true(wait_return());
    pthread_mutex_unlock(&held);
    pthread_mutex_unlock(&robust);
    pthread_rwlock_unlock(&held_rwlock);
    pthread_spin_unlock(&spin);
    for (int i = 0; i < WAITERS; i++)
        sem_post(&sem);
    close(hung_up[1]);
    __atomic_store_n(&let_go, true, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&cond);
    __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, WAITERS);
    assert_int_equal(write(pipe_ends[1], bytes, WAITERS), WAITERS);
    assert_int_equal(send(socket_ends[1], bytes, WAITERS, 0), WAITERS);
}

static void wait_there_together(void (*const *ways)(void), int count)
{
    int total = count * WAITERS;

    sem_init(&sem, 0, 0);
    assert_int_equal(pipe(hung_up), 0);
    waiting = ended = 0;
    let_go = false;
    word = 0;
    assert_non_null(coro_start(release_all, &total));
    for (int i = 0; i < total; i++)
        assert_non_null(coro_start(wait_there, (void *)ways[i % count]));
    wait_run();
    close(hung_up[0]);
    assert_int_equal(ended, total);
    assert_int_equal(wait_away(), 0);
}

static void test_nobody_waits_there(void **state)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    pthread_barrier_init(&barrier, NULL, WAITERS);
    pthread_spin_init(&spin, 0);
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, socket_ends), 0);
    for (size_t i = 0; i < ARRAY_SIZE(awaits); i++)
        wait_there_together(&awaits[i], 1);
    wait_there_together(awaits, ARRAY_SIZE(awaits));
    for (int i = 0; i < 2; i++) {
        close(pipe_ends[i]);
        close(socket_ends[i]);
    }
}

/* After a wait the errno of the call is that of the thread on which it ends. */
static void fail_at_home(void *arg)
{
    char byte;

    assert_true(wait_depart());
    errno = 0;
    assert_int_equal(recv(*(int *)arg, &byte, 1, 0), -1);
    assert_int_equal(error_now(), EAGAIN); /* SO_RCVTIMEO */
    assert_true(wait_depart());
    assert_int_equal(sem_timedwait(&sem, &(struct timespec){1, 0}), -1);
    assert_int_equal(error_now(), ETIMEDOUT);
    assert_non_null(coro_current);
}

static void test_errors_at_home(void **state)
{
    struct timeval limit = {0, 2000};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, socket_ends), 0);
    setsockopt(socket_ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sem_init(&sem, 0, 0);
    RUN(socket_ends, fail_at_home, fail_at_home, fail_at_home);
    close(socket_ends[0]);
    close(socket_ends[1]);
}

/* ---- fork, the signal mask, and those who stay ---- */

static void fork_away(void *arg)
{
    int status;
    pid_t pid;

    assert_true(wait_depart());
    pid = fork();
    if (pid == 0)
        _exit(coro_here() == NULL && coro_thread() != NULL ? 7 : 1);
    assert_non_null(coro_current); /* it has come home */
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_true(wait_depart());
    pid = vfork();
    if (pid == 0)
        _exit(usleep(1) == 0 && coro_self() == NULL ? 8 : 1); /* there is no home for it */
    assert_null(coro_current);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 8);
    assert_non_null(coro_current);
}

static void test_fork_away(void **state)
{
    RUN(NULL, fork_away, fork_away);
}

static void mask_away(void *arg)
{
    sigset_t usr1, before, now;

    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    assert_true(wait_depart());
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &usr1, &before), 0);
    assert_int_equal(sigismember(&before, SIGTERM), 0);
    assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &now), 0);
    assert_int_equal(sigismember(&now, SIGUSR1), 1);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    assert_non_null(coro_current);
}

static void test_mask_away(void **state)
{
    RUN(NULL, mask_away);
}

static void stay(void *arg)
{
    coro_share_tls(true);
    assert_false(wait_depart());
    coro_share_tls(false);
}

static void test_stay(void **state)
{
    assert_false(wait_depart());
    RUN(NULL, stay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_travel),
        cmocka_unit_test(test_stay_there),
        cmocka_unit_test(test_locks_on_the_way),
        cmocka_unit_test(test_short_locks),
        cmocka_unit_test(test_nobody_waits_there),
        cmocka_unit_test(test_errors_at_home),
        cmocka_unit_test(test_mask_away),
        cmocka_unit_test(test_fork_away),
        cmocka_unit_test(test_stay),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
