/* outbound_settings.h: the sections [outbound PEER]. */
#ifndef SETTINGS_OUTBOUND_H
#define SETTINGS_OUTBOUND_H

#include <stdio.h>

#include "libc/outbound/outbound.h"

struct conf;

/* Check the sections and fill in the limits. Mistakes are recorded in c, which owns the list. */
void outbound_settings_fill(struct outbound_limits *limits, struct conf *c);

/* Write the sections with every key. */
void outbound_settings_dump(struct conf *c, FILE *out);

#endif
