/*
 * module_file.c: the shared object of a module, found by the module's name.
 */
#include "mount/module_file.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "host/host.h"

#define MAX_FILES 256
#define SUFFIX    ".so"
#define DIGITS    "0123456789"

/* ---- names of files ---- */

/* A list of strings that is being made. */
struct module_names {
    struct arena *arena;
    const char **names; /* NULL-terminated, with room for MAX_FILES */
    size_t count;
};

static void add_name(struct module_names *list, const char *name, size_t size)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strncmp(list->names[i], name, size) && !list->names[i][size])
            return;
    if (list->count == MAX_FILES)
        return;
    list->names[list->count++] = arena_strndup(list->arena, name, size);
    list->names[list->count] = NULL;
}

/* Returns the part of a file's name that is the name of a module, by its size; 0 if the file is none. Fills in where
 * the version is, "" if it has none. */
static size_t split_name(const char *file, const char **version, size_t *version_size)
{
    size_t size = strlen(file), suffix = strlen(SUFFIX);
    const char *dash = strrchr(file, '-');

    if (size <= suffix || strcmp(file + size - suffix, SUFFIX))
        return 0;
    size -= suffix;
    *version = file + size;
    *version_size = 0;
    if (!dash || dash == file)
        return size;
    *version_size = (size_t)(file + size - dash - 1);
    if (strspn(dash + 1, DIGITS ".") < *version_size || !memchr(dash + 1, '.', *version_size)) {
        *version_size = 0;
        return size;
    }
    *version = dash + 1;
    return (size_t)(dash - file);
}

/* Add the modules in a directory: their names, or the versions of the one with the given name. */
static void add_directory(struct module_names *list, const char *path, const char *name)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        const char *version;
        size_t version_size, size = split_name(entry->d_name, &version, &version_size);

        if (!name && size)
            add_name(list, entry->d_name, size);
        else if (name && version_size && size == strlen(name) && !strncmp(entry->d_name, name, size))
            add_name(list, version, version_size);
    }
    if (dir)
        closedir(dir);
}

static const char *const *list_directories(struct arena *a, const char *const *dirs, const char *name)
{
    struct module_names list = {.arena = a, .names = arena_alloc(a, (MAX_FILES + 1) * sizeof(char *))};

    *list.names = NULL;
    for (; *dirs; dirs++)
        add_directory(&list, *dirs, name);
    return list.names;
}

const char *const *module_file_versions(struct arena *a, const char *const *dirs, const char *name)
{
    return list_directories(a, dirs, name);
}

const char *const *module_file_names(struct arena *a, const char *const *dirs)
{
    return list_directories(a, dirs, NULL);
}

/* ---- one module ---- */

static bool has_versions(struct arena *a, const char *dir, const char *name)
{
    const char *const dirs[] = {dir, NULL};

    return module_file_versions(a, dirs, name)[0];
}

/* Beside shared objects with a version, one without is what an older build has left. */
const char *module_file_find(struct arena *a, const char *const *dirs, const char *name, const char *version)
{
    for (; *dirs; dirs++) {
        const char *path = arena_printf(a, "%s/%s-%s" SUFFIX, *dirs, name, version);

        if (*version && !access(path, F_OK))
            return path;
        path = arena_printf(a, "%s/%s" SUFFIX, *dirs, name);
        if (!access(path, F_OK) && !has_versions(a, *dirs, name))
            return path;
    }
    return NULL;
}

const char *module_file_missing(struct arena *a, const char *const *dirs, const char *name)
{
    const char *text = arena_printf(a, ": there is no %s" SUFFIX " in %s", name, *dirs);

    while (*++dirs)
        text = arena_printf(a, "%s, %s", text, *dirs);
    return text;
}

bool module_file_is_bridge(const char *path)
{
    const char *slash = strrchr(path, '/'), *version;
    size_t version_size;

    return split_name(slash ? slash + 1 : path, &version, &version_size) && version_size;
}

const char *module_file_refusal(struct arena *a, const char *const *versions)
{
    const char *list = *versions;

    if (host_refusal())
        return arena_printf(a, "cannot run in %s: %s", host_python(), host_refusal());
    while (*++versions)
        list = arena_printf(a, "%s, %s", list, *versions);
    return arena_printf(a,
                        "%s is CPython %s, and this server was built for %s: choose another Python by the key "
                        "\"python\" of [server], or build the server with make PYTHONS=%s",
                        host_python(), host_full_version(), list, host_python());
}
