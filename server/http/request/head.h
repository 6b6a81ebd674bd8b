/* head.h: the head of a request: find its end, parse it, refuse what is ambiguous. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stddef.h>

#include "http/request/request.h"

struct head_scan {
    size_t at;        /* bytes looked at */
    unsigned lines;   /* line feeds seen */
    size_t line_size; /* of the first line, with its line feed */
};

/* Look for the empty line that ends a head in p[0..size), going on where the last call with this scan ended. Returns
 * the head's size with that line, or 0 if it is not there yet. */
size_t head_find(const char *p, size_t size, struct head_scan *scan);

/* Whether the beginning of a head, without its end, may still become one: no bytes that no head can hold. The first
 * `from` bytes have been looked at before. */
bool head_is_plausible(const char *p, size_t size, size_t from);

/* Parse a whole head of size bytes, which is changed in place, and fill in the view and the body's framing. Returns 0,
 * or the status to refuse the request with; *why then says what is wrong with it. */
int head_parse(struct request *req, char *head, size_t size, unsigned lines, const char **why);

#endif
