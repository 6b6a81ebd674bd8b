/*
 * test_libc_tls.c: thread-locals and pthread keys belong to the coroutine as they belong to a thread. The objects that
 * have them, tls_*.so, are loaded as an extension module is. Where a scene can run in an OS thread too it does, and
 * what both report must be equal.
 */
#include "libc_test.h"

#include <dlfcn.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>
#include <threads.h>

#define COROUTINES 20
#define MANY       2000
#define ALIGN      128

struct object {
    void *handle;
    int *(*number)(void);
    int *(*next)(void);
    char *(*aligned)(size_t *size);
    bool (*relocated)(void);
};

static struct object dynamic, fixed;

static void *load(const char *name)
{
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
    void *handle;

    path[size] = '\0';
    strcpy(strrchr(path, '/') + 1, name);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        printf("%s\n", dlerror());
    assert_non_null(handle);
    return handle;
}

static struct object load_object(const char *name)
{
    struct object object = {.handle = load(name)};

    *(void **)&object.number = dlsym(object.handle, "tls_object_number");
    *(void **)&object.next = dlsym(object.handle, "tls_object_next");
    *(void **)&object.aligned = dlsym(object.handle, "tls_object_aligned");
    *(void **)&object.relocated = dlsym(object.handle, "tls_object_relocated");
    return object;
}

/* ---- values ---- */

static void check_fresh(const struct object *object)
{
    size_t size, zeros = 0;
    char *aligned = object->aligned(&size);

    assert_int_equal(*object->number(), 42);
    assert_int_equal(*object->next(), 7);
    assert_true(object->relocated());
    assert_int_equal((uintptr_t)aligned % ALIGN, 0);
    while (zeros < size && aligned[zeros] == 0)
        zeros++;
    assert_int_equal(zeros, size);
}

static void check_values(const struct object *object, int n)
{
    size_t size;
    char *aligned = object->aligned(&size);

    assert_int_equal(*object->number(), n);
    assert_int_equal(*object->next(), n + 1);
    assert_int_equal(aligned[0], n);
    assert_int_equal(aligned[size - 1], n);
}

static void set_values(const struct object *object, int n)
{
    size_t size;
    char *aligned = object->aligned(&size);

    memset(aligned, n, size);
    *object->number() = n;
    *object->next() = n + 1;
}

/* As they are at first. */
static void reset_values(const struct object *object)
{
    set_values(object, 0);
    *object->number() = 42;
    *object->next() = 7;
}

/* Three rounds, in which the others come between. The address stays the same. */
static void has_its_own(const struct object *object)
{
    static int last;
    int n = ++last % 100, *number = object->number();

    check_fresh(object);
    for (int i = 0; i < 3; i++) {
        set_values(object, n);
        usleep(1000);
        check_values(object, n);
        assert_ptr_equal(object->number(), number);
    }
    if (coro_self())
        coro_end_thread();
}

static void *use_in_thread(void *arg)
{
    has_its_own(arg);
    return NULL;
}

static void use_on_coroutine(void *arg)
{
    has_its_own(arg);
}

static void check_object(const struct object *object)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, use_in_thread, (void *)object), 0);
    for (int i = 0; i < COROUTINES; i++)
        assert_non_null(coro_start(use_on_coroutine, (void *)object));
    wait_run();
    assert_int_equal(pthread_join(thread, NULL), 0);
    check_fresh(object); /* of this thread */
}

static void test_thread_locals_belong_to_coroutines(void **state)
{
    check_object(&dynamic);
    check_object(&dynamic);
}

static void test_large_ones_too(void **state)
{
    struct object large = load_object("tls_large.so");

    check_object(&large);
    assert_int_equal(dlclose(large.handle), 0);
}

/* These are read at a fixed distance from the thread pointer: all coroutines share them. */
static void test_initial_exec_is_shared(void **state)
{
    assert_int_equal(*fixed.number(), 42);
    *fixed.number() = 43;
    for (int i = 0; i < 2; i++) {
        coro_start((void (*)(void *))(void *)fixed.number, NULL);
        wait_run();
    }
    assert_int_equal(*fixed.number(), 43);
    *fixed.number() = 42;
}

