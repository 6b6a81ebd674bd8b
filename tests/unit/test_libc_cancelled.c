/* test_libc_cancelled.c: what each libc call does on a cancelled coroutine, and wake-ups that come with a cancellation.
 */
#include "libc_test.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* ---- each call, once ---- */

static int code; /* of the cancellation */

/* The call waits, so it must fail at once, with the error. */
#define FAILS_WITH(error, expression)                                                                                  \
    do {                                                                                                               \
        int64_t start_ = now_ms();                                                                                     \
        wait_cancel(coro_self(), code);                                                                                \
        errno = 0;                                                                                                     \
        if ((long)(expression) != -1 || errno != (error))                                                              \
            fail_msg("%s: %s", #expression, strerrorname_np(errno));                                                   \
        wait_cancel(coro_self(), 0);                                                                                   \
        assert_true(now_ms() - start_ < 1000);                                                                         \
    } while (0)

#define FAILS(expression) FAILS_WITH(-code, expression)

static void time_and_signals(void *arg)
{
    struct timespec length = {5, 0};
    sigset_t set;
    int signum;

    FAILS(usleep(5000000));
    FAILS(nanosleep(&length, NULL));
    FAILS(pause());
    sigemptyset(&set);
    FAILS(sigsuspend(&set));
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    FAILS(sigwaitinfo(&set, NULL));
    FAILS(sigtimedwait(&set, NULL, &length));
    wait_cancel(coro_self(), code);
    assert_int_equal(sigwait(&set, &signum), ECANCELED); /* goes on after EINTR */
    wait_cancel(coro_self(), 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void readiness(void *arg)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct pollfd look = {epoll, POLLIN, 0};
    struct epoll_event event;
    fd_set in;

    FD_ZERO(&in);
    FAILS(poll(&look, 1, -1));
    FAILS(ppoll(&look, 1, NULL, NULL));
    FAILS(select(0, &in, NULL, NULL, NULL));
    FAILS(epoll_wait(epoll, &event, 1, -1));
    FAILS(epoll_pwait2(epoll, &event, 1, NULL, NULL));
    close(epoll);
}

static void descriptors(void *arg)
{
    struct iovec part = {(char[100000]){0}, 100000};
    struct mmsghdr many[2] = {{.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}}};
    int pipe[2], pair[2], listener;
    struct sockaddr_in at;

    make_pipe(pipe);
    make_pair(SOCK_STREAM, pair);
    listener = make_listener(&at, 1);
    many[1] = many[0];
    FAILS(read(pipe[0], part.iov_base, 1));
    FAILS(readv(pair[0], &part, 1));
    FAILS(recv(pair[0], part.iov_base, 1, MSG_WAITALL));
    FAILS(recvmmsg(pair[0], many, 2, 0, NULL));
    FAILS(accept(listener, NULL, NULL));
    wait_cancel(coro_self(), code);
    while (send(pair[0], part.iov_base, part.iov_len, 0) > 0) /* as much as fits is a result */
        continue;
    while (write(pipe[1], part.iov_base, part.iov_len) > 0)
        continue;
    FAILS(sendmmsg(pair[0], many, 2, 0));
    FAILS(write(pipe[1], part.iov_base, part.iov_len));
    close(listener);
    close_both(pair);
    close_both(pipe);
}

static void processes_and_files(void *arg)
{
    char path[] = "/tmp/test_libc_cancelled.XXXXXX";
    int file = mkstemp(path), again = open(path, O_RDWR | O_CLOEXEC), status;
    pid_t pid = fork();
    siginfo_t info;

    assert_true(file >= 0 && again >= 0 && pid >= 0);
    if (pid == 0) {
        usleep(50000);
        _exit(3);
    }
    unlink(path);
    FAILS(waitpid(pid, &status, 0));
    FAILS(wait(&status));
    FAILS(waitid(P_PID, (id_t)pid, &info, WEXITED));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_int_equal(flock(file, LOCK_EX), 0);
    FAILS(flock(again, LOCK_EX));
    assert_int_equal(flock(file, LOCK_UN), 0);
    assert_int_equal(flock(again, LOCK_EX), 0);
    close(file);
    close(again);
}

/* A semaphore and a condition fail once, each in the way that its callers know. */
static void locks(void *arg)
{
    struct timespec soon = in_ms(CLOCK_REALTIME, 30);
    pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    sem_t empty;

    for (int shared = 0; shared < 2; shared++) {
        sem_init(&empty, shared, 0);
        FAILS_WITH(EINTR, sem_wait(&empty));
        wait_cancel(coro_self(), code);
        assert_int_equal(sem_timedwait(&empty, &soon), -1);
        assert_int_equal(errno, EINTR);
        assert_int_equal(sem_timedwait(&empty, &soon), -1);
        assert_int_equal(errno, ETIMEDOUT);
        sem_post(&empty);
        assert_int_equal(sem_wait(&empty), 0); /* it is free: no wait, no failure */
        wait_cancel(coro_self(), 0);
        sem_destroy(&empty);
    }
    pthread_mutex_lock(&held);
    wait_cancel(coro_self(), code);
    assert_int_equal(pthread_cond_wait(&never, &held), 0);
    assert_int_equal(pthread_cond_timedwait(&never, &held, &soon), ETIMEDOUT);
    wait_cancel(coro_self(), 0);
    assert_int_equal(pthread_mutex_unlock(&held), 0);
}

static void each_call(void *arg)
{
    time_and_signals(arg);
    readiness(arg);
    descriptors(arg);
    processes_and_files(arg);
    locks(arg);
}

static void test_each_call(void **state)
{
    static const int codes[] = {-ECANCELED, -EINTR};

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        code = codes[i];
        RUN(NULL, each_call);
    }
}

