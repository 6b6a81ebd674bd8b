/*
 * http_date.c: dates as HTTP writes them, RFC 9110 section 5.6.7.
 *
 * strftime and strptime take the names of days and months from the locale, which an application in the same process may
 * set; hence they are not used.
 */
#include "base/http_date.h"

#include <stdio.h>
#include <string.h>

#include "base/calendar.h"
#include "base/digits.h"

/* Write n, 0 to 99, and the character after it. Returns the end. */
static char *put_two(char *at, int n, char after)
{
    digits_two(at, n);
    at[2] = after;
    return at + 3;
}

void http_date_format(time_t when, char text[HTTP_DATE_SIZE])
{
    struct tm tm;
    int year;
    char *at;

    gmtime_r(&when, &tm);
    year = tm.tm_year + 1900;
    at = mempcpy(text, calendar_day(tm.tm_wday), 3);
    at = mempcpy(at, ", ", 2);
    at = put_two(at, tm.tm_mday, ' ');
    at = mempcpy(at, calendar_month(tm.tm_mon), 3);
    *at++ = ' ';
    at = put_two(at, year / 100, ' ') - 1;
    at = put_two(at, year % 100, ' ');
    at = put_two(at, tm.tm_hour, ':');
    at = put_two(at, tm.tm_min, ':');
    at = put_two(at, tm.tm_sec, ' ');
    memcpy(at, "GMT", sizeof("GMT"));
}

static int month_of_name(const char *name)
{
    for (int i = 0; i < 12; i++)
        if (!strcmp(calendar_month(i), name))
            return i;
    return -1;
}

/* A year of two digits is at most 50 years ahead. */
static int full_year(int two_digits)
{
    time_t now = time(NULL);
    struct tm tm;
    int year;

    gmtime_r(&now, &tm);
    year = tm.tm_year + 1900;
    two_digits += year - year % 100;
    return two_digits > year + 50 ? two_digits - 100 : two_digits;
}

/* Try the three forms: IMF-fixdate, asctime, RFC 850. */
static bool scan_date(const char *text, struct tm *tm, char month[4])
{
    int end = 0;

    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &tm->tm_mday, month, &tm->tm_year,
               &tm->tm_hour, &tm->tm_min, &tm->tm_sec, &end) == 6 &&
        end && !text[end])
        return true;
    if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &tm->tm_mday, &tm->tm_hour, &tm->tm_min,
               &tm->tm_sec, &tm->tm_year, &end) == 6 &&
        end && !text[end])
        return true;
    if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &tm->tm_mday, month, &tm->tm_year,
               &tm->tm_hour, &tm->tm_min, &tm->tm_sec, &end) == 6 &&
        end && !text[end]) {
        tm->tm_year = full_year(tm->tm_year);
        return true;
    }
    return false;
}

bool http_date_parse(const char *text, time_t *when)
{
    struct tm tm = {0};
    char month[4] = "";

    if (!scan_date(text, &tm, month))
        return false;
    tm.tm_mon = month_of_name(month);
    if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_year < 1000)
        return false;
    if (tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
        return false;
    tm.tm_year -= 1900;
    *when = timegm(&tm);
    return true;
}