/* ---- whose they are ---- */

static void keep_values(void *arg)
{
    if (arg)
        check_values(&dynamic, 3);
    else
        check_fresh(&dynamic);
    set_values(&dynamic, 3);
}

/* In the pool a coroutine keeps them, as a thread of a pool does. */
static void test_values_stay_in_the_pool(void **state)
{
    coro_exit();
    RUN(NULL, keep_values);
    RUN(state, keep_values);
    coro_exit();
    RUN(NULL, keep_values);
    coro_exit();
}

static void be_main(void *arg)
{
    coro_share_tls(true);
    check_values(&dynamic, 9);
    set_values(&dynamic, 8);
    coro_share_tls(false);
}

static void test_main_coroutine_has_those_of_its_thread(void **state)
{
    coro_exit();
    set_values(&dynamic, 9);
    RUN(NULL, be_main);
    check_values(&dynamic, 8);
    reset_values(&dynamic);
}

static int seen;

static void on_signal(int signum)
{
    seen = *dynamic.number();
}

static void is_interrupted(void *arg)
{
    *dynamic.number() = 5;
    raise(SIGUSR1);
    assert_int_equal(seen, 5);
    assert_non_null(coro_self());
}

static void test_signal_handlers_see_those_they_interrupt(void **state)
{
    signal(SIGUSR1, on_signal);
    RUN(NULL, is_interrupted);
    raise(SIGUSR1);
    assert_int_equal(seen, 42);
    signal(SIGUSR1, SIG_DFL);
}

static pthread_key_t key;

static bool keeps_values(void *value)
{
    bool kept = *dynamic.number() == 6 && *dynamic.next() == 7 && pthread_getspecific(key) == value;

    pthread_setspecific(key, &kept);
    return kept && pthread_getspecific(key) == &kept;
}

static void forks(void *arg)
{
    int status;
    pid_t pid;

    *dynamic.number() = 6;
    assert_int_equal(pthread_setspecific(key, &status), 0);
    pid = fork();
    if (pid == 0)
        _exit(keeps_values(&status) ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(pthread_setspecific(key, NULL), 0);
}

static void test_children_are_the_thread_that_forked(void **state)
{
    assert_int_equal(pthread_key_create(&key, NULL), 0);
    RUN(NULL, forks);
    assert_int_equal(pthread_key_delete(key), 0);
}

/* ---- objects that are closed ---- */

static struct object closed;

static void uses_closed(void *arg)
{
    check_fresh(&closed);
    set_values(&closed, 4);
}

/* The next object gets the same module id, and another block. */
static void test_an_id_is_used_again(void **state)
{
    static const char *const names[] = {"tls_large.so", "tls_again.so", "tls_large.so"};

    coro_exit();
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        closed = load_object(names[i]);
        RUN(NULL, uses_closed, uses_closed);
        assert_int_equal(dlclose(closed.handle), 0);
    }
}

static void opens_and_closes(void *arg)
{
    closed = load_object("tls_again.so");
    uses_closed(NULL);
    assert_int_equal(dlclose(closed.handle), 0);
}

static void test_closed_on_a_coroutine(void **state)
{
    RUN(NULL, opens_and_closes, opens_and_closes);
}

/* ---- destructors of C++ ---- */

static struct {
    void *handle;
    int (*use)(void);
    int (*change)(int number);
    void (*use_maker)(void);
} cxx;

static struct report *told;

static void tell(int number)
{
    report(told, "%d ", number);
    if (coro_self())
        usleep(1000); /* a destructor may wait */
}

