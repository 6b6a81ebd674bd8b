/*
 * test_fd.c: readiness of descriptors: which event wakes whom, closing, reused numbers, and the server's own sources.
 */
#include "core_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int ends[2];

static int make_pair(void **state)
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int close_pair(void **state)
{
    return close(ends[0]) | close(ends[1]);
}

static void fill(int fd)
{
    static char zeros[65536];

    while (send(fd, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(errno, EAGAIN);
}

static void drain(int fd)
{
    static char scrap[65536];

    while (recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT) > 0)
        ;
}

/* A wait for fd and its result. */
struct waiting {
    int fd;
    short events;
    int64_t deadline;
    int result;
    bool over;
};

static void waits(void *arg)
{
    struct waiting *w = arg;

    w->result = wait_fd(w->fd, w->events, w->deadline);
    w->over = true;
}

#define WAITING(end, what)                                                                                             \
    {                                                                                                                  \
        .fd = ends[end], .events = what, .deadline = WAIT_FOREVER                                                      \
    }

/* Let the loop run until everything that is ready now has woken its waiters. */
static void settle(void *arg)
{
    for (int i = 0; i < 4; i++)
        coro_yield();
    wait_stop();
}

static void run_loop(void)
{
    coro_start(settle, NULL);
    wait_run();
}

/* ---- waiting ---- */

static void test_both_directions(void **state)
{
    struct waiting in = WAITING(0, POLLIN), out = WAITING(0, POLLOUT);

    fill(ends[0]);
    coro_start(waits, &in);
    coro_start(waits, &out);
    run_loop();
    assert_false(in.over || out.over);
    assert_int_equal(write(ends[1], "x", 1), 1);
    run_loop();
    assert_int_equal(in.result, POLLIN);
    assert_false(out.over);
    drain(ends[1]);
    wait_run();
    assert_true(out.result & POLLOUT);
}

/* The first event disarms the descriptor, which must be armed again for the other waiter. */
static void test_out_before_in(void **state)
{
    struct waiting in = WAITING(0, POLLIN), out = WAITING(0, POLLOUT);

    coro_start(waits, &in);
    coro_start(waits, &out);
    run_loop();
    assert_int_equal(out.result, POLLOUT);
    assert_false(in.over);
    assert_int_equal(write(ends[1], "x", 1), 1);
    wait_run();
    assert_true(in.result & POLLIN);
}

static void test_two_readers_both_wake(void **state)
{
    struct waiting readers[2] = {WAITING(0, POLLIN), WAITING(0, POLLIN)};

    coro_start(waits, &readers[0]);
    coro_start(waits, &readers[1]);
    run_loop();
    assert_int_equal(write(ends[1], "x", 1), 1);
    wait_run();
    assert_int_equal(readers[0].result, POLLIN);
    assert_int_equal(readers[1].result, POLLIN);
}

static void test_hang_up_wakes_all(void **state)
{
    struct waiting w[3] = {WAITING(0, POLLIN), WAITING(0, POLLPRI), WAITING(0, 0)};

    for (size_t i = 0; i < COUNT(w); i++)
        coro_start(waits, &w[i]);
    run_loop();
    close(ends[1]);
    wait_run();
    for (size_t i = 0; i < COUNT(w); i++)
        assert_true(w[i].result & POLLHUP);
    ends[1] = dup(ends[0]);
}

static void test_half_close_is_told_to_who_asks(void **state)
{
    struct waiting asks = WAITING(0, POLLRDHUP), other = WAITING(0, POLLPRI);

    other.deadline = wait_deadline(20 * MS);
    coro_start(waits, &asks);
    coro_start(waits, &other);
    run_loop();
    shutdown(ends[1], SHUT_WR);
    wait_run();
    assert_int_equal(asks.result, POLLRDHUP);
    assert_int_equal(other.result, -ETIMEDOUT);
}

static void test_deadline(void **state)
{
    struct waiting w = WAITING(0, POLLIN), past = WAITING(0, POLLIN);

    w.deadline = wait_deadline(20 * MS);
    past.deadline = 1;
    coro_start(waits, &past);
    on_coroutine(waits, &w);
    assert_int_equal(w.result, -ETIMEDOUT);
    assert_int_equal(past.result, -ETIMEDOUT);
    assert_true(wait_now() >= w.deadline);
}

/* What cannot be watched is an error. */
static void waits_for_others(void *arg)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    assert_int_equal(wait_fd(fd, POLLIN, WAIT_FOREVER), -EPERM);
    assert_int_equal(wait_fd(fd, 0, WAIT_FOREVER), -EPERM);
    assert_int_equal(wait_fd(-1, POLLIN, WAIT_FOREVER), -EBADF);
    close(fd);
    assert_int_equal(wait_fd(fd, POLLIN, WAIT_FOREVER), -EBADF);
    assert_int_equal(wait_fd(1000000, POLLIN, WAIT_FOREVER), -EBADF); /* far beyond the others */
}

