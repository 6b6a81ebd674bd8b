/*
 * kind.c: what a descriptor is.
 *
 * Nothing is remembered: a number can stand for something else at the next call.
 */
#include "libc/io/kind.h"

#include <sys/socket.h>
#include <sys/stat.h>

bool kind_is_pipe(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

bool kind_is_file(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode));
}

/* Returns SOCK_STREAM and so on, or -1. */
static int kind_of_socket(int fd)
{
    int type;
    socklen_t size = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 ? type : -1;
}

bool kind_is_socket(int fd)
{
    return kind_of_socket(fd) >= 0;
}

bool kind_is_stream(int fd)
{
    return kind_of_socket(fd) == SOCK_STREAM;
}