static void load_cxx(void)
{
    void (*set_tell)(void (*fn)(int number));

    cxx.handle = load("tls_cxx.so");
    *(void **)&cxx.use = dlsym(cxx.handle, "cxx_use");
    *(void **)&cxx.change = dlsym(cxx.handle, "cxx_change");
    *(void **)&cxx.use_maker = dlsym(cxx.handle, "cxx_use_maker");
    *(void **)&set_tell = dlsym(cxx.handle, "cxx_tell");
    set_tell(tell);
}

static void uses_cxx(void *arg)
{
    assert_int_equal(cxx.use(), 3);
    assert_int_equal(cxx.change(11), 1);
    cxx.use_maker();
    assert_int_equal(cxx.change(12), 11);
    if (coro_self())
        coro_end_thread();
}

static void *uses_cxx_in_thread(void *arg)
{
    uses_cxx(arg);
    return NULL;
}

static void test_destructors_run_as_in_a_thread(void **state)
{
    struct report of_thread = {0}, of_coroutine = {0};
    pthread_t thread;

    load_cxx();
    told = &of_thread;
    assert_int_equal(pthread_create(&thread, NULL, uses_cxx_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    told = &of_coroutine;
    RUN(NULL, uses_cxx);
    assert_string_equal(of_thread.text, of_coroutine.text);
    assert_non_null(strstr(of_thread.text, "3"));
    told->size = 0;
    RUN(NULL, uses_cxx, uses_cxx);
    assert_int_equal(told->size, 2 * of_thread.size);
    assert_int_equal(dlclose(cxx.handle), 0);
}

static bool is_loaded(void)
{
    FILE *in = fopen("/proc/self/maps", "r");
    bool found = false;
    char line[PATH_MAX + 100];

    while (fgets(line, sizeof(line), in))
        found |= strstr(line, "tls_cxx.so") != NULL;
    fclose(in);
    return found;
}

static void uses_and_closes_cxx(void *arg)
{
    assert_int_equal(cxx.use(), 3);
    assert_int_equal(dlclose(cxx.handle), 0);
    assert_true(is_loaded());
    coro_end_thread();
    assert_int_equal(dlclose(load("tls_again.so")), 0);
}

/* The code of a destructor stays loaded until it has run, and then goes with the next dlclose. */
static void test_an_object_is_kept_for_its_destructors(void **state)
{
    struct report report = {0};

    told = &report;
    assert_false(is_loaded());
    load_cxx();
    RUN(NULL, uses_and_closes_cxx);
    assert_string_equal(report.text, "3 4 2 1 ");
    assert_false(is_loaded());
}

static void exits_in_child(void *arg)
{
    int ends[2], status;
    char text[10] = "";
    pid_t pid;

    make_pipe(ends);
    assert_int_equal(cxx.use(), 3);
    pid = fork();
    if (pid == 0) {
        fclose(stdout);
        dup2(ends[1], STDOUT_FILENO);
        stdout = fdopen(STDOUT_FILENO, "w");
        exit(0);
    }
    close(ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(read(ends[0], text, sizeof(text) - 1) >= 0);
    assert_string_equal(text, "3421");
    close(ends[0]);
}

static void tell_by_stdout(int number)
{
    printf("%d", number);
    fflush(stdout);
}

static void test_exit_runs_them(void **state)
{
    void (*set_tell)(void (*fn)(int number));

    load_cxx();
    *(void **)&set_tell = dlsym(cxx.handle, "cxx_tell");
    set_tell(tell_by_stdout);
    RUN(NULL, exits_in_child);
    set_tell(NULL);
    coro_exit();
    assert_int_equal(dlclose(cxx.handle), 0);
}

/* ---- keys ---- */

static pthread_key_t keys[3], late;
static struct report *key_report;

static void on_key_end(void *value)
{
    report(key_report, "end %s\n", (char *)value);
    if (coro_self())
        usleep(1000);
}

/* Sets its key again, so that POSIX gives up after a number of rounds. */
static void on_stubborn_end(void *value)
{
    report(key_report, "again %s\n", (char *)value);
    pthread_setspecific(keys[2], value);
}

static void uses_keys(struct report *r)
{
    char *value;

    CALL(r, pthread_getspecific(keys[0]) == NULL);
    CALL(r, pthread_setspecific(keys[0], "zero"));
    CALL(r, pthread_setspecific(keys[1], "one"));
    usleep(1000);
    CALL(r, !strcmp(pthread_getspecific(keys[0]), "zero"));
    CALL(r, pthread_setspecific(keys[1], NULL));
    CALL(r, pthread_getspecific(keys[1]) == NULL);
    CALL(r, pthread_key_create(&late, on_key_end));
    CALL(r, pthread_setspecific(late, "late"));
    CALL(r, pthread_key_delete(late));
    CALL(r, pthread_getspecific(late) == NULL);
    CALL(r, pthread_key_create(&late, on_key_end));
    CALL(r, pthread_getspecific(late) == NULL);
    CALL(r, pthread_key_delete(late));
    CALL(r, pthread_setspecific(late, "late"));
    CALL(r, pthread_key_delete(late));
    CALL(r, pthread_getspecific(PTHREAD_KEYS_MAX) == NULL);
    CALL(r, pthread_setspecific(PTHREAD_KEYS_MAX, "x"));
    CALL(r, pthread_setspecific(keys[2], "two"));
    value = pthread_getspecific(keys[2]);
    CALL(r, value && !strcmp(value, "two"));
}

static void *uses_keys_in_thread(void *arg)
{
    uses_keys(arg);
    return NULL;
}

static void uses_keys_on_coroutine(void *arg)
{
    uses_keys(arg);
    coro_end_thread();
    assert_null(pthread_getspecific(keys[2]));
}

static void test_keys(void **state)
{
    struct report of_thread = {0}, of_coroutine = {0};
    pthread_t thread;

    assert_int_equal(pthread_key_create(&keys[0], on_key_end), 0);
    assert_int_equal(pthread_key_create(&keys[1], on_key_end), 0);
    assert_int_equal(pthread_key_create(&keys[2], on_stubborn_end), 0);
    assert_int_equal(pthread_setspecific(keys[0], "of this thread"), 0);
    key_report = &of_thread;
    assert_int_equal(pthread_create(&thread, NULL, uses_keys_in_thread, &of_thread), 0);
    pthread_join(thread, NULL);
    key_report = &of_coroutine;
    RUN(&of_coroutine, uses_keys_on_coroutine);
    assert_string_equal(of_thread.text, of_coroutine.text);
    assert_non_null(strstr(of_thread.text, "end zero\nagain two\nagain two\nagain two\nagain two\n"));
    assert_string_equal(pthread_getspecific(keys[0]), "of this thread");
    assert_int_equal(pthread_setspecific(keys[0], NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_int_equal(pthread_key_delete(keys[i]), 0);
}

static tss_t tss;

static void uses_tss(void *arg)
{
    assert_null(tss_get(tss));
    assert_int_equal(tss_set(tss, "C11"), thrd_success);
    usleep(1000);
    assert_string_equal(tss_get(tss), "C11");
    coro_end_thread();
}

static void test_keys_of_c11(void **state)
{
    struct report ended = {0};

    key_report = &ended;
    assert_int_equal(tss_create(&tss, on_key_end), thrd_success);
    RUN(NULL, uses_tss, uses_tss);
    assert_string_equal(ended.text, "end C11\nend C11\n");
    tss_delete(tss);
    assert_null(tss_get(tss));
}

/* A key that was there before main, such as a sanitizer's, is the OS thread's. */
static pthread_key_t early;
static bool has_early;

__attribute__((constructor)) static void make_early(void)
{
    has_early = pthread_key_create(&early, NULL) == 0 && pthread_setspecific(early, &early) == 0;
}

static void uses_early(void *arg)
{
    assert_ptr_equal(pthread_getspecific(early), &early);
    assert_int_equal(pthread_setspecific(early, arg), 0);
}

static void test_early_keys_are_the_threads(void **state)
{
    assert_true(has_early);
    RUN(&has_early, uses_early);
    assert_ptr_equal(pthread_getspecific(early), &has_early);
}

/* Many keys: the table grows. */
static void uses_many_keys(void *arg)
{
    const pthread_key_t *many = arg;

    for (int i = 0; i < 100; i++)
        assert_int_equal(pthread_setspecific(many[i], (char *)arg + i), 0);
    usleep(1000);
    for (int i = 0; i < 100; i++)
        assert_ptr_equal(pthread_getspecific(many[i]), (char *)arg + i);
    coro_end_thread();
}

static void test_many_keys(void **state)
{
    pthread_key_t many[100];

    for (int i = 0; i < 100; i++)
        assert_int_equal(pthread_key_create(&many[i], NULL), 0);
    RUN(many, uses_many_keys, uses_many_keys);
    for (int i = 0; i < 100; i++)
        assert_int_equal(pthread_key_delete(many[i]), 0);
}

/* ---- the call ---- */

#if defined(__x86_64__)
/* gcc before 4.9.4 calls with a stack that is not aligned. */
static void calls_misaligned(void *arg)
{
    int *number = NULL;

    __asm__ volatile("movq %%rsp, %%rbx\n\tsubq $264, %%rsp\n\tandq $-16, %%rsp\n\tsubq $8, %%rsp\n\tcall *%1\n\t"
                     "movq %%rbx, %%rsp"
                     : "=a"(number)
                     : "r"(dynamic.number)
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
    assert_int_equal(*number, 42);
    coro_end_thread();
}

static void test_a_misaligned_stack(void **state)
{
    RUN(NULL, calls_misaligned);
}
#endif

/* ---- memory ---- */

static void uses_and_parks(void *arg)
{
    set_values(&dynamic, 1);
    cxx.use();
    pthread_setspecific(keys[0], "x");
    usleep(10000);
    coro_end_thread();
}

static size_t allocated(void)
{
    return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static void test_memory_is_given_back(void **state)
{
    size_t before;

    load_cxx();
    assert_int_equal(pthread_key_create(&keys[0], NULL), 0);
    told = &(struct report){0};
    for (int round = 0; round < 2; round++) {
        before = allocated();
        for (int i = 0; i < (round ? MANY : 1); i++)
            assert_non_null(coro_start(uses_and_parks, NULL));
        told->size = 0;
        wait_run();
        coro_exit();
    }
    assert_true(allocated() < before + 64 * 1024);
    assert_int_equal(pthread_key_delete(keys[0]), 0);
    assert_int_equal(dlclose(cxx.handle), 0);
}

static int tls_setup(void **state)
{
    libc_test_setup(state);
    dynamic = load_object("tls_object.so");
    fixed = load_object("tls_initial.so");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_locals_belong_to_coroutines),
        cmocka_unit_test(test_large_ones_too),
        cmocka_unit_test(test_initial_exec_is_shared),
        cmocka_unit_test(test_values_stay_in_the_pool),
        cmocka_unit_test(test_main_coroutine_has_those_of_its_thread),
        cmocka_unit_test(test_signal_handlers_see_those_they_interrupt),
        cmocka_unit_test(test_children_are_the_thread_that_forked),
        cmocka_unit_test(test_an_id_is_used_again),
        cmocka_unit_test(test_closed_on_a_coroutine),
        cmocka_unit_test(test_destructors_run_as_in_a_thread),
        cmocka_unit_test(test_an_object_is_kept_for_its_destructors),
        cmocka_unit_test(test_exit_runs_them),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_keys_of_c11),
        cmocka_unit_test(test_early_keys_are_the_threads),
        cmocka_unit_test(test_many_keys),
#if defined(__x86_64__)
        cmocka_unit_test(test_a_misaligned_stack),
#endif
        cmocka_unit_test(test_memory_is_given_back),
    };

    return cmocka_run_group_tests(tests, tls_setup, libc_test_teardown);
}
