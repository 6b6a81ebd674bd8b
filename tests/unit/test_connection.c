/*
 * test_connection.c: connections and permits: which is served when, by how many coroutines, also when there is no
 * memory for stacks; what comes before a request, what is left after one, and draining.
 *
 * The test itself is the clients. It runs a few iterations of the event loop between two steps.
 */
#include "core_test.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "http/connection.h"
#include "http/response/response.h"

#define MAX_CONCURRENCY 3
#define CLIENTS         12
#define BURST           32 /* as in session.c */
#define GET(path)       "GET " path " HTTP/1.1\r\nHost: test\r\n\r\n"

static struct endpoint endpoint = {.address = "192.0.2.1", .port = 80};
static int clients[CLIENTS];

static void stop(void *arg)
{
    wait_stop();
}

static void run_loop(void)
{
    wait_hold(+1);
    for (int i = 0; i < 8; i++) {
        wait_post(stop, NULL);
        wait_run();
    }
    wait_hold(-1);
}

static void open_clients(int count)
{
    for (int i = 0; i < count; i++) {
        int ends[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        clients[i] = ends[1];
        conn_open(&endpoint, ends[0], &(struct sockaddr){.sa_family = AF_UNIX});
    }
    run_loop();
}

static void close_clients(int count)
{
    for (int i = 0; i < count; i++)
        close(clients[i]);
    run_loop();
    assert_int_equal(http_connections(), 0);
    assert_int_equal(coro_count(), 0);
}

static void client_send(int i, const char *text)
{
    assert_int_equal(send(clients[i], text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static char text[262144];

/* Receive what a client was sent: its size, -1 if there is nothing, 0 at the end. */
static ssize_t client_take(int i)
{
    ssize_t n = recv(clients[i], text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return n;
}

static int count_of(const char *word)
{
    int count = 0;

    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        count++;
    return count;
}

/* ---- the handler: /park waits for let_go, most others answer with the path ---- */

static struct coro *parked[CLIENTS];
static int parked_count, served, served_at_park;

static int handle(struct request *req)
{
    const char *path = req->view.path;

    served++;
    if (!strcmp(path, "/park")) {
        parked[parked_count++] = coro_self();
        served_at_park = served;
        coro_park();
    }
    if (!strcmp(path, "/status"))
        return 418;
    if (!strcmp(path, "/no-status"))
        return 1000;
    if (!strcmp(path, "/fail"))
        return -EIO;
    if (!strcmp(path, "/gone"))
        return 499;
    return response_reply(req, 200, "text/plain", path, strlen(path));
}

static void let_go(int count)
{
    assert_true(parked_count >= count);
    for (int i = 0; i < count; i++)
        coro_wake(parked[i], 0);
    parked_count -= count;
    memmove(parked, parked + count, (size_t)parked_count * sizeof(*parked));
    run_loop();
}

/* ---- permits ---- */

static void test_idle_connections_have_no_coroutine(void **state)
{
    open_clients(CLIENTS);
    assert_int_equal(http_connections(), CLIENTS);
    assert_int_equal(coro_count(), 0);
    client_send(3, GET("/a"));
    run_loop();
    assert_true(client_take(3) > 0);
    assert_non_null(strstr(text, "\r\n\r\n/a"));
    assert_int_equal(coro_count(), 0);
    close_clients(CLIENTS);
}

/* No more than max-concurrency at once; the others wait, first come, first served, and none is lost. */
static void test_max_concurrency(void **state)
{
    int order[CLIENTS];

    open_clients(CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        order[i] = (i * 5 + 3) % CLIENTS;
        client_send(order[i], GET("/park"));
        run_loop();
    }
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(coro_count(), CLIENTS - i < MAX_CONCURRENCY ? CLIENTS - i : MAX_CONCURRENCY);
        assert_int_equal(parked_count, coro_count());
        assert_int_equal(client_take(order[i]), -1);
        let_go(1);
        assert_true(client_take(order[i]) > 0);
    }
    close_clients(CLIENTS);
}

/* After BURST requests a client that sends without a pause goes behind the others, and is served again later. */
static void test_bursts_are_interleaved(void **state)
{
    enum { REQUESTS = 4 * BURST };

    open_clients(CLIENTS);
    for (int i = 0; i < MAX_CONCURRENCY; i++)
        for (int n = 0; n < REQUESTS; n++)
            client_send(i, GET("/b"));
    for (int i = MAX_CONCURRENCY; i < CLIENTS; i++)
        client_send(i, GET("/c"));
    run_loop();
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(client_take(i) > 0);
        assert_int_equal(count_of("HTTP/1.1 200 OK"), i < MAX_CONCURRENCY ? REQUESTS : 1);
    }
    close_clients(CLIENTS);
}

/* While busy connections hold all permits, one that waits is served after one burst, not after all of them. */
static void test_waiting_is_bounded(void **state)
{
    int before = served;

    open_clients(MAX_CONCURRENCY + 1);
    for (int i = 0; i < MAX_CONCURRENCY; i++)
        for (int n = 0; n < 200; n++)
            client_send(i, GET("/b"));
    client_send(MAX_CONCURRENCY, GET("/park"));
    run_loop();
    assert_int_equal(parked_count, 1);
    assert_true(served_at_park - before <= 2 * MAX_CONCURRENCY * BURST);
    let_go(1);
    run_loop();
    close_clients(MAX_CONCURRENCY + 1);
}

/* ---- no memory for stacks ---- */

/* There is one stack and no memory for another: it serves all connections, one after the other. */
static void test_one_stack_serves_all(void **state)
{
    coro_exit();
    open_clients(CLIENTS);
    client_send(0, GET("/a"));
    run_loop();
    coro_init((size_t)1 << 47);
    for (int i = 0; i < CLIENTS; i++)
        client_send(i, GET("/park"));
    run_loop();
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(coro_count(), 1);
        let_go(1);
    }
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(client_take(i) > 0);
        assert_int_equal(count_of("\r\n\r\n/park"), 1);
    }
    for (int i = 0; i < CLIENTS; i++) /* and in bursts */
        for (int n = 0; n < 100; n++)
            client_send(i, GET("/b"));
    for (int i = 0; i < CLIENTS; i++)
        run_loop();
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(client_take(i) > 0);
        assert_int_equal(count_of("\r\n\r\n/b"), 100);
    }
    coro_init(256 * 1024);
    close_clients(CLIENTS);
}

