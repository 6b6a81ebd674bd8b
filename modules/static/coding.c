/*
 * coding.c: which precompressed file a client accepts, by its Accept-Encoding (RFC 9110 section 12.5.3).
 *
 * The field is a list of codings with weights. br, zstd and gzip are offered, preferred in this order where the client
 * gives them equal weights, since br files are usually the smallest. Where there is no compressed file the original is
 * sent, even to a client that says identity;q=0: it can most likely read it, and a 406 would help nobody.
 */
#include "coding.h"

#include <string.h>
#include <strings.h>

enum { IDENTITY = CODING_COUNT, OTHERS, WEIGHTS };

static const struct coding codings[CODING_COUNT] = {{"br", ".br"}, {"zstd", ".zst"}, {"gzip", ".gz"}};

/* Index in the array of weights of the coding with that name; -1 if it is unknown. */
static int coding_index(const char *name, size_t size)
{
    static const struct {
        const char *name;
        int index;
    } names[] = {{"br", 0}, {"zstd", 1}, {"gzip", 2}, {"x-gzip", 2}, {"identity", IDENTITY}, {"*", OTHERS}};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strlen(names[i].name) == size && !strncasecmp(names[i].name, name, size))
            return names[i].index;
    return -1;
}

/* A qvalue such as "1" or "0.25" in thousandths; 0 if it is malformed. */
static int scan_weight(const char *at)
{
    int weight = 0, scale = 1000;

    if (*at != '0' && *at != '1')
        return 0;
    weight = (*at++ - '0') * scale;
    if (*at == '.')
        while (*++at >= '0' && *at <= '9' && scale > 1)
            weight += (*at - '0') * (scale /= 10);
    at += strspn(at, " \t");
    if (*at && *at != ',' && *at != ';')
        return 0;
    return weight > 1000 ? 1000 : weight;
}

/* The weight after the name of a coding; 1000 if there is none. */
static int weight_after(const char *at)
{
    at += strspn(at, " \t");
    if (*at != ';')
        return !*at || *at == ',' ? 1000 : 0;
    at += 1 + strspn(at + 1, " \t");
    return strncasecmp(at, "q=", 2) ? 0 : scan_weight(at + 2);
}

static void read_weights(const char *accept, int weights[WEIGHTS])
{
    for (int i = 0; i < WEIGHTS; i++)
        weights[i] = -1;
    for (const char *at = accept + strspn(accept, " \t,"); *at; at += strspn(at, " \t,")) {
        size_t size = strcspn(at, " \t,;");
        int index = coding_index(at, size);

        if (index >= 0)
            weights[index] = weight_after(at + size);
        at += strcspn(at, ",");
    }
    for (int i = 0; i < CODING_COUNT; i++)
        if (weights[i] < 0)
            weights[i] = weights[OTHERS];
}

int coding_choose(const char *accept, const struct coding *chosen[CODING_COUNT])
{
    int weights[WEIGHTS], count = 0;

    read_weights(accept, weights);
    for (;;) {
        int best = 0;

        for (int i = 1; i < CODING_COUNT; i++)
            if (weights[i] > weights[best])
                best = i;
        if (weights[best] <= 0 || weights[best] < weights[IDENTITY])
            return count;
        chosen[count++] = &codings[best];
        weights[best] = 0;
    }
}
