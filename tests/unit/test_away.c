/* Coroutines that compute upon threads of the pool. */
#include "libc_test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

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

static void compute(int milliseconds)
{
    int64_t end = cpu_ns() + milliseconds * INT64_C(1000000);

    while (cpu_ns() < end)
        ;
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

static __attribute__((noipa)) int error_now(void)
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
    assert_null(coro_self());
    assert_ptr_equal(coro_here(), self);
    assert_ptr_equal(coro_thread(), self);
    assert_int_not_equal(gettid(), home);
    assert_ptr_equal(pthread_getspecific(key), &here);
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    assert_int_equal(sigismember(&set, SIGTERM), 1);
    compute(5);
    (void)open("/nonexistent", O_RDONLY);
    wait_return();
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

/* ---- fork, and those who stay ---- */

static void fork_away(void *arg)
{
    int status;
    pid_t pid;

    assert_true(wait_depart());
    pid = fork();
    if (pid == 0)
        _exit(coro_here() == NULL && coro_thread() != NULL ? 7 : 1);
    assert_int_equal(real()->waitpid(pid, &status, 0), pid);
    wait_return();
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void test_fork_away(void **state)
{
    RUN(NULL, fork_away, fork_away);
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
        cmocka_unit_test(test_locks_on_the_way),
        cmocka_unit_test(test_fork_away),
        cmocka_unit_test(test_stay),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
