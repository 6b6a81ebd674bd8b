/* caller.h: which shared object calls. */
#ifndef LIBC_OBJECT_H
#define LIBC_OBJECT_H

enum object_kind {
    OBJECT_OTHER,
    OBJECT_RUNTIME, /* takes coroutines for threads, and hands its lock over at each park: libpython */
    OBJECT_SERVER,  /* a library on which wait/ stands, which must not come back to it: libuv */
};

/* Enter the object that holds an address. 0; -EINVAL if there is none; -ENOSPC if there are too many. */
int object_enter(const void *address, enum object_kind kind);

/* The kind of the object that holds an address. Any thread. */
enum object_kind object_of(const void *address);

/* In an exported function: the kind of the object it was called from. */
#define object_calling() object_of(__builtin_return_address(0))

#endif
