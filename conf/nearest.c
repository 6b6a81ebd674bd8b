/*
 * nearest.c: the known name that somebody probably meant: the one with the smallest edit distance.
 *
 * The distance counts letters inserted, deleted and replaced, and neighbours swapped, which is how people mistype (the
 * "optimal string alignment" distance). Up to a third of the letters may be wrong; beyond that a guess only misleads.
 */
#include <string.h>

#include "base/array.h"
#include "conf/internal.h"

#define MAX_NAME_SIZE 64 /* bytes; nothing is near to a longer name */

/* d[i][j] is the distance between the first i letters of a and the first j of b. */
static size_t edit_distance(const char *a, size_t m, const char *b, size_t n)
{
    size_t d[MAX_NAME_SIZE + 1][MAX_NAME_SIZE + 1];

    for (size_t i = 0; i <= m; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= n; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= m; i++)
        for (size_t j = 1; j <= n; j++) {
            d[i][j] = min_size(min_size(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = min_size(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[m][n];
}

void conf_nearest_try(struct conf_nearest *n, const char *name)
{
    size_t wrong = strlen(n->wrong), size = strlen(name), distance;

    if (wrong > MAX_NAME_SIZE || size > MAX_NAME_SIZE)
        return;
    distance = edit_distance(n->wrong, wrong, name, size);
    if (distance > 1 && distance > wrong / 3)
        return;
    if (!n->name || distance < n->distance) {
        n->name = name;
        n->distance = distance;
    }
}
