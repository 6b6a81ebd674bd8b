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

/* Look for the empty line that ends a head in p[0..size), from where the last call with this scan ended. Returns the
 * size of the head with that line, or 0 if it has not come yet. */
size_t head_find(const char *p, size_t size, struct head_scan *scan);

/* Whether an incomplete head may become a request: it has no bytes that no head can have. The first `from` bytes were
 * looked at before. */
bool head_is_plausible(const char *p, size_t size, size_t from);

/* Parse a complete head of size bytes, which is changed in place. Fills in the view and the framing of the body.
 * Returns 0, or the status to refuse the request with and *why, for the log. */
int head_parse(struct request *req, char *head, size_t size, unsigned lines, const char **why);

#endif
