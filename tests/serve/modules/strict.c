/*
 * strict.c: a module in C99 without any extension, under -pedantic.
 */
#include <stddef.h>
#include <string.h>

#include "syncless.h"

struct strict {
    const char *text;
};

static const struct sl_option options[] = {
    SL_OPTION("text", SL_STRING, struct strict, text, .default_value = "strict", .help = "The answer."),
    {.name = NULL},
};

static int strict_handle(void *self, struct sl_request *req)
{
    const struct strict *strict = self;

    return sl_reply(req, 200, "text/plain", strict->text, strlen(strict->text));
}

const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "strict",
    .size = sizeof(struct strict),
    .options = options,
    .handle = strict_handle,
};
