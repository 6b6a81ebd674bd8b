/*
 * top_query.c: questions to the server while the screen is served.
 *
 * They never wait, so that keys work while the server takes a second to find out about workers that hang. A server that
 * is gone is asked again at the next tick: what it said last stays on the screen, and why it says no more.
 */
#include "ctl/top_query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/json.h"

#define MAX_ANSWER (64 << 20) /* bytes */

static void top_query_end(struct top_query *q, const char *trouble)
{
    snprintf(q->trouble, sizeof(q->trouble), "%s", trouble);
    if (q->fd >= 0)
        close(q->fd);
    q->fd = -1;
    q->size = 0;
}

void top_query_ask(struct top_query *q, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (q->fd >= 0)
        top_query_end(q, "the server has not answered in time");
    q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (q->fd < 0 || connect(q->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        send(q->fd, q->line, strlen(q->line), MSG_NOSIGNAL) < 0)
        top_query_end(q, strerror(errno));
}

/* All of it is there. */
static void top_query_take(struct top_query *q)
{
    char *body = memchr(q->answer, '\n', q->size);
    int version, code;
    struct json *tree;

    if (!body || sscanf(q->answer, "syncless %d %d", &version, &code) != 2) {
        top_query_end(q, "the answer of the server breaks off");
        return;
    }
    tree = json_parse(body + 1, q->size - (size_t)(body + 1 - q->answer));
    if (!tree || code || !json_member(tree, "workers")) {
        json_free(tree);
        top_query_end(q, "the server does not understand the question: is it of another version?");
        return;
    }
    json_free(q->tree);
    free(q->tree_text);
    q->tree = tree;
    q->tree_text = q->answer;
    q->answer = NULL;
    q->capacity = 0;
    top_query_end(q, "");
}

bool top_query_read(struct top_query *q)
{
    ssize_t n;

    for (;;) {
        if (q->capacity < q->size + 65536) {
            q->capacity = 2 * q->capacity + 65536 + 1;
            q->answer = realloc(q->answer, q->capacity);
            if (!q->answer)
                ctl_fail(EX_OSERR, "out of memory");
        }
        n = q->size < MAX_ANSWER ? recv(q->fd, q->answer + q->size, q->capacity - q->size - 1, 0) : 0;
        if (n <= 0)
            break;
        q->size += (size_t)n;
    }
    if (n < 0 && errno == EAGAIN)
        return false;
    q->answer[q->size] = '\0';
    if (n < 0)
        top_query_end(q, strerror(errno));
    else
        top_query_take(q);
    return true;
}

void top_query_release(struct top_query *q)
{
    top_query_end(q, "");
    json_free(q->tree);
    free(q->tree_text);
    free(q->answer);
}
