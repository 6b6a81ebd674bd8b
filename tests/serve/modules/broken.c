/*
 * broken.c: modules the server must refuse. The tests compile it with -DMODULE_ABI, -DSTART_RESULT or -DHANDLE.
 */
#include <errno.h>
#include <stdlib.h>

#include "syncless.h"

#ifndef MODULE_ABI
#define MODULE_ABI SL_ABI
#endif
#ifndef START_RESULT
#define START_RESULT 0
#endif

static int broken_start(void *self)
{
    sl_log(NULL, SL_ERROR, "broken: start was called");
    if (START_RESULT == -ECHILD) /* stands for a crash */
        abort();
    return START_RESULT;
}

#ifndef HANDLE
static int broken_handle(void *self, struct sl_request *req)
{
    return 404;
}
#define HANDLE broken_handle
#endif

__attribute__((visibility("default"))) struct sl_module sl_module = {
    .abi = MODULE_ABI,
    .name = "broken",
    .size = 1,
    .start = broken_start,
    .handle = HANDLE,
};
