"""Requests whose C code computes upon a thread of the pool, while the worker goes on: what sees them, and what ends."""
import time

import pytest

APP = """
import hashlib, os, sqlite3, time

def compute(rounds):
    hashlib.pbkdf2_hmac('sha256', b'password', b'salt', rounds)

def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/hog':
        os.write(2, b'begun\\n')
        compute(1 << 30)
    elif path == '/query':
        os.write(2, b'begun\\n')
        sqlite3.connect(':memory:').execute('''
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n''').fetchall()
    elif path == '/work':
        compute(int(environ['QUERY_STRING']))
    start_response('200 OK', [('Content-Length', '2')])
    return [b'ok']
"""
LOG = "[log]\naccess-log = access.log\nlog-format = %(cpu_us) %(wait_us)\n"


def begin_hog(server, path="/hog", nth=1):
    sock = server.connect()
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    server.wait_log("^begun", count=nth)
    return sock


@pytest.fixture
def start(daemon):
    def start(extra=""):
        return daemon(f"[wsgi /]\napp = app:app\n[server]\nshutdown-timeout = 200ms\n{LOG}{extra}", {"app.py": APP})
    return start


def test_others_are_served_meanwhile(start):
    server = start()
    with begin_hog(server):
        began = time.monotonic()
        assert [server.get("/")[2] for _ in range(50)] == [b"ok"] * 50
        assert time.monotonic() - began < 5
        assert "event loop blocked" not in server.log


def test_locks_of_those_that_compute(start):
    """Two queries lock the allocator of sqlite3 all the time, and so each other out."""
    server = start()
    with begin_hog(server, "/query"), begin_hog(server, "/query", 2):
        time.sleep(0.2)
        began = time.monotonic()
        assert [server.get("/")[2] for _ in range(50)] == [b"ok"] * 50
        assert time.monotonic() - began < 5
        assert "event loop blocked" not in server.log


@pytest.mark.limit(40)
def test_request_that_nothing_can_end(start):
    """Its worker is replaced, and serves others until then."""
    server = start("[limits]\nrequest-timeout = 300ms")
    old = server.worker_pids()
    with begin_hog(server) as sock:
        server.wait_log("GET /hog: it is past its request-timeout, computes upon a thread", timeout=20)
        server.wait_until(lambda: set(server.worker_pids()).isdisjoint(old))
        assert sock.recv(1) == b""
        assert server.get("/")[2] == b"ok"


def test_cpu_time(start):
    server = start()
    server.get("/work?200000")
    server.stop()
    cpu, wait = map(int, (server.dir / "access.log").read_text().split())
    assert cpu > 10000 and cpu > wait, (cpu, wait)


@pytest.mark.parametrize("signum", [2, 15])
def test_stop(start, signum):
    server = start()
    with begin_hog(server):
        began = time.monotonic()
        server.stop(signum)
        assert time.monotonic() - began < 9, server.log


def test_reload(start):
    server = start()
    old = server.worker_pids()
    with begin_hog(server):
        server.process.send_signal(1)
        server.wait_until(lambda: set(server.worker_pids()).isdisjoint(old))
        assert server.get("/")[2] == b"ok"
