/* The thread that a coroutine is to a language runtime (runtime.c), and what the runtime may ask of it. */
#include "libc_test.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "coro/stack.h"
#include "libc/runtime/identity.h"
#include "libc/threads/threads.h"

static unsigned long (*runtime_self)(void);
static int (*runtime_create)(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg);

static int identity_setup(void **state)
{
    char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);

    path[size] = '\0';
    strcpy(strrchr(path, '/') + 1, "runtime.so");
    *(void **)&runtime_self = dlsym(dlopen(path, RTLD_NOW), "runtime_self");
    assert_non_null(runtime_self);
    *(void **)&runtime_create = dlsym(dlopen(path, RTLD_NOW), "runtime_create");
    libc_test_setup(state);
    assert_int_equal(libc_runtime((void *)8), -EINVAL);
    assert_int_equal(libc_runtime((void *)runtime_self), 0);
    assert_int_equal(libc_runtime((void *)runtime_self), 0);
    return 0;
}

/* ---- who is who ---- */

struct selves {
    unsigned long seen[3];
    int count;
};

static void look_at_self(void *arg)
{
    struct selves *selves = arg;
    unsigned long self = runtime_self();

    selves->seen[selves->count++] = self;
    usleep(2000);
    assert_true(self == runtime_self());
    assert_true(self != (unsigned long)pthread_self());
}

static void look_as_main(void *arg)
{
    coro_self()->is_main = true;
    assert_true(runtime_self() == (unsigned long)pthread_self());
}

/* After EINTR it has the identity of the main thread, to the runtime and until it waits again. */
static void look_interrupted(void *arg)
{
    unsigned long self = runtime_self();

    wait_cancel(coro_self(), -EINTR);
    assert_int_equal(usleep(1000000), -1);
    assert_int_equal(errno, EINTR);
    assert_true(runtime_self() == (unsigned long)pthread_self());
    wait_cancel(coro_self(), 0);
    usleep(2000);
    assert_true(runtime_self() == self);
}

static void test_identities(void **state)
{
    struct selves selves = {0};

    RUN(&selves, look_at_self, look_at_self, look_at_self, look_as_main, look_interrupted);
    assert_true(selves.seen[0] != selves.seen[1] && selves.seen[1] != selves.seen[2]);
    assert_true(selves.seen[0] != selves.seen[2]);
    assert_true(runtime_self() == (unsigned long)pthread_self());
}

/* ---- the stack ---- */

/* Only the stack that this runs on has its own local variables. */
static void check_stack(pthread_t thread)
{
    char *low, *here = __builtin_frame_address(0);
    size_t size, guard;
    pthread_attr_t attr;

    assert_int_equal(pthread_getattr_np(thread, &attr), 0);
    assert_int_equal(pthread_attr_getguardsize(&attr, &guard), 0);
    assert_int_equal(pthread_attr_getstack(&attr, (void **)&low, &size), 0);
    pthread_attr_destroy(&attr);
    assert_true(guard >= stack_page_size());
    assert_true(here > low + guard && here < low + size);
    if (!coro_self())
        return;
    assert_int_equal(guard, stack_guard_size());
    assert_ptr_equal(low + guard, coro_self()->stack);
    assert_ptr_equal(low + size, coro_self()->stack + coro_self()->stack_size);
}

static void look_at_stack(void *arg)
{
    check_stack((pthread_t)runtime_self());
    check_stack(pthread_self()); /* for any other caller */
    usleep(2000);
    check_stack((pthread_t)runtime_self());
}

static void look_at_stack_as_main(void *arg)
{
    coro_self()->is_main = true;
    look_at_stack(arg);
}

static void look_at_stack_interrupted(void *arg)
{
    wait_cancel(coro_self(), -EINTR);
    assert_int_equal(usleep(1000000), -1);
    check_stack((pthread_t)runtime_self());
    wait_cancel(coro_self(), 0);
}

static void *look_from_thread(void *arg)
{
    check_stack(pthread_self());
    return NULL;
}

