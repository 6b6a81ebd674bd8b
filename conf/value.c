/*
 * value.c: the texts of the ini file as values: booleans, numbers, sizes, durations, choices.
 *
 * A number is digits and one unit, without blanks or fractions: 1500ms says what 1.5s would. What does not fit int64_t
 * is -ERANGE, never a value that wrapped round.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/internal.h"

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit sizes[] = {
    {"", 1}, {"k", 1 << 10}, {"K", 1 << 10}, {"m", 1 << 20}, {"M", 1 << 20}, {"g", 1 << 30}, {"G", 1 << 30}, {NULL, 0},
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}, {NULL, 0},
};

int conf_value_bool(const char *s, bool *value)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};

    for (int i = 0; i < 8; i++)
        if (strcasecmp(s, words[i]) == 0) {
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

static int scaled(const char *s, const struct unit *units, int64_t *value)
{
    char *end;
    long long number;

    if (!isdigit((unsigned char)*s))
        return -EINVAL;
    errno = 0;
    number = strtoll(s, &end, 10);
    for (; units->name; units++)
        if (strcmp(units->name, end) == 0)
            return errno || __builtin_mul_overflow(number, units->factor, value) ? -ERANGE : 0;
    return -EINVAL;
}

int conf_value_size(const char *s, int64_t *value)
{
    return scaled(s, sizes, value);
}

int conf_value_duration(const char *s, int64_t *value)
{
    return scaled(s, durations, value);
}

int conf_value_choice(const char *s, const char *const *choices, int *value)
{
    for (int i = 0; choices[i]; i++)
        if (strcmp(s, choices[i]) == 0) {
            *value = i;
            return 0;
        }
    return -EINVAL;
}
