"""WebSockets: frames by hand in the manner of the Autobahn suite, python3-websockets, and Chromium."""
import asyncio
import os
import struct
import subprocess

import pytest

from conftest import TIMEOUT

APP = """
import time
import syncless

said = []

def outcome(function, *args):
    try:
        return repr(function(*args))
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def application(environ, start_response):
    path = environ["PATH_INFO"]
    try:
        max_size = 1 << 16 if path == "/small" else 1 << 24
        pings = dict(ping_interval=0.15, ping_timeout=0.3) if path == "/pinged" else {}
        ws = environ["syncless.websocket"](subprotocols=["chat", "echo"], max_size=max_size, **pings)
    except ValueError as error:
        start_response("400 Bad Request", [])
        return [str(error).encode()]
    if path == "/close":
        ws.close(3001, "because")
        try:
            ws.send("after")
        except ConnectionError as error:
            print("closed:", error, ws.closed, flush=True)
        return []
    if path == "/ticker":
        def tick():
            for n in range(5):
                ws.send(str(n))
                time.sleep(0.02)
        ticker = syncless.spawn(tick)
        print("received:", ws.recv(), flush=True)
        ticker.join()
        return []
    if path == "/fail":
        1 / 0
    if path == "/idle":
        while True:
            with syncless.Timeout(0.05, False):
                ws.send("heard " + ws.recv())
                return []
            ws.send("idle")
    if path == "/left-behind":
        def receive():
            try:
                ws.recv()
            except ConnectionError as error:
                open("left-behind", "w").close()
                print("left behind:", error, flush=True)
            time.sleep(0.01)
            print("it goes on", flush=True)
        syncless.spawn(receive)
        syncless.sleep(0.01)
        return []
    if path == "/two-receivers":
        receivers = [syncless.spawn(ws.recv) for _ in range(2)]
        ws.send(" ".join(receiver.get() for receiver in receivers))
        return []
    if path == "/misuse":
        syncless.run_in_thread(lambda: said.append(outcome(ws.send, "x")))
        said.append(outcome(lambda: start_response("200 OK", [("Content-Length", "7")])(b"ignored")))
        said.append(outcome(environ["syncless.websocket"]))
        for line in said:
            ws.send(line)
        said.clear()
        return []
    if path == "/name":
        ws.send(str(ws.subprotocol))
    for message in ws:
        ws.send(message)
    print("over", path, flush=True)
    return []
"""

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = ("GET {} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
             f"Sec-WebSocket-Key: {KEY}\r\n"
             "Sec-WebSocket-Version: 13\r\n\r\n")


class Client:
    """A client that sends any frames."""

    def __init__(self, server, path="/", handshake=HANDSHAKE, early=b""):
        self.sock = server.connect()
        self.sock.sendall(handshake.format(path).encode() + early)
        self.file = self.sock.makefile("rb")
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            line = self.file.readline()
            assert line, self.head
            self.head += line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def send(self, *frames, at_once=1 << 20):
        data = b"".join(frames)
        for at in range(0, len(data), at_once):
            self.sock.sendall(data[at:at + at_once])

    def recv(self):
        """(opcode, payload) of a frame, which a server neither masks nor fragments here; None at the end."""
        head = self.file.read(2)
        if len(head) < 2:
            return None
        assert head[0] & 0x80 and not head[1] & 0x80
        size = head[1]
        if size >= 126:
            size, = struct.unpack("!H" if size == 126 else "!Q", self.file.read(2 if size == 126 else 8))
        return head[0] & 15, self.file.read(size)


def frame(opcode, data=b"", final=True, masked=True, rsv=0):
    size, bit = len(data), 128 if masked else 0
    head = bytes([final << 7 | rsv << 4 | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += struct.pack("!BH", bit | 126, size)
    else:
        head += struct.pack("!BQ", bit | 127, size)
    if not masked:
        return head + data
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))


def close(code=None, reason=b""):
    return frame(8, b"" if code is None else struct.pack("!H", code) + reason)


def said(code):
    return 8, struct.pack("!H", code)


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon("[wsgi /]\napp = app\n", {"app.py": APP})


