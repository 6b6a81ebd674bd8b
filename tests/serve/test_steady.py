"""What must not grow, and what must not be lost: broken connections, reloads behind a real nginx, workers killed there.

`make steady` runs the first group in full (100,000 broken connections); `make test` as many as fit into a few seconds.
"""
import os
import pathlib
import random
import re
import signal
import socket
import struct
import time

import pytest

from conftest import SANITIZED, TIMEOUT, exchange
from load import Load
from nginx import Nginx, http_section

FULL = int(os.environ.get("STEADY_CONNECTIONS", 0))
SECONDS = 3  # for the short run
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends RST

APP = """
def app(environ, start_response):
    try:
        body = environ['wsgi.input'].read()
    except OSError:
        body = b'cut'
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return (b'x' * 5000 for _ in range(20))
"""

BROKEN = {  # what is sent before the connection breaks
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHo",
    "half a body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nxxx",
    "half a chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nxx",
    "no wish to read": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3,
    "nonsense": b"\x16\x03\x01\x00",
}


def break_one(server, data, reset):
    with server.connect() as sock:
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.sendall(data)


def break_many(server, count, seconds):
    """Make count broken connections of all kinds, or as many as fit into the time. Returns how many there were."""
    end = time.monotonic() + seconds
    chance, done = random.Random(7), 0
    kinds = list(BROKEN.values())
    while done < count and time.monotonic() < end:
        break_one(server, chance.choice(kinds), chance.random() < 0.5)
        done += 1
    return done


def settled(server):
    """(descriptors, resident bytes) of the worker when no client is connected any more."""
    worker, = server.worker_pids()
    folder = pathlib.Path(f"/proc/{worker}/fd")

    def sockets():
        try:
            return sum("socket:" in os.readlink(path) for path in folder.iterdir())
        except FileNotFoundError:  # closed since it was listed
            return None
    server.wait_until(lambda: sockets() == 3, 30)  # the listener, the channel to the master, that to other workers
    return len(list(folder.iterdir())), server.rss()


@pytest.mark.limit(1500 if FULL else 60)
def test_broken_connections_leave_nothing(daemon):
    server = daemon("[wsgi /]\napp = app:app\n", {"app.py": APP})
    server.wait_log("all workers are ready")
    break_many(server, 500, SECONDS)  # what is taken once
    before = settled(server)
    done = break_many(server, FULL or 100000, 1400 if FULL else SECONDS)
    after = settled(server)
    print(f"{done} broken connections: descriptors {before[0]} -> {after[0]}, resident {before[1]} -> {after[1]} bytes")
    assert done >= (FULL or 300)
    assert after[0] <= before[0]
    if not SANITIZED:
        assert after[1] - before[1] < 2_000_000
    assert server.get("/")[0] == 200


# ---- a descriptor's number that is given out again ----

HOLDING = """
import sys, time

def app(environ, start_response):
    sys.stderr.write('holding the loop\\n')
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'held']
"""

EVICTING = """
[server]
module-path = {modules}
[limits]
max-connections = 2
on-disconnect = cancel
[wsgi /hold]
app = app:app
[probe /]
"""


def test_hang_up_of_an_evicted_connection_is_not_that_of_the_next(daemon, c_modules):
    """While the loop is held, a client connects and another leaves. The loop then learns of both at once: it closes the
    idle connection for the new one, which gets its number, and the hang-up must not count for that."""
    server = daemon(EVICTING.format(modules=c_modules), {"app.py": HOLDING})
    with server.connect() as idle, server.connect() as holder:
        exchange(idle, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", until=b"probe")
        holder.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        server.wait_log("holding the loop")
        with server.connect() as live:
            live.sendall(b"GET /nap?100 HTTP/1.1\r\nHost: x\r\n\r\n")
            idle.close()
            answer = exchange(live, b"", until=b"slept")
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"slept\n"), answer


# ---- nginx ----


SITE = """
client_body_buffer_size 1m; keepalive_requests 100000;
upstream app {{ server {upstream} fail_timeout=0; keepalive 32; }}
server {{
    listen unix:{folder}/front.sock;
    location / {{
        proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
        proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
}}
"""


@pytest.fixture(params=["tcp", "unix"])
def behind_nginx(request, daemon, tmp_path):
    bind = "unix:%(here)/app.sock" if request.param == "unix" else "127.0.0.1:0"
    server = daemon(f"[server]\nbind = {bind}\nworkers = 2\npidfile = pid\n[hello /]\n")
    server.wait_log("all workers are ready")
    upstream = f"unix:{server.path}" if server.path else f"127.0.0.1:{server.port}"
    nginx = Nginx(tmp_path, http_section(tmp_path, SITE.format(folder=tmp_path, upstream=upstream)))
    yield server, nginx
    nginx.end()


def test_reloads_and_upgrades_behind_nginx(behind_nginx):
    server, nginx = behind_nginx
    with Load(server, path=nginx.path) as load:
        for n in range(2, 12):
            os.kill(server.pid, signal.SIGHUP)
            server.wait_log("#0 all workers are ready", count=n)
            load.wait(20)
        os.kill(server.pid, signal.SIGUSR2)
        server.wait_log("#0 all workers are ready", count=12)
        new = int((server.dir / "pid").read_text())
        os.kill(server.pid, signal.SIGQUIT)
        server.process.wait(TIMEOUT)
        load.wait(100)
    os.kill(new, signal.SIGTERM)
    server.wait_until(lambda: not pathlib.Path(f"/proc/{new}").exists())
    assert load.errors == []


def test_workers_killed_behind_nginx(behind_nginx):
    """nginx retries when a connection breaks before the response: a kill -9 is hardly noticed by clients."""
    server, nginx = behind_nginx
    with Load(server, path=nginx.path) as load:
        for _ in range(5):
            victim = random.choice(server.worker_pids())
            os.kill(victim, signal.SIGKILL)
            load.wait(100)
            server.wait_until(lambda: len(server.worker_pids()) == 2 and victim not in server.worker_pids())
    assert len(load.errors) <= 5 * 4 and all(b"502" in error for error in load.errors), load.errors
    assert len(re.findall("was killed by signal 9", server.log)) == 5
