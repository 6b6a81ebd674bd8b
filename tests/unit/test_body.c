/* test_body.c: request bodies: sized and chunked, in any pieces, malformed, cut short, and unread. */
#include "http_test.h"

#include <pthread.h>

#include "http/request/body.h"

#define NEXT "GET /next"

#define CHUNKED "POST /chunked HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nMark: here\r\n\r\n"
#define SIZED   "POST /sized HTTP/1.1\r\n" HOST "Content-Length: 11\r\nMark: here\r\n\r\n"

/* An exchange: what the client sends, in which pieces, and what the server reads of it. */
struct exchange {
    struct scene scene;
    const char *bytes;
    size_t size, split, step; /* the client's: a first piece, then pieces of step bytes */
    size_t read_size;         /* the server's */
    char got[256];
    size_t got_size;
    ssize_t end; /* what body_read returned last */
};

static void serves(void *arg)
{
    struct exchange *x = arg;
    struct request *req = &x->scene.req;

    scene_head(&x->scene);
    do {
        x->end = body_read(req, x->got + x->got_size, x->read_size);
        if (x->end > 0)
            x->got_size += (size_t)x->end;
        assert_true(x->got_size + x->read_size < sizeof(x->got));
    } while (x->end > 0);
    assert_int_equal(body_read(req, x->got, 1), x->end < 0 ? -EBADMSG : 0); /* again and again */
    assert_string_equal(req->view.fields[2].name, "Mark");
    assert_string_equal(req->view.fields[2].value, "here");
}

static void sends(void *arg)
{
    struct exchange *x = arg;
    size_t sent = x->split;

    client_send(&x->scene, x->bytes, sent);
    for (let_run(); sent < x->size; let_run()) {
        size_t piece = x->size - sent < x->step ? x->size - sent : x->step;

        client_send(&x->scene, x->bytes + sent, piece);
        sent += piece;
    }
    shutdown(x->scene.ends[1], SHUT_WR);
}

static void run(struct exchange *x)
{
    scene_open(&x->scene, SOCK_STREAM);
    coro_start(serves, x);
    on_coroutine(sends, x);
}

/* What was sent and the server has not read. */
static size_t take_rest(struct exchange *x, char *rest, size_t size)
{
    struct input *in = &x->scene.in;
    size_t unread = input_unread(in);
    ssize_t n;

    assert_true(unread < size);
    memcpy(rest, in->buf + in->start, unread);
    n = recv(x->scene.ends[0], rest + unread, size - unread - 1, 0);
    rest[unread + (n > 0 ? (size_t)n : 0)] = '\0';
    return strlen(rest);
}

/* Good bodies arrive whole, in whatever pieces they are sent and read, and what follows them is not read. */
static void read_well(const char *message, const char *body)
{
    static const size_t read_sizes[] = {1, 3, 64};
    size_t size = strlen(message);

    for (size_t split = 1; split <= size; split++)
        for (size_t step = 1; step <= size; step += size - 1)
            for (size_t i = 0; i < COUNT(read_sizes); i++) {
                struct exchange x = {.bytes = message, .size = size, .split = split, .step = step};
                char rest[64];

                if (step == 1 && split % 7 != 1)
                    continue; /* byte by byte from there on: some will do */
                x.read_size = read_sizes[i];
                run(&x);
                if (x.end != 0)
                    fail_msg("%zd: %s at %zu by %zu read %zu", x.end, message, split, step, x.read_size);
                assert_int_equal(x.got_size, strlen(body));
                assert_memory_equal(x.got, body, x.got_size);
                assert_true(x.scene.req.body_done);
                take_rest(&x, rest, sizeof(rest));
                assert_string_equal(rest, NEXT);
                scene_close(&x.scene);
            }
}

static void test_sized(void **state)
{
    read_well(SIZED "hello world" NEXT, "hello world");
}

