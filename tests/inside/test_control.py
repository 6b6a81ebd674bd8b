"""The control socket and syncless-ctl: what runs and why it waits, over all workers; what operators do by it; bad
input."""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

from conftest import BUILD, TIMEOUT, wait_until

CTL = BUILD / "syncless-ctl"
WAITS = (pathlib.Path(__file__).parent / "waits.py").read_text()
INI = "[server]\n{}workers = {}\ncontrol = s.ctl\nshutdown-timeout = 100ms\n[wsgi /]\napp = waits:app\n"


class Controlled:
    """A server with a control socket."""

    def __init__(self, daemon, workers=1, extra="", server="", **options):
        self.server = daemon(INI.format(server, workers) + extra, {"waits.py": WAITS}, **options)
        self.server.wait_log("#0 all workers are ready")
        self.path = self.server.dir / "s.ctl"
        self._asked = []

    def run(self, *args, **options):
        return subprocess.run([CTL, "-s", self.path, *args], capture_output=True, text=True, timeout=TIMEOUT, **options)

    def ask(self, *args):
        """The answer as JSON."""
        result = self.run("-j", *args)
        assert result.returncode == 0, result
        return json.loads(result.stdout)

    def requests(self, *args):
        return [request for worker in self.ask(*args)["workers"] for request in worker["requests"]]

    def raw(self, data):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(TIMEOUT)
            sock.connect(str(self.path))
            sock.sendall(data)
            answer = b""
            while chunk := sock.recv(65536):
                answer += chunk
            return answer.decode()

    def begin(self, target, method="GET", more=b""):
        """Begin a request and do not read its answer."""
        sock = self.server.connect()
        sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\n".encode() + more + b"\r\n")
        self._asked.append(sock)
        return sock

    def close(self):
        for sock in self._asked:
            sock.close()


@pytest.fixture
def controlled(daemon):
    started = []

    def start(*args, **options):
        started.append(Controlled(daemon, *args, **options))
        return started[-1]
    yield start
    for control in started:
        control.close()


