/* caller.h: which shared object has made an interposed call. */
#ifndef LIBC_CALLER_H
#define LIBC_CALLER_H

enum caller_kind {
    CALLER_OTHER,
    CALLER_RUNTIME, /* libpython: coroutines are its threads, and it releases its own lock at each park */
    CALLER_LOOP,    /* libuv: parking is built on it, so its own calls must not park */
};

/* Register the object that contains an address. Returns 0, -EINVAL if no object contains it, or -ENOSPC if there are
 * too many. */
int caller_register(const void *address, enum caller_kind kind);

/* Returns the kind of the object that contains an address. Any thread. */
enum caller_kind caller_kind_of(const void *address);

/* In an exported function: the kind of the object that has called it. */
#define caller_kind() caller_kind_of(__builtin_return_address(0))

#endif
