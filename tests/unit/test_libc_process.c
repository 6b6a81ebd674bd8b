/* Children, commands and their pipes: the same to their caller on a coroutine as in a thread. */
#include "libc_test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A child that stops, continues and dies when it gets the signals for that. */
static pid_t idle_child(void)
{
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static void stop_it(long pid)
{
    kill((pid_t)pid, SIGSTOP);
}

static void continue_it(long pid)
{
    kill((pid_t)pid, SIGCONT);
}

static void kill_it(long pid)
{
    kill((pid_t)pid, SIGKILL);
}

static void wait_for_pid(struct scene *s)
{
    int status = 0;
    struct rusage usage = {0};
    pid_t pid = child(3);

    CALL(&s->report, waitpid(pid, &status, WNOHANG));
    report(&s->report, "%d %x\n", waitpid(pid, &status, 0) == pid, status);
    CALL(&s->report, waitpid(pid, &status, 0)); /* already reaped */
    pid = child(4);
    report(&s->report, "%d %x %d\n", wait4(pid, &status, 0, &usage) == pid, status, usage.ru_maxrss > 0);
    pid = child(5);
    report(&s->report, "%d %x\n", wait(&status) == pid, status);
    pid = child(6);
    report(&s->report, "%d %x\n", wait3(&status, 0, &usage) == pid, status);
    pid = child(7);
    report(&s->report, "%d %x\n", waitpid(0, &status, 0) == pid, status);
    pid = idle_child();
    later(s, kill_it, pid);
    report(&s->report, "%d %x\n", waitpid(pid, &status, 0) == pid, status);
    CALL(&s->report, wait(NULL));
    CALL(&s->report, waitpid(-1, NULL, 0x40000));
}
COMPARE(wait_for_pid, 6 * BEATS)

static void wait_for_change(struct scene *s)
{
    int status = 0;
    pid_t pid = idle_child();

    later(s, stop_it, pid);
    report(&s->report, "%d %x\n", waitpid(pid, &status, WUNTRACED) == pid, status);
    later(s, continue_it, pid);
    report(&s->report, "%d %x\n", waitpid(pid, &status, WCONTINUED) == pid, status);
    later(s, kill_it, pid);
    report(&s->report, "%d %x\n", waitpid(pid, &status, WUNTRACED | WCONTINUED) == pid, status);
}
COMPARE(wait_for_change, 3 * BEATS)

static void wait_by_id(struct scene *s)
{
    siginfo_t info = {0};
    pid_t pid = child(3);
    int fd;

    CALL(&s->report, waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG));
    report(&s->report, "%d\n", info.si_pid);
    CALL(&s->report, waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    report(&s->report, "%d %d %d\n", info.si_pid == pid, info.si_code == CLD_EXITED, info.si_status);
    CALL(&s->report, waitid(P_PID, (id_t)pid, NULL, WEXITED));
    pid = child(4);
    CALL(&s->report, waitid(P_ALL, 0, &info, WEXITED));
    report(&s->report, "%d %d\n", info.si_pid == pid, info.si_status);
    pid = child(5);
    fd = (int)syscall(SYS_pidfd_open, pid, 0);
    CALL(&s->report, waitid(P_PIDFD, (id_t)fd, &info, WEXITED));
    report(&s->report, "%d %d\n", info.si_pid == pid, info.si_status);
    close(fd);
    pid = idle_child();
    later(s, stop_it, pid);
    CALL(&s->report, waitid(P_PID, (id_t)pid, &info, WSTOPPED));
    later(s, kill_it, pid);
    CALL(&s->report, waitid(P_PGID, 0, &info, WEXITED));
    CALL(&s->report, waitid(P_PID, (id_t)pid, &info, WEXITED));
    CALL(&s->report, waitid(P_ALL, 0, &info, 0));
}
COMPARE(wait_by_id, 5 * BEATS)

/* ---- without descriptors ---- */

static void wait_without_fds(void *arg)
{
    struct run *run = arg;
    struct rlimit old, none;
    int status, fd;
    pid_t pid = child(9);

    fd = dup(0);
    getrlimit(RLIMIT_NOFILE, &old);
    none = (struct rlimit){(rlim_t)fd, old.rlim_max};
    close(fd);
    setrlimit(RLIMIT_NOFILE, &none);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 9 << 8);
    setrlimit(RLIMIT_NOFILE, &old);
    run->over = true;
}

static void test_without_fds(void **state)
{
    struct run run = {0};

    RUN(&run, wait_without_fds, tick);
    assert_true(run.beats >= BEATS);
}

/* ---- commands ---- */

static void run_commands(struct scene *s)
{
    CALL(&s->report, system("sleep 0.02; exit 5"));
    CALL(&s->report, system("kill -9 $$"));
    CALL(&s->report, system("/nonexistent/command 2>/dev/null"));
    CALL(&s->report, system(NULL));
}
COMPARE(run_commands, BEATS)

