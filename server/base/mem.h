/* mem.h: malloc and the like, for callers that cannot go on without memory. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* As malloc, calloc, realloc and strdup, but running out of memory ends the process (mem_die). Freed with free(). */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);

/* Only a thread knows this memory from now on, and frees it: in a child that is forked before, it is no leak, nor is
 * what it points to. For LeakSanitizer; does nothing in other builds. */
void mem_leave_to_thread(const void *p);

/* Write to standard error that size bytes cannot be allocated, and abort. Does not use the log. */
void mem_die(size_t size) __attribute__((noreturn));

#endif
