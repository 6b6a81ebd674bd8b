/*
 * guard.c: what the tests of filters ask of one.
 *
 * Each instance has a name, adds it to the response as a field `Guard`, and does what the request's field `Do` says for
 * that name: "outer=sleep inner=401". Compiled with -DGUARD_HANDLE it has a handle function too.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "syncless.h"

struct guard {
    const char *name;
};

static const struct sl_option options[] = {
    SL_OPTION("name", SL_STRING, struct guard, name, .default_value = "guard", .help = "In the field Do."),
    {.name = NULL},
};

static int reply_text(struct sl_request *req, int status, const char *text)
{
    return sl_reply(req, status, "text/plain", text, strlen(text));
}

static int do_status(const struct guard *guard, struct sl_request *req)
{
    sl_header(req, "WWW-Authenticate", "Basic realm=\"guard\"");
    return 401;
}

static int do_errno(const struct guard *guard, struct sl_request *req)
{
    sl_header(req, "Left", "over");
    return -EIO;
}

static int do_nonsense(const struct guard *guard, struct sl_request *req)
{
    return 2;
}

static int do_reply(const struct guard *guard, struct sl_request *req)
{
    return reply_text(req, 200, sl_printf(req, "%s [%s] [%s]\n", guard->name, req->mount, req->path));
}

static int do_count(const struct guard *guard, struct sl_request *req)
{
    char buf[5000];
    long long size = 0;
    ssize_t n;

    while ((n = sl_body(req, buf, sizeof(buf))) > 0)
        size += n;
    return n < 0 ? (int)n : reply_text(req, 200, sl_printf(req, "%lld\n", size));
}

/* Not allowed. */
static int do_peek(const struct guard *guard, struct sl_request *req)
{
    char byte;

    return sl_body(req, &byte, 1) < 0 ? 500 : SL_PASS;
}

/* Not allowed either. */
static int do_begin(const struct guard *guard, struct sl_request *req)
{
    return sl_write(req, "begun\n", 6) < 0 ? 500 : SL_PASS;
}

static int do_sleep(const struct guard *guard, struct sl_request *req)
{
    return usleep(300000) < 0 ? -errno : SL_PASS;
}

static int do_oversleep(const struct guard *guard, struct sl_request *req)
{
    sl_log(req, SL_INFO, "guard: going to sleep");
    sleep(30); /* whatever it returns */
    sl_log(req, SL_INFO, "guard: woken up");
    return SL_PASS;
}

static int do_user(const struct guard *guard, struct sl_request *req)
{
    return sl_set_user(req, guard->name) || sl_set_user(req, "") != -EINVAL || sl_set_user(req, "a\nb") != -EINVAL
               ? 500
               : SL_PASS;
}

/* What a filter sets before it passes; only fields may stay. */
static int do_set(const struct guard *guard, struct sl_request *req)
{
    sl_status(req, 418, "I am a filter");
    sl_header(req, "Content-Length", "5");
    sl_header(req, "Date", "today");
    sl_header(req, "X-Frame-Options", "DENY");
    req->local = req;
    return SL_PASS;
}

/* The same, taken back. */
static int do_reset(const struct guard *guard, struct sl_request *req)
{
    do_set(guard, req);
    return sl_reset(req) ? 500 : SL_PASS;
}

static const struct {
    const char *word;
    int (*act)(const struct guard *guard, struct sl_request *req);
} acts[] = {
    {"401", do_status},     {"errno", do_errno}, {"nonsense", do_nonsense}, {"reply", do_reply},
    {"count", do_count},    {"peek", do_peek},   {"begin", do_begin},       {"sleep", do_sleep},
    {"over", do_oversleep}, {"user", do_user},   {"set", do_set},           {"reset", do_reset},
};

static int guard_filter(void *self, struct sl_request *req)
{
    const struct guard *guard = self;
    const char *todo = sl_find(req, "Do");

    sl_header(req, "Guard", guard->name);
    todo = todo ? strstr(todo, sl_printf(req, "%s=", guard->name)) : NULL;
    for (size_t i = 0; todo && i < sizeof(acts) / sizeof(*acts); i++)
        if (!strncmp(todo + strlen(guard->name) + 1, acts[i].word, strlen(acts[i].word)))
            return acts[i].act(guard, req);
    return SL_PASS;
}

#ifdef GUARD_HANDLE
static int guard_handle(void *self, struct sl_request *req)
{
    return req->local ? 500 : reply_text(req, 200, sl_printf(req, "handled %s\n", req->user ? req->user : "-"));
}
#endif

__attribute__((visibility("default"))) const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "guard",
    .size = sizeof(struct guard),
    .options = options,
#ifdef GUARD_HANDLE
    .handle = guard_handle,
#endif
    .filter = guard_filter,
};
