/* nearest.h: the known name that somebody probably meant. */
#ifndef CONF_NEAREST_H
#define CONF_NEAREST_H

#include <stddef.h>

/* The known name that is nearest to a wrong one. Set wrong, leave the rest zero. */
struct conf_nearest {
    const char *wrong;
    const char *name; /* NULL: none is near */
    size_t distance;
};

/* Look at one more known name. */
void conf_nearest_try(struct conf_nearest *n, const char *name);

#endif
