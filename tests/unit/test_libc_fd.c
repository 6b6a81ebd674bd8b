/* Descriptors: calls that must not park, closing while somebody waits, children, fairness. */
#include "libc_test.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

struct shared {
    int ends[2];
    int other;
    ssize_t result[3];
    int error[3];
    int order;
    bool over;
    int beats;
};

static void read_first(void *arg)
{
    struct shared *s = arg;
    char buf[8];

    s->result[0] = read(s->ends[0], buf, sizeof(buf));
    s->error[0] = errno;
    s->over = true;
}

static void read_second(void *arg)
{
    struct shared *s = arg;
    char buf[8];

    s->result[1] = read(s->ends[0], buf, sizeof(buf));
    s->error[1] = errno;
}

static void pause_briefly(void)
{
    usleep(5000);
}

/* ---- close and dup2 under a waiter ---- */

static void close_later(void *arg)
{
    struct shared *s = arg;

    pause_briefly();
    assert_int_equal(close(s->ends[0]), 0);
}

static void test_close_wakes(void **state)
{
    struct shared s = {0};

    make_pair(SOCK_STREAM, s.ends);
    RUN(&s, read_first, read_second, close_later);
    assert_int_equal(s.result[0], -1);
    assert_int_equal(s.error[0], EBADF);
    assert_int_equal(s.result[1], -1);
    assert_int_equal(s.error[1], EBADF);
    close(s.ends[1]);
    make_pipe(s.ends);
    RUN(&s, read_first, close_later);
    assert_int_equal(s.result[0], -1);
    assert_int_equal(s.error[0], EBADF);
    close(s.ends[1]);
}

static void dup_over(void *arg)
{
    struct shared *s = arg;

    pause_briefly();
    errno = 0;
    assert_int_equal(dup2(-1, s->ends[0]), -1); /* closes nothing */
    assert_int_equal(errno, EBADF);
    assert_int_equal(dup2(s->ends[0], s->ends[0]), s->ends[0]);
    pause_briefly();
    assert_false(s->over);
    assert_int_equal(dup2(s->other, s->ends[0]), s->ends[0]);
    pause_briefly();
    assert_true(s->over);
}

static void test_dup2_wakes(void **state)
{
    struct shared s = {0};
    int ends[2];

    make_pair(SOCK_STREAM, s.ends);
    make_pair(SOCK_STREAM, ends);
    s.other = ends[0];
    RUN(&s, read_first, dup_over);
    assert_int_equal(s.result[0], -1);
    assert_int_equal(s.error[0], EBADF);
    assert_int_equal(write(ends[1], "abc", 3), 3); /* the number now stands for the other socket */
    RUN(&s, read_first);
    assert_int_equal(s.result[0], 3);
    close_both(ends);
    close_both(s.ends);
}

/* ---- two at one descriptor ---- */

static void write_twice(void *arg)
{
    struct shared *s = arg;

    pause_briefly();
    assert_int_equal(write(s->ends[1], "abc", 3), 3);
    pause_briefly();
    assert_int_equal(write(s->ends[1], "ab", 2), 2);
}

static void test_two_readers(void **state)
{
    struct shared s = {0};

    make_pipe(s.ends);
    RUN(&s, read_first, read_second, write_twice);
    assert_int_equal(s.result[0] + s.result[1], 5); /* each got one of the two writes */
    assert_int_not_equal(s.result[0], 0);
    assert_int_not_equal(s.result[1], 0);
    close_both(s.ends);
}

static char big[1 << 20];

static void write_much(void *arg)
{
    struct shared *s = arg;

    s->result[1] = send(s->ends[0], big, sizeof(big), 0);
}

static void answer(void *arg)
{
    struct shared *s = arg;
    static char buf[1 << 20];

    pause_briefly();
    assert_int_equal(send(s->ends[1], "abc", 3, 0), 3); /* the reader goes on while the writer waits */
    pause_briefly();
    assert_int_equal(s->result[0], 3);
    assert_int_equal(s->result[1], 0);
    assert_int_equal(recv(s->ends[1], buf, sizeof(buf), MSG_WAITALL), sizeof(buf));
}

