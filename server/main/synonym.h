/* synonym.h: options that other servers have, and options with the names of keys. */
#ifndef MAIN_SYNONYM_H
#define MAIN_SYNONYM_H

#include <stdbool.h>
#include <stddef.h>

#include "settings/peers.h"

struct conf;

/* An option as it was given: "--workers", "4". */
struct command_option {
    const char *name;  /* may be "--workers=4" */
    const char *value; /* NULL: it has none */
    struct synonym {
        const char *section, *key; /* what it sets; NULL: the value says it, "server.workers=4" */
        enum peer_kind kind;
        enum peer_relation relation;
        const char *note;
    } is;
};

/* What a letter stands for as an option of other servers. */
struct synonym_letter {
    char option[3];   /* "-w" */
    const char *name; /* its long option; NULL: they do not agree */
    const char *says; /* then, what to write */
};

/* The letters, which end with an empty option. */
extern const struct synonym_letter synonym_letters[];

/* Find a long option, given without its dashes; size bytes of name count. Returns false if it is unknown. */
bool synonym_find(struct synonym *s, const char *name, size_t size);

/* Whether the option has a value. */
bool synonym_takes_value(const struct synonym *s);

/* Write what to do instead of an option that is not SAME to size bytes of text. */
void synonym_explain(const struct command_option *o, char *text, size_t size);

/* Set the keys of these options, in order. Values that cannot be converted are recorded in c. */
void synonyms_set(const struct command_option *options, int count, struct conf *c);

/* Returns the spec of an application, "module:attribute", that the option app has named, as other options complete it:
 * a callable, a factory. It is in memory of c. */
const char *synonyms_app(const struct command_option *app, const struct command_option *options, int count,
                         struct conf *c);

/* Returns the option as it was given, "--workers 4", in memory of c. */
const char *synonym_origin(const struct command_option *o, struct conf *c);

/* Returns the value of the last option of that kind, and for that key if it is not NULL; "" if it has none; NULL if
 * there is no such option. */
const char *synonyms_value(const struct command_option *options, int count, enum peer_kind kind, const char *key);

#endif
