"""Connections are shared evenly by the workers, new or kept, whatever happens to a worker."""
import collections
import concurrent.futures
import functools
import http.client
import os
import signal
import time

import pytest

from conftest import TIMEOUT

APP = """
import os, time
def hold():
    yield f"{os.getpid()}".encode()
    end = time.monotonic() + 60
    while not os.path.exists(f"go {os.getpid()}") and time.monotonic() < end:
        time.sleep(0.05)
        yield b""

def app(environ, start_response):
    if environ["PATH_INFO"] == "/hold":
        start_response("200 OK", [("Content-Length", str(len(str(os.getpid()))))])
        return hold()
    body = f"{os.getpid()} {environ['REMOTE_ADDR']}:{environ.get('REMOTE_PORT')}".encode()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
"""
EACH = 12  # requests on each connection


@pytest.fixture
def start(start_workers):
    return functools.partial(start_workers, APP)


def ask(connection):
    """The pid of the worker that answers, and the peer that it sees."""
    connection.request("GET", "/")
    pid, peer = connection.getresponse().read().decode().split()
    return int(pid), peer


def open_kept(server, count):
    connections = [server.http() for _ in range(count)]
    for connection in connections:
        connection.connect()
    return connections


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(function, items))


def spread(connections, each=EACH):
    """Requests by worker, on connections that stay open, at once."""
    def run(connection):
        return [ask(connection)[0] for _ in range(each)]
    return collections.Counter(sum(in_parallel(run, connections), []))


def is_even(counts, workers, unit):
    """Whether no worker is more than 20 % above or below the mean, but for one connection that cannot be divided."""
    mean = sum(counts.values()) / workers
    return len(counts) == workers and all(abs(n - mean) <= max(0.2 * mean, unit) for n in counts.values())


def spread_until_even(connections, workers):
    """Connections that are open already are moved within a second or two."""
    end = time.monotonic() + TIMEOUT
    while not is_even(counts := spread(connections), workers, EACH) and time.monotonic() < end:
        time.sleep(0.1)
    return counts


@pytest.mark.parametrize("workers, count", [(2, 9), (2, 32), (3, 24)])
def test_kept_connections_are_shared(start, workers, count):
    server = start(workers)
    counts = spread_until_even(open_kept(server, count), workers)
    assert is_even(counts, workers, EACH), counts


