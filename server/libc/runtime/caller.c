/*
 * caller.c: which shared object has made an interposed call.
 *
 * The locks of a language runtime must block its OS thread, and its thread identity must be that of the coroutine;
 * for the libraries beside it neither is true. The return address of a call tells who made it. Only a few objects are
 * registered, so a lookup takes two to four comparisons.
 */
#include "libc/runtime/caller.h"

#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_CALLERS 4

/* An object that is registered, and the memory it occupies. */
struct caller {
    uintptr_t low, high;
    enum caller_kind kind;
};

static struct caller callers[MAX_CALLERS];
static int caller_count;

enum caller_kind caller_kind_of(const void *address)
{
    uintptr_t at = (uintptr_t)address;

    for (int i = 0; i < caller_count; i++)
        if (at >= callers[i].low && at < callers[i].high)
            return callers[i].kind;
    return CALLER_OTHER;
}

/* From the first segment of an object to its last. */
static struct caller caller_extent(const struct dl_phdr_info *info)
{
    struct caller caller = {UINTPTR_MAX, 0, CALLER_OTHER};

    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        uintptr_t high = low + info->dlpi_phdr[i].p_memsz;

        if (info->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        caller.low = low < caller.low ? low : caller.low;
        caller.high = high > caller.high ? high : caller.high;
    }
    return caller;
}

struct caller_search {
    uintptr_t address;
    struct caller found;
};

static int caller_match(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct caller_search *search = arg;
    struct caller caller = caller_extent(info);

    if (search->address < caller.low || search->address >= caller.high)
        return 0;
    search->found = caller;
    return 1;
}

int caller_register(const void *address, enum caller_kind kind)
{
    struct caller_search search = {.address = (uintptr_t)address};

    if (caller_kind_of(address) == kind)
        return 0;
    if (!dl_iterate_phdr(caller_match, &search))
        return -EINVAL;
    if (caller_count == MAX_CALLERS)
        return -ENOSPC;
    search.found.kind = kind;
    callers[caller_count++] = search.found;
    return 0;
}
