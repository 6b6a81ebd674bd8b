/*
 * probe.c: what the HTTP tests ask of a handler, one path each.
 *
 * Everything is done through the public header, as a module of a user would do it: bodies are read and written in plain
 * blocking style, sleeping is usleep(3).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "syncless.h"

struct probe {
    const char *text;
};

static const struct sl_option probe_options[] = {
    SL_OPTION("text", SL_STRING, struct probe, text, .default_value = "probe", .help = "What / answers."),
    {.name = NULL},
};

/* The number after the question mark. */
static int64_t number(const struct sl_request *req)
{
    return strtoll(req->query, NULL, 10);
}

static int reply_text(struct sl_request *req, const char *text)
{
    return sl_reply(req, 200, "text/plain", text, strlen(text));
}

static int probe_text(struct probe *probe, struct sl_request *req)
{
    return reply_text(req, probe->text);
}

/* Every fact of the request, a line each. */
static int probe_facts(struct probe *probe, struct sl_request *req)
{
    char *text =
        sl_printf(req, "method=%s\ntarget=%s\nmount=%s\npath=%s\nquery=%s\nhost=%s\nscheme=%s\nlength=%lld\nminor=%d\n",
                  req->method, req->target, req->mount, req->path, req->query, req->host, req->scheme,
                  (long long)req->length, req->http_minor);
    for (size_t i = 0; i < req->field_count; i++)
        text = sl_printf(req, "%s%s: %s\n", text, req->fields[i].name, req->fields[i].value);
    return reply_text(req, text);
}

/* As /echo, in a protocol of that name; where the client does not ask for it, the error. */
static int probe_upgrade(struct probe *probe, struct sl_request *req)
{
    char buf[1000];
    ssize_t n;
    int rc = sl_upgrade(req, "echo");

    if (rc)
        return reply_text(req, sl_printf(req, "%d\n", rc));
    while (rc == 0 && (n = sl_body(req, buf, sizeof(buf))) > 0) {
        rc = sl_write(req, buf, (size_t)n);
        if (rc == 0)
            rc = sl_flush(req);
    }
    return rc;
}

/* The request body comes back as it arrives. */
static int probe_echo(struct probe *probe, struct sl_request *req)
{
    char buf[16384];
    ssize_t n;
    int rc = 0;

    while (rc == 0 && (n = sl_body(req, buf, sizeof(buf))) != 0)
        rc = n < 0 ? (int)n : sl_write(req, buf, (size_t)n);
    return rc;
}

/* The size of the request body. */
static int probe_count(struct probe *probe, struct sl_request *req)
{
    char buf[65536];
    long long total = 0;
    ssize_t n;

    while ((n = sl_body(req, buf, sizeof(buf))) > 0)
        total += n;
    return n < 0 ? (int)n : reply_text(req, sl_printf(req, "%lld\n", total));
}

/* Hold the loop for so many milliseconds. */
static int probe_spin(struct probe *probe, struct sl_request *req)
{
    struct timespec now, end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += number(req) / 1000;
    end.tv_nsec += number(req) % 1000 * 1000000;
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - end.tv_sec) * INT64_C(1000000000) + now.tv_nsec - end.tv_nsec < 0);
    return reply_text(req, "spun\n");
}

/* As many bytes as asked for, with their Content-Length. */
static int probe_source(struct probe *probe, struct sl_request *req)
{
    static const char block[65536] = {'s', 'y', 'n', 'c', 'l', 'e', 's', 's'};
    int64_t left = number(req);
    int rc = sl_header(req, "Content-Length", sl_printf(req, "%lld", (long long)left));

    while (rc == 0 && left > 0) {
        size_t n = left < (int64_t)sizeof(block) ? (size_t)left : sizeof(block);
        rc = sl_write(req, block, n);
        left -= (int64_t)n;
    }
    return rc;
}

/* As many chunks as asked for, each flushed. */
static int probe_chunks(struct probe *probe, struct sl_request *req)
{
    int rc = 0;

    for (int64_t i = 0; rc == 0 && i < number(req); i++) {
        char *line = sl_printf(req, "chunk %lld\n", (long long)i);
        rc = sl_write(req, line, strlen(line));
        if (rc == 0)
            rc = sl_flush(req);
    }
    return rc;
}

