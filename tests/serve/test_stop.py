"""A stop refuses new connections at once, and serves those that were there before."""
import concurrent.futures
import functools
import os
import signal
import threading

import pytest

from conftest import TIMEOUT

APP = """
import os, time, sys
def app(environ, start_response):
    if environ['PATH_INFO'] == '/hold':
        sys.stderr.write('held\\n')
        end = time.monotonic() + 60
        while not os.path.exists('go') and time.monotonic() < end:
            time.sleep(0.02)
    start_response('200 OK', [('Content-Length', '2')])
    return [b'ok']
"""
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def start(start_workers):
    return functools.partial(start_workers, APP)


def is_refused(server):
    """Whether a connection is refused; one that is accepted fails the test if it hangs."""
    try:
        with server.connect(5) as sock:
            sock.sendall(REQUEST)
            return not sock.recv(100)
    except (ConnectionRefusedError, FileNotFoundError):
        return True


def received(sock):
    return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.mark.parametrize("bind", ["", "bind = [::1]:0", "bind = unix:%(here)/s.sock"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGQUIT])
def test_new_connections_are_refused_while_a_request_runs(start, bind, signum):
    server = start(extra=bind)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.get, "/hold", timeout=30)
        server.wait_log("held")
        os.kill(server.pid, signum)
        server.wait_log("#0 SIG.* stopping")
        assert is_refused(server)
        assert server.process.poll() is None
        (server.dir / "go").write_text("")
        assert running.result()[2] == b"ok"
    assert server.wait_exit() == 0
    assert "cannot accept" not in server.log


def test_refused_while_a_worker_hangs(start):
    """It has the listen socket open, and cannot close it."""
    server = start(1)
    worker, = server.worker_pids()
    os.kill(worker, signal.SIGSTOP)
    try:
        os.kill(server.pid, signal.SIGTERM)
        server.wait_log("#0 SIGTERM: stopping")
        with pytest.raises(ConnectionRefusedError):
            server.connect()
    finally:
        os.kill(worker, signal.SIGCONT)
    assert server.wait_exit() == 0


@pytest.mark.parametrize("bind", ["", "bind = unix:%(here)/s.sock"])
@pytest.mark.parametrize("workers", [1, 2])
def test_connections_in_the_backlog_are_served(start, bind, workers):
    server = start(workers, bind)
    pids = server.worker_pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    socks = [server.connect() for _ in range(40)]
    for sock in socks:
        sock.sendall(REQUEST)
    os.kill(server.pid, signal.SIGTERM)
    server.wait_log("#0 SIGTERM: stopping")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert [received(sock)[:15] for sock in socks] == [b"HTTP/1.1 200 OK"] * 40
    assert server.wait_exit() == 0


def test_every_connection_is_served_or_refused(start):
    """Clients that connect all the time see no reset."""
    server = start()
    errors, answers = [], []

    def client():
        while True:
            try:
                with server.connect() as sock:
                    sock.sendall(REQUEST)
                    answers.append(received(sock))
            except ConnectionRefusedError:
                return
            except OSError as error:
                errors.append(repr(error))

    threads = [threading.Thread(target=client) for _ in range(6)]
    for thread in threads:
        thread.start()
    server.wait_until(lambda: len(answers) > 200)
    os.kill(server.pid, signal.SIGTERM)
    for thread in threads:
        thread.join(TIMEOUT)
    assert server.wait_exit() == 0
    assert errors == [] and {answer[:15] for answer in answers} == {b"HTTP/1.1 200 OK"}


def test_old_master_leaves_the_sockets_to_the_new_one(start):
    server = start(extra="pidfile = pid")
    os.kill(server.pid, signal.SIGUSR2)
    server.wait_log("#0 all workers are ready", count=2)
    new = int((server.dir / "pid").read_text())
    try:
        os.kill(server.pid, signal.SIGQUIT)
        assert [server.get("/")[2] for _ in range(20)] == [b"ok"] * 20
        server.process.wait(TIMEOUT)
        assert server.get("/")[2] == b"ok"
    finally:
        os.kill(new, signal.SIGTERM)
    server.wait_until(lambda: is_refused(server))
