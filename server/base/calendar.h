/* calendar.h: the English names of days and months in dates for machines; strftime takes them from the locale. */
#ifndef BASE_CALENDAR_H
#define BASE_CALENDAR_H

/* "Sun" to "Sat"; day is tm_wday. */
static inline const char *calendar_day(int day)
{
    static const char names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

    return names[day];
}

/* "Jan" to "Dec"; month is tm_mon. */
static inline const char *calendar_month(int month)
{
    static const char names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

    return names[month];
}

#endif
