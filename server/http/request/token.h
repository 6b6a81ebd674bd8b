/* token.h: tokens (RFC 9110 section 5.6.2), lists (5.6.1), numbers, and the bytes of field values (section 5.5). */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Part of a text. */
struct span {
    const char *at;
    size_t size;
};

extern const bool token_bytes[256];

static inline bool token_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool token_is_byte(char c)
{
    return token_bytes[(unsigned char)c];
}

/* The value of a hexadecimal digit, or -1. */
static inline int token_hex(char c)
{
    if (token_is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The first byte from `at` on that is no part of a token; a NUL is none. */
static inline char *token_end(const char *at)
{
    while (token_is_byte(*at))
        at++;
    return (char *)at;
}

/* The first byte from `at` on that is no blank (RFC 9110 section 5.6.3). */
static inline char *token_skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return (char *)at;
}

bool token_is(const char *s, size_t size);

/* The number in size bytes of 1 to 18 digits (Content-Length, RFC 9110 section 8.6); -1 for anything else. */
int64_t token_number(const char *s, size_t size);

/* Cut the blanks at both ends of a text off. */
struct span token_trim(struct span text);

/* Take the next element from the front of a comma-separated list, without the blanks around it. Empty ones are skipped.
 * Returns false at the end of the list. */
bool token_next(struct span *list, struct span *element);

/* Whether a text is this word, in any case. */
bool token_equals(struct span text, const char *word);

/* Whether a comma-separated list has this element, in any case. */
bool token_in_list(struct span list, const char *word);

/* Whether size bytes have no control character but tabs. Such text cannot end a line. */
bool token_is_text(const char *s, size_t size);

#endif
