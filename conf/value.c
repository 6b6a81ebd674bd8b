/*
 * value.c: texts of the ini file to values and back: booleans, numbers, sizes, durations, choices.
 *
 * A number is digits and one unit, without blanks or fractions: 1500ms, not 1.5s. A value that does not fit int64_t is
 * -ERANGE; nothing wraps around.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "conf/internal.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* Both from the smallest unit up; of several names for a unit, the last one is written. */
static const struct unit size_units[] = {
    {"", 1}, {"K", 1 << 10}, {"k", 1 << 10}, {"M", 1 << 20}, {"m", 1 << 20}, {"G", 1 << 30}, {"g", 1 << 30}, {NULL, 0},
};

static const struct unit duration_units[] = {
    {"ms", 1}, {"", 1000}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}, {NULL, 0},
};

int conf_value_bool(const char *s, bool *value)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcasecmp(s, words[i])) {
            *value = i % 2;
            return 0;
        }
    return -EINVAL;
}

int conf_value_integer(const char *s, int64_t *value)
{
    char *end;

    if (!isdigit((unsigned char)s[*s == '-' || *s == '+']))
        return -EINVAL;
    errno = 0;
    *value = strtoll(s, &end, 10);
    if (*end)
        return -EINVAL;
    return -errno;
}

static int parse_with_unit(const char *s, const struct unit *units, int64_t *value)
{
    char *end;
    long long number;

    if (!isdigit((unsigned char)*s))
        return -EINVAL;
    errno = 0;
    number = strtoll(s, &end, 10);
    for (; units->name; units++)
        if (!strcmp(units->name, end))
            return errno || __builtin_mul_overflow(number, units->factor, value) ? -ERANGE : 0;
    return -EINVAL;
}

int conf_value_size(const char *s, int64_t *value)
{
    return parse_with_unit(s, size_units, value);
}

int conf_value_duration(const char *s, int64_t *value)
{
    return parse_with_unit(s, duration_units, value);
}

int conf_value_choice(const char *s, const char *const *choices, int *value)
{
    for (int i = 0; choices[i]; i++)
        if (!strcmp(s, choices[i])) {
            *value = i;
            return 0;
        }
    return -EINVAL;
}

const char *conf_value_text(struct conf *c, enum sl_kind kind, int64_t value)
{
    const struct unit *units = kind == SL_SIZE ? size_units : duration_units, *best = units;

    if (kind == SL_INTEGER || value == 0)
        return arena_printf(&c->arena, "%" PRId64, value);
    for (const struct unit *u = units; u->name; u++)
        if (value % u->factor == 0)
            best = u;
    return arena_printf(&c->arena, "%" PRId64 "%s", value / best->factor, best->name);
}
