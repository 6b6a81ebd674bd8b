/* limits.h: the limits of a mount, from its section or from [limits]. */
#ifndef CONF_LIMITS_H
#define CONF_LIMITS_H

#include <stdint.h>

#include "syncless.h"

enum on_disconnect { ON_DISCONNECT_IGNORE, ON_DISCONNECT_CANCEL };

struct limits {
    int64_t request_timeout; /* milliseconds; 0 none */
    int64_t max_body_size;   /* bytes; 0 none */
    int on_disconnect;       /* enum on_disconnect */
};

/* The keys that [limits] and every [MODULE /prefix] take. */
extern const struct sl_option limits_options[];

#endif
