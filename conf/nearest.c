/*
 * nearest.c: which known name somebody meant: the one with the smallest edit distance, if it is small enough.
 *
 * The distance counts letters put in, left out, replaced, and two neighbours swapped, as people mistype them (the
 * "optimal string alignment" distance). Up to a third of the letters may be wrong; beyond that a guess only misleads.
 */
#include <string.h>

#include "conf/internal.h"

#define LONGEST 64

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* d[i][j] is the distance between the first i letters of a and the first j of b. */
static size_t distance(const char *a, size_t m, const char *b, size_t n)
{
    size_t d[LONGEST + 1][LONGEST + 1];

    for (size_t i = 0; i <= m; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= n; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= m; i++)
        for (size_t j = 1; j <= n; j++) {
            d[i][j] = min(min(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = min(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[m][n];
}

void conf_nearest_try(struct conf_nearest *n, const char *name)
{
    size_t wrong = strlen(n->wrong), size = strlen(name), far;

    if (wrong > LONGEST || size > LONGEST)
        return;
    far = distance(n->wrong, wrong, name, size);
    if (far > 1 && far > wrong / 3)
        return;
    if (!n->name || far < n->distance) {
        n->name = name;
        n->distance = far;
    }
}
