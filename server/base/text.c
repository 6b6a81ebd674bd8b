/*
 * text.c: bytes that are put together piece by piece: a line of the access log, or an answer about what goes on.
 *
 * A worker reuses one text for all its lines, so its memory is allocated a few times only. What clients sent is escaped
 * byte by byte, since its encoding is unknown.
 */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/digits.h"
#include "base/mem.h"

static char *text_reserve(struct text *t, size_t size)
{
    if (size > t->capacity - t->size) {
        t->capacity = 2 * t->capacity + size + 512;
        t->buf = xrealloc(t->buf, t->capacity);
    }
    return t->buf + t->size;
}

void text_add(struct text *t, const char *s, size_t size)
{
    memcpy(text_reserve(t, size), s, size);
    t->size += size;
}

void text_printf(struct text *t, const char *fmt, ...)
{
    va_list ap, again;
    int size;

    va_start(ap, fmt);
    va_copy(again, ap);
    size = vsnprintf(NULL, 0, fmt, ap);
    vsnprintf(text_reserve(t, (size_t)size + 1), (size_t)size + 1, fmt, again);
    t->size += (size_t)size;
    va_end(again);
    va_end(ap);
}

void text_add_number(struct text *t, int64_t n)
{
    char digits[DIGITS_MAX], *end = digits + sizeof(digits);
    char *first = digits_decimal(end, n < 0 ? 0 : (uint64_t)n);

    text_add(t, first, (size_t)(end - first));
}

void text_add_seconds(struct text *t, int64_t microseconds)
{
    int64_t ms = microseconds < 0 ? 0 : microseconds / 1000;
    char fraction[4] = {'.', (char)('0' + ms % 1000 / 100)};

    digits_two(fraction + 2, (int)(ms % 100));
    text_add_number(t, ms / 1000);
    text_add(t, fraction, sizeof(fraction));
}

/* Write size bytes of s; prefix and two hexadecimal digits stand for bytes that could end the line or the quotes. */
static char *escape_bytes(char *at, const char *s, size_t size, const char *prefix)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            *at++ = (char)c;
            continue;
        }
        at = stpcpy(at, prefix);
        digits_hex(at, &c, 1);
        at += 2;
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
    at = escape_bytes(text_reserve(t, 4 * size), s, size, "\\x");
    t->size = (size_t)(at - t->buf);
}

void text_add_json(struct text *t, const char *s, size_t size)
{
    char *at = text_reserve(t, 6 * size + 2);

    *at++ = '"';
    at = escape_bytes(at, s, size, "\\u00");
    *at++ = '"';
    t->size = (size_t)(at - t->buf);
}
