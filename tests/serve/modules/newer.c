/*
 * newer.c: a module that calls what a later version of the server may have.
 */
#include "syncless.h"

int sl_of_a_later_version(struct sl_request *req);

static int newer_handle(void *self, struct sl_request *req)
{
    return sl_of_a_later_version(req);
}

const struct sl_module sl_module = {.abi = SL_ABI, .name = "newer", .handle = newer_handle};
