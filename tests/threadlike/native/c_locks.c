/* Locks of C11 and of pthreads, as a library of an extension uses them. Called by several threads at once. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <threads.h>

static void nap(int milliseconds)
{
    struct timespec t = {0, milliseconds * 1000000L};

    thrd_sleep(&t, NULL);
}

static once_flag flag = ONCE_FLAG_INIT;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static mtx_t mtx, recursive;
static cnd_t cnd;
static pthread_barrier_t gate;
static pthread_spinlock_t spin;
static int here;

void setup(int count);
int c11_once(void);
int c11_mutex(void);
int c11_recursive(void);
int c11_condition(int count);
int c11_thread(void);
int pthread_gate(void);
int spin_lock(void);
int own_spin_lock(void);

static void make_locks(void)
{
    nap(20);
    mtx_init(&mtx, mtx_timed);
    mtx_init(&recursive, mtx_recursive);
    cnd_init(&cnd);
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    here += 100;
}

void setup(int count)
{
    pthread_barrier_init(&gate, NULL, (unsigned)count);
    pthread_once(&once, make_locks);
}

int c11_once(void)
{
    call_once(&flag, make_locks);
    return here / 100;
}

static int enter(mtx_t *lock)
{
    static atomic_int inside;
    int good = 1;

    for (int i = 0; i < 5; i++) {
        good &= mtx_lock(lock) == thrd_success;
        good &= inside++ == 0;
        nap(2);
        inside--;
        mtx_unlock(lock);
    }
    return good;
}

int c11_mutex(void)
{
    return enter(&mtx);
}

int c11_recursive(void)
{
    if (mtx_trylock(&recursive) == thrd_success)
        mtx_unlock(&recursive);
    return enter(&recursive);
}

int c11_condition(int count)
{
    static int arrived;
    int last;

    mtx_lock(&mtx);
    last = ++arrived == count;
    if (last)
        cnd_broadcast(&cnd);
    while (arrived < count)
        cnd_wait(&cnd, &mtx);
    mtx_unlock(&mtx);
    return last;
}

static int slow_thread(void *arg)
{
    nap(20);
    return 13;
}

int c11_thread(void)
{
    thrd_t thread;
    int result;

    thrd_create(&thread, slow_thread, NULL);
    return thrd_join(thread, &result) == thrd_success ? result : -1;
}

int pthread_gate(void)
{
    int serial = 0;

    for (int i = 0; i < 20; i++)
        serial += pthread_barrier_wait(&gate) == PTHREAD_BARRIER_SERIAL_THREAD;
    return serial;
}

int spin_lock(void)
{
    static atomic_int inside;
    int good = 1;

    for (int i = 0; i < 5; i++) {
        pthread_spin_lock(&spin);
        good &= inside++ == 0;
        nap(2);
        inside--;
        pthread_spin_unlock(&spin);
    }
    return good;
}

int own_spin_lock(void)
{
    static atomic_flag taken = ATOMIC_FLAG_INIT;

    while (atomic_flag_test_and_set(&taken))
        sched_yield();
    nap(5);
    atomic_flag_clear(&taken);
    return 1;
}
