"""WebSockets: refused handshakes, what is ignored after one, compression, the end of a worker, and sockets for
libraries that speak the protocol themselves."""
import os
import signal
import socket
import zlib

import pytest

from test_websocket import HANDSHAKE, KEY, Client, close, frame, said

APP = """
import sys
at_start = "syncless.websocket" in sys.modules
import threading
import syncless

def echo(environ, start_response):
    ws = environ["syncless.websocket"](max_size=100000)
    while True:
        ws.send(ws.recv())

def view(environ, start_response):  # as those of Django and Flask, which return a response
    ws = environ["syncless.websocket"]()
    ws.send("hello")
    write = start_response("200 OK", [("Content-Length", "5")])
    write(b"never")
    return [b"seen"]

def generator(environ, start_response):
    ws = environ["syncless.websocket"]()
    ws.send("hello")
    yield b"never seen"

def stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    yield b"data: begin\\n\\n"
    while not syncless.draining(None if environ["QUERY_STRING"] else 0.05):
        yield b"data: more\\n\\n"
    yield b"data: end\\n\\n"

def caught(environ, start_response):  # as Flask and Django
    try:
        environ["syncless.websocket"]()
    except Exception:
        start_response(environ["QUERY_STRING"].replace("%20", " "), [("Content-Length", "4")])
        return [b"oops"]

def raw(environ, start_response):  # as simple-websocket and Flask-Sock
    sock = environ["gunicorn.socket"]
    sock.send(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n\\r\\n")
    received = threading.Event()
    def receive():
        while data := sock.recv(100):
            sock.send(data.upper())
            if data.endswith(b"."):
                break
        received.set()
    threading.Thread(target=receive).start()
    assert sock.fileno() > 0 and sock.getsockname()
    received.wait()
    if environ["QUERY_STRING"] == "leave":
        return [b"never seen"]
    raise StopIteration

def sockets(environ, start_response):
    body = str(at_start if environ["QUERY_STRING"] else "gunicorn.socket" in environ).encode()
    start_response("200 OK", [])
    return [body]

def application(environ, start_response):
    return globals()[environ["PATH_INFO"][1:]](environ, start_response)
"""
INI = "[server]\nworkers = 1\nshutdown-timeout = 20\n[log]\naccess-log = access\n[wsgi /]\napp = app\n"


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon(INI, {"app.py": APP})


@pytest.fixture
def own_server(daemon):
    server = daemon(INI, {"app.py": APP})
    server.wait_log("#0 all workers are ready")
    return server


# ---- handshakes ----


@pytest.mark.parametrize("change, status, field", [
    (("Version: 13", "Version: 8"), 426, b"Sec-WebSocket-Version: 13"),
    (("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 8"), 426, b"Sec-WebSocket-Version: 13"),
    (("Sec-WebSocket-Version: 13\r\n", ""), 426, b"Upgrade: websocket"),
    (("Upgrade: websocket", "Upgrade: h2c"), 426, b"Connection: Upgrade"),
    (("keep-alive, Upgrade", "keep-alive"), 426, b"Upgrade: websocket"),
    (("HTTP/1.1", "HTTP/1.0"), 426, b"Sec-WebSocket-Version: 13"),
    (("GET ", "POST "), 405, b"Allow: GET"),
    (("GET ", "HEAD "), 405, b"Allow: GET"),
    ((KEY, "c2hvcnQ="), 400, b""),
    ((KEY, KEY + "\r\nSec-WebSocket-Key: " + KEY), 400, b""),
    ((f"Sec-WebSocket-Key: {KEY}\r\n", ""), 400, b""),
    (("Host: x", "Host: x\r\nContent-Length: 3"), 400, b""),
])
def test_handshake_is_refused_as_it_should_be(server, change, status, field):
    """Also if the application does not care."""
    request = HANDSHAKE.format("/echo").replace(*change).encode() + b"abc" * ("Length: 3" in change[1])
    answer = server.raw(request, until=b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status) and field in answer


