/* connect and accept: the same to their caller on a coroutine as in a thread. */
#include "libc_test.h"

#include <sys/time.h>

static struct sockaddr_in at;

static int new_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int flags_of(int fd)
{
    return fcntl(fd, F_GETFL);
}

/* ---- connect ---- */

static void connect_tcp(struct scene *s)
{
    int listener = make_listener(&at, 5), fd = new_socket(), flags = flags_of(fd), peer;

    CALL(&s->report, connect(fd, (struct sockaddr *)&at, sizeof(at)));
    report(&s->report, "%d\n", flags_of(fd) == flags);
    CALL(&s->report, connect(fd, (struct sockaddr *)&at, sizeof(at)));
    peer = accept(listener, NULL, NULL);
    CALL(&s->report, send(fd, "abc", 3, 0));
    close(fd);
    close(peer);
    close(listener);
    fd = new_socket();
    CALL(&s->report, connect(fd, (struct sockaddr *)&at, sizeof(at))); /* the listener is closed */
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    CALL(&s->report, bind(listener, (struct sockaddr *)&at, sizeof(at)));
    CALL(&s->report, listen(listener, 5));
    CALL(&s->report, connect(fd, (struct sockaddr *)&at, sizeof(at))); /* the same socket again, after it was refused */
    close(fd);
    close(listener);
}
COMPARE(connect_tcp, 0)

static void connect_wrong(struct scene *s)
{
    struct sockaddr_un nowhere = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
    int fd = new_socket(), file = open("/dev/null", O_RDONLY), local = socket(AF_UNIX, SOCK_STREAM, 0);

    CALL(&s->report, connect(file, (struct sockaddr *)&at, sizeof(at)));
    CALL(&s->report, connect(-1, (struct sockaddr *)&at, sizeof(at)));
    CALL(&s->report, connect(fd, (struct sockaddr *)&at, 1));
    CALL(&s->report, connect(local, (struct sockaddr *)&nowhere, sizeof(nowhere)));
    close(fd);
    close(file);
    close(local);
}
COMPARE(connect_wrong, 0)

/* A listener whose backlog is full drops further SYNs, so that a connect waits until a connection is accepted. */
static int fill_backlog(int *fds, int count)
{
    int filled = 0;

    for (; filled < count; filled++) {
        fds[filled] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fds[filled], (struct sockaddr *)&at, sizeof(at));
    }
    return filled;
}

static void connect_times_out(struct scene *s)
{
    int listener = make_listener(&at, 0), others[4], fd = new_socket();
    struct timeval limit = {0, 30000};

    fill_backlog(others, 4);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    CALL(&s->report, connect(fd, (struct sockaddr *)&at, sizeof(at)));
    CALL(&s->report, connect(fd, (struct sockaddr *)&at, sizeof(at)));
    for (int i = 0; i < 4; i++)
        close(others[i]);
    close(fd);
    close(listener);
}
COMPARE(connect_times_out, BEATS)

static void accept_all(long fd)
{
    int accepted;

    for (int i = 0; i < 4; i++) {
        accepted = accept((int)fd, NULL, NULL);
        close(accepted);
    }
}

static void connect_unix(struct scene *s)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(un);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), fds[4];
    struct timeval limit = {0, 30000};

    bind(listener, (struct sockaddr *)&un, sizeof(sa_family_t));
    getsockname(listener, (struct sockaddr *)&un, &size);
    listen(listener, 0);
    for (int i = 0; i < 4; i++)
        fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
    CALL(&s->report, connect(fds[0], (struct sockaddr *)&un, size));
    setsockopt(fds[1], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    CALL(&s->report, connect(fds[1], (struct sockaddr *)&un, size)); /* the backlog is full */
    later(s, accept_all, listener);
    setsockopt(fds[1], SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){0}, sizeof(limit));
    for (int i = 1; i < 4; i++)
        CALL(&s->report, connect(fds[i], (struct sockaddr *)&un, size));
    wait_for_helpers(s);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(listener);
}
COMPARE(connect_unix, 2 * BEATS)

/* ---- accept ---- */

static void connect_to_it(long fd)
{
    int client = new_socket();

    connect(client, (struct sockaddr *)&at, sizeof(at));
    send(client, "abc", 3, 0);
    close(client);
}

static void accept_tcp(struct scene *s)
{
    int listener = make_listener(&at, 5), fd, file = open("/dev/null", O_RDONLY);
    struct sockaddr_in from = {0};
    socklen_t size = sizeof(from);
    struct timeval limit = {0, 20000};
    char buf[8] = "";

    later(s, connect_to_it, 0);
    fd = accept(listener, (struct sockaddr *)&from, &size);
    report(&s->report, "%d %u %x\n", fd > 0, size, ntohl(from.sin_addr.s_addr));
    CALL(&s->report, recv(fd, buf, sizeof(buf), MSG_WAITALL));
    close(fd);
    later(s, connect_to_it, 0);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    report(&s->report, "%d %d\n", (flags_of(fd) & O_NONBLOCK) != 0, fcntl(fd, F_GETFD));
    close(fd);
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    CALL(&s->report, accept(listener, NULL, NULL));
    CALL(&s->report, accept(file, NULL, NULL));
    CALL(&s->report, accept(-1, NULL, NULL));
    close(listener);
    CALL(&s->report, accept(new_socket(), NULL, NULL));
    close(file);
}
COMPARE(accept_tcp, 3 * BEATS)

/* ---- several coroutines at one listener ---- */

struct crowd {
    int listener, accepted;
};

static void accept_one(void *arg)
{
    struct crowd *crowd = arg;
    int fd = accept(crowd->listener, NULL, NULL);

    assert_true(fd >= 0);
    crowd->accepted++;
    close(fd);
}

static void connect_three(void *arg)
{
    for (int i = 0; i < 3; i++) {
        int fd = new_socket();

        assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
        close(fd);
        usleep(2000);
    }
}

static void test_crowd(void **state)
{
    struct crowd crowd = {.listener = make_listener(&at, 5)};

    RUN(&crowd, accept_one, accept_one, accept_one, connect_three);
    assert_int_equal(crowd.accepted, 3);
    close(crowd.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_tcp),       cmocka_unit_test(test_connect_wrong),
        cmocka_unit_test(test_connect_times_out), cmocka_unit_test(test_connect_unix),
        cmocka_unit_test(test_accept_tcp),        cmocka_unit_test(test_crowd),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
