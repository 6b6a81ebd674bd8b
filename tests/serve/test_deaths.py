"""What requests wait for dies in mid-wait: a database, the network, a name server, the disk of the log. Each request
ends with an error in bounded time, and the worker goes on."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from conftest import wait_until
from databases import Postgres

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make namespaces of the network")
tools = pytest.mark.skipif(not (shutil.which("ip") and shutil.which("nsenter")), reason="no iproute2")

APP = """
import errno, os, socket, time
def run(environ):
    %s
def app(environ, start_response):
    began = time.monotonic()
    try:
        text = "worker" if environ["PATH_INFO"] == "/" else run(environ)
    except Exception as error:
        text = f"{type(error).__name__} {getattr(error, 'errno', '')}"
    start_response("200 OK", [])
    return [f"{text}|{os.getpid()}|{time.monotonic() - began}".encode()]
"""


class Waiting:
    """Requests that wait. ended() has what became of them, and when; the worker must be the same all the time."""

    def __init__(self, server, paths):
        self.server = server
        self.worker = self.ask("/")[1]
        self.results = []
        self.threads = [threading.Thread(target=lambda path=path: self.results.append(self.ask(path)))
                        for path in paths]
        for thread in self.threads:
            thread.start()

    def ask(self, path):
        text, pid, seconds = self.server.get(path, timeout=40)[2].decode().split("|")
        return text, pid, float(seconds)

    def ended(self):
        for thread in self.threads:
            thread.join(40)
        assert len(self.results) == len(self.threads)
        assert {pid for _, pid, _ in self.results} == {self.worker} == {self.ask("/")[1]}
        return [text for text, _, _ in self.results], max(seconds for _, _, seconds in self.results)


# ---- a database ----


def children_of(pid, title=""):
    """The processes that the postmaster has started, and of these those that a word of their title names."""
    pids = [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [pid for pid in pids if title in pathlib.Path(f"/proc/{pid}/cmdline").read_text()]


class Doomed(Postgres):
    """It is killed, and leaves no shared memory behind."""

    def command(self):
        return [*super().command(), "-c", "dynamic_shared_memory_type=mmap"]

    def kill(self):
        for pid in (self.process.pid, *children_of(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):  # they end by themselves when the first has
                os.kill(pid, signal.SIGKILL)
        segment = (self.dir / "data/postmaster.pid").read_text().splitlines()[6].split()[1]
        wait_until(lambda: subprocess.run(["ipcrm", "-m", segment], capture_output=True).returncode == 0)


QUERIES = """import psycopg2
    queries = {"/wait": "select pg_sleep(100)", "/work": "select count(*) from generate_series(1, 2000000000)"}
    return psycopg2.connect("").cursor().execute(queries[environ["PATH_INFO"]])"""


@pytest.mark.needs("psycopg2")
def test_postgresql_that_is_killed_in_queries(daemon):
    """By SIGKILL, as the kernel does when memory is short: it has no time to say anything."""
    postgres = Doomed()
    try:
        env = {**os.environ, **{name: str(value) for name, value in postgres.env.items()}}
        server = daemon("[wsgi /]\napp = app:app\n", {"app.py": APP % QUERIES}, env=env)
        waiting = Waiting(server, ["/wait", "/work"] * 4)
        wait_until(lambda: len(children_of(postgres.process.pid, "SELECT")) == 8)
        postgres.kill()
        texts, seconds = waiting.ended()
        assert {text.split()[0] for text in texts} == {"OperationalError"} and seconds < 20
    finally:
        postgres.end()


# ---- the network ----

# The server is in a network of its own, and a peer that listens but never answers in another. FOLDER/peer has the pid
# of the peer.
NETWORKS = """
import os, pathlib, socket, subprocess, sys
folder, *command = sys.argv[1:]
def ip(args, of=None):
    subprocess.run([*(["nsenter", "-t", of, "-n"] if of else []), "ip", *args.split()], check=True, timeout=10)
PEER = '''
import select, socket
listener = socket.create_server(("0.0.0.0", 7000))
print("up", flush=True)
kept = []
while True:
    kept.append(listener.accept()[0])
'''
peer = subprocess.Popen(["unshare", "--net", sys.executable, "-c", PEER], stdout=subprocess.PIPE)
assert peer.stdout.readline() == b"up\\n"
pid = str(peer.pid)
ip("link set lo up")
ip("link add here type veth peer name there netns " + pid)
ip("addr add 10.77.0.1/24 dev here")
ip("link set here up")
ip("addr add 10.77.0.2/24 dev there", pid)
ip("link set there up", pid)
ip("link set lo up", pid)
pathlib.Path(folder, "peer").write_text(pid)
os.execvp(command[0], command)
"""


@pytest.fixture
def peers():
    folders = []
    yield folders
    for folder in folders:
        pid = int((folder / "peer").read_text())
        os.kill(pid, signal.SIGKILL)


def networks(folder):
    return ["unshare", "--net", sys.executable, "-c", NETWORKS, str(folder)]


def cut(folder):
    """The peer answers nothing any more, not even with an error."""
    pid = (folder / "peer").read_text()
    subprocess.run(["nsenter", "-t", pid, "-n", "ip", "route", "add", "blackhole", "10.77.0.1/32"], check=True)


RUN = """how = environ["PATH_INFO"]
    sock = socket.create_connection(("10.77.0.2", 7000 if how != "/late" else 7001))
    open(__file__ + ".connected", "a").write("x")
    if how == "/wait":
        return sock.recv(10)
    while True:
        sock.send(bytes(1 << 20))"""


@root_only
@tools
def test_network_that_is_cut(daemon, open_folder, peers):
    """Nobody closes the connection: only the kernel's probes find out, and what is never acknowledged."""
    ini = (f"[server]\nbind = unix:{open_folder}/s\n[limits]\nrequest-timeout = 0\n[wsgi /]\napp = app:app\n"
           "[outbound 10.77.0.2]\npeer-timeout = 2s\n")
    server = daemon(ini, {"app.py": APP % RUN}, before=networks(open_folder))
    peers.append(open_folder)
    waiting = Waiting(server, ["/wait", "/send"] * 2)
    connected = server.dir / "app.py.connected"
    wait_until(lambda: connected.exists() and len(connected.read_text()) == 4)
    began = time.monotonic()
    cut(open_folder)
    texts, _ = waiting.ended()
    assert set(texts) == {"TimeoutError 110"}
    assert 1 < time.monotonic() - began < 20


