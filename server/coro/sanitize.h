/*
 * sanitize.h: tell AddressSanitizer and valgrind about changes of stacks; does nothing in other builds.
 */
#ifndef CORO_SANITIZE_H
#define CORO_SANITIZE_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define CORO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CORO_ASAN 1
#endif
#endif

#ifdef CORO_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

static inline void sanitize_leave(void **fake_stack, const void *low, size_t size)
{
    __sanitizer_start_switch_fiber(fake_stack, low, size);
}
static inline void sanitize_arrive(void *fake_stack, const void **low, size_t *size)
{
    __sanitizer_finish_switch_fiber(fake_stack, low, size);
}
/* The frames left on a stack are dead when it is freed or used again. */
static inline void sanitize_clear(const void *low, size_t size)
{
    __asan_unpoison_memory_region(low, size);
}
#else
static inline void sanitize_leave(void **fake_stack, const void *low, size_t size)
{
}
static inline void sanitize_arrive(void *fake_stack, const void **low, size_t *size)
{
}
static inline void sanitize_clear(const void *low, size_t size)
{
}
#endif

#if defined(CORO_VALGRIND)
#include <valgrind/valgrind.h>
#define sanitize_stack_add(low, high) VALGRIND_STACK_REGISTER(low, high)
#define sanitize_stack_remove(id)     VALGRIND_STACK_DEREGISTER(id)
#else
#define sanitize_stack_add(low, high) 0
#define sanitize_stack_remove(id)     ((void)(id))
#endif

#endif
