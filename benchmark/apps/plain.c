/*
 * plain.c: the handler in C that the benchmark measures: the same answer as every other server's.
 */
#include "syncless.h"

static int plain_handle(void *self, struct sl_request *req)
{
    static const char body[] = "Hello, World\n";

    return sl_reply(req, 200, "text/plain", body, sizeof(body) - 1);
}

__attribute__((visibility("default"))) const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "plain",
    .handle = plain_handle,
};
