/* internal.h: what the files of conf/ share among themselves. */
#ifndef CONF_INTERNAL_H
#define CONF_INTERNAL_H

#include "conf/conf.h"
#include "conf/nearest.h"
#include "conf/options.h"

/* ---- conf.c ---- */

/* Returns "FILE:LINE", or the option of the command line. */
const char *conf_place_text(struct conf *c, struct conf_place place);

/* Returns the value of an entry as it may be shown. */
const char *conf_shown_value(struct conf *c, const struct conf_entry *e);

/* Record an error at the place of an entry, unless there is one already. */
void conf_entry_error(struct conf *c, struct conf_entry *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same, with `"KEY = VALUE": ` in front. */
void conf_entry_bad_value(struct conf *c, struct conf_entry *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- section.c ---- */

/* Returns the section of that title, a new one if there is none. A bad title is recorded, and the returned section is
 * one that nobody reads. place and here are those of the title. */
struct conf_section *conf_section_get(struct conf *c, const char *title, struct conf_place place, const char *here);

/* The same for a section line of a file, where a section with a prefix may stand only once. */
struct conf_section *conf_section_open(struct conf *c, const char *title, struct conf_place place, const char *here);

/* Returns a section that nobody reads, for the keys that follow a bad section line. */
struct conf_section *conf_section_lost(struct conf *c);

/* ---- entry.c ---- */

/* Append an entry. Its key is normalised and its value expanded here. */
void conf_entry_add(struct conf *c, struct conf_section *s, struct conf_entry entry);

/* The first entry of key that counts, and the next value of its list; NULL if there is none. s may be NULL. */
struct conf_entry *conf_entry_first(const struct conf_section *s, const char *key);
struct conf_entry *conf_entry_next(const struct conf_entry *e);

/* True if s may be a key: letters, digits, - and _. */
bool conf_is_key(const char *s);

/* ---- path.c ---- */

/* Returns path as seen from the directory dir: dir/path, or path itself if it is absolute. */
const char *conf_path_join(struct conf *c, const char *dir, const char *path);

/* Returns the absolute directory of a file. */
const char *conf_path_here(struct conf *c, const char *file);

/* ---- expand.c ---- */

/* Returns the value with %(here) and ${ENV} replaced. Mistakes are recorded at the entry. */
const char *conf_expand(struct conf *c, struct conf_entry *e);

/* ---- value.c: text to value; return 0, -EINVAL or -ERANGE ---- */

int conf_value_bool(const char *s, bool *value);
int conf_value_size(const char *s, int64_t *value);
int conf_value_choice(const char *s, const char *const *choices, int *value);

/* Returns an SL_INTEGER, SL_SIZE or SL_DURATION as an ini file has it, in the largest unit that needs no fraction. */
const char *conf_value_text(struct conf *c, enum sl_kind kind, int64_t value);

/* ---- unknown.c ---- */

/* Record that none of the tables of the section has the key of the entry, and what may be meant. */
void conf_unknown_key(struct conf *c, const struct conf_section *s, struct conf_entry *e,
                      const struct sl_option *const *tables);

/* ---- fill.c ---- */

/* Returns the first entry that counts for an option, along a chain of sections; NULL: the default counts. */
struct conf_entry *conf_find_entry(struct conf *c, struct conf_section *const *chain, size_t count,
                                   const struct sl_option *o);

#endif
