/*
 * httpdate.c: dates as HTTP writes them, RFC 9110 section 5.6.7.
 *
 * strftime and strptime would do, but for the names of days and months, which they take from the locale: an
 * application in the same process may call setlocale, and our dates must not turn French then.
 */
#include "httpdate.h"

#include <stdio.h>
#include <string.h>

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static char *put_name(char *at, const char *names, int index)
{
    memcpy(at, names + 3 * index, 3);
    return at + 3;
}

static char *put_number(char *at, int number, char after)
{
    at[0] = (char)('0' + number / 10);
    at[1] = (char)('0' + number % 10);
    at[2] = after;
    return at + 3;
}

void httpdate_format(time_t when, char text[HTTPDATE_SIZE])
{
    struct tm tm;
    int year;
    char *at;

    gmtime_r(&when, &tm);
    year = tm.tm_year + 1900;
    at = put_name(text, days, tm.tm_wday);
    *at++ = ',';
    *at++ = ' ';
    at = put_number(at, tm.tm_mday, ' ');
    at = put_name(at, months, tm.tm_mon);
    *at++ = ' ';
    at = put_number(at, year / 100, ' ') - 1;
    at = put_number(at, year % 100, ' ');
    at = put_number(at, tm.tm_hour, ':');
    at = put_number(at, tm.tm_min, ':');
    at = put_number(at, tm.tm_sec, ' ');
    memcpy(at, "GMT", sizeof("GMT"));
}

static int month_number(const char *name)
{
    for (int i = 0; i < 12; i++)
        if (!memcmp(months + 3 * i, name, 3))
            return i;
    return -1;
}

/* A year of two digits is the one that is at most 50 years ahead. */
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

static bool scan(const char *text, struct tm *tm, char month[4])
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

bool httpdate_parse(const char *text, time_t *when)
{
    struct tm tm = {0};
    char month[4] = "";

    if (!scan(text, &tm, month) || strlen(month) != 3)
        return false;
    tm.tm_mon = month_number(month);
    if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_year < 1000)
        return false;
    if (tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
        return false;
    tm.tm_year -= 1900;
    *when = timegm(&tm);
    return true;
}
