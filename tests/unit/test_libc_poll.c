/* poll, select and epoll: the same to their caller on a coroutine as in a thread. */
#include "libc_test.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t room);

static void put_abc(long fd)
{
    assert_int_equal(write((int)fd, "abc", 3), 3);
}

static void take_all(long fd)
{
    char buf[65536];

    while (recv((int)fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
        ;
}

static void close_it(long fd)
{
    close((int)fd);
}

/* ---- poll ---- */

static void poll_fds(struct scene *s)
{
    int ends[2], pipe_ends[2];
    struct pollfd fds[3];
    char buf[65536];

    make_pair(SOCK_STREAM, ends);
    make_pipe(pipe_ends);
    fds[0] = (struct pollfd){.fd = ends[0], .events = POLLIN};
    fds[1] = (struct pollfd){.fd = pipe_ends[0], .events = POLLIN};
    fds[2] = (struct pollfd){.fd = -1, .events = POLLIN, .revents = 77};
    CALL(&s->report, poll(fds, 3, 0));
    CALL(&s->report, poll(fds, 3, 20));
    report(&s->report, "%d %d %d\n", fds[0].revents, fds[1].revents, fds[2].revents);
    later(s, put_abc, pipe_ends[1]);
    CALL(&s->report, poll(fds, 3, -1));
    report(&s->report, "%d %d %d\n", fds[0].revents, fds[1].revents, fds[2].revents);
    CALL(&s->report, read(pipe_ends[0], buf, 10));
    fds[0].events = POLLRDNORM | POLLRDBAND;
    later(s, put_abc, ends[1]);
    CALL(&s->report, poll(fds, 1, 1000));
    report(&s->report, "%x\n", fds[0].revents);
    while (send(ends[0], buf, sizeof(buf), MSG_DONTWAIT) > 0)
        ;
    fds[0].events = POLLOUT | POLLWRNORM;
    later(s, take_all, ends[1]);
    CALL(&s->report, poll(fds, 1, 1000));
    report(&s->report, "%x\n", fds[0].revents);
    fds[1].events = 0; /* an error or a hang-up is reported nevertheless */
    later(s, close_it, pipe_ends[1]);
    CALL(&s->report, poll(fds + 1, 1, 1000));
    report(&s->report, "%x\n", fds[1].revents);
    close_both(ends);
    CALL(&s->report, poll(fds, 1, -1));
    report(&s->report, "%x\n", fds[0].revents);
    CALL(&s->report, poll(NULL, 0, 10));
    close(pipe_ends[0]);
}
COMPARE(poll_fds, 4 * BEATS)

static void poll_fortified(struct scene *s)
{
    int ends[2];
    struct pollfd look;
    struct timespec timeout = {1, 0};

    make_pipe(ends);
    look = (struct pollfd){.fd = ends[0], .events = POLLIN};
    CALL(&s->report, __poll_chk(&look, 1, 10, sizeof(look)));
    later(s, put_abc, ends[1]);
    CALL(&s->report, __ppoll_chk(&look, 1, &timeout, NULL, sizeof(look)));
    report(&s->report, "%ld\n", (long)timeout.tv_sec);
    close_both(ends);
}
COMPARE(poll_fortified, 2 * BEATS)

static void poll_many(struct scene *s)
{
    struct pollfd fds[200];
    int ends[200][2];

    for (int i = 0; i < 200; i++) {
        make_pipe(ends[i]);
        fds[i] = (struct pollfd){.fd = ends[i][0], .events = POLLIN};
    }
    later(s, put_abc, ends[150][1]);
    CALL(&s->report, poll(fds, 200, 1000));
    report(&s->report, "%d %d\n", fds[149].revents, fds[150].revents);
    for (int i = 0; i < 200; i++)
        close_both(ends[i]);
}
COMPARE(poll_many, BEATS)

static void ppoll_times(struct scene *s)
{
    int ends[2];
    struct pollfd look;

    make_pipe(ends);
    look = (struct pollfd){.fd = ends[0], .events = POLLIN};
    CALL(&s->report, ppoll(&look, 1, &(struct timespec){0, 0}, NULL));
    CALL(&s->report, ppoll(&look, 1, &(struct timespec){0, 15000000}, NULL));
    CALL(&s->report, ppoll(&look, 1, &(struct timespec){0, -1}, NULL));
    CALL(&s->report, ppoll(&look, 1, &(struct timespec){-1, 0}, NULL));
    later(s, put_abc, ends[1]);
    CALL(&s->report, ppoll(&look, 1, NULL, NULL));
    close_both(ends);
}
COMPARE(ppoll_times, 2 * BEATS)

/* ---- under another signal mask ---- */

static volatile sig_atomic_t handled;

static void handle(int signum)
{
    handled = signum;
}

static void raise_it(long thread)
{
    pthread_kill((pthread_t)thread, SIGUSR1);
}

static void masks(struct scene *s)
{
    sigset_t block, open;
    int ends[2], epoll = epoll_create1(0);
    struct pollfd look;
    struct epoll_event event;
    fd_set in;

    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &block, &open);
    sigdelset(&open, SIGUSR1);
    make_pipe(ends);
    look = (struct pollfd){.fd = ends[0], .events = POLLIN};
    handled = 0;
    later(s, raise_it, (long)pthread_self());
    CALL(&s->report, ppoll(&look, 1, &(struct timespec){1, 0}, &open));
    report(&s->report, "%d\n", handled);
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    handled = 0;
    later(s, raise_it, (long)pthread_self());
    CALL(&s->report, pselect(ends[0] + 1, &in, NULL, NULL, &(struct timespec){1, 0}, &open));
    report(&s->report, "%d %d\n", handled, FD_ISSET(ends[0], &in));
    handled = 0;
    later(s, raise_it, (long)pthread_self());
    CALL(&s->report, epoll_pwait(epoll, &event, 1, 1000, &open));
    report(&s->report, "%d\n", handled);
    handled = 0;
    later(s, raise_it, (long)pthread_self());
    CALL(&s->report, sigsuspend(&open));
    report(&s->report, "%d\n", handled);
    handled = 0;
    later(s, put_abc, ends[1]);
    CALL(&s->report, ppoll(&look, 1, NULL, &open));
    pthread_sigmask(SIG_UNBLOCK, &block, NULL);
    close_both(ends);
    close(epoll);
}
COMPARE(masks, 5 * BEATS)

/* ---- select ---- */

static void select_fds(struct scene *s)
{
    int ends[2], pipe_ends[2], high;
    struct timeval timeout = {60, 0};
    fd_set in, out, except;

    make_pair(SOCK_STREAM, ends);
    make_pipe(pipe_ends);
    high = pipe_ends[1] + 1;
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    FD_SET(pipe_ends[0], &in);
    later(s, put_abc, pipe_ends[1]);
    CALL(&s->report, select(high, &in, NULL, NULL, &timeout));
    report(&s->report, "%d %d %d\n", FD_ISSET(ends[0], &in) != 0, FD_ISSET(pipe_ends[0], &in) != 0,
           timeout.tv_sec < 60 && timeout.tv_sec > 30);
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    timeout = (struct timeval){0, 15000};
    CALL(&s->report, select(high, &in, NULL, NULL, &timeout));
    report(&s->report, "%d %ld\n", FD_ISSET(ends[0], &in) != 0, (long)timeout.tv_usec);
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    FD_ZERO(&out);
    FD_SET(ends[0], &out);
    FD_ZERO(&except);
    FD_SET(ends[0], &except);
    CALL(&s->report, select(high, &in, &out, &except, NULL));
    report(&s->report, "%d %d\n", FD_ISSET(ends[0], &in) != 0, FD_ISSET(ends[0], &out) != 0);
    CALL(&s->report, select(0, NULL, NULL, NULL, &(struct timeval){0, 12000}));
    CALL(&s->report, select(high, &in, NULL, NULL, &(struct timeval){-1, 0}));
    CALL(&s->report, select(-1, &in, NULL, NULL, NULL));
    close_both(ends);
    FD_SET(ends[0], &in);
    CALL(&s->report, select(high, &in, NULL, NULL, NULL));
    report(&s->report, "%d\n", FD_ISSET(ends[0], &in) != 0);
    close_both(pipe_ends);
}
COMPARE(select_fds, 3 * BEATS)

/* select does not count a hang-up as an exception, but poll reports it: this must wait, and not in a busy loop. */
static void select_hangup(struct scene *s)
{
    int ends[2];
    fd_set except;
    struct timespec before, after_it;
    long used;

    make_pipe(ends);
    close(ends[1]);
    FD_ZERO(&except);
    FD_SET(ends[0], &except);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    CALL(&s->report, select(ends[0] + 1, NULL, NULL, &except, &(struct timeval){0, 40000}));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after_it);
    used = (after_it.tv_sec - before.tv_sec) * 1000000000 + after_it.tv_nsec - before.tv_nsec;
    report(&s->report, "%d\n", used < 20000000);
    close(ends[0]);
}
COMPARE(select_hangup, BEATS)

