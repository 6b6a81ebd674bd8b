/* open of a FIFO, close with SO_LINGER, message queues, System V IPC, and pipes that are full. */
#include "libc_test.h"

#include <limits.h>
#include <mqueue.h>
#include <netinet/tcp.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* ---- FIFOs ---- */

static char fifo[] = "/tmp/test_libc_calls.XXXXXX";
static int held_end;

static void make_fifo(void)
{
    strcpy(fifo + sizeof(fifo) - 7, "XXXXXX");
    close(mkstemp(fifo));
    unlink(fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
}

static void open_end(long flags)
{
    held_end = open(fifo, (int)flags); /* in an OS thread */
}

static void write_to_fifo(long unused)
{
    open_end(O_WRONLY);
    assert_int_equal(write(held_end, "hello\n", 6), 6);
    close(held_end);
}

static void open_and_close(long flags)
{
    open_end(flags);
    close(held_end);
}

/* What reading gives, and the flags of the open file. */
static void report_fifo(struct scene *s, int fd)
{
    char buf[16] = "";

    if (fd < 0) {
        report(&s->report, "%s\n", strerrorname_np(errno));
        return;
    }
    report(&s->report, "flags %o %o", fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND), fcntl(fd, F_GETFD));
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
        report(&s->report, " read %zd", read(fd, buf, sizeof(buf)));
    report(&s->report, " %s\n", buf);
    close(fd);
}

static void open_fifo(struct scene *s)
{
    int fd;

    make_fifo();
    later(s, write_to_fifo, 0);
    report_fifo(s, open(fifo, O_RDONLY));
    wait_for_helpers(s);
    later(s, open_and_close, O_WRONLY); /* a writer that says nothing */
    report_fifo(s, open(fifo, O_RDONLY | O_CLOEXEC));
    wait_for_helpers(s);
    later(s, open_end, O_WRONLY); /* one that stays */
    fd = open(fifo, O_RDONLY);
    report(&s->report, "%d\n", fd >= 0);
    wait_for_helpers(s);
    close(fd);
    close(held_end);
    later(s, open_end, O_RDONLY);
    report_fifo(s, openat(AT_FDCWD, fifo, O_WRONLY | O_APPEND));
    wait_for_helpers(s);
    close(held_end);
    later(s, open_end, O_RDONLY);
    report_fifo(s, creat(fifo, 0600));
    wait_for_helpers(s);
    close(held_end);
    unlink(fifo);
}
COMPARE(open_fifo, 5 * BEATS)

/* These do not wait. */
static void open_at_once(struct scene *s)
{
    make_fifo();
    report_fifo(s, open(fifo, O_RDONLY | O_NONBLOCK));
    report_fifo(s, open(fifo, O_WRONLY | O_NONBLOCK));
    CALL(&s->report, close(open(fifo, O_RDWR)));
    CALL(&s->report, open(fifo, O_RDONLY | O_DIRECTORY));
    CALL(&s->report, open(fifo, O_WRONLY | O_CREAT | O_EXCL, 0600));
    CALL(&s->report, close(open("/dev/null", O_RDWR)));
    CALL(&s->report, open("/nonexistent/x", O_RDONLY));
    CALL(&s->report, close(open("/tmp", O_TMPFILE | O_RDWR, 0600)));
    unlink(fifo);
}
COMPARE(open_at_once, 0)

static void fopen_fifo(struct scene *s)
{
    char line[16] = "";
    FILE *file;

    make_fifo();
    later(s, write_to_fifo, 0);
    file = fopen(fifo, "re");
    report(&s->report, "%d", file != NULL);
    report(&s->report, " %s", fgets(line, sizeof(line), file));
    fclose(file);
    wait_for_helpers(s);
    later(s, open_end, O_RDONLY);
    file = fopen(fifo, "w");
    report(&s->report, "%d\n", file != NULL);
    fclose(file);
    wait_for_helpers(s);
    close(held_end);
    unlink(fifo);
    CALL(&s->report, fopen(fifo, "r") == NULL);
    CALL(&s->report, fopen(fifo, "q") == NULL);
}
COMPARE(fopen_fifo, 2 * BEATS)

/* Two coroutines are each other's partners. */
static void fifo_reader(void *arg)
{
    char buf[8];
    int fd = open(fifo, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, buf, sizeof(buf)), 2);
    close(fd);
}

