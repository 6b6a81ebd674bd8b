/* Calls by syscall() other than futex, and libc's own threads: aio, getaddrinfo_a; terminals; wordexp. */
#include "libc_test.h"

#include <aio.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <netdb.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <wordexp.h>

#include "libc/io/open.h"

#define SET_SIZE ((size_t)_NSIG / 8)
#define LONG_MS  5000

static void write_byte(long fd)
{
    assert_int_equal(write((int)fd, "x", 1), 1);
}

/* Whether less was left than there was, but not nothing. */
static int some_is_left(const struct timespec *left)
{
    return left->tv_sec < LONG_MS / 1000 && left->tv_sec > 0;
}

/* ---- descriptors ---- */

static void readiness(struct scene *s)
{
    struct timespec left = {LONG_MS / 1000, 0}, wrong = {0, -1};
    struct pollfd look = {.events = POLLIN};
    struct epoll_event event = {.events = EPOLLIN};
    int ends[2], epoll = epoll_create1(0);
    sigset_t none;
    fd_set in;

    sigemptyset(&none);
    make_pipe(ends);
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    later(s, write_byte, ends[1]);
    CALL(&s->report, syscall(SYS_pselect6, ends[0] + 1, &in, NULL, NULL, &left, NULL));
    report(&s->report, "%d %d\n", FD_ISSET(ends[0], &in) != 0, some_is_left(&left));
    read(ends[0], &(char){0}, 1);
    left = (struct timespec){LONG_MS / 1000, 0};
    later(s, write_byte, ends[1]);
    CALL(&s->report, syscall(SYS_pselect6, ends[0] + 1, &in, NULL, NULL, &left, (void *[]){&none, (void *)SET_SIZE}));
    CALL(&s->report, syscall(SYS_pselect6, ends[0] + 1, &in, NULL, NULL, &left, (void *[]){&none, (void *)3}));
    read(ends[0], &(char){0}, 1);
    look.fd = ends[0];
    left = (struct timespec){LONG_MS / 1000, 0};
    later(s, write_byte, ends[1]);
    CALL(&s->report, syscall(SYS_ppoll, &look, 1, &left, &none, SET_SIZE));
    report(&s->report, "%d %d\n", look.revents, some_is_left(&left));
    CALL(&s->report, syscall(SYS_ppoll, &look, 1, &wrong, NULL, 0));
    CALL(&s->report, syscall(SYS_ppoll, &look, 1, NULL, &none, 3));
    read(ends[0], &(char){0}, 1);
    assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), 0);
    later(s, write_byte, ends[1]);
    CALL(&s->report, syscall(SYS_epoll_pwait, epoll, &event, 1, LONG_MS, &none, SET_SIZE));
    read(ends[0], &(char){0}, 1);
    left = (struct timespec){LONG_MS / 1000, 0};
    later(s, write_byte, ends[1]);
    CALL(&s->report, syscall(SYS_epoll_pwait2, epoll, &event, 1, &left, NULL, 0));
    close(epoll);
    close_both(ends);
}
COMPARE(readiness, 5 * BEATS)

static void transfers(struct scene *s)
{
    char buf[4], other[4];
    struct iovec parts[] = {{buf, 1}, {other, 1}};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = parts, .msg_iovlen = 2}};
    int ends[2], onto[2];

    make_pipe(ends);
    make_pipe(onto);
    later(s, write_byte, ends[1]);
    CALL(&s->report, syscall(SYS_preadv2, ends[0], parts, 2, -1L, -1L, 0));
    later(s, write_byte, ends[1]);
    CALL(&s->report, preadv2(ends[0], parts, 2, -1, 0));
    CALL(&s->report, preadv2(ends[0], parts, 2, 0, 0));
    CALL(&s->report, preadv2(-1, parts, 2, -1, 0));
    CALL(&s->report, preadv2(ends[0], parts, 2, -1, RWF_NOWAIT));
    CALL(&s->report, pwritev2(ends[1], parts, 2, -1, RWF_DSYNC));
    CALL(&s->report, read(ends[0], buf, 4));
    later(s, write_byte, ends[1]);
    CALL(&s->report, syscall(SYS_tee, ends[0], onto[1], 1, 0));
    read(ends[0], buf, 1);
    later(s, write_byte, ends[1]);
    CALL(&s->report, syscall(SYS_vmsplice, ends[0], parts, 1, 0));
    close_both(ends);
    close_both(onto);
    make_pair(SOCK_STREAM, ends);
    later(s, write_byte, ends[1]);
    CALL(&s->report, syscall(SYS_recvmmsg, ends[0], &message, 1, 0, NULL));
    report(&s->report, "%u\n", message.msg_len);
    CALL(&s->report, syscall(SYS_sendmmsg, ends[0], &message, 1, 0));
    close_both(ends);
}
COMPARE(transfers, 5 * BEATS)

