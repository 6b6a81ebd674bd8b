/*
 * options.h: tables of options: sections are checked against them, and the fields of structs filled in by them.
 *
 * A table (struct sl_option, syncless.h) ends with a row without a name. A chain is an array of sections, of which the
 * first one that has a key gives its value; its elements may be NULL.
 */
#ifndef CONF_OPTIONS_H
#define CONF_OPTIONS_H

#include <stdint.h>

#include "conf/conf.h"
#include "conf/nearest.h"
#include "syncless.h"

/* Check the section: every key is in one of the tables (NULL-terminated), every value is of its kind and in its range,
 * and only lists are given more than once. Old names of keys are replaced by the new ones, with a warning; in all
 * sections of the same module, since they may share keys. s may be NULL. */
void conf_check_section(struct conf *c, struct conf_section *s, const struct sl_option *const *tables);

/* Returns the option of that name in one of the tables (NULL-terminated), or NULL. */
const struct sl_option *conf_find_option(const struct sl_option *const *tables, const char *key);

/* Look at the names of all options of the tables. */
void conf_nearest_in_tables(struct conf_nearest *near, const struct sl_option *const *tables);

/* Fill in the fields of base from the chain of checked sections, else with the defaults. Where an option has flags, the
 * first section of the chain must not be NULL. */
void conf_fill_options(struct conf *c, struct conf_section *const *chain, size_t count, const struct sl_option *options,
                       void *base);

/* Returns the first section of a chain that has the key; NULL: none has it. */
struct conf_section *conf_giver(struct conf_section *const *chain, size_t count, const char *key);

/* Write the options of a table that the section has, with their values and places. */
void conf_dump_given(struct conf *c, struct conf_section *s, const struct sl_option *options, FILE *out);

/* Write each option of a table (NULL: none) with the value that conf_fill_options would find, and its place. */
void conf_dump_options(struct conf *c, struct conf_section *const *chain, size_t count, const struct sl_option *options,
                       FILE *out);

/* Record `"KEY = VALUE": text` for the index-th value of key that is not empty; for the first entry if there are fewer;
 * without place and value if the key is not given. One error is recorded for each entry. */
void conf_value_error(struct conf *c, const struct conf_section *s, const char *key, size_t index, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Whether the section has the key with a value. */
bool conf_gives(const struct conf_section *s, const char *key);

/* Returns the value of a key that was not checked yet, as a path; NULL if it is not given. */
const char *conf_unchecked_path(struct conf *c, const struct conf_section *s, const char *key);

/* Returns text as a path, which is seen from the directory of the file that gives the key. */
const char *conf_value_path(struct conf *c, const struct conf_section *s, const char *key, const char *text);

/* Parse a whole number. Returns 0, -EINVAL or -ERANGE. */
int conf_value_integer(const char *s, int64_t *value);

/* Parse a time, such as 500ms, as milliseconds. Returns 0, -EINVAL or -ERANGE. */
int conf_value_duration(const char *s, int64_t *value);

#endif
