/*
 * fuzz_http.c: the bytes of one connection: the heads and bodies of any number of requests.
 *
 * Each input is parsed twice, in one piece and in two, where its first byte says. Both must give the same requests, or
 * the network would decide where a message ends. Heads that are accepted are checked again, without the parser's code:
 * lines end with CR LF, contain no control characters but tabs, and give one framing at most.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coro/coro.h"
#include "http/request/body.h"
#include "http/request/head.h"
#include "http/io/input.h"
#include "http/io/output.h"
#include "wait/wait.h"

#define MAX_INPUT 60000 /* bytes that fit into the buffer of a socket */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The result of an input as text, for comparison. */
struct outcome {
    char *text;
    size_t size;
    FILE *file;
};

struct visit {
    int ends[2];
    const uint8_t *data;
    size_t size, cut;
    struct outcome outcome;
    struct wait_source source;
    struct input in;
    struct output out;
    char buffer[128];
};

static const char refused[] = "refused\n";

static void ignore(struct wait_source *source, short events)
{
}

/* ---- checks of accepted heads ---- */

static void check_lines(const char *head, size_t size)
{
    assert(size >= 4 && !memcmp(head + size - 4, "\r\n\r\n", 4));
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)head[i];

        assert((c == '\r') == (head[i + 1] == '\n') || i + 1 == size);
        assert(c >= ' ' || c == '\r' || c == '\n' || c == '\t');
        assert(c != 0x7f);
        assert(i == 0 || head[i - 1] != '\n' || (c != ' ' && c != '\t'));
    }
}

static void check_view(const struct request *req)
{
    int lengths = 0, codings = 0, hosts = 0;

    for (size_t i = 0; i < req->view.field_count; i++) {
        const struct sl_field *field = &req->view.fields[i];

        assert(strlen(field->name) == field->name_size && field->name_size > 0);
        assert(strlen(field->value) == field->value_size);
        assert(!strpbrk(field->name, " \t:\r\n\"(),/;<=>?@[\\]{}"));
        lengths += !strcasecmp(field->name, "content-length");
        codings += !strcasecmp(field->name, "transfer-encoding");
        hosts += !strcasecmp(field->name, "host");
    }
    assert(lengths + codings <= 1 && hosts <= 1);
    assert(hosts == 1 || req->view.http_minor == 0);
    assert((req->body_kind == BODY_CHUNKED) == (codings == 1));
    assert(*req->view.path == '/' || !strcmp(req->view.path, "*"));
    assert(req->view.length >= -1);
}

/* ---- the server's side ---- */

static void note_body(struct visit *v, struct request *req)
{
    char buf[700];
    ssize_t n;

    while ((n = body_read(req, buf, sizeof(buf))) > 0)
        fwrite(buf, 1, (size_t)n, v->outcome.file);
    fprintf(v->outcome.file, "|%zd\n", n);
    assert(n == 0 || n == -EBADMSG || n == -ECONNRESET || n == -EFBIG);
}

static bool note_request(struct visit *v, size_t size, unsigned lines)
{
    char *head = v->in.buf + v->in.start, *copy = malloc(size + 1);
    struct request req = {.in = &v->in, .out = &v->out, .status = 200, .length = -1, .body_limit = 100000};
    const char *why = NULL;
    int status;

    memcpy(copy, head, size);
    copy[size] = '\0';
    arena_init(&req.arena);
    v->in.start += size;
    status = head_parse(&req, head, size, lines, &why);
    if (!status) {
        check_lines(copy, size);
        check_view(&req);
        fprintf(v->outcome.file, "%s %s %s %s %zu ", req.view.method, req.view.path, req.view.query, req.view.host,
                req.view.field_count);
        note_body(v, &req);
    } else {
        assert(status >= 400 && status < 600 && why && *why);
        fputs(refused, v->outcome.file); /* the status may depend on how much had arrived */
    }
    free(copy);
    arena_release(&req.arena);
    return !status && !req.body_error && req.body_done;
}

/* Returns the size of the next head, or 0 at the end of the connection. */
static size_t find_head(struct visit *v, struct head_scan *scan)
{
    for (;;) {
        size_t from = scan->at, size = head_find(v->in.buf + v->in.start, input_unread(&v->in), scan);
        ssize_t n;

        if (size)
            return size;
        if (!head_is_plausible(v->in.buf + v->in.start, input_unread(&v->in), from)) {
            fputs(refused, v->outcome.file);
            return 0;
        }
        n = input_fill(&v->in);
        if (n == -ENOBUFS)
            input_grow(&v->in, 2 * v->in.size);
        else if (n == -EAGAIN)
            input_wait(&v->in, WAIT_FOREVER);
        else if (n <= 0)
            return 0;
    }
}

static void serves(void *arg)
{
    struct visit *v = arg;
    struct head_scan scan = {0};
    size_t size;

    while ((size = find_head(v, &scan)) && note_request(v, size, scan.lines))
        scan = (struct head_scan){0};
}

static void sends(void *arg)
{
    struct visit *v = arg;

    if (v->cut)
        send(v->ends[1], v->data, v->cut, MSG_NOSIGNAL);
    coro_yield();
    coro_yield();
    send(v->ends[1], v->data + v->cut, v->size - v->cut, MSG_NOSIGNAL);
    shutdown(v->ends[1], SHUT_WR);
}

/* AddressSanitizer keeps a list of such streams, from which its fclose takes them; ours, which would be called, calls
 * libc's. */
static void close_stream(FILE *file)
{
    extern int __interceptor_fclose(FILE *);

    __interceptor_fclose(file);
}

static void visit(const uint8_t *data, size_t size, size_t cut, struct outcome *outcome)
{
    struct visit v = {.data = data, .size = size, .cut = cut};

    v.outcome.file = open_memstream(&v.outcome.text, &v.outcome.size);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, v.ends);
    v.source = (struct wait_source){.ready = ignore, .fd = v.ends[0]};
    wait_source_open(&v.source);
    input_init(&v.in, &v.source, v.buffer, sizeof(v.buffer));
    output_init(&v.out, &v.source);
    coro_start(sends, &v);
    coro_start(serves, &v);
    wait_run();
    output_release(&v.out);
    input_release(&v.in);
    wait_source_close(&v.source);
    close(v.ends[0]);
    close(v.ends[1]);
    close_stream(v.outcome.file);
    *outcome = v.outcome;
}

/* ---- libFuzzer's side ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    coro_init(256 * 1024);
    wait_init(1);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, parts;

    if (size < 1 || size > MAX_INPUT)
        return -1;
    visit(data + 1, size - 1, 0, &whole);
    visit(data + 1, size - 1, data[0] % size, &parts);
    assert(whole.size == parts.size && !memcmp(whole.text, parts.text, whole.size));
    free(whole.text);
    free(parts.text);
    return 0;
}