static char path[] = "/tmp/test_libc_syscalls.XXXXXX";

static void open_for_writing(long unused)
{
    close(open(path, O_WRONLY));
}

static void unlock(long fd)
{
    flock((int)fd, LOCK_UN);
}

static void unlock_record(long fd)
{
    struct flock whole = {.l_type = F_UNLCK};

    fcntl((int)fd, F_OFD_SETLK, &whole);
}

static void files(struct scene *s)
{
    struct flock whole = {.l_type = F_WRLCK};
    int fd, held;

    strcpy(path + sizeof(path) - 7, "XXXXXX");
    held = mkstemp(path);
    fd = open(path, O_RDWR);
    assert_int_equal(flock(held, LOCK_EX), 0);
    later(s, unlock, held);
    CALL(&s->report, syscall(SYS_flock, fd, LOCK_EX));
    assert_int_equal(fcntl(held, F_OFD_SETLK, &whole), 0);
    later(s, unlock_record, held);
    CALL(&s->report, syscall(SYS_fcntl, fd, F_OFD_SETLKW, &whole));
    close(fd);
    close(held);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    later(s, open_for_writing, 0);
    fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
    report(&s->report, "%d", fd >= 0);
    close(fd);
#ifdef SYS_open
    later(s, open_for_writing, 0);
    fd = (int)syscall(SYS_open, path, O_RDONLY);
    close(fd);
#endif
    report(&s->report, "%d\n", fd >= 0);
    unlink(path);
}
COMPARE(files, 4 * BEATS)

/* A path that starts at the directory, whatever it begins with; a mode that is refused; sizes of other kernels. */
static void opens_by_openat2(struct scene *s)
{
    struct {
        struct open_how how;
        uint64_t more;
    } how = {{.flags = O_RDONLY, .resolve = RESOLVE_IN_ROOT}, 0};
    int dir = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

    strcpy(path + sizeof(path) - 7, "XXXXXX");
    close(mkstemp(path));
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    later(s, open_for_writing, 0);
    fd = (int)syscall(SYS_openat2, dir, path + strlen("/tmp"), &how, sizeof(how.how));
    report(&s->report, "%d %o\n", fd >= 0, fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
    close(fd);
    how.how = (struct open_how){.flags = O_RDONLY};
    later(s, open_for_writing, 0);
    fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how.how));
    report(&s->report, "%d\n", fd >= 0);
    close(fd);
    later(s, open_for_writing, 0);
    fd = openat2(AT_FDCWD, path, &how.how, sizeof(how.how)); /* which glibc has from 2.43 on, and ours always */
    report(&s->report, "%d\n", fd >= 0);
    close(fd);
    unlink(path);
    CALL(&s->report, syscall(SYS_openat2, dir, path, &how, sizeof(how.how)));
    CALL(&s->report, syscall(SYS_openat2, dir, "/", &how, sizeof(how.how) - 1));
    how.more = 1;
    CALL(&s->report, syscall(SYS_openat2, dir, "/", &how, sizeof(how)));
    how.how.mode = 0600;
    CALL(&s->report, syscall(SYS_openat2, dir, "/", &how, sizeof(how.how)));
    close(dir);
}
COMPARE(opens_by_openat2, 3 * BEATS)

/* ---- messages and signals ---- */

static mqd_t queue;
static int messages, semaphores;

static void queue_send(long unused)
{
    assert_int_equal(mq_send(queue, "four", 4, 5), 0);
}

static void message_send(long unused)
{
    assert_int_equal(msgsnd(messages, &(struct msgbuf){7, {'m'}}, 1, 0), 0);
}

static void semaphore_up(long unused)
{
    assert_int_equal(semop(semaphores, &(struct sembuf){.sem_op = 1}, 1), 0);
}

static void queues(struct scene *s)
{
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 8};
    struct timespec until = in_ms(CLOCK_REALTIME, LATER_MS);
    struct sembuf down = {.sem_op = -1};
    struct msgbuf message;
    unsigned priority = 0;
    char buf[8], name[32];

    snprintf(name, sizeof(name), "/syscalls-%d", getpid());
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
    assert_int_not_equal(queue, -1);
    mq_unlink(name);
    later(s, queue_send, 0);
    CALL(&s->report, syscall(SYS_mq_timedreceive, queue, buf, sizeof(buf), &priority, NULL));
    report(&s->report, "%u\n", priority);
    CALL(&s->report, syscall(SYS_mq_timedreceive, queue, buf, sizeof(buf), NULL, &until));
    CALL(&s->report, syscall(SYS_mq_timedsend, queue, buf, 4, 0, NULL));
    until = in_ms(CLOCK_REALTIME, LATER_MS);
    CALL(&s->report, syscall(SYS_mq_timedsend, queue, buf, 4, 0, &until));
    mq_close(queue);
    messages = msgget(IPC_PRIVATE, 0600);
    semaphores = semget(IPC_PRIVATE, 1, 0600);
    later(s, message_send, 0);
    CALL(&s->report, syscall(SYS_msgrcv, messages, &message, 1, 0L, 0));
    CALL(&s->report, syscall(SYS_msgsnd, messages, &message, 1, 0));
    later(s, semaphore_up, 0);
    CALL(&s->report, syscall(SYS_semop, semaphores, &down, 1));
    later(s, semaphore_up, 0);
    CALL(&s->report, syscall(SYS_semtimedop, semaphores, &down, 1, NULL));
    msgctl(messages, IPC_RMID, NULL);
    semctl(semaphores, 0, IPC_RMID);
}
COMPARE(queues, 4 * BEATS)

