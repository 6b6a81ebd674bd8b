/*
 * conf.h: the configuration: ini files and -o options as sections of entries, each with the place it came from.
 *
 * Use: conf_new, conf_read, conf_set for each -o, settings_fill, then conf_fill for each section of conf_modules, and
 * conf_report. What is wrong is noted with its place, not returned, so that one run shows every mistake.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"
#include "syncless.h"

struct limits;

/* Where an entry or a section stands. */
struct conf_place {
    const char *file; /* as it was named; for the command line the option itself: "-o server.workers=4" */
    int line;         /* 0 for the command line */
};

/* One key = value. Lists are several entries of one key. */
struct conf_entry {
    struct conf_entry *next;
    const char *key;   /* kebab case */
    const char *value; /* %(here) and ${ENV} replaced */
    const char *here;  /* absolute directory from which relative paths start */
    struct conf_place place;
    int rank;      /* 0 command line, 1 file, 2 included by it, and so on: the lowest of a key counts */
    bool reported; /* an error was noted for it, say no more */
};

struct conf_section {
    struct conf_section *next;
    const char *title;  /* as in the brackets, normalised: "server", "wsgi /", "wsgi example.com/shop" */
    const char *name;   /* "server", or the name of a module */
    const char *host;   /* in lower case; "" any */
    const char *prefix; /* without its last slash: "" or "/shop"; NULL in a section without one */
    const char *here;
    struct conf_place place; /* of its first appearance */
    struct conf_entry *entries, **end;
};

struct conf_error {
    struct conf_error *next;
    const char *text; /* "FILE:LINE: what is wrong" */
};

struct conf {
    struct arena arena; /* owns everything below, and what conf_fill stores */
    const char *cwd;
    struct conf_section *sections, **sections_end; /* in order of appearance */
    struct conf_error *errors, **errors_end;
    size_t error_count;
};

/* An empty configuration, freed by conf_free. What conf_fill and settings_fill stored ends with it. */
struct conf *conf_new(void);
void conf_free(struct conf *c);

/* Add the file at path and what it includes. */
void conf_read(struct conf *c, const char *path);

/* The same from an open stream, which stays open. name is shown in errors, and its directory is %(here). */
void conf_read_stream(struct conf *c, FILE *in, const char *name);

/* The option -o SECTION.KEY=VALUE, after conf_read. It stands for all values of the key in files; one given twice makes
 * a list. -EINVAL if it is no such assignment, which is noted too but is rather a matter of usage. */
int conf_set(struct conf *c, const char *assignment);

/* An option with a name of its own, such as -b: origin ("-b :8000") is what errors show. */
void conf_set_key(struct conf *c, const char *origin, const char *section, const char *key, const char *value);

/* The option -m MODULE:APP: the WSGI application at /, importable from the working directory. */
void conf_set_app(struct conf *c, const char *app);

/* The next section of a module after the given one (NULL: the first), in order of appearance; NULL after the last.
 * Those with prefix NULL are the defaults of the others. */
struct conf_section *conf_modules(const struct conf *c, const struct conf_section *after);

/* Check the section and fill in the instance of a module from it, then [MODULE], then the presets, and the limits of
 * its mount from these and [limits]. A section of defaults is only checked; instance and limits are then NULL. */
void conf_fill(struct conf *c, struct conf_section *s, const struct sl_option *options, void *instance,
               struct limits *limits);

/* Note that there is no module for the section. modules, ended by NULL, are the names for the nearest-name hint. */
void conf_unknown_section(struct conf *c, const struct conf_section *s, const char *const *modules);

/* Note an error at place; a place without file is left out. */
void conf_error(struct conf *c, struct conf_place place, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Write all errors, a line each, and return how many there are. 0: the configuration is good. */
size_t conf_report(const struct conf *c, FILE *out);

#endif
