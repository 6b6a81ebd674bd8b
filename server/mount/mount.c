/*
 * mount.c: the modules that the configuration names, and their instances.
 *
 * Modules are loaded before the workers are forked: their option tables are needed to check the configuration, and the
 * workers share the pages of their code. start, which may create threads and open files, runs in each worker.
 */
#include "mount/mount.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "log/log.h"
#include "mount/loader.h"
#include "settings/settings.h"

#define MAX_MODULES 256

/* ---- finding the shared object ---- */

static const char *find_shared_object(struct conf *c, const struct settings *settings, const char *name)
{
    for (const char *const *dir = settings->module_path; *dir; dir++) {
        const char *path = arena_printf(&c->arena, "%s/%s.so", *dir, name);

        if (access(path, F_OK) == 0)
            return path;
    }
    return NULL;
}

/* Append the names of the modules in a directory to names, which has count. Returns the new count. */
static size_t list_modules(struct conf *c, const char *path, const char **names, size_t count)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    while (dir && count < MAX_MODULES && (entry = readdir(dir))) {
        size_t size = strlen(entry->d_name);

        if (size > 3 && !strcmp(entry->d_name + size - 3, ".so"))
            names[count++] = arena_strndup(&c->arena, entry->d_name, size - 3);
    }
    if (dir)
        closedir(dir);
    return count;
}

static void record_unknown_module(struct conf *c, const struct settings *settings, const struct conf_section *section)
{
    const char *names[MAX_MODULES + 1];
    size_t count = 0;

    for (const char *const *dir = settings->module_path; *dir; dir++)
        count = list_modules(c, *dir, names, count);
    names[count] = NULL;
    conf_unknown_section(c, section, names);
}

/* ---- loading ---- */

/* Load the module of a section. Returns false if it cannot be used, which is recorded in c. */
static bool load_module(struct conf *c, const struct settings *settings, const struct conf_section *section,
                        struct sl_module *module)
{
    const char *path = find_shared_object(c, settings, section->name);
    char why[LOADER_WHY_SIZE];

    if (!path)
        record_unknown_module(c, settings, section);
    else if (loader_open(module, path, why) < 0)
        conf_error(c, section->place, "cannot load module %s: %s", section->name, why);
    else if (!module->handle && !module->filter)
        conf_error(c, section->place, "module %s has neither a handle nor a filter function", path);
    else
        return true;
    return false;
}

static struct mount *mount_new(struct conf *c, struct conf_section *section, const struct sl_module *module)
{
    struct mount *mount = arena_alloc(&c->arena, sizeof(*mount));

    *mount = (struct mount){
        .module = *module,
        .self = arena_alloc(&c->arena, module->size),
        .title = section->title,
        .host = section->host,
        .prefix = section->prefix,
    };
    memset(mount->self, 0, module->size);
    settings_fill_mount(c, section, module->options, mount->self, module->handle ? &mount->limits : NULL);
    return mount;
}

struct mount *mounts_load(struct conf *c, const struct settings *settings)
{
    struct mount *first = NULL, **last = &first;
    struct conf_section *section = NULL;

    while ((section = conf_modules(c, section))) {
        struct mount_limits unused;
        struct sl_module module;

        if (!load_module(c, settings, section, &module))
            continue;
        if (!section->prefix) {
            settings_fill_mount(c, section, module.options, NULL, module.handle ? &unused : NULL);
            continue;
        }
        *last = mount_new(c, section, &module);
        last = &(*last)->next;
    }
    return first;
}

/* ---- starting and stopping ---- */

/* Call start or preload, fn, which may be NULL. */
static int start_instance(const struct mount *m, int (*fn)(void *self))
{
    int err = fn ? fn(m->self) : 0;

    if (err)
        log_error("[%s] cannot start: %s", m->title,
                  err == -ENOEXEC ? "the application cannot be loaded" : strerror(-err));
    return err;
}

int mounts_preload(struct mount *mounts)
{
    int err = 0;

    for (struct mount *m = mounts; m && !err; m = m->next)
        err = start_instance(m, m->module.preload);
    return err;
}

int mounts_start(struct mount *mounts)
{
    int err = 0;

    for (struct mount *m = mounts; m && !err; m = m->next)
        err = start_instance(m, m->module.start);
    return err;
}

void mounts_stop(struct mount *mounts)
{
    for (struct mount *m = mounts; m; m = m->next)
        if (m->module.stop)
            m->module.stop(m->self);
}
