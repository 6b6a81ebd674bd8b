/*
 * test_fds.c: wait_fds on a coroutine compared with poll(2) in the kernel: each scene is set up twice, and both must
 * return the same.
 *
 * A scene fills in descriptors; an action on them follows at once, or a little later, while the call waits.
 */
#include "core_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "libc/runtime/park.h"

#define MAX_FDS 70
#define TIMEOUT 30   /* milliseconds of a call that finds nothing */
#define LONG    5000 /* of one that finds something */
#define LATER   5

struct scene {
    int ends[2];
    struct pollfd fds[MAX_FDS];
    nfds_t count;
    int also_close;
};

/* ---- scenes ---- */

static void use(struct scene *s, int fd, short events)
{
    s->fds[s->count++] = (struct pollfd){.fd = fd, .events = events, .revents = 0x55};
}

static void make_pipe(struct scene *s)
{
    assert_int_equal(pipe2(s->ends, O_CLOEXEC | O_NONBLOCK), 0);
}

static void make_pair(struct scene *s)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s->ends), 0);
}

static void make_tcp(struct scene *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&at, size) | listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    s->ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(s->ends[1], (struct sockaddr *)&at, size), 0);
    s->ends[0] = accept(listener, NULL, NULL);
    assert_true(s->ends[0] >= 0);
    close(listener);
}

static void pipe_in(struct scene *s)
{
    make_pipe(s);
    use(s, s->ends[0], POLLIN);
}

static void pipe_out(struct scene *s)
{
    make_pipe(s);
    use(s, s->ends[1], POLLOUT);
}

static void full_pipe_out(struct scene *s)
{
    static char zeros[65536];

    pipe_out(s);
    while (write(s->ends[1], zeros, sizeof(zeros)) > 0)
        ;
}

static void pipe_nothing_asked(struct scene *s)
{
    make_pipe(s);
    use(s, s->ends[0], 0);
}

static void pipe_writer_nothing_asked(struct scene *s)
{
    make_pipe(s);
    use(s, s->ends[1], 0);
}

static void pipe_old_names(struct scene *s)
{
    make_pipe(s);
    use(s, s->ends[0], POLLRDNORM);
    use(s, s->ends[0], POLLRDBAND);
}

static void pair_in(struct scene *s)
{
    make_pair(s);
    use(s, s->ends[0], POLLIN);
}

static void pair_all(struct scene *s)
{
    make_pair(s);
    use(s, s->ends[0], POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLERR | POLLHUP | POLLNVAL);
}

static void pair_rdhup(struct scene *s)
{
    make_pair(s);
    use(s, s->ends[0], POLLRDHUP);
}

static void pair_twice(struct scene *s)
{
    make_pair(s);
    use(s, s->ends[0], POLLIN);
    use(s, s->ends[0], POLLIN | POLLRDHUP);
    use(s, s->ends[1], POLLIN);
}

static void tcp_urgent(struct scene *s)
{
    make_tcp(s);
    use(s, s->ends[0], POLLPRI);
}

static void tcp_in(struct scene *s)
{
    make_tcp(s);
    use(s, s->ends[0], POLLIN | POLLRDHUP);
}

static void negative(struct scene *s)
{
    pipe_in(s);
    use(s, -1, POLLIN);
    use(s, -7, 0);
}

static void closed(struct scene *s)
{
    pipe_in(s);
    use(s, 900, POLLIN); /* no descriptor has so high a number here */
}

static void closed_nothing_asked(struct scene *s)
{
    pipe_in(s);
    use(s, 900, 0);
}

static void disk_file(struct scene *s)
{
    pipe_in(s);
    s->also_close = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    use(s, s->also_close, POLLIN | POLLOUT);
}

static void disk_file_nothing_asked(struct scene *s)
{
    pipe_in(s);
    s->also_close = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    use(s, s->also_close, 0);
}

static void none(struct scene *s)
{
    make_pipe(s);
}

static void many(struct scene *s)
{
    make_pair(s);
    while (s->count < MAX_FDS)
        use(s, s->ends[s->count % 3 == 0], s->count % 5 == 0 ? POLLIN : POLLRDHUP);
}

