"""Requests that are ended before their handler returns: request-timeout, and on-disconnect = cancel."""
import os
import re
import select
import time

import pytest

from conftest import exchange
from databases import Postgres
from test_http import get, one, post

APP = """
import asyncio, concurrent.futures, os, queue, select, socket, subprocess, sys, threading, time

finished = []      # what came to its finally block, and with which exception
lock = threading.Lock()
rlock = threading.RLock()
lock.acquire()
a, b = socket.socketpair()
pipe = os.pipe()
never = threading.Event()


def with_lock():
    with lock:
        finished.append('entered')

def rlock_wait():
    with rlock:                     # held while another lock is waited for: it must be released properly
        never.wait()

def condition():
    c = threading.Condition()
    with c:
        c.wait()

def ssl_read():
    import ssl
    context = ssl.create_default_context()
    sock = socket.socket(socket.AF_UNIX)
    left, right = socket.socketpair()
    context.wrap_socket(left, server_hostname='test')

def busy_then_sleep():
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        pass
    time.sleep(30)

def computing():
    end = time.monotonic() + 20
    while time.monotonic() < end:
        sum(range(1000))

def joined():
    thread = threading.Thread(target=never.wait, daemon=True)
    thread.start()
    thread.join()

def swallow():
    try:
        time.sleep(30)
    except Exception:
        finished.append('swallowed')

def nested():
    try:
        time.sleep(30)
    finally:
        time.sleep(0.3)             # cleaning up may wait
        finished.append('cleaned')

def poll():
    p = select.poll()
    p.register(a, select.POLLIN)
    p.poll(30000)

def short():
    time.sleep(0.3)
    finished.append('short')

WAITS = {
    'short': short,
    'computing': computing,
    'sleep': lambda: time.sleep(30),
    'lock': lambda: lock.acquire(),
    'lock_timeout': lambda: lock.acquire(timeout=30),
    'with_lock': with_lock,
    'rlock': rlock_wait,
    'condition': condition,
    'event': lambda: never.wait(30),
    'queue': lambda: queue.Queue().get(),
    'queue_timeout': lambda: queue.Queue().get(timeout=30),
    'recv': lambda: a.recv(1),
    'recv_timeout': lambda: (a.settimeout(30), a.recv(1)),
    'accept': lambda: socket.create_server(('127.0.0.1', 0)).accept(),
    'read': lambda: os.read(pipe[0], 1),
    'file': lambda: open(pipe[0], 'rb', closefd=False).read(1),
    'select': lambda: select.select([a], [], [], 30),
    'poll': poll,
    'epoll': lambda: select.epoll().poll(30),
    'subprocess': lambda: subprocess.run(['sleep', '30']),
    'communicate': lambda: subprocess.run(['sleep', '30'], capture_output=True, text=True),
    'asyncio': lambda: asyncio.run(asyncio.sleep(30)),
    'future': lambda: concurrent.futures.Future().result(),
    'join': joined,
    'ssl': ssl_read,
    'busy': busy_then_sleep,
    'swallow': swallow,
    'nested': nested,
}

class Body:
    def __init__(self, f):
        self.f = f
    def __iter__(self):
        yield b'first'
        self.f()
        yield b'last'
    def close(self):
        finished.append('closed')

def answer(start_response, text):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [text.encode()]

def app(environ, start_response):
    name = environ['PATH_INFO'].strip('/')
    if name == 'finished':
        text = ' '.join(finished)
        finished.clear()
        return answer(start_response, text)
    if name == 'rlock_free':
        with rlock:
            return answer(start_response, 'free')
    if name == 'body/all':
        environ['wsgi.input'].read()
    if name.startswith('body/'):
        while environ['wsgi.input'].read(10):
            time.sleep(float(name[5:]))
        return answer(start_response, 'read')
    if name.startswith('slowly/'):
        start_response('200 OK', [])
        return (b'x' * 1000000 for _ in iter(lambda: time.sleep(float(name[7:])), 1) if len(finished) < 100)
    if name == 'endless':
        start_response('200 OK', [])
        return iter(lambda: b'x' * 100000, None)
    if name == 'begun':
        start_response('200 OK', [])
        return Body(lambda: time.sleep(1))
    if name == 'iterable':
        start_response('200 OK', [])
        return Body(WAITS['sleep'])
    if name == 'caught':
        try:
            time.sleep(30)
        except BaseException as error:
            return answer(start_response, 'caught ' + type(error).__name__)
    try:
        WAITS[name]()
    except BaseException as error:
        finished.append(type(error).__name__)
        raise
    return answer(start_response, 'done')
"""
INI = """
[wsgi /]
app = app:app
request-timeout = 500ms
request-timeout-counts = application
max-body-size = 0
[limits /begun]
request-timeout-counts = response
[wsgi /free]
app = app:app
[limits /body/all]
request-timeout-counts = all
[limits /endless]
request-timeout-counts = all
"""
WAITS = ["sleep", "lock", "lock_timeout", "with_lock", "rlock", "condition", "event", "queue", "queue_timeout", "recv",
         "recv_timeout", "accept", "read", "file", "select", "poll", "epoll", "subprocess",
         "communicate", "asyncio", "future",
         "join", "ssl", "busy"]


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon(INI, {"app.py": APP})