static void test_chunked(void **state)
{
    read_well(CHUNKED "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" NEXT, "hello world");
    read_well(CHUNKED "00000b\r\nhello world\r\n000\r\n\r\n" NEXT, "hello world");
    read_well(CHUNKED "A\r\n0123456789\r\na\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n" NEXT,
              "0123456789\r\n\r\n\r\n\r\n\r\n");
    read_well(CHUNKED "0\r\n\r\n" NEXT, "");
}

static void test_extensions_and_trailers(void **state)
{
    read_well(CHUNKED "5;a;b=c\r\nhello\r\n0;d;e=\"f g\"\r\n\r\n" NEXT, "hello");
    read_well(CHUNKED "5 ;a;\tb = c\r\nhello\r\n0 \t; d\t;e =\t\"f g\" ; h \r\n\r\n" NEXT, "hello");
    read_well(CHUNKED "5;a=b;c\r\nhello\r\n0;d=\"e;f\";g=h\r\n\r\n" NEXT, "hello");
    read_well(CHUNKED "5\r\nhello\r\n0\r\nA: b\r\nC:\r\nHost: x\r\nContent-Length: 7\r\n\r\n" NEXT, "hello");
}

/* ---- malformed ---- */

static void test_malformed_chunks(void **state)
{
    static const char *const bodies[] = {
        "x\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\r\nhello\r\n0\r\n\r\n",
        "5,5\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\x01\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\x01\"\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\x7f\"\r\nhello\r\n0\r\n\r\n",
        "5 ;\r\nhello\r\n0\r\n\r\n",
        "5 ; = b\r\nhello\r\n0\r\n\r\n",
        "5; a=\r\nhello\r\n0\r\n\r\n",
        "5; a= \r\nhello\r\n0\r\n\r\n",
        "5;a b\r\nhello\r\n0\r\n\r\n",
        "5 a\r\nhello\r\n0\r\n\r\n",
        "5 0\r\nhello\r\n0\r\n\r\n",
        "5;a\v=b\r\nhello\r\n0\r\n\r\n",
        "5;a=b c\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\r\nhello\r\n0\r\n\r\n",
        "5;;a\r\nhello\r\n0\r\n\r\n",
        "5;\r\nhello\r\n0\r\n\r\n",
        "5;=b\r\nhello\r\n0\r\n\r\n",
        "5\t\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "_5\r\nhello\r\n0\r\n\r\n",
        "5_0\r\nhello\r\n0\r\n\r\n",
        "5h\r\nhello\r\n0\r\n\r\n",
        "\xb5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello\n\r0\r\n\r\n",
        "5\r\nhello world\r\n0\r\n\r\n",
        "5\r\nhello\r\n\r\n0\r\n\r\n",
        "ffffffffffffffff5\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nA b\r\n\r\n",
        "5\r\nhello\r\n0\r\nA : b\r\n\r\n",
        "5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n",
        "5\r\nhello\r\n0\r\nA: b\nC: d\r\n\r\n",
        "5\r\nhello\r\n0\r\nA: \x01\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
    };

    for (size_t i = 0; i < COUNT(bodies); i++) {
        char message[256];
        size_t size = (size_t)sprintf(message, "%s%s%s", CHUNKED, bodies[i], NEXT);

        for (size_t split = 1; split <= size; split++) {
            struct exchange x = {.bytes = message, .size = size, .split = split, .step = size, .read_size = 64};

            run(&x);
            if (x.end != -EBADMSG)
                fail_msg("%zd for %s", x.end, bodies[i]);
            assert_true(x.got_size <= strlen("hello"));
            assert_false(body_discard(&x.scene.req));
            scene_close(&x.scene);
        }
    }
}

/* The client closes the connection before the end, at each place. */
static void read_cut(const char *message, size_t head)
{
    for (size_t size = head; size < strlen(message); size++) {
        struct exchange x = {.bytes = message, .size = size, .split = size, .step = 1, .read_size = 64};

        run(&x);
        assert_int_equal(x.end, -ECONNRESET);
        assert_false(body_discard(&x.scene.req));
        scene_close(&x.scene);
    }
}