static void test_reader_and_writer(void **state)
{
    struct shared s = {0};

    make_pair(SOCK_STREAM, s.ends);
    RUN(&s, read_first, write_much, answer);
    assert_int_equal(s.result[1], sizeof(big));
    close_both(s.ends);
}

/* ---- the caller does not want to wait ---- */

static void never_waits(struct scene *s)
{
    int ends[2], pipe_ends[2], listener;
    struct sockaddr_in at;
    char buf[8];

    make_pair(SOCK_STREAM, ends);
    CALL(&s->report, recv(ends[0], buf, 8, MSG_DONTWAIT));
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    CALL(&s->report, recv(ends[0], buf, 8, 0));
    CALL(&s->report, recv(ends[0], buf, 8, MSG_WAITALL));
    CALL(&s->report, read(ends[0], buf, 8));
    report(&s->report, "%d\n", send(ends[0], big, sizeof(big), 0) < (ssize_t)sizeof(big));
    CALL(&s->report, send(ends[0], big, sizeof(big), 0));
    pipe2(pipe_ends, O_NONBLOCK);
    CALL(&s->report, read(pipe_ends[0], buf, 8));
    CALL(&s->report, write(pipe_ends[1], big, sizeof(big)));
    CALL(&s->report, write(pipe_ends[1], big, 1));
    listener = make_listener(&at, 1);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    CALL(&s->report, accept(listener, NULL, NULL));
    CALL(&s->report, poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, 0));
    close(listener);
    close_both(ends);
    close_both(pipe_ends);
}
COMPARE(never_waits, 0)

/* ---- children ---- */

static void fork_in_coroutine(void *arg)
{
    struct shared *s = arg;
    char buf[8];
    int status;
    pid_t pid = fork();

    if (pid == 0) { /* libc's own calls, which block */
        usleep(2000);
        if (coro_self() || read(s->ends[0], buf, sizeof(buf)) != 3)
            _exit(1);
        close(s->ends[0]);
        _exit(42);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 42 << 8);
    s->over = true;
}

/* Write what the child reads as soon as the ticker has shown that it runs while the parent is in waitpid. */
static void answer_child(void *arg)
{
    struct shared *s = arg;

    while (s->beats < BEATS)
        pause_briefly();
    assert_int_equal(write(s->ends[1], "abc", 3), 3);
}

static void tick_shared(void *arg)
{
    struct shared *s = arg;

    for (; !s->over; s->beats++)
        wait_sleep(wait_deadline(1000000));
}

static void test_fork(void **state)
{
    struct shared s = {0};

    make_pipe(s.ends);
    RUN(&s, fork_in_coroutine, tick_shared, answer_child);
    close_both(s.ends);
}

/* A child of vfork runs in our memory: what it closes and waits for must not affect our waiters. */
static void vfork_in_coroutine(void *arg)
{
    struct shared *s = arg;
    static volatile ssize_t got;
    static char buf[8];
    int status;
    pid_t pid;

    pause_briefly(); /* the reader waits now */
    pid = vfork();
    if (pid == 0) {
        close(s->ends[0]);
        dup2(s->other, s->ends[0]);
        got = read(s->ends[0], buf, 3); /* blocks until the OS thread has written */
        _exit(7);
    }
    assert_int_equal(got, 3);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 7 << 8);
    pause_briefly();
    assert_false(s->over);
    assert_int_equal(write(s->ends[1], "xy", 2), 2);
}

static void *write_to_other(void *arg)
{
    usleep(3 * LATER_MS * 1000);
    assert_int_equal(write(*(int *)arg, "abc", 3), 3);
    return NULL;
}

static void test_vfork(void **state)
{
    struct shared s = {0};
    int other[2];
    pthread_t thread;

    make_pipe(s.ends);
    make_pipe(other);
    s.other = other[0];
    pthread_create(&thread, NULL, write_to_other, &other[1]);
    RUN(&s, read_first, vfork_in_coroutine);
    assert_int_equal(s.result[0], 2);
    pthread_join(thread, NULL);
    close_both(s.ends);
    close_both(other);
}