/* ---- a wake-up for a coroutine that is cancelled at the same time ---- */

enum { ROUNDS = 50 };

static struct coro *first; /* in the queue of the lock */
static sem_t sem;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int items;

/* Returns false if it was cancelled. */
static bool take_by_sem(void)
{
    return sem_wait(&sem) == 0;
}

static bool take_by_cond(void)
{
    bool taken;

    pthread_mutex_lock(&mutex);
    if (items == 0)
        pthread_cond_wait(&cond, &mutex);
    taken = items > 0;
    items -= taken;
    pthread_mutex_unlock(&mutex);
    return taken;
}

static void give_by_sem(void)
{
    sem_post(&sem);
}

static void give_by_cond(void)
{
    pthread_mutex_lock(&mutex);
    items++;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
}

static const struct way {
    bool (*take)(void);
    void (*give)(void);
} ways[] = {{take_by_sem, give_by_sem}, {take_by_cond, give_by_cond}};

static void take_cancelled(void *arg)
{
    const struct way *way = arg;

    first = coro_self();
    if (way->take())
        way->give();
    first = NULL;
}

static void take_second(void *arg)
{
    const struct way *way = arg;

    while (!way->take()) /* a wake-up from a condition may be spurious */
        continue;
}

static void cancel_and_give(void *arg)
{
    const struct way *way = arg;

    wait_cancel(first, code);
    way->give();
}

static void give_and_cancel(void *arg)
{
    const struct way *way = arg;

    way->give();
    wait_cancel(first, code);
}

/* From an OS thread, it comes sooner or later than the cancellation. */
static void *give_on_thread(void *arg)
{
    const struct way *way = arg;

    way->give();
    return NULL;
}

static void cancel_beside_thread(void *arg)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, give_on_thread, arg), 0);
    usleep(20);
    if (first)
        wait_cancel(first, code);
    pthread_join(thread, NULL);
}

/* Only one is given: if that is lost with the cancelled coroutine, the second one waits for ever. */
static void test_wakeup_is_passed_on(void **state)
{
    static void (*const orders[])(void *) = {cancel_and_give, give_and_cancel, cancel_beside_thread};

    sem_init(&sem, 0, 0);
    alarm(60);
    for (size_t i = 0; i < ROUNDS * ARRAY_SIZE(orders) * ARRAY_SIZE(ways); i++) {
        void *way = (void *)&ways[i % ARRAY_SIZE(ways)];

        code = i % 4 < 2 ? -ECANCELED : -EINTR;
        RUN(way, take_cancelled, take_second, orders[i / ARRAY_SIZE(ways) % ARRAY_SIZE(orders)]);
        assert_int_equal(wait_addr_waiters, 0);
    }
    alarm(0);
    sem_destroy(&sem);
}

static void take_and_wait(void *arg)
{
    struct timespec soon = {.tv_nsec = 1000000};

    first = coro_self();
    assert_int_equal(sem_wait(&sem), 0);
    assert_int_equal(nanosleep(&soon, NULL), -1);
    assert_int_equal(errno, code == -EINTR ? EINTR : ECANCELED);
    wait_cancel(first, 0);
}

/* A lock that is handed over goes before a cancellation, which is then for the next wait. */
static void test_released_lock_is_taken(void **state)
{
    static const int codes[] = {-ECANCELED, -EINTR};
    static void (*const orders[])(void *) = {cancel_and_give, give_and_cancel};

    sem_init(&sem, 0, 0);
    for (size_t i = 0; i < ARRAY_SIZE(codes) * ARRAY_SIZE(orders); i++) {
        code = codes[i / ARRAY_SIZE(orders)];
        RUN((void *)&ways[0], take_and_wait, orders[i % ARRAY_SIZE(orders)]);
    }
    sem_destroy(&sem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call),
        cmocka_unit_test(test_wakeup_is_passed_on),
        cmocka_unit_test(test_released_lock_is_taken),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
