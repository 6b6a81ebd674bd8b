/* limits.h: the limits that each mount has of its own, and how a mount is filled in. */
#ifndef SETTINGS_LIMITS_H
#define SETTINGS_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "syncless.h"

struct conf;
struct conf_section;

enum on_disconnect { ON_DISCONNECT_IGNORE, ON_DISCONNECT_CANCEL };

struct mount_limits {
    int64_t request_timeout; /* milliseconds; 0: none */
    int64_t max_body_size;   /* bytes; 0: none */
    int on_disconnect;       /* enum on_disconnect */
};

/* The keys that [limits], [MODULE] and [MODULE /prefix] take. */
extern const struct sl_option mount_limits_options[];

/* Check the section of a module and fill in the instance by the module's options (NULL: none), from the section, then
 * [MODULE], then the defaults; and its limits from these and [limits]. limits is NULL for a module that serves nothing,
 * as a filter: its sections take no such keys. A section [MODULE] is only checked, and instance is NULL. Mistakes are
 * recorded in c. */
void settings_fill_mount(struct conf *c, struct conf_section *s, const struct sl_option *options, void *instance,
                         struct mount_limits *limits);

/* Write the section of a mount, by its title, with every key. */
void settings_dump_mount(struct conf *c, const char *title, const struct sl_option *options, bool has_limits,
                         FILE *out);

#endif
