/* Blocking calls on sockets and pipes: the same to their caller on a coroutine as in a thread. */
#include "libc_test.h"

#include <limits.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>

ssize_t __read_chk(int fd, void *buf, size_t size, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t size, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t size, size_t room, int flags, struct sockaddr *from, socklen_t *len);

static char big[1 << 20]; /* does not fit into any buffer of the kernel */

/* ---- what helpers do ---- */

static void put_abc(long fd)
{
    assert_int_equal(write((int)fd, "abc", 3), 3);
}

static void shut(long fd)
{
    shutdown((int)fd, SHUT_WR);
}

static void close_it(long fd)
{
    close((int)fd);
}

/* Read to the end, and count the bytes. */
static size_t drained;

static void drain(long fd)
{
    static char buf[65536];
    ssize_t got;

    drained = 0;
    while ((got = read((int)fd, buf, sizeof(buf))) > 0)
        drained += (size_t)got;
}

/* ---- reading ---- */

static void read_socket(struct scene *s)
{
    int ends[2];
    char buf[16] = "";

    make_pair(SOCK_STREAM, ends);
    later(s, put_abc, ends[1]);
    CALL(&s->report, recv(ends[0], buf, sizeof(buf), 0));
    report(&s->report, "%s\n", buf);
    later(s, put_abc, ends[1]);
    CALL(&s->report, read(ends[0], buf, 2));
    CALL(&s->report, recv(ends[0], buf, sizeof(buf), 0));
    later(s, shut, ends[1]);
    CALL(&s->report, recv(ends[0], buf, sizeof(buf), 0));
    CALL(&s->report, read(ends[0], buf, sizeof(buf)));
    close_both(ends);
}
COMPARE(read_socket, 3 * BEATS)

static void read_pipe(struct scene *s)
{
    int ends[2];
    char buf[16] = "";

    make_pipe(ends);
    later(s, put_abc, ends[1]);
    CALL(&s->report, read(ends[0], buf, sizeof(buf)));
    report(&s->report, "%s\n", buf);
    CALL(&s->report, read(ends[0], buf, 0));
    later(s, close_it, ends[1]);
    CALL(&s->report, read(ends[0], buf, sizeof(buf)));
    CALL(&s->report, pread(ends[0], buf, 1, 0));
    CALL(&s->report, read(-1, buf, 1));
    close(ends[0]);
}
COMPARE(read_pipe, 2 * BEATS)

static void read_vector(struct scene *s)
{
    int pipe_ends[2], ends[2];
    char a[2] = "", b[8] = "";
    struct iovec iov[IOV_MAX + 1] = {{a, 2}, {b, 8}};
    volatile int wrong = -1; /* hidden from the compiler, which would warn */

    make_pipe(pipe_ends);
    make_pair(SOCK_STREAM, ends);
    later(s, put_abc, pipe_ends[1]);
    CALL(&s->report, readv(pipe_ends[0], iov, 2));
    report(&s->report, "%.2s %s\n", a, b);
    later(s, put_abc, ends[1]);
    CALL(&s->report, readv(ends[0], iov, 2));
    CALL(&s->report, readv(ends[0], iov, 0));
    CALL(&s->report, readv(ends[0], iov, wrong));
    CALL(&s->report, readv(ends[0], iov, IOV_MAX + 1));
    close_both(ends);
    close_both(pipe_ends);
}
COMPARE(read_vector, 2 * BEATS)

static void read_fortified(struct scene *s)
{
    int ends[2];
    char buf[16];
    socklen_t size = 0;

    make_pair(SOCK_STREAM, ends);
    later(s, put_abc, ends[1]);
    CALL(&s->report, __read_chk(ends[0], buf, 16, 16));
    later(s, put_abc, ends[1]);
    CALL(&s->report, __recv_chk(ends[0], buf, 16, 16, 0));
    later(s, put_abc, ends[1]);
    CALL(&s->report, __recvfrom_chk(ends[0], buf, 16, 16, 0, NULL, &size));
    close_both(ends);
}
COMPARE(read_fortified, 3 * BEATS)

