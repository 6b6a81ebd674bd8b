/*
 * lines.c: the script's stderr, line by line into the error log as it comes.
 *
 * A line is held back until its end arrives, so that each stands in the log as one; a longer one than the buffer is
 * logged in pieces. The log escapes control bytes and marks the request.
 */
#include <string.h>

#include "cgi.h"

void lines_end(struct lines *lines, const struct sl_request *req, const struct script *script)
{
    if (lines->size)
        sl_log(req, SL_WARN, "cgi: %s: %.*s", script->file, (int)lines->size, lines->text);
    lines->size = 0;
}

void lines_feed(struct lines *lines, const struct sl_request *req, const struct script *script, const char *data,
                size_t size)
{
    for (const char *end = data + size; data < end; data++) {
        if (*data == '\n' || lines->size == sizeof(lines->text))
            lines_end(lines, req, script);
        if (*data != '\n')
            lines->text[lines->size++] = *data;
    }
}
