/*
 * escape.c: escapes text for use in a URL or in HTML.
 *
 * File names may hold any bytes. In a URL more is encoded than RFC 3986 asks for: an encoded colon keeps "javascript:x"
 * the name of a file, and an encoded backslash is not taken for a slash by browsers, so the link stays on this host.
 */
#include "escape.h"

#include <stdbool.h>
#include <string.h>

static bool url_is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~/", c));
}

char *escape_url(char *out, const char *path)
{
    static const char digits[] = "0123456789ABCDEF";
    char *at = out;

    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;

        if (url_is_plain(c)) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    *at = '\0';
    return out;
}

static const char *html_entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

char *escape_html(char *out, const char *text)
{
    char *at = out;

    for (; *text; text++) {
        const char *replacement = html_entity(*text);

        if (replacement)
            at = stpcpy(at, replacement);
        else
            *at++ = *text;
    }
    *at = '\0';
    return out;
}