static void fifo_writer(void *arg)
{
    int fd = open(fifo, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "ab", 2), 2);
    close(fd);
}

static void test_fifo_between_coroutines(void **state)
{
    make_fifo();
    RUN(NULL, fifo_reader, fifo_writer);
    RUN(NULL, fifo_writer, fifo_reader);
    unlink(fifo);
}

static struct coro *waiter;

static void open_cancelled(void *arg)
{
    waiter = coro_self();
    errno = 0;
    assert_int_equal(open(fifo, *(int *)arg), -1);
    assert_int_equal(errno, EINTR);
    wait_cancel(waiter, 0);
}

static void cancel_it(void *arg)
{
    usleep(5000);
    wait_cancel(waiter, -EINTR);
}

static void test_open_cancelled(void **state)
{
    int modes[] = {O_RDONLY, O_WRONLY};

    make_fifo();
    for (int i = 0; i < 2; i++)
        RUN(&modes[i], open_cancelled, cancel_it);
    unlink(fifo);
}

/* ---- SO_LINGER ---- */

/* A connection whose peer reads nothing, with more than its buffers hold. */
static void make_stuck_connection(int ends[2], int seconds)
{
    struct linger linger = {1, seconds};
    struct sockaddr_in at;
    int listener = make_listener(&at, 1), size = 4096, on = 1;
    char block[65536] = {0};

    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(ends[0], (struct sockaddr *)&at, sizeof(at)), 0);
    ends[1] = accept(listener, NULL, NULL);
    setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    while (send(ends[0], block, sizeof(block), MSG_DONTWAIT) > 0)
        ;
    close(listener);
}

static void read_all(long fd)
{
    char block[65536];

    while (recv((int)fd, block, sizeof(block), 0) > 0)
        ;
}

static void linger(struct scene *s)
{
    int ends[2];
    int64_t start;

    make_stuck_connection(ends, 5);
    later(s, read_all, ends[1]);
    start = now_ms();
    CALL(&s->report, close(ends[0]));
    report(&s->report, "%d %d\n", now_ms() - start >= LATER_MS - 1, now_ms() - start < 4000);
    wait_for_helpers(s);
    close(ends[1]);
    make_stuck_connection(ends, 1);
    start = now_ms();
    CALL(&s->report, dup2(STDIN_FILENO, ends[0]) == ends[0]);
    report(&s->report, "%d\n", now_ms() - start >= 900);
    close_both(ends);
}
COMPARE(linger, 10 * BEATS)

/* ---- POSIX message queues ---- */

static mqd_t queue;

static void open_queue(int flags)
{
    struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 8};

    mq_unlink("/test_libc_calls");
    queue = mq_open("/test_libc_calls", O_RDWR | O_CREAT | flags, 0600, &attributes);
}

static void send_message(long priority)
{
    mq_send(queue, "hi", 2, (unsigned)priority);
}

static void take_message(long unused)
{
    char buf[8];

    mq_receive(queue, buf, sizeof(buf), NULL);
}

static void message_queue(struct scene *s)
{
    struct timespec until, wrong = {0, 1000000000};
    unsigned priority = 0;
    char buf[8];

    open_queue(0);
    later(s, send_message, 3);
    CALL(&s->report, mq_receive(queue, buf, sizeof(buf), &priority));
    report(&s->report, "%u\n", priority);
    until = in_ms(CLOCK_REALTIME, 20);
    CALL(&s->report, mq_timedreceive(queue, buf, sizeof(buf), NULL, &until));
    CALL(&s->report, mq_timedreceive(queue, buf, sizeof(buf), NULL, &wrong));
    CALL(&s->report, mq_receive(queue, buf, 4, NULL));
    CALL(&s->report, mq_send(queue, "one", 3, 1));
    CALL(&s->report, mq_send(queue, "two", 3, 1));
    CALL(&s->report, mq_timedsend(queue, "no", 2, 1, &until));
    later(s, take_message, 0);
    CALL(&s->report, mq_send(queue, "three", 5, 1));
    wait_for_helpers(s);
    until = in_ms(CLOCK_REALTIME, 5000);
    later(s, take_message, 0);
    CALL(&s->report, mq_timedsend(queue, "four", 4, 1, &until));
    wait_for_helpers(s);
    mq_close(queue);
    open_queue(O_NONBLOCK);
    CALL(&s->report, mq_receive(queue, buf, sizeof(buf), NULL));
    mq_close(queue);
    CALL(&s->report, mq_receive(-1, buf, sizeof(buf), NULL));
    mq_unlink("/test_libc_calls");
}
COMPARE(message_queue, 4 * BEATS)

