/*
 * sanitize.h: tell AddressSanitizer and valgrind about changes of stacks; does nothing in other builds.
 *
 * And the library of AddressSanitizer, which must be loaded before those whose calls it checks.
 */
#ifndef CORO_SANITIZE_H
#define CORO_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define CORO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CORO_ASAN 1
#endif
#endif

#ifdef CORO_ASAN
#include <dlfcn.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>

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
/* What memory that is not from malloc points to is no leak: until sanitize_unkeep with the same arguments. */
static inline void sanitize_keep(const void *low, size_t size)
{
    __lsan_register_root_region(low, size);
}
static inline void sanitize_unkeep(const void *low, size_t size)
{
    __lsan_unregister_root_region(low, size);
}
/* Whether the sanitizer makes a call: it waits by sched_yield, and has a lock meanwhile that sanitize_unkeep needs. */
static inline bool sanitize_calls(const void *address)
{
    Dl_info caller, own;

    return dladdr(address, &caller) && dladdr((const void *)__lsan_do_leak_check, &own) &&
           caller.dli_fbase == own.dli_fbase;
}
/* Whether there was a handler of faults when the program began, which would report what ours has to report. */
static inline bool sanitize_handles_faults(void)
{
    return true;
}
/* Whether leaks are looked for at the end of a process, by ptrace. */
static inline bool sanitize_uses_ptrace(void)
{
    return true;
}
/* Returns the path of AddressSanitizer's library; NULL if it is linked in, or there is none. */
static inline const char *sanitize_library(void)
{
    Dl_info info;

    return dladdr((void *)__asan_poison_memory_region, &info) && strstr(info.dli_fname, ".so") ? info.dli_fname : NULL;
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
static inline void sanitize_keep(const void *low, size_t size)
{
}
static inline void sanitize_unkeep(const void *low, size_t size)
{
}
static inline bool sanitize_calls(const void *address)
{
    return false;
}
static inline bool sanitize_uses_ptrace(void)
{
    return false;
}
static inline bool sanitize_handles_faults(void)
{
    return false;
}
static inline const char *sanitize_library(void)
{
    return NULL;
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
