/*
 * socket.h: receive and send on the server's own sockets, without waiting.
 *
 * These are direct system calls, by libc's own function syscall. libc's recv and send are cancellation points, which
 * cost two locked instructions each as soon as the process has a second thread (watchdog.c has one), and nothing
 * cancels this one. The table of real.h is full by now. Under AddressSanitizer they are libc's, whose buffers it
 * checks.
 */
#ifndef HTTP_SOCKET_H
#define HTTP_SOCKET_H

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/real.h"
#include "coro/sanitize.h"

/* As recv(2) with MSG_DONTWAIT. */
static inline ssize_t socket_recv(int fd, void *buf, size_t size)
{
#ifdef CORO_ASAN
    return real()->recv(fd, buf, size, MSG_DONTWAIT);
#else
    return real_calls.syscall(SYS_recvfrom, fd, buf, size, MSG_DONTWAIT, NULL, NULL);
#endif
}

/* As send(2) with MSG_DONTWAIT and MSG_NOSIGNAL. */
static inline ssize_t socket_send(int fd, const void *buf, size_t size)
{
#ifdef CORO_ASAN
    return real()->send(fd, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL);
#else
    return real_calls.syscall(SYS_sendto, fd, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
#endif
}

#endif
