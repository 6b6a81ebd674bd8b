"""HTTP/1.1 as a client sees it, against a real daemon: framing, keep-alive, pipelining and what must be refused.

The handler is tests/serve/modules/probe.c, which has a path for each thing that a handler can do.
"""
import http.client
import io
import re
import socket
import threading
import time

import pytest

from conftest import exchange

INI = """
[server]
module-path = {modules}
[limits]
max-body-size = 0
[probe /]
[probe /mount]
text = mounted
[probe /small]
max-body-size = 10
[hello /hello]
"""
HOST = b"Host: test\r\n"
MALFORMED_END = b"\r\nGET /after HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.fixture(scope="module")
def server(shared_daemon, c_modules):
    return shared_daemon(INI.format(modules=c_modules))


def get(path, *fields, version="1.1"):
    """The bytes of a GET request."""
    lines = [f"GET {path} HTTP/{version}", "Host: test", *fields]
    return "".join(line + "\r\n" for line in lines).encode() + b"\r\n"


def post(path, body, *fields):
    lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", *fields]
    return "".join(line + "\r\n" for line in lines).encode() + b"\r\n" + body


def chunked(path, body, *fields):
    """The bytes of a POST whose body is given as sent, with its chunk sizes."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", "Transfer-Encoding: chunked", *fields]
    return "".join(line + "\r\n" for line in lines).encode() + b"\r\n" + body


class Received:
    """Something http.client can read responses from, one after the other."""

    def __init__(self, data):
        self.file = io.BytesIO(data)
        self.file.close = lambda: None

    def makefile(self, mode):
        return self.file


def responses(data, *methods):
    """Parse all of data: a list of (status, headers, body); methods name those that are not GET, in order."""
    source, found, methods = Received(data), [], list(methods)
    while source.file.tell() < len(data):
        response = http.client.HTTPResponse(source, method=methods.pop(0) if methods else "GET")
        response.begin()
        found.append((response.status, response.headers, response.read()))
    return found


def one(data, method="GET"):
    found = responses(data, method)
    assert len(found) == 1, data
    return found[0]


def bodies(data):
    return [body for _, _, body in responses(data)]


# ---- keep-alive and pipelining ----


def test_connection_is_kept_alive(server):
    connection = server.http()
    sockets = []
    for _ in range(3):
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"probe"
        sockets.append(connection.sock)
    assert sockets[0] is not None and len(set(sockets)) == 1
    connection.close()


def test_connection_close_is_honoured(server):
    status, headers, body = one(server.raw(get("/", "Connection: close") + get("/facts")))
    assert (status, headers["Connection"], body) == (200, "close", b"probe")


def test_200_pipelined_requests_byte_by_byte(server):
    """All requests are sent before a response is read. The responses come in order, and each byte of them is
    checked."""
    def expected(answer, query):
        body = re.sub(rb"\bquery=0\b", b"query=%d" % query, answer.partition(b"\r\n\r\n")[2])
        body = body.replace(b"target=/facts?0", b"target=/facts?%d" % query)
        head = re.sub(rb"(Content-Length: )\d+", rb"\g<1>%d" % len(body), answer.partition(b"\r\n\r\n")[0])
        return without_date(head + b"\r\n\r\n" + body)

    def without_date(data):
        return re.sub(rb"Date: [^\r]+", b"Date:", data)

    with server.connect() as sock:
        first = exchange(sock, get("/facts?0"), until=b"Host: test\n")
    requests = b"".join(get(f"/facts?{i}") for i in range(199)) + get("/facts?199")
    with server.connect() as sock:
        received = exchange(sock, requests, shutdown=True)
    assert without_date(received) == b"".join(expected(first, i) for i in range(200))


@pytest.mark.parametrize("size", [1, 2, 7, 61])
def test_requests_cut_anywhere(server, size):
    requests = post("/echo", b"0123456789") + chunked("/echo", b"3\r\nabc\r\n0\r\n\r\n") + get("/", "Connection: close")
    with server.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(requests), size):
            sock.sendall(requests[start:start + size])
        assert bodies(exchange(sock, b"")) == [b"0123456789", b"abc", b"probe"]


def test_pipelined_waits_keep_their_order(server):
    requests = get("/sleep?100") + get("/") + get("/sleep?1") + get("/pid", "Connection: close")
    received = bodies(server.raw(requests))
    assert received[:3] == [b"slept\n", b"probe", b"slept\n"] and int(received[3]) in server.worker_pids()


def test_a_cancelled_handler_leaves_the_connection_as_it_was(server):
    """Its cancellation is not that of the next request, nor of the wait for that."""
    requests = get("/cancelled?403") + get("/nap?1", "Connection: close")
    assert [status for status, _, _ in responses(server.raw(requests))] == [403, 200]
    with server.connect() as sock:
        assert one(exchange(sock, requests[:-10], until=b"syncless\n"))[0] == 403
        assert one(exchange(sock, requests[-10:]))[0] == 200


def test_a_request_that_begins_after_all_were_cancelled(daemon, c_modules):
    """On the coroutine of a handler that has cleared its own cancellation to clean up."""
    server = daemon(f"[server]\nmodule-path = {c_modules}\nmax-concurrency = 1\nshutdown-timeout = 300ms\n[probe /]\n")
    with server.connect() as first, server.connect() as second:
        first.sendall(get("/clean?50"))
        time.sleep(0.1)
        second.sendall(get("/nap?30000"))
        time.sleep(0.1)
        assert server.stop() == 0
    assert "shutdown-timeout exceeded" in server.log and "still running" not in server.log


def test_waiting_requests_run_side_by_side(server):
    started = time.monotonic()
    connections = [server.connect() for _ in range(100)]
    for sock in connections:
        sock.sendall(get("/sleep?300", "Connection: close"))
    for sock in connections:
        assert one(exchange(sock, b""))[2] == b"slept\n"
        sock.close()
    assert time.monotonic() - started < 3


def test_endless_pipeliner_does_not_starve_others(server):
    """One connection always has the next requests in the buffer; another one must be answered nevertheless."""
    stop = threading.Event()
    served = 0

    def pipeline(sock):
        nonlocal served
        batch = get("/") * 100
        while not stop.is_set():
            sock.sendall(batch)

    def drain(sock):
        nonlocal served
        while data := sock.recv(1 << 16):
            served += data.count(b"HTTP/1.1 200")

    with server.connect() as busy:
        threads = [threading.Thread(target=run, args=[busy], daemon=True) for run in (pipeline, drain)]
        for thread in threads:
            thread.start()
        waits = []
        for _ in range(20):
            started = time.monotonic()
            assert server.get("/")[0] == 200
            waits.append(time.monotonic() - started)
        stop.set()
        threads[0].join(5)
        busy.shutdown(socket.SHUT_WR)
        threads[1].join(5)
    assert served > 20 and max(waits) < 1, (served, waits)


# ---- bodies ----


def test_sized_body_echoed(server):
    body = bytes(range(256)) * 1000
    assert server.request("POST", "/echo", body=body)[::2] == (200, body)


def test_chunked_body_with_extensions_and_trailers(server):
    body = (b"5 ; name = value\r\nhello\r\n1;quoted=\"a;b\"\r\n,\r\n00a\r\n0123456789\r\n0\r\n"
            b"X-Trailer: one\r\nX-Other: two\r\n\r\n")
    received = server.raw(chunked("/echo", body, "Trailer: X-Trailer") + get("/", "Connection: close"))
    assert bodies(received) == [b"hello,0123456789", b"probe"]


def test_response_without_length_is_chunked(server):
    received = server.raw(get("/chunks?3", "Connection: close"))
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head and b"Content-Length" not in head
    assert body == b"8\r\nchunk 0\n\r\n8\r\nchunk 1\n\r\n8\r\nchunk 2\n\r\n0\r\n\r\n"


def test_flushed_chunk_arrives_before_the_end(server):
    """What a handler has flushed is sent while the handler goes on."""
    with server.connect() as sock:
        received = exchange(sock, post("/echo", b"", "X: 1")[:-2].replace(b"Content-Length: 0", b"Content-Length: 4")
                            + b"\r\nab", until=b"ab", timeout=1)
        assert received == b"" or received.endswith(b"ab\r\n")  # gathered or not: both are allowed
        assert one(received + exchange(sock, b"cd", shutdown=True))[2] == b"abcd"


def test_empty_chunked_response(server):
    assert one(server.raw(get("/chunks?0", "Connection: close")))[::2] == (200, b"")


@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_unread_body_is_skipped(server, framing):
    body = b"x" * 5000
    request = post("/", body) if framing == "sized" else chunked("/", b"1388\r\n" + body + b"\r\n0\r\n\r\n")
    assert bodies(server.raw(request + get("/hello", "Connection: close")))[0] == b"probe"
    assert len(responses(server.raw(request + get("/", "Connection: close")))) == 2


def test_large_unread_body_does_not_cost_the_answer(server):
    """If a server closes a socket with unread bytes, the kernel resets the connection, and the client may lose the
    response."""
    for _ in range(10):
        data = server.raw(post("/", b"x" * (8 << 20)), shutdown=True)
        assert responses(data)[0][::2] == (200, b"probe")


CUT = [post("/count", b"0123456789")[:-5], post("/count", b"0")[:-1], chunked("/count", b"5\r\nhe"),
       chunked("/count", b"5"), chunked("/count", b"5\r\nhello"), chunked("/count", b"5\r\nhello\r\n0\r\nA: b\r\n"),
       post("/count", b"0123456789", "Expect: 100-continue")[:-5]]


@pytest.mark.parametrize("message", CUT, ids=range(len(CUT)))
def test_body_cut_by_the_client(server, message):
    received = server.raw(message, shutdown=True)
    status, headers, body = responses(received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"))[0]
    assert (status, headers["Connection"]) == (400, "close")
    assert server.get("/")[0] == 200


def allowance(server):
    """Bytes by which memory may grow during a transfer of 1 GiB. A sanitizer's own memory grows in steps of 50 MiB."""
    return (128 if server.sanitized else 2) << 20


