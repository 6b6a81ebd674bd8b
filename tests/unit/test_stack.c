/*
 * test_stack.c: the memory of coroutines: pages given back, many stacks, no further stack, and overflow.
 */
#include "core_test.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>

#include "coro/fault.h"
#include "coro/stack.h"

#ifdef CORO_VALGRIND /* which can handle fewer mappings than the kernel */
#define MANY 2000
#else
#define MANY 30000
#endif
#define DEFAULT_SIZE (4 * 1024 * 1024)
#ifdef CORO_UCONTEXT /* a ucontext_t is large */
#define SHALLOW 3
#else
#define SHALLOW 2 /* pages */
#endif
#define KEPT (32 * 1024) /* as in coro.c */

static struct coro *self;

static void remembers_self(void *arg)
{
    self = coro_self();
}

static void parks(void *arg)
{
    coro_park();
}

static void wake_all(void)
{
    for (struct list *node = coro_all()->next; node != coro_all(); node = node->next)
        coro_wake(list_entry(node, struct coro, all), 0);
    while (sched_run())
        ;
    assert_int_equal(coro_count(), 0);
}

/* ---- pages ---- */

static size_t resident_bytes(const struct coro *co)
{
    static unsigned char pages[DEFAULT_SIZE / 4096];
    size_t page = stack_page_size(), count = 0;

    assert_true(co->stack_size <= DEFAULT_SIZE);
    assert_int_equal(mincore(co->stack, co->stack_size, pages), 0);
    for (size_t i = 0; i < co->stack_size / page; i++)
        count += pages[i] & 1;
    return count * page;
}

static int fill(size_t size)
{
    volatile char frame[16384];

    for (size_t i = 0; i < sizeof(frame); i += 512)
        frame[i] = 1;
    return size < 2 * sizeof(frame) ? 1 : fill(size - sizeof(frame)) + frame[512];
}

static void goes_deep(void *arg)
{
    self = coro_self();
    assert_true(fill(192 * 1024) > 1);
}

static void test_deep_pages_are_given_back(void **state)
{
    coro_start(goes_deep, NULL);
    sched_run();
    assert_true(resident_bytes(self) >= 128 * 1024);
    coro_trim();
    assert_true(resident_bytes(self) <= KEPT);
    for (int i = 0; i < 2; i++) { /* and then uses as much again */
        coro_start(goes_deep, NULL);
        sched_run();
        assert_true(resident_bytes(self) >= 128 * 1024);
    }
}

static void test_a_shallow_stack_is_small(void **state)
{
    coro_exit();
    coro_init(TEST_STACK - 100); /* rounded up to pages */
    coro_start(remembers_self, NULL);
    sched_run();
    assert_true(resident_bytes(self) <= SHALLOW * stack_page_size());
}

/* One page in the middle, where an aligned huge page would fit. */
static void touches_the_middle(void *arg)
{
    volatile char frame[DEFAULT_SIZE / 2];

    frame[0] = 1;
    assert_int_equal(frame[0], 1);
    self = coro_self();
}

#ifndef CORO_QEMU /* which shows its own flags */
/* Whether the mapping that begins at low has the flag. Where huge pages are not the default nothing else would tell. */
static bool refuses_huge_pages(const void *low)
{
    FILE *in = fopen("/proc/self/smaps", "r");
    bool here = false, refuses = false;
    uintptr_t begin, end;
    char line[512];

    assert_non_null(in);
    while (fgets(line, sizeof(line), in)) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
            here = begin == (uintptr_t)low;
        else if (here && !strncmp(line, "VmFlags:", 8))
            refuses = strstr(line, " nh") != NULL;
    }
    fclose(in);
    return refuses;
}
#endif

static void test_no_huge_page_is_taken(void **state)
{
    coro_exit();
    coro_init(DEFAULT_SIZE);
    coro_start(touches_the_middle, NULL);
    sched_run();
    assert_true(resident_bytes(self) <= 4 * stack_page_size());
#ifndef CORO_QEMU
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0)
        assert_true(refuses_huge_pages(self->stack));
#endif
    coro_exit();
    coro_init(TEST_STACK);
}

/* ---- many, and no more ---- */

static void test_many(void **state)
{
    for (int i = 0; i < MANY; i++)
        assert_non_null(coro_start(parks, NULL));
    sched_run();
    assert_int_equal(coro_count(), MANY);
    wake_all();
    coro_trim();
    for (int i = 0; i < MANY / 256 + 1; i++) /* each frees up to 256 */
        coro_trim();
    coro_exit();
}

