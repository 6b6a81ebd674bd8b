/*
 * date.c: the lines that begin every response head.
 *
 * The Date field has a precision of one second (RFC 9110 section 6.6.1), so the text is cached for as long.
 * CLOCK_REALTIME_COARSE is a few milliseconds late, and read without a system call.
 */
#include "http/response/date.h"

#include <string.h>
#include <time.h>

#include "base/http_date.h"

#define SERVER_LINE "Server: syncless\r\n"

const struct date_lines *date_lines(void)
{
    static struct date_lines lines;
    static time_t second = -1;
    struct timespec now;
    char *at;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec == second)
        return &lines;
    second = now.tv_sec;
    lines.server_size = sizeof(SERVER_LINE) - 1;
    at = stpcpy(lines.text, SERVER_LINE "Date: ");
    http_date_format(second, at);
    at = stpcpy(at + HTTP_DATE_SIZE - 1, "\r\n");
    lines.size = (size_t)(at - lines.text);
    return &lines;
}