/* On a socket the kernel waits in the child, but not longer than SO_RCVTIMEO says. */
static void vfork_at_socket(void *arg)
{
    struct shared *s = arg;
    static volatile ssize_t got[2];
    static volatile int error;
    static char buf[8];
    struct timeval limit = {0, 10000};
    int status;
    pid_t pid;

    setsockopt(s->ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    pid = vfork();
    if (pid == 0) {
        got[0] = recv(s->ends[0], buf, sizeof(buf), 0);
        error = errno;
        setsockopt(s->ends[0], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0}, sizeof(limit));
        got[1] = recv(s->ends[0], buf, sizeof(buf), 0); /* blocks until the OS thread has written */
        _exit(7);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 7 << 8);
    assert_int_equal(got[0], -1);
    assert_int_equal(error, EAGAIN);
    assert_int_equal(got[1], 3);
}

static void test_vfork_at_socket(void **state)
{
    struct shared s = {0};
    pthread_t thread;

    make_pair(SOCK_STREAM, s.ends);
    pthread_create(&thread, NULL, write_to_other, &s.ends[1]);
    RUN(&s, vfork_at_socket);
    pthread_join(thread, NULL);
    close_both(s.ends);
}

extern char **environ;

static void spawn_in_coroutine(void *arg)
{
    struct shared *s = arg;
    posix_spawn_file_actions_t actions;
    char *const argv[] = {"sh", "-c", "sleep 0.02; echo abc", NULL};
    char buf[8];
    pid_t pid;
    int status;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, s->ends[1], 1);
    assert_int_equal(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(read(s->ends[0], buf, sizeof(buf)), 4);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    s->over = true;
}

static void test_spawn(void **state)
{
    struct shared s = {0};

    make_pipe(s.ends);
    RUN(&s, spawn_in_coroutine, tick_shared);
    assert_true(s.beats >= BEATS);
    close_both(s.ends);
}

/* ---- file locks ---- */

static int lock_path(char *path)
{
    strcpy(path, "/tmp/libc-test-XXXXXX");
    return mkstemp(path);
}

static void unlock_it(long fd)
{
    flock((int)fd, LOCK_UN);
}

static void lock_file(struct scene *s)
{
    char path[64];
    int first = lock_path(path), second = open(path, O_RDWR);

    CALL(&s->report, flock(first, LOCK_EX));
    CALL(&s->report, flock(second, LOCK_EX | LOCK_NB));
    later(s, unlock_it, first);
    CALL(&s->report, flock(second, LOCK_EX));
    CALL(&s->report, flock(-1, LOCK_EX));
    unlink(path);
    close(first);
    close(second);
}
COMPARE(lock_file, BEATS)

/* A child that holds a lock of the whole file until a helper lets it end. */
struct holder {
    pid_t pid;
    int may_end[2];
};

static void let_end(long fd)
{
    assert_int_equal(write((int)fd, "x", 1), 1);
}

static void hold_record_lock(struct scene *s, struct holder *holder, int fd)
{
    struct flock lock = {.l_type = F_WRLCK};
    int ends[2];
    char byte;

    make_pipe(ends);
    make_pipe(holder->may_end);
    holder->pid = fork();
    if (holder->pid == 0) {
        fcntl(fd, F_SETLK, &lock);
        write(ends[1], "x", 1);
        _exit(read(holder->may_end[0], &byte, 1) == 1 ? 0 : 1);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close_both(ends);
    later(s, let_end, holder->may_end[1]);
}

static void holder_end(struct scene *s, struct holder *holder)
{
    waitpid(holder->pid, NULL, 0);
    wait_for_helpers(s);
    close_both(holder->may_end);
}

static void lock_record(struct scene *s)
{
    struct flock lock = {.l_type = F_WRLCK}, unlock = {.l_type = F_UNLCK};
    struct holder holder;
    char path[64];
    int fd = lock_path(path);

    hold_record_lock(s, &holder, fd);
    CALL(&s->report, fcntl(fd, F_SETLK, &lock));
    CALL(&s->report, fcntl(fd, F_SETLKW, &lock));
    holder_end(s, &holder);
    CALL(&s->report, fcntl(fd, F_SETLKW, &unlock));
    hold_record_lock(s, &holder, fd);
    CALL(&s->report, fcntl(fd, F_OFD_SETLKW, &lock));
    holder_end(s, &holder);
    CALL(&s->report, fcntl(fd, F_OFD_SETLKW, &unlock));
    hold_record_lock(s, &holder, fd);
    CALL(&s->report, lockf(fd, F_LOCK, 0));
    holder_end(s, &holder);
    CALL(&s->report, fcntl(fd, F_SETLKW, NULL));
    unlink(path);
    close(fd);
}
COMPARE(lock_record, 3 * BEATS)

/* ---- fairness ---- */

/* Free locks do not: OpenSSL takes some in the middle of an RSA signature, whose state belongs to the OS thread. */
static void keeps_the_thread(struct shared *s)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    long before = s->beats;

    use_up_slice();
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    pthread_rwlock_wrlock(&lock);
    pthread_rwlock_unlock(&lock);
    assert_int_equal(s->beats, before);
}

