/*
 * older.c: a module as an older header made it: its table ends after handle. What lies behind it is not the table's.
 */

#include "syncless.h"

struct older_module {
    unsigned abi;
    const char *name;
    size_t size;
    const struct sl_option *options;
    int (*start)(void *self);
    int (*handle)(void *self, struct sl_request *req);
};

static int older_handle(void *self, struct sl_request *req)
{
    return sl_reply(req, 200, "text/plain", "older\n", 6);
}

const struct {
    struct older_module table;
    const char *behind[8];
} sl_module = {
    .table = {.abi = SL_ABI_MAJOR << 24 | sizeof(struct older_module), .name = "older", .handle = older_handle},
    .behind = {"no", "function", "of", "this", "module", "stands", "here", "!"},
};
