/*
 * mark.c: a handler by which benchmark/callgrind has valgrind write down what it counted so far, and count from zero.
 */
#include <valgrind/callgrind.h>

#include "syncless.h"

static int mark_handle(void *self, struct sl_request *req)
{
    CALLGRIND_DUMP_STATS_AT(req->query);
    return sl_reply(req, 200, "text/plain", "", 0);
}

__attribute__((visibility("default"))) const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "mark",
    .handle = mark_handle,
};
