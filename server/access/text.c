/*
 * text.c: a line of the access log while it is put together.
 *
 * One text serves all lines of a worker, one after the other, so its memory is allocated a few times in the worker's
 * life. What a client sent is escaped byte by byte: which encoding it meant, nobody knows.
 */
#include "access/text.h"

#include <string.h>

#include "base/mem.h"

static char *reserve(struct text *t, size_t size)
{
    if (size > t->room - t->size) {
        t->room = 2 * t->room + size + 512;
        t->buf = xrealloc(t->buf, t->room);
    }
    return t->buf + t->size;
}

void text_add(struct text *t, const char *s, size_t size)
{
    memcpy(reserve(t, size), s, size);
    t->size += size;
}

/* At least so many digits, with zeros before. */
static void add_digits(struct text *t, uint64_t n, int least)
{
    char digits[20], *first = digits + sizeof(digits);

    do
        *--first = (char)('0' + n % 10);
    while ((n /= 10) || digits + sizeof(digits) - first < least);
    text_add(t, first, (size_t)(digits + sizeof(digits) - first));
}

void text_add_number(struct text *t, int64_t n)
{
    add_digits(t, n < 0 ? 0 : (uint64_t)n, 1);
}

void text_add_seconds(struct text *t, int64_t microseconds)
{
    uint64_t ms = microseconds < 0 ? 0 : (uint64_t)microseconds / 1000;

    add_digits(t, ms / 1000, 1);
    text_add(t, ".", 1);
    add_digits(t, ms % 1000, 3);
}

static char *put_hex(char *at, const char *prefix, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";

    at = stpcpy(at, prefix);
    *at++ = hex[c >> 4];
    *at++ = hex[c & 15];
    return at;
}

static char *put_escaped(char *at, const char *s, size_t size, const char *prefix)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            at = put_hex(at, prefix, c);
        else
            *at++ = (char)c;
    }
    return at;
}

void text_add_escaped(struct text *t, const char *s, size_t size)
{
    char *at;

    if (size == 0) {
        text_add(t, "-", 1);
        return;
    }
    at = put_escaped(reserve(t, 4 * size), s, size, "\\x");
    t->size = (size_t)(at - t->buf);
}

void text_add_json(struct text *t, const char *s, size_t size)
{
    char *at = reserve(t, 6 * size + 2);

    *at++ = '"';
    at = put_escaped(at, s, size, "\\u00");
    *at++ = '"';
    t->size = (size_t)(at - t->buf);
}
