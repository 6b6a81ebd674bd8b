"""Limits for connections that an application opens: [outbound PEER]."""
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from conftest import ROOT, wait_until
from databases import Postgres
from test_http import get

APP = """
import errno, os, socket, threading, time, urllib.parse

kept = []

def tcp(port):
    return socket.create_connection(('127.0.0.1', int(port)))

def with_timeout(port):                 # O_NONBLOCK, as libraries set it
    return socket.create_connection(('127.0.0.1', int(port)), timeout=10)

def by_name(port):
    return socket.create_connection(('localhost', int(port)))

def by_old_name(port):
    sock = socket.socket()
    sock.connect((socket.gethostbyname('localhost'), int(port)))
    return sock

def unix(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return sock

def copied(port):
    sock = tcp(port)
    copy = sock.dup()
    sock.close()
    spare = os.open('/dev/null', os.O_RDONLY)
    os.dup2(copy.fileno(), spare)
    copy.close()
    return socket.socket(fileno=spare)

def on_thread(port):
    result = []
    def run():
        try:
            result.append(with_timeout(port))
        except OSError as error:
            result.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]

def again_and_again(port):
    sock = socket.socket()
    sock.setblocking(False)
    while (error := sock.connect_ex(('127.0.0.1', int(port)))) not in (0, errno.EISCONN):
        assert error in (errno.EINPROGRESS, errno.EALREADY), error
        time.sleep(0.001)
    return sock

def datagram(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(('127.0.0.1', int(port)))
    return sock

def app(environ, start_response):
    how, where, seconds = urllib.parse.unquote(environ['QUERY_STRING']).split(',')
    try:
        began = time.monotonic()
        sock = globals()[how](where)
        waited = time.monotonic() - began
        time.sleep(float(seconds))
        if environ['PATH_INFO'] == '/keep':
            kept.append(sock)
        elif environ['PATH_INFO'] == '/lose':
            os.closerange(sock.fileno(), sock.detach() + 1)  # by close_range(2), which is not interposed
        else:
            sock.close()
        text = 'ok %.3f' % waited
    except OSError as error:
        text = errno.errorcode.get(error.errno, repr(error))
    start_response('200 OK', [])
    return [text.encode()]
"""


class Peer:
    """A server that accepts connections and waits for their end. most: at once."""

    def __init__(self, address, family=socket.AF_INET):
        self.sock = socket.socket(family)
        self.sock.bind(address)
        self.sock.listen(1000)
        self.port = address if family == socket.AF_UNIX else self.sock.getsockname()[1]
        self.lock = threading.Lock()
        self.open = self.most = self.total = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock = self.sock.accept()[0]
            except OSError:
                return
            with self.lock:
                self.open += 1
                self.total += 1
                self.most = max(self.most, self.open)
            threading.Thread(target=self.wait_for_end, args=[sock], daemon=True).start()

    def wait_for_end(self, sock):
        try:
            while sock.recv(1000):
                pass
        except OSError:
            pass
        with self.lock:  # before the client can have opened another one: the limit is what it has open
            self.open -= 1
        sock.close()

    def end(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


@pytest.fixture
def peer():
    peers = [Peer(("127.0.0.1", 0))]
    yield peers[0]
    peers[0].end()


@pytest.fixture
def serve(daemon):
    def start(*sections, workers=1):
        text = "\n".join(sections)
        return daemon(f"[server]\nworkers = {workers}\n[wsgi /]\napp = app:app\n{text}", {"app.py": APP})
    return start


def outcomes(server, how, where, count, seconds, path="/"):
    return sorted(text.split()[0] for text in server.get_all([f"{path}?{how},{where},{seconds}"] * count)[0])


def counts(server):
    """What the log says at the end: connections, most at once, waited, gave up."""
    server.stop()
    found = re.findall(r"\[outbound .*?\]: (\d+) connections, at most (\d+) at once; (\d+) waited, \d+ ms in all; "
                       r"(\d+) gave up", server.log)
    return tuple(map(int, found[-1]))


ipv6_is_first = socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)[0][0] == socket.AF_INET6


@pytest.mark.parametrize("how", ["tcp", "with_timeout", "by_name", "by_old_name", "copied", "on_thread",
                                 "again_and_again"])
@pytest.mark.parametrize("to", ["127.0.0.1:{port}", "127.0.0.0/8", "localhost:{port}"])
def test_further_connections_wait(serve, peer, how, to):
    server = serve(f"[outbound {to.format(port=peer.port)}]\nmax-connections = 4")
    assert outcomes(server, how, peer.port, 30, 0.02) == ["ok"] * 30
    wait_until(lambda: peer.total == 30)  # it accepts some of them after their client has gone
    opened, most, waited, given_up = counts(server)
    tries = 1 + ipv6_is_first if (to, how) == ("localhost:{port}", "by_name") else 1  # nobody listens at ::1
    assert (opened, most, given_up) == (tries * 30, 4, 0) and waited >= 20


