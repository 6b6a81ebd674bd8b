/*
 * range.c: the Range field, RFC 9110 section 14.
 *
 * A field may name many ranges, and nothing in its grammar keeps them from naming the same bytes again and again: a
 * short request for a huge answer. So there is a bound on their number, and ranges that overlap, or lie closer together
 * than the head of a body part is long, become one. What is sent is then never much longer than the file.
 */
#include "range.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define RANGE_GAP 80 /* bytes; about the head of a part of multipart/byteranges */

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* Digits at *at, and move behind them; INT64_MAX if there are too many, -1 if there is none. */
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

/* One `first-last`, `first-` or `-suffix` at *at. Returns 1 and the range; 0 if no byte of the file is in it; -1 if it
 * is malformed. */
static int scan_range(const char **at, off_t size, struct range *range)
{
    off_t first = scan_position(at), last;

    if (**at != '-')
        return -1;
    ++*at;
    last = scan_position(at);
    if (first < 0 && last < 0)
        return -1;
    if (first < 0) {
        range->first = last < size ? size - last : 0;
        range->last = size - 1;
        return last > 0;
    }
    if (last >= 0 && last < first)
        return -1;
    range->first = first;
    range->last = last < 0 || last >= size ? size - 1 : last;
    return first < size;
}

static bool close_together(const struct range *a, const struct range *b)
{
    return a->first - b->last <= RANGE_GAP && b->first - a->last <= RANGE_GAP;
}

/* Add a range to those that lie apart. It takes the place of the first that it is close to, and what it is close to
 * when widened goes too. */
static int add_range(struct range *ranges, int count, struct range added)
{
    int place = count, kept = 0;

    for (int i = 0; i < count; i++) {
        if (close_together(&ranges[i], &added)) {
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
        if (i == place || !close_together(&ranges[i], &added))
            ranges[kept++] = ranges[i];
    return kept;
}

int range_parse(const char *value, off_t size, struct range ranges[RANGE_MAX])
{
    int asked = 0, count = 0;

    if (strncasecmp(value, "bytes=", 6))
        return 0;
    for (const char *at = skip_blanks(value + 6); *at; at = skip_blanks(at)) {
        struct range range;
        int found;

        if (*at == ',') {
            at++;
            continue;
        }
        found = scan_range(&at, size, &range);
        at = skip_blanks(at);
        if (found < 0 || (*at && *at != ',') || ++asked > RANGE_MAX)
            return 0;
        if (found > 0 && size == 0) /* the last bytes of an empty file are all of it, and no Content-Range can say so */
            return 0;
        if (found > 0)
            count = add_range(ranges, count, range);
    }
    return count > 0 || asked == 0 ? count : -ERANGE;
}
