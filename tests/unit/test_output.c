/*
 * test_output.c: how responses are sent: which bytes leave together, files, clients that are slow, quick or gone, and
 * two coroutines that write one response.
 */
#include "response_test.h"

#include <pthread.h>
#include <sys/mman.h>

/* ---- what leaves together ---- */

static void answers_three(void *arg)
{
    for (int i = 0; i < 3; i++) {
        char body[2] = {(char)('a' + i), '\0'};

        assert_int_equal(response_reply(&scene.req, 200, NULL, body, 1), 0);
        assert_int_equal(response_finish(&scene.req), 0);
        scene.req.head_sent = scene.req.ended = false;
        scene.req.length = -1;
        scene.req.sent = 0;
    }
    assert_null(taken());
    output_try_flush(&scene.out); /* as when the coroutine parks */
}

static void test_pipelined_answers_leave_in_one_send(void **state)
{
    const char *a, *b, *c;

    begin("GET", 1, true);
    on_coroutine(answers_three, NULL);
    assert_non_null(taken());
    a = strstr(text, "\r\n\r\na");
    b = strstr(text, "\r\n\r\nb");
    c = strstr(text, "\r\n\r\nc");
    assert_true(a && b && c && a < b && b < c);
    assert_null(taken());
    scene_close(&scene);
}

/* A large body is not copied: head and body leave by one writev. */
static char large[100000];

static void writes_large(void *arg)
{
    assert_int_equal(response_write(&scene.req, large, sizeof(large)), 0);
}

static void test_large_body_leaves_with_its_head(void **state)
{
    static char got[2 * sizeof(large)];
    char *body;
    size_t size;

    make_bytes(large, sizeof(large), 0);
    for (int known = 0; known < 2; known++) {
        begin("GET", 1, true);
        if (known)
            assert_int_equal(header("Content-Length", "100000"), 0);
        on_coroutine(writes_large, NULL);
        size = client_take(&scene, got, sizeof(got));
        body = memmem(got, size, "\r\n\r\n", 4);
        assert_non_null(body);
        body += 4;
        if (!known) {
            assert_memory_equal(body, "186a0\r\n", 7);
            assert_memory_equal(got + size - 2, "\r\n", 2);
            body += 7;
            size -= 2;
        }
        assert_int_equal(got + size - body, sizeof(large));
        assert_memory_equal(body, large, sizeof(large));
        assert_null(taken());
        scene_close(&scene);
    }
}

static void writes_small(void *arg)
{
    for (int i = 0; i < 1000; i++)
        assert_int_equal(response_write(&scene.req, large + 100 * i, 100), 0);
    assert_int_equal(response_finish(&scene.req), 0);
    output_flush(&scene.out);
}

/* Small pieces are gathered: far fewer sends than pieces. */
static void test_small_pieces_are_gathered(void **state)
{
    static char got[2 * sizeof(large)];
    size_t size = 0, n;
    int sends = 0;

    make_bytes(large, sizeof(large), 0);
    begin("GET", 1, true);
    assert_int_equal(header("Content-Length", "100000"), 0);
    on_coroutine(writes_small, NULL);
    while ((n = client_take(&scene, got + size, sizeof(got) - size)) > 0) {
        size += n;
        sends++;
    }
    assert_in_range(sends, sizeof(large) / ARENA_BLOCK, sizeof(large) / ARENA_BLOCK + 2);
    assert_memory_equal(got + size - sizeof(large), large, sizeof(large));
    scene_close(&scene);
}

static void flushes_between(void *arg)
{
    assert_int_equal(response_flush(&scene.req), 0);
    assert_non_null(taken()); /* the head alone */
    assert_int_equal(say("a"), 0);
    assert_null(taken());
    assert_int_equal(response_flush(&scene.req), 0);
    assert_string_equal(taken(), "1\r\na\r\n");
    assert_int_equal(say("b"), 0);
    assert_int_equal(response_finish(&scene.req), 0);
    assert_int_equal(output_flush(&scene.out), 0);
    assert_string_equal(taken(), "1\r\nb\r\n0\r\n\r\n");
}

