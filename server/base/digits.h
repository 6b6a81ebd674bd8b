/* digits.h: numbers as decimal and hexadecimal digits, where snprintf is too slow or not allowed. */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include <stddef.h>
#include <stdint.h>

#define DIGITS_MAX 20 /* decimal digits of UINT64_MAX */

/* Write the decimal digits of n, up to DIGITS_MAX, so that they end before end. Returns the first one.
 * Async-signal-safe. */
static inline char *digits_decimal(char *end, uint64_t n)
{
    do
        *--end = (char)('0' + n % 10);
    while (n /= 10);
    return end;
}

/* Write n, 0 to 99, as two decimal digits. */
static inline void digits_two(char *out, int n)
{
    out[0] = (char)('0' + n / 10);
    out[1] = (char)('0' + n % 10);
}

/* Write size bytes as 2 * size lower-case hexadecimal digits. */
static inline void digits_hex(char *out, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        unsigned char byte = ((const unsigned char *)bytes)[i];

        out[2 * i] = digits[byte >> 4];
        out[2 * i + 1] = digits[byte & 15];
    }
}

#endif
