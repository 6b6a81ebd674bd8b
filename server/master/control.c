/*
 * control.c: the Unix socket by which an operator asks the master, and tells it what to do.
 *
 * A client sends one line (inside/question.h) and gets one answer: a line `syncless VERSION CODE`, of which CODE is the
 * exit code for syncless-ctl, and then text or JSON up to the end of the connection. The master never waits for a
 * client: what it does not take is kept until it does, or for CLIENT_TIME. The file has mode 0600, so that it is its
 * owner's; the kernel checks that.
 *
 * The socket is made beside its place and then moved there. So it replaces one that a killed server has left, and a new
 * binary (upgrade.c) takes the place of the old one, which does not remove what is not its own.
 */
#include "master/control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/array.h"
#include "base/exit_code.h"
#include "base/list.h"
#include "base/mem.h"
#include "inside/health.h"
#include "inside/running.h"
#include "log/log.h"
#include "master/about.h"
#include "master/stuck_requests.h"
#include "master/supervisor.h"
#include "process/inherit.h"
#include "wait/wait.h"

#define MAX_CLIENTS   200
#define CLIENT_TIME   INT64_C(10000000000) /* nanoseconds that a client has to ask, and to take the answer */
#define MAX_DROPS     64                   /* lines of further input that are dropped */
#define EXIT_NO_SUCH  1  /* exit codes of syncless-ctl: there is no such request, or it is not ready, */
#define EXIT_BAD_LINE 64 /* and sysexits(3), EX_USAGE */

struct control_client {
    struct list link;
    int fd;
    char line[QUESTION_SIZE + 1];
    size_t line_size;
    struct question question;
    bool asked;         /* the line is complete */
    bool awaits_reload; /* the answer comes when a reload is over */
    bool passed;        /* a worker has the socket too, and reads from it */
    struct text answer;
    size_t sent; /* of it */
    int64_t due; /* CLOCK_MONOTONIC nanoseconds when it is closed; WAIT_FOREVER while it waits for us */
};

static struct {
    struct control_hooks hooks;
    int fd;       /* -1: none */
    char *path;   /* owned; NULL: none */
    dev_t device; /* of the file; so is the inode */
    ino_t inode;
    struct list clients;
    size_t count;
} control = {.fd = -1, .clients = LIST_INIT(control.clients)};

void control_init(const struct control_hooks *hooks)
{
    control.hooks = *hooks;
}

/* ---- clients ---- */

/* What it has sent and nobody has read would destroy the answer when the socket is closed. */
static void client_drop_input(struct control_client *c)
{
    for (int i = 0; i < MAX_DROPS; i++)
        if (recv(c->fd, c->line, sizeof(c->line), MSG_DONTWAIT) <= 0)
            return;
}

static void client_free(struct control_client *c)
{
    gather_forget(c);
    if (!c->passed)
        client_drop_input(c);
    list_remove(&c->link);
    control.count--;
    close(c->fd);
    free(c->answer.buf);
    free(c);
}