static void receive_datagram(struct scene *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, from;
    int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t size = sizeof(at);
    char buf[16] = "";
    struct iovec iov = {buf, 2};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof(from)};

    bind(in, (struct sockaddr *)&at, sizeof(at));
    getsockname(in, (struct sockaddr *)&at, &size);
    CALL(&s->report, connect(out, (struct sockaddr *)&at, size));
    later(s, put_abc, out);
    CALL(&s->report, recvfrom(in, buf, sizeof(buf), 0, (struct sockaddr *)&from, &size));
    report(&s->report, "%u %x %d\n", size, ntohl(from.sin_addr.s_addr), from.sin_port != 0);
    later(s, put_abc, out);
    CALL(&s->report, recvmsg(in, &msg, 0));
    report(&s->report, "%u %d\n", msg.msg_namelen, msg.msg_flags == MSG_TRUNC);
    close(in);
    close(out);
}
COMPARE(receive_datagram, 2 * BEATS)

static void put_two_datagrams(long fd)
{
    put_abc(fd);
    usleep(LATER_MS * 1000);
    put_abc(fd);
}

static void put_two_far_apart(long fd)
{
    put_abc(fd);
    usleep(8 * LATER_MS * 1000);
    put_abc(fd);
}

static void receive_many(struct scene *s)
{
    int ends[2];
    char buf[3][8];
    struct iovec iov[3] = {{buf[0], 8}, {buf[1], 8}, {buf[2], 8}};
    struct mmsghdr m[3] = {0};
    struct timespec timeout = {0, 5 * LATER_MS * 1000000};

    for (int i = 0; i < 3; i++)
        m[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    make_pair(SOCK_DGRAM, ends);
    later(s, put_two_datagrams, ends[1]);
    CALL(&s->report, recvmmsg(ends[0], m, 2, 0, NULL));
    report(&s->report, "%u %u\n", m[0].msg_len, m[1].msg_len);
    later(s, put_abc, ends[1]);
    CALL(&s->report, recvmmsg(ends[0], m, 3, MSG_WAITFORONE, NULL));
    later(s, put_two_far_apart, ends[1]); /* the second comes after the timeout, and ends the call */
    CALL(&s->report, recvmmsg(ends[0], m, 3, 0, &timeout));
    wait_for_helpers(s);
    errno = EAGAIN; /* left by an earlier call: no reason to wait */
    report(&s->report, "%d\n", recvmmsg(ends[0], m, 0, 0, NULL));
    close_both(ends);
}
COMPARE(receive_many, 4 * BEATS)

static void put_in_pieces(long fd)
{
    for (int i = 0; i < 4; i++) {
        put_abc(fd);
        usleep(5000);
    }
}

static void receive_all(struct scene *s)
{
    int ends[2];
    char buf[16] = "", second[6] = "";
    struct iovec iov[2] = {{buf, 6}, {second, 5}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

    make_pair(SOCK_STREAM, ends);
    later(s, put_in_pieces, ends[1]);
    CALL(&s->report, recv(ends[0], buf, 12, MSG_WAITALL));
    report(&s->report, "%s\n", buf);
    later(s, put_in_pieces, ends[1]);
    CALL(&s->report, recv(ends[0], buf, 8, MSG_WAITALL | MSG_PEEK));
    CALL(&s->report, recvmsg(ends[0], &msg, MSG_WAITALL));
    report(&s->report, "%s %s\n", buf, second);
    wait_for_helpers(s);
    CALL(&s->report, recv(ends[0], buf, 1, MSG_WAITALL));
    after(s, 6 * LATER_MS, shut, ends[1]);
    later(s, put_abc, ends[1]);
    CALL(&s->report, recv(ends[0], buf, 10, MSG_WAITALL));
    CALL(&s->report, recv(ends[0], buf, 10, MSG_OOB));
    wait_for_helpers(s);
    close_both(ends);
}
COMPARE(receive_all, 3 * BEATS)

static void receive_timeout(struct scene *s)
{
    int ends[2];
    char buf[4];
    struct timeval limit = {0, 4 * LATER_MS * 1000};
    int64_t start = now_ms();

    make_pair(SOCK_STREAM, ends);
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    CALL(&s->report, recv(ends[0], buf, sizeof(buf), 0));
    CALL(&s->report, read(ends[0], buf, sizeof(buf)));
    later(s, put_abc, ends[1]);
    CALL(&s->report, recv(ends[0], buf, 4, MSG_WAITALL));
    report(&s->report, "%d\n", now_ms() - start >= 12 * LATER_MS && now_ms() - start < 4000);
    wait_for_helpers(s);
    close_both(ends);
}
COMPARE(receive_timeout, 3 * BEATS)

/* ---- writing ---- */

static void write_socket(struct scene *s)
{
    int ends[2];
    struct iovec iov[3] = {{big, 300000}, {big, 0}, {big, 400001}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};

    make_pair(SOCK_STREAM, ends);
    later(s, drain, ends[1]);
    CALL(&s->report, send(ends[0], big, sizeof(big), 0));
    CALL(&s->report, write(ends[0], big, sizeof(big)));
    CALL(&s->report, writev(ends[0], iov, 3));
    CALL(&s->report, sendmsg(ends[0], &msg, 0));
    CALL(&s->report, sendto(ends[0], big, sizeof(big), 0, NULL, 0));
    close(ends[0]);
    wait_for_helpers(s);
    report(&s->report, "%zu\n", drained);
    close(ends[1]);
}
COMPARE(write_socket, BEATS)

/* ---- each call finds no room, and somebody reads later ---- */

static ssize_t by_send(int fd)
{
    return send(fd, big, sizeof(big), 0);
}

static ssize_t by_sendto(int fd)
{
    return sendto(fd, big, sizeof(big), 0, NULL, 0);
}

static ssize_t by_sendmsg(int fd)
{
    return sendmsg(fd, &(struct msghdr){.msg_iov = &(struct iovec){big, sizeof(big)}, .msg_iovlen = 1}, 0);
}

static ssize_t by_sendmmsg(int fd)
{
    struct iovec iov = {big, sizeof(big)};
    struct mmsghdr m[2] = {{.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}},
                           {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}}};

    return sendmmsg(fd, m, 2, 0) * 1000 + (m[0].msg_len == sizeof(big));
}

