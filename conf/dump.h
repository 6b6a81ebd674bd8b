/* dump.h: show a configuration as the server understands it. */
#ifndef CONF_DUMP_H
#define CONF_DUMP_H

#include <stdio.h>

#include "conf/conf.h"

/* The sections of the server itself. */
void settings_dump(struct conf *c, FILE *out);

/* The section of a mount, by its title. */
void conf_dump_mount(struct conf *c, const char *title, const struct sl_option *options, FILE *out);

#endif