/* Send what the client takes. */
static void client_send(struct control_client *c)
{
    while (c->sent < c->answer.size) {
        ssize_t n = send(c->fd, c->answer.buf + c->sent, c->answer.size - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            break;
        c->sent += (size_t)n;
    }
    client_free(c);
}

static void client_begin_answer(struct control_client *c, int code)
{
    c->due = wait_now() + CLIENT_TIME;
    text_printf(&c->answer, "syncless %d %d\n", INSIDE_VERSION, code);
}

/* Answer with one line of text, and do not use c any more. */
static void client_answer(struct control_client *c, int code, const char *text)
{
    client_begin_answer(c, code);
    if (c->question.json) {
        text_printf(&c->answer, "{\"version\":%d,\"%s\":", INSIDE_VERSION, code ? "error" : "done");
        text_add_json(&c->answer, text, strlen(text));
        text_printf(&c->answer, "}\n");
    } else if (*text) {
        text_printf(&c->answer, "%s\n", text);
    }
    client_send(c);
}

/* ---- commands ---- */

/* Whether a worker that is stuck has the request. */
static bool has_stuck_request(const struct question *q, const struct gathering *g)
{
    struct text unused = {0};
    bool found = false;

    for (size_t i = 0; i < g->count; i++)
        found |= stuck_requests_write(q, &g->workers[i], &unused);
    free(unused.buf);
    return found;
}

/* The server is ready if a worker is. */
static void answer_readiness(struct control_client *c, const struct gathering *g)
{
    const char *trouble = "no worker serves";

    for (size_t i = 0; i < g->count; i++) {
        if (g->workers[i].size == 0 || g->workers[i].state != WORKER_SERVING)
            continue;
        trouble = g->workers[i].answer;
        if (!strcmp(trouble, READY))
            break;
    }
    client_answer(c, strcmp(trouble, READY) ? EXIT_NO_SUCH : 0, trouble);
}

static void on_gathered(const struct gathering *g, void *arg)
{
    struct control_client *c = arg;
    struct overview_master master = control.hooks.master();

    if (c->question.what == ASK_CANCEL) {
        client_answer(c, gathering_has_answer(g) ? 0 : EXIT_NO_SUCH,
                      gathering_has_answer(g) ? "cancelled"
                                              : "there is no such request, or it cannot be cancelled now");
    } else if (c->question.what == ASK_READY) {
        answer_readiness(c, g);
    } else if (c->question.what == ASK_LOG) {
        client_answer(c, 0, "");
    } else if (c->question.number && !gathering_has_answer(g) && !has_stuck_request(&c->question, g)) {
        client_answer(c, EXIT_NO_SUCH, "there is no such request");
    } else {
        client_begin_answer(c, 0);
        overview_write(&c->question, &master, g, &c->answer);
        client_send(c);
    }
}

static void client_gather(struct control_client *c)
{
    c->due = WAIT_FOREVER;
    gather_start(c->line, c->question.pid, on_gathered, c);
}

/* For this process, for the workers that it has, and for those that it will have. */
static void set_log_level(struct control_client *c)
{
    log_set_level((enum log_level)c->question.level);
    supervisor_generation()->settings.log.level = c->question.level;
    client_gather(c);
}

static void client_reload(struct control_client *c)
{
    control.hooks.signal(SIGHUP);
    if (!c->question.wait) {
        client_answer(c, 0, "");
        return;
    }
    c->awaits_reload = true;
    c->due = WAIT_FOREVER;
}

static void client_signal(struct control_client *c, int signum, int times)
{
    while (times-- > 0)
        control.hooks.signal(signum);
    client_answer(c, 0, "");
}

/* A worker that serves, rather one that answers pings; or the one with that pid. */
static const struct worker *find_for_session(pid_t pid)
{
    const struct worker *found = NULL;
    struct worker *w;

    for_each_worker (w) {
        if (w->channel < 0 || w->mute || w->state == WORKER_STARTING || (pid && w->pid != pid))
            continue;
        if (!found || (found->life.pinged && !w->life.pinged))
            found = w;
    }
    return found;
}

/* From now on the client talks to a worker. */
static void client_pass(struct control_client *c)
{
    const struct worker *w = find_for_session(c->question.pid);
    const struct channel_message message = {CHANNEL_SESSION, 0, c->fd};

    if (!w) {
        client_answer(c, EXIT_NO_SUCH, c->question.pid ? "there is no such worker" : "no worker serves");
    } else if (channel_send_both(w->channel, &message, c->line) < 0) {
        client_answer(c, EXIT_NO_SUCH, "the worker does not answer");
    } else {
        c->passed = true;
        client_free(c);
    }
}

static void client_about(struct control_client *c)
{
    client_begin_answer(c, 0);
    about_write(&c->question, &c->answer);
    client_send(c);
}

static void client_run(struct control_client *c)
{
    switch (c->question.what) {
    case ASK_PING:
        client_answer(c, 0, "pong");
        break;
    case ASK_RELOAD:
        client_reload(c);
        break;
    case ASK_REOPEN:
        client_signal(c, SIGUSR1, 1);
        break;
    case ASK_CHANGE_WORKERS:
        client_signal(c, c->question.change > 0 ? SIGTTIN : SIGTTOU, abs(c->question.change));
        break;
    case ASK_DRAIN:
        client_signal(c, SIGWINCH, 1);
        break;
    case ASK_STOP:
        client_signal(c, SIGTERM, 1);
        break;
    case ASK_CONSOLE:
    case ASK_DEBUG:
        client_pass(c);
        break;
    case ASK_ABOUT:
        client_about(c);
        break;
    case ASK_LOG:
        set_log_level(c);
        break;
    default:
        client_gather(c);
        break;
    }
}

void control_reload_is_over(int exit_code, const char *reason)
{
    struct list *node, *after;

    list_for_each_safe (node, after, &control.clients) {
        struct control_client *c = list_entry(node, struct control_client, link);

        if (!c->awaits_reload)
            continue;
        c->awaits_reload = false;
        client_answer(c, exit_code, exit_code ? reason : "the new configuration serves");
    }
}

/* ---- reading ---- */

/* Receive up to the end of the line: what comes behind it may be for a worker. */
static ssize_t client_receive(const struct control_client *c, char *to, size_t size)
{
    ssize_t n = recv(c->fd, to, size, MSG_DONTWAIT | MSG_PEEK);
    const char *end = n > 0 ? memchr(to, '\n', (size_t)n) : NULL;

    if (n <= 0)
        return n;
    return recv(c->fd, to, end ? (size_t)(end + 1 - to) : (size_t)n, MSG_DONTWAIT);
}

static void client_read(struct control_client *c)
{
    ssize_t n = client_receive(c, c->line + c->line_size, QUESTION_SIZE - c->line_size);
    const char *why;
    char *end;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) { /* it has left before the line was complete */
        client_free(c);
        return;
    }
    c->line_size += (size_t)n;
    c->line[c->line_size] = '\0';
    end = memchr(c->line, '\n', c->line_size);
    if (!end && c->line_size < QUESTION_SIZE)
        return;
    c->asked = true;
    if (end)
        *end = '\0';
    why = end ? question_parse(&c->question, c->line) : "the line is too long";
    if (why)
        client_answer(c, EXIT_BAD_LINE, why);
    else
        client_run(c);
}

