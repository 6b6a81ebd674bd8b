"""Accounts: where the time of each request has gone, in the access log, Server-Timing and the slow log."""
import json
import pathlib
import re
import socket
import threading
import time

import pytest

from conftest import wait_until

WAITS = (pathlib.Path(__file__).parent / "waits.py").read_text()
KINDS = ["socket", "pipe", "dns", "sleep", "lock", "disk", "child", "thread", "client", "place", "other"]
PARTS = ["cpu", "ready", "pool", "wait"]
FORMAT = ('{"path":"%(path)","total":%(micros),"queue":%{queue}T,'
          + ",".join(f'"{name}":%{{{name}}}T' for name in PARTS + [f"wait.{kind}" for kind in KINDS]) + "}")
TIME = 0.15  # seconds that each request waits


def serve_slowly(listener):
    """Accept connections and answer each after TIME."""
    def answer(sock):
        with sock:
            if sock.family == socket.AF_INET:
                sock.recv(65536)
            time.sleep(TIME)
            sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nx")
    while True:
        try:
            sock = listener.accept()[0]
        except OSError:
            return
        threading.Thread(target=answer, args=(sock,), daemon=True).start()


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """A slow backend: its port, and the path of its Unix socket."""
    path = tmp_path_factory.mktemp("backend") / "socket"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        for listener in (tcp, unix):
            threading.Thread(target=serve_slowly, args=(listener,), daemon=True).start()
        yield tcp.getsockname()[1], path
        for listener in (tcp, unix):
            listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon(f"[log]\naccess-log = access.log\nlog-format = {FORMAT}\nslow-log = slow.log\n"
                         f"slow-time = 100ms\nserver-timing = yes\n[wsgi /]\napp = waits:app\n", {"waits.py": WAITS})


def account(server, path):
    """The line of the access log about the request for this path, which is asked for once."""
    log = server.dir / "access.log"

    def find():
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return next((line for line in lines if line["path"] == path), None)
    return wait_until(find)


def check(line, kind, least=TIME):
    """The parts make up the whole, and nearly all of it is of this kind."""
    assert sum(line[part] for part in PARTS) == pytest.approx(line["total"], rel=0.02, abs=200), line
    assert sum(line[f"wait.{name}"] for name in KINDS) == pytest.approx(line["wait"], abs=20), line
    assert line[kind] >= least * 0.9e6, line
    others = [line[f"wait.{name}"] for name in KINDS if f"wait.{name}" != kind]
    assert max(others) < line[kind] / 2, line


@pytest.mark.parametrize("path, kind", [("sleep", "sleep"), ("lock", "lock"), ("event", "lock"), ("child", "child"),
                                        ("pipe", "pipe")])
def test_each_wait_counts_by_its_kind(server, path, kind):
    assert server.get(f"/{path}?{TIME}")[0] == 200
    check(account(server, f"/{path}"), f"wait.{kind}")


def test_time_on_the_cpu(server):
    server.get(f"/nothing?{TIME}")
    line = account(server, "/nothing")
    assert sum(line[part] for part in PARTS) == pytest.approx(line["total"], rel=0.02, abs=200), line
    assert line["cpu"] + line["ready"] >= TIME * 1e6 and line["cpu"] >= TIME * 0.5e6, line


def test_sockets(server, backend):
    server.get(f"/socket?{backend[0]}")
    check(account(server, "/socket"), "wait.socket")
    server.get(f"/unix?{backend[1]}")
    check(account(server, "/unix"), "wait.socket")


def test_the_disk(server):
    server.get(f"/disk?{server.dir}/large")
    check(account(server, "/disk"), "wait.disk", 0)


def test_a_slow_client(server):
    with server.connect() as sock:
        sock.sendall(b"POST /client HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1")
        time.sleep(TIME)
        sock.sendall(b"2")
        assert b"200 OK" in sock.recv(1000)
    check(account(server, "/client"), "wait.client")


def test_server_timing(server):
    fields = server.get(f"/sleep?{TIME}")[1]["Server-Timing"]
    parts = {name: float(value) for name, value in re.findall(r"(\w+);dur=([\d.]+)", fields)}
    assert parts["sleep"] >= TIME * 900 and parts["total"] >= parts["sleep"] and parts["cpu"] < parts["total"], fields


def test_the_slow_log(server, backend):
    server.get(f"/socket?{backend[0]}&slow")
    log = server.dir / "slow.log"
    name = f"GET /socket?{backend[0]}&slow"
    text = server.wait_until(lambda: log.exists() and f"{name} was slow" in log.read_text() and log.read_text())
    begin, end = [entry for entry in re.split(r"\n(?!  )", text) if name in entry]
    peer = rf"127\.0\.0\.1:{backend[0]}"
    head = rf".*\[warn\] \d+#1 {re.escape(name)} is slow, after 0\.\d+ s: waits \d+\.\d ms for socket {peer}\n"
    assert re.match(head, begin), begin
    assert re.search(r'\n  +File ".*/waits.py", line \d+ in wait_for_socket\n', begin), begin
    assert re.search(rf"was slow, it took 0\.\d+ s: status 200\n  time: cpu .*socket \d+\.\d ms\n  socket {peer}: "
                     r"\d+ calls? 1\d\d\.\d ms", end), end


def test_a_quick_request_is_not_in_the_slow_log(server):
    server.get("/sleep?0.01&quick")
    server.get(f"/sleep?{TIME}&later")
    server.wait_until(lambda: "&later was slow" in (server.dir / "slow.log").read_text())
    assert "&quick" not in (server.dir / "slow.log").read_text()


def test_an_unknown_part(run_server):
    result = run_server(["-t"], "[log]\nlog-format = %{wait.moon}T\n[hello /]\n")
    assert result.returncode == 78 and 'there is no "%{wait.moon}T"' in result.stderr, result.stderr
