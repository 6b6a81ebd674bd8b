/*
 * top.c: the command top of syncless-ctl: all of a server, live, on the whole screen.
 *
 * Each second it asks for the status and for the oldest running requests, over the control socket as any other command.
 * Nothing waits but terminal_await: keys, a new size and answers are served as they come. If the server ends, the last
 * answer stays on the screen, and a new server at the same socket is shown as soon as it is there.
 */
#include "ctl/top.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/top_terminal.h"
#include "ctl/top_query.h"
#include "ctl/top_screen.h"

#define TICK 1000 /* ms between two questions */

static struct {
    const char *path;
    struct top_query status, requests;
    struct top_sums sums; /* of the last status */
    struct top_figures figures;
    struct top_view view;
    int64_t due; /* ms, CLOCK_MONOTONIC: of the next questions */
} top = {
    .status = {.line = "json status\n", .fd = -1},
    .requests = {.line = "json requests limit 200\n", .fd = -1},
};

static int64_t top_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void take_status(void)
{
    struct top_sums now;

    if (*top.status.trouble)
        return;
    top_sums_read(&now, top.status.tree);
    top_figures_fill(&top.figures, &top.sums, &now);
    top.sums = now;
}

/* Read what has come of an answer. Returns whether there is something new to show. */
static bool top_take_answer(struct top_query *q, const struct pollfd *poll)
{
    if (q->fd < 0 || poll->fd != q->fd || !poll->revents || !top_query_read(q))
        return false;
    if (q == &top.status)
        take_status();
    return true;
}

static void ask_if_due(void)
{
    int64_t now = top_now();

    if (top.view.paused || now < top.due)
        return;
    top.due = now + TICK;
    top_query_ask(&top.status, top.path);
    top_query_ask(&top.requests, top.path);
}

static void top_draw(void)
{
    top.view.trouble = *top.status.trouble ? top.status.trouble : top.requests.trouble;
    top.view.status = top.status.tree;
    top.view.requests = top.requests.tree;
    top.view.figures = &top.figures;
    if (!top_screen_draw(&top.view))
        exit(EX_IOERR);
}

/* Returns false if the user leaves. */
static bool obey_key(char key)
{
    switch (key) {
    case 'q':
    case 'Q':
        return false;
    case 's':
        top.view.sort = (top.view.sort + 1) % TOP_SORTS;
        break;
    case 'p':
    case ' ':
        top.view.paused = !top.view.paused;
        break;
    }
    return true;
}

/* Wait for what comes next, and serve it. Returns false if that is the end. */
static bool top_step(void)
{
    struct pollfd polls[3] = {
        {.fd = -1}, {.fd = top.status.fd, .events = POLLIN}, {.fd = top.requests.fd, .events = POLLIN}};
    int64_t rest = top.view.paused ? TICK : top.due - top_now();
    char key = '\0';
    bool is_new;

    switch (terminal_await(polls, 3, rest > 0 ? (int)rest : 0, &key)) {
    case TERMINAL_END:
        return false;
    case TERMINAL_RESIZED:
        terminal_get_size(&top.view.rows, &top.view.columns);
        top_draw();
        return true;
    case TERMINAL_KEY:
        if (!obey_key(key))
            return false;
        top_draw();
        return true;
    default:
        is_new = top_take_answer(&top.status, &polls[1]);
        is_new |= top_take_answer(&top.requests, &polls[2]);
        if (is_new)
            top_draw();
        return true;
    }
}

int top_run(const char *path)
{
    top.path = path;
    close(connect_server(path)); /* if that fails, there is nothing to show */
    terminal_take();
    terminal_get_size(&top.view.rows, &top.view.columns);
    do {
        ask_if_due();
        if (*top.status.trouble)
            top_draw();
    } while (top_step());
    top_query_release(&top.status);
    top_query_release(&top.requests);
    return 0;
}
