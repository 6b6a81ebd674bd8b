/*
 * conf.h: a configuration: ini files and -o options as sections of entries, each with the place it came from.
 *
 * Use: conf_new, conf_read, conf_set for each -o, then check and fill the sections by tables of options (options.h),
 * then conf_report. Mistakes are recorded with their place, not returned, so that one run shows all of them.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"

struct conf;
struct conf_section;
struct sl_option;

/* Where an entry or a section stands. */
struct conf_place {
    const char *file; /* as it was named; on the command line the option: "-o server.workers=4"; NULL: nowhere */
    int line;         /* 0 on the command line */
};

/* One key = value. A list is several entries with the same key. */
struct conf_entry {
    struct conf_entry *next;
    const char *key;   /* kebab case, and the current name once its section was checked */
    const char *value; /* %(here) and ${ENV} are replaced */
    const char *here;  /* absolute directory that relative paths start from */
    struct conf_place place;
    int rank;      /* 0 command line, 1 file, 2 included by it, and so on; of a key, the lowest rank counts */
    bool secret;   /* SL_SECRET of its option */
    bool reported; /* an error was recorded for it; further ones are dropped */
};

struct conf_section {
    struct conf_section *next;
    const char *title;       /* as in the brackets, normalised: "server", "wsgi /", "wsgi example.com/shop" */
    const char *name;        /* the first word of the title: "server", "wsgi" */
    const char *host;        /* in lower case; "": any */
    const char *prefix;      /* without its last slash: "" or "/shop"; NULL in a section without one */
    const char *subject;     /* what follows the name, where that is no prefix: "db:5432"; NULL: nothing */
    const char *here;        /* absolute directory of the file of its first appearance */
    struct conf_place place; /* of its first appearance */
    struct conf_entry *entries, **end;
    bool has_new_names; /* old names of its keys were replaced */
};

/* A section that is no module, and its tables of options, NULL-terminated. */
struct conf_known {
    const char *title;
    const struct sl_option *const *tables;
};

/* What names mean that are none of a section's. All is borrowed. */
struct conf_names {
    const struct conf_known *known; /* ends with a row whose title is NULL */

    /* Returns what a key of another program, in section s with these tables, is here, "here it is ..."; NULL: nothing
     * is known. It is asked for the key itself, and with is_pattern for a pattern that fits. */
    const char *(*foreign_key)(struct conf *c, const struct conf_section *s, const struct sl_option *const *tables,
                               const char *key, bool is_pattern);

    /* The same for the name of a section. */
    const char *(*foreign_section)(struct conf *c, const struct conf_section *s);
};

/* An error or a warning. */
struct conf_message {
    struct conf_message *next;
    const char *text; /* "FILE:LINE: what is wrong" */
};

struct conf {
    struct arena arena;             /* owns all that follows and all that is filled in */
    const char *const *own_titles;  /* borrowed: forms of the sections that are not modules, NULL-terminated */
    const struct conf_names *names; /* borrowed, or NULL; for messages */
    const char *cwd;
    const char *const *files; /* absolute paths of those that were read, ended by NULL; NULL: none */
    size_t file_count;
    struct conf_section *sections, **sections_end; /* in order of appearance */
    struct conf_message *errors, **errors_end;
    struct conf_message *warnings, **warnings_end;
    size_t error_count;
};

/* Returns an empty configuration, for conf_free; values that were filled in from it end with it. own_titles is
 * borrowed: at least one form of the titles of sections that are not modules, then NULL. A form is a name, or a name
 * and a word for what follows it: "limits /prefix" for a prefix, with a host or without, and "outbound PEER" for any
 * other word. */
struct conf *conf_new(const char *const *own_titles);
void conf_free(struct conf *c);

/* Read the file at path and the files it includes. */
void conf_read(struct conf *c, const char *path);

/* The same from an open stream, which stays open. name is shown in messages, and its directory is %(here). */
void conf_read_stream(struct conf *c, FILE *in, const char *name);

/* The option -o SECTION.KEY=VALUE. It replaces all values of the key in files; the same key given twice makes a list.
 * Returns -EINVAL if the argument is malformed (a usage error; also recorded). */
int conf_set(struct conf *c, const char *assignment);

/* An option of the command line that sets a key. origin, such as "-b :8000", is what messages show. */
void conf_set_key(struct conf *c, const char *origin, const char *section, const char *key, const char *value);

/* Returns the section with that normalised title, or NULL. */
struct conf_section *conf_section_find(const struct conf *c, const char *title);

/* Returns the next section of a module after the given one (NULL: the first), in order of appearance; NULL at the end.
 * Those with prefix NULL are the defaults of the others. */
struct conf_section *conf_modules(const struct conf *c, const struct conf_section *after);

/* The same for the sections of a name, whatever follows it. */
struct conf_section *conf_sections_named(const struct conf *c, const char *name, const struct conf_section *after);

/* Record that no module has the name of the section. modules are the known ones, NULL-terminated; missing says which
 * file was looked for, ": ...", or is "". */
void conf_unknown_section(struct conf *c, const struct conf_section *s, const char *const *modules,
                          const char *missing);

/* Record an error, or a warning. A place without a file is left out. */
void conf_error(struct conf *c, struct conf_place place, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void conf_warning(struct conf *c, struct conf_place place, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Write all errors, then all warnings, a line each. Returns the number of errors; 0: the configuration is good. */
size_t conf_report(const struct conf *c, FILE *out);

#endif
