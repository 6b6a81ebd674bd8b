/* slice_test.h: time slices without the watcher. */
#ifndef SLICE_TEST_H
#define SLICE_TEST_H

#include "coro/coro.h"

/* From now on the running coroutine has used up its slice, as the watcher would find. */
static inline void use_up_slice(void)
{
    coro_expire(atomic_load(&slice.run));
}

#endif
