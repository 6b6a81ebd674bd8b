/* http_date.h: dates as HTTP writes them, RFC 9110 section 5.6.7. */
#ifndef BASE_HTTP_DATE_H
#define BASE_HTTP_DATE_H

#include <stdbool.h>
#include <time.h>

#define HTTP_DATE_SIZE sizeof("Sun, 06 Nov 1994 08:49:37 GMT")

/* Write a date from 1970 to the year 9999 in the form that is preferred. */
void http_date_format(time_t when, char text[HTTP_DATE_SIZE]);

/* Read any of the three forms that a server must know. Returns false if it is none of them. */
bool http_date_parse(const char *text, time_t *when);

#endif
