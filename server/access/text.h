/* text.h: a line of the access log while it is put together, and what clients may put into it. */
#ifndef ACCESS_TEXT_H
#define ACCESS_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that grow; zero is empty. */
struct text {
    char *buf;
    size_t size, room;
};

void text_add(struct text *t, const char *s, size_t size);

/* A whole number, 0 for a negative one. */
void text_add_number(struct text *t, int64_t n);

/* Seconds with three digits after the point, from microseconds. */
void text_add_seconds(struct text *t, int64_t microseconds);

/* Bytes of a client, such that no reader takes them for the end of the line or of their quotes: control and non-ASCII
 * bytes, quotes and backslashes become \xHH. No bytes become "-". */
void text_add_escaped(struct text *t, const char *s, size_t size);

/* The same as a string of JSON with its quotes; a byte beyond ASCII becomes the code point of its number. */
void text_add_json(struct text *t, const char *s, size_t size);

#endif
