/* internal.h: what the files of conf/ share among themselves. */
#ifndef CONF_INTERNAL_H
#define CONF_INTERNAL_H

#include <stdint.h>

#include "conf/conf.h"

/* ---- conf.c ---- */

/* "FILE:LINE", or the option of the command line. */
const char *conf_place_text(struct conf *c, struct conf_place place);

/* Note an error about the entry, once. */
void conf_entry_error(struct conf *c, struct conf_entry *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same for the index-th value of key that is not empty, or for the key itself if it has fewer; without a place if
 * the key is not given. */
void conf_value_error(struct conf *c, const struct conf_section *s, const char *key, size_t index, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* ---- section.c ---- */

/* The section that title names, new if there is none yet. Never NULL: a bad title is noted, and its keys go to a
 * section that nobody sees. place and here are those of the title. */
struct conf_section *conf_section_get(struct conf *c, const char *title, struct conf_place place, const char *here);

/* The same for a section line of a file, where one with a prefix may stand only once. */
struct conf_section *conf_section_open(struct conf *c, const char *title, struct conf_place place, const char *here);

/* A section that nobody sees: for keys that follow a mistake. */
struct conf_section *conf_section_lost(struct conf *c);

/* The section of that normalised title, or NULL. */
struct conf_section *conf_section_find(const struct conf *c, const char *title);

/* ---- entry.c ---- */

/* Append an entry; its key is normalised and its value expanded here. */
void conf_entry_add(struct conf *c, struct conf_section *s, struct conf_entry entry);

/* The first entry of key that counts, and the next value of its list; NULL when there is none. s may be NULL. */
struct conf_entry *conf_entry_first(const struct conf_section *s, const char *key);
struct conf_entry *conf_entry_next(const struct conf_entry *e);

/* Whether s may be a key: letters, digits, - and _. */
bool conf_is_key(const char *s);

/* ---- path.c ---- */

/* path as seen from the directory dir: dir/path, or path itself if it is absolute. */
const char *conf_path_join(struct conf *c, const char *dir, const char *path);

/* The absolute directory of a file. */
const char *conf_path_here(struct conf *c, const char *file);

/* ---- expand.c ---- */

/* value with %(here) and ${ENV} replaced; mistakes are noted at the entry's place and set reported. */
const char *conf_expand(struct conf *c, struct conf_entry *e);

/* ---- value.c: texts to values; 0, -EINVAL or -ERANGE ---- */

int conf_value_bool(const char *s, bool *value);
int conf_value_integer(const char *s, int64_t *value);
int conf_value_size(const char *s, int64_t *value);
int conf_value_duration(const char *s, int64_t *value);
int conf_value_choice(const char *s, const char *const *choices, int *value);

/* ---- nearest.c ---- */

/* The name that comes nearest to what somebody wrote. Set wrong, leave the rest zero. */
struct conf_nearest {
    const char *wrong;
    const char *name; /* NULL: none is near */
    size_t distance;
};

/* Look at one more known name. */
void conf_nearest_try(struct conf_nearest *n, const char *name);

/* ---- dump.c ---- */

/* Each option of the table as the chain of sections has it. */
void conf_dump_options(struct conf *c, struct conf_section *const *chain, size_t count, const struct sl_option *options,
                       FILE *out);

/* ---- fill.c ---- */

/* The first entry that counts for an option, along a chain of sections as in conf_fill_options; NULL: the preset does.
 */
struct conf_entry *conf_find_entry(struct conf *c, struct conf_section *const *chain, size_t count,
                                   const struct sl_option *o);

/* Note each key of s that none of the tables has, bad values, and keys given twice that are no lists. tables is ended
 * by NULL, s may be NULL. */
void conf_check_section(struct conf *c, struct conf_section *s, const struct sl_option *const *tables);

/* Fill in options of base from the first section of the chain that gives them, else from the preset. Sections may be
 * NULL, though where an option has flags the first may not. */
void conf_fill_options(struct conf *c, struct conf_section *const *chain, size_t count, const struct sl_option *options,
                       void *base);

#endif