/* Calls that never wait: each lets others run when the slice is used up, and keeps errno. */
static void calls_that_need_not_wait(void *arg)
{
    struct shared *s = arg;
    int file = open("/proc/self/exe", O_RDONLY), null = open("/dev/null", O_WRONLY);
    struct iovec iov;
    char buf[8];

    iov = (struct iovec){buf, 1};
    errno = ENOTTY;
#define LETS_OTHERS_RUN(call)                                                                                          \
    do {                                                                                                               \
        long before = s->beats;                                                                                        \
        use_up_slice();                                                                                                \
        assert_true((call) >= 0);                                                                                      \
        if (s->beats == before)                                                                                        \
            fail_msg("%s lets nobody run", #call);                                                                     \
        assert_int_equal(errno, ENOTTY);                                                                               \
    } while (0)
    LETS_OTHERS_RUN(send(s->ends[0], "a", 1, 0));
    LETS_OTHERS_RUN(recv(s->ends[1], buf, 1, 0));
    LETS_OTHERS_RUN(write(s->ends[0], "a", 1));
    LETS_OTHERS_RUN(read(s->ends[1], buf, 1));
    LETS_OTHERS_RUN(read(file, buf, 1));
    LETS_OTHERS_RUN(readv(file, &iov, 1));
    LETS_OTHERS_RUN(write(null, buf, 1));
    LETS_OTHERS_RUN(writev(null, &iov, 1));
    LETS_OTHERS_RUN(sendfile(null, file, NULL, 1));
    keeps_the_thread(s);
    close(file);
    close(null);
    s->over = true;
}

static void beats_always(void *arg)
{
    struct shared *s = arg;

    for (; !s->over; s->beats++)
        coro_yield();
}

static void test_fairness(void **state)
{
    struct shared s = {0};

    make_pair(SOCK_STREAM, s.ends);
    RUN(&s, calls_that_need_not_wait, beats_always);
    close_both(s.ends);
}

/* errno is the caller's: a call that succeeds leaves it alone. */
static void keep_errno(void *arg)
{
    struct shared *s = arg;
    char buf[8];

    errno = ENOTTY;
    assert_int_equal(write(s->ends[1], "abc", 3), 3);
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(read(s->ends[0], buf, 8), 3);
    assert_int_equal(errno, ENOTTY);
}

static void test_errno(void **state)
{
    struct shared s = {0};

    make_pipe(s.ends);
    RUN(&s, keep_errno);
    close_both(s.ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close_wakes), cmocka_unit_test(test_dup2_wakes),
        cmocka_unit_test(test_two_readers), cmocka_unit_test(test_reader_and_writer),
        cmocka_unit_test(test_never_waits), cmocka_unit_test(test_fork),
        cmocka_unit_test(test_vfork),       cmocka_unit_test(test_vfork_at_socket),
        cmocka_unit_test(test_spawn),       cmocka_unit_test(test_lock_file),
        cmocka_unit_test(test_lock_record), cmocka_unit_test(test_fairness),
        cmocka_unit_test(test_errno),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
