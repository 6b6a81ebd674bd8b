/*
 * floor.c: the least that an HTTP response can cost on this machine: epoll, recv, a constant response, send.
 *
 * It looks for the empty line that ends a head; nothing is parsed, checked or limited. One process, edge-triggered,
 * and each descriptor is registered once. What a server takes above this is its own work. The second argument is a
 * number of microseconds to compute for each response: beside a framework the kernel's share is larger, since clients
 * go to sleep while they wait.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS        256
#define MAX_HEAD      16384
#define MAX_PIPELINED 64

static const char answer[] = "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                             "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World\n";

static int listen_on(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4096) < 0) {
        perror("floor: bind");
        exit(1);
    }
    return fd;
}

static void accept_all(int epoll, int listener)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};

    while ((event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
        epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
}

static double cpu_microseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Answer every request that has arrived. Returns whether the connection stays open. */
static int serve(int fd, double busy)
{
    static char in[MAX_HEAD + 1], out[MAX_PIPELINED * (sizeof(answer) - 1)];
    ssize_t n = recv(fd, in, MAX_HEAD, 0);
    size_t size = 0;

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    for (double end = busy > 0 ? cpu_microseconds() + busy : 0; busy > 0 && cpu_microseconds() < end;)
        continue;
    in[n] = '\0';
    for (char *at = in; (at = strstr(at, "\r\n\r\n")) && size < sizeof(out); at += 4) {
        memcpy(out + size, answer, sizeof(answer) - 1);
        size += sizeof(answer) - 1;
    }
    return send(fd, out, size, MSG_NOSIGNAL) == (ssize_t)size;
}

int main(int argc, char **argv)
{
    int epoll = epoll_create1(0), listener = listen_on(argc > 1 ? atoi(argv[1]) : 8080);
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN, .data.fd = listener}};
    double busy = argc > 2 ? atof(argv[2]) : 0;

    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, events);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);

        for (int i = 0; i < count; i++)
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else if (!serve(events[i].data.fd, busy))
                close(events[i].data.fd);
    }
}
