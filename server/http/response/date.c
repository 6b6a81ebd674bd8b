/*
 * date.c: the lines that begin every response head.
 *
 * The Date field has a precision of one second (RFC 9110 section 6.6.1), so the text is cached for as long.
 * CLOCK_REALTIME_COARSE is a few milliseconds late, and read without a system call.
 */
#include "http/response/date.h"

#include <stdio.h>
#include <time.h>

#include "base/calendar.h"

#define SERVER_LINE "Server: syncless\r\n"

const struct date_lines *date_lines(void)
{
    static struct date_lines lines;
    static time_t second = -1;
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec == second)
        return &lines;
    second = now.tv_sec;
    gmtime_r(&second, &tm);
    lines.server_size = sizeof(SERVER_LINE) - 1;
    lines.size =
        (size_t)snprintf(lines.text, sizeof(lines.text), SERVER_LINE "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                         calendar_day(tm.tm_wday), tm.tm_mday, calendar_month(tm.tm_mon), tm.tm_year + 1900, tm.tm_hour,
                         tm.tm_min, tm.tm_sec);
    return &lines;
}