@pytest.mark.parametrize("workers, used", [(2, 1), (2, 3), (3, 2)])
def test_requests_are_shared_if_few_connections_are_used(start, workers, used):
    """As behind nginx, which takes the kept connection that was used last."""
    server = start(workers)
    connections = open_kept(server, 12)
    spread(connections, 1)
    counts = spread(connections[:used], 600 // used)
    assert is_even(counts, workers, 60), counts
    assert len({connection.sock for connection in connections}) == 12 and None not in (c.sock for c in connections)


@pytest.mark.parametrize("workers", [2, 3])
def test_new_connections_are_shared(start, workers):
    server = start(workers)

    def run(_):
        return [int(server.get("/")[2].split()[0]) for _ in range(20)]

    for _ in range(10):  # on a busy machine a worker may have no time for a while, and is passed over
        counts = collections.Counter(sum(in_parallel(run, range(9)), []))
        if is_even(counts, workers, 1):
            break
    assert is_even(counts, workers, 1), counts


def test_one_client_after_the_other_is_shared_beside_kept_connections(start):
    server = start()
    kept = open_kept(server, 9)
    spread(kept, 1)
    for _ in range(10):
        counts = collections.Counter(int(server.get("/")[2].split()[0]) for _ in range(40))
        if is_even(counts, 2, 1):
            break
    assert is_even(counts, 2, 1), counts


def test_kept_connections_move_to_a_new_worker_unharmed(start):
    server = start()
    connections = open_kept(server, 16)
    before = spread_until_even(connections, 2)
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    server.wait_until(lambda: len(set(server.worker_pids()) - {killed}) == 2)
    server.wait_log("worker . is ready", count=3)
    left = []
    for connection in connections:  # those of the killed worker are gone
        try:
            ask(connection)
            left.append(connection)
        except (OSError, http.client.HTTPException):
            pass
    assert 6 <= len(left) <= 10
    sockets = [connection.sock for connection in left]
    peers = [connection.sock.getsockname() for connection in left]
    counts = spread_until_even(left, 2)
    assert is_even(counts, 2, EACH), counts
    assert killed not in counts
    assert [connection.sock for connection in left] == sockets  # none was closed by the server
    assert [ask(connection)[1] for connection in left] == [f"{host}:{port}" for host, port in peers]


def test_moved_connection_keeps_the_peer_of_its_proxy_header(start):
    server = start(extra="bind = unix:%(here)/s.sock proxy-protocol")
    connections = open_kept(server, 12)
    for n, connection in enumerate(connections):
        connection.sock.sendall(f"PROXY TCP4 192.0.2.{n} 198.51.100.1 {1000 + n} 80\r\n".encode())
    spread(connections, 1)
    os.kill(server.pid, signal.SIGTTIN)
    server.wait_log("worker 3 is ready")
    counts = spread_until_even(connections, 3)
    assert is_even(counts, 3, EACH), counts
    assert [ask(c)[1] for c in connections] == [f"192.0.2.{n}:{1000 + n}" for n in range(12)]


def test_moved_connection_has_its_proxy_header_yet_to_come(start):
    server = start(1, "bind = unix:%(here)/s.sock proxy-protocol")
    connections = open_kept(server, 8)
    os.kill(server.pid, signal.SIGTTIN)
    server.wait_log("worker 2 is ready")
    time.sleep(0.3)
    for n, connection in enumerate(connections):
        connection.sock.sendall(f"PROXY TCP6 2001:db8::{n + 1:x} 2001:db8::ff {1000 + n} 80\r\n".encode())
    answers = [ask(connection) for connection in connections]
    assert [peer for _, peer in answers] == [f"2001:db8::{n + 1:x}:{1000 + n}" for n in range(8)]
    assert len({pid for pid, _ in answers}) == 2


def test_stopped_worker_gets_no_connections(start):
    server = start(extra="worker-timeout = 0")
    kept = open_kept(server, 12)
    assert is_even(spread_until_even(kept, 2), 2, EACH)
    stopped, running = sorted(server.worker_pids())
    os.kill(stopped, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert {int(server.get("/")[2].split()[0]) for _ in range(20)} == {running}
        assert time.monotonic() - began < 10  # a look a second for the first, which woke nobody else
    finally:
        os.kill(stopped, signal.SIGCONT)
    counts = spread_until_even(kept, 2)
    assert is_even(counts, 2, EACH), counts


def test_worker_that_is_full_holds_up_nobody(start):
    """Though it has accepted fewer than the other."""
    server = start(extra="max-connections = 4")
    held = []
    for _ in range(8):
        sock = server.connect()
        sock.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        held.append((int(sock.recv(65536).split()[-1]), sock))
    assert is_even(collections.Counter(pid for pid, _ in held), 2, 0)
    one, other = {pid for pid, _ in held}
    try:
        (server.dir / f"go {one}").write_text("")
        for pid, sock in held:
            if pid == one:
                sock.close()
        began = time.monotonic()
        assert {int(server.get("/")[2].split()[0]) for _ in range(12)} == {one}
        assert time.monotonic() - began < 8
    finally:
        (server.dir / f"go {other}").write_text("")


def test_workers_with_preload_share(start):
    server = start(extra="preload = true")
    counts = spread_until_even(open_kept(server, 12), 2)
    assert is_even(counts, 2, EACH), counts


def test_reload_under_kept_connections_ends_even(start):
    server = start()
    connections = open_kept(server, 12)
    spread(connections)
    before = set(server.worker_pids())
    os.kill(server.pid, signal.SIGHUP)
    server.wait_until(lambda: not before & set(server.worker_pids()) and len(server.worker_pids()) == 2)
    for connection in connections:  # those that stayed with an old worker are closed
        try:
            ask(connection)
        except (OSError, http.client.HTTPException):
            connection.close()
    counts = spread_until_even(connections, 2)
    assert is_even(counts, 2, EACH), counts