def test_handshake(server):
    """The example of RFC 6455 section 1.3; the first frames may come with it."""
    with Client(server, early=frame(1, b"early") + frame(2, b"bird")) as client:
        assert client.head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        for field in (b"Upgrade: websocket", b"Connection: Upgrade",
                      b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="):
            assert b"\r\n" + field + b"\r\n" in client.head
        assert [client.recv(), client.recv()] == [(1, b"early"), (2, b"bird")]


@pytest.mark.parametrize("change", [("Version: 13", "Version: 8"), (KEY, "c2hvcnQ="), (KEY, "no base64!"),
                                    ("Upgrade: websocket", "Upgrade: h2c"), ("HTTP/1.1", "HTTP/1.0"),
                                    ("Connection: keep-alive, Upgrade", "Connection: keep-alive"),
                                    ("Host: x", "Host: x\r\nContent-Length: 0")])
def test_no_handshake(server, change):
    answer = server.raw(HANDSHAKE.format("/").replace(*change).encode(), until=b"\r\n\r\n", shutdown=True)
    assert answer.startswith(b"HTTP/1.1 101" if "Content-Length" in change[1] else b"HTTP/1.1 400"), answer


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 1000000])
@pytest.mark.parametrize("at_once", [1 << 20, 997])
def test_echo(server, size, at_once):
    with Client(server) as client:
        for opcode, data in (1, b"*" * size), (2, os.urandom(size)):
            client.send(frame(opcode, data), at_once=at_once)
            assert client.recv() == (opcode, data)
        client.send(close(1000))
        assert client.recv() == said(1000) and client.recv() is None


def test_pings_and_fragments(server):
    with Client(server) as client:
        client.send(frame(9, b"p" * 125), frame(9), frame(10, b"unasked"))
        assert [client.recv(), client.recv()] == [(10, b"p" * 125), (10, b"")]
        client.send(frame(1, b"one ", final=False), frame(9, b"between"), frame(0, b"", final=False), frame(0, b"two"))
        assert [client.recv(), client.recv()] == [(10, b"between"), (1, b"one two")]
        text = "\u03ba\u1f79\u03c3\u03bc\u03b5 \U0001f600".encode()
        last = len(text) - 1
        frames = [frame(1 if n == 0 else 0, text[n:n + 1], final=n == last) for n in range(len(text))]
        client.send(*frames, at_once=1)
        assert client.recv() == (1, text)