static void holds_the_stack(void *arg)
{
    parked[parked_count++] = coro_self();
    coro_park();
}

/* There is no stack for a while: connections that came meanwhile are served within a second after that. */
static void test_no_stack_for_a_while(void **state)
{
    int64_t limit = wait_deadline(5000 * MS);

    coro_exit();
    coro_start(holds_the_stack, NULL);
    run_loop();
    open_clients(2);
    coro_init((size_t)1 << 47);
    client_send(0, GET("/a"));
    client_send(1, GET("/a"));
    run_loop();
    assert_int_equal(client_take(0), -1);
    let_go(1);
    assert_int_equal(coro_count(), 0);
    wait_hold(+1);
    while (client_take(0) < 0 || client_take(1) < 0) {
        assert_true(wait_now() < limit);
        wait_after(100, wait_stop);
        wait_run();
    }
    wait_hold(-1);
    coro_init(256 * 1024);
    close_clients(2);
}

/* ---- before and after a request ---- */

static void test_one_empty_line_is_skipped(void **state)
{
    static const char *const first[] = {"\r\n", "\r", ""}, *const second[] = {GET("/a"), "\n" GET("/a"),
                                                                              "\r\n" GET("/a")};

    for (size_t i = 0; i < COUNT(first); i++) {
        open_clients(1);
        client_send(0, first[i]);
        run_loop();
        client_send(0, second[i]);
        run_loop();
        assert_true(client_take(0) > 0);
        assert_memory_equal(text, "HTTP/1.1 200 OK", 15);
        close_clients(1);
    }
}

