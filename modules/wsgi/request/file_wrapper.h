/*
 * file_wrapper.h: wsgi.file_wrapper.
 */
#ifndef FILE_WRAPPER_H
#define FILE_WRAPPER_H

#include <sys/types.h>

#include "interp/cpython.h"

extern PyTypeObject file_wrapper_type;

int file_wrapper_init_type(void);

/* The part of a regular file that is to be sent. */
struct region {
    int fd; /* borrowed */
    off_t offset;
    size_t size;
};

/* Finds what is left of the file in a wrapper. Returns 1, or 0 if it is no regular file and must be read, or -1. */
int file_wrapper_region(PyObject *wrapper, struct region *region);

#endif