@pytest.fixture
def silent():
    """A backend that accepts and never answers: its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=300) as listener:
        yield listener.getsockname()[1]


def test_names_do_not_control_the_terminal(controlled, tmp_path):
    """A client may have given the name of what its request waits for."""
    control = controlled()
    path = tmp_path / "a\x1b[2J\x7fb"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        control.begin("/unix?" + urllib.parse.quote(str(path)))
        wait_until(lambda: [request["state"] for request in control.requests("requests")] == ["waits"])
        trace = control.raw(b"trace\n")
        assert re.search(r"waits .* for socket unix:/\S+/a\S+b\n", trace), trace
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", trace + control.run("trace").stdout), trace
        assert control.requests("requests")[0]["wait"]["of"].endswith("/a\x1b[2J\x7fb")


def test_two_hundred_waits_are_told(controlled, silent, tmp_path):
    """Each by its kind, peer, age and stack; and its parts make up its age."""
    control = controlled(workers=2)
    os.mkfifo(tmp_path / "fifo")
    kinds = {"sleep": ("sleep", "60"), "lock": ("lock", "60"), "event": ("lock", "60"), "queue": ("lock", "60"),
             "child": ("child", "60"), "pipe": ("pipe", "60"),
             "socket": ("socket", str(silent)),
             "fifo": ("pipe", str(tmp_path / "fifo"))}
    began = time.monotonic()
    for name, (_, query) in kinds.items():
        for _ in range(4 if name in ("child", "pipe") else 30):
            control.begin(f"/{name}?{query}")
    for _ in range(12):
        control.begin("/client", "POST", b"Content-Length: 2\r\n")
    begun = time.monotonic()

    def all_wait():
        found = control.requests("trace")
        return len(found) == 200 and all(request["state"] == "waits" for request in found) and found
    requests = wait_until(all_wait)
    now = time.monotonic()
    assert len({request["id"] for request in requests}) == 200
    assert collections.Counter(request["target"].partition("?")[0] for request in requests)["/client"] == 12
    for request in requests:
        name = request["target"].partition("?")[0].strip("/")
        kind = "client" if name == "client" else kinds[name][0]
        waited = sum(wait["us"] for wait in request["waits"].values())
        parts = waited + request["cpu_us"] + request["ready_us"] + request["pool_us"]
        assert request["wait"]["kind"] == kind, request
        assert 0 <= request["age_us"] <= (now - began) * 1e6, request
        assert request["age_us"] >= (now - begun) * 1e6 - 60e6, request
        assert parts == pytest.approx(request["age_us"], rel=0.02, abs=300), request
        stack = "\n".join(request["stack"])
        assert re.search(r'^File ".*/waits.py", line \d+ in ' + ("app" if name == "client" else f"wait_for_{name}"),
                         stack, re.M), request
        if name == "socket":
            assert request["wait"]["of"] == f"127.0.0.1:{silent}", request
        if name == "child":
            assert re.fullmatch(r"pid \d+", request["wait"]["of"]), request
    control.close()
    control.server.stop(signal.SIGINT)


def test_status(controlled):
    control = controlled(workers=2)
    control.server.get("/sleep?0")
    status = control.ask("status")
    assert status["version"] == 1
    assert status["master"]["pid"] == control.server.pid and status["master"]["state"] == "serving"
    assert [worker["number"] for worker in status["workers"]] == [1, 2]
    assert all(worker["state"] == "serving" and worker["uptime_us"] > 0 for worker in status["workers"])
    assert sum(worker["requests"] for worker in status["workers"]) == 1
    assert sum(worker["in_flight"] for worker in status["workers"]) == 0
    assert re.match(r"master  pid \d+  serving  for \d+ s  2 workers wanted\nworker 1  pid \d+  serving ",
                    control.run("status").stdout)
    assert control.run("ping").stdout == "pong\n"


def test_requests_by_age(controlled):
    control = controlled()
    control.begin("/sleep?30&old")
    wait_until(lambda: control.requests("requests"))
    wait_until(lambda: control.requests("requests", "--older", "300ms"))
    control.begin("/sleep?30&new")
    requests = wait_until(lambda: (found := control.requests("requests")) and len(found) == 2 and found)
    assert [request["target"] for request in requests] == ["/sleep?30&old", "/sleep?30&new"]
    assert "stack" not in requests[0]
    assert [request["target"] for request in control.requests("requests", "--older", "300ms")] == ["/sleep?30&old"]
    assert control.requests("requests", "--older", "1h") == []
    assert [request["target"] for request in control.requests("trace", "--limit", "1")] == ["/sleep?30&old"]
    assert control.requests("requests", "--older", "1h", "--limit", "1") == []
    text = control.run("trace", requests[0]["id"]).stdout
    assert re.match(rf"{requests[0]['id']}  worker 1  \d+\.\d+ s  GET /sleep\?30&old: waits [\d.]+ ms for sleep\n"
                    r"  time: cpu .*\n  Stack.*\n    File .*waits.py", text), text


def test_cancel(controlled):
    control = controlled()
    sock = control.begin("/sleep?30")
    request = wait_until(lambda: control.requests("requests"))[0]
    result = control.run("cancel", request["id"])
    assert (result.returncode, result.stdout) == (0, "cancelled\n")
    assert sock.recv(1000).startswith(b"HTTP/1.1 503 ")
    wait_until(lambda: not control.requests("requests"))
    for command in ("cancel", "trace"):
        result = control.run(command, request["id"])
        assert result.returncode == 1 and "there is no such request" in result.stderr, result


def test_stuck_workers_are_shown_in_two_seconds(controlled):
    """One is in C code that holds the GIL, one does not react to signals."""
    control = controlled(workers=3)
    pids = {worker["number"]: worker["pid"] for worker in control.ask("workers")["workers"]}
    for pid in pids.values():  # one request that waits in each
        wait_until(lambda: control.begin(f"/lock?60&{pid}") and len(
            {request["id"].partition(".")[0] for request in control.requests("requests")}) >= len(pids))
    control.begin("/hog")
    busy = wait_until(lambda: [worker for worker in control.ask("requests")["workers"] if worker["state"] == "stuck"])
    stopped = next(pid for pid in pids.values() if pid != busy[0]["pid"])
    os.kill(stopped, signal.SIGSTOP)
    began = time.monotonic()
    workers = {worker["pid"]: worker for worker in control.ask("trace")["workers"]}
    assert time.monotonic() - began < 2
    hog = workers.pop(busy[0]["pid"])
    assert hog["state"] == "stuck" and hog["stuck_in"] == "GET /hog", hog
    assert re.search(r'^File ".*/waits.py", line \d+ in wait_for_hog$', "\n".join(hog["stack"]), re.M), hog
    states = {request["target"].partition("?")[0]: request for request in hog["requests"]}
    assert states["/hog"]["state"] == "runs" and states["/lock"]["wait"]["kind"] == "lock", hog
    assert all(0 < request["age_us"] < 60e6 for request in hog["requests"])
    ident = states["/lock"]["id"]
    line = rf"^{ident}  worker \d  \d+\.\d+ s  GET /lock\?60&\d+: waits for lock$"
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        one, older, none = pool.map(lambda command: control.run(*command), [
            ("trace", ident), ("requests", "--older", "1ms"), ("trace", f"{hog['pid']}.99999")])
    for text in (one.stdout, older.stdout):
        assert re.search(line, text, re.M), text
    assert none.returncode == 1 and "no such request" in none.stderr, none
    silent = workers.pop(stopped)
    assert silent["state"] == "stuck", silent
    assert silent["stack"] == [] and silent["note"] == "it does not react to signals, its state in /proc is T", silent
    assert [worker["state"] for worker in workers.values()] == ["serving"]
    for pid in (stopped, hog["pid"]):
        os.kill(pid, signal.SIGKILL)


def test_what_operators_do(controlled):
    control = controlled()
    assert control.run("workers", "+1").returncode == 0
    wait_until(lambda: [worker["state"] for worker in control.ask("workers")["workers"]] == ["serving"] * 2)
    assert control.run("workers", "-1").returncode == 0
    wait_until(lambda: len(control.ask("workers")["workers"]) == 1)
    assert control.run("log", "error").returncode == 0
    before = len(control.server.log)
    assert control.run("reopen").returncode == 0
    assert control.run("log", "info").returncode == 0
    assert control.run("reopen").returncode == 0
    control.server.wait_log("log files reopened")
    assert control.server.log[before:].count("log files reopened") == 1
    old = control.server.worker_pids()
    result = control.run("reload", "--wait")
    assert (result.returncode, result.stdout) == (0, "the new configuration serves\n")
    assert control.server.worker_pids()[-1] not in old
    assert control.run("stop").returncode == 0
    assert control.server.wait_exit() == 0
    assert not control.path.exists()


def test_a_reload_that_fails(controlled):
    control = controlled()
    ini = control.server.dir / "server.ini"
    good = ini.read_text()
    ini.write_text(good + "moon = 1\n")
    result = control.run("reload", "--wait")
    assert result.returncode == 78 and "moon" in result.stderr, result
    assert "moon" in control.ask("status")["master"]["reload_failure"]
    ini.write_text(good.replace("s.ctl", "missing/s.ctl"))
    result = control.run("reload", "--wait")
    assert result.returncode == 70 or "missing/s.ctl" in result.stderr, result
    ini.write_text(good.replace("s.ctl", "other.ctl"))
    assert control.run("reload", "--wait").returncode == 0
    assert not control.path.exists()
    control.path = control.server.dir / "other.ctl"
    assert control.run("ping").returncode == 0


def test_the_signal_writes_all_requests_to_the_log(controlled):
    control = controlled(workers=2)
    for _ in range(6):
        control.begin("/lock?30")
    wait_until(lambda: len(control.requests("requests")) == 6)
    os.kill(control.server.pid, signal.SIGRTMIN + 1)
    entry = (r"^  \d+\.\d+  worker \d  [\d.]+ s  GET /lock\?30: waits [\d.]+ ms for lock \w+\n    time: .*cpu .*\n"
             r"    Stack.*\n      File \".*waits.py\", line \d+ in wait_for_lock")
    control.server.wait_log(entry, count=6)


BAD_LINES = {
    b"\n": "expected a command", b"json\n": "expected a command after", b"moon\n": "there is no such command",
    b"ping pong\n": "takes no argument", b"trace 1\n": "expected the ID of a request",
    b"cancel -1.5\n": "expected the ID", b"cancel 1.99999999999999999999999\n": "expected the ID",
    b"cancel 99999999999999.1\n": "expected the ID", b"requests older\n": "expected \"older TIME\"",
    b"requests older -1\n": "expected \"older TIME\"",
    b"requests limit 0\n": "expected \"limit N\"", b"trace limit x\n": "expected \"limit N\"",
    b"trace older 1s limit\n": "expected \"older TIME\"", b"requests older 9999999999999999s\n": "expected",
    b"log moon\n": "expected error", b"workers 5\n": "expected nothing", b"workers +0\n": "expected nothing",
    b"workers +99999999999999999999\n": "expected nothing", b"a b c d e f g\n": "at most four arguments",
    b"x" * 2000: "the line is too long", b"\xff\x00\x01\n": "there is no such command",
    b"GET / HTTP/1.1\r\n\r\n": "there is no such command",
}


def test_bad_lines(controlled):
    control = controlled()
    for line, message in BAD_LINES.items():
        head, _, text = control.raw(line).partition("\n")
        assert head == "syncless 1 64" and message in text, (line, head, text)
        if line.startswith(b"x"):
            continue
        head, _, text = control.raw(b"json " + line).partition("\n")
        assert head == "syncless 1 64" and json.loads(text)["error"], (line, text)
    assert control.ask("status")["master"]["state"] == "serving"


def test_bad_clients(controlled):
    """A hundred at once, some of which say nothing, leave early, or do not read."""
    control = controlled()
    socks = []
    for number in range(100):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(control.path))
        sock.sendall([b"", b"stat", b"trace\n", b"reload wait\n"][number % 4])
        socks.append(sock)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: control.run("status").returncode, range(16)))
    assert results == [0] * 16
    for sock in socks:
        sock.close()
    assert control.server.get("/sleep?0")[0] == 200
    control.server.wait_log("all workers are ready", count=2)


def test_a_client_that_does_not_read(controlled):
    control = controlled()
    for _ in range(60):
        control.begin("/lock?30&" + "x" * 7000)
    wait_until(lambda: len(control.requests("requests")) == 60)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(TIMEOUT)
        sock.connect(str(control.path))
        sock.sendall(b"json trace\n")
        for _ in range(3):
            assert control.run("ping").returncode == 0
        text = b""
        while chunk := sock.recv(1 << 20):
            text += chunk
    assert len(json.loads(text.partition(b"\n")[2])["workers"][0]["requests"]) == 60


def test_nobody_else_may_use_the_socket(controlled):
    control = controlled()
    assert control.path.stat().st_mode & 0o777 == 0o600
    if os.getuid() == 0:
        os.chmod(control.server.dir.parent, 0o755)
        result = subprocess.run([CTL, "-s", control.path, "ping"], user="nobody", capture_output=True, text=True)
        assert result.returncode in (77, 69), result
        if result.returncode == 77:
            assert "it is for its owner only" in result.stderr


def test_without_a_server(controlled, tmp_path):
    control = controlled()
    path = control.path
    control.server.process.kill()
    control.server.process.wait(TIMEOUT)
    result = control.run("ping")
    assert result.returncode == 69 and "it has ended and left the socket behind" in result.stderr, result
    control.path = tmp_path / "none"
    result = control.run("ping")
    assert result.returncode == 69 and "No such file" in result.stderr, result
    for args in ([], ["--moon"], ["ping", "--moon"], ["", ""]):
        assert subprocess.run([CTL, "-s", path, *args], capture_output=True).returncode == 64, args


def test_a_socket_that_was_left_behind_is_replaced(controlled, daemon, run_server, tmp_path):
    old = socket.socket(socket.AF_UNIX)
    with old:
        old.bind(str(tmp_path / "s.ctl"))
    ini = f"[server]\nbind = 127.0.0.1:0\ncontrol = {tmp_path}/s.ctl\n[hello /]\n"
    server = daemon(ini)
    server.wait_log("#0 all workers are ready")
    assert subprocess.run([CTL, "-s", tmp_path / "s.ctl", "ping"]).returncode == 0
    result = run_server([], ini)
    assert result.returncode != 0 and "another server listens there" in result.stderr, result
    assert subprocess.run([CTL, "-s", tmp_path / "s.ctl", "ping"]).returncode == 0
    (tmp_path / "s.ctl").unlink()
    server.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: (tmp_path / "s.ctl").exists())
    (tmp_path / "file").write_text("")
    result = run_server([], ini.replace("s.ctl", "file"))
    assert result.returncode != 0 and "the file is no socket" in result.stderr, result
