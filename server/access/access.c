/*
 * access.c: the access log: a line for each request, written when it is over.
 *
 * Lines are gathered and written at the end of an iteration of the event loop, so that under load one write serves many
 * requests, and the log costs a few percent. Every request ends here, also one that was refused, timed out or lost its
 * client; only requests that run in a worker while it is killed leave no line.
 */
#include "access/access.h"

#include <errno.h>
#include <pthread.h>
#include <syslog.h>

static struct {
    struct sink *sink;
    const struct format *format;
    struct text line; /* reused for each request */
} access_state;

/* In a forked child. */
static void access_forget(void)
{
    if (access_state.sink)
        sink_clear(access_state.sink);
}

int access_open(const char *target, const struct format *format)
{
    static bool registered;
    struct sink *sink = sink_open(target);

    if (!sink)
        return -errno;
    if (!registered)
        pthread_atfork(NULL, NULL, access_forget);
    registered = true;
    access_close();
    access_state.sink = sink;
    access_state.format = format;
    return 0;
}

void access_close(void)
{
    if (access_state.sink)
        sink_close(access_state.sink);
    access_state.sink = NULL;
}

struct sink *access_sink(void)
{
    return access_state.sink;
}

void access_log(const struct request *req)
{
    struct text *line = &access_state.line;

    line->size = 0;
    format_line(access_state.format, line, req);
    sink_write(access_state.sink, LOG_INFO, line->buf, line->size, false);
}

void access_flush(void)
{
    sink_flush(access_state.sink);
}