@pytest.mark.parametrize("answer, status", [("500 Internal Server Error", 426), ("404 Not Found", 404)])
def test_refused_handshake_of_a_framework(server, answer, status):
    """It catches what a view raises, and makes 500 of it; another status is the application's own."""
    request = HANDSHAKE.format("/caught?" + answer.replace(" ", "%20")).replace("Version: 13", "Version: 8").encode()
    answer = server.raw(request, until=b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b"Sec-WebSocket-Version: 13" in answer) == (status == 426)
    assert server.get("/sockets")[2] == b"False"


def test_refused_handshake_leaves_the_connection(server):
    request = HANDSHAKE.format("/echo").replace("Version: 13", "Version: 8").encode()
    answer = server.raw(request + b"GET /sockets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 426") == 1 and answer.endswith(b"False")


@pytest.mark.parametrize("path", ["/view", "/generator"])
def test_response_after_an_upgrade_is_ignored(server, path):
    with Client(server, path) as client:
        assert client.recv() == (1, b"hello")
        assert client.file.read() == b""
    server.wait_until(lambda: f'"GET {path} HTTP/1.1" 101' in (server.dir / "access").read_text())


def test_application_that_does_not_catch_the_end(server):
    """ConnectionClosed is how a WebSocket ends: neither a failure nor a 500."""
    with Client(server, "/echo?end") as client:
        client.send(close(1000))
        assert client.recv() == said(1000) and client.recv() is None
    server.wait_until(lambda: '"GET /echo?end HTTP/1.1" 101' in (server.dir / "access").read_text())
    assert "/echo?end: the application failed" not in server.log


# ---- compression ----


def deflated(data, final=True):
    stream = zlib.compressobj(wbits=-15)
    packed = stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
    return packed[:-4] if final else packed


def inflated(data):
    return zlib.decompress(data + b"\0\0\xff\xff\x03\0", -15)


def compressing(server, offer="permessage-deflate"):
    return Client(server, "/echo", handshake=HANDSHAKE.replace(
        "Version: 13", f"Version: 13\r\nSec-WebSocket-Extensions: {offer}"))


def recv_deflated(client):
    """A frame as client.recv gives it, with its reserved bits before it."""
    first = client.file.peek(1)[0]
    return first & 0x70, *client.recv()


@pytest.mark.parametrize("offer, agreed", [
    ("permessage-deflate", b"permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"),
    ("permessage-deflate; client_max_window_bits", b"permessage-deflate; server_no"),
    ("x-other, permessage-deflate; server_max_window_bits=10", b"; server_max_window_bits=10\r\n"),
    ("permessage-deflate; server_max_window_bits=8, permessage-deflate", b"client_no_context_takeover\r\n"),
    ("permessage-deflate; server_max_window_bits=8", None), ("permessage-deflate; server_max_window_bits=16", None),
    ("permessage-deflate; server_max_window_bits", None), ("permessage-deflate; unknown", None),
    ("permessage-deflate; client_max_window_bits=7", None), ("permessage-bzip2", None),
    ("permessage-deflate; server_no_context_takeover=1", None),
    ("permessage-deflate; client_max_window_bits; client_max_window_bits", None),
])
def test_offers(server, offer, agreed):
    with compressing(server, offer) as client:
        if agreed:
            assert agreed in client.head
        else:
            assert b"Extensions" not in client.head
        client.send(frame(1, b"plain"))
        assert client.recv() == (1, b"plain")


@pytest.mark.parametrize("size", [0, 1, 63, 64, 1000, 99999])
def test_compressed_echo(server, size):
    with compressing(server) as client:
        for _ in range(2):
            client.send(frame(1, deflated(b"*" * size), rsv=4))
            bits, opcode, data = recv_deflated(client)
            assert (bits, opcode, inflated(data) if bits else data) == (0x40 if size >= 64 else 0, 1, b"*" * size)
        noise = os.urandom(1000)
        client.send(frame(2, deflated(noise), rsv=4))
        assert recv_deflated(client) == (0, 2, noise)  # what does not become smaller is sent as it is


