/*
 * objects.c: which shared objects have thread-locals, and of which coroutines can have copies.
 *
 * Not of those whose thread-locals are read without a call, at a fixed distance from the thread pointer (initial-exec,
 * the linker then sets DF_STATIC_TLS), or by a call that is not __tls_get_addr (TLS descriptors). Another object may do
 * so too; the loader has then put the block beside the thread's own. So we have it make the block for this OS thread,
 * and look where it is. After that the loader refuses objects that would need it elsewhere.
 *
 * Ids are used again. That an object has been closed is noticed when dlclose returns. Only if one OS thread closes an
 * object while a second one loads another, a coroutine could use the id with the old copy, in the microsecond before
 * the first has noticed.
 */
#include "libc/tls/objects.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/real.h"
#include "libc/tls/tls.h"
#include "log/log.h"

#define MAX_MODULES 4096 /* with larger ids there are no copies */

#if defined(__aarch64__)
#define TLS_DESCRIPTOR R_AARCH64_TLSDESC
#else
#define TLS_DESCRIPTOR R_X86_64_TLSDESC
#endif

typedef int module_visitor(struct dl_phdr_info *info, size_t size, void *arg);

size_t tls_own_modules;

static struct tls_object *_Atomic objects[MAX_MODULES];
static atomic_ullong objects_added, objects_removed; /* by the loader's count, when we last looked */

static int max_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    size_t *max = arg;

    if (info->dlpi_tls_modid > *max)
        *max = info->dlpi_tls_modid;
    return 0;
}

void objects_start(void)
{
    dl_iterate_phdr(max_module, &tls_own_modules);
}

/* ---- what an object asks for ---- */

static const ElfW(Phdr) * find_segment(const struct dl_phdr_info *info, unsigned type)
{
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == type)
            return &info->dlpi_phdr[i];
    return NULL;
}

/* Returns the value of a tag in the dynamic section; 0 if it is not there. */
static ElfW(Addr) dynamic_value(const struct dl_phdr_info *info, ElfW(Sxword) tag)
{
    const ElfW(Phdr) *segment = find_segment(info, PT_DYNAMIC);
    const ElfW(Dyn) *entry = segment ? (const void *)(info->dlpi_addr + segment->p_vaddr) : NULL;

    for (; entry && entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == tag)
            return entry->d_un.d_val;
    return 0;
}

/* Whether the loader was asked for descriptors in one of the two tables of relocations, from an entry on. */
static bool has_descriptors(const struct dl_phdr_info *info, int table_tag, int size_tag, size_t first)
{
    const ElfW(Rela) *table = (const void *)dynamic_value(info, table_tag); /* libc has added dlpi_addr */
    size_t count = table ? dynamic_value(info, size_tag) / sizeof(*table) : 0;

    for (size_t i = first; i < count; i++)
        if (ELF64_R_TYPE(table[i].r_info) == TLS_DESCRIPTOR)
            return true;
    return false;
}

/* Returns why no coroutine can have a copy, as far as the object itself says; or NULL. */
static const char *object_refusal(const struct dl_phdr_info *info)
{
    if (dynamic_value(info, DT_FLAGS) & DF_STATIC_TLS)
        return "it is compiled for initial-exec";
    if (has_descriptors(info, DT_RELA, DT_RELASZ, dynamic_value(info, DT_RELACOUNT)) ||
        has_descriptors(info, DT_JMPREL, DT_PLTRELSZ, 0))
        return "it is compiled for TLS descriptors";
    return NULL;
}

/* Whether the loader has put the block of a module where it is at the same distance in every thread. */
static bool is_beside_thread(size_t module)
{
    static void (*static_info)(size_t * size, size_t * align);
    struct tls_index index = {module, 0};
    uintptr_t block = (uintptr_t)real()->__tls_get_addr(&index), thread = (uintptr_t)__builtin_thread_pointer();
    size_t size = 0, align;

    if (!static_info)
        *(void **)&static_info = dlsym(RTLD_DEFAULT, "_dl_get_tls_static_info");
    if (static_info)
        static_info(&size, &align);
    return block < thread ? thread - block < size : block - thread < size;
}