def chunked_pieces(count):
    """Chunks in pieces of 10 bytes."""
    return b"5\r\nxxxxx\r\n" * count + b"0\r\n\r\n"


def finished(server):
    return server.get("/finished")[2].decode().split()


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_is_ended_where_it_is(server, name):
    finished(server)
    log = len(server.log)
    started = time.monotonic()
    status, headers, body = server.get("/" + name)
    assert (status, 0.4 < time.monotonic() - started < 3) == (504, True)
    assert finished(server) == ["RequestTimeout"]
    server.wait_until(lambda: "RequestTimeout: the request has run" in server.log[log:])
    text = server.log[log:]
    assert text.count("RequestTimeout:") == 1 and "app.py" in text and "WAITS[name]()" in text, text
    assert "/finished" not in text


@pytest.fixture(autouse=True)
def nothing_finished(request):
    yield
    for name in ("server", "cancelling"):
        if name in request.fixturenames:
            finished(request.getfixturevalue(name))


def test_code_that_never_waits_is_ended_too(server):
    """It is preempted, and told a second later. C code that keeps the GIL cannot be ended."""
    started = time.monotonic()
    assert server.get("/computing")[0] == 504
    assert 1 < time.monotonic() - started < 5
    assert finished(server) == ["RequestTimeout"]
    assert "event loop blocked" not in server.log
    server.wait_until(lambda: re.search(r"in computing\n(.*\n){1,3}.*RequestTimeout", server.log))


def test_code_that_blocks_the_loop_is_ended_too(daemon):
    """The watchdog (watchdog-timeout) finds it."""
    server = daemon("[server]\ntime-slice = 0\n" + INI, {"app.py": APP})
    assert server.get("/computing")[0] == 504
    assert finished(server) == ["RequestTimeout"]
    server.wait_log("event loop blocked")


def test_the_others_go_on_and_the_worker_lives(server):
    pid = server.worker_pids()
    sockets = []
    for i in range(50):
        sock = server.connect()
        sock.sendall(get("/" + WAITS[i % len(WAITS)].replace("busy", "sleep"), "Connection: close"))
        sockets.append(sock)
    started = time.monotonic()
    for sock in sockets:
        assert one(exchange(sock, b""))[0] == 504
        sock.close()
    assert time.monotonic() - started < 4
    assert server.worker_pids() == pid


def test_1000_at_the_same_moment(server, many_files):
    sockets = [server.connect() for _ in range(1000)]
    for sock in sockets:
        sock.sendall(get("/sleep", "Connection: close"))
    started = time.monotonic()
    for sock in sockets:
        assert sock.recv(12) == b"HTTP/1.1 504"
        sock.close()
    assert time.monotonic() - started < 10
    assert finished(server).count("RequestTimeout") == 1000


def test_locks_are_released_on_the_way_out(server):
    assert server.get("/rlock")[0] == 504
    assert server.get("/rlock_free")[2] == b"free"


def test_except_exception_does_not_swallow_it(server):
    assert server.get("/swallow")[0] == 504
    assert finished(server) == ["RequestTimeout"]


