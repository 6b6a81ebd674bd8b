/*
 * hello.c: a whole module, the page to copy; docs/modules.md goes through it. In the ini file:
 *
 *     [hello /hello]
 *     greeting = Good morning
 *
 * It answers with a greeting, and with ?sleep=1 a second later: by plain sleep(3), while other requests go on.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "syncless.h"

/* One [hello /prefix] section. The server makes it and fills in the options. */
struct hello {
    const char *text;
    int64_t times;
};

static const struct sl_option options[] = {
    SL_OPTION("greeting", SL_STRING, struct hello, text, .default_value = "Hello", .help = "The text."),
    SL_OPTION("times", SL_INTEGER, struct hello, times, .default_value = "1", .help = "How often the text is repeated.",
              .min = 1, .max = 100),
    {.name = NULL},
};

static int hello_handle(void *self, struct sl_request *req)
{
    const struct hello *hello = self;
    const char *agent = sl_find(req, "User-Agent");
    char *page = sl_printf(req, "To %s:\n", agent ? agent : "whom it may concern");
    unsigned seconds;

    for (int64_t i = 0; i < hello->times; i++)
        page = sl_printf(req, "%s%s\n", page, hello->text);
    if (sscanf(req->query, "sleep=%u", &seconds) == 1 && seconds <= 60)
        sleep(seconds);
    return sl_reply(req, 200, "text/plain; charset=utf-8", page, strlen(page));
}

__attribute__((visibility("default"))) const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "hello",
    .size = sizeof(struct hello),
    .options = options,
    .handle = hello_handle,
};