@pytest.mark.limit(120)
def test_1_gib_up_with_flat_memory(server):
    block = memoryview(bytes(1 << 20))
    server.request("POST", "/count", body=bytes(block))
    before, seen = server.rss(), []
    with server.connect() as sock:
        sock.sendall(b"POST /count HTTP/1.1\r\n" + HOST
                     + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        for i in range(1024):
            sock.sendall(block)
            if i % 128 == 127:
                seen.append(server.rss())
        assert one(exchange(sock, b""))[2] == b"%d\n" % (1 << 30)
    assert max(seen) - before < allowance(server), (before, seen)


@pytest.mark.limit(120)
def test_1_gib_down_with_flat_memory(server):
    buffer = bytearray(1 << 20)
    server.get("/source?1000000")
    before, seen, total = server.rss(), [], 0
    with server.connect() as sock:
        sock.sendall(get(f"/source?{1 << 30}", "Connection: close"))
        while count := sock.recv_into(buffer):
            if (total + count) >> 27 != total >> 27:
                seen.append(server.rss())
            total += count
    assert total > 1 << 30 and max(seen) - before < allowance(server), (before, seen, total)


def test_slow_reader_slows_the_producer(server):
    """No response is collected in memory for a client that does not read."""
    server.get("/source?1000000")
    before = server.rss()
    with server.connect() as sock:
        sock.sendall(get(f"/source?{1 << 30}"))
        assert sock.recv(12) == b"HTTP/1.1 200"
        for _ in range(200):  # time in which an eager server would have taken the gigabyte
            server.get("/source?1000000")
        assert server.rss() - before < allowance(server)


# ---- Expect: 100-continue ----


def test_100_continue_comes_when_the_handler_reads(server):
    head, body = post("/echo", b"hello", "Expect: 100-continue", "Connection: close").split(b"\r\n\r\n")
    with server.connect() as sock:
        assert exchange(sock, head + b"\r\n\r\n", until=b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert one(exchange(sock, body))[2] == b"hello"


def test_no_100_continue_if_the_handler_does_not_read(server):
    """The client was not asked for the body and may send it or not, so the connection must close."""
    head = post("/", b"hello", "Expect: 100-continue").split(b"\r\n\r\n")[0]
    received = server.raw(head + b"\r\n\r\n")
    assert one(received)[::2] == (200, b"probe")


def test_no_100_continue_if_the_body_is_there(server):
    received = server.raw(post("/echo", b"hello", "Expect: 100-continue", "Connection: close"))
    assert responses(received)[-1][2] == b"hello"


def test_no_100_continue_for_http_1_0(server):
    request = post("/echo", b"hello", "Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert one(server.raw(request))[2] == b"hello"


# ---- responses without a body ----


def test_head_has_the_head_of_get_and_no_body(server):
    received = server.raw(get("/source?1000").replace(b"GET", b"HEAD") + get("/", "Connection: close"))
    head, rest = responses(received, "HEAD")
    assert head[1]["Content-Length"] == "1000" and head[2] == b"" and rest[2] == b"probe"


@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_204_205_and_304_have_no_body(server, status, method):
    received = server.raw(get(f"/reply?{status}").replace(b"GET", method) + get("/", "Connection: close"))
    first, second = responses(received)
    assert first[0] == status and first[2] == b"" and second[2] == b"probe"
    assert "Transfer-Encoding" not in first[1]
    assert first[1]["Content-Length"] == ("0" if status == 205 else None)


@pytest.mark.parametrize("status, phrase", [(200, b"OK"), (404, b"Not Found"), (418, b""),
                                            (503, b"Service Unavailable"), (600, b""), (999, b"")])
def test_status_line(server, status, phrase):
    line = server.raw(get(f"/reply?{status}", "Connection: close")).split(b"\r\n")[0]
    assert line.startswith(b"HTTP/1.1 %d " % status) and line.endswith(phrase)


def test_date_and_server(server):
    headers = server.get("/")[1]
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers["Date"])
    assert "syncless" in headers["Server"].lower()


# ---- what a handler may get wrong ----


def test_status_returned_by_the_handler_makes_a_page(server):
    status, headers, body = server.get("/return?403")
    assert status == 403 and b"403" in body and headers["Content-Type"].startswith("text/")


def test_error_returned_by_the_handler_is_500_and_logged(server):
    assert server.get("/return?-5")[0] == 500
    server.wait_log(r"\[error\].*/return\?-5.*|\[error\].*Input/output error")


def test_body_that_begins_and_fails_is_cut(server):
    with pytest.raises(http.client.IncompleteRead):
        server.get("/cut")


def test_body_shorter_than_promised_closes(server):
    with pytest.raises(http.client.IncompleteRead):
        server.get("/promise?5")


def test_body_longer_than_promised_is_cut_to_size(server):
    received = server.raw(get("/promise?16"))
    assert one(received)[2] == b"0123456789"


def test_bad_response_headers_are_refused(server):
    status, headers, body = one(server.raw(get("/headers") + get("/")))
    assert body == b"1 1 0\n" and "b" not in headers and "X-Split" not in headers
    assert headers.get_all("Connection") == ["close"]


# ---- targets ----


def facts(data):
    body = responses(data)[0][2].decode("latin-1")
    return dict(line.split("=", 1) for line in body.splitlines() if "=" in line)


def test_facts_of_a_request(server):
    found = facts(server.raw(get("/facts/a%20b%2Fc?x=1&y=%20", "X-Field:  value \t", "Connection: close")))
    assert found == {"method": "GET", "target": "/facts/a%20b%2Fc?x=1&y=%20", "mount": "", "path": "/facts/a b/c",
                     "query": "x=1&y=%20", "host": "test", "scheme": "http", "length": "0", "minor": "1"}
    assert b"\nX-Field: value\n" in server.raw(get("/facts", "X-Field:  value \t", "Connection: close"))


def test_absolute_form(server):
    """Its host replaces the Host field (RFC 9112 section 3.2.2), which applications read."""
    received = server.raw(get("http://other.example:81/facts?q", "Connection: close"))
    found = facts(received)
    assert (found["host"], found["path"], found["query"]) == ("other.example:81", "/facts", "q")
    assert b"\nHost: other.example:81\n" in received


def test_absolute_form_without_a_path(server):
    assert one(server.raw(get("http://other.example", "Connection: close")))[2] == b"probe"


def test_options_asterisk(server):
    received = server.raw(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n" + get("/", "Connection: close"))
    first, second = responses(received, "OPTIONS")
    assert first[0] in (200, 204) and first[2] == b"" and second[2] == b"probe"


def test_mount_is_split_off(server):
    found = facts(server.raw(get("/mount/facts", "Connection: close")))
    assert (found["mount"], found["path"]) == ("/mount", "/facts")
    assert server.get("/mount/")[2] == b"mounted"


def test_prefix_ends_at_a_slash(server):
    assert server.get("/mountain")[0] == 404


@pytest.mark.parametrize("path", ["/facts%zz", "/facts%2", "/facts%", "/facts%00"])
def test_bad_percent_encoding(server, path):
    assert one(server.raw(get(path, "Connection: close")))[0] == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "QUERY", "VERSION-CONTROL",
                                    "PURGE", "get", "BREW", "X-Y_Z!", "M" * 200])
def test_any_method_reaches_the_handler(server, method):
    assert f"method={method}\n".encode() in server.request(method, "/facts")[2]


@pytest.mark.parametrize("target", ["/facts", "test:80", "http://test/facts"])
def test_connect_gets_501_and_a_close(server, target):
    status, headers, body = one(server.raw(get(target).replace(b"GET", b"CONNECT") + get("/")))
    assert (status, headers["Connection"]) == (501, "close")


def test_raw_utf_8_in_the_target(server):
    found = facts(server.raw(get("/facts/\xe4?\xf6", "Connection: close")))
    assert (found["path"].encode("latin-1").decode(), found["query"].encode("latin-1").decode()) == ("/facts/\xe4",
                                                                                                     "\xf6")


def test_hello_module(server):
    assert server.get("/hello")[0] == 200


# ---- upgrades ----


@pytest.mark.parametrize("fields", [("Connection: keep-alive, UPGRADE", "Upgrade: Echo"),
                                    ("Connection: x", "Connection: upgrade", "Upgrade: a/1, echo")])
def test_upgrade(server, fields):
    with server.connect() as sock:
        head, _, early = exchange(sock, get("/upgrade", *fields) + b"early", until=b"early").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ") and b"\r\nConnection: Upgrade\r\nUpgrade: echo" in head
        assert early == b"early"
        assert exchange(sock, b"GET / HTTP/1.1\r\n\r\n", shutdown=True) == b"GET / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("fields", [
    ("Upgrade: echo",), ("Connection: close", "Upgrade: echo"), ("Connection: xupgrade", "Upgrade: echo"),
    ("Connection: upgrade",),
    ("Connection: upgrade", "Upgrade: echoes"), ("Connection: upgrade", "Upgrade: echo", "Content-Length: 1")])
