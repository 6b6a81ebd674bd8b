/*
 * recorder.c: the flight recorder: its ring, and how long a tick of its clock is.
 *
 * How fast the processor's counter is nobody says, so it is compared with the system's clock since the start: after a
 * second that is as exact as that clock.
 */
#include "coro/recorder.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"

struct recorder recorder;

static int64_t record_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int recorder_start(size_t size)
{
    size_t count = 1;
    void *ring;

    if (size < sizeof(struct record_event))
        return 0;
    while (2 * count * sizeof(struct record_event) <= size)
        count *= 2;
    ring = mmap(NULL, count * sizeof(struct record_event), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ring == MAP_FAILED)
        return -errno;
    recorder.ring = ring;
    recorder.pid = getpid();
    recorder.mask = count - 1;
    recorder.next = 0;
    recorder.ticks = ticks_now();
    recorder.began = record_now();
    recorder.events = ring;
    return 0;
}

void record_forget(void)
{
    recorder.events = NULL;
}

double record_tick_length(void)
{
    uint64_t ticks = ticks_now() - recorder.ticks;
    int64_t time = record_now() - recorder.began;

    return ticks > 0 && time > 0 ? (double)time / (double)ticks : 1;
}

void record_late_iteration(void)
{
    int64_t taken = record_now() - atomic_exchange(&recorder.late, 0);

    record_note(RECORD_LOOP, NULL, (uint32_t)min_int64(taken / 1000, RECORD_MAX_VALUE));
}
