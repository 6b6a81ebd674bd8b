/*
 * access.c: the access logs: a line for each request, written when it is over.
 *
 * Lines are gathered and written at the end of an iteration of the event loop, so that under load one write serves many
 * requests, and the log costs a few percent. Every request ends here, also one that was refused, timed out or lost its
 * client; only requests that run in a worker while it is killed leave no line. Mounts may have logs of their own; those
 * with the same target share it.
 */
#include "access/access.h"

#include <errno.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "access/record.h"
#include "access/slow.h"
#include "base/mem.h"

static struct {
    struct sink **sinks; /* owned, and so are its elements */
    size_t count;
    struct access_rule *rule; /* borrowed; where no mount has one of its own */
    struct text line;         /* reused for each request */
} access_state;

/* ---- the logs ---- */

/* In a forked child. */
static void access_forget(void)
{
    for (size_t i = 0; i < access_state.count; i++)
        sink_clear(access_state.sinks[i]);
}

static void access_close(void)
{
    while (access_state.count > 0)
        sink_close(access_state.sinks[--access_state.count]);
    free(access_state.sinks);
    access_state.sinks = NULL;
}

int access_open(const char *const *targets, const char **failed)
{
    static bool registered;
    struct sink **sinks;
    size_t count = 0, n;
    int err = 0;

    while (targets[count])
        count++;
    sinks = xcalloc(count + 1, sizeof(*sinks));
    for (n = 0; n < count && !err; n++) {
        sinks[n] = sink_open(targets[n]);
        err = sinks[n] ? 0 : -errno;
    }
    if (err) {
        *failed = targets[--n];
        while (n > 0)
            sink_close(sinks[--n]);
        free(sinks);
        return err;
    }
    record_keep_zone();
    if (!registered)
        pthread_atfork(NULL, NULL, access_forget);
    registered = true;
    access_close();
    access_state.sinks = sinks;
    access_state.count = count;
    return 0;
}

struct sink *access_sink(size_t n)
{
    return n < access_state.count ? access_state.sinks[n] : NULL;
}

void access_flush(void)
{
    for (size_t i = 0; i < access_state.count; i++)
        sink_flush(access_state.sinks[i]);
}

void access_drain(int milliseconds)
{
    for (size_t i = 0; i < access_state.count; i++)
        sink_drain(access_state.sinks[i], milliseconds);
}

/* ---- lines ---- */

void access_set_default(struct access_rule *rule)
{
    access_state.rule = rule;
}

/* Whether the path of the target, as it was sent, fits one of the patterns. */
static bool is_excluded(const struct access_rule *rule, const struct request *req)
{
    const char *target = req->view.target ? req->view.target : "";
    size_t size = strcspn(target, "?");
    char path[1024];

    if (size >= sizeof(path))
        return false;
    memcpy(path, target, size);
    path[size] = '\0';
    for (const char *const *pattern = rule->exclude; *pattern; pattern++)
        if (!fnmatch(*pattern, path, 0))
            return true;
    return false;
}

static bool is_sampled(struct access_rule *rule, const struct request *req)
{
    if (req->status >= 500)
        return true;
    if (++rule->skipped < rule->sample)
        return false;
    rule->skipped = 0;
    return true;
}

struct http_hooks access_hooks(bool timed)
{
    return (struct http_hooks){
        .begun = slow_is_on() ? slow_begin : NULL,
        .ended = timed || access_sink(0) ? access_log : NULL,
    };
}

void access_log(const struct request *req)
{
    struct access_rule *rule = req->log ? req->log : access_state.rule;
    struct text *line = &access_state.line;

    if (slow_is_on())
        slow_end(req);
    if (!rule->target || (rule->exclude && is_excluded(rule, req)) || (rule->sample > 1 && !is_sampled(rule, req)))
        return;
    line->size = 0;
    format_line(rule->format, line, req);
    sink_write(access_state.sinks[rule->log], LOG_INFO, line->buf, line->size, false);
}