/* ---- epoll ---- */

static void epoll_fds(struct scene *s)
{
    int ends[2], epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 4711}, got[4] = {0};

    make_pipe(ends);
    CALL(&s->report, epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
    CALL(&s->report, epoll_wait(epoll, got, 4, 0));
    CALL(&s->report, epoll_wait(epoll, got, 4, 15));
    later(s, put_abc, ends[1]);
    CALL(&s->report, epoll_wait(epoll, got, 4, -1));
    report(&s->report, "%d %d\n", (int)got[0].data.u64, (int)got[0].events);
    CALL(&s->report, epoll_wait(epoll, got, 4, 15)); /* edge-triggered: not again */
    later(s, put_abc, ends[1]);
    CALL(&s->report, epoll_pwait(epoll, got, 4, 1000, NULL));
    later(s, put_abc, ends[1]);
    CALL(&s->report, epoll_pwait2(epoll, got, 4, &(struct timespec){1, 0}, NULL));
    CALL(&s->report, epoll_pwait2(epoll, got, 4, &(struct timespec){0, 15000000}, NULL));
    CALL(&s->report, epoll_wait(epoll, got, 0, -1));
    CALL(&s->report, epoll_wait(ends[0], got, 4, -1));
    CALL(&s->report, epoll_wait(-1, got, 4, -1));
    close(epoll);
    close_both(ends);
}
COMPARE(epoll_fds, 6 * BEATS)

