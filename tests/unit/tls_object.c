/* tls_object.c: a shared object with thread-locals, for test_libc_tls.c. Compiled for each TLS model, and as a large
 * one. */
#include <stdbool.h>
#include <stddef.h>

#ifndef SPACE
#define SPACE 100
#endif
#ifndef ALIGN
#define ALIGN 128
#endif

__thread int tls_number = 42;                        /* initialised, seen by other objects */
static __thread int next = 7;                        /* local: the compiler may use the local dynamic model */
static __thread _Alignas(ALIGN) char aligned[SPACE]; /* zero, and aligned more than anything initialised */
static int variable;
static __thread int *pointer = &variable; /* the loader relocates the image */

int *tls_object_number(void);
int *tls_object_next(void);
char *tls_object_aligned(size_t *size);
bool tls_object_relocated(void);

int *tls_object_number(void)
{
    return &tls_number;
}

int *tls_object_next(void)
{
    return &next;
}

char *tls_object_aligned(size_t *size)
{
    *size = sizeof(aligned);
    return aligned;
}

bool tls_object_relocated(void)
{
    return pointer == &variable;
}
