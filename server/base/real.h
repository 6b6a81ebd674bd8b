/*
 * real.h: libc's own functions, behind those of the same names that server/libc defines.
 *
 * Everything below server/libc calls these, as real()->close(fd): the plain names mean the interposed functions, which
 * may park the calling coroutine. `make lint` checks that (tests/layers).
 */
#ifndef BASE_REAL_H
#define BASE_REAL_H

#include <aio.h>
#include <aliases.h>
#include <dirent.h>
#include <dlfcn.h>
#include <err.h>
#include <error.h>
#include <fcntl.h>
#include <grp.h>
#include <gshadow.h>
#include <mqueue.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <semaphore.h>
#include <shadow.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <syslog.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wordexp.h>

/* What libc exports for compilers, and declares nowhere. */
struct tls_index {
    size_t module, offset;
};
void *__tls_get_addr(struct tls_index *index);
int __cxa_thread_atexit_impl(void (*fn)(void *object), void *object, void *symbol);
int __cxa_thread_atexit(void (*fn)(void *object), void *object, void *symbol);
void __pthread_register_cancel(__pthread_unwind_buf_t *buf);
void __pthread_unregister_cancel(__pthread_unwind_buf_t *buf);
void __pthread_register_cancel_defer(__pthread_unwind_buf_t *buf);
void __pthread_unregister_cancel_restore(__pthread_unwind_buf_t *buf);
void __pthread_unwind_next(__pthread_unwind_buf_t *buf);
int __underflow(FILE *file);
void __vsyslog_chk(int priority, int flag, const char *format, va_list ap);
int __vfprintf_chk(FILE *restrict file, int flag, const char *restrict format, va_list ap);
int __vdprintf_chk(int fd, int flag, const char *restrict format, va_list ap);
wint_t __wunderflow(FILE *file);
wint_t __woverflow(FILE *file, wint_t c);
int __vfwprintf_chk(FILE *file, int flag, const wchar_t *format, va_list ap);
int __isoc99_vfwscanf(FILE *restrict file, const wchar_t *restrict format, va_list ap);
int __isoc99_vfscanf(FILE *restrict file, const char *restrict format, va_list ap);

/* resolv.h defines macros for half of the alphabet. */
struct __res_state;
int res_query(const char *name, int class, int type, unsigned char *answer, int size);
int res_search(const char *name, int class, int type, unsigned char *answer, int size);
int res_querydomain(const char *name, const char *domain, int class, int type, unsigned char *answer, int size);
int res_send(const unsigned char *message, int message_size, unsigned char *answer, int size);
int res_nquery(struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int size);
int res_nsearch(struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int size);
int res_nquerydomain(struct __res_state *state, const char *name, const char *domain, int class, int type,
                     unsigned char *answer, int size);
int res_nsend(struct __res_state *state, const unsigned char *message, int message_size, unsigned char *answer,
              int size);

