/* site.h: an instance: the options of a [static /prefix] section and what start made of them. */
#ifndef SITE_H
#define SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "mime.h"
#include "root.h"

struct site_field {
    char *name, *value;
};

struct site {
    /* options */
    const char *folder;
    const char *const *index;
    bool listing;
    bool follow_symlinks;
    bool hidden;
    bool precompressed;
    const char *mime_types;
    const char *default_type;
    const char *charset;
    int64_t expires; /* milliseconds; 0 for none */
    const char *cache_control;
    const char *const *header;

    /* state, made by start */
    struct root root;
    struct mime *mime;
    struct site_field *fields; /* response fields of every answer that succeeds; a NULL name ends them */
};

#endif
