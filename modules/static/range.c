/*
 * range.c: the Range field, RFC 9110 section 14.
 *
 * A field may name many ranges, also the same bytes many times, so that a short request could ask for a huge response.
 * Hence their number is limited, and ranges that overlap, or whose gap is smaller than the head of a body part, are
 * merged. The response is then never much longer than the file.
 */
#include "range.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define RANGE_GAP 80 /* bytes; about the size of the head of a part of multipart/byteranges */

/* Parse the digits at *at and advance *at beyond them. Returns INT64_MAX if the number is too large, -1 if there is
 * none. */
static off_t scan_position(const char **at)
{
    off_t value = -1;

    for (; **at >= '0' && **at <= '9'; ++*at) {
        int digit = **at - '0';

        if (value < 0)
            value = digit;
        else if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value))
            value = INT64_MAX;
    }
    return value;
}

enum found { MALFORMED, OUTSIDE, INSIDE };

/* Parse the `first-last`, `first-` or `-suffix` at *at and advance *at beyond it. The file has bytes of an INSIDE
 * range, which is stored, and none of an OUTSIDE one. */
static enum found scan_range(const char **at, off_t size, struct range *range)
{
    off_t first = scan_position(at), last;

    if (**at != '-')
        return MALFORMED;
    ++*at;
    last = scan_position(at);
    if (first < 0 && last < 0)
        return MALFORMED;
    if (first < 0) {
        range->first = last < size ? size - last : 0;
        range->last = size - 1;
        return last > 0 ? INSIDE : OUTSIDE;
    }
    if (last >= 0 && last < first)
        return MALFORMED;
    range->first = first;
    range->last = last < 0 || last >= size ? size - 1 : last;
    return first < size ? INSIDE : OUTSIDE;
}

static bool ranges_touch(const struct range *a, const struct range *b)
{
    return a->first - b->last <= RANGE_GAP && b->first - a->last <= RANGE_GAP;
}

/* Add a range to count others, no two of which touch. It is merged with those that it touches, and the result stands in
 * the place of the first of them. Returns the new count. */
static int merge_range(struct range *ranges, int count, struct range added)
{
    int place = count, kept = 0;

    for (int i = 0; i < count; i++) {
        if (ranges_touch(&ranges[i], &added)) {
            added.first = ranges[i].first < added.first ? ranges[i].first : added.first;
            added.last = ranges[i].last > added.last ? ranges[i].last : added.last;
            place = i < place ? i : place;
        }
    }
    if (place == count) {
        ranges[count] = added;
        return count + 1;
    }
    ranges[place] = added;
    for (int i = 0; i < count; i++)
        if (i == place || !ranges_touch(&ranges[i], &added))
            ranges[kept++] = ranges[i];
    return kept;
}

int range_parse(const char *value, off_t size, struct range ranges[MAX_RANGES])
{
    int asked = 0, count = 0;

    if (strncasecmp(value, "bytes=", 6))
        return 0;
    for (const char *at = value + 6 + strspn(value + 6, " \t"); *at; at += strspn(at, " \t")) {
        struct range range;
        enum found found;

        if (*at == ',') {
            at++;
            continue;
        }
        found = scan_range(&at, size, &range);
        at += strspn(at, " \t");
        if (found == MALFORMED || (*at && *at != ',') || ++asked > MAX_RANGES)
            return 0;
        if (found == INSIDE && size == 0) /* a suffix of an empty file: no Content-Range can describe it */
            return 0;
        if (found == INSIDE)
            count = merge_range(ranges, count, range);
    }
    return count > 0 || asked == 0 ? count : -ERANGE;
}