def test_an_application_that_catches_it_may_answer(server):
    assert server.get("/caught")[::2] == (200, b"caught RequestTimeout")


def test_cleaning_up_may_wait(server):
    assert server.get("/nested")[0] == 504
    assert finished(server) == ["cleaned", "RequestTimeout"]


def test_a_body_that_has_begun_is_cut_and_closed(server):
    received = server.raw(get("/iterable"))
    assert received.startswith(b"HTTP/1.1 200") and b"first" in received and not received.endswith(b"0\r\n\r\n")
    server.wait_until(lambda: "closed" in finished(server))


def test_a_response_that_has_begun_goes_on(server):
    """That is the default: streams and WebSockets live on."""
    finished(server)
    status, _, body = server.get("/begun")
    assert (status, body) == (200, b"firstlast") and finished(server) == ["closed"]


def test_a_request_that_waits_for_its_body(server):
    assert one(server.raw(post("/body/all", b"x" * 100)[:-50]))[0] == 504


def drip(sock, data, pauses):
    """Send 10 bytes after each pause, as long as nothing has been answered."""
    for i in range(pauses):
        if select.select([sock], [], [], 0.1)[0]:
            return
        sock.sendall(data[10 * i:10 * i + 10])


def test_waiting_for_the_body_does_not_count(server):
    """The client takes 1.5 s, the request 0.5."""
    with server.connect() as sock:
        message = post("/body/0.001", b"x" * 150, "Connection: close")
        sock.sendall(message[:-150])
        drip(sock, message[-150:], 15)
        assert one(exchange(sock, b""))[::2] == (200, b"read")