static void test_refused_and_closed(void **state)
{
    static const struct {
        const char *sent, *answer;
    } rows[] = {
        {"\r\n\r\n" GET("/a"), "HTTP/1.1 400 "},        {"\x16\x03\x01", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nA: \x01", "HTTP/1.1 400 "}, {"GET / HTTP/1.1\r\n\r\n" GET("/never"), "HTTP/1.1 400 "},
        {"GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 505 "},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        open_clients(1);
        served = 0;
        client_send(0, rows[i].sent);
        run_loop();
        assert_true(client_take(0) > 0);
        assert_memory_equal(text, rows[i].answer, strlen(rows[i].answer));
        assert_int_equal(count_of("HTTP/1.1 "), 1);
        assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
        assert_int_equal(client_take(0), 0);
        assert_int_equal(served, 0);
        close_clients(1);
    }
}

static void test_too_large_a_head(void **state)
{
    static char field[1001];

    memset(field, 'a', sizeof(field) - 1);
    open_clients(1);
    client_send(0, "GET / HTTP/1.1\r\nA: ");
    for (int i = 0; i < 40; i++) {
        if (send(clients[0], field, 1000, MSG_NOSIGNAL) < 0)
            break;
        run_loop();
    }
    assert_true(client_take(0) > 0);
    assert_memory_equal(text, "HTTP/1.1 431 ", 13);
    close_clients(1);
}

/* A head of any size up to the limit, in pieces, and the request after it. */
static void test_heads_of_all_sizes(void **state)
{
    static char head[40000];

    open_clients(1);
    for (size_t size = 100; size < 32000; size += size / 3) {
        int n = sprintf(head, "GET /x HTTP/1.1\r\nHost: test\r\nA: ");

        memset(head + n, 'a', size);
        strcpy(head + n + size, "\r\n\r\n" GET("/y"));
        for (size_t at = 0; at < strlen(head); at += 5000) {
            char piece[5001];

            snprintf(piece, sizeof(piece), "%.5000s", head + at);
            client_send(0, piece);
            run_loop();
        }
        assert_true(client_take(0) > 0);
        assert_int_equal(count_of("\r\n\r\n/x"), 1);
        assert_int_equal(count_of("\r\n\r\n/y"), 1);
    }
    close_clients(1);
}

static void test_results_of_the_handler(void **state)
{
    open_clients(1);
    client_send(0, GET("/status") GET("/fail") GET("/no-status") "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" GET("/a"));
    run_loop();
    assert_true(client_take(0) > 0);
    assert_int_equal(count_of("HTTP/1.1 418 "), 1);
    assert_int_equal(count_of("HTTP/1.1 500 "), 2);
    assert_int_equal(count_of("\r\nAllow: "), 1);
    assert_int_equal(count_of("\r\n\r\n/a"), 1);
    close_clients(1);
}

/* 499 is for the access log: a client that is still there gets the end of the connection and no response. */
static void test_499_is_not_sent(void **state)
{
    open_clients(1);
    client_send(0, GET("/a") GET("/gone") GET("/b"));
    run_loop();
    assert_true(client_take(0) > 0);
    assert_int_equal(count_of("HTTP/1.1 "), 1);
    assert_non_null(strstr(text, "\r\n\r\n/a"));
    assert_int_equal(client_take(0), 0);
    close_clients(1);
}

/* A body that the handler did not read is skipped, so that the next request is found. */
static void test_unread_body(void **state)
{
    open_clients(1);
    client_send(0, "POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n01234");
    run_loop();
    client_send(0, "56789" GET("/b"));
    run_loop();
    assert_true(client_take(0) > 0);
    assert_int_equal(count_of("HTTP/1.1 200"), 2);
    assert_non_null(strstr(text, "\r\n\r\n/b"));
    close_clients(1);
}

/* The body is still being sent when the response is complete: the connection lingers until the client has read it. */
static void test_large_unread_body(void **state)
{
    open_clients(1);
    client_send(0, "POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: 10000000\r\n\r\n");
    run_loop();
    assert_true(client_take(0) > 0);
    assert_non_null(strstr(text, "\r\n\r\n/a"));
    assert_int_equal(http_connections(), 1); /* still reading */
    client_send(0, "more");
    run_loop();
    assert_int_equal(client_take(0), 0);
    close_clients(1);
}

static void test_client_half_closes(void **state)
{
    open_clients(1);
    client_send(0, GET("/a"));
    shutdown(clients[0], SHUT_WR);
    run_loop();
    assert_true(client_take(0) > 0);
    assert_int_equal(client_take(0), 0);
    assert_int_equal(http_connections(), 0);
    close_clients(1);
}

/* ---- draining: last, since there is no way back ---- */

static void test_drain(void **state)
{
    open_clients(3);
    client_send(0, GET("/park"));
    client_send(1, "GET /half");
    run_loop();
    http_drain(0);
    run_loop();
    assert_int_equal(client_take(2), 0); /* was idle */
    assert_int_equal(http_connections(), 2);
    let_go(1);
    assert_true(client_take(0) > 0);
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    assert_int_equal(client_take(0), 0);
    client_send(1, " HTTP/1.1\r\nHost: test\r\n\r\n");
    run_loop();
    assert_true(client_take(1) > 0);
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    close_clients(3);
}

static int setup(void **state)
{
    loop_setup(state);
    http_init(&(struct http_config){
        .handle = handle,
        .max_concurrency = MAX_CONCURRENCY,
        .max_connections = CLIENTS,
        .max_request_line = 8192,
        .max_header_size = 32768,
        .max_headers = 1000,
    });
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_connections_have_no_coroutine),
        cmocka_unit_test(test_max_concurrency),
        cmocka_unit_test(test_bursts_are_interleaved),
        cmocka_unit_test(test_waiting_is_bounded),
        cmocka_unit_test(test_one_stack_serves_all),
        cmocka_unit_test(test_no_stack_for_a_while),
        cmocka_unit_test(test_one_empty_line_is_skipped),
        cmocka_unit_test(test_refused_and_closed),
        cmocka_unit_test(test_too_large_a_head),
        cmocka_unit_test(test_heads_of_all_sizes),
        cmocka_unit_test(test_results_of_the_handler),
        cmocka_unit_test(test_499_is_not_sent),
        cmocka_unit_test(test_unread_body),
        cmocka_unit_test(test_large_unread_body),
        cmocka_unit_test(test_client_half_closes),
        cmocka_unit_test(test_drain),
    };

    return cmocka_run_group_tests(tests, setup, loop_teardown);
}