/* ---- System V ---- */

static int ipc_id;

struct letter {
    long type;
    char text[8];
};

static void put_letter(long type)
{
    struct letter letter = {type, "letter"};

    msgsnd(ipc_id, &letter, sizeof(letter.text), 0);
}

static void take_letter(long type)
{
    struct letter letter;

    msgrcv(ipc_id, &letter, sizeof(letter.text), type, 0);
}

static void remove_queue(long unused)
{
    msgctl(ipc_id, IPC_RMID, NULL);
}

static void letters(struct scene *s)
{
    struct letter letter = {5, "full"};
    struct msqid_ds limits;

    ipc_id = msgget(IPC_PRIVATE, 0600);
    later(s, put_letter, 7);
    CALL(&s->report, msgrcv(ipc_id, &letter, sizeof(letter.text), 0, 0));
    report(&s->report, "%ld %s\n", letter.type, letter.text);
    CALL(&s->report, msgrcv(ipc_id, &letter, sizeof(letter.text), 0, IPC_NOWAIT));
    msgctl(ipc_id, IPC_STAT, &limits);
    limits.msg_qbytes = 2 * sizeof(letter.text);
    msgctl(ipc_id, IPC_SET, &limits);
    CALL(&s->report, msgsnd(ipc_id, &letter, sizeof(letter.text), 0));
    CALL(&s->report, msgsnd(ipc_id, &letter, sizeof(letter.text), 0));
    CALL(&s->report, msgsnd(ipc_id, &letter, sizeof(letter.text), IPC_NOWAIT));
    later(s, take_letter, 7);
    CALL(&s->report, msgsnd(ipc_id, &letter, sizeof(letter.text), 0));
    wait_for_helpers(s);
    later(s, remove_queue, 0);
    CALL(&s->report, msgrcv(ipc_id, &letter, sizeof(letter.text), 99, 0));
    wait_for_helpers(s);
    CALL(&s->report, msgrcv(-1, &letter, sizeof(letter.text), 0, 0));
}
COMPARE(letters, 3)

static void raise_semaphore(long number)
{
    semop(ipc_id, &(struct sembuf){(unsigned short)number, 1, 0}, 1);
}

static void semaphores(struct scene *s)
{
    struct sembuf down = {0, -1, 0}, try_down = {0, -1, IPC_NOWAIT}, both[] = {{0, -1, 0}, {1, -1, 0}};
    struct sembuf mixed[] = {{0, -1, 0}, {1, -1, IPC_NOWAIT}};
    struct timespec interval = {0, 20000000}, wrong = {0, -1};

    ipc_id = semget(IPC_PRIVATE, 2, 0600);
    later(s, raise_semaphore, 0);
    CALL(&s->report, semop(ipc_id, &down, 1));
    CALL(&s->report, semop(ipc_id, &try_down, 1));
    CALL(&s->report, semtimedop(ipc_id, &down, 1, &interval));
    CALL(&s->report, semtimedop(ipc_id, &down, 1, &wrong));
    later(s, raise_semaphore, 0);
    after(s, 2 * LATER_MS, raise_semaphore, 1);
    CALL(&s->report, semop(ipc_id, both, 2));
    wait_for_helpers(s);
    later(s, raise_semaphore, 0); /* then the second one fails at once */
    CALL(&s->report, semop(ipc_id, mixed, 2));
    wait_for_helpers(s);
    CALL(&s->report, semop(ipc_id, &try_down, 1));
    semctl(ipc_id, 0, IPC_RMID);
    CALL(&s->report, semop(ipc_id, &down, 1));
}
COMPARE(semaphores, 3)

/* ---- pipes ---- */

static size_t drained;