def test_compressed_fragments_and_final_blocks(server):
    data = deflated(b"x" * 40000)
    with compressing(server) as client:
        client.send(frame(1, data[:5], final=False, rsv=4), frame(9, b"p"), frame(0, data[5:]))
        assert recv_deflated(client) == (0, 10, b"p")
        assert inflated(client.recv()[1]) == b"x" * 40000
        client.send(frame(1, bytes.fromhex("f348cdc9c9070000"), rsv=4))  # RFC 7692 section 7.2.3.4
        assert client.recv() == (1, b"Hello")


@pytest.mark.parametrize("frames, code", [
    ([frame(1, deflated(b"*" * 100001), rsv=4)], 1009),
    ([frame(2, deflated(b"*" * 30_000_000), rsv=4)], 1009),
    ([frame(2, deflated(b"*" * 60000, False), final=False, rsv=4), frame(0, deflated(b"*" * 60000))], 1009),
    ([frame(2, b"\x03\x00" * 30000, rsv=4)], 1007),
    ([frame(1, b"\xff\xff\xff", rsv=4)], 1007), ([frame(1, deflated(b"\xff"), rsv=4)], 1007),
    ([frame(9, b"x", rsv=4)], 1002), ([frame(1, b"", final=False), frame(0, b"", rsv=4)], 1002),
    ([frame(1, b"x", rsv=2)], 1002),
])
def test_compressed_violations_and_bombs(server, frames, code):
    before = server.rss()
    with compressing(server) as client:
        client.send(*frames)
        opcode, payload = client.recv()
        assert (opcode, payload[:2]) == said(code) and client.recv() is None
    if not server.sanitized:
        assert server.rss() - before < 20_000_000


# ---- the end of a worker ----


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT])
def test_clients_are_told_of_a_reload_or_stop_at_once(own_server, signum):
    with Client(own_server, "/echo") as one, Client(own_server, "/echo") as silent:
        for client in one, silent:
            client.send(frame(1, b"x"))
            assert client.recv() == (1, b"x")
        os.kill(own_server.pid, signum)
        assert one.recv() == silent.recv() == said(1001)
        one.send(frame(1, b"on its way"), close(1001))
        assert one.recv() is None
        silent.send(close(1001))
        assert silent.recv() is None
    if signum != signal.SIGHUP:
        assert own_server.wait_exit() == 0
    assert "the application failed" not in own_server.log


@pytest.mark.parametrize("answers", [True, False])
def test_library_leaves_with_1001(daemon, answers):
    """Between two of its frames; who does not answer is cut."""
    app = f"""
import syncless.websocket
syncless.websocket.CLOSE_TIMEOUT = {10 if answers else 0.2}
""" + """
def application(environ, start_response):
    sock = environ["gunicorn.socket"]
    sock.send(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n\\r\\n")
    frame = b"\\x82\\x7f" + (70000).to_bytes(8, "big") + b"x" * 70000
    for part in frame[:1], frame[1:5], frame[5:60000]:
        sock.sendall(part)
    sock.recv(100)
    while not syncless.draining():
        syncless.sleep(0.01)
    sock.send(frame[60000:])
    while sock.recv(100):
        sock.sendall(b"what comes too late")
    raise StopIteration
"""
    server = daemon(INI.replace("timeout = 20", "timeout = 1h"), {"app.py": app})
    with Client(server) as client:
        client.send(frame(1, b"go on"))
        os.kill(server.pid, signal.SIGTERM)
        assert client.recv() == (2, b"x" * 70000)
        assert client.recv() == said(1001)
        if answers:
            client.send(close(1001))
            client.sock.shutdown(socket.SHUT_WR)
        assert client.recv() is None
    assert server.wait_exit() == 0


def test_client_that_does_not_answer_holds_up_nothing(daemon):
    app = "import syncless.websocket\nsyncless.websocket.CLOSE_TIMEOUT = 0.1\n" + APP
    server = daemon(INI.replace("timeout = 20", "timeout = 1h"), {"app.py": app})
    with Client(server, "/echo") as client:
        client.send(frame(1, b"x"))
        assert client.recv() == (1, b"x")
        os.kill(server.pid, signal.SIGTERM)
        assert client.recv() == said(1001) and client.recv() is None
    assert server.wait_exit() == 0
    assert "the application failed" not in server.log


