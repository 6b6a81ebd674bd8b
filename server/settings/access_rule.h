/* access_rule.h: the keys of access logs, which [log], [MODULE] and each mount take. */
#ifndef SETTINGS_ACCESS_RULE_H
#define SETTINGS_ACCESS_RULE_H

#include <stdio.h>

#include "syncless.h"

struct access_rule;
struct arena;
struct conf;
struct conf_section;

/* The keys, a part of those of [log] and of each mount. */
extern const struct sl_option access_rule_options[];

/* Returns what [log] says. Mistakes are recorded in c, which owns it; so with the others. */
struct access_rule *settings_access_rule(struct conf *c);

/* Returns what holds for a mount if its section or [MODULE] has one of the keys; NULL: it has none. */
struct access_rule *settings_access_rule_of_mount(struct conf *c, struct conf_section *mount);

/* Write the keys of a mount, if it has a rule of its own. */
void settings_dump_access_rule(struct conf *c, struct conf_section *mount, FILE *out);

/* Add the rule's target (NULL rule, or no target: nothing) to a list, unless it is in it, and note where it is. */
const char *const *settings_add_target(struct arena *arena, const char *const *list, struct access_rule *rule);

#endif
