/*
 * date.c: the lines that begin every response head.
 *
 * RFC 9110 section 6.6.1 wants a Date of one second's precision. CLOCK_REALTIME_COARSE is read without a system call
 * and is right to a few milliseconds, so the text is made when its second changes, and copied otherwise.
 */
#include "http/response/date.h"

#include <stdio.h>
#include <time.h>

#define SERVER_LINE "Server: syncless\r\n"

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

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
    lines.size = (size_t)snprintf(lines.text, sizeof(lines.text),
                                  SERVER_LINE "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday],
                                  tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    return &lines;
}
