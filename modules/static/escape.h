/* escape.h: text made safe to stand in a URL or in HTML. */
#ifndef ESCAPE_H
#define ESCAPE_H

#define ESCAPE_URL_GROWTH  3 /* how many times longer the result may be */
#define ESCAPE_HTML_GROWTH 6

/* Percent-encode a path into out, all but letters, digits, "-._~" and "/". Returns out. */
char *escape_url(char *out, const char *path);

/* Replace what HTML gives a meaning to, in text and in quoted attributes. Returns out. */
char *escape_html(char *out, const char *text);

#endif
