/*
 * mount.c: the modules that the configuration names, and their instances.
 *
 * Modules are loaded before the workers are forked: their option tables are needed to check the configuration, and the
 * workers share the pages of their code. start, which may create threads and open files, runs in each worker.
 */
#include "mount/mount.h"

#include <errno.h>
#include <string.h>

#include "conf/conf.h"
#include "host/host.h"
#include "log/log.h"
#include "mount/loader.h"
#include "mount/module_file.h"
#include "mount/status_mount.h"
#include "settings/access_rule.h"
#include "settings/settings.h"

/* ---- loading ---- */

/* The modules of a configuration, while they are loaded. */
struct mount_loading {
    struct conf *conf;
    const struct settings *settings;
    const struct conf_section *unhosted; /* the first section that needs Python, where there is none; or NULL */
};

/* There is no file of the module for this process. Find out why. */
static void record_missing_module(struct mount_loading *l, const struct conf_section *section)
{
    struct arena *a = &l->conf->arena;
    const char *const *dirs = l->settings->module_path;
    const char *const *versions = module_file_versions(a, dirs, section->name);

    if (!*versions)
        conf_unknown_section(l->conf, section, module_file_names(a, dirs),
                             section->prefix ? module_file_missing(a, dirs, section->name) : "");
    else if (host_entered())
        conf_error(l->conf, section->place, "[%s] %s", section->title, module_file_refusal(a, versions));
    else if (!l->unhosted)
        l->unhosted = section;
}

/* Load the module of a section. Returns the path of its file, or NULL if it cannot be used, which is recorded. */
static const char *load_module(struct mount_loading *l, const struct conf_section *section, struct sl_module *module)
{
    struct conf *c = l->conf;
    const char *path = NULL;
    char why[LOADER_WHY_SIZE];

    if (!strcmp(section->name, status_module.name)) {
        *module = status_module;
        return "status, which is built in";
    }
    path = module_file_find(&c->arena, l->settings->module_path, section->name, host_version());
    if (!path)
        record_missing_module(l, section);
    else if (loader_open(module, path, why) < 0)
        conf_error(c, section->place, "cannot load module %s: %s", section->name, why);
    else if (!module->handle && !module->filter)
        conf_error(c, section->place, "module %s has neither a handle nor a filter function", path);
    else
        return path;
    return NULL;
}

/* A script-name that the prefix begins with leaves the rest of it to the handler. Any other one replaces the prefix. */
static void set_script(struct conf *c, struct mount *mount, struct conf_section *section)
{
    const char *script = mount->module.handle ? settings_script_name(c, section) : NULL;
    size_t size = script ? strlen(script) : 0;

    mount->script = script ? script : mount->prefix;
    mount->skip = strlen(mount->prefix);
    if (script && !strncmp(mount->prefix, script, size) && (mount->prefix[size] == '/' || !mount->prefix[size]))
        mount->skip = size;
}

static void measure_place(struct mount *mount)
{
    mount->host_size = strlen(mount->host);
    mount->prefix_size = strlen(mount->prefix);
}

/* Returns the list of its areas; NULL: there are none. */
static struct mount *mount_areas(struct conf *c, const struct mount *mount, struct conf_section *section)
{
    size_t count;
    const struct area *places = areas_of_mount(c, section, &count);
    struct mount *first = NULL;

    for (size_t i = 0; i < count; i++) {
        struct mount *area = arena_alloc(&c->arena, sizeof(*area));

        *area = *mount;
        area->host = places[i].host;
        area->prefix = places[i].prefix;
        measure_place(area);
        area->next = first;
        settings_fill_area(c, section, &places[i], &area->limits);
        first = area;
    }
    return first;
}

static struct mount *mount_new(struct conf *c, struct conf_section *section, const struct sl_module *module,
                               const char *file)
{
    struct mount *mount = arena_alloc(&c->arena, sizeof(*mount));

    *mount = (struct mount){
        .module = *module,
        .self = arena_alloc(&c->arena, module->size),
        .file = file,
        .title = section->title,
        .host = section->host,
        .prefix = section->prefix,
    };
    measure_place(mount);
    memset(mount->self, 0, module->size);
    settings_fill_mount(c, section, module->options, mount->self, module->handle ? &mount->limits : NULL);
    mount->log = module->handle ? settings_access_rule_of_mount(c, section) : NULL;
    set_script(c, mount, section);
    if (module->handle == status_module.handle) {
        status_mount_fill(c, section, mount->self);
        mount->limits.priority = PRIORITY_HIGH;
    }
    if (module->handle)
        mount->areas = mount_areas(c, mount, section);
    return mount;
}

struct mount *mounts_load(struct conf *c, const struct settings *settings, const struct conf_section **unhosted)
{
    struct mount_loading loading = {c, settings, NULL};
    struct mount *first = NULL, **last = &first;
    struct conf_section *section = NULL;

    while ((section = conf_modules(c, section))) {
        struct mount_limits unused;
        struct sl_module module;
        const char *file = load_module(&loading, section, &module);

        if (!file)
            continue;
        if (!section->prefix) {
            settings_fill_mount(c, section, module.options, NULL, module.handle ? &unused : NULL);
            continue;
        }
        *last = mount_new(c, section, &module, file);
        last = &(*last)->next;
    }
    *unhosted = loading.unhosted;
    settings_check_areas_are_served(c);
    return first;
}

void mounts_log_python(const struct mount *mounts)
{
    while (mounts && !module_file_is_bridge(mounts->file))
        mounts = mounts->next;
    if (mounts)
        log_info("Python runs in %s, CPython %s, by %s", host_python(), host_full_version(), mounts->file);
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