@pytest.mark.parametrize("data", [b"x" * 200, chunked_pieces(20)], ids=["sized", "chunked"])
def test_time_of_the_application_counts_between_waits(server, data):
    """It works for 0.1 s after each piece, and is cancelled in the middle."""
    finished(server)
    started = time.monotonic()
    with server.connect() as sock:
        framing = "Content-Length: 200" if data[:1] == b"x" else "Transfer-Encoding: chunked"
        sock.sendall(get("/body/0.1", framing).replace(b"GET", b"POST"))
        drip(sock, data, len(data) // 10)
        assert one(exchange(sock, b""))[0] == 504
    assert time.monotonic() - started > 0.6


def test_body_of_a_script_does_not_count(daemon):
    script = "#!/bin/sh\nn=$(wc -c)\necho Content-Type: text/plain\necho\necho $n\n"
    server = daemon("[cgi /]\nroot = cgi\nrequest-timeout = 400ms\n", {"cgi/s": script})
    with server.connect() as sock:
        message = post("/s", b"x" * 100, "Connection: close")
        sock.sendall(message[:-100])
        drip(sock, message[-100:], 10)
        assert one(exchange(sock, b""))[2].strip() == b"100"


def test_a_slow_reader_does_not_count(server):
    """Nobody reads for three times the request-timeout; then the application has its whole time."""
    with server.connect() as sock:
        log = len(server.log)
        sock.sendall(get("/slowly/0.001"))
        time.sleep(1.5)
        assert "request-timeout exceeded" not in server.log[log:]
        received = 0
        while chunk := sock.recv(1 << 20):  # until it has waited for 0.5 s by itself
            received += len(chunk)
    server.wait_until(lambda: "/slowly/0.001: request-timeout exceeded" in server.log[log:])
    assert received > 3000000


def test_a_client_that_does_not_read(server):
    with server.connect() as sock:
        sock.sendall(get("/endless"))
        server.wait_log("/endless: request-timeout exceeded")
        server.wait_log("/endless.*ended by its request-timeout")
        while sock.recv(1 << 20):
            pass


def test_the_coroutine_is_as_new_afterwards(server):
    """Stacks and thread states are used again; nothing of an interrupt may be left in them."""
    for _ in range(5):
        assert server.get("/sleep")[0] == 504
        assert server.get("/rlock_free")[2] == b"free"
        assert finished(server) == ["RequestTimeout"]


# ---- C libraries and other handlers ----


@pytest.mark.needs("psycopg2")
def test_libpq_waits_by_itself(daemon, tmp_path_factory):
    """It goes on after EINTR, so it gets ECANCELED then; the request ends as with any lost connection."""
    app = ("import psycopg2\ndef app(environ, start_response):\n    connection = psycopg2.connect('')\n"
           "    connection.cursor().execute('select pg_sleep(30)')\n")
    postgres = Postgres()
    try:
        env = {name: str(value) for name, value in postgres.env.items()}
        ini = "[wsgi /]\napp = app:app\nrequest-timeout = 300ms\n"
        server = daemon(ini, {"app.py": app}, env={**os.environ, **env})
        started = time.monotonic()
        assert server.get("/")[0] == 504
        assert time.monotonic() - started < 3
        server.wait_log(r"psycopg2\.\w+Error: .*Operation canceled")
    finally:
        postgres.end()



def test_handlers_in_c(daemon, c_modules):
    server = daemon(f"[server]\nmodule-path = {c_modules}\n[probe /]\nrequest-timeout = 300ms\n[probe /free]\n")
    for path, status in (("/nap?30000", 504), ("/sleep?30000", 200)):  # this one does not care why its sleep ended
        started = time.monotonic()
        assert server.get(path)[0] == status
        assert 0.2 < time.monotonic() - started < 2
    assert server.get("/sleep?100")[2] == b"slept\n"
    assert server.get("/free/sleep?600")[2] == b"slept\n"


def test_cgi(daemon):
    script = "#!/bin/sh\necho $$ >pid\nexec sleep 30\n"
    server = daemon("[cgi /]\nroot = cgi\nrequest-timeout = 300ms\n", {"cgi/s": script})
    (server.dir / "cgi/s").chmod(0o755)
    assert server.get("/s")[0] == 504
    pid = int((server.dir / "cgi/pid").read_text())
    server.wait_until(lambda: not is_running(pid))


def test_cgi_that_has_begun(daemon):
    script = "#!/bin/sh\necho Content-Type: text/plain\necho\necho first\nsleep 0.7\necho last\n"
    server = daemon("[cgi /]\nroot = cgi\nrequest-timeout = 300ms\n", {"cgi/s": script})
    assert server.get("/s")[::2] == (200, b"first\nlast\n")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return " Z " not in file.read()
    except FileNotFoundError:
        return False


# ---- the client leaves ----


@pytest.fixture(scope="module")
def cancelling(shared_daemon):
    return shared_daemon("[limits]\non-disconnect = cancel\n[wsgi /]\napp = app:app\n"
                         "[wsgi /ignore]\napp = app:app\non-disconnect = ignore\n",
                         {"app.py": APP})


@pytest.mark.parametrize("name", ["sleep", "lock", "recv", "queue", "asyncio"])
def test_client_that_leaves(cancelling, name):
    finished(cancelling)
    with cancelling.connect() as sock:
        sock.sendall(get("/" + name))
        with pytest.raises(TimeoutError):
            sock.settimeout(0.1)
            sock.recv(1)
    cancelling.wait_until(lambda: finished(cancelling) == ["ClientGone"])


def test_client_that_has_left_before(cancelling):
    finished(cancelling)
    with cancelling.connect() as sock:
        sock.sendall(get("/sleep"))
    cancelling.wait_until(lambda: finished(cancelling) == ["ClientGone"])


def test_client_that_has_left_before_its_handler_begins(cancelling):
    """While another request holds the loop. It must not wait for the second cancellation, 5 s later."""
    finished(cancelling)
    with cancelling.connect() as holder:
        holder.sendall(get("/busy"))
        for _ in range(3):
            with cancelling.connect() as sock:
                sock.sendall(get("/sleep"))
        started = time.monotonic()
    ended = []
    cancelling.wait_until(lambda: ended.extend(finished(cancelling)) or ended == ["ClientGone"] * 4)
    assert time.monotonic() - started < 3


def test_client_that_leaves_is_ignored_by_default(cancelling):
    with cancelling.connect() as sock:
        sock.sendall(get("/ignore/short"))
    cancelling.wait_until(lambda: finished(cancelling) == ["short"])


def test_client_that_stays(cancelling):
    assert cancelling.get("/finished")[0] == 200
    with cancelling.connect() as sock:
        for _ in range(3):
            assert exchange(sock, get("/finished"), until=b"\r\n\r\n")