static void test_flush(void **state)
{
    begin("GET", 1, true);
    on_coroutine(flushes_between, NULL);
    scene_close(&scene);
}

/* ---- a slow client, one that takes all, and one that is gone ---- */

enum { DOWNLOAD = 16 * 1024 * 1024 };

struct download {
    struct beside beside;
    bool from_file;
    bool pause; /* the client does, now and then */
    int fd;
    size_t got;
};

static void sends_download(void *arg)
{
    struct download *d = arg;
    static char piece[65536];

    for (size_t sent = 0; sent < DOWNLOAD && !d->from_file; sent += sizeof(piece)) {
        make_bytes(piece, sizeof(piece), sent);
        use_up_slice();
        assert_int_equal(output_write(&scene.out, piece, sizeof(piece)), 0);
    }
    use_up_slice();
    if (d->from_file)
        assert_int_equal(output_sendfile(&scene.out, d->fd, 0, DOWNLOAD), 0);
    assert_int_equal(output_flush(&scene.out), 0);
    shutdown(scene.ends[0], SHUT_WR);
    d->beside.over = true;
}

static void *downloads(void *arg)
{
    struct download *d = arg;
    static char got[65536], want[65536];
    ssize_t n;

    fcntl(scene.ends[1], F_SETFL, 0);
    while ((n = recv(scene.ends[1], got, sizeof(got), 0)) > 0) {
        make_bytes(want, (size_t)n, d->got);
        assert_memory_equal(got, want, (size_t)n);
        if (d->pause && d->got / (4 * sizeof(got)) != (d->got + (size_t)n) / (4 * sizeof(got)))
            usleep(200);
        d->got += (size_t)n;
    }
    return NULL;
}

static int make_file(size_t size)
{
    static char piece[65536];
    int fd = memfd_create("file", MFD_CLOEXEC);

    assert_true(fd >= 0);
    for (size_t at = 0; at < size; at += sizeof(piece)) {
        size_t n = size - at < sizeof(piece) ? size - at : sizeof(piece);

        make_bytes(piece, n, at);
        assert_int_equal(write(fd, piece, n), n);
    }
    return fd;
}

/* The bytes arrive in order and completely, from memory and from a file, at a quick client and at a slow one. */
static void test_downloads(void **state)
{
    int fd = make_file(DOWNLOAD);

    for (int i = 0; i < 4; i++) {
        struct download d = {.from_file = i & 1, .pause = i & 2, .fd = fd};
        pthread_t thread;

        scene_open(&scene, SOCK_STREAM);
        assert_int_equal(pthread_create(&thread, NULL, downloads, &d), 0);
        on_coroutine(sends_download, &d);
        pthread_join(thread, NULL);
        assert_int_equal(d.got, DOWNLOAD);
        scene_close(&scene);
    }
    close(fd);
}

/* There is room for all of it, so that no send waits: others run nevertheless when a slice is used up. */
static void test_writing_lets_others_run(void **state)
{
    int fd = make_file(DOWNLOAD);

    for (int from_file = 0; from_file < 2; from_file++) {
        struct download d = {.from_file = from_file, .fd = fd};

        scene_open(&scene, SOCK_STREAM);
        if (!scene_make_room(&scene, 4 * DOWNLOAD))
            skip();
        coro_start(sends_download, &d);
        on_coroutine(run_beside, &d.beside);
        assert_true(d.beside.rounds >= (from_file ? 1 : DOWNLOAD / 65536));
        scene_close(&scene);
    }
    close(fd);
}

