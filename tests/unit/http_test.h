/*
 * http_test.h: a request on one end of a socket pair, set up as by session.c, and a client on the other.
 *
 * The server's side runs on a coroutine, and so does the client where both have to wait.
 */
#ifndef HTTP_TEST_H
#define HTTP_TEST_H

#include "core_test.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "http/request/head.h"
#include "http/io/input.h"
#include "http/io/output.h"

#define HOST "Host: test\r\n"

struct scene {
    int ends[2]; /* the server's, the client's */
    struct wait_source source;
    struct input in;
    struct output out;
    struct request req;
    char buffer[256]; /* small, so that it has to grow now and then */
};

static inline void ignore(struct wait_source *source, short events)
{
}

static inline void scene_open(struct scene *s, int type)
{
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s->ends), 0);
    s->source = (struct wait_source){.ready = ignore, .fd = s->ends[0]};
    assert_int_equal(wait_source_open(&s->source), 0);
    input_init(&s->in, &s->source, s->buffer, sizeof(s->buffer));
    output_init(&s->out, &s->source);
    s->req = (struct request){.in = &s->in, .out = &s->out, .status = 200, .length = -1};
    arena_init(&s->req.arena);
}

static inline void scene_close(struct scene *s)
{
    arena_release(&s->req.arena);
    output_release(&s->out);
    input_release(&s->in);
    wait_source_close(&s->source);
    close(s->ends[0]);
    if (s->ends[1] >= 0)
        close(s->ends[1]);
}

/* Receive and parse the head. On a coroutine. */
static inline void scene_head(struct scene *s)
{
    struct head_scan scan = {0};
    const char *why = NULL;
    char *head;
    size_t size;
    ssize_t n;

    while (!(size = head_find(s->in.buf + s->in.start, input_unread(&s->in), &scan))) {
        n = input_fill(&s->in);
        if (n == -ENOBUFS)
            input_grow(&s->in, 2 * s->in.size);
        else if (n == -EAGAIN)
            assert_int_equal(input_wait(&s->in, wait_deadline(5000 * MS)), 0);
        else
            assert_true(n > 0);
    }
    head = s->in.buf + s->in.start;
    s->in.start += size;
    assert_int_equal(head_parse(&s->req, head, size, scan.lines, &why), 0);
}

/* Make the kernel buffer so many bytes between the two ends, so that no side waits. Returns false without privileges.
 */
static inline bool scene_make_room(struct scene *s, int size)
{
    return !setsockopt(s->ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) &&
           !setsockopt(s->ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
}

/* Counts how often another coroutine runs until over is set. */
struct beside {
    bool over;
    int rounds;
};

static inline void run_beside(void *arg)
{
    struct beside *b = arg;

    for (; !b->over; b->rounds++)
        coro_yield();
}

/* ---- the client ---- */

/* Send all of size bytes. May park. */
static inline void client_send(struct scene *s, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(s->ends[1], data, size, MSG_NOSIGNAL);

        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(wait_fd(s->ends[1], POLLOUT, wait_deadline(5000 * MS)) > 0);
            continue;
        }
        data += n;
        size -= (size_t)n;
    }
}

/* Receive what is there, as a string, without waiting. Returns its size. */
static inline size_t client_take(struct scene *s, char *text, size_t size)
{
    ssize_t n = recv(s->ends[1], text, size - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

/* Let the other coroutines run until they wait for this one. */
static inline void let_run(void)
{
    for (int i = 0; i < 4; i++)
        coro_yield();
}

/* Fill buf with bytes that depend on their position. */
static inline void make_bytes(char *buf, size_t size, size_t from)
{
    for (size_t i = 0; i < size; i++)
        buf[i] = (char)((from + i) * 2654435761u >> 24);
}

#endif
