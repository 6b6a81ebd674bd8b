/*
 * collector.c: send spans to an OpenTelemetry collector, by OTLP over HTTP (opentelemetry.io/docs/specs/otlp).
 *
 * One connection for each batch, and of the answer only the head is read: what a collector says in a body helps nobody
 * here, and it may be of any size. There is no TLS: a collector belongs beside the server, and speaks it to others. All
 * waits have the batch's deadline, so one that takes a connection and then nothing holds it up for no longer than that.
 */
#include "otlp/collector.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/own.h"
#include "base/real.h"
#include "base/text.h"
#include "wait/wait.h"

#define SCHEME   "http://"
#define MAX_HEAD 8192 /* bytes of an answer that are read */

/* ---- the URL ---- */

static const char *parse_port(struct collector *c, const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || number < 1 || number > 65535)
        return "its port is no number from 1 to 65535";
    c->port = text;
    return NULL;
}

/* authority: HOST, HOST:PORT, or either with an address of IPv6 in brackets. */
static const char *parse_authority(struct collector *c, struct arena *arena, const char *authority)
{
    bool in_brackets = *authority == '[';
    const char *host = authority + in_brackets;
    size_t size = strcspn(host, in_brackets ? "]" : ":");
    const char *rest = host + size;

    if (size == 0 || (in_brackets && *rest++ != ']') || strpbrk(authority, "@ \"\\<>"))
        return "expected http://HOST:PORT/PATH";
    c->authority = authority;
    c->host = arena_strndup(arena, host, size);
    c->port = "80";
    if (!*rest)
        return NULL;
    return *rest == ':' ? parse_port(c, rest + 1) : "expected http://HOST:PORT/PATH";
}

const char *collector_parse(struct collector *c, struct arena *arena, const char *url, const char *base_path)
{
    const char *authority = url + strlen(SCHEME);
    size_t size;

    if (!strncasecmp(url, "https://", 8))
        return "TLS is not spoken here: name a collector in a network that is trusted, by http://";
    if (strncasecmp(url, SCHEME, strlen(SCHEME)))
        return "expected http://HOST:PORT/PATH";
    size = strcspn(authority, "/?#");
    c->url = url;
    c->path = authority[size] ? authority + size : base_path;
    if (*c->path != '/' || strpbrk(c->path, " #\"\\<>") || strspn(c->path, "\t\r\n"))
        return "expected http://HOST:PORT/PATH";
    return parse_authority(c, arena, arena_strndup(arena, authority, size));
}

/* ---- the connection ---- */

/* Returns 0 or -errno. */
static int collector_connect(int fd, const struct addrinfo *to, int64_t deadline)
{
    socklen_t size = sizeof(int);
    int err = real()->connect(fd, to->ai_addr, to->ai_addrlen) < 0 ? -errno : 0, ready;

    if (err != -EINPROGRESS)
        return err;
    ready = wait_fd(fd, POLLOUT, deadline);
    if (ready < 0)
        return ready;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0 ? -errno : -err;
}

static void end_connection(int fd)
{
    own_fd_end(fd);
    wait_fd_close(fd);
    real()->close(fd);
}

/* Returns a connected descriptor, or -errno. */
static int open_connection(const struct addrinfo *to, int64_t deadline)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

    if (fd < 0)
        return -errno;
    own_fd(fd);
    err = collector_connect(fd, to, deadline);
    if (!err)
        return fd;
    end_connection(fd);
    return err;
}

/* The same to the first address of the host that takes it. */
static int reach_collector(const struct collector *c, int64_t deadline)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int code = getaddrinfo(c->host, c->port, &hints, &found), fd = -EHOSTUNREACH;

    if (code)
        return code == EAI_SYSTEM && errno ? -errno : -EHOSTUNREACH;
    for (const struct addrinfo *to = found; to && fd < 0 && fd != -ECANCELED; to = to->ai_next)
        fd = open_connection(to, deadline);
    freeaddrinfo(found);
    return fd;
}

/* Returns 0 or -errno. */
static int send_all(int fd, const char *at, size_t size, int64_t deadline)
{
    while (size > 0) {
        ssize_t n = real()->send(fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        int err = n < 0 ? -errno : 0;

        if (err == -EAGAIN)
            err = wait_fd(fd, POLLOUT, deadline);
        else if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
        if (err < 0 && err != -EINTR)
            return err;
    }
    return 0;
}

/* ---- the answer ---- */

/* Returns the value of a field of the head in text, or NULL. */
static const char *find_answer_field(const char *text, const char *name)
{
    for (const char *line = text; (line = strstr(line, "\r\n"));) {
        line += 2;
        if (!strncasecmp(line, name, strlen(name)) && line[strlen(name)] == ':')
            return line + strlen(name) + 1;
    }
    return NULL;
}

/* Take a final response that is complete up to the end of its head. Returns whether there is one. */
static bool parse_answer(const char *text, struct collector_answer *answer)
{
    const char *head = text, *end, *seconds;
    int status;

    for (;;) {
        end = strstr(head, "\r\n\r\n");
        if (!end)
            return false;
        if (sscanf(head, "HTTP/1.%*1d %3d", &status) != 1 || status >= 200)
            break;
        head = end + 4; /* 100 Continue and the like */
    }
    answer->status = sscanf(head, "HTTP/1.%*1d %3d", &status) == 1 ? status : 0;
    answer->err = answer->status ? 0 : -EPROTO;
    seconds = find_answer_field(head, "Retry-After"); /* a date counts as nothing */
    if (seconds && seconds < end)
        answer->retry_after = max_int64(0, min_int64(atoi(seconds), 3600)) * 1000000000;
    return true;
}

static void collector_read(int fd, int64_t deadline, struct collector_answer *answer)
{
    char text[MAX_HEAD + 1];
    size_t size = 0;

    while (size < MAX_HEAD) {
        ssize_t n = real()->recv(fd, text + size, MAX_HEAD - size, MSG_DONTWAIT);
        int err = n < 0 ? -errno : n == 0 ? -ECONNRESET : 0;

        if (err == -EAGAIN)
            err = wait_fd(fd, POLLIN, deadline);
        if (err < 0 && err != -EINTR) {
            answer->err = err;
            return;
        }
        size += n > 0 ? (size_t)n : 0;
        text[size] = '\0';
        if (n > 0 && parse_answer(text, answer))
            return;
    }
    answer->err = -EPROTO;
}

struct collector_answer collector_post(const struct collector *c, const char *json, size_t size, int64_t deadline)
{
    struct collector_answer answer = {0};
    int fd = reach_collector(c, deadline);
    struct text head = {0};

    if (fd < 0) {
        answer.err = fd;
        return answer;
    }
    text_printf(&head,
                "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: OTel-OTLP-Exporter-syncless\r\n"
                "Content-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                c->path, c->authority, size);
    answer.err = send_all(fd, head.buf, head.size, deadline);
    if (!answer.err)
        answer.err = send_all(fd, json, size, deadline);
    if (!answer.err || answer.err == -EPIPE || answer.err == -ECONNRESET) /* it may have refused the rest */
        collector_read(fd, deadline, &answer);
    free(head.buf);
    end_connection(fd);
    return answer;
}