@pytest.mark.parametrize("how", ["", "?wait"])
def test_streams_learn_that_they_should_end(own_server, how):
    with own_server.connect() as sock:
        sock.sendall(f"GET /stream{how} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        received = b""
        while b"begin" not in received:
            received += sock.recv(1000)
        os.kill(own_server.pid, signal.SIGTERM)
        received += b"".join(iter(lambda: sock.recv(1000), b""))
    assert b"data: end" in received and received.endswith(b"0\r\n\r\n")
    assert own_server.wait_exit() == 0


# ---- sockets for libraries ----


@pytest.mark.parametrize("how", ["", "?leave"])
def test_socket_for_libraries(server, how):
    handshake = HANDSHAKE.format("/raw" + how).encode()
    with server.connect() as sock:
        sock.sendall(handshake)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1000)
        assert answer.startswith(b"HTTP/1.1 101 ") and b"Date" not in answer
        sock.sendall(b"hello")
        assert sock.recv(100) == b"HELLO"
        sock.sendall(b"enough.")
        assert b"".join(iter(lambda: sock.recv(100), b"")) == b"ENOUGH."
    server.wait_until(lambda: f'"GET /raw{how} HTTP/1.1" 101' in (server.dir / "access").read_text())
    assert "the application failed" not in server.log


def test_socket_gives_what_came_with_the_handshake(server):
    answer = server.raw(HANDSHAKE.format("/raw").encode() + b"early.")
    assert answer.endswith(b"\r\n\r\nEARLY.")


def test_the_module_is_imported_before_the_application(server):
    """So that the first client waits no longer than the others."""
    assert server.get("/sockets?start")[2] == b"True"


def test_only_upgrades_have_the_socket(server):
    assert server.get("/sockets")[2] == b"False"
    assert server.get("/sockets", {"Connection": "Upgrade", "Upgrade": "websocket"})[2] == b"True"


FLASK = """
from flask import Flask, request
app = Flask(__name__)

@app.route("/chat", websocket=True)
def chat():
    ws = request.environ["syncless.websocket"]()
    for message in ws:
        ws.send(message)
    return ""
"""

DJANGO = """
import django
from django.conf import settings
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x",
                   MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
                               "django.middleware.gzip.GZipMiddleware"])
django.setup()
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

def chat(request):
    ws = request.META["syncless.websocket"]()
    for message in ws:
        ws.send(message)
    return HttpResponse()

urlpatterns = [path("chat", chat)]
app = get_wsgi_application()
"""


@pytest.mark.parametrize("source", [pytest.param(FLASK, marks=pytest.mark.needs("flask"), id="flask"),
                                    pytest.param(DJANGO, marks=pytest.mark.needs("django"), id="django")])
def test_recipes(daemon, source):
    """Those of docs/package.md."""
    server = daemon(INI.replace("app = app", "app = site_app:app"), {"site_app.py": source})
    with Client(server, "/chat") as client:
        client.send(frame(1, b"hello"))
        assert client.recv() == (1, b"hello")
        client.send(close(1000))
        assert client.recv() == said(1000) and client.recv() is None
    server.wait_until(lambda: '"GET /chat HTTP/1.1" 101' in (server.dir / "access").read_text())
    request = HANDSHAKE.format("/chat").replace("Version: 13", "Version: 8").encode()
    answer = server.raw(request, until=b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 426 ") and b"Sec-WebSocket-Version: 13" in answer


@pytest.mark.needs("simple_websocket")
def test_simple_websocket(daemon):
    app = """
import simple_websocket
def application(environ, start_response):
    ws = simple_websocket.Server(environ, ping_interval=5)
    assert ws.mode == "gunicorn"
    try:
        while True:
            ws.send("got " + ws.receive())
    except simple_websocket.ConnectionClosed:
        raise StopIteration
"""
    server = daemon(INI, {"app.py": app})
    with Client(server) as client:
        client.send(frame(1, b"one"))
        assert client.recv() == (1, b"got one")
        client.send(close(1000))
        assert client.recv() == said(1000)
    server.wait_until(lambda: "101" in (server.dir / "access").read_text())
    assert "failed" not in server.log
