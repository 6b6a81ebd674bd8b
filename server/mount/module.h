/* module.h: handler modules, loaded with dlopen, and their instances. */
#ifndef MOUNT_MODULE_H
#define MOUNT_MODULE_H

#include <stddef.h>

#include "settings/limits.h"
#include "syncless.h"
#include "wait/wait.h"

struct conf;
struct settings;

/* One instance: a [name /prefix] section. */
struct mount {
    struct sl_module module;
    void *self;
    void (*ended)(void *self); /* of what sl_serve has made, see there */
    const char *title;         /* of its section, for messages */
    const char *host;          /* "" any */
    const char *prefix;        /* "" or "/shop" */
    struct mount_limits limits;
    struct wait_timeouts deadlines; /* of its requests; route.c's */
    struct mount *next;             /* in order of the file */
};

/* Load the module of every section and fill in the instances. Mistakes are noted in c. What is returned ends with c;
 * the shared objects stay loaded. */
struct mount *modules_load(struct conf *c, const struct settings *settings);

/* Call preload of each instance that has it, until one fails: 0 or what that returned. */
int modules_preload(struct mount *mounts);

/* Call start of each instance, until one fails: 0 or what that returned. */
int modules_start(struct mount *mounts);

/* Call stop of each instance. */
void modules_stop(struct mount *mounts);

#endif
