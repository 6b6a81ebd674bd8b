"""Limits for a part of an application, [limits /prefix]; script-name, max-concurrency and priority of mounts."""
import contextlib
import re
import select
import threading
import time

import pytest

from conftest import exchange
from test_http import HOST, get, one, post

APP = """
import time
def app(environ, start_response):
    if environ['QUERY_STRING']:
        time.sleep(float(environ['QUERY_STRING']))
    body = environ['wsgi.input'].read()
    text = '%s|%s|%d' % (environ['SCRIPT_NAME'], environ['PATH_INFO'], len(body))
    start_response('200 OK', [])
    return [text.encode()]
"""


@pytest.fixture
def serve(daemon):
    return lambda ini: daemon(ini, {"app.py": APP, "www/a.txt": "a", "www/static/a.txt": "static"})


def size_limit(server, path, host="x"):
    """The largest of these bodies that is taken."""
    taken = 0
    for size in (10, 100, 1000, 10000):
        status = server.request("POST", path, {"Host": host}, b"x" * size)[0]
        assert status in (200, 413)
        taken = size if status == 200 else taken
    return taken


def test_a_limit_for_a_path(serve):
    server = serve("[wsgi /]\napp = app:app\nmax-body-size = 100\n[limits /upload]\nmax-body-size = 1k\n"
                   "[limits /upload/large/]\nmax-body-size = 0\n[limits /slow]\nrequest-timeout = 200ms\n")
    assert [size_limit(server, path) for path in ("/", "/uploads", "/upload", "/upload/x", "/upload/large/y",
                                                  "/%75pload")] == [100, 100, 1000, 1000, 10000, 1000]
    assert server.get("/slow?5")[0] == 504 and server.get("/slower?0.4")[0] == 200
    assert server.get("/upload/large/y")[2] == b"|/upload/large/y|0"  # SCRIPT_NAME is the same


def test_precedence(serve):
    """The longest prefix counts, of the same one the mount's own key; then [MODULE], then [limits]."""
    server = serve("[limits]\nmax-body-size = 10\n[wsgi]\nmax-body-size = 100\n[wsgi /]\napp = app:app\n"
                   "[wsgi /shop]\napp = app:app\nmax-body-size = 1k\n[wsgi /free]\napp = app:app\n"
                   "[limits /shop]\nmax-body-size = 10\n[limits /shop/a]\non-disconnect = cancel\n"
                   "[limits /free]\nmax-body-size = 0\n[hello /hello]\n")
    assert [size_limit(server, path) for path in ("/", "/shop", "/shop/a", "/free")] == [100, 1000, 1000, 10000]
    assert server.request("POST", "/hello", {}, b"x" * 11)[0] == 413


def test_hosts(serve):
    server = serve("[wsgi /]\napp = app:app\nmax-body-size = 10\n[limits a.example/]\nmax-body-size = 100\n"
                   "[limits /x]\nrequest-timeout = 300ms\n[limits a.example/x/y]\nmax-body-size = 1k\n"
                   "[wsgi b.example/x]\napp = app:app\n")
    found = {(host, path): size_limit(server, path, host) for host in ("a.example", "A.example:80", "b.example", "c")
             for path in ("/", "/x", "/x/y")}
    assert found == {("a.example", "/"): 100, ("a.example", "/x"): 100, ("a.example", "/x/y"): 1000,
                     ("A.example:80", "/"): 100, ("A.example:80", "/x"): 100, ("A.example:80", "/x/y"): 1000,
                     ("b.example", "/"): 10, ("b.example", "/x"): 10000, ("b.example", "/x/y"): 10000,
                     ("c", "/"): 10, ("c", "/x"): 10, ("c", "/x/y"): 10}
    for host in ("a.example", "b.example", "c"):
        assert server.get("/x?5", {"Host": host})[0] == 504


def test_filters_see_the_same_paths(daemon, c_modules):
    server = daemon(f"[server]\nmodule-path = {c_modules}\n[probe /p]\n[guard /p/in]\n[limits /p/in/deep]\n"
                    "max-body-size = 10\n[limits /p]\nmax-concurrency = 5\n")
    before = server.get("/p/in/x")
    assert server.get("/p/in/deep/x")[0] == before[0]
    assert server.get("/p/facts")[0] == 200


@pytest.mark.parametrize("prefix, script, paths", [
    ("/api", "/", {"/api/x": "|/api/x|0", "/api": "|/api|0"}),
    ("/", "/shop", {"/x": "/shop|/x|0", "/shop/x": "/shop|/shop/x|0"}),
    ("/a/b", "/a/", {"/a/b/c": "/a|/b/c|0"}),
    ("/ab", "/a", {"/ab/c": "/a|/c|0"}),
    ("/a", "/other/place", {"/a/c": "/other/place|/c|0"}),
])
def test_script_name(serve, prefix, script, paths):
    server = serve(f"[server]\ntrusted-proxies = 127.0.0.1\ntrusted-headers = x-forwarded-prefix\n"
                   f"[wsgi {prefix}]\napp = app:app\nscript-name = {script}\n[limits {prefix}/y]\nmax-body-size = 1k\n")
    for path, text in paths.items():
        assert server.get(path)[2].decode() == text
        assert server.get(path, {"X-Forwarded-Prefix": "/out"})[2].decode() == "/out" + text


