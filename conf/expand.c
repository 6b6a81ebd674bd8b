/*
 * expand.c: %(here) and ${ENV} in values.
 *
 * %(here) is the directory of the file that has the value. ${NAME} is an environment variable; it is an error if that
 * is not set. ${NAME:-default} takes the default if the variable is not set or empty, as in the shell. A default may
 * have %(here) in it, but no brace. $${ stands for a plain ${. Any other % or $ stands for itself, because passwords
 * and log formats are full of them; only what looks like a mistyped %(here) is an error. The value of a variable is not
 * expanded again: the environment cannot inject ${...}.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/internal.h"

struct expansion {
    struct conf *conf;
    struct conf_entry *entry;
    FILE *out;
};

static void expand_part(struct expansion *x, const char *s, const char *end);

static bool is_variable_name(const char *s)
{
    return conf_is_key(s) && !strchr(s, '-') && (*s < '0' || *s > '9');
}

static bool starts_with(const char *s, const char *end, const char *word)
{
    size_t size = strlen(word);

    return (size_t)(end - s) >= size && !memcmp(s, word, size);
}

/* Write the value of the variable at s: its name and an optional default, without the braces. */
static void write_variable(struct expansion *x, const char *s, const char *end)
{
    const char *sep = memmem(s, end - s, ":-", 2);
    const char *name = arena_strndup(&x->conf->arena, s, (sep ? sep : end) - s);
    const char *value = getenv(name);

    if (!is_variable_name(name))
        conf_entry_error(x->conf, x->entry,
                         "\"${%s}\" in the value of \"%s\" names no variable; write $${ for a plain ${", name,
                         x->entry->key);
    else if (value && (*value || !sep))
        fputs(value, x->out);
    else if (sep)
        expand_part(x, sep + 2, end);
    else
        conf_entry_error(x->conf, x->entry,
                         "\"%s\" needs the environment variable %s, which is not set; set it, or write ${%s:-default}",
                         x->entry->key, name, name);
}

/* s begins with ${. Returns the end of the variable, behind its brace. */
static const char *expand_variable(struct expansion *x, const char *s, const char *end)
{
    const char *brace = memchr(s, '}', end - s);

    if (!brace) {
        conf_entry_error(x->conf, x->entry, "\"${\" without \"}\" in the value of \"%s\"; write $${ for a plain ${",
                         x->entry->key);
        return end;
    }
    write_variable(x, s + 2, brace);
    return brace + 1;
}

/* Complain if s, which begins with %(, looks like a mistyped %(here). */
static void check_for_here(struct expansion *x, const char *s, const char *end)
{
    const char *close = memchr(s, ')', end - s);
    const char *name = close ? arena_strndup(&x->conf->arena, s + 2, close - s - 2) : "";
    struct conf_nearest near = {.wrong = name};

    conf_nearest_try(&near, "here");
    if (near.name)
        conf_entry_error(x->conf, x->entry, "unknown \"%%(%s)\" in the value of \"%s\"; did you mean \"%%(here)\"?",
                         name, x->entry->key);
}

/* Write the character, variable or directory at s. Returns its end. */
static const char *expand_one(struct expansion *x, const char *s, const char *end)
{
    if (starts_with(s, end, "%(here)")) {
        fputs(x->entry->here, x->out);
        return s + strlen("%(here)");
    }
    if (starts_with(s, end, "$${")) {
        fputs("${", x->out);
        return s + strlen("$${");
    }
    if (starts_with(s, end, "${"))
        return expand_variable(x, s, end);
    if (starts_with(s, end, "%("))
        check_for_here(x, s, end);
    fputc(*s, x->out);
    return s + 1;
}

static void expand_part(struct expansion *x, const char *s, const char *end)
{
    while (s < end)
        s = expand_one(x, s, end);
}

const char *conf_expand(struct conf *c, struct conf_entry *e)
{
    struct expansion x = {.conf = c, .entry = e};
    const char *value;
    char *text;
    size_t size;

    x.out = open_memstream(&text, &size);
    if (!x.out)
        mem_die(strlen(e->value));
    expand_part(&x, e->value, e->value + strlen(e->value));
    if (fclose(x.out))
        mem_die(size);
    value = arena_strndup(&c->arena, text, size);
    free(text);
    return value;
}
