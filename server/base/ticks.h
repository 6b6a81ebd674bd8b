/*
 * ticks.h: how long something has taken, roughly, at the cost of one instruction.
 *
 * For calls that are quicker than a look at the clock, to find out which of them were not. Processors count at 1 to
 * 4 GHz on x86-64 and say how fast on aarch64, so what is returned is right to a factor of two.
 */
#ifndef BASE_TICKS_H
#define BASE_TICKS_H

#include <stdint.h>

#if defined(__x86_64__)
static inline uint64_t ticks_now(void)
{
    return __builtin_ia32_rdtsc();
}
static inline int64_t ticks_ns(uint64_t ticks)
{
    return (int64_t)(ticks / 2);
}
#elif defined(__aarch64__)
static inline uint64_t ticks_now(void)
{
    uint64_t count;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
    return count;
}
static inline int64_t ticks_ns(uint64_t ticks)
{
    uint64_t frequency;

    __asm__("mrs %0, cntfrq_el0" : "=r"(frequency));
    return (int64_t)(ticks * 1000 / (frequency / 1000000));
}
#else
#include <time.h>
static inline uint64_t ticks_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
static inline int64_t ticks_ns(uint64_t ticks)
{
    return (int64_t)ticks;
}
#endif

/* Returns the nanoseconds since ticks_now() was begun; 0 if the processor's counter went back. */
static inline int64_t ticks_since(uint64_t begun)
{
    uint64_t now = ticks_now();

    return now > begun ? ticks_ns(now - begun) : 0;
}

#endif