static void send_signal(long signum)
{
    kill(getpid(), (int)signum);
}

static void signals_and_children(struct scene *s)
{
    struct timespec length = {LONG_MS / 1000, 0};
    struct rusage usage = {.ru_maxrss = 0};
    siginfo_t info = {0};
    sigset_t set;
    pid_t pid;

    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    later(s, send_signal, SIGURG);
    CALL(&s->report, syscall(SYS_rt_sigtimedwait, &set, &info, &length, SET_SIZE) == SIGURG);
    report(&s->report, "%d\n", info.si_signo == SIGURG);
    CALL(&s->report, syscall(SYS_rt_sigtimedwait, &set, &info, &length, (size_t)3));
    pid = child(3);
    CALL(&s->report, syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOWAIT, &usage));
    CALL(&s->report, syscall(SYS_waitid, P_PID, pid, &info, WEXITED, &usage));
    report(&s->report, "%d %d %d\n", info.si_pid == pid, info.si_status, usage.ru_maxrss > 0);
    CALL(&s->report, syscall(SYS_waitid, P_PID, pid, &info, WEXITED, NULL));
}
COMPARE(signals_and_children, 2 * BEATS)

/* ---- operations of the kernel ---- */

struct ring {
    int fd;
    struct io_uring_params params;
    char *submissions, *completions;
    struct io_uring_sqe *entries;
};

static bool ring_open(struct ring *ring)
{
    size_t size = 4096;

    memset(ring, 0, sizeof(*ring));
    ring->fd = (int)syscall(SYS_io_uring_setup, 4, &ring->params);
    if (ring->fd < 0)
        return false;
    ring->submissions = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
    ring->completions = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_CQ_RING);
    ring->entries = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQES);
    return true;
}