static void read_command(struct scene *s)
{
    FILE *pipe = popen("sleep 0.02; echo one; sleep 0.02; echo two; exit 3", "r");
    char line[16] = "";
    int fd = fileno(pipe);

    report(&s->report, "%d %d\n", fd >= 0, fcntl(fd, F_GETFL) & O_ACCMODE);
    report(&s->report, "%s", fgets(line, sizeof(line), pipe));
    report(&s->report, "%s", fgets(line, sizeof(line), pipe));
    report(&s->report, "%d %d\n", fgets(line, sizeof(line), pipe) == NULL, feof(pipe));
    CALL(&s->report, pclose(pipe));
    pipe = popen("exit 0", "re");
    CALL(&s->report, pclose(pipe));
    CALL(&s->report, popen("true", "rw"));
    CALL(&s->report, popen("true", "x"));
}
COMPARE(read_command, 2 * BEATS)

static void write_command(struct scene *s)
{
    char path[] = "/tmp/libc-test-XXXXXX", command[64], line[32] = "";
    int fd = mkstemp(path);
    FILE *pipe;

    snprintf(command, sizeof(command), "sleep 0.02; cat > %s", path);
    pipe = popen(command, "w");
    CALL(&s->report, fprintf(pipe, "%s", "hello"));
    CALL(&s->report, pclose(pipe));
    CALL(&s->report, read(fd, line, sizeof(line)));
    report(&s->report, "%s\n", line);
    unlink(path);
    close(fd);
}
COMPARE(write_command, BEATS)

/* The command of the main coroutine alone gets SIGINT; that of a request must not keep signals from the server. */
static void run_as_main(void *arg)
{
    struct sigaction now;

    coro_self()->is_main = true;
    signal(SIGINT, SIG_DFL);
    assert_int_equal(system("kill -INT $PPID; kill -INT $$"), SIGINT); /* ignored here, not in the command */
    sigaction(SIGINT, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
}

static void test_system_main(void **state)
{
    RUN(NULL, run_as_main);
}

static void run_sleeper(void *arg)
{
    assert_int_equal(system("sleep 0.1"), 0);
    ++*(int *)arg;
}

static void test_side_by_side(void **state)
{
    int64_t start = now_ms();
    int ended = 0;

    RUN(&ended, run_sleeper, run_sleeper, run_sleeper, run_sleeper, run_sleeper, run_sleeper, run_sleeper, run_sleeper);
    assert_int_equal(ended, 8);
    assert_true(now_ms() - start < 700);
}

/* A cancelled coroutine does not wait for its shell. The command of system() is killed, that of popen() goes on, and no
 * zombie is left of either. */
static void run_cancelled(void *arg)
{
    FILE *pipe = popen("exec sleep 0.1", "w");

    assert_non_null(pipe);
    wait_cancel(coro_self(), *(int *)arg);
    errno = 0;
    assert_int_equal(system("exec sleep 30"), -1);
    assert_int_equal(errno, ECANCELED);
    errno = 0;
    assert_int_equal(pclose(pipe), -1);
    assert_int_equal(errno, ECANCELED);
}

static void test_cancelled(void **state)
{
    int64_t start = now_ms();

    RUN(&(int){-ECANCELED}, run_cancelled);
    RUN(&(int){-EINTR}, run_cancelled);
    assert_in_range(now_ms() - start, 180, 5000); /* the shells have ended */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* ---- who forks stays alone ---- */

static int alone_beats;
static bool alone_over;

static void alone_tick(void *arg)
{
    for (; !alone_over; alone_beats++)
        usleep(1000);
}

/* Meanwhile no other coroutine runs: the kernel waits. It does in all other calls. */
static void alone_wait(void *arg)
{
    int ends[2], status, before;
    pid_t pid = child(3);
    char byte;

    make_pipe(ends);
    coro_self()->alone = true;
    before = alone_beats;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    pid = child(4);
    close(ends[1]); /* the child's copy is the last */
    assert_int_equal(read(ends[0], &byte, 1), 0);
    assert_int_equal(alone_beats, before);
    usleep(LATER_MS * 1000);
    assert_true(alone_beats > before);
    coro_self()->alone = false;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(ends[0]);
    alone_over = true;
}

static void test_alone(void **state)
{
    RUN(NULL, alone_tick, alone_wait);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait_for_pid),  cmocka_unit_test(test_wait_for_change),
        cmocka_unit_test(test_wait_by_id),    cmocka_unit_test(test_without_fds),
        cmocka_unit_test(test_run_commands),  cmocka_unit_test(test_read_command),
        cmocka_unit_test(test_write_command), cmocka_unit_test(test_system_main),
        cmocka_unit_test(test_side_by_side),  cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_alone),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