def test_unix_socket(serve, open_folder):
    path = str(open_folder / "peer")
    peer = Peer(path, socket.AF_UNIX)
    server = serve(f"[outbound unix:{path}]\nmax-connections = 3")
    assert outcomes(server, "unix", path, 20, 0.02) == ["ok"] * 20
    assert counts(server)[:2] == (20, 3)
    peer.end()


def test_other_ways_to_a_unix_socket(serve, open_folder):
    """As /var/run, where libpq of Debian connects, is a link to /run."""
    (open_folder / "run").mkdir()
    (open_folder / "var").symlink_to("run")
    path = open_folder / "run/peer"
    peer = Peer(str(path), socket.AF_UNIX)
    (open_folder / "alias").symlink_to(path)
    server = serve(f"[outbound unix:{path}]\nmax-connections = 3")
    for way in "var/peer", "run/../run/peer", "alias":
        assert outcomes(server, "unix", str(open_folder / way), 10, 0.02) == ["ok"] * 10
    assert counts(server)[:2] == (30, 3)
    peer.end()


def test_what_is_not_limited(serve, peer):
    other = Peer(("127.0.0.1", 0))
    server = serve(f"[outbound 127.0.0.1:{peer.port}]\nmax-connections = 1\nqueue-timeout = 100ms",
                   "[outbound 10.0.0.0/8]\nmax-connections = 1",
                   f"[outbound 127.0.0.0/8:{peer.port}]\nmax-connections = 1")
    assert outcomes(server, "tcp", other.port, 10, 0.3) == ["ok"] * 10
    assert outcomes(server, "datagram", peer.port, 10, 0.3) == ["ok"] * 10
    server.stop()
    other.end()


def test_queue_timeout(serve, peer):
    server = serve(f"[outbound 127.0.0.1:{peer.port}]\nmax-connections = 2\nqueue-timeout = 200ms")
    assert outcomes(server, "tcp", peer.port, 5, 0.8) == ["ETIMEDOUT"] * 3 + ["ok"] * 2
    server.wait_log(r"\[outbound 127\S+\]: queue-timeout exceeded while max-connections, 2, were open")
    assert outcomes(server, "on_thread", peer.port, 1, 0) == ["ok"]
    assert counts(server) == (3, 2, 3, 3)


def test_request_that_ends_leaves_the_queue(daemon, peer):
    server = daemon(f"[wsgi /]\napp = app:app\nrequest-timeout = 300ms\n[wsgi /long]\napp = app:app\n"
                    f"[outbound 127.0.0.1:{peer.port}]\nmax-connections = 1\nqueue-timeout = 0", {"app.py": APP})
    holder = threading.Thread(target=server.get, args=[f"/long?tcp,{peer.port},1"])
    holder.start()
    server.wait_until(lambda: peer.open == 1)
    assert server.get(f"/?tcp,{peer.port},0")[0] == 504
    holder.join()
    assert outcomes(server, "tcp", peer.port, 3, 0) == ["ok"] * 3


def test_failed_connects_count_for_nothing(serve):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        server = serve(f"[outbound 127.0.0.1:{port}]\nmax-connections = 1\nqueue-timeout = 2s")
        for how in ("tcp", "with_timeout", "on_thread"):
            assert outcomes(server, how, port, 5, 0) == ["ECONNREFUSED"] * 5
        sock.listen()
        assert outcomes(server, "tcp", port, 3, 0) == ["ok"] * 3