static void test_cut(void **state)
{
    read_cut(SIZED "hello world", strlen(SIZED));
    read_cut(CHUNKED "5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n", strlen(CHUNKED));
}

/* ---- too much between the bytes ---- */

static char big[4 * 1024 * 1024];

static size_t put_text(size_t at, const char *text)
{
    return (size_t)(stpcpy(big + at, text) - big);
}

static size_t put_many(size_t at, char c, size_t count)
{
    memset(big + at, c, count);
    return at + count;
}

static ssize_t end_of(size_t size)
{
    struct exchange x = {.bytes = big, .size = size, .split = size, .read_size = 64};
    ssize_t end;

    run(&x);
    end = x.end;
    scene_close(&x.scene);
    return end;
}

static void test_framing_is_bounded(void **state)
{
    static const struct {
        const char *before, *after;
    } places[] = {
        {CHUNKED "5;", "\r\nhello\r\n0\r\n\r\n"},
        {CHUNKED "5\r\nhello\r\n0;", "\r\n\r\n"},
        {CHUNKED "5\r\nhello\r\n0\r\nA: ", "\r\n\r\n"},
    };

    for (size_t i = 0; i < COUNT(places); i++) {
        size_t start = put_text(0, places[i].before);

        assert_int_equal(end_of(put_text(put_many(start, 'a', 10000), places[i].after)), 0);
        assert_int_equal(end_of(put_text(put_many(start, 'a', 20000), places[i].after)), -EBADMSG);
    }
}

/* A body of as many chunks, each of so many bytes of data and of extension. */
static ssize_t end_of_chunks(int count, int data, int extension)
{
    size_t at = put_text(0, CHUNKED);

    for (int i = 0; i < count; i++) {
        at += (size_t)sprintf(big + at, extension ? "%x;" : "%x", data);
        at = put_text(put_many(put_text(put_many(at, 'a', (size_t)extension), "\r\n"), 'x', (size_t)data), "\r\n");
    }
    return end_of(put_text(at, "0\r\n\r\n"));
}

/* The framing of any number of chunks is no reason to refuse a body, be they of one byte, nor are extensions such as
 * signatures. But those may not be most of what is sent. */
static void test_many_small_chunks(void **state)
{
    assert_int_equal(end_of_chunks(50, 1, 0), 0);
    assert_int_equal(end_of_chunks(50, 1, 300), 0);
    assert_int_equal(end_of_chunks(60, 1, 300), -EBADMSG);
    assert_int_equal(end_of_chunks(100, 1, 1000), -EBADMSG);
}

struct flood {
    struct scene scene;
    size_t got;
    ssize_t end;
};

static void reads_flood(void *arg)
{
    struct flood *f = arg;
    static char buf[65536];

    scene_head(&f->scene);
    while ((f->end = body_read(&f->scene.req, buf, sizeof(buf))) > 0)
        f->got += (size_t)f->end;
}

static void sends_flood(void *arg)
{
    size_t size = (size_t)(strchr(big, '\0') - big);
    struct flood *f = arg;

    for (size_t sent = 0, piece; sent < size && f->end >= 0; sent += piece, let_run()) {
        piece = size - sent < 8192 ? size - sent : 8192;
        client_send(&f->scene, big + sent, piece);
    }
}

static void run_flood(struct flood *f, const char *chunk, int count)
{
    char *at = stpcpy(big, CHUNKED);

    for (int i = 0; i < count; i++)
        at = stpcpy(at, chunk);
    strcpy(at, "0\r\n\r\n");
    scene_open(&f->scene, SOCK_STREAM);
    coro_start(reads_flood, f);
    on_coroutine(sends_flood, f);
    scene_close(&f->scene);
}