static void test_what_cannot_be_watched(void **state)
{
    on_coroutine(waits_for_others, NULL);
}

/* ---- closing ---- */

static void test_close_wakes(void **state)
{
    struct waiting in = WAITING(0, POLLIN), out = WAITING(0, POLLOUT);

    fill(ends[0]);
    coro_start(waits, &in);
    coro_start(waits, &out);
    run_loop();
    wait_fd_close(ends[0]);
    wait_run();
    assert_int_equal(in.result, -EBADF);
    assert_int_equal(out.result, -EBADF);
}

/* The number belongs to another file now, and we did not see the close. */
static void test_number_is_used_again(void **state)
{
    struct waiting before = WAITING(0, POLLIN), after = WAITING(0, POLLIN);
    int other[2];

    coro_start(waits, &before);
    run_loop();
    assert_int_equal(write(ends[1], "x", 1), 1);
    wait_run();
    assert_true(before.over);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
    assert_int_equal(syscall(SYS_dup3, other[0], ends[0], O_CLOEXEC), ends[0]); /* closes the old one in passing */
    assert_int_equal(syscall(SYS_close, other[0]), 0);
    coro_start(waits, &after);
    run_loop();
    assert_false(after.over);
    assert_int_equal(write(other[1], "x", 1), 1);
    wait_run();
    assert_int_equal(after.result, POLLIN);
    close(other[1]);
}

/* The old file is still open under another number, and still a member of the set under this one. */
static void test_an_event_of_the_former_file_is_harmless(void **state)
{
    struct waiting before = WAITING(0, POLLIN), after = WAITING(0, POLLIN);
    int other[2], kept = dup(ends[0]);

    before.deadline = wait_deadline(MS);
    on_coroutine(waits, &before);
    assert_int_equal(before.result, -ETIMEDOUT);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
    assert_int_equal(syscall(SYS_dup3, other[0], ends[0], O_CLOEXEC), ends[0]);
    coro_start(waits, &after);
    run_loop();
    assert_int_equal(write(ends[1], "x", 1), 1);
    run_loop();
    if (after.over) { /* spurious, which is allowed: the caller tries again, and waits again */
        assert_int_equal(recv(ends[0], &kept, 0, MSG_DONTWAIT | MSG_PEEK), -1);
        after.over = false;
        coro_start(waits, &after);
        run_loop();
    }
    assert_false(after.over);
    assert_int_equal(write(other[1], "x", 1), 1);
    wait_run();
    assert_true(after.result & POLLIN);
    close(kept);
    close(other[0]);
    close(other[1]);
}

/* ---- sources ---- */

static struct wait_source source;
static int calls;
static short told;

static void on_ready(struct wait_source *s, short events)
{
    assert_ptr_equal(s, &source);
    assert_null(coro_self());
    calls++;
    told = events;
}

