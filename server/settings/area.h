/* area.h: parts of a mount that sections [limits PREFIX] give limits of their own. */
#ifndef SETTINGS_AREA_H
#define SETTINGS_AREA_H

#include <stdbool.h>
#include <stddef.h>

struct conf;
struct conf_section;

/* Requests to a host ("": any) at a prefix or below it. */
struct area {
    const char *host, *prefix;
};

/* Returns the areas of a mount besides the whole of it, in memory of c. */
const struct area *areas_of_mount(struct conf *c, const struct conf_section *mount, size_t *count);

/* Returns the sections that have a say in the limits of an area of a mount, the most particular one first, then
 * [MODULE], and [limits] as the last one; each of these may be NULL. In memory of c. */
struct conf_section **area_chain(struct conf *c, struct conf_section *mount, const struct area *area, size_t *count);

/* Whether a section [limits PREFIX] is about requests to the mount. */
bool area_concerns(const struct conf_section *limits, const struct conf_section *mount);

#endif
