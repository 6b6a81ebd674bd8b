/*
 * stderr_lines.c: writes the script's stderr to the error log, line by line as it comes.
 *
 * The beginning of a line is kept until its end comes, so that each line is one in the log; a line that is longer than
 * the buffer is logged in pieces. The log escapes control bytes and marks the request.
 * The scripts of a mount may log stderr-rate bytes a second; what is more is left out, and its lines are counted, so
 * that a script that has gone mad fills no disk. It is read all the same: the script is not held up.
 */

#include <time.h>

#include "cgi.h"

#define PREFIX_SIZE 64 /* bytes that a line is charged with besides, for what the log puts before it */

static int64_t stderr_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void log_dropped(struct stderr_lines *lines)
{
    struct stderr_budget *budget = lines->cgi->stderrs;

    if (budget->dropped)
        sl_log(lines->req, SL_WARN, "cgi: %s: left out %lld lines of stderr: there were more than stderr-rate allows",
               lines->script->file, (long long)budget->dropped);
    budget->dropped = 0;
}

/* Whether a line of that size may be logged. */
static bool is_within_rate(struct stderr_lines *lines, size_t size)
{
    struct stderr_budget *budget = lines->cgi->stderrs;
    int64_t now = stderr_now(), cost = (int64_t)size + PREFIX_SIZE;

    if (!lines->cgi->stderr_rate)
        return true;
    if (now - budget->began >= 1000) {
        log_dropped(lines);
        budget->began = now;
        budget->used = 0;
    }
    if (budget->used + cost > lines->cgi->stderr_rate) {
        budget->dropped++;
        return false;
    }
    budget->used += cost;
    return true;
}

static void log_stderr_line(struct stderr_lines *lines)
{
    if (lines->size && is_within_rate(lines, lines->size))
        sl_log(lines->req, SL_WARN, "cgi: %s: %.*s", lines->script->file, (int)lines->size, lines->text);
    lines->size = 0;
}

void stderr_lines_end(struct stderr_lines *lines)
{
    log_stderr_line(lines);
    log_dropped(lines);
}

void stderr_lines_feed(struct stderr_lines *lines, const char *data, size_t size)
{
    for (const char *end = data + size; data < end; data++) {
        if (*data == '\n' || lines->size == sizeof(lines->text))
            log_stderr_line(lines);
        if (*data != '\n')
            lines->text[lines->size++] = *data;
    }
}