static ssize_t by_write(int fd)
{
    return write(fd, big, sizeof(big));
}

static ssize_t by_writev(int fd)
{
    return writev(fd, (struct iovec[]){{big, 300000}, {big, 400001}}, 2);
}

static ssize_t (*const ways_to_write[])(int fd) = {by_write, by_writev, by_send, by_sendto, by_sendmsg, by_sendmmsg};

/* Sockets in each way, pipes in the first two. */
static void write_in_each_way(struct scene *s)
{
    for (size_t i = 0; i < 2 + ARRAY_SIZE(ways_to_write); i++) {
        bool is_pipe = i < 2;
        int ends[2];

        if (is_pipe)
            make_pipe(ends);
        else
            make_pair(SOCK_STREAM, ends);
        later(s, drain, ends[0]);
        report(&s->report, "%zd\n", ways_to_write[is_pipe ? i : i - 2](ends[1]));
        close(ends[1]);
        wait_for_helpers(s);
        report(&s->report, "%zu\n", drained);
        close(ends[0]);
    }
}
COMPARE(write_in_each_way, 8 * BEATS)

static void write_pipe(struct scene *s)
{
    int ends[2];
    struct iovec iov[3] = {{big, 300000}, {big, 0}, {big, 400001}};

    make_pipe(ends);
    later(s, drain, ends[0]);
    CALL(&s->report, write(ends[1], big, 10));
    CALL(&s->report, write(ends[1], big, sizeof(big)));
    CALL(&s->report, writev(ends[1], iov, 3));
    CALL(&s->report, write(ends[1], big, 0));
    close(ends[1]);
    wait_for_helpers(s);
    report(&s->report, "%zu\n", drained);
    close(ends[0]);
}
COMPARE(write_pipe, BEATS)