def test_no_upgrade(server, fields):
    """A proxy that does not pass Connection on is not aware of an upgrade: it would take what follows for requests."""
    assert server.raw(get("/upgrade", *fields) + b"x", until=b"\n-22\n").startswith(b"HTTP/1.1 200 ")


# ---- HTTP/1.0 ----


def test_http_1_0_closes(server):
    status, headers, body = one(server.raw(get("/", version="1.0") + get("/", version="1.0")))
    assert (status, body) == (200, b"probe")


def test_http_1_0_keep_alive(server):
    received = server.raw(get("/", "Connection: keep-alive", version="1.0") + get("/", version="1.0"))
    first, second = responses(received)
    assert first[1]["Connection"].lower() == "keep-alive" and first[2] == second[2] == b"probe"


def test_http_1_0_body_of_unknown_size_ends_with_the_connection(server):
    received = server.raw(get("/chunks?3", "Connection: keep-alive", version="1.0"))
    status, headers, body = one(received)
    assert "Transfer-Encoding" not in headers and body == b"chunk 0\nchunk 1\nchunk 2\n"


# ---- clients that leave or talk nonsense ----


def test_half_closed_client_gets_its_answers(server):
    received = server.raw(get("/sleep?50") + get("/source?200000"), shutdown=True)
    assert [len(body) for body in bodies(received)] == [6, 200000]