static void drain_pipe(long fd)
{
    char block[8192];
    ssize_t got;

    drained = 0;
    while (drained < 200000 && (got = read((int)fd, block, sizeof(block))) > 0) {
        drained += (size_t)got;
        usleep(200);
    }
}

static void fill_pipe(int fd)
{
    char block[4096] = {0};

    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (write(fd, block, sizeof(block)) > 0)
        ;
    fcntl(fd, F_SETFL, 0);
}

static void sendfile_to_pipe(struct scene *s)
{
    int ends[2], file = (int)memfd_create("test", MFD_CLOEXEC);
    off_t at = 0;

    assert_int_equal(ftruncate(file, 134464), 0);
    make_pipe(ends);
    fill_pipe(ends[1]);
    later(s, drain_pipe, ends[0]);
    while (sendfile(ends[1], file, &at, 200000) > 0) /* the kernel sends a part if the pipe is full */
        ;
    report(&s->report, "%ld\n", (long)at);
    close(ends[1]);
    wait_for_helpers(s);
    report(&s->report, "%zu\n", drained);
    close(file);
    close(ends[0]);
}
COMPARE(sendfile_to_pipe, BEATS)

static void send_to_slow_socket(void *arg)
{
    struct run *run = arg;
    int ends[2], file = (int)memfd_create("test", MFD_CLOEXEC);

    assert_int_equal(ftruncate(file, 200000), 0);
    make_pair(SOCK_STREAM, ends);
    later(&run->scene, drain_pipe, ends[0]);
    assert_int_equal(sendfile(ends[1], file, NULL, 200000), 200000);
    wait_for_helpers(&run->scene);
    assert_int_equal(drained, 200000);
    close(file);
    close_both(ends);
    run->over = true;
}

static void test_sendfile_to_slow_socket(void **state)
{
    struct run run = {0};

    run.scene.beats = &run.beats;
    RUN(&run, send_to_slow_socket, tick);
    assert_int_equal(run.scene.stalls, 0);
}

static void write_a_bit(long fd)
{
    assert_int_equal(write((int)fd, "abc", 3), 3);
}

static void tee_pipe(struct scene *s)
{
    int from[2], to[2];
    char buf[8];

    make_pipe(from);
    make_pipe(to);
    later(s, write_a_bit, from[1]);
    CALL(&s->report, tee(from[0], to[1], 100, 0));
    CALL(&s->report, read(to[0], buf, sizeof(buf)));
    CALL(&s->report, read(from[0], buf, sizeof(buf)));
    CALL(&s->report, tee(from[0], to[1], 100, SPLICE_F_NONBLOCK));
    close(from[1]);
    CALL(&s->report, tee(from[0], to[1], 100, 0));
    CALL(&s->report, tee(STDIN_FILENO, -1, 100, 0));
    close(from[0]);
    close_both(to);
}
COMPARE(tee_pipe, BEATS)

static void vmsplice_pipe(struct scene *s)
{
    static char block[134464];
    struct iovec part = {block, sizeof(block)};
    int ends[2];
    ssize_t put;

    make_pipe(ends);
    fill_pipe(ends[1]);
    later(s, drain_pipe, ends[0]);
    while (part.iov_len > 0 && (put = vmsplice(ends[1], &part, 1, 0)) > 0)
        part.iov_len -= (size_t)put;
    report(&s->report, "%zu\n", part.iov_len);
    wait_for_helpers(s);
    report(&s->report, "%zu\n", drained);
    later(s, write_a_bit, ends[1]);
    CALL(&s->report, vmsplice(ends[0], &(struct iovec){block, 100}, 1, 0));
    close_both(ends);
}
COMPARE(vmsplice_pipe, 2 * BEATS)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_fifo),
        cmocka_unit_test(test_open_at_once),
        cmocka_unit_test(test_fopen_fifo),
        cmocka_unit_test(test_fifo_between_coroutines),
        cmocka_unit_test(test_open_cancelled),
        cmocka_unit_test(test_linger),
        cmocka_unit_test(test_message_queue),
        cmocka_unit_test(test_letters),
        cmocka_unit_test(test_semaphores),
        cmocka_unit_test(test_sendfile_to_pipe),
        cmocka_unit_test(test_sendfile_to_slow_socket),
        cmocka_unit_test(test_tee_pipe),
        cmocka_unit_test(test_vmsplice_pipe),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