static void write_nowhere(struct scene *s)
{
    int ends[2];
    struct timeval limit = {0, 20000};

    make_pair(SOCK_STREAM, ends);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    report(&s->report, "%d\n", send(ends[0], big, sizeof(big), 0) < (ssize_t)sizeof(big));
    CALL(&s->report, send(ends[0], big, sizeof(big), 0));
    later(s, close_it, ends[1]);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){0}, sizeof(limit));
    CALL(&s->report, send(ends[0], big, sizeof(big), 0));
    CALL(&s->report, write(ends[0], big, sizeof(big)));
    close(ends[0]);
    make_pipe(ends);
    later(s, close_it, ends[0]);
    report(&s->report, "%d\n", write(ends[1], big, sizeof(big)) < (ssize_t)sizeof(big));
    CALL(&s->report, write(ends[1], big, sizeof(big)));
    close(ends[1]);
}
COMPARE(write_nowhere, 3 * BEATS)

static void receive_slowly(long fd)
{
    char buf[64];

    usleep(2 * LATER_MS * 1000);
    for (int i = 0; i < 400; i++)
        if (recv((int)fd, buf, sizeof(buf), 0) < 0)
            break;
}

static int64_t cpu_ms(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

static void send_datagrams(struct scene *s)
{
    int64_t start = cpu_ms();
    int ends[2], out = socket(AF_UNIX, SOCK_DGRAM, 0), in = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(at);
    struct iovec iov = {"abc", 3};
    struct mmsghdr m[20] = {0};
    int sent = 0;

    bind(in, (struct sockaddr *)&at, sizeof(sa_family_t)); /* the kernel chooses an abstract name */
    getsockname(in, (struct sockaddr *)&at, &size);
    later(s, receive_slowly, in);
    for (int i = 0; i < 400; i++) /* the receiver's queue is full, but this socket stays writable */
        sent += sendto(out, "abc", 3, 0, (struct sockaddr *)&at, size) == 3;
    report(&s->report, "%d %d\n", sent, cpu_ms() - start < LATER_MS); /* without trying all the time */
    wait_for_helpers(s);
    make_pair(SOCK_DGRAM, ends);
    for (int i = 0; i < 20; i++)
        m[i].msg_hdr = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1};
    later(s, receive_slowly, ends[1]);
    for (int i = 0; i < 20; i++)
        sent += sendmmsg(ends[0], m, 20, 0) == 20;
    report(&s->report, "%d %u\n", sent, m[19].msg_len);
    wait_for_helpers(s);
    CALL(&s->report, sendto(out, "abc", 3, 0, (struct sockaddr *)&at, 1));
    setsockopt(out, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){0, 10000}, sizeof(struct timeval));
    errno = 0;
    while (sendto(out, "abc", 3, 0, (struct sockaddr *)&at, size) == 3)
        ;
    report(&s->report, "%s\n", strerrorname_np(errno)); /* the receiver has stopped */
    close_both(ends);
    close(in);
    close(out);
}
COMPARE(send_datagrams, 2 * BEATS)

/* Read to the end, and count the descriptors that are received. */
static int descriptors;

static void take_descriptors(long fd)
{
    static char buf[65536];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    ssize_t got;

    descriptors = 0;
    do {
        struct iovec iov = {buf, sizeof(buf)};
        struct msghdr msg = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        struct cmsghdr *header;

        got = recvmsg((int)fd, &msg, 0);
        header = got > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
        if (header) {
            descriptors++;
            close(*(int *)CMSG_DATA(header));
        }
    } while (got > 0);
}