/* ---- actions ---- */

static void nothing(struct scene *s)
{
}

static void write_byte(struct scene *s)
{
    assert_int_equal(write(s->ends[1], "x", 1), 1);
}

static void send_urgent(struct scene *s)
{
    assert_int_equal(send(s->ends[1], "x", 1, MSG_OOB), 1);
}

static void empty(struct scene *s)
{
    static char scrap[65536];

    while (read(s->ends[0], scrap, sizeof(scrap)) > 0)
        ;
}

static void half_close(struct scene *s)
{
    shutdown(s->ends[1], SHUT_WR);
}

static void close_first(struct scene *s)
{
    close(s->ends[0]);
    s->ends[0] = -1;
}

static void close_second(struct scene *s)
{
    close(s->ends[1]);
    s->ends[1] = -1;
}

static void reset(struct scene *s)
{
    struct linger now = {1, 0};

    setsockopt(s->ends[1], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close_second(s);
}

static const struct {
    const char *name;
    void (*make)(struct scene *), (*happen)(struct scene *);
} scenes[] = {
    {"an empty pipe", pipe_in, nothing},
    {"a byte in a pipe", pipe_in, write_byte},
    {"the writer of a pipe leaves", pipe_in, close_second},
    {"room in a pipe", pipe_out, nothing},
    {"a full pipe", full_pipe_out, nothing},
    {"a full pipe is emptied", full_pipe_out, empty},
    {"the reader of a pipe leaves", full_pipe_out, close_first},
    {"nothing is asked of a pipe", pipe_nothing_asked, write_byte},
    {"nothing is asked, and the writer leaves", pipe_nothing_asked, close_second},
    {"nothing is asked, and the reader leaves", pipe_writer_nothing_asked, close_first},
    {"POLLRDNORM and POLLRDBAND", pipe_old_names, write_byte},
    {"a byte in a socket", pair_in, write_byte},
    {"all events of a socket", pair_all, write_byte},
    {"all events, the peer half-closes", pair_all, half_close},
    {"all events, the peer leaves", pair_all, close_second},
    {"POLLRDHUP and a byte", pair_rdhup, write_byte},
    {"POLLRDHUP and half a close", pair_rdhup, half_close},
    {"a socket three times", pair_twice, write_byte},
    {"a socket three times, half-closed", pair_twice, half_close},
    {"urgent data", tcp_urgent, send_urgent},
    {"ordinary data where urgent is asked for", tcp_urgent, write_byte},
    {"a TCP peer half-closes", tcp_in, half_close},
    {"a TCP peer resets", tcp_in, reset},
    {"negative numbers", negative, nothing},
    {"negative numbers and a byte", negative, write_byte},
    {"a closed one", closed, nothing},
    {"a closed one of which nothing is asked", closed_nothing_asked, nothing},
    {"a disk file", disk_file, nothing},
    {"a disk file of which nothing is asked", disk_file_nothing_asked, nothing},
    {"a disk file of which nothing is asked, and a byte", disk_file_nothing_asked, write_byte},
    {"no descriptors", none, nothing},
    {"more than fit on the stack", many, nothing},
    {"more than fit on the stack, and a byte", many, write_byte},
    {"more than fit on the stack, half-closed", many, half_close},
};

/* ---- the comparison ---- */

/* What one of the two calls returned. */
struct answer {
    struct scene scene;
    size_t number;
    bool later;
    int timeout, result;
    int64_t took;
};

static void *happen_later(void *arg)
{
    struct answer *a = arg;

    usleep(LATER * 1000);
    scenes[a->number].happen(&a->scene);
    return NULL;
}

static void begin(struct answer *a, pthread_t *thread)
{
    scenes[a->number].make(&a->scene);
    if (!a->later)
        scenes[a->number].happen(&a->scene);
    else
        assert_int_equal(pthread_create(thread, NULL, happen_later, a), 0);
}

static void end(struct answer *a, const pthread_t *thread)
{
    struct scene *s = &a->scene;

    if (a->later)
        pthread_join(*thread, NULL);
    for (int i = 0; i < 2; i++)
        if (s->ends[i] >= 0)
            close(s->ends[i]);
    if (s->also_close > 0)
        close(s->also_close);
}

static void ask_kernel(struct answer *a)
{
    pthread_t thread;
    int64_t before;

    begin(a, &thread);
    before = wait_now();
    a->result = poll(a->scene.fds, a->scene.count, a->timeout);
    a->took = wait_now() - before;
    end(a, &thread);
}

static void ask_wait_fds(void *arg)
{
    struct answer *a = arg;
    pthread_t thread;
    int64_t before;

    begin(a, &thread);
    before = wait_now();
    a->result = wait_fds(a->scene.fds, a->scene.count, wait_deadline(a->timeout * MS));
    a->took = wait_now() - before;
    end(a, &thread);
}

static void compare(size_t number, bool later)
{
    struct answer look = {.number = number}, kernel, ours;

    ask_kernel(&look); /* whether there will be anything to wait for */
    kernel = ours = (struct answer){.number = number, .later = later, .timeout = look.result > 0 ? LONG : TIMEOUT};
    ask_kernel(&kernel);
    on_coroutine(ask_wait_fds, &ours);
    if (ours.result != kernel.result)
        fail_msg("%s: %d, but poll says %d", scenes[number].name, ours.result, kernel.result);
    for (nfds_t i = 0; i < kernel.scene.count; i++)
        if (ours.scene.fds[i].revents != kernel.scene.fds[i].revents)
            fail_msg("%s: descriptor %d: %#x, but poll says %#x", scenes[number].name, (int)i,
                     ours.scene.fds[i].revents, kernel.scene.fds[i].revents);
    if (kernel.result == 0)
        assert_true(ours.took >= TIMEOUT * MS);
}

static void test_at_once(void **state)
{
    for (size_t i = 0; i < COUNT(scenes); i++)
        compare(i, false);
}

static void test_while_it_waits(void **state)
{
    for (size_t i = 0; i < COUNT(scenes); i++)
        compare(i, true);
}

/* ---- what poll(2) does not have ---- */

static void waits_for_ever(void *arg)
{
    struct answer *a = arg;

    pair_twice(&a->scene);
    a->result = wait_fds(a->scene.fds, a->scene.count, WAIT_FOREVER);
}

static struct coro *waiter;

static void cancels(void *arg)
{
    wait_cancel(waiter, -EINTR);
}

static void test_cancel(void **state)
{
    struct answer a = {0};

    waiter = coro_start(waits_for_ever, &a);
    on_coroutine(cancels, NULL);
    assert_int_equal(a.result, -EINTR);
    end(&a, NULL);
}

/* Closed after wait_fd_close: the call reports POLLNVAL. */
static void closes(void *arg)
{
    struct answer *a = arg;

    wait_fd_close(a->scene.ends[0]);
    close_first(&a->scene);
}

static void test_close(void **state)
{
    struct answer a = {0};

    waiter = coro_start(waits_for_ever, &a);
    on_coroutine(closes, &a);
    assert_int_equal(a.result, 3); /* the peer has a hang-up */
    assert_int_equal(a.scene.fds[0].revents, POLLNVAL);
    assert_int_equal(a.scene.fds[1].revents, POLLNVAL);
    assert_int_equal(a.scene.fds[2].revents, POLLIN | POLLHUP);
    end(&a, NULL);
}

/* ---- libc's own poll ---- */

static int others_turns;

static void counts(void *arg)
{
    others_turns++;
}

/* A call that finds something at once does not let others run, as every 64th poll() of an application does. */
static void asks_often(void *arg)
{
    struct scene s = {0};

    pipe_out(&s);
    coro_start(counts, NULL);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(wait_fds(s.fds, s.count, WAIT_FOREVER), 1);
    assert_int_equal(others_turns, 0);
    close(s.ends[0]);
    close(s.ends[1]);
}

static void test_a_call_that_need_not_wait_does_not_yield(void **state)
{
    park_init(); /* from now on poll() of this program parks */
    on_coroutine(asks_often, NULL);
    assert_int_equal(others_turns, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_while_it_waits),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_a_call_that_need_not_wait_does_not_yield),
    };

    return cmocka_run_group_tests(tests, loop_setup, loop_teardown);
}