def test_script_name_of_other_modules(serve):
    server = serve("[static /static]\nroot = www\nscript-name = /\n[static /plain]\nroot = www\n"
                   "[cgi /cgi]\nroot = scripts\nscript-name = /x\n", )
    (server.dir / "scripts").mkdir()
    script = server.dir / "scripts/s"
    script.write_text("#!/bin/sh\necho Content-Type: text/plain\necho\necho \"$SCRIPT_NAME|$PATH_INFO\"\n")
    script.chmod(0o755)
    assert server.get("/static/a.txt")[2] == b"static" and server.get("/plain/a.txt")[2] == b"a"
    assert server.get("/cgi/s/more")[2] == b"/x/s|/more\n"


# ---- max-concurrency ----


@contextlib.contextmanager
def running(server, *paths):
    """Requests that run meanwhile."""
    socks = [server.connect() for _ in paths]
    for sock, path in zip(socks, paths):
        sock.sendall(get(path, "Connection: close"))
        time.sleep(0.02)
    yield socks
    for sock in socks:
        sock.close()


@pytest.mark.alone
def test_max_concurrency_of_a_mount(serve):
    """Further requests queue, in order, and hold up no other mount."""
    server = serve("[limits]\nmax-concurrency = 6\n[wsgi /]\napp = app:app\n[wsgi /few]\napp = app:app\n"
                   "max-concurrency = 2\n")
    began = time.monotonic()
    with running(server, *["/few?0.3"] * 12) as socks:
        for _ in range(5):
            assert server.get("/?0.01")[0] == 200
        assert time.monotonic() - began < 0.9
        ends = []
        for sock in socks:
            assert one(exchange(sock, b""))[0] == 200
            ends.append(time.monotonic() - began)
    assert ends == sorted(ends) and 1.6 < ends[-1] < 6


def test_max_concurrency_has_a_bounded_wait(serve):
    server = serve("[limits]\nqueue-timeout = 200ms\n[wsgi /]\napp = app:app\n[limits /few]\nmax-concurrency = 1\n")
    with running(server, "/few/x?1") as (first,):
        status, headers, _ = server.get("/few/y")
        assert (status, headers["Retry-After"]) == (503, "1")
        assert server.get("/x")[0] == 200
        assert one(exchange(first, b""))[0] == 200
    server.wait_log(r"\[limits /few\]: 503: queue-timeout exceeded while max-concurrency, 1 requests, were running")
    assert server.get("/few/y")[0] == 200


def test_to_whom_max_concurrency_belongs(serve):
    """[wsgi] gives it to each mount; a section [limits PREFIX] to all that is below, whoever serves it."""
    server = serve("[limits]\nqueue-timeout = 100ms\n[wsgi]\nmax-concurrency = 1\n[wsgi /a]\napp = app:app\n"
                   "[wsgi /b]\napp = app:app\n[limits /a/in]\nmax-body-size = 5\n"
                   "[wsgi /c/1]\napp = app:app\nmax-concurrency = 5\n[wsgi /c/2]\napp = app:app\n"
                   "[limits /c/1/x]\nmax-concurrency = 1\n")
    with running(server, "/a?1", "/c/1/x?1"):
        assert server.get("/b")[0] == 200 and server.get("/c/2")[0] == 200 and server.get("/c/1")[0] == 200
        assert server.get("/a")[0] == server.get("/a/in")[0] == server.get("/c/1/x/y")[0] == 503
    server = serve("[limits]\nqueue-timeout = 100ms\n[wsgi /a]\napp = app:app\n[wsgi /b]\napp = app:app\n"
                   "[limits /]\nmax-concurrency = 1\n")
    with running(server, "/a?1"):
        assert server.get("/b")[0] == 503


def test_a_client_that_leaves_the_queue(serve):
    server = serve("[wsgi /]\napp = app:app\nmax-concurrency = 1\non-disconnect = cancel\n")
    with running(server, "/?0.5", "/1", "/2"):
        pass
    assert server.get("/3")[0] == 200


# ---- priority ----

FULL = """
[server]
{server}
[limits]
max-concurrency = 2
queue-timeout = 50s
on-disconnect = cancel
[wsgi /]
app = app:app
[static /static]
root = www
[limits /healthz]
priority = high
"""


class Full:
    """A full server: two requests run until release()."""

    def __init__(self, server):
        self.server = server
        self.busy = [server.connect() for _ in range(2)]
        for sock in self.busy:
            sock.sendall(get("/?50"))
        time.sleep(0.1)

    def is_full(self):
        with self.server.connect() as sock:
            sock.sendall(get("/"))
            return not select.select([sock, *self.busy], [], [], 0.2)[0]

    def release(self):
        for sock in self.busy:
            sock.close()


@pytest.fixture
def full(serve):
    return lambda server="": Full(serve(FULL.format(server=server)))


