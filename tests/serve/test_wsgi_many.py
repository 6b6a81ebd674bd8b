"""Many requests at once in one worker: what each costs while it waits, and how their number is bounded."""
import re

import pytest

from conftest import TIMEOUT

APP = """
import os, threading, time

inside = most = 0
released = threading.Event()

def watch():
    while not os.path.exists('release'):
        time.sleep(0.1)
    released.set()

threading.Thread(target=watch, daemon=True).start()

def sleep(n):
    '''In time.sleep, with no call before it that would need more stack.'''
    while not released.is_set():
        time.sleep(0.5)
    return n

def wait(n):
    released.wait()
    return n

def visit(n):
    time.sleep(0.01)
    return n

def application(environ, start_response):
    global inside, most
    path, n = environ['PATH_INFO'], environ['QUERY_STRING']
    inside += 1
    most = max(most, inside)
    if path == '/sleep':
        answer = sleep(n)
    elif path == '/event':
        answer = wait(n)
    elif path == '/visit':
        answer = visit(n)
    elif path == '/inside':
        answer = str(inside)
    else:
        answer = str(most)
    inside -= 1
    start_response('200 OK', [('Content-Length', str(len(answer)))])
    return [answer.encode()]
"""

REQUEST = "GET {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\nConnection: close\r\n\r\n"


def answer(sock):
    """Return the body that the server sends."""
    received = b""
    while chunk := sock.recv(4096):
        received += chunk
    assert received.startswith(b"HTTP/1.1 200 "), received
    return received.partition(b"\r\n\r\n")[2].decode()


class Crowd:
    """Requests under way, each on a connection of its own."""

    def __init__(self, server, path, count):
        self.connections = []
        for n in range(count):
            sock = server.connect()
            self.connections.append(sock)
            sock.sendall(REQUEST.format(f"{path}?{n}").encode())

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for sock in self.connections:
            sock.close()

    def answers(self):
        return [answer(sock) for sock in self.connections]


@pytest.mark.limit(120)
def test_10000_requests_in_time_sleep(daemon, many_files):
    """Each is answered, and takes less than 12 KB of resident memory while it sleeps; with CPython 3.14, which needs
    more of the C stack, one page more."""
    count = 10000
    ini = f"[server]\nmax-concurrency = {count + 10}\n[wsgi /]\napp = app"
    server = daemon(ini, {"app.py": APP})
    server.get("/inside")
    before = server.rss()
    with Crowd(server, "/sleep", count) as crowd:
        server.wait_until(lambda: server.get("/inside")[2] == b"%d" % (count + 1), 60)
        each = (server.rss() - before) / count
        print(f"resident bytes for each sleeping request: {each:.0f}")
        (server.dir / "release").touch()
        assert crowd.answers() == [str(n) for n in range(count)]
    is_new = int(server.wait_log(r"CPython 3\.(\d+)")[1]) >= 14
    assert each < 12000 + 4096 * is_new or server.sanitized


def test_memory_of_requests_that_wait_for_each_other(daemon, many_files):
    """In Event.wait, which takes some Python code, they take as little as in time.sleep; CPython 3.10 and 3.14 need
    more of the C stack."""
    count = 1000
    server = daemon(f"[server]\nmax-concurrency = {count + 10}\n[wsgi /]\napp = app", {"app.py": APP})
    server.get("/inside")
    before = server.rss()
    with Crowd(server, "/event", count) as crowd:
        server.wait_until(lambda: server.get("/inside")[2] == b"%d" % (count + 1), 60)
        each = (server.rss() - before) / count
        print(f"resident bytes for each waiting request: {each:.0f}")
        (server.dir / "release").touch()
        assert crowd.answers() == [str(n) for n in range(count)]
    needs_more = int(server.wait_log(r"CPython 3\.(\d+)")[1]) not in (11, 12, 13)
    assert each < 12000 + 6000 * needs_more or server.sanitized


def test_max_concurrency(daemon):
    """That many run at the same time and never more; the others are queued, and none is lost."""
    server = daemon("[server]\nmax-concurrency = 10\n[wsgi /]\napp = app", {"app.py": APP})
    with Crowd(server, "/visit", 200) as crowd:
        assert crowd.answers() == [str(n) for n in range(200)]
    assert server.get("/most")[2] == b"10"


def test_who_waits_for_a_turn_may_leave(daemon):
    """Those queued behind it are served all the same."""
    server = daemon("[server]\nmax-concurrency = 2\n[wsgi /]\napp = app", {"app.py": APP})
    with Crowd(server, "/sleep", 2) as sleepers:
        with Crowd(server, "/visit", 50):
            pass
        with Crowd(server, "/visit", 5) as patient:
            patient.connections[0].settimeout(0.1)
            with pytest.raises(TimeoutError):
                patient.connections[0].recv(1)
            (server.dir / "release").touch()
            patient.connections[0].settimeout(TIMEOUT)
            assert sleepers.answers() + patient.answers() == [*"01", *"01234"]
    assert not re.search(r"\[error\]|\[warn\] (?!.*the workers run as root)", server.log)