static void ask_for_huge_stacks(void)
{
    coro_exit();
    coro_init((size_t)1 << 47);
    for (int i = 0; i < 3; i++) {
        errno = 0;
        if (coro_start(parks, NULL) || errno != ENOMEM || coro_count() != 0)
            _exit(1);
    }
}

static void test_no_memory_is_an_error(void **state)
{
    char text[2048];

    assert_int_equal(in_child(ask_for_huge_stacks, text, sizeof(text)), 0);
}

#if !defined(CORO_VALGRIND) && !defined(CORO_QEMU) &&                                                                  \
    !defined(__SANITIZE_ADDRESS__) /* which need mappings themselves */
static long max_map_count(void)
{
    FILE *in = fopen("/proc/sys/vm/max_map_count", "r");
    long count = 0;

    assert_non_null(in);
    assert_int_equal(fscanf(in, "%ld", &count), 1);
    fclose(in);
    return count;
}

/* Returns whether the kernel gives the process so many more mappings. */
static bool can_map(int count)
{
    while (count > 0 &&
           mmap(NULL, 4096, count % 2 ? PROT_READ : PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        count--;
    return count == 0;
}

/* At the limit of mappings there is no further stack, until a coroutine ends; and others have mappings left. */
static void use_up_mappings(void)
{
    size_t count = 0;

    while (count < 40000 && coro_start(parks, NULL))
        count++;
    if (count == 40000 || errno != ENOMEM)
        _exit(1);
    if (!can_map(3000))
        _exit(3);
    sched_run();
    wake_all();
    if (!coro_start(parks, NULL))
        _exit(2);
}

static void test_end_of_mappings(void **state)
{
    char text[2048];

    if (max_map_count() > 70000)
        skip();
    assert_int_equal(in_child(use_up_mappings, text, sizeof(text)), 0);
}
#endif

/* ---- overflow ---- */

#ifndef __SANITIZE_ADDRESS__ /* which reports it itself */
static int deep(int n)
{
    volatile char frame[1024];

    frame[0] = (char)n;
    return n == 0 ? 0 : deep(n + 1) + frame[0];
}

static void overflows(void *arg)
{
    deep(1);
}

/* A frame of many pages of which only the lowest is touched. */
static void overflows_by_one_frame(void *arg)
{
    volatile char frame[TEST_STACK + 32768];

    frame[0] = 1;
    assert_int_equal(frame[0], 1);
}

static void *volatile bad_address = (void *)16;

static void crashes(void *arg)
{
    *(volatile int *)bad_address = 1;
}

/* cmocka has a handler too, which would be called after ours. */
static void fault_init_alone(void)
{
    signal(SIGSEGV, SIG_DFL);
    fault_init();
}

static void start_overflowing(void)
{
    fault_init_alone();
    coro_start(overflows, NULL)->what = "GET /deep";
    sched_run();
}

static void start_overflowing_by_one_frame(void)
{
    fault_init_alone();
    coro_start(overflows_by_one_frame, NULL)->what = "GET /wide";
    for (int i = 0; i < 3; i++) /* stacks below it, which a missed guard would damage */
        coro_start(parks, NULL);
    sched_run();
}

static void start_crashing(void)
{
    fault_init_alone();
    coro_start(crashes, NULL);
    sched_run();
}

static void crash_outside(void)
{
    fault_init_alone();
    crashes(NULL);
}

/* The process dies by the signal, and reports why first. */
static void test_faults_are_reported(void **state)
{
    static const struct {
        void (*fn)(void);
        const char *text;
    } rows[] = {
        {start_overflowing, "stack overflow: a request needs more than stack-size = 262144 bytes in GET /deep\n"},
        {start_overflowing_by_one_frame, "stack-size = 262144 bytes in GET /wide\n"},
        {start_crashing, "segmentation fault\n"},
        {crash_outside, "segmentation fault\n"},
    };
    char text[512];

    coro_exit();
    for (size_t i = 0; i < COUNT(rows); i++) {
        int status = in_child(rows[i].fn, text, sizeof(text));

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSEGV);
        if (!strstr(text, rows[i].text))
            fail_msg("\"%s\" does not hold %s", text, rows[i].text);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deep_pages_are_given_back),
        cmocka_unit_test(test_a_shallow_stack_is_small),
        cmocka_unit_test(test_no_huge_page_is_taken),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_no_memory_is_an_error),
#if !defined(CORO_VALGRIND) && !defined(CORO_QEMU) &&                                                                  \
    !defined(__SANITIZE_ADDRESS__) /* which need mappings themselves */
        cmocka_unit_test(test_end_of_mappings),
#endif
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(test_faults_are_reported),
#endif
    };

    return cmocka_run_group_tests(tests, coro_setup, coro_teardown);
}