def test_a_full_server_answers_what_has_priority(full):
    full = full()
    for _ in range(5):
        assert full.server.get("/static/a.txt")[2] == b"a"
        assert full.server.get("/healthz/ready")[2] == b"|/healthz/ready|0"
    assert full.is_full()  # the others wait as ever
    full.release()
    assert full.server.get("/")[0] == 200


def test_heads_in_pieces(full):
    full = full()
    with full.server.connect() as sock:
        for piece in (b"GET /sta", b"tic/a.txt HTTP/1.1\r\n" + HOST, b"Connection: close\r\n\r\n"):
            sock.sendall(piece)
            time.sleep(0.05)
        assert one(exchange(sock, b""))[2] == b"a" and full.is_full()


def test_head_that_began_before(serve):
    server = serve(FULL.format(server=""))
    with server.connect() as sock:
        sock.sendall(b"GET /static/a.txt HTTP/1.1\r\n" + HOST)
        time.sleep(0.1)
        full = Full(server)
        sock.sendall(b"Connection: close\r\n\r\n")
        assert one(exchange(sock, b""))[2] == b"a" and full.is_full()


def test_a_connection_with_both_kinds(full):
    """Pipelined and one after the other: what has no priority waits, and the server is not fuller than it may be."""
    full = full()
    with full.server.connect() as sock:
        for _ in range(3):
            assert exchange(sock, get("/static/a.txt"), until=b"\r\n\r\na").endswith(b"a")
        sock.sendall(get("/static/a.txt") * 2 + get("/healthz") + get("/last", "Connection: close"))
        received = exchange(sock, b"", until=b"|/healthz|0")
        assert received.count(b"200 OK") == 3 and not select.select([sock], [], [], 0.2)[0] and full.is_full()
        full.release()
        assert exchange(sock, b"").endswith(b"|/last|0")
    assert full.server.get("/")[0] == 200


def test_behind_a_proxy_header(serve):
    server = serve(FULL.format(server="bind = 127.0.0.1:0 proxy-protocol"))
    header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
    busy = [server.connect() for _ in range(2)]
    for sock in busy:
        sock.sendall(header + get("/?50"))
    time.sleep(0.1)
    assert one(server.raw(header + get("/static/a.txt", "Connection: close")))[2] == b"a"
    assert not select.select(busy, [], [], 0)[0]
    for sock in busy:
        sock.close()


@pytest.mark.alone
def test_requests_with_priority_hold_no_place(serve):
    """However many of them run."""
    server = serve(FULL.format(server=""))
    with running(server, *["/healthz?1.5"] * 10) as socks:
        began = time.monotonic()
        assert server.get("/")[0] == 200
        assert time.monotonic() - began < 1
        for sock in socks:
            assert one(exchange(sock, b""))[0] == 200
    threads = [threading.Thread(target=server.get, args=["/?0.3"]) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began > 0.55  # still two at once


def test_bodies_and_priority(full):
    full = full()
    assert full.server.request("POST", "/healthz", {}, b"x" * 100000)[2] == b"|/healthz|100000"
    assert one(full.server.raw(post("/healthz", b"x" * 50, "Connection: close")))[0] == 200
    assert full.is_full()


# ---- mistakes ----


@pytest.mark.parametrize("ini, message", [
    ("[limits /x]\nmax-connections = 1",
     r'2: unknown key "max-connections" in \[limits /x\]; it belongs to \[limits\]'),
    ("[limits /y]\nmax-body-size = 1\n", r"1: \[limits /y\] limits nothing: no section serves these paths"),
    ("[limits b.example/x]\n[limits c.example/x/v]\n", r"2: \[limits c.example/x/v\] limits nothing"),
    ("[limits /x]\n[limits /x/]\n", r"2: \[limits /x\] is given twice"),
    ("[limits x]\n", r'1: bad prefix "x" in \[limits x\]'),
    ("[limits]\npriority = high\n", r'2: unknown key "priority" in \[limits\]'),
    ("[limits /x]\nscript-name = /\n", r'2: unknown key "script-name" in \[limits /x\]'),
    ("[hello /x/z]\nscript-name = y\n", r'2: "script-name = y": expected a path such as /shop, or / for none'),
    ("[hello /x/z]\npriority = low\n", r'2: "priority = low": expected auto, normal or high'),
])
def test_mistakes(run_server, ini, message):
    result = run_server(["-t"], ini + "\n[hello b.example/x]\n[hello /x/w]\n")
    assert result.returncode == 78 and re.search(r"server\.ini:" + message, result.stderr), result.stderr


def test_dump(run_server):
    result = run_server(["-T", "-o", "limits /a.max-body-size=5", "-o", "hello /a.max-concurrency=3"], "[hello /a]\n")
    assert "[limits /a]\nmax-body-size = 5 ; -o limits" in result.stdout
    assert "max-body-size = 5 ; -o limits /a.max-body-size=5\nmax-concurrency = 3 ; -o hello" in result.stdout
    assert "priority = auto ; default\n; script-name is not set\n" in result.stdout
