/* A place in the code that lets go of the GIL, and calls any function there: one may compute and another wait. */
#include <errno.h>
#include <time.h>

void *PyEval_SaveThread(void);
void PyEval_RestoreThread(void *state);
int section_call(int (*function)(long a, long b, long c, long d), long a, long b, long c, long d, int *error);
int compute(long milliseconds);

static __attribute__((noinline)) int errno_now(void)
{
    return errno;
}

int section_call(int (*function)(long a, long b, long c, long d), long a, long b, long c, long d, int *error)
{
    void *state = PyEval_SaveThread();
    int result = function(a, b, c, d);

    *error = errno_now();
    PyEval_RestoreThread(state);
    return result;
}

static long cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int compute(long milliseconds)
{
    long end = cpu_us() + milliseconds * 1000;

    while (cpu_us() < end)
        ;
    return 0;
}
