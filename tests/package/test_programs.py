"""Each program of examples/programs, run as its README says: what it prints, and that the dots went on."""
import os
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from databases import MariaDB
from scripts import PYTHON, ROOT, TIMEOUT, certificate

PROGRAMS = ROOT / "examples/programs"


class Program:
    """A program that runs, with a pipe as standard input. It is ended after the test."""

    def __init__(self, name, *arguments):
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self.process = subprocess.Popen([PYTHON, PROGRAMS / (name + ".py"), *map(str, arguments)], env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.guard = threading.Timer(TIMEOUT, self.process.kill)
        self.guard.start()
        self.output = ""

    def wait_for(self, pattern):
        """Return the first match in what it prints."""
        while not (match := re.search(pattern, self.output)):
            chunk = os.read(self.process.stdout.fileno(), 4096)
            assert chunk, f"no {pattern!r} in:\n{self.output}"
            self.output += chunk.decode(errors="replace")
        return match

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def finish(self):
        """Return all that it printed; it must exit with 0."""
        self.process.stdin.close()
        self.output += self.process.stdout.read().decode(errors="replace")
        assert self.process.wait(TIMEOUT) == 0, self.output
        return self.output

    def end(self):
        self.guard.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if not self.process.stdin.closed:
            self.process.stdin.close()


@pytest.fixture
def program():
    running = []

    def start(*arguments):
        running.append(Program(*arguments))
        return running[-1]

    yield start
    for one in running:
        one.end()


def fetch(url, data=None, **options):
    try:
        with urllib.request.urlopen(url, data, timeout=TIMEOUT, **options) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def dots(output):
    return sum(map(len, re.findall(r"\.+", output)))


def test_each_has_a_test():
    here = open(__file__).read()
    names = {path.stem for path in PROGRAMS.glob("*.py")} - {"ticker"}
    assert {name for name in names if f'"{name}"' not in here} == set()
    assert {name for name in names if f"{name}.py" not in (PROGRAMS / "README.md").read_text()} == set()


def test_multi_read_timeout(program):
    one = program("multi_read_timeout", 0.3)
    one.say("a\nb\nc\n")
    one.wait_for("by_call: ")
    one.wait_for("by_channel: too late")
    one.say("1\n2\n3\n")
    output = one.finish()
    assert "by_call: ['a', 'b', 'c']\n" in output and "by_with: ['1', '2', '3']\n" in output
    silent = program("multi_read_timeout", 0.05)
    silent.wait_for("by_with: too late")
    assert silent.finish().count("too late") == 3


@pytest.mark.parametrize("name, expected", [
    ("select_wait", r"select: 0 after a time, 1 in the end[\s\S]*poll: 0 .*1 in[\s\S]*epoll: 0 .*1 in[\s\S]*"
                    r"selectors: 0 .*1 in"),
    ("popen", r"line 1\n[\s\S]*line 2\n[\s\S]*line 3\n[\s\S]*status 0xa00\n"),
    ("subprocesses", r"\[0, 1, 2, 3, 4, 5, 6, 7, 8, 9\] 10 children, side by side\n"),
    ("thread_pool", r"4 threads: 1 times[\s\S]*3 threads: 2 times[\s\S]*\['\w{8}', '\w{8}', 'no 3', '\w{8}'\]\n"),
    ("fork", r"child: 2242800 bytes\n[\s\S]*parent: 2242800 bytes, status of the child 0\n"),
])
def test_beside_the_dots(program, name, expected):
    output = program(name).finish()
    assert re.search(expected, output), output
    assert dots(output) >= (0 if name == "fork" else 3)


def test_sqlite_progress(program):
    numbers = re.search(r"others waited ([\d.]+) s, with run_in_thread ([\d.]+) s", program("sqlite_progress").finish())
    assert float(numbers[1]) > float(numbers[2])


def test_heartbeat(program):
    one = program("heartbeat", 0, 0.2)
    with socket.create_connection(("127.0.0.1", int(one.wait_for(r"port (\d+)")[1])), TIMEOUT) as sock:
        sock.sendall(b"echo\n")
        file = sock.makefile()
        assert [file.readline() for _ in range(3)] == ["echo\n", "heart-beat\n", "heart-beat\n"]


def test_chat(program):
    one = program("chat", 0)
    port = int(one.wait_for(r"port (\d+)")[1])
    address = ("127.0.0.1", port)
    with socket.create_connection(address, TIMEOUT) as a, socket.create_connection(address, TIMEOUT) as b:
        one.wait_for("guest2 has come")
        lines = b.makefile()
        a.sendall(b"/nick alice\nhello\n")
        said = []
        while "alice: hello\n" not in said:
            said.append(lines.readline())
        assert "guest1 is alice now\n" in said
        one.say("from the console\n")
        assert lines.readline() == "console: from the console\n"
    one.wait_for("alice has left")
    one.finish()


def test_clients(program, certificate):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = program("tcp_client", "127.0.0.1", listener.getsockname()[1])
        with listener.accept()[0] as sock:
            client.wait_for(r"\.\.\.")
            sock.sendall(b"220 ready\n")
        assert "220 ready\n" in client.finish()
    server = program("ssl_server", *certificate, 0)
    port = server.wait_for(r"port (\d+)")[1]
    said = program("ssl_client", "127.0.0.1", port, certificate[0]).finish()
    assert re.search(r"You speak TLSv1.\d with \w+\.\n.*localhost", said)
    said = program("https_client", f"https://127.0.0.1:{port}/", certificate[0]).finish()
    assert re.search(r"200 \d+ bytes\n$", said)


@pytest.mark.parametrize("name", ["http_handlers", pytest.param("cherrypy_class", marks=pytest.mark.needs("cherrypy")),
                                  pytest.param("webpy_application", marks=pytest.mark.needs("web"))])
def test_http_servers(program, name):
    one = program(name, "127.0.0.1:0")
    url = one.wait_for(r"serving on (http://\S+)")[1]
    began = time.monotonic()
    answers = []
    clients = [threading.Thread(target=lambda: answers.append(fetch(url + "sleep")[0])) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert answers == [200] * 8 and time.monotonic() - began < 2
    if name == "http_handlers":
        assert fetch(url, b"post") == (200, "POST") and fetch(url + "x?y=%20") == (200, "You asked for /x?y=%20.\n")
    else:
        assert fetch(url + "?name=you") == (200, "Hello, you!\n")


@pytest.mark.parametrize("secure", [False, True])
def test_demo(program, secure):
    """The original's flagship: HTTP and a chat on standard input, which is idle in the end."""
    one = program("demo", "--address", "127.0.0.1:0", "--idle", 1, *(["-s"] if secure else []))
    url = one.wait_for(r"serving on (http\S+)")[1]
    context = ssl._create_unverified_context() if secure else None
    one.say("Syncless\n")
    one.wait_for("Hello, Syncless!")
    assert fetch(url + "hello", context=context) == (200, "Hello, World!\n")
    assert fetch(url + "a?h=localhost", context=context) == (200, "127.0.0.1\n")
    one.wait_for("You are so silent")
    assert "Bye!" in one.finish()


def test_wsgiapp(program):
    """The misbehaving application: what it gets wrong ends its own request only."""
    one = program("wsgiapp", "127.0.0.1:0")
    url = one.wait_for(r"serving on (http://\S+)")[1]
    host, port = url.rstrip("/").split("//")[1].split(":")
    assert fetch(url + "write") == (200, "foobarbaz\n")
    for bad in "badstatus", "badhead", "badresp", "badread", "badbody", "raise", "exit":
        assert fetch(url + bad)[0] == 500, bad
    assert fetch(url + "long") == (200, "too l")
    assert fetch(url + "parsesize", b"x" * 12345) == (200, "12345 bytes\n")
    for cut in "short", "late":
        with socket.create_connection((host, int(port)), TIMEOUT) as sock:
            sock.sendall(f"GET /{cut} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = b"".join(iter(lambda: sock.recv(4096), b""))
            assert answer.startswith(b"HTTP/1.1 200") and not answer.endswith(b"0\r\n\r\n"), answer
    with socket.create_connection((host, int(port)), TIMEOUT) as sock:
        sock.sendall(b"GET /infinite HTTP/1.1\r\nHost: x\r\n\r\n")
        got = 0
        while got < 1000000:
            got += len(sock.recv(65536))
    assert fetch(url + "hello") == (200, "Hello, World!\n")


@pytest.mark.needs("asyncore")
def test_asyncore(program):
    one = program("asyncore_server", 0, 3)
    port = one.wait_for(r"port (\d+)")[1]
    one.wait_for(r"\.\.\.")
    assert [fetch(f"http://127.0.0.1:{port}/") for _ in range(3)] == [(200, "Hello from asyncore!\n")] * 3
    assert "served 3" in one.finish()


@pytest.mark.needs("pymysql")
def test_mysql(program):
    server = MariaDB()
    try:
        output = program("mysql", server.socket).finish()
    finally:
        server.end()
    assert re.search("1000 queries, True\n$", output), output
    assert dots(output) >= 3


@pytest.mark.parametrize("name, text", [
    pytest.param("twisted_site", "Hello from Twisted, /!\n", marks=pytest.mark.needs("twisted")),
    pytest.param("tornado_site", "Hello from Tornado!\n", marks=pytest.mark.needs("tornado"))])
def test_loops(program, name, text):
    """The dots go on, and the answers come side by side."""
    one = program(name, 0, 5)
    port = one.wait_for(r"port (\d+)")[1]
    one.wait_for(r"\.\.\.")
    answers = []
    clients = [threading.Thread(target=lambda: answers.append(fetch(f"http://127.0.0.1:{port}/"))) for _ in range(5)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert answers == [(200, text)] * 5
    assert "served 5" in one.finish()


def test_websocket_server(program):
    """test_websocket.py has the browser; here the page and the refusal."""
    url = program("websocket_server", "127.0.0.1:0").wait_for(r"serving on (http://\S+)")[1]
    assert "new WebSocket" in fetch(url)[1]
    assert fetch(url + "socket") == (400, "the request does not ask for a WebSocket\n")