@pytest.mark.parametrize("frames, code", [
    ([frame(1, b"x", rsv=1)], 1002), ([frame(2, b"x", rsv=4)], 1002),
    ([frame(3)], 1002), ([frame(7)], 1002), ([frame(11)], 1002),
    ([frame(9, b"x" * 126)], 1002), ([frame(9, final=False)], 1002), ([frame(8, b"x")], 1002),
    ([frame(1, b"x", masked=False)], 1002), ([frame(0, b"x")], 1002), ([frame(0, b"x", final=False)], 1002),
    ([frame(1, b"x", final=False), frame(1, b"y")], 1002),
    ([frame(1, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80")], 1007), ([frame(1, b"\xff", final=False), frame(0, b"x")], 1007),
    ([close(999)], 1002), ([close(1004)], 1002), ([close(1005)], 1002), ([close(1006)], 1002), ([close(1016)], 1002),
    ([close(2999)], 1002),
    ([close(5000)], 1002), ([close(1000, b"\xff")], 1007),
])
def test_violations(server, frames, code):
    with Client(server) as client:
        client.send(*frames)
        opcode, payload = client.recv()
        assert (opcode, payload[:2]) == said(code) and client.recv() is None


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 3000, 4999])
def test_closed_by_the_client(server, code):
    with Client(server) as client:
        client.send(close(code, b"reason"))
        assert client.recv() == said(code) and client.recv() is None


def test_closed_without_a_code_or_a_word(server):
    before = server.log.count("over /end")
    with Client(server, "/end") as client:
        client.send(close())
        assert client.recv() == (8, b"") and client.recv() is None
    Client(server, "/end").__exit__()
    server.wait_log("over /end", count=before + 2)


def test_closed_by_the_application(server):
    with Client(server, "/close") as client:
        assert client.recv() == (8, struct.pack("!H", 3001) + b"because")
        client.send(frame(1, b"on its way"), close(3001))
        assert client.recv() is None
    server.wait_log("closed: the WebSocket is closed: 3001 True")


def test_limits(server):
    with Client(server, "/small") as client:
        client.send(frame(2, b"x" * 65536))
        assert client.recv()[0] == 2
        client.send(frame(2, b"x" * 65000, final=False), frame(0, b"x" * 537))
        assert client.recv()[1][:2] == struct.pack("!H", 1009)
    with Client(server, "/small") as client:
        client.send(b"\x82\xff" + struct.pack("!Q", 1 << 62))
        assert client.recv()[1][:2] == struct.pack("!H", 1009)


def test_another_coroutine_sends(server):
    with Client(server, "/ticker") as client:
        assert [client.recv() for _ in range(5)] == [(1, b"%d" % n) for n in range(5)]
        client.send(frame(1, b"enough"))
        assert client.recv() is None
    server.wait_log("received: enough")


def test_a_timeout_around_recv_loses_nothing(server):
    """It may expire anywhere in a frame: in the head, the mask, the payload, between two fragments."""
    data = frame(1, b"a" * 200, final=False) + frame(0, b"b" * 70000)
    with Client(server, "/idle") as client:
        for at, end in [(0, 1), (1, 3), (3, 6), (6, 100), (100, 209), (209, 300)]:
            client.send(data[at:end])
            assert client.recv() == (1, b"idle")
        client.send(data[300:])
        while (message := client.recv()) == (1, b"idle"):
            pass
        assert message == (1, b"heard " + b"a" * 200 + b"b" * 70000)


def test_silent_clients_are_pinged(server):
    """One that answers stays, and pings do not disturb its messages; one that does not is gone."""
    with Client(server, "/pinged") as client:
        for n in range(3):
            assert client.recv() == (9, b"")
            client.send(frame(10))
        client.send(frame(1, b"one", final=False))
        assert client.recv() == (9, b"")
        client.send(frame(0, b" two"))
        assert client.recv() == (1, b"one two")
        assert client.recv() == (9, b"")
        assert client.recv() is None
    server.wait_log("over /pinged")


def test_a_coroutine_that_receives_when_the_request_ends_is_woken(server):
    with Client(server, "/left-behind") as client:
        assert client.recv() is None
        assert (server.dir / "left-behind").exists()  # before the connection is closed, not after
    server.wait_log("left behind: .*the client is gone")
    server.wait_log("it goes on")


def test_two_coroutines_receive_in_turns(server):
    with Client(server, "/two-receivers") as client:
        client.send(frame(1, b"one"))
        client.send(frame(1, b"two"))
        assert client.recv() == (1, b"one two")


def test_misuse(server):
    with Client(server, "/misuse") as client:
        assert client.recv()[1] == (b"RuntimeError: a WebSocket works on coroutines only; "
                                    b"this is an OS thread (or a forked child)")
        assert client.recv()[1] == b"None"  # it is ignored, since views of frameworks must return a response
        assert client.recv()[1] == b"ValueError: the response has begun: it is too late for a WebSocket"


def test_many_fragments_cost_no_more_than_their_bytes(server):
    """They once did, by the square of their number: 60000 took half a minute."""
    with Client(server) as client:
        client.send(frame(2, b"x", final=False), *[frame(0, b"x", final=False)] * 60000, frame(0, b"x"))
        assert client.recv() == (2, b"x" * 60002)


def test_failing_application(server):
    with Client(server, "/fail") as client:
        assert client.recv() is None
    server.wait_log("GET /fail: the application failed")


def test_websockets_library(server):
    """python3-websockets, with its masks, fragments and pings; fifty at once."""
    import websockets

    async def talk(n):
        uri = f"ws://127.0.0.1:{server.port}/name"
        async with websockets.connect(uri, subprotocols=["none", "echo"], max_size=None) as client:
            assert await client.recv() == "echo" == client.subprotocol
            await client.send(f"text {n}")
            assert await client.recv() == f"text {n}"
            await client.send([b"frag", b"ments" * 50000])
            assert await client.recv() == b"frag" + b"ments" * 50000
            await (await client.ping(b"ping"))
        return client.close_code

    async def all_talk():
        return await asyncio.wait_for(asyncio.gather(*(talk(n) for n in range(50))), TIMEOUT * 2)

    assert asyncio.run(all_talk()) == [1000] * 50


def test_chromium(program_url, tmp_path):
    """The page of examples/programs/websocket_server.py, in a real browser."""
    done = subprocess.run(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                           f"--user-data-dir={tmp_path}", "--virtual-time-budget=3000", "--dump-dom",
                           program_url + "#Syncless"], text=True, timeout=50,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert "<li>sselcnyS</li>" in done.stdout


@pytest.fixture
def program_url():
    from test_programs import Program
    one = Program("websocket_server", "127.0.0.1:0")
    yield one.wait_for(r"serving on (http://\S+)")[1]
    one.end()
