/* A library whose constructor and destructor wait: for time, for a descriptor, for a thread of its own; and take a lock
 * that others hold. */
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

static int state;

static void *work(void *arg)
{
    usleep(20000);
    state = 1;
    return arg;
}

__attribute__((constructor)) static void begin(void)
{
    pthread_t thread;
    int ends[2];

    usleep(100000);
    if (pipe(ends) == 0)
        poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 50);
    close(ends[0]);
    close(ends[1]);
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
    state++;
}

__attribute__((destructor)) static void end(void)
{
    usleep(20000);
}

int load_state(void)
{
    return state;
}