static void writes_to_nobody(void *arg)
{
    int err = 0;

    close(scene.ends[1]);
    scene.ends[1] = -1;
    for (int i = 0; i < 3 && !err; i++)
        err = response_write(&scene.req, large, sizeof(large));
    assert_int_equal(err, -EPIPE);
    assert_int_equal(say("more"), -EPIPE); /* once and for all */
    assert_int_equal(response_flush(&scene.req), -EPIPE);
    assert_int_equal(response_finish(&scene.req), -EPIPE);
}

static void test_client_is_gone(void **state)
{
    begin("GET", 1, true);
    on_coroutine(writes_to_nobody, NULL);
    scene_close(&scene);
}

static void writes_for_ever(void *arg)
{
    int err;

    while (!(err = response_write(&scene.req, large, sizeof(large))))
        ;
    *(int *)arg = err;
}

static void leaves(void *arg)
{
    let_run();
    close(scene.ends[1]);
    scene.ends[1] = -1;
}

static void test_client_leaves_while_we_wait(void **state)
{
    int err = 0;

    scene_open(&scene, SOCK_STREAM);
    scene.req.view.method = "GET";
    coro_start(writes_for_ever, &err);
    on_coroutine(leaves, NULL);
    assert_true(err == -EPIPE || err == -ECONNRESET);
    scene_close(&scene);
}

/* ---- files ---- */

struct file {
    int fd;
    off_t offset;
    size_t size;
    const char *length;
    int result, end;
};

static void sends_file(void *arg)
{
    struct file *file = arg;

    if (file->length)
        assert_int_equal(header("Content-Length", file->length), 0);
    file->result = response_sendfile(&scene.req, file->fd, file->offset, file->size);
    file->end = response_finish(&scene.req);
    output_flush(&scene.out);
    shutdown(scene.ends[0], SHUT_WR);
}

/* The response to a request for part of a file of 1000 bytes, and its body. */
static const char *file_body(struct file *file, const char *method)
{
    size_t size = 0, n;
    char *body;

    scene_open(&scene, SOCK_STREAM);
    scene.req.view.method = method;
    scene.req.view.http_minor = 1;
    scene.req.keep_alive = scene.req.body_done = true;
    file->fd = make_file(1000);
    on_coroutine(sends_file, file);
    close(file->fd);
    while ((n = client_take(&scene, text + size, sizeof(text) - size)) > 0)
        size += n;
    scene_close(&scene);
    body = memmem(text, size, "\r\n\r\n", 4);
    assert_non_null(body);
    memset(text + size, 0, sizeof(text) - size);
    return body + 4;
}

static void test_file(void **state)
{
    char want[1000];
    struct file known = {.offset = 100, .size = 500, .length = "500"}, chunked = {.offset = 990, .size = 10};
    struct file too_much = {.size = 1000, .length = "7"}, none = {.size = 0}, head = {.size = 1000, .length = "1000"};
    const char *body;

    make_bytes(want, sizeof(want), 0);
    body = file_body(&known, "GET");
    assert_int_equal(known.result | known.end, 0);
    assert_memory_equal(body, want + 100, 500);

    body = file_body(&chunked, "GET");
    assert_int_equal(chunked.result | chunked.end, 0);
    assert_memory_equal(body, "a\r\n", 3);
    assert_memory_equal(body + 3, want + 990, 10);
    assert_memory_equal(body + 13, "\r\n0\r\n\r\n", 7);

    body = file_body(&too_much, "GET");
    assert_int_equal(too_much.result, -EMSGSIZE);
    assert_int_equal(too_much.end, 0);
    assert_memory_equal(body, want, 7);
    assert_int_equal(body[7], 0);

    assert_string_equal(file_body(&none, "GET"), "0\r\n\r\n");
    assert_int_equal(none.result | none.end, 0);

    assert_string_equal(file_body(&head, "HEAD"), "");
    assert_int_equal(head.result | head.end, 0);
}