static void ring_poll(struct ring *ring, int fd)
{
    unsigned *tail = (unsigned *)(ring->submissions + ring->params.sq_off.tail);
    unsigned *array = (unsigned *)(ring->submissions + ring->params.sq_off.array), at = *tail % 4;

    ring->entries[at] = (struct io_uring_sqe){.opcode = IORING_OP_POLL_ADD, .fd = fd, .poll_events = POLLIN};
    array[at] = at;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

static unsigned ring_count(const struct ring *ring)
{
    const unsigned *head = (unsigned *)(ring->completions + ring->params.cq_off.head);
    const unsigned *tail = (unsigned *)(ring->completions + ring->params.cq_off.tail);

    return __atomic_load_n(tail, __ATOMIC_ACQUIRE) - *head;
}

static long ring_call(const struct ring *ring, unsigned submit, unsigned count, unsigned flags, void *arg, size_t size)
{
    return syscall(SYS_io_uring_enter, ring->fd, submit, count, flags, arg, size);
}

static void ring(struct scene *s)
{
    struct timespec length = {0, LATER_MS * 1000000L};
    struct io_uring_getevents_arg arg = {.ts = (uint64_t)(uintptr_t)&length};
    int one[2], two[2];
    struct ring r;

    if (!ring_open(&r)) { /* not allowed here */
        usleep(LATER_MS * 1000);
        return;
    }
    make_pipe(one);
    make_pipe(two);
    ring_poll(&r, one[0]);
    later(s, write_byte, one[1]);
    CALL(&s->report, ring_call(&r, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
    report(&s->report, "%u\n", ring_count(&r));
    CALL(&s->report, ring_call(&r, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0));
    ring_poll(&r, two[0]);
    CALL(&s->report, ring_call(&r, 1, 2, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)));
    CALL(&s->report, ring_call(&r, 0, 2, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)));
    later(s, write_byte, two[1]);
    CALL(&s->report, ring_call(&r, 0, 2, IORING_ENTER_GETEVENTS, NULL, 0));
    report(&s->report, "%u\n", ring_count(&r));
    wait_for_helpers(s);
    close(r.fd);
    close_both(one);
    close_both(two);
}

static void test_ring(void **state)
{
    compare(ring, BEATS);
}

static void kernel_aio(struct scene *s)
{
    struct iocb one = {.aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = POLLIN}, *list[] = {&one};
    struct timespec length = {0, LATER_MS * 1000000L};
    struct io_event events[2];
    aio_context_t context = 0;
    int ends[2];

    make_pipe(ends);
    one.aio_fildes = (unsigned)ends[0];
    assert_int_equal(syscall(SYS_io_setup, 2, &context), 0);
    CALL(&s->report, syscall(SYS_io_submit, context, 1, list));
    CALL(&s->report, syscall(SYS_io_getevents, context, 1, 2, events, &length));
    later(s, write_byte, ends[1]);
    CALL(&s->report, syscall(SYS_io_getevents, context, 1, 2, events, NULL));
    CALL(&s->report, syscall(SYS_io_getevents, context, 3, 2, events, NULL));
    syscall(SYS_io_destroy, context);
    close_both(ends);
}
COMPARE(kernel_aio, 2 * BEATS)

/* ---- operations of libc's threads ---- */

static void libc_aio(struct scene *s)
{
    char buf[4];
    int ends[2];
    struct aiocb one = {.aio_buf = buf, .aio_nbytes = 1, .aio_lio_opcode = LIO_READ}, *list[] = {NULL, &one};
    struct timespec length = {0, LATER_MS * 1000000L};

    make_pipe(ends);
    one.aio_fildes = ends[0];
    CALL(&s->report, aio_read(&one));
    CALL(&s->report, aio_suspend((const struct aiocb *const *)list, 2, &length));
    later(s, write_byte, ends[1]);
    CALL(&s->report, aio_suspend((const struct aiocb *const *)list, 2, NULL));
    CALL(&s->report, aio_return(&one));
    CALL(&s->report, aio_suspend((const struct aiocb *const *)list, 2, NULL));
    later(s, write_byte, ends[1]);
    CALL(&s->report, lio_listio(LIO_WAIT, list, 2, NULL));
    CALL(&s->report, aio_return(&one));
    close_both(ends);
}
COMPARE(libc_aio, 3 * BEATS)

static void libc_names(struct scene *s)
{
    struct gaicb one = {.ar_name = "localhost"}, *list[] = {&one};

    CALL(&s->report, getaddrinfo_a(GAI_WAIT, list, 1, NULL));
    report(&s->report, "%d\n", one.ar_result != NULL);
    CALL(&s->report, getaddrinfo_a(GAI_NOWAIT, list, 1, NULL));
    while (gai_suspend((const struct gaicb *const *)list, 1, NULL) == EAI_INTR)
        ;
    CALL(&s->report, gai_error(&one));
    CALL(&s->report, gai_suspend((const struct gaicb *const *)list, 1, NULL));
}
COMPARE(libc_names, 0)

static void words(struct scene *s)
{
    wordexp_t result;

    CALL(&s->report, wordexp("a $(sleep 0.03; echo b c)", &result, 0));
    report(&s->report, "%zu %s\n", result.we_wordc, result.we_wordv[2]);
    wordfree(&result);
    CALL(&s->report, wordexp("$(echo)", &result, WRDE_NOCMD));
}
COMPARE(words, BEATS)

static void terminal(struct scene *s)
{
    int main_end = posix_openpt(O_RDWR | O_NOCTTY), end;
    struct termios termios;

    assert_int_equal(grantpt(main_end), 0);
    assert_int_equal(unlockpt(main_end), 0);
    end = open(ptsname(main_end), O_RDWR | O_NOCTTY);
    CALL(&s->report, tcgetattr(end, &termios));
    CALL(&s->report, tcsetattr(end, TCSADRAIN, &termios));
    CALL(&s->report, tcsetattr(end, 77, &termios));
    CALL(&s->report, tcdrain(end));
    CALL(&s->report, tcsendbreak(end, 0));
    CALL(&s->report, tcdrain(-1));
    CALL(&s->report, tcsetattr(-1, TCSAFLUSH, &termios));
    close(end);
    close(main_end);
}
COMPARE(terminal, 0)

/* Before there are other threads, which would get the signal. */
static int block_signal(void **state)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return libc_test_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readiness), cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_files),     cmocka_unit_test(test_opens_by_openat2),
        cmocka_unit_test(test_queues),    cmocka_unit_test(test_signals_and_children),
        cmocka_unit_test(test_ring),      cmocka_unit_test(test_kernel_aio),
        cmocka_unit_test(test_libc_aio),  cmocka_unit_test(test_libc_names),
        cmocka_unit_test(test_words),     cmocka_unit_test(test_terminal),
    };

    return cmocka_run_group_tests(tests, block_signal, libc_test_teardown);
}
