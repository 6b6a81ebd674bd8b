/* fortify.h: what programs compiled with _FORTIFY_SOURCE call in place of some functions; libc's headers declare them
 * to such programs only. capacity is the size of the buffer in bytes, as the compiler knows it. */
#ifndef LIBC_FORTIFY_H
#define LIBC_FORTIFY_H

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

void __chk_fail(void) __attribute__((noreturn));

ssize_t __read_chk(int fd, void *buf, size_t size, size_t capacity);
ssize_t __pread_chk(int fd, void *buf, size_t size, off_t at, size_t capacity);
ssize_t __pread64_chk(int fd, void *buf, size_t size, off64_t at, size_t capacity);
ssize_t __recv_chk(int fd, void *buf, size_t size, size_t capacity, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t size, size_t capacity, int flags, struct sockaddr *from,
                       socklen_t *from_size);
int __open_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);
char *__fgets_chk(char *buf, size_t capacity, int size, FILE *stream);
char *__fgets_unlocked_chk(char *buf, size_t capacity, int size, FILE *stream);
size_t __fread_chk(void *restrict buf, size_t capacity, size_t size, size_t count, FILE *restrict stream);
size_t __fread_unlocked_chk(void *restrict buf, size_t capacity, size_t size, size_t count, FILE *restrict stream);
int __fprintf_chk(FILE *restrict stream, int flag, const char *restrict format, ...);
int __vprintf_chk(int flag, const char *restrict format, va_list ap);
int __printf_chk(int flag, const char *restrict format, ...);
int __dprintf_chk(int fd, int flag, const char *restrict format, ...);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t capacity);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                size_t capacity);

#endif