/* The client has asked: it may have left, or take more of the answer. */
static void client_continue(struct control_client *c)
{
    char byte;

    if (recv(c->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0 && c->answer.size == 0)
        client_free(c);
    else if (c->answer.size > 0)
        client_send(c);
}

static void client_accept(void)
{
    int fd = accept4(control.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct control_client *c;

    if (fd < 0)
        return;
    c = xcalloc(1, sizeof(*c));
    c->fd = fd;
    c->due = wait_now() + CLIENT_TIME;
    list_push(&control.clients, &c->link);
    control.count++;
}

/* ---- the master's loop ---- */

/* Of a client that has asked and gets nothing yet, only its end is of interest. */
static short client_events(const struct control_client *c)
{
    return c->answer.size > 0 ? POLLOUT : c->asked ? POLLRDHUP : POLLIN;
}

size_t control_polls(struct pollfd *polls, size_t capacity)
{
    struct list *node;
    size_t n = 0;

    if (control.fd < 0)
        return 0;
    if (control.count < MAX_CLIENTS && n++ < capacity) /* others wait in the backlog */
        polls[n - 1] = (struct pollfd){.fd = control.fd, .events = POLLIN};
    list_for_each (node, &control.clients) {
        const struct control_client *c = list_entry(node, struct control_client, link);

        if (n++ < capacity)
            polls[n - 1] = (struct pollfd){.fd = c->fd, .events = client_events(c)};
    }
    return n;
}

void control_on_ready(int fd)
{
    struct list *node;

    if (fd == control.fd) {
        client_accept();
        return;
    }
    list_for_each (node, &control.clients) {
        struct control_client *c = list_entry(node, struct control_client, link);

        if (c->fd != fd)
            continue;
        if (c->asked)
            client_continue(c);
        else
            client_read(c);
        return;
    }
}

int64_t control_step(int64_t now)
{
    int64_t next = gather_step(now);
    struct list *node, *after;

    list_for_each_safe (node, after, &control.clients) {
        struct control_client *c = list_entry(node, struct control_client, link);

        if (c->due <= now)
            client_free(c);
        else
            next = min_int64(next, c->due);
    }
    return next;
}

/* ---- the socket ---- */

static bool file_is_ours(void)
{
    struct stat st;

    return control.path && lstat(control.path, &st) == 0 && st.st_dev == control.device && st.st_ino == control.inode;
}

/* Returns a socket that listens at that path, which no process can reach before its mode is set; or -errno. */
static int listen_at(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mode_t before = umask(0177);

    strcpy(address.sun_path, path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 128) < 0) {
        err = -errno;
        if (fd >= 0)
            close(fd);
        fd = err;
    }
    umask(before);
    return fd;
}

/* Whether somebody else listens there: another server with the same key. */
static bool is_in_use(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bool used;

    strcpy(address.sun_path, path);
    used = fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return used;
}

/* Returns 0 or -errno. */
static int make_socket(const char *path, int *fd)
{
    char beside[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    struct stat st;

    if (snprintf(beside, sizeof(beside), "%s.%d", path, (int)getpid()) >= (int)sizeof(beside))
        return -ENAMETOOLONG;
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return -EEXIST;
    if (!inherit_predecessor() && !file_is_ours() && is_in_use(path))
        return -EADDRINUSE;
    unlink(beside);
    *fd = listen_at(beside);
    if (*fd < 0)
        return *fd;
    if (rename(beside, path) < 0 || lstat(path, &st) < 0) {
        int err = -errno;

        unlink(beside);
        close(*fd);
        return err;
    }
    control.device = st.st_dev;
    control.inode = st.st_ino;
    return 0;
}

static void close_socket(void)
{
    if (control.fd < 0)
        return;
    if (file_is_ours())
        unlink(control.path);
    close(control.fd);
    free(control.path);
    control.fd = -1;
    control.path = NULL;
}

/* Replace the socket that there is, whose file was ours if had_file is set. */
static void take_socket(const char *path, int fd, bool had_file)
{
    if (control.path && had_file && strcmp(path, control.path))
        unlink(control.path);
    if (control.fd >= 0)
        close(control.fd);
    path = xstrdup(path); /* it may be control.path */
    free(control.path);
    control.path = (char *)path;
    control.fd = fd;
}

static void log_no_socket(const char *path, int err)
{
    log_error("cannot make the control socket %s: %s%s", path, strerror(-err),
              err == -EEXIST       ? ": the file is no socket"
              : err == -EADDRINUSE ? ": another server listens there"
                                   : "");
}

int control_open(const char *path)
{
    bool has_file = file_is_ours();
    int fd = -1, err;

    if (!path) {
        close_socket();
        return 0;
    }
    if (has_file && !strcmp(path, control.path))
        return 0;
    err = make_socket(path, &fd);
    if (err)
        log_no_socket(path, err);
    else
        take_socket(path, fd, has_file);
    return err;
}

void control_check(void)
{
    int fd;

    if (control.path && !file_is_ours() && make_socket(control.path, &fd) == 0)
        take_socket(control.path, fd, false);
}

void control_close(void)
{
    close_socket();
    while (!list_empty(&control.clients))
        client_free(list_entry(control.clients.next, struct control_client, link));
}

void control_forget(void)
{
    struct list *node;

    if (control.fd >= 0)
        close(control.fd);
    control.fd = -1;
    list_for_each (node, &control.clients)
        close(list_entry(node, struct control_client, link)->fd);
}
