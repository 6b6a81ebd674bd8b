/* text.h: bytes that are put together piece by piece, and the escaping of what clients sent. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that grow. All zero is an empty text. */
struct text {
    char *buf; /* owned */
    size_t size, capacity;
};

void text_add(struct text *t, const char *s, size_t size);

/* Add formatted text. */
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Add a whole number; 0 for a negative one. */
void text_add_number(struct text *t, int64_t n);

/* Add microseconds as seconds with three digits after the point. */
void text_add_seconds(struct text *t, int64_t microseconds);

/* Add bytes that a client sent, so that they cannot end the line or the quotes around them: control and non-ASCII
 * bytes, quotes and backslashes become \xHH. No bytes become "-". */
void text_add_escaped(struct text *t, const char *s, size_t size);

/* The same as a JSON string with its quotes; a byte beyond ASCII becomes the code point of that number. */
void text_add_json(struct text *t, const char *s, size_t size);

#endif
