"""Requests whose C code computes upon a thread of the pool, while the worker goes on: what sees them, and what ends."""
import time

import pytest

APP = """
import hashlib, os, time

def compute(rounds):
    hashlib.pbkdf2_hmac('sha256', b'password', b'salt', rounds)

def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/hog':
        os.write(2, b'begun\\n')
        compute(1 << 30)
    elif path == '/work':
        compute(int(environ['QUERY_STRING']))
    start_response('200 OK', [('Content-Length', '2')])
    return [b'ok']
"""
LOG = "[log]\naccess-log = access.log\nlog-format = %(cpu_us) %(wait_us)\n"


def begin_hog(server):
    sock = server.connect()
    sock.sendall(b"GET /hog HTTP/1.1\r\nHost: x\r\n\r\n")
    server.wait_log("^begun")
    return sock


@pytest.fixture
def start(daemon):
    def start():
        return daemon(f"[wsgi /]\napp = app:app\n[server]\nshutdown-timeout = 200ms\n{LOG}", {"app.py": APP})
    return start


def test_others_are_served_meanwhile(start):
    server = start()
    with begin_hog(server):
        began = time.monotonic()
        assert [server.get("/")[2] for _ in range(50)] == [b"ok"] * 50
        assert time.monotonic() - began < 5
        assert "event loop blocked" not in server.log


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