static void test_floods_of_chunks(void **state)
{
    struct flood f = {0};

    run_flood(&f, "1\r\nx\r\n", 20000);
    assert_int_equal(f.end, 0);
    assert_int_equal(f.got, 20000);
    f = (struct flood){0};
    run_flood(&f, "1;name=value\r\nx\r\n", 20000);
    assert_int_equal(f.end, 0);
    f = (struct flood){0};
    run_flood(&f, "10;signature=0123456789abcdef\r\n0123456789abcdef\r\n", 20000);
    assert_int_equal(f.end, 0);
    f = (struct flood){0};
    run_flood(&f, "1;signature=0123456789abcdef0123456789abcdef\r\nx\r\n", 20000);
    assert_int_equal(f.end, -EBADMSG);
    assert_true(f.got < 1000);
}

/* ---- large, and a client that never makes us wait ---- */

struct upload {
    struct scene scene;
    struct beside beside;
    size_t size, got;
    size_t slices; /* that are used up */
};

static void *uploads(void *arg)
{
    struct upload *u = arg;

    fcntl(u->scene.ends[1], F_SETFL, 0);
    for (size_t sent = 0; sent < u->size;) {
        ssize_t n = send(u->scene.ends[1], big + sent, u->size - sent, 0);

        assert_true(n > 0);
        sent += (size_t)n;
    }
    return NULL;
}

static void receives(void *arg)
{
    struct upload *u = arg;
    static char buf[65536], want[65536];
    ssize_t n;

    scene_head(&u->scene);
    for (;; u->slices++) {
        use_up_slice();
        n = body_read(&u->scene.req, buf, sizeof(buf));
        if (n <= 0)
            break;
        make_bytes(want, (size_t)n, u->got);
        assert_memory_equal(buf, want, (size_t)n);
        u->got += (size_t)n;
    }
    assert_int_equal(n, 0);
    u->beside.over = true;
}

static void upload(size_t head, size_t body, size_t tail)
{
    struct upload u = {.size = head + body + tail};
    pthread_t thread;

    scene_open(&u.scene, SOCK_STREAM);
    make_bytes(big + head, body, 0);
    assert_int_equal(pthread_create(&thread, NULL, uploads, &u), 0);
    on_coroutine(receives, &u);
    pthread_join(thread, NULL);
    assert_int_equal(u.got, body);
    scene_close(&u.scene);
}

enum { LARGE = 3 * 1024 * 1024 };

static void test_large(void **state)
{
    size_t head = (size_t)sprintf(big, "POST / HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", LARGE);

    upload(head, LARGE, 0);
    head = (size_t)sprintf(big, CHUNKED "%x\r\n", LARGE);
    put_text(head + LARGE, "\r\n0\r\n\r\n");
    upload(head, LARGE, 7);
}

/* All of it is there already, so that no receive waits: others run nevertheless when a slice is used up. */
static void test_reading_lets_others_run(void **state)
{
    size_t head = (size_t)sprintf(big, "POST / HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", LARGE);
    struct upload u = {.size = head + LARGE};

    scene_open(&u.scene, SOCK_STREAM);
    if (!scene_make_room(&u.scene, 4 * LARGE))
        skip();
    make_bytes(big + head, LARGE, 0);
    uploads(&u);
    coro_start(receives, &u);
    on_coroutine(run_beside, &u.beside);
    assert_true(u.beside.rounds >= (int)u.slices);
    assert_true(u.slices > 10);
    scene_close(&u.scene);
}

/* The head was too long for the buffer on the stack; a chunked body must not be received over it. */
static void test_head_outlives_the_body(void **state)
{
    static char message[8192];
    struct exchange x = {.bytes = message, .read_size = 64, .step = 300};
    char field[3001];
    size_t at;

    memset(field, 'f', sizeof(field) - 1);
    field[sizeof(field) - 1] = '\0';
    at = (size_t)sprintf(
        message, "POST /long HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nMark: here\r\nA: %s\r\n\r\n", field);
    x.split = at;
    for (int i = 0; i < 10; i++)
        at += (size_t)sprintf(message + at, "10\r\n0123456789abcdef\r\n");
    x.size = at + (size_t)sprintf(message + at, "0\r\n\r\n");
    run(&x);
    assert_int_equal(x.end, 0);
    assert_int_equal(x.got_size, 160);
    assert_string_equal(x.scene.req.view.target, "/long");
    assert_string_equal(x.scene.req.view.fields[3].value, field);
    scene_close(&x.scene);
}

