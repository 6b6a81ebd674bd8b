/* httpdate.h: dates as HTTP writes them, RFC 9110 section 5.6.7. */
#ifndef HTTPDATE_H
#define HTTPDATE_H

#include <stdbool.h>
#include <time.h>

#define HTTPDATE_SIZE sizeof("Sun, 06 Nov 1994 08:49:37 GMT")

/* Write the preferred form. For dates from 1970 to the year 9999. */
void httpdate_format(time_t when, char text[HTTPDATE_SIZE]);

/* Read any of the three forms a server must know. False if it is none of them. */
bool httpdate_parse(const char *text, time_t *when);

#endif
