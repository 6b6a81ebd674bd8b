/*
 * token.c: tokens, lists, numbers and the bytes of field values, RFC 9110 sections 5.5 and 5.6.
 */
#include "http/request/token.h"

#include <string.h>
#include <strings.h>

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

int64_t token_number(const char *s, size_t size)
{
    int64_t n = 0;

    if (size == 0 || size > 18)
        return -1;
    for (size_t i = 0; i < size; i++) {
        if (!token_is_digit(s[i]))
            return -1;
        n = n * 10 + (s[i] - '0');
    }
    return n;
}

struct span token_trim(struct span text)
{
    while (text.size > 0 && (*text.at == ' ' || *text.at == '\t')) {
        text.at++;
        text.size--;
    }
    while (text.size > 0 && (text.at[text.size - 1] == ' ' || text.at[text.size - 1] == '\t'))
        text.size--;
    return text;
}

bool token_next(struct span *list, struct span *element)
{
    while (list->size > 0) {
        const char *comma = memchr(list->at, ',', list->size);
        size_t size = comma ? (size_t)(comma - list->at) : list->size;

        *element = token_trim((struct span){list->at, size});
        size += comma != NULL;
        list->at += size;
        list->size -= size;
        if (element->size > 0)
            return true;
    }
    return false;
}

bool token_equals(struct span text, const char *word)
{
    return text.size == strlen(word) && !strncasecmp(text.at, word, text.size);
}

bool token_in_list(struct span list, const char *word)
{
    struct span element;

    while (token_next(&list, &element))
        if (token_equals(element, word))
            return true;
    return false;
}

/* Whether one of eight bytes is below 0x20, or is 0x7f: the borrow out of a byte shows in its highest bit. */
static bool has_control_byte(uint64_t eight)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t is_del = eight ^ ones * 0x7f; /* zero in the bytes that are 0x7f */

    return ((eight - ones * 0x20) & ~eight & ones * 0x80) || ((is_del - ones) & ~is_del & (ones * 0x80));
}

bool token_is_text(const char *s, size_t size)
{
    uint64_t eight;
    size_t i = 0;

    for (; size - i >= sizeof(eight); i += sizeof(eight)) {
        memcpy(&eight, s + i, sizeof(eight));
        if (has_control_byte(eight))
            break; /* it may be a tab, which is allowed */
    }
    for (; i < size; i++) {
        unsigned char c = (unsigned char)s[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}