/* ---- finding ---- */

struct object_search {
    size_t module;
    struct tls_object object;
};

static int describe_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct object_search *search = arg;
    struct tls_object *object = &search->object;
    const ElfW(Phdr) * segment;

    if (info->dlpi_tls_modid != search->module || !(segment = find_segment(info, PT_TLS)))
        return 0;
    object->image = (const char *)(info->dlpi_addr + segment->p_vaddr);
    object->image_size = segment->p_filesz;
    object->size = segment->p_memsz;
    object->align = segment->p_align ? segment->p_align : 1;
    object->skew = segment->p_vaddr & (object->align - 1);
    object->fixed = object_refusal(info) != NULL;
    return 1;
}

static const struct tls_object *object_add(size_t module, const struct tls_object *object)
{
    struct tls_object *added = xmalloc(sizeof(*added)), *before = NULL;

    *added = *object;
    if (atomic_compare_exchange_strong(&objects[module], &before, added))
        return added;
    free(added);
    return before;
}

const struct tls_object *objects_find(size_t module)
{
    static const struct tls_object unknown = {.fixed = true};
    struct object_search search = {.module = module};
    const struct tls_object *object = module < MAX_MODULES ? objects[module] : &unknown;

    if (object)
        return object;
    if (!dl_iterate_phdr(describe_object, &search))
        return &unknown;
    search.object.fixed |= is_beside_thread(module);
    return object_add(module, &search.object);
}

/* ---- changes ---- */

static int count_objects(struct dl_phdr_info *info, size_t size, void *arg)
{
    *(struct dl_phdr_info *)arg = *info;
    return 1;
}

/* Whether the loader has counted on since the last look. */
static bool has_changed(atomic_ullong *seen, size_t offset)
{
    struct dl_phdr_info first;
    unsigned long long now;

    dl_iterate_phdr(count_objects, &first);
    now = *(unsigned long long *)((char *)&first + offset);
    return atomic_exchange(seen, now) != now;
}

/* Note where the image of each module is, in an array by id. */
static int note_image(struct dl_phdr_info *info, size_t size, void *arg)
{
    const ElfW(Phdr) *segment = find_segment(info, PT_TLS);

    if (segment && info->dlpi_tls_modid < MAX_MODULES)
        ((const char **)arg)[info->dlpi_tls_modid] = (const char *)(info->dlpi_addr + segment->p_vaddr);
    return 0;
}

void objects_closed(void)
{
    const char **images;

    if (!has_changed(&objects_removed, offsetof(struct dl_phdr_info, dlpi_subs)))
        return;
    images = xcalloc(MAX_MODULES, sizeof(*images));
    dl_iterate_phdr(note_image, images);
    for (size_t module = tls_own_modules + 1; module < MAX_MODULES; module++) {
        struct tls_object *object = objects[module];

        if (!object || object->image == images[module] ||
            !atomic_compare_exchange_strong(&objects[module], &object, NULL))
            continue;
        blocks_drop(module, object);
        free(object);
    }
    free(images);
}

static int tell_refusal(struct dl_phdr_info *info, size_t size, void *arg)
{
    size_t module = info->dlpi_tls_modid;
    const char *why;

    if (module <= tls_own_modules || module >= MAX_MODULES || objects[module] || !(why = object_refusal(info)))
        return 0;
    object_add(module, &(struct tls_object){.fixed = true});
    log_debug("the thread-locals of %s are shared by all coroutines: %s", info->dlpi_name, why);
    return 0;
}

void objects_loaded(void)
{
    if (has_changed(&objects_added, offsetof(struct dl_phdr_info, dlpi_adds)))
        dl_iterate_phdr(tell_refusal, NULL);
}