/* clang-format off */
#define REAL_CALLS(X)                                                                                            \
    /* reading and writing */                                                                                    \
    X(read) X(readv) X(write) X(writev) X(recv) X(recvfrom) X(recvmsg) X(recvmmsg) X(send) X(sendto) X(sendmsg)  \
    X(sendmmsg) X(sendfile) X(splice) X(aio_suspend) X(lio_listio)                                               \
    /* terminals */                                                                                              \
    X(tcdrain) X(tcsendbreak) X(tcsetattr)                                                                       \
    /* files */                                                                                                  \
    X(pread) X(preadv) X(preadv2) X(pwrite) X(pwritev) X(pwritev2) X(posix_fallocate) X(faccessat) X(fchmodat)   \
    X(utimensat) X(opendir) X(readdir)                                                                           \
    /* streams */                                                                                                \
    X(fgetc) X(fgetc_unlocked) X(fgets) X(fgets_unlocked) X(getdelim) X(fread) X(__uflow) X(__underflow)         \
    X(fwrite) X(fputc) X(fputc_unlocked) X(__overflow) X(vfprintf) X(__vfprintf_chk) X(vdprintf)                 \
    X(__vdprintf_chk) X(puts) X(fflush) X(fclose) X(flockfile) X(ftrylockfile) X(funlockfile)                    \
    X(vfscanf) X(__isoc99_vfscanf) X(freopen) X(fseek) X(fseeko) X(fsetpos) X(rewind) X(perror) X(psignal)       \
    X(psiginfo) X(vwarn) X(vwarnx) X(error) X(error_at_line)                                                     \
    X(fgetwc) X(fgetwc_unlocked) X(fgetws) X(__wunderflow) X(fputwc) X(fputwc_unlocked) X(fputws)                \
    X(__woverflow) X(vfwprintf) X(__vfwprintf_chk) X(vfwscanf) X(__isoc99_vfwscanf)                              \
    /* sockets and files */                                                                                      \
    X(open) X(openat) X(fopen) X(setsockopt) X(tee) X(vmsplice)                                                  \
    X(mq_send) X(mq_receive)                                                                                     \
    X(mq_timedsend) X(mq_timedreceive) X(msgsnd) X(msgrcv) X(semtimedop)                                         \
    X(accept) X(accept4) X(connect) X(close) X(dup) X(dup2) X(dup3) X(flock) X(lockf) X(fcntl)                  \
    /* many descriptors */                                                                                       \
    X(poll) X(ppoll) X(select) X(pselect) X(epoll_wait) X(epoll_pwait) X(epoll_pwait2)                           \
    /* time and signals */                                                                                       \
    X(sleep) X(usleep) X(nanosleep) X(clock_nanosleep) X(pause) X(sigaction) X(sigsuspend) X(sigwait)            \
    X(sigwaitinfo) X(sigtimedwait) X(sigprocmask) X(pthread_sigmask)                                             \
    /* semaphores */                                                                                             \
    X(sem_wait) X(sem_trywait) X(sem_timedwait) X(sem_clockwait) X(sem_post)                                     \
    /* mutexes, conditions and locks */                                                                          \
    X(pthread_mutex_lock) X(pthread_mutex_trylock) X(pthread_mutex_timedlock) X(pthread_mutex_clocklock)         \
    X(pthread_mutex_unlock) X(pthread_cond_wait) X(pthread_cond_timedwait) X(pthread_cond_clockwait)             \
    X(pthread_cond_signal) X(pthread_cond_broadcast) X(pthread_rwlock_rdlock) X(pthread_rwlock_wrlock)           \
    X(pthread_rwlock_timedrdlock) X(pthread_rwlock_timedwrlock) X(pthread_rwlock_unlock)                         \
    X(pthread_rwlock_clockrdlock) X(pthread_rwlock_clockwrlock) X(pthread_rwlock_tryrdlock)                      \
    X(pthread_rwlock_trywrlock) X(pthread_mutex_consistent) X(pthread_spin_lock) X(pthread_spin_trylock)         \
    X(pthread_spin_unlock) X(pthread_once) X(pthread_barrier_wait) X(pthread_barrier_destroy)                    \
    /* threads */                                                                                                \
    X(pthread_create)                                                                                         \
    X(pthread_self) X(pthread_kill) X(pthread_sigqueue) X(pthread_getcpuclockid) X(pthread_getschedparam)        \
    X(pthread_setschedparam) X(pthread_setschedprio) X(pthread_getaffinity_np) X(pthread_setaffinity_np)         \
    X(pthread_getattr_np) X(pthread_setname_np) X(pthread_getname_np) X(pthread_join) X(pthread_tryjoin_np)      \
    X(pthread_timedjoin_np) X(pthread_clockjoin_np) X(pthread_detach) X(pthread_exit) X(sched_yield)             \
    X(__pthread_register_cancel) X(__pthread_unregister_cancel) X(__pthread_register_cancel_defer)               \
    X(__pthread_unregister_cancel_restore) X(__pthread_unwind_next)                                              \
    X(syscall)                                                                                                   \
    /* thread-locals; tss_create and the others of C11 are built on those of pthread */                           \
    X(__tls_get_addr) X(__cxa_thread_atexit_impl) X(dlopen) X(dlmopen) X(dlclose) X(exit)                        \
    X(pthread_key_create) X(pthread_key_delete)                                                                  \
    X(pthread_getspecific) X(pthread_setspecific)                                                                \
    /* processes */                                                                                              \
    X(fork) X(waitpid) X(wait) X(wait3) X(wait4) X(waitid) X(system) X(popen) X(pclose) X(wordexp)               \
    /* names */                                                                                                  \
    X(getaddrinfo) X(getnameinfo) X(gethostbyname) X(gethostbyname2) X(gethostbyaddr) X(gethostbyname_r)         \
    X(getaddrinfo_a) X(gai_suspend)                                                                              \
    X(gethostbyname2_r) X(gethostbyaddr_r) X(res_query) X(res_search) X(res_querydomain) X(res_send)     \
    X(res_nquery) X(res_nsearch) X(res_nquerydomain) X(res_nsend)                                        \
    X(getpwnam) X(getpwnam_r) X(getpwuid) X(getpwuid_r) X(getgrnam) X(getgrnam_r) X(getgrgid)        \
    X(getgrgid_r) X(getgrouplist) X(initgroups) X(getservbyname) X(getservbyname_r)                  \
    X(getservbyport) X(getservbyport_r) X(getprotobyname) X(getprotobyname_r) X(getprotobynumber)                \
    X(getprotobynumber_r) X(getspnam) X(getspnam_r) X(getsgnam) X(getsgnam_r) X(getrpcbyname) X(getrpcbyname_r)  \
    X(getrpcbynumber) X(getrpcbynumber_r) X(getaliasbyname) X(getaliasbyname_r) X(getnetbyname)                  \
    X(getnetbyname_r) X(getnetbyaddr) X(getnetbyaddr_r) X(innetgr) X(ether_hostton) X(ether_ntohost)             \
    /* logs */                                                                                                   \
    X(syslog) X(vsyslog) X(__vsyslog_chk)
/* clang-format on */

struct real_calls {
    bool ready;
#define X(name) __typeof__(name) *name;
    REAL_CALLS(X)
#undef X
};

extern struct real_calls real_calls;

/* Fill the table. Only for real(). */
void real_resolve(void);

/* The functions next in the symbol order: libc's, or a sanitizer's, which call libc's. Any thread, at any time; in a
 * signal handler only after an earlier call, since the first one uses dlsym. */
static inline const struct real_calls *real(void)
{
    if (__builtin_expect(!real_calls.ready, 0))
        real_resolve();
    return &real_calls;
}

#endif