static void test_stack(void **state)
{
    pthread_attr_t attr;
    pthread_t thread;

    RUN(NULL, look_at_stack, look_at_stack, look_at_stack_as_main, look_at_stack_interrupted);
    RUN(NULL, look_at_stack); /* on a stack from the pool */
    assert_int_equal(pthread_create(&thread, NULL, look_from_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_getattr_np(pthread_self(), &attr), 0);
    pthread_attr_destroy(&attr);
}

/* A child is on the stack of the coroutine that forked it, and keeps its identity. */
static void look_in_child(void *arg)
{
    unsigned long self = runtime_self();
    pthread_attr_t attr;
    char name[16];
    void *low;
    size_t size;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        bool known = runtime_self() == self && pthread_getattr_np((pthread_t)self, &attr) == 0 &&
                     pthread_attr_getstack(&attr, &low, &size) == 0 && (void *)&size > low &&
                     (char *)&size < (char *)low + size && pthread_setname_np((pthread_t)self, "child") == 0 &&
                     pthread_getname_np((pthread_t)self, name, sizeof(name)) == 0 && !strcmp(name, "child");

        _exit(known ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_child(void **state)
{
    RUN(NULL, look_in_child);
}

/* ---- the name ---- */

static void check_name(pthread_t thread, const char *expected)
{
    char name[16] = "";

    assert_int_equal(pthread_getname_np(thread, name, sizeof(name)), 0);
    assert_string_equal(name, expected);
}

static void take_name(void *arg)
{
    pthread_t self = (pthread_t)runtime_self();
    char name[16], before[16];

    assert_int_equal(prctl(PR_GET_NAME, before), 0);
    check_name(self, before);
    assert_int_equal(pthread_setname_np(self, arg), 0);
    usleep(2000);
    check_name(self, arg);
    assert_int_equal(pthread_setname_np(self, "sixteen letters!"), ERANGE);
    assert_int_equal(pthread_getname_np(self, name, 15), ERANGE);
    check_name(self, arg);
    assert_int_equal(prctl(PR_GET_NAME, name), 0);
    assert_string_equal(name, before); /* of the OS thread */
}

static void take_first_name(void *arg)
{
    take_name("first");
}

static void take_second_name(void *arg)
{
    take_name("fifteen letters");
}

/* The main coroutine has the name of the OS thread, as in CPython's main thread. */
static void take_name_as_main(void *arg)
{
    char before[16], name[16];

    coro_self()->is_main = true;
    assert_int_equal(prctl(PR_GET_NAME, before), 0);
    assert_int_equal(pthread_setname_np((pthread_t)runtime_self(), "main"), 0);
    assert_int_equal(prctl(PR_GET_NAME, name), 0);
    assert_string_equal(name, "main");
    check_name((pthread_t)runtime_self(), "main");
    assert_int_equal(prctl(PR_SET_NAME, before), 0);
}

static void test_name(void **state)
{
    RUN(NULL, take_first_name, take_second_name);
    RUN(NULL, take_second_name, take_first_name); /* the names of the pooled ones are gone */
    RUN(NULL, take_name_as_main);
}

/* ---- the other calls ---- */

static int received;

static void receive(int signum, siginfo_t *info, void *context)
{
    received = info->si_value.sival_int;
}

/* They reach the OS thread of the loop. */
static void use_thread(void *arg)
{
    pthread_t self = (pthread_t)runtime_self();
    struct sigaction action = {.sa_sigaction = receive, .sa_flags = SA_SIGINFO};
    struct sched_param param;
    clockid_t clock;
    cpu_set_t cpus, same;
    int policy, other;

    assert_int_equal(pthread_kill(self, 0), 0);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(pthread_sigqueue(self, SIGUSR1, (union sigval){.sival_int = 7}), 0);
    assert_int_equal(received, 7);
    assert_int_equal(pthread_getcpuclockid(self, &clock), 0);
    assert_int_equal(pthread_getschedparam(self, &policy, &param), 0);
    assert_int_equal(pthread_getschedparam(pthread_self(), &other, &param), 0);
    assert_int_equal(policy, other);
    assert_int_equal(pthread_setschedparam(self, policy, &param), 0);
    assert_int_equal(pthread_setschedprio(self, param.sched_priority), 0);
    assert_int_equal(pthread_getaffinity_np(self, sizeof(cpus), &cpus), 0);
    assert_int_equal(pthread_setaffinity_np(self, sizeof(cpus), &cpus), 0);
    assert_int_equal(pthread_getaffinity_np(pthread_self(), sizeof(same), &same), 0);
    assert_true(CPU_EQUAL(&cpus, &same));
}

/* ---- pthread_kill ends a wait ---- */

struct woken {
    unsigned long self;
    bool from_thread;
    int result, error;
};

static void *kill_by_thread(void *arg)
{
    assert_int_equal(pthread_kill((pthread_t)((struct woken *)arg)->self, SIGUSR1), 0);
    return NULL;
}

static void sleep_until_killed(void *arg)
{
    struct woken *woken = arg;

    woken->self = runtime_self();
    woken->result = nanosleep(&(struct timespec){.tv_sec = 60}, NULL);
    woken->error = errno;
}

static void kill_sleeper(void *arg)
{
    struct woken *woken = arg;
    pthread_t thread;

    usleep(1000);
    assert_int_equal(pthread_kill((pthread_t)woken->self, SIGWINCH), 0); /* ignored: it goes on */
    usleep(1000);
    assert_int_equal(woken->error, 0);
    if (!woken->from_thread) {
        assert_int_equal(pthread_kill((pthread_t)woken->self, SIGUSR1), 0);
    } else {
        assert_int_equal(pthread_create(&thread, NULL, kill_by_thread, woken), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

static void test_kill_ends_wait(void **state)
{
    struct woken here = {0}, there = {.from_thread = true};
    struct sigaction action = {.sa_sigaction = receive, .sa_flags = SA_SIGINFO};

    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    RUN(&here, sleep_until_killed, kill_sleeper);
    assert_int_equal(here.result, -1);
    assert_int_equal(here.error, EINTR);
    RUN(&there, sleep_until_killed, kill_sleeper);
    assert_int_equal(there.result, -1);
    assert_int_equal(there.error, EINTR);
}

/* A coroutine is no thread that libc could join. */
static void join_identity(void *arg)
{
    pthread_t self = (pthread_t)runtime_self();
    struct timespec now = in_ms(CLOCK_REALTIME, 0);

    assert_int_equal(pthread_join(self, NULL), EINVAL);
    assert_int_equal(pthread_tryjoin_np(self, NULL), EINVAL);
    assert_int_equal(pthread_timedjoin_np(self, NULL, &now), EINVAL);
    assert_int_equal(pthread_clockjoin_np(self, NULL, CLOCK_REALTIME, &now), EINVAL);
    assert_int_equal(pthread_detach(self), EINVAL);
}

/* Another coroutine may be gone, and its memory with it: nobody looks there. */
static void look_at_other(void *arg)
{
    unsigned long other = *(unsigned long *)arg;
    pthread_attr_t attr;
    char name[16];

    if (!other) {
        *(unsigned long *)arg = runtime_self();
        return;
    }
    assert_int_equal(pthread_getattr_np((pthread_t)other, &attr), ESRCH);
    assert_int_equal(pthread_setname_np((pthread_t)other, "other"), ESRCH);
    assert_int_equal(pthread_getname_np((pthread_t)other, name, sizeof(name)), ESRCH);
    assert_int_equal(pthread_kill((pthread_t)other, 0), 0);
}

static void test_other_calls(void **state)
{
    unsigned long first = 0;

    RUN(NULL, use_thread, join_identity);
    RUN(&first, look_at_other, look_at_other);
}

/* ---- threads that are coroutines ---- */

static void *answers(void *arg)
{
    pthread_attr_t attr;
    size_t size = 0;
    void *low;

    usleep(1000);
    assert_int_equal(pthread_getattr_np((pthread_t)runtime_self(), &attr), 0);
    assert_int_equal(pthread_attr_getstack(&attr, &low, &size), 0);
    pthread_attr_destroy(&attr);
    assert_int_equal(pthread_join((pthread_t)runtime_self(), NULL), EDEADLK);
    assert_int_equal(gettid(), *(pid_t *)arg);
    return (void *)size;
}

static pthread_t answer_start(const pthread_attr_t *attr)
{
    static pid_t tid;
    pthread_t id;

    tid = gettid();
    assert_int_equal(runtime_create(&id, attr, answers, &tid), 0);
    assert_true(identity_is_coroutine(id));
    return id;
}

static void *exits(void *arg)
{
    pthread_exit(arg);
}

static void threads_are_joined(void *arg)
{
    const struct timespec past = {.tv_sec = 1};
    pthread_t first = answer_start(NULL), second = answer_start(NULL);
    pthread_attr_t attr;
    void *usual, *small;

    assert_true(first != second);
    assert_int_equal(pthread_tryjoin_np(first, NULL), EBUSY);
    assert_int_equal(pthread_timedjoin_np(first, NULL, &past), ETIMEDOUT);
    assert_int_equal(pthread_join(first, &usual), 0);
    assert_int_equal(pthread_join(first, NULL), EINVAL);
    assert_int_equal(pthread_detach(second), 0);
    assert_int_equal(pthread_join(second, NULL), EINVAL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 128 << 10);
    assert_int_equal(pthread_join(answer_start(&attr), &small), 0);
    pthread_attr_destroy(&attr);
    assert_true((size_t)small < (size_t)usual && (size_t)small >= 128 << 10 && (size_t)small < 256 << 10);
    assert_int_equal(runtime_create(&first, NULL, exits, arg), 0);
    assert_int_equal(pthread_join(first, &usual), 0);
    assert_ptr_equal(usual, arg);
    while (threads_count() > 0)
        usleep(1000);
}

static void test_threads_are_coroutines(void **state)
{
    threads_by_coroutines(true);
    run_all(1, (void (*const[])(void *)){threads_are_joined}, NULL);
    threads_by_coroutines(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_stack),
        cmocka_unit_test(test_child),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_other_calls),
        cmocka_unit_test(test_kill_ends_wait),
        cmocka_unit_test(test_threads_are_coroutines),
    };

    return cmocka_run_group_tests(tests, identity_setup, libc_test_teardown);
}