@pytest.mark.parametrize("part",
                         [b"", b"G", b"GET / HT", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: te", b"\r\n"])
def test_half_a_request(server, part):
    for shutdown in (True, False):
        with server.connect() as sock:
            sock.sendall(part)
            if shutdown:
                received = exchange(sock, b"", shutdown=False, timeout=0.05) + half_close(sock)
                assert received == b"" if part in (b"", b"\r\n") else one(received)[0] == 400
    assert server.get("/")[0] == 200


def test_half_a_request_after_a_whole_one(server):
    received = server.raw(get("/") + get("/")[:-5], shutdown=True)
    assert [status for status, _, _ in responses(received)] == [200, 400]


def half_close(sock):
    sock.setblocking(True)
    sock.settimeout(10)
    sock.shutdown(socket.SHUT_WR)
    return sock.recv(4096)


def test_client_that_leaves_while_the_handler_waits(server):
    for _ in range(20):
        with server.connect() as sock:
            sock.sendall(get("/sleep?50"))
    with server.connect() as sock:
        sock.sendall(get("/source?100000000"))
        sock.recv(100)
    assert server.get("/")[0] == 200


def test_empty_line_before_a_request_is_skipped(server):
    """One is skipped (RFC 9112 section 2.2), and no more."""
    assert one(server.raw(b"\r\n" + get("/", "Connection: close")))[2] == b"probe"
    assert one(server.raw(b"\r\n\r\n" + get("/")))[0] == 400


def test_body_up_to_max_body_size(server):
    assert one(server.raw(post("/small/count", b"x" * 10, "Connection: close")))[0] == 200
    assert one(server.raw(chunked("/small/count", b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n",
                                  "Connection: close")))[0] == 200


def test_body_past_max_body_size_gets_413_and_a_close(server):
    for message in (post("/small/count", b"x" * 11), chunked("/small/count", b"b\r\nhello world\r\n0\r\n\r\n"),
                    chunked("/small/count", b"8\r\nxxxxxxxx\r\n8\r\nxxxxxxxx\r\n"),
                    post("/small/count", b"", "X: y").replace(b"Length: 0", b"Length: 999999999999")):
        status, headers, body = one(server.raw(message))
        assert (status, headers["Connection"]) == (413, "close")


GARBAGE = [b"\x00" * 100, bytes(range(256)), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10, b"GET\r\n\r\n",
           b"\xff" * 70000,
           b"GET / HTTP/1.1\r\n" + b"\x80\x81: \r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /\r\n\r\n",
           b"GET / HTTP/1.1.1\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n", b"GET / HTTQ/1.1\r\n\r\n", b"nonsense\n\n" * 1000]


@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage(server, data):
    status, headers, body = one(server.raw(data))
    assert 400 <= status < 600 and headers["Connection"] == "close"


def request_with(field, body=b""):
    return b"POST /count HTTP/1.1\r\n" + HOST + field + b"\r\n\r\n" + body


MALFORMED = {
    "bare CR in a value": request_with(b"X: a\rb"),
    "bare CR ends a line": b"GET / HTTP/1.1\rHost: test\r\r",
    "bare LF ends the request line": b"GET / HTTP/1.1\nHost: test\r\n\r\n",
    "bare LF ends a field": b"GET / HTTP/1.1\r\nHost: test\nX: a\r\n\r\n",
    "bare LF ends the head": b"GET / HTTP/1.1\r\nHost: test\r\n\n",
    "space before the colon": request_with(b"X : a"),
    "tab before the colon": request_with(b"X\t: a"),
    "folded line": request_with(b"X: a\r\n b"),
    "folded with a tab": request_with(b"X: a\r\n\tb"),
    "space before the first field": b"GET / HTTP/1.1\r\n Host: test\r\n\r\n",
    "no field name": request_with(b": a"),
    "no colon": request_with(b"X"),
    "control byte in a name": request_with(b"X\x01: a"),
    "NUL in a value": request_with(b"X: a\0b"),
    "two Content-Lengths": request_with(b"Content-Length: 5\r\nContent-Length: 6", b"hello"),
    "two equal Content-Lengths": request_with(b"Content-Length: 5\r\nContent-Length: 5", b"hello"),
    "list of Content-Lengths": request_with(b"Content-Length: 5, 5", b"hello"),
    "Content-Length with plus": request_with(b"Content-Length: +5", b"hello"),
    "Content-Length with minus": request_with(b"Content-Length: -5", b"hello"),
    "hexadecimal Content-Length": request_with(b"Content-Length: 0x5", b"hello"),
    "empty Content-Length": request_with(b"Content-Length: ", b"hello"),
    "space in Content-Length": request_with(b"Content-Length: 5 5", b"hello"),
    "endless Content-Length": request_with(b"Content-Length: 99999999999999999999"),
    "Content-Length and Transfer-Encoding": request_with(b"Content-Length: 5\r\nTransfer-Encoding: chunked",
                                                         b"0\r\n\r\n"),
    "Transfer-Encoding and Content-Length": request_with(b"Transfer-Encoding: chunked\r\nContent-Length: 5",
                                                         b"0\r\n\r\n"),
    "chunked is not last": request_with(b"Transfer-Encoding: chunked, gzip", b"0\r\n\r\n"),
    "empty Transfer-Encoding": request_with(b"Transfer-Encoding: ", b"0\r\n\r\n"),
    "two Content-Types": request_with(b"Content-Type: a/b\r\nContent-Type: a/b"),
    "two hosts in Host": b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
    "no number in the port": b"GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n",
    "port that is too large": b"GET / HTTP/1.1\r\nHost: a:65616\r\n\r\n",
    "IPv6 without brackets": b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n",
    "bad port of an absolute target": b"GET http://a:-1/ HTTP/1.1\r\nHost: test\r\n\r\n",
    "bad Host beside an absolute target": b"GET http://a/ HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "chunked twice": request_with(b"Transfer-Encoding: chunked, chunked", b"0\r\n\r\n"),
    "two Transfer-Encodings": request_with(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
    "quoted chunked": request_with(b'Transfer-Encoding: "chunked"', b"0\r\n\r\n"),
    "chunked with a parameter": request_with(b"Transfer-Encoding: chunked;q=1", b"0\r\n\r\n"),
    "vertical tab before chunked": request_with(b"Transfer-Encoding: \x0bchunked", b"0\r\n\r\n"),
    "chunked in HTTP/1.0": b"POST /count HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": request_with(b"Host: test"),
    "two Hosts in HTTP/1.0": b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
    "blank in Host": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "user in Host": b"GET / HTTP/1.1\r\nHost: u@test\r\n\r\n",
    "slash in Host": b"GET / HTTP/1.1\r\nHost: test/a\r\n\r\n",
    "byte above ASCII in Host": b"GET / HTTP/1.1\r\nHost: t\xc3\xa4st\r\n\r\n",
    "user in an absolute target": b"GET http://u@test/ HTTP/1.1\r\nHost: test\r\n\r\n",
    "fragment": b"GET /#a HTTP/1.1\r\nHost: test\r\n\r\n",
    "control byte in the target": b"GET /\x01 HTTP/1.1\r\nHost: test\r\n\r\n",
    "byte above ASCII in a name": request_with(b"X\xc3\xa4: a"),
    "two spaces": b"GET  / HTTP/1.1\r\nHost: test\r\n\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\nHost: test\r\n\r\n",
    "NUL in the target": b"GET /a\0b HTTP/1.1\r\nHost: test\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\nHost: test\r\n\r\n",
    "relative target": b"GET facts HTTP/1.1\r\nHost: test\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_head_gets_400_and_a_close(server, name):
    """There is one response only: what follows on the connection is never taken for a request."""
    status, headers, body = one(server.raw(MALFORMED[name] + MALFORMED_END))
    assert (status, headers["Connection"]) == (400, "close")


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "identity", "xchunked", ", gzip ,\tchunked"])
def test_unknown_transfer_coding_gets_501_and_a_close(server, coding):
    message = request_with(b"Transfer-Encoding: " + coding.encode(), b"0\r\n\r\n")
    status, headers, body = one(server.raw(message + MALFORMED_END))
    assert (status, headers["Connection"]) == (501, "close")


@pytest.mark.parametrize("fields, body", [(b"Content-Length: 5\t", b"hello"),
                                          (b"Transfer-Encoding: ,\tchunked,", b"5\r\nhello\r\n0\r\n\r\n")])
def test_blanks_and_empty_elements_in_framing(server, fields, body):
    first, second = responses(server.raw(request_with(fields, body) + get("/", "Connection: ,\tclose\t,")))
    assert first[2] == b"5\n" and second[1]["Connection"] == "close"


@pytest.mark.parametrize("version", ["1.2", "1.9"])
def test_later_minor_versions_are_served_as_1_1(server, version):
    first, second = responses(server.raw(get("/facts", version=version) + get("/", "Connection: close")))
    assert first[0] == 200 and b"\nminor=1\n" in first[2] and second[2] == b"probe"


@pytest.mark.parametrize("version", ["HTTP/0.9", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"])
def test_other_versions_get_505_and_a_close(server, version):
    status, headers, body = one(server.raw(f"GET / {version}\r\nHost: test\r\n".encode() + MALFORMED_END))
    assert (status, headers["Connection"]) == (505, "close")


@pytest.mark.parametrize("version", ["HTTP/1.10", "HTTP/11", "HTTP/1", "http/1.1", "HTTPS/1.1", "HTTP/1.1 ",
                                     "HTTP/1.1\t", "HTTP/-1.1"])
def test_malformed_versions_get_400_and_a_close(server, version):
    status, headers, body = one(server.raw(f"GET / {version}\r\nHost: test\r\n".encode() + MALFORMED_END))
    assert (status, headers["Connection"]) == (400, "close")


BAD_CHUNKS = {
    "size is no number": b"xyz\r\nhello\r\n0\r\n\r\n",
    "size is empty": b"\r\nhello\r\n0\r\n\r\n",
    "size is signed": b"+5\r\nhello\r\n0\r\n\r\n",
    "size has 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "empty extension": b"5;\r\nhello\r\n0\r\n\r\n",
    "extension without a name": b"5;=b\r\nhello\r\n0\r\n\r\n",
    "bad extension": b"5;a b\r\nhello\r\n0\r\n\r\n",
    "extension with an open quote": b"5;a=\"b\r\nhello\r\n0\r\n\r\n",
    "size with a comma": b"5,5\r\nhello\r\n0\r\n\r\n",
    "size of 17 digits": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "NUL in a trailer": b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n",
    "trailer without a colon": b"5\r\nhello\r\n0\r\nX\r\n\r\n",
    "size overflows": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk is longer than its size": b"3\r\nhello\r\n0\r\n\r\n",
    "bare LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "bare LF after the chunk": b"5\r\nhello\n0\r\n\r\n",
    "bare CR in the extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "bare LF ends the trailers": b"5\r\nhello\r\n0\r\nX: y\n\n",
    "space before the colon of a trailer": b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
    "folded trailer": b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_malformed_chunks_get_400_and_a_close(server, name):
    status, headers, body = one(server.raw(chunked("/count", BAD_CHUNKS[name]) + MALFORMED_END))
    assert (status, headers["Connection"]) == (400, "close")


def test_malformed_chunk_after_the_answer_began_cuts_it(server):
    received = server.raw(chunked("/echo", b"186a0\r\n" + b"x" * 100000 + b"\r\nxyz\r\n" + MALFORMED_END))
    assert b"\r\n0\r\n\r\n" not in received and received.count(b"HTTP/1.1") <= 1


# ---- many connections, other sockets ----


@pytest.mark.limit(180)
def test_10000_idle_connections(daemon, c_modules, many_files, record_property):
    server = daemon(INI.format(modules=c_modules))
    server.get("/")
    before, connections = server.rss(), []
    try:
        for _ in range(10000):
            sock = server.connect()
            connections.append(sock)
            sock.sendall(get("/"))
            assert sock.recv(1000).endswith(b"probe")
        each = (server.rss() - before) / len(connections)
        print(f"resident bytes for each idle connection: {each:.0f}")
        record_property("bytes_per_idle_connection", each)
        for sock in connections[::100]:
            sock.sendall(get("/"))
            assert sock.recv(1000).endswith(b"probe")
    finally:
        for sock in connections:
            sock.close()
    assert server.get("/")[0] == 200
    assert each < 2048 or server.sanitized


def test_unix_socket(daemon, c_modules):
    server = daemon("[server]\nmodule-path = %s\nbind = unix:%%(here)/app.sock\n[probe /]\n" % c_modules)
    assert server.path == str(server.dir / "app.sock")
    assert server.get("/")[2] == b"probe"


def test_several_addresses(daemon, c_modules):
    server = daemon(f"[server]\nmodule-path = {c_modules}\nbind = 127.0.0.1:0\nbind = [::1]:0\nbind = unix:%(here)/s\n"
                    "[probe /]\n")
    server.wait_log("listening on", count=3)
    ports = re.findall(r"listening on http://\S+:(\d+)", server.log)
    for host, port in zip(("127.0.0.1", "::1"), ports):
        with socket.create_connection((host, int(port)), 5) as sock:
            assert one(exchange(sock, get("/", "Connection: close")))[2] == b"probe"


def test_host_routing(daemon, c_modules):
    ini = (f"[server]\nmodule-path = {c_modules}\n[probe /]\ntext = any\n[probe one.example/]\ntext = one\n"
           "[probe one.example/deep/]\ntext = deep\n")
    server = daemon(ini)

    def text(path, host):
        return server.get(path, {"Host": host})[2]

    assert [text("/", "one.example"), text("/", "ONE.example:8080"), text("/", "two.example")] == [b"one", b"one",
                                                                                                   b"any"]
    assert text("/deep/", "one.example") == b"deep"