/* ---- 100-continue ---- */

#define EXPECTING "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nMark: here\r\nContent-Length: 5\r\n\r\n"
#define CONTINUE  "HTTP/1.1 100 Continue\r\n\r\n"

static void client_that_expects(void *arg)
{
    struct exchange *x = arg;
    char text[128];

    client_send(&x->scene, EXPECTING, strlen(EXPECTING));
    let_run();
    client_take(&x->scene, text, sizeof(text));
    assert_string_equal(text, CONTINUE);
    client_send(&x->scene, "he", 2);
    let_run();
    client_send(&x->scene, "llo", 3);
    let_run();
    assert_int_equal(client_take(&x->scene, text, sizeof(text)), 0); /* it is said once */
}

static void test_continue_is_sent(void **state)
{
    struct exchange x = {.read_size = 64};

    scene_open(&x.scene, SOCK_STREAM);
    coro_start(serves, &x);
    on_coroutine(client_that_expects, &x);
    assert_int_equal(x.got_size, 5);
    scene_close(&x.scene);
}

/* Not to a client that sends its body without waiting for it, and not after the response has begun. */
static void test_continue_is_not_sent(void **state)
{
    struct exchange x = {.bytes = EXPECTING "hello", .size = strlen(EXPECTING) + 5, .read_size = 64};
    char text[128];

    x.split = x.size;
    run(&x);
    assert_int_equal(x.got_size, 5);
    assert_int_equal(client_take(&x.scene, text, sizeof(text)), 0);
    scene_close(&x.scene);

    x = (struct exchange){.bytes = EXPECTING "hello", .size = strlen(EXPECTING) + 5, .read_size = 64};
    x.split = strlen(EXPECTING);
    x.step = 5;
    x.scene.req.head_sent = true;
    scene_open(&x.scene, SOCK_STREAM);
    x.scene.req.head_sent = true;
    coro_start(serves, &x);
    on_coroutine(sends, &x);
    assert_int_equal(x.got_size, 5);
    assert_int_equal(client_take(&x.scene, text, sizeof(text)), 0);
    scene_close(&x.scene);
}

/* ---- waiting ---- */

/* The output buffer must be flushed before waiting for the client, which waits too. The client then receives that and
 * sends the body at once, so that both are one event: the reader must not wait for a second one. */