/* Sleep so many milliseconds. */
static int probe_sleep(struct probe *probe, struct sl_request *req)
{
    usleep((useconds_t)number(req) * 1000);
    return reply_text(req, "slept\n");
}

/* The same, and tell if that was interrupted. */
static int probe_nap(struct probe *probe, struct sl_request *req)
{
    return usleep((useconds_t)number(req) * 1000) < 0 ? -errno : reply_text(req, "slept\n");
}

/* Cancelled for good, as by another coroutine. */
static int probe_cancelled(struct probe *probe, struct sl_request *req)
{
    sl_cancel(sl_self(), ECANCELED);
    return usleep(1000) < 0 && errno == ECANCELED ? (int)number(req) : 404;
}

/* Takes so many milliseconds to clean up after it was cancelled. */
static int probe_clean(struct probe *probe, struct sl_request *req)
{
    sleep(30);
    sl_cancel(sl_self(), 0);
    return probe_sleep(probe, req);
}

static int probe_pid(struct probe *probe, struct sl_request *req)
{
    return reply_text(req, sl_printf(req, "%d", (int)getpid()));
}

/* A whole response of that status, with a body even where there must be none. */
static int probe_reply(struct probe *probe, struct sl_request *req)
{
    return sl_reply(req, (int)number(req), "text/plain", "body\n", 5);
}

/* The number is what the handler returns: a status, or -errno. */
static int probe_return(struct probe *probe, struct sl_request *req)
{
    return (int)number(req);
}

/* Promises ten bytes and sends as many as asked for. */
static int probe_promise(struct probe *probe, struct sl_request *req)
{
    int rc = sl_header(req, "Content-Length", "10");

    return rc ? rc : sl_write(req, "0123456789abcdef", (size_t)number(req));
}

/* Fails after the first bytes of the body. */
static int probe_cut(struct probe *probe, struct sl_request *req)
{
    int rc = sl_write(req, "first", 5);

    return rc ? rc : sl_flush(req) ? -EPIPE : -EIO;
}

/* Says which of two bad header fields were refused, and sets one that is the server's. */
static int probe_headers(struct probe *probe, struct sl_request *req)
{
    int split = sl_header(req, "X-Split", "a\r\nb: c");
    int space = sl_header(req, "X Space", "a");
    int hop = sl_header(req, "Connection", "close");

    return reply_text(req, sl_printf(req, "%d %d %d\n", split == -EINVAL, space == -EINVAL, hop));
}

static volatile int depth;

static int recurse(int level)
{
    volatile char frame[1024];

    frame[0] = (char)level;
    if (level < 0)
        return 0;
    depth = recurse(level + 1) + frame[0];
    return depth;
}

/* Overflow the stack of this coroutine. */
static int probe_recurse(struct probe *probe, struct sl_request *req)
{
    return recurse(0);
}

static const struct {
    const char *path;
    int (*handle)(struct probe *probe, struct sl_request *req);
} handlers[] = {
    {"/", probe_text},           {"/facts", probe_facts},     {"/echo", probe_echo},
    {"/count", probe_count},     {"/source", probe_source},   {"/chunks", probe_chunks},
    {"/sleep", probe_sleep},     {"/pid", probe_pid},         {"/nap", probe_nap},
    {"/reply", probe_reply},     {"/return", probe_return},   {"/promise", probe_promise},
    {"/cut", probe_cut},         {"/headers", probe_headers}, {"/upgrade", probe_upgrade},
    {"/recurse", probe_recurse}, {"/spin", probe_spin},       {"/cancelled", probe_cancelled},
    {"/clean", probe_clean},
};

static int probe_handle(void *self, struct sl_request *req)
{
    for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++)
        if (!strcmp(req->path, handlers[i].path))
            return handlers[i].handle(self, req);
    return strncmp(req->path, "/facts", 6) ? 404 : probe_facts(self, req);
}

__attribute__((visibility("default"))) struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "probe",
    .size = sizeof(struct probe),
    .options = probe_options,
    .handle = probe_handle,
};
