/*
 * socket.h: receive from and send to the server's own sockets, which never wait.
 *
 * Not by libc: its recv and send are cancellation points, which cost two locked instructions each as soon as the
 * process has a second thread (hog.c's), and nobody cancels this one. AddressSanitizer's check the buffers.
 */
#ifndef HTTP_SOCKET_H
#define HTTP_SOCKET_H

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "coro/sanitize.h"
#include "base/real.h"

/* As recv(2) with MSG_DONTWAIT. */
static inline ssize_t socket_recv(int fd, void *buf, size_t size)
{
#ifdef CORO_ASAN
    return real()->recv(fd, buf, size, MSG_DONTWAIT);
#else
    return syscall(SYS_recvfrom, fd, buf, size, MSG_DONTWAIT, NULL, NULL);
#endif
}

/* As send(2) with MSG_DONTWAIT and MSG_NOSIGNAL. */
static inline ssize_t socket_send(int fd, const void *buf, size_t size)
{
#ifdef CORO_ASAN
    return real()->send(fd, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL);
#else
    return syscall(SYS_sendto, fd, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
#endif
}

#endif