@root_only
@tools
@pytest.mark.parametrize("key", ["connect-timeout = 1s\npeer-timeout = 0", "peer-timeout = 2s"])
def test_connect_to_a_network_that_is_cut(daemon, open_folder, peers, key):
    ini = (f"[server]\nbind = unix:{open_folder}/s\n[limits]\nrequest-timeout = 0\n[wsgi /]\napp = app:app\n"
           f"[outbound 10.77.0.2]\n{key}\n")
    server = daemon(ini, {"app.py": APP % RUN}, before=networks(open_folder))
    peers.append(open_folder)
    cut(open_folder)
    texts, seconds = Waiting(server, ["/late"] * 4).ended()
    assert set(texts) == {"TimeoutError 110"} and seconds < 20


# ---- a name server ----

# Takes a query, by UDP, has the client come again by TCP, and dies with that connection.
NAME_SERVER = """
import os, signal, socket, sys
how = sys.argv[1]
udp, tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
udp.bind(("127.0.0.1", 53))
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
tcp.bind(("127.0.0.1", 53))
tcp.listen(100)
print("up", flush=True)
query, client = udp.recvfrom(1000)
if how == "tcp":
    udp.sendto(query[:2] + b"\\x87\\x80" + query[4:], client)
    connection = tcp.accept()[0]
    connection.recv(2)
os.kill(os.getpid(), signal.SIGKILL)
"""
ISLAND = """
import os, subprocess, sys
folder, how, *command = sys.argv[1:]
for name in ("resolv.conf", "nsswitch.conf"):
    subprocess.run(["mount", "--bind", f"{folder}/{name}", f"/etc/{name}"], check=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
server = subprocess.Popen([sys.executable, f"{folder}/name_server.py", how], stdout=subprocess.PIPE)
assert server.stdout.readline() == b"up\\n"
os.execvp(command[0], command)
"""


@root_only
@tools
@pytest.mark.parametrize("how", ["udp", "tcp"])
@pytest.mark.parametrize("resolver", ["c-ares", "system"])
def test_name_server_that_dies(daemon, open_folder, resolver, how):
    for name, text in (("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"),
                       ("nsswitch.conf", "hosts: files dns\n"), ("name_server.py", NAME_SERVER)):
        (open_folder / name).write_text(text)
    island = ["unshare", "--net", "--mount", sys.executable, "-c", ISLAND, str(open_folder), how]
    server = daemon(f"[server]\nbind = unix:{open_folder}/s\nresolver = {resolver}\n[wsgi /]\napp = app:app\n",
                    {"app.py": APP % 'return socket.getaddrinfo("gone.example.", 80)'}, before=island)
    texts, seconds = Waiting(server, ["/look"] * 8).ended()
    assert set(texts) == {f"gaierror {socket.EAI_AGAIN}"} and seconds < 20


# ---- the disk of the log ----

FULL = """
import os, subprocess, sys
folder, *command = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=True)
os.execvp(command[0], command)
"""


@root_only
@pytest.mark.skipif(not shutil.which("nsenter"), reason="no nsenter")
def test_disk_of_the_log_is_full(daemon, open_folder):
    """Lines are lost, which the log says, but no request; when there is room again, the log goes on."""
    disk = open_folder / "disk"
    disk.mkdir()
    server = daemon(f"[server]\nbind = unix:{open_folder}/s\n[log]\naccess-log = {disk}/a.log\nlog-format = %(uri)\n"
                    "[hello /]\n", before=["unshare", "--mount", sys.executable, "-c", FULL, str(disk)])
    path = "/" + "x" * 1000
    for _ in range(200):
        assert server.get(path)[0] == 200
    server.wait_log(rf"\[error\] .* cannot write to the log {disk}/a.log: No space left on device")
    inside = pathlib.Path(f"/proc/{server.pid}/root/{disk}/a.log")
    assert inside.stat().st_size <= 65536
    subprocess.run(["nsenter", "-t", str(server.pid), "-m", "mount", "-o", "remount,size=8m", disk], check=True)
    wait_until(lambda: server.get("/after")[0] == 200 and "/after" in inside.read_text())
