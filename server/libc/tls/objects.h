/* objects.h: shared objects with thread-locals, by module id: the number that the loader gives such an object, and
 * gives again when it is closed. */
#ifndef LIBC_TLS_OBJECTS_H
#define LIBC_TLS_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>

/* How a block of thread-locals is made. */
struct tls_object {
    bool fixed;        /* its thread-locals are those of the OS thread: coroutines cannot have copies */
    const char *image; /* the initialised part, in the object itself */
    size_t image_size;
    size_t size, align; /* of the block, bytes */
    size_t skew;        /* bytes by which its address is above a multiple of align */
};

/* The modules up to this one were there before main. */
extern size_t tls_own_modules;

/* Take note of the modules that there are before main. */
void objects_start(void);

/* Returns what is known of a module, owned here. Valid while the object is loaded. Any thread. */
const struct tls_object *objects_find(size_t module);

/* Objects may have been closed: free the copies of those that were. Any thread. */
void objects_closed(void);

/* Objects may have been loaded: log those whose thread-locals all coroutines share. Any thread. */
void objects_loaded(void);

#endif
