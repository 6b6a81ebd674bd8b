/*
 * dlopen.c: dlopen and dlmopen: open a shared object. Its constructors run in this, with the linker's lock held by the
 * OS thread, so while they wait for time or a descriptor no other coroutine runs (wait/block.c). For locks they park:
 * another coroutine may hold them.
 *
 * libc tells by the return address who calls dlopen, and looks for a name without a slash in the directories of the
 * caller's object (DT_RUNPATH) first. It is we who call libc, so such a name is looked for here, and $ORIGIN, which is
 * the caller's directory, is replaced. What has another $ in it also depends on the caller; libc is jumped to for that,
 * and all coroutines wait for its constructors' locks too. So it is for other namespaces (dlmopen): what is loaded into
 * one has a libc of its own, and never calls ours.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/real.h"
#include "coro/coro.h"
#include "libc/tls/redirect.h"

#ifdef __clang__
#define TAIL_CALLS /* it jumps from -O1 on */
#else
#define TAIL_CALLS __attribute__((optimize("optimize-sibling-calls")))
#endif

/* ---- the directories of the caller ---- */

static bool has_directories(const struct link_map *object)
{
    for (const ElfW(Dyn) *entry = object->l_ld; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_RUNPATH || entry->d_tag == DT_RPATH)
            return true;
    return false;
}

/* Returns where libc looks for the libraries of an object, from malloc; NULL if nobody knows. */
static Dl_serinfo *search_list(struct link_map *object)
{
    Dl_serinfo head, *list;

    if (dlinfo(object, RTLD_DI_SERINFOSIZE, &head) < 0 || !(list = malloc(head.dls_size)))
        return NULL;
    if (dlinfo(object, RTLD_DI_SERINFOSIZE, list) == 0 && dlinfo(object, RTLD_DI_SERINFO, list) == 0)
        return list;
    free(list);
    return NULL;
}

/* Look for a name as libc does for the object of an address, if that has directories of its own. Returns the path, of
 * at most size bytes, or NULL: it is not there, or in none of them. */
static const char *find_for(const void *caller, const char *name, char *path, size_t size)
{
    struct link_map *object;
    Dl_serinfo *list;
    bool found = false;
    Dl_info info;

    if (!dladdr1(caller, &info, (void **)&object, RTLD_DL_LINKMAP) || !has_directories(object))
        return NULL;
    list = search_list(object);
    for (unsigned i = 0; list && i < list->dls_cnt && !found; i++)
        found =
            snprintf(path, size, "%s/%s", list->dls_serpath[i].dls_name, name) < (int)size && access(path, R_OK) == 0;
    free(list);
    return found ? path : NULL;
}

/* Returns what follows a $ORIGIN at the beginning of a path, if nothing in it needs to be replaced; else NULL. */
static const char *after_origin(const char *path)
{
    size_t size = strncmp(path, "$ORIGIN/", 8) ? strncmp(path, "${ORIGIN}/", 10) ? 0 : 9 : 7;

    return size && !strchr(path + size, '$') ? path + size : NULL;
}

/* Replace $ORIGIN as libc does for the object of an address. Returns the path, of at most size bytes, or NULL: what is
 * there instead is not known. */
static const char *expand_for(const void *caller, const char *name, char *path, size_t size)
{
    const char *rest = after_origin(name), *slash;
    Dl_info info;

    if (!rest || !dladdr(caller, &info) || *info.dli_fname != '/')
        return NULL;
    slash = strrchr(info.dli_fname, '/');
    return snprintf(path, size, "%.*s%s", (int)(slash - info.dli_fname), info.dli_fname, rest) < (int)size ? path
                                                                                                           : NULL;
}

/* ---- opening ---- */

static void *open_object(const char *path, int mode)
{
    struct coro *co = coro_self();
    bool before = co && co->linking;
    void *handle;

    if (co)
        co->linking = true;
    handle = real()->dlopen(path, mode);
    if (co)
        co->linking = before;
    redirect_loaded();
    return handle;
}

/* A name without a slash. One that is loaded has it already, whoever looks for it. */
static __attribute__((noinline)) void *open_name(const char *name, int mode, const void *caller)
{
    void *loaded = real()->dlopen(name, mode | RTLD_NOLOAD);
    char path[4096];
    const char *found;

    if (loaded || mode & RTLD_NOLOAD)
        return loaded;
    found = find_for(caller, name, path, sizeof(path));
    return open_object(found ? found : name, mode);
}

/* Open what is not for libc alone. Returns false, and nothing was done, if it is. */
static __attribute__((noinline)) bool open_here(const char *name, int mode, const void *caller, void **handle)
{
    const char *path = name;
    char expanded[4096];

    coro_at_home(); /* constructors run under the loader's lock, which is the OS thread's */
    if (!name || (strchr(name, '$') && !(path = expand_for(caller, name, expanded, sizeof(expanded)))))
        return false;
    *handle = strchr(path, '/') ? open_object(path, mode) : open_name(path, mode, caller);
    return true;
}

TAIL_CALLS void *dlopen(const char *path, int mode)
{
    void *handle;

    if (open_here(path, mode, __builtin_return_address(0), &handle))
        return handle;
    return real()->dlopen(path, mode);
}

TAIL_CALLS void *dlmopen(Lmid_t namespace, const char *path, int mode)
{
    void *handle;

    if (namespace == LM_ID_BASE && open_here(path, mode, __builtin_return_address(0), &handle))
        return handle;
    return real()->dlmopen(namespace, path, mode);
}
