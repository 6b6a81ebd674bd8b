/* limits.h: the limits that each mount has of its own, and how a mount is filled in. */
#ifndef SETTINGS_LIMITS_H
#define SETTINGS_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "settings/area.h"
#include "syncless.h"

struct conf;
struct conf_section;

enum on_disconnect { ON_DISCONNECT_IGNORE, ON_DISCONNECT_CANCEL };
enum priority { PRIORITY_AUTO, PRIORITY_NORMAL, PRIORITY_HIGH };

struct mount_limits {
    int64_t request_timeout; /* milliseconds; 0: none */
    int timeout_counts;      /* enum deadline_counts */
    int64_t min_rate;        /* bytes of a body for each second that is waited for them; 0: none */
    int64_t min_rate_after;  /* milliseconds that may be waited besides */
    int64_t max_body_size;   /* bytes; 0: none */
    int on_disconnect;       /* enum on_disconnect */
    int priority;            /* enum priority */
    int64_t max_concurrency; /* requests that run at once; 0: any number */
    const void *max_owner;   /* identifies what these requests belong to; NULL if max_concurrency is 0 */
    const char *max_title;   /* of that section; NULL as well */
};

/* The keys that [limits], [MODULE], [MODULE /prefix] and [limits PREFIX] take; and those that all but the first take.
 */
extern const struct sl_option mount_limits_options[], mount_own_options[];

/* Check the section of a module and fill in the instance by the module's options (NULL: none), from the section, then
 * [MODULE], then the defaults; and its limits from these, [limits PREFIX] and [limits]. limits is NULL for a module
 * that serves nothing, as a filter: its sections take no such keys. A section [MODULE] is only checked, and instance is
 * NULL. Mistakes are recorded in c. */
void settings_fill_mount(struct conf *c, struct conf_section *s, const struct sl_option *options, void *instance,
                         struct mount_limits *limits);

/* Fill in the limits for an area of a mount, whose section was checked. */
void settings_fill_area(struct conf *c, struct conf_section *mount, const struct area *area,
                        struct mount_limits *limits);

/* Returns the key script-name of a mount, without its last slash; NULL: it is not given. */
const char *settings_script_name(struct conf *c, struct conf_section *mount);

/* Check the sections [limits PREFIX]. */
void settings_check_areas(struct conf *c);

/* Record an error for each of them that concerns no section of the modules. */
void settings_check_areas_are_served(struct conf *c);

/* Write the section of a mount, by its title, with every key; all sections [limits PREFIX]. */
void settings_dump_mount(struct conf *c, const char *title, const struct sl_option *options, bool has_limits,
                         FILE *out);
void settings_dump_areas(struct conf *c, FILE *out);

#endif