static void reads_behind_a_full_socket(void *arg)
{
    struct exchange *x = arg;
    static char zeros[65536];

    while (send(x->scene.ends[0], zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(output_write(&x->scene.out, "answer", 6), 0);
    serves(x);
}

static void takes_and_sends(void *arg)
{
    struct exchange *x = arg;
    static char scrap[65536];

    let_run();
    client_send(&x->scene, "hello world", 11);
    while (recv(x->scene.ends[1], scrap, sizeof(scrap), 0) > 0)
        ;
    wait_sleep(wait_deadline(200 * MS));
    assert_int_equal(x->got_size, 11);
    shutdown(x->scene.ends[1], SHUT_WR);
}

static void test_no_edge_is_lost(void **state)
{
    struct exchange x = {.read_size = 64};

    scene_open(&x.scene, SOCK_STREAM);
    assert_int_equal(send(x.scene.ends[1], SIZED, strlen(SIZED), 0), strlen(SIZED));
    coro_start(reads_behind_a_full_socket, &x);
    on_coroutine(takes_and_sends, &x);
    assert_int_equal(x.end, 0);
    scene_close(&x.scene);
}

static void cancels(void *arg)
{
    struct exchange *x = arg;

    let_run();
    body_cancel(&x->scene.req);
}

static void is_canceled(void *arg)
{
    struct exchange *x = arg;

    scene_head(&x->scene);
    x->end = body_read(&x->scene.req, x->got, 64);
    assert_int_equal(body_read(&x->scene.req, x->got, 64), -ECANCELED);
}

static void test_cancel(void **state)
{
    struct exchange x = {0};

    scene_open(&x.scene, SOCK_STREAM);
    assert_int_equal(send(x.scene.ends[1], SIZED, strlen(SIZED), 0), strlen(SIZED));
    coro_start(is_canceled, &x);
    on_coroutine(cancels, &x);
    assert_int_equal(x.end, -ECANCELED);
    scene_close(&x.scene);
}

/* ---- what the handler did not read ---- */

struct leftover {
    struct exchange x;
    size_t taken; /* bytes the handler read */
    bool kept;
};

static void discards(void *arg)
{
    struct leftover *l = arg;
    char scrap[4096];

    scene_head(&l->x.scene);
    for (size_t i = 0; i < l->taken; i++)
        assert_int_equal(body_read(&l->x.scene.req, l->x.got, 1), 1);
    l->kept = body_discard(&l->x.scene.req);
    while (!l->kept && (recv(l->x.scene.ends[0], scrap, sizeof(scrap), 0) > 0 ||
                        wait_fd(l->x.scene.ends[0], POLLIN, wait_deadline(20 * MS)) > 0))
        ; /* so that the client comes to its end */
}

static bool discard(const char *bytes, size_t size, size_t taken)
{
    struct leftover l = {.x = {.bytes = bytes, .size = size, .split = size}, .taken = taken};
    char rest[64];

    scene_open(&l.x.scene, SOCK_STREAM);
    coro_start(discards, &l);
    on_coroutine(sends, &l.x);
    if (l.kept) {
        take_rest(&l.x, rest, sizeof(rest));
        assert_string_equal(rest, NEXT);
    }
    scene_close(&l.x.scene);
    return l.kept;
}

static void test_discard(void **state)
{
    static const char sized[] = SIZED "hello world" NEXT,
                      chunked[] = CHUNKED "5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n" NEXT;
    static const char expecting[] = EXPECTING NEXT;

    for (size_t taken = 0; taken <= 11; taken++)
        assert_true(discard(sized, strlen(sized), taken));
    for (size_t taken = 0; taken <= 8; taken++)
        assert_true(discard(chunked, strlen(chunked), taken));
    assert_false(discard(expecting, strlen(expecting), 0)); /* the client may send it or not */
}

static void test_discard_is_bounded(void **state)
{
    size_t head = (size_t)sprintf(big, "POST / HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", 2 * 1024 * 1024);

    assert_false(discard(big, head, 0)); /* without waiting for it */
    head = (size_t)sprintf(big, CHUNKED "%x\r\n", 1100000);
    put_text(put_many(head, 'a', 1100000), "\r\n0\r\n\r\n" NEXT);
    assert_false(discard(big, head + 1100000 + 7 + strlen(NEXT), 0));
    head = (size_t)sprintf(big, CHUNKED "%x\r\n", 1000000);
    put_text(put_many(head, 'a', 1000000), "\r\n0\r\n\r\n" NEXT);
    assert_true(discard(big, head + 1000000 + 7 + strlen(NEXT), 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sized),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_extensions_and_trailers),
        cmocka_unit_test(test_malformed_chunks),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_framing_is_bounded),
        cmocka_unit_test(test_many_small_chunks),
        cmocka_unit_test(test_floods_of_chunks),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_reading_lets_others_run),
        cmocka_unit_test(test_head_outlives_the_body),
        cmocka_unit_test(test_continue_is_sent),
        cmocka_unit_test(test_continue_is_not_sent),
        cmocka_unit_test(test_no_edge_is_lost),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_discard),
        cmocka_unit_test(test_discard_is_bounded),
    };

    return cmocka_run_group_tests(tests, loop_setup, loop_teardown);
}