static void send_descriptor(struct scene *s)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {{CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec iov = {big, sizeof(big)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int ends[2];

    make_pair(SOCK_STREAM, ends);
    *(int *)CMSG_DATA(&control.align) = ends[0];
    later(s, take_descriptors, ends[1]);
    CALL(&s->report, sendmsg(ends[0], &msg, 0));
    close(ends[0]);
    wait_for_helpers(s);
    report(&s->report, "%d\n", descriptors); /* sent with the first part only */
    close(ends[1]);
}
COMPARE(send_descriptor, BEATS)

static void count_event(struct scene *s)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    eventfd_t value = UINT64_MAX - 1;

    CALL(&s->report, write(fd, &value, 8));
    CALL(&s->report, eventfd_read(fd, &value));
    CALL(&s->report, eventfd_write(fd, 7));
    CALL(&s->report, eventfd_read(fd, &value));
    report(&s->report, "%d\n", (int)value);
    close(fd);
}
COMPARE(count_event, 0)

static void send_file(struct scene *s)
{
    int ends[2], fd = memfd_create("file", MFD_CLOEXEC);
    off_t at = 100;

    assert_int_equal(write(fd, big, sizeof(big)), sizeof(big));
    make_pair(SOCK_STREAM, ends);
    later(s, drain, ends[1]);
    CALL(&s->report, sendfile(ends[0], fd, &at, sizeof(big)));
    report(&s->report, "%ld %ld\n", (long)at, (long)lseek(fd, 0, SEEK_CUR));
    lseek(fd, 10, SEEK_SET);
    CALL(&s->report, sendfile(ends[0], fd, NULL, 100000));
    report(&s->report, "%ld\n", (long)lseek(fd, 0, SEEK_CUR));
    CALL(&s->report, sendfile(ends[0], fd, &at, 10));
    CALL(&s->report, sendfile(ends[0], ends[1], NULL, 10));
    CALL(&s->report, sendfile(ends[0], -1, NULL, 10));
    CALL(&s->report, sendfile(-1, fd, NULL, 10));
    close(ends[0]);
    wait_for_helpers(s);
    report(&s->report, "%zu\n", drained);
    close(ends[1]);
    close(fd);
}
COMPARE(send_file, BEATS)

static void splice_both(struct scene *s)
{
    int ends[2], pipe_ends[2];
    char buf[8] = "";

    make_pair(SOCK_STREAM, ends);
    make_pipe(pipe_ends);
    later(s, put_abc, ends[1]);
    CALL(&s->report, splice(ends[0], NULL, pipe_ends[1], NULL, 100, 0));
    CALL(&s->report, read(pipe_ends[0], buf, sizeof(buf)));
    later(s, put_abc, pipe_ends[1]);
    CALL(&s->report, splice(pipe_ends[0], NULL, ends[0], NULL, 100, 0));
    CALL(&s->report, splice(pipe_ends[0], NULL, ends[0], NULL, 100, SPLICE_F_NONBLOCK));
    CALL(&s->report, splice(ends[0], NULL, ends[1], NULL, 100, 0));
    later(s, close_it, pipe_ends[1]);
    CALL(&s->report, splice(pipe_ends[0], NULL, ends[0], NULL, 100, 0));
    close(pipe_ends[0]);
    close_both(ends);
}
COMPARE(splice_both, 3 * BEATS)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_socket),      cmocka_unit_test(test_read_pipe),
        cmocka_unit_test(test_read_vector),      cmocka_unit_test(test_read_fortified),
        cmocka_unit_test(test_receive_datagram), cmocka_unit_test(test_receive_many),
        cmocka_unit_test(test_receive_all),      cmocka_unit_test(test_receive_timeout),
        cmocka_unit_test(test_write_socket),     cmocka_unit_test(test_write_in_each_way),
        cmocka_unit_test(test_write_pipe),       cmocka_unit_test(test_write_nowhere),
        cmocka_unit_test(test_send_datagrams),   cmocka_unit_test(test_send_descriptor),
        cmocka_unit_test(test_count_event),      cmocka_unit_test(test_send_file),
        cmocka_unit_test(test_splice_both),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
