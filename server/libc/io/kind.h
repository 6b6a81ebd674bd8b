/* kind.h: what a descriptor is. Each takes a system call, and is false if it is no descriptor at all. */
#ifndef LIBC_KIND_H
#define LIBC_KIND_H

#include <stdbool.h>

bool kind_is_pipe(int fd);
bool kind_is_file(int fd); /* with a position: a regular file, a directory or a block device */
bool kind_is_socket(int fd);
bool kind_is_stream(int fd); /* a socket of type SOCK_STREAM */

#endif
