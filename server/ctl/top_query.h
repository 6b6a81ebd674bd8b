/* top_query.h: questions to the server while the screen is served. */
#ifndef CTL_TOP_QUERY_H
#define CTL_TOP_QUERY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* One question and its answer. */
struct top_query {
    const char *line; /* of the question, with its line break */
    int fd;           /* -1: none is asked */
    char *answer;     /* owned; ended by a NUL */
    size_t size, capacity;
    struct json *tree; /* owned; the last answer that was whole; NULL: none yet */
    char *tree_text;   /* owned; the text that its strings are in */
    char trouble[120]; /* why there is no newer one; "": there is */
};

/* Ask, and forget a question that was not answered. path is that of the socket. */
void top_query_ask(struct top_query *q, const char *path);

/* Read what has come. Returns true if the answer is complete, or will never be. */
bool top_query_read(struct top_query *q);

void top_query_release(struct top_query *q);

#endif
