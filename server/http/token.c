/*
 * token.c: the characters of tokens and of field values, RFC 9110 sections 5.5 and 5.6.2.
 */
#include "http/token.h"

const bool token_bytes[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,         ['&'] = 1,         ['\''] = 1,
    ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,         ['^'] = 1,         ['_'] = 1,
    ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

bool token_is(const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!token_is_byte(s[i]))
            return false;
    return size > 0;
}

bool token_is_text(const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)s[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}