static void open_source(void)
{
    source = (struct wait_source){.ready = on_ready, .fd = ends[0]};
    assert_int_equal(wait_source_open(&source), 0);
    run_loop();
    calls = 0; /* becoming writable was an edge too */
    source.seen = 0;
}

static void test_source_is_edge_triggered(void **state)
{
    open_source();
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(write(ends[1], "x", 1), 1); /* never read: each write is an edge, and nothing else is */
        run_loop();
        run_loop();
        assert_int_equal(calls, i);
        assert_true(told & POLLIN);
    }
    assert_true(source.seen & POLLIN);
    wait_source_close(&source);
}

static void test_source_gathers_what_was_seen(void **state)
{
    struct waiting out = WAITING(0, POLLOUT);

    open_source();
    fill(ends[0]);
    coro_start(waits, &out);
    run_loop();
    source.seen = 0;
    assert_int_equal(write(ends[1], "x", 1), 1);
    shutdown(ends[1], SHUT_WR);
    drain(ends[1]);
    wait_run();
    assert_true(out.result & POLLOUT);
    assert_int_equal(source.seen & (POLLIN | POLLOUT | POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
    wait_source_close(&source);
}

/* A waiter of a source gets the event; the callback is called only if there is none. */
static void test_source_with_a_waiter(void **state)
{
    struct waiting in = WAITING(0, POLLIN);

    open_source();
    coro_start(waits, &in);
    run_loop();
    assert_int_equal(write(ends[1], "x", 1), 1);
    wait_run();
    assert_true(in.result & POLLIN);
    assert_int_equal(calls, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    run_loop();
    assert_int_equal(calls, 1);
    wait_source_close(&source);
}

static void test_source_close_wakes(void **state)
{
    struct waiting in = WAITING(0, POLLIN);

    open_source();
    coro_start(waits, &in);
    run_loop();
    wait_source_close(&source);
    wait_run();
    assert_int_equal(in.result, -EBADF);
}

/* A source that was ended reports nothing, though a child still has the file open and another source has its number. */
static void test_ended_source_is_silent(void **state)
{
    for (int with_child = 0; with_child < 2; with_child++) {
        pid_t child = 0;
        int peer = ends[1], number = ends[0];

        open_source();
        if (with_child && (child = fork()) == 0) {
            alarm(10); /* in case the test fails */
            pause();
            _exit(0);
        }
        wait_source_end(&source);
        assert_int_equal(make_pair(state), 0);
        assert_int_equal(ends[0], number);
        open_source();
        send(peer, "x", 1, MSG_NOSIGNAL);
        run_loop();
        assert_int_equal(calls, 0);
        assert_int_equal(source.seen, 0);
        wait_source_close(&source);
        close(peer);
        if (child > 0) {
            kill(child, SIGKILL);
            waitpid(child, NULL, 0);
        }
    }
}

/* A closed source reports nothing more, even if the file stays open, in a forked child for example. */
static void test_closed_source_is_silent(void **state)
{
    open_source();
    wait_source_close(&source);
    assert_int_equal(write(ends[1], "x", 1), 1);
    run_loop();
    assert_int_equal(calls, 0);
    assert_int_equal(source.seen, 0);
}

/* A source was closed while a child had the file open, and another source gets its number. */
static void test_number_of_a_source_is_used_again(void **state)
{
    int kept = dup(ends[0]), other[2];

    open_source();
    wait_source_close(&source);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
    assert_int_equal(syscall(SYS_dup3, other[0], ends[0], O_CLOEXEC), ends[0]);
    open_source();
    close(ends[1]); /* the former peer hangs up */
    run_loop();
    assert_int_equal(source.seen, 0);
    wait_source_close(&source);
    close(kept);
    close(other[0]);
    ends[1] = other[1];
}

/* It can be closed for a while and opened again: what is there then is reported again, once. */
static void test_shared_source_reports_what_is_there(void **state)
{
    source = (struct wait_source){.ready = on_ready, .fd = ends[0]};
    assert_int_equal(write(ends[1], "x", 1), 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(wait_source_open_shared(&source), 0);
        calls = 0;
        run_loop();
        assert_int_equal(calls, 1);
        wait_source_close(&source);
        calls = 0;
        run_loop();
        assert_int_equal(calls, 0);
    }
}

/* ---- events of one batch ---- */

/* A source whose handler closes another one, and opens a third with its number. */
static struct {
    struct wait_source closes, closed, opened;
    int peers[3]; /* of these */
    short told;   /* events that the third was called for */
    bool unseen;  /* the close is one of those that we do not see */
    struct waiting waiting;
} batch;

static void on_ignored(struct wait_source *s, short events)
{
}

static void on_opened(struct wait_source *s, short events)
{
    batch.told |= events;
}

static int open_pair(int *peer)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *peer = pair[1];
    return pair[0];
}

static void close_and_open(struct wait_source *s, short events)
{
    int number = batch.closed.fd, fd;

    if (!(events & POLLIN) || batch.peers[2])
        return;
    fd = open_pair(&batch.peers[2]);
    if (batch.unseen)
        assert_int_equal(syscall(SYS_close, number), 0);
    else
        wait_source_end(&batch.closed);
    assert_int_equal(fcntl(fd, F_DUPFD_CLOEXEC, number), number);
    close(fd);
    if (batch.unseen) {
        batch.waiting = (struct waiting){.fd = number, .events = POLLIN, .deadline = wait_deadline(50 * MS)};
        assert_true(coro_run(waits, &batch.waiting));
    } else {
        batch.opened = (struct wait_source){.ready = on_opened, .fd = number};
        assert_int_equal(wait_source_open(&batch.opened), 0);
    }
}

/* Make one batch of two events: the first is for the source that closes the other one. */
static void make_batch(void)
{
    assert_int_equal(write(batch.peers[0], "x", 1), 1);
    assert_int_equal(write(batch.peers[1], "x", 1), 1);
    run_loop();
    assert_true(batch.peers[2] > 0);
}

static void setup_batch(void)
{
    memset(&batch, 0, sizeof(batch));
    batch.closes = (struct wait_source){.ready = close_and_open, .fd = open_pair(&batch.peers[0])};
    batch.closed = (struct wait_source){.ready = on_ignored, .fd = open_pair(&batch.peers[1])};
    assert_int_equal(wait_source_open(&batch.closes), 0);
}

static void release_batch(void)
{
    wait_source_end(&batch.closes);
    for (size_t i = 0; i < COUNT(batch.peers); i++)
        close(batch.peers[i]);
}

static void test_an_event_of_a_closed_source_is_dropped(void **state)
{
    setup_batch();
    assert_int_equal(wait_source_open(&batch.closed), 0);
    run_loop();
    make_batch();
    assert_true(batch.told & POLLOUT);
    assert_false(batch.told & POLLIN);
    assert_false(batch.opened.seen & POLLIN);
    wait_source_end(&batch.opened);
    release_batch();
}

/* The same for coroutines, where the descriptor was closed behind our back. */
static void test_an_event_of_a_closed_descriptor_wakes_nobody(void **state)
{
    struct waiting before;

    setup_batch();
    batch.unseen = true;
    before = (struct waiting){.fd = batch.closed.fd, .events = POLLIN, .deadline = wait_deadline(50 * MS)};
    coro_start(waits, &before);
    run_loop();
    make_batch();
    wait_run();
    assert_int_equal(batch.waiting.result, -ETIMEDOUT);
    assert_int_equal(before.result, -ETIMEDOUT);
    wait_fd_close(batch.waiting.fd);
    close(batch.waiting.fd);
    release_batch();
}

/* ---- what a wait costs ---- */

/* Events are kept when somebody uses up a slice, and each is handled once. */
static struct wait_source crowd[4];
static int crowd_calls[4], polls_of_crowd[4], crowd_polls;

static void uses_up_slice_in_dispatch(struct wait_source *s, short events)
{
    int n = (int)(s - crowd);

    crowd_calls[n]++;
    polls_of_crowd[n] = crowd_polls;
    atomic_store(&slice.over, true);
}

static void count_poll_of_crowd(void)
{
    crowd_polls++;
}

static void test_events_are_kept_when_a_slice_is_used_up(void **state)
{
    int peers[4];

    for (int i = 0; i < 4; i++) {
        crowd[i] = (struct wait_source){uses_up_slice_in_dispatch, open_pair(&peers[i]), 0};
        assert_int_equal(wait_source_open(&crowd[i]), 0);
    }
    run_loop(); /* they are writable */
    memset(crowd_calls, 0, sizeof(crowd_calls));
    crowd_polls = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(write(peers[i], "a", 1), 1);
    wait_each_iteration(count_poll_of_crowd);
    run_loop();
    run_loop();
    wait_each_iteration(NULL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(crowd_calls[i], 1);
        for (int n = 0; n < i; n++)
            assert_true(polls_of_crowd[i] != polls_of_crowd[n]); /* the loop has polled between them */
        wait_source_end(&crowd[i]);
        close(peers[i]);
    }
}

static int epoll_ctls, mallocs;

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    epoll_ctls++;
    return (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
}

#ifndef __SANITIZE_ADDRESS__ /* whose malloc is not libc's */
void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
    mallocs++;
    return __libc_malloc(size);
}
#endif

static void waits_often(void *arg)
{
    int *most = arg;

    for (int i = 0; i < 10; i++) {
        int ctls = epoll_ctls, allocated = mallocs;

        assert_int_equal(wait_fd(ends[0], POLLIN, wait_deadline(1000000)), -ETIMEDOUT);
        if (i == 0) /* the first wait allocates the watch and the heap of timers, which stay */
            continue;
        assert_int_equal(mallocs, allocated);
        if (epoll_ctls - ctls > *most)
            *most = epoll_ctls - ctls;
    }
}

static void test_a_wait_is_cheap(void **state)
{
    int most = 0;

    on_coroutine(waits_often, &most);
    assert_in_range(most, 0, 2);
    assert_true(epoll_ctls > 0);
#ifndef __SANITIZE_ADDRESS__
    assert_true(mallocs > 0);
#endif
}

int main(void)
{
#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, make_pair, close_pair)
    const struct CMUnitTest tests[] = {
        WITH_PAIR(test_both_directions),
        WITH_PAIR(test_out_before_in),
        WITH_PAIR(test_two_readers_both_wake),
        WITH_PAIR(test_hang_up_wakes_all),
        WITH_PAIR(test_half_close_is_told_to_who_asks),
        WITH_PAIR(test_deadline),
        cmocka_unit_test(test_what_cannot_be_watched),
        WITH_PAIR(test_close_wakes),
        WITH_PAIR(test_number_is_used_again),
        WITH_PAIR(test_an_event_of_the_former_file_is_harmless),
        WITH_PAIR(test_source_is_edge_triggered),
        WITH_PAIR(test_source_gathers_what_was_seen),
        WITH_PAIR(test_source_with_a_waiter),
        WITH_PAIR(test_source_close_wakes),
        WITH_PAIR(test_closed_source_is_silent),
        WITH_PAIR(test_ended_source_is_silent),
        WITH_PAIR(test_number_of_a_source_is_used_again),
        WITH_PAIR(test_shared_source_reports_what_is_there),
        cmocka_unit_test(test_an_event_of_a_closed_source_is_dropped),
        cmocka_unit_test(test_an_event_of_a_closed_descriptor_wakes_nobody),
        cmocka_unit_test(test_events_are_kept_when_a_slice_is_used_up),
        WITH_PAIR(test_a_wait_is_cheap),
    };

    return cmocka_run_group_tests(tests, loop_setup, loop_teardown);
}
