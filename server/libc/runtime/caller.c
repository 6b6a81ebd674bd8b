/*
 * caller.c: which shared object calls.
 *
 * A language runtime's own locks must stay real locks, its identity of threads must be that of coroutines, and neither
 * is true for the libraries beside it. What tells them apart is where the call will return to. The objects are few, so
 * a look-up is two comparisons or four.
 */
#include "libc/runtime/caller.h"

#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>

#define OBJECTS 4

static struct object {
    uintptr_t low, high;
    enum object_kind kind;
} objects[OBJECTS];
static int count;

enum object_kind object_of(const void *address)
{
    uintptr_t at = (uintptr_t)address;

    for (int i = 0; i < count; i++)
        if (at >= objects[i].low && at < objects[i].high)
            return objects[i].kind;
    return OBJECT_OTHER;
}

struct search {
    uintptr_t address;
    struct object found;
};

/* The memory of one object, from its first segment to its last. */
static struct object extent(const struct dl_phdr_info *info)
{
    struct object object = {UINTPTR_MAX, 0, OBJECT_OTHER};

    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        uintptr_t high = low + info->dlpi_phdr[i].p_memsz;

        if (info->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        object.low = low < object.low ? low : object.low;
        object.high = high > object.high ? high : object.high;
    }
    return object;
}

static int look_at(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *search = arg;
    struct object object = extent(info);

    if (search->address < object.low || search->address >= object.high)
        return 0;
    search->found = object;
    return 1;
}

int object_enter(const void *address, enum object_kind kind)
{
    struct search search = {.address = (uintptr_t)address};

    if (object_of(address) == kind)
        return 0;
    if (!dl_iterate_phdr(look_at, &search))
        return -EINVAL;
    if (count == OBJECTS)
        return -ENOSPC;
    search.found.kind = kind;
    objects[count++] = search.found;
    return 0;
}
