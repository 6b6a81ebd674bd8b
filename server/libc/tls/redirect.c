/*
 * redirect.c: calls of some functions from shared objects go to others, for functions that an executable defines.
 *
 * An object calls a function of another one by an address in its global offset table, which the loader fills in. The
 * executable is searched first, so what it defines cannot be interposed by order. So the entries of each object are
 * overwritten when it has been loaded, by dlopen (dlopen.c). An object may be in use by then only if another
 * thread is faster than the return of dlopen; its first calls then go to the function itself, which does no harm.
 *
 * What a path with $ORIGIN has loaded is found by the next call, since such a one goes to libc as it is.
 */
#include "libc/tls/redirect.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/real.h"
#include "syncless/runtime.h"

#if defined(__aarch64__)
#define JUMP_SLOT R_AARCH64_JUMP_SLOT
#define GLOB_DAT  R_AARCH64_GLOB_DAT
#define ABSOLUTE  R_AARCH64_ABS64
#else
#define JUMP_SLOT R_X86_64_JUMP_SLOT
#define GLOB_DAT  R_X86_64_GLOB_DAT
#define ABSOLUTE  R_X86_64_64
#endif

static const struct sl_redirect *redirects; /* or NULL */

/* An object, as far as redirecting needs to know it. */
struct redirect_object {
    const struct dl_phdr_info *info;
    const ElfW(Sym) * symbols;
    const char *strings;
    uintptr_t relro, relro_end; /* read-only by now */
};

/* ---- an object ---- */

static bool object_contains(const struct dl_phdr_info *info, const void *address)
{
    uintptr_t at = (uintptr_t)address - info->dlpi_addr;

    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && at - info->dlpi_phdr[i].p_vaddr < info->dlpi_phdr[i].p_memsz)
            return true;
    return false;
}

/* Returns the function that calls of that name from this object go to, or NULL. */
static void *redirect_find(const struct redirect_object *object, const char *name)
{
    for (const struct sl_redirect *r = redirects; r->name; r++)
        if (!strcmp(r->name, name) && object_contains(object->info, r->in) == r->only &&
            !object_contains(object->info, r->to))
            return r->to;
    return NULL;
}

static void redirect_entry(const struct redirect_object *object, void **entry, void *to)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)entry & ~(page - 1);
    bool read_only = (uintptr_t)entry >= object->relro && (uintptr_t)entry < object->relro_end;

    if (read_only && mprotect((void *)at, page, PROT_READ | PROT_WRITE) < 0)
        return; /* hardened against this: its calls are not redirected */
    __atomic_store_n(entry, to, __ATOMIC_RELEASE);
    if (read_only)
        mprotect((void *)at, page, PROT_READ);
}

static void redirect_entries(const struct redirect_object *object, const ElfW(Rela) * entries, size_t size)
{
    for (size_t i = 0; entries && i < size / sizeof(*entries); i++) {
        unsigned long type = ELF64_R_TYPE(entries[i].r_info);
        const ElfW(Sym) *symbol = &object->symbols[ELF64_R_SYM(entries[i].r_info)];
        void *to;

        if (type != JUMP_SLOT && type != GLOB_DAT && (type != ABSOLUTE || entries[i].r_addend != 0))
            continue;
        to = ELF64_R_SYM(entries[i].r_info) ? redirect_find(object, object->strings + symbol->st_name) : NULL;
        if (to)
            redirect_entry(object, (void **)(object->info->dlpi_addr + entries[i].r_offset), to);
    }
}

struct redirect_tables {
    const ElfW(Rela) * entries, *calls;
    size_t entries_size, calls_size;
};

static struct redirect_tables read_dynamic(struct redirect_object *object, const ElfW(Dyn) * entry)
{
    struct redirect_tables tables = {0};

    for (; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_SYMTAB)
            object->symbols = (const void *)entry->d_un.d_ptr;
        else if (entry->d_tag == DT_STRTAB)
            object->strings = (const void *)entry->d_un.d_ptr;
        else if (entry->d_tag == DT_RELA)
            tables.entries = (const void *)entry->d_un.d_ptr;
        else if (entry->d_tag == DT_RELASZ)
            tables.entries_size = entry->d_un.d_val;
        else if (entry->d_tag == DT_JMPREL)
            tables.calls = (const void *)entry->d_un.d_ptr;
        else if (entry->d_tag == DT_PLTRELSZ)
            tables.calls_size = entry->d_un.d_val;
    }
    return tables;
}

static void redirect_object(const struct dl_phdr_info *info)
{
    struct redirect_object object = {.info = info};
    const ElfW(Dyn) *dynamic = NULL;
    struct redirect_tables tables;

    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

        if (segment->p_type == PT_DYNAMIC)
            dynamic = (const void *)(info->dlpi_addr + segment->p_vaddr);
        if (segment->p_type != PT_GNU_RELRO)
            continue;
        object.relro = info->dlpi_addr + segment->p_vaddr;
        object.relro_end = object.relro + segment->p_memsz;
    }
    if (!dynamic)
        return;
    tables = read_dynamic(&object, dynamic);
    if (!object.symbols || !object.strings || (uintptr_t)object.symbols < info->dlpi_addr)
        return; /* the kernel's object, which nobody has relocated */
    redirect_entries(&object, tables.entries, tables.entries_size);
    redirect_entries(&object, tables.calls, tables.calls_size);
}

/* ---- all objects ---- */

/* Those that are known come first, in the same order, unless one has been unloaded. */
struct redirect_walk {
    unsigned long long removed; /* by the loader's count */
    size_t known, seen;
};

static pthread_mutex_t walk_lock = PTHREAD_MUTEX_INITIALIZER;
static struct redirect_walk last_walk;

static int redirect_next(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct redirect_walk *walk = arg;

    if (walk->removed != info->dlpi_subs) {
        walk->removed = info->dlpi_subs;
        walk->known = 0;
    }
    if (walk->seen++ >= walk->known && !object_contains(info, (void *)redirect_add))
        redirect_object(info);
    return 0;
}

void redirect_loaded(void)
{
    if (!redirects)
        return;
    real()->pthread_mutex_lock(&walk_lock);
    last_walk.seen = 0;
    dl_iterate_phdr(redirect_next, &last_walk);
    last_walk.known = last_walk.seen;
    real()->pthread_mutex_unlock(&walk_lock);
}

static void redirect_after_fork(void)
{
    walk_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

void redirect_add(const struct sl_redirect *table)
{
    if (redirects)
        return;
    pthread_atfork(NULL, NULL, redirect_after_fork);
    redirects = table;
    redirect_loaded();
}
