/* escape.h: escapes text for use in a URL or in HTML. */
#ifndef ESCAPE_H
#define ESCAPE_H

/* How many times longer than its source the result may be. */
#define ESCAPE_URL_GROWTH  3
#define ESCAPE_HTML_GROWTH 6

/* Percent-encode a path into out: everything but letters, digits, "-._~" and "/". Returns out. */
char *escape_url(char *out, const char *path);

/* Replace the characters that have a meaning in HTML text and quoted attributes. Returns out. */
char *escape_html(char *out, const char *text);

#endif