def test_connect_timeout(serve):
    """The backlog is full, and the kernel would try for two minutes."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        port = sock.getsockname()[1]
        fill = [socket.socket() for _ in range(3)]
        for other in fill:
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        server = serve(f"[outbound 127.0.0.1:{port}]\nmax-connections = 2\nconnect-timeout = 300ms")
        for how in ("tcp", "with_timeout"):
            began = time.monotonic()
            assert outcomes(server, how, port, 2, 0) == ["ETIMEDOUT"] * 2
            assert 0.2 < time.monotonic() - began < 5
        for other in fill:
            other.close()


def test_all_workers_together_and_a_killed_one(serve, peer):
    server = serve(f"[outbound 127.0.0.1:{peer.port}]\nmax-connections = 3\nqueue-timeout = 20s", workers=2)
    assert outcomes(server, "tcp", peer.port, 40, 0.02) == ["ok"] * 40
    server.get_all([f"/keep?tcp,{peer.port},0"] * 3)
    server.wait_until(lambda: peer.open == 3)
    waiting = [server.connect() for _ in range(2)]
    for sock in waiting:
        sock.sendall(get(f"/?tcp,{peer.port},0"))
    assert not select.select(waiting, [], [], 0.1)[0]
    before = server.worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    for sock in waiting:
        sock.close()
    server.wait_until(lambda: len(set(server.worker_pids()) - set(before)) == 2)
    server.wait_log("worker [12] is ready", count=4)
    assert outcomes(server, "tcp", peer.port, 12, 0.02) == ["ok"] * 12
    assert counts(server)[1] == 3


def test_reload_keeps_the_counts(serve, peer):
    """The old worker ends a request; the new one waits for its connection."""
    server = serve(f"[outbound 127.0.0.1:{peer.port}]\nmax-connections = 1")
    holder = threading.Thread(target=server.get, args=[f"/?tcp,{peer.port},1.2"])
    holder.start()
    server.wait_until(lambda: peer.open == 1)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("worker 1 is ready", count=2)
    began = time.monotonic()
    assert outcomes(server, "tcp", peer.port, 1, 0) == ["ok"]
    assert time.monotonic() - began > 0.3
    holder.join()
    assert counts(server)[1] == 1


def test_lost_descriptors_are_found(serve, peer):
    """Code may close a descriptor by a system call of its own."""
    server = serve(f"[outbound 127.0.0.1:{peer.port}]\nmax-connections = 2\nqueue-timeout = 10s")
    assert outcomes(server, "tcp", peer.port, 2, 0, "/lose") == ["ok"] * 2
    assert outcomes(server, "tcp", peer.port, 4, 0) == ["ok"] * 4


def test_fork_of_the_application(daemon, peer):
    """Its children are not limited, and do not give back what is the worker's."""
    app = APP + """
def forked(port):
    sock = tcp(port)
    pid = os.fork()
    if pid == 0:
        sock.close()
        tcp(port).close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    import subprocess
    subprocess.run(['true'], close_fds=True)
    return sock
"""
    server = daemon(f"[wsgi /]\napp = app:app\n[outbound 127.0.0.1]\nmax-connections = 2\n", {"app.py": app})
    assert outcomes(server, "forked", peer.port, 8, 0.02) == ["ok"] * 8
    assert counts(server)[:2] == (8, 2)


DATABASE_APP = """
import psycopg2
def app(environ, start_response):
    connection = psycopg2.connect('')
    cursor = connection.cursor()
    cursor.execute('select pg_sleep(0.02)')
    connection.close()
    start_response('200 OK', [])
    return [b'done']
"""


@pytest.mark.needs("psycopg2")
def test_300_requests_and_a_postgresql_of_30(daemon):
    postgres = Postgres(max_connections=30)
    try:
        env = {**os.environ, **{name: str(value) for name, value in postgres.env.items()}}
        peer = f"[outbound unix:{postgres.dir}/.s.PGSQL.5432]\nmax-connections = 20\nqueue-timeout = 50s"
        server = daemon(f"[server]\nworkers = 2\n[wsgi /]\napp = app:app\n{peer}", {"app.py": DATABASE_APP}, env=env)
        texts, _ = server.get_all(["/"] * 300)
        assert texts == ["done"] * 300
        began = time.monotonic()
        assert server.stop() == 0 and time.monotonic() - began < 5
        assert counts(server)[1] <= 20
    finally:
        postgres.end()


@pytest.mark.parametrize("section, message", [
    ("outbound", r"\[outbound\] is incomplete: write \[outbound PEER\]"),
    ("outbound a b", r"bad section \[outbound a b\]"),
    ("outbound db:0", "expected a port of 1 to 65535"), ("outbound db:x", "expected a port of 1 to 65535"),
    ("outbound 10.0.0.0/40", "expected a number of bits"), ("outbound d|b", "expected a host name"),
    ("outbound [::1", 'expected "]"'), ("outbound unix:x", "absolute path"), ("outbound :5432", "expected a host name"),
])
def test_mistakes(run_server, section, message):
    result = run_server(["-t"], f"[hello /]\n[{section}]\nmax-connections = 1\n")
    assert result.returncode == 78 and re.search(r"server\.ini:2: .*" + message, result.stderr), result.stderr


def test_given_twice_and_unknown_keys(run_server):
    result = run_server(["-t"], "[hello /]\n[outbound a:1]\nmax-connection = 1\n[outbound a:1]\n")
    assert 'server.ini:3: unknown key "max-connection" in [outbound a:1]; did you mean "max-' in result.stderr
    assert "server.ini:4: [outbound a:1] is given twice; first at " in result.stderr


def test_manual_page_has_the_keys():
    manual = subprocess.check_output([sys.executable, ROOT / "docs/ini_man.py"], text=True)
    for key in ("max-connections", "queue-timeout", "connect-timeout", "peer-timeout"):
        key = key.replace("-", "\\-")
        assert f"\\fB{key}\\fR" in manual.split("[outbound PEER]: ")[1]


def test_dump(run_server):
    result = run_server(["-T", "-o", "outbound db.internal:5432.max-connections=7"], "[hello /]\n")
    assert "[outbound db.internal:5432]\nmax-connections = 7 ; -o outbound" in result.stdout
    assert ("queue-timeout = 10s ; default\nconnect-timeout = 0 ; default\n"
            "peer-timeout = 60s ; default\n") in result.stdout
