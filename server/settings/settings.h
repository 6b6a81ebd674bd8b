/* settings.h: the server's own settings: [server], [log] and [limits], checked and typed. */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "settings/bind.h"
#include "settings/limits.h"
#include "settings/logging.h"
#include "settings/http.h"
#include "settings/process.h"

struct conf;

enum resolver { RESOLVER_CARES, RESOLVER_SYSTEM };

struct settings {
    const struct bind_address *binds;
    size_t bind_count; /* at least 1 */
    int64_t workers;   /* processes; auto is already counted */
    int64_t backlog;
    int64_t stack_size;             /* bytes of a coroutine's stack */
    int64_t threads;                /* real threads of each worker, for what cannot park */
    int resolver;                   /* enum resolver */
    const char *const *module_path; /* directories, searched in order */
    int64_t shutdown_timeout;       /* milliseconds */
    struct log_settings log;
    struct traffic_settings traffic;
    struct process_settings process;
    struct limits limits; /* of mounts that set none; conf_fill merges them */
};

/* Fill s; mistakes are noted in c. If there are any, only module_path may be used, to look for those of the modules.
 * What s points at ends with c. */
void settings_fill(struct settings *s, struct conf *c);

#endif
