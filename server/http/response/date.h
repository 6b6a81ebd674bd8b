/* date.h: the lines that begin every response head. */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include <stddef.h>

struct date_lines {
    char text[64]; /* "Server: syncless\r\nDate: ...\r\n" */
    size_t size;
    size_t server_size; /* of the first line */
};

/* The lines for the current second; valid until the next call. */
const struct date_lines *date_lines(void);

#endif
