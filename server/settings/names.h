/* names.h: the keys of the server's own sections, and what a name that is none of them may mean. */
#ifndef SETTINGS_NAMES_H
#define SETTINGS_NAMES_H

#include "conf/conf.h"
#include "conf/nearest.h"

/* The sections with their tables, for conf_check_section, and what unknown keys and sections mean. */
extern const struct conf_names settings_names;

/* Returns the option of that name in one of these sections, and in *section its proper place; NULL: none has it. */
const struct sl_option *settings_find_option(const char *key, const char **section);

/* Look at the names of all of these options. */
void settings_nearest_option(struct conf_nearest *near);

#endif
