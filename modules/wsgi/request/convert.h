/*
 * convert.h: bytes and numbers of HTTP to text, and back.
 */
#ifndef CONVERT_H
#define CONVERT_H

#include <stdint.h>

#include "interp/cpython.h"

/* Returns a str of latin-1 bytes. */
static inline PyObject *convert_latin1(const char *text, size_t size)
{
    return PyUnicode_DecodeLatin1(text, (Py_ssize_t)size, NULL);
}

#define MAX_DECIMAL 20 /* digits of a uint64_t */

/* Writes the decimal digits of n before end; returns the first one. */
static inline char *convert_decimal(char *end, uint64_t n)
{
    do
        *--end = (char)('0' + n % 10);
    while (n /= 10);
    return end;
}

#endif
