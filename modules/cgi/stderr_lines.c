/*
 * stderr_lines.c: writes the script's stderr to the error log, line by line as it comes.
 *
 * The beginning of a line is kept until its end comes, so that each line is one in the log; a line that is longer than
 * the buffer is logged in pieces. The log escapes control bytes and marks the request.
 */

#include "cgi.h"

void stderr_lines_end(struct stderr_lines *lines, const struct sl_request *req, const struct script *script)
{
    if (lines->size)
        sl_log(req, SL_WARN, "cgi: %s: %.*s", script->file, (int)lines->size, lines->text);
    lines->size = 0;
}

void stderr_lines_feed(struct stderr_lines *lines, const struct sl_request *req, const struct script *script,
                       const char *data, size_t size)
{
    for (const char *end = data + size; data < end; data++) {
        if (*data == '\n' || lines->size == sizeof(lines->text))
            stderr_lines_end(lines, req, script);
        if (*data != '\n')
            lines->text[lines->size++] = *data;
    }
}