/* ---- fairness ---- */

static void look_with(int (*look)(int fd), bool *done)
{
    int ends[2];

    make_pipe(ends);
    while (!*done)
        assert_int_equal(look(ends[0]), 0);
    close_both(ends);
}

static int look_by_poll(int fd)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0);
}

static int look_by_select(int fd)
{
    struct timeval none = {0};
    fd_set set;

    FD_ZERO(&set);
    FD_SET(fd, &set);
    return select(fd + 1, &set, NULL, NULL, &none);
}

static int look_by_epoll(int fd)
{
    struct epoll_event event;
    int epoll = epoll_create1(EPOLL_CLOEXEC), count = epoll_wait(epoll, &event, 1, 0);

    close(epoll);
    return count;
}

static void only_look(void *arg)
{
    bool *done = arg;

    look_with(look_by_poll, &done[0]);
    look_with(look_by_select, &done[1]);
    look_with(look_by_epoll, &done[2]);
}

static void do_it(void *arg)
{
    for (int i = 0; i < 3; i++) {
        coro_yield();
        ((bool *)arg)[i] = true;
    }
}

/* A coroutine that only polls with a timeout of 0 lets the one run that does what it polls for. */
static void test_looking_gives_way(void **state)
{
    bool done[3] = {false};

    RUN(done, only_look, do_it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_looking_gives_way), cmocka_unit_test(test_poll_fds),
        cmocka_unit_test(test_poll_fortified),    cmocka_unit_test(test_poll_many),
        cmocka_unit_test(test_ppoll_times),       cmocka_unit_test(test_masks),
        cmocka_unit_test(test_select_fds),        cmocka_unit_test(test_select_hangup),
        cmocka_unit_test(test_epoll_fds),
    };

    signal(SIGUSR1, handle);
    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