/* The announced length cannot be reached: the connection cannot be used any more, whatever the handler returns. */
static void test_file_that_is_shorter(void **state)
{
    struct file known = {.offset = 900, .size = 200, .length = "200"}, chunked = {.offset = 900, .size = 200};
    struct file all = {.offset = 1000, .size = 1, .length = "1"};

    file_body(&known, "GET");
    assert_int_equal(known.result, -EIO);
    assert_int_equal(known.end, -EIO);
    assert_string_equal(file_body(&chunked, "GET") + 104, ""); /* no last chunk */
    assert_int_equal(chunked.end, -EIO);
    file_body(&all, "GET");
    assert_int_equal(all.end, -EIO);
}

/* ---- two coroutines that write one response ---- */

static void writes_head_and_more(void *arg)
{
    static char zeros[65536];

    while (send(scene.ends[0], zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(output_write(&scene.out, large, sizeof(large)), 0);
}

static void writes_behind(void *arg)
{
    assert_int_equal(output_write(&scene.out, "behind", 6), 0);
    assert_int_equal(output_flush(&scene.out), 0);
    shutdown(scene.ends[0], SHUT_WR);
}

static void takes_all(void *arg)
{
    static char last[65536];
    char tail[6] = "";
    ssize_t n;

    let_run();
    while ((n = recv(scene.ends[1], last, sizeof(last), 0)) != 0) {
        if (n > 0)
            memcpy(tail, last + n - (n < 6 ? n : 6), n < 6 ? (size_t)n : 6);
        else
            assert_true(wait_fd(scene.ends[1], POLLIN, wait_deadline(5000 * MS)) > 0);
    }
    assert_memory_equal(tail, "behind", 6);
}

static void test_one_sender_at_a_time(void **state)
{
    scene_open(&scene, SOCK_STREAM);
    coro_start(writes_head_and_more, NULL);
    coro_start(writes_behind, NULL);
    on_coroutine(takes_all, NULL);
    assert_int_equal(scene.out.error, 0);
    scene_close(&scene);
}

/* A coroutine is cancelled while another one sends: its write fails, and so does its next wait. */
static void is_cancelled(void *arg)
{
    bool *ended = arg;
    char *at = NULL;

    assert_int_equal(output_write(&scene.out, "lost", 4), -ECANCELED);
    assert_int_equal(wait_sleep(wait_deadline(1000 * MS)), -ECANCELED);
    wait_cancel(coro_self(), 0);
    assert_int_equal(output_reserve(&scene.out, 10, &at), -ECANCELED);
    assert_null(at);
    *ended = true;
}

static void cancels_second(void *arg)
{
    for (int i = 0; i < 2; i++) {
        let_run();
        assert_true(scene.out.sending);
        wait_cancel(arg, -ECANCELED);
        let_run();
    }
    coro_start(takes_all, NULL);
    coro_start(writes_behind, NULL);
}

static void test_cancelled_while_another_sends(void **state)
{
    bool ended = false;

    scene_open(&scene, SOCK_STREAM);
    coro_start(writes_head_and_more, NULL);
    on_coroutine(cancels_second, coro_start(is_cancelled, &ended));
    assert_true(ended);
    assert_int_equal(scene.out.error, 0);
    scene_close(&scene);
}

/* A head that was not written has no effect: the response in its place has a framing of its own. */
static void answers_otherwise(void *arg)
{
    scene.out.sending = true; /* another coroutine */
    wait_cancel(coro_self(), -ECANCELED);
    assert_int_equal(say("lost"), -ECANCELED);
    wait_cancel(coro_self(), 0);
    scene.out.sending = false;
    assert_int_equal(response_page(&scene.req, 504), 0);
    assert_int_equal(response_finish(&scene.req), 0);
    assert_int_equal(output_flush(&scene.out), 0);
}

static void test_cancelled_before_the_head(void **state)
{
    const char *body;

    begin("GET", 1, true);
    on_coroutine(answers_otherwise, NULL);
    assert_non_null(taken());
    body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    assert_memory_equal(body + 4, "<!DOCTYPE html>", 15);
    assert_memory_equal(text + strlen(text) - 9, "syncless\n", 9);
    scene_close(&scene);
}

/* A piece of the body that was not sent does not count: the client would wait for it, and take the next response for
 * it. */
static void loses_a_piece(void *arg)
{
    static const char piece[5000];

    assert_int_equal(header("Content-Length", "5004"), 0);
    assert_int_equal(say("sent"), 0);
    for (int i = 0; i < 2; i++) {
        scene.out.sending = true; /* another coroutine */
        wait_cancel(coro_self(), -ECANCELED);
        assert_int_equal(response_write(&scene.req, piece, sizeof(piece)), -ECANCELED);
        wait_cancel(coro_self(), 0);
        scene.out.sending = false;
    }
    assert_int_equal(scene.out.error, 0);
    assert_int_equal(response_finish(&scene.req), -EPROTO);
    assert_int_equal(response_write(&scene.req, piece, sizeof(piece)), 0);
    assert_int_equal(response_finish(&scene.req), 0);
}

static void test_cancelled_before_a_piece(void **state)
{
    begin("GET", 1, true);
    on_coroutine(loses_a_piece, NULL);
    assert_int_equal(scene.req.sent, 5004);
    scene_close(&scene);
}

/* The same of the last chunk. */
static void loses_the_end(void *arg)
{
    assert_int_equal(say("sent"), 0);
    scene.out.sending = true; /* another coroutine */
    wait_cancel(coro_self(), -ECANCELED);
    assert_int_equal(response_finish(&scene.req), -ECANCELED);
    wait_cancel(coro_self(), 0);
    scene.out.sending = false;
    assert_int_equal(response_finish(&scene.req), 0);
    assert_int_equal(response_finish(&scene.req), 0);
    assert_int_equal(output_flush(&scene.out), 0);
}

static void test_cancelled_before_the_end(void **state)
{
    const char *body;

    begin("GET", 1, true);
    on_coroutine(loses_the_end, NULL);
    assert_non_null(taken());
    body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    assert_string_equal(body + 4, "4\r\nsent\r\n0\r\n\r\n");
    scene_close(&scene);
}

/* The same of a head that is too large for the buffer. */
static void loses_a_large_head(void *arg)
{
    static char value[40000];

    memset(value, 'x', sizeof(value) - 1);
    assert_int_equal(header("X-Large", value), 0);
    scene.out.sending = true; /* another coroutine */
    wait_cancel(coro_self(), -ECANCELED);
    assert_int_equal(say("lost"), -ECANCELED);
    assert_false(scene.req.head_sent);
    wait_cancel(coro_self(), 0);
    scene.out.sending = false;
    assert_int_equal(response_page(&scene.req, 504), 0);
    assert_int_equal(response_finish(&scene.req), 0);
    assert_int_equal(output_flush(&scene.out), 0);
}

static void test_cancelled_before_a_large_head(void **state)
{
    begin("GET", 1, true);
    on_coroutine(loses_a_large_head, NULL);
    assert_non_null(taken());
    assert_memory_equal(text, "HTTP/1.1 504 ", 13);
    assert_null(strstr(text, "chunked"));
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipelined_answers_leave_in_one_send),
        cmocka_unit_test(test_large_body_leaves_with_its_head),
        cmocka_unit_test(test_small_pieces_are_gathered),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_downloads),
        cmocka_unit_test(test_writing_lets_others_run),
        cmocka_unit_test(test_client_is_gone),
        cmocka_unit_test(test_client_leaves_while_we_wait),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_that_is_shorter),
        cmocka_unit_test(test_one_sender_at_a_time),
        cmocka_unit_test(test_cancelled_while_another_sends),
        cmocka_unit_test(test_cancelled_before_the_head),
        cmocka_unit_test(test_cancelled_before_a_piece),
        cmocka_unit_test(test_cancelled_before_the_end),
        cmocka_unit_test(test_cancelled_before_a_large_head),
    };

    return cmocka_run_group_tests(tests, loop_setup, loop_teardown);
}
