"""The section [status]: what it tells and to whom, also when the server is full; probes, and drain-delay."""
import json
import pathlib
import re
import signal
import socket
import threading
import time

import pytest

from conftest import TIMEOUT, wait_until

WAITS = (pathlib.Path(__file__).parent / "waits.py").read_text()
INI = """
[server]
workers = {workers}
shutdown-timeout = 100ms
{server}
[limits]
max-concurrency = {most}
queue-timeout = {queue}
[status /_status]
{status}
[wsgi /]
app = waits:app
"""


@pytest.fixture
def serve(daemon):
    socks = []

    def start(status="allow = 127.0.0.1", workers=1, most=100, queue="10s", server=""):
        running = daemon(INI.format(status=status, workers=workers, most=most, queue=queue, server=server),
                         {"waits.py": WAITS})
        running.wait_log("#0 all workers are ready")
        running.begin = lambda target: socks.append(begin(running, target))
        return running

    def begin(running, target):
        sock = running.connect()
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return sock
    yield start
    for sock in socks:
        sock.close()


def look(server, path="/_status", **options):
    status, fields, body = server.get(path, **options)
    assert (status, fields["Content-Type"], fields["Cache-Control"]) == (200, "application/json", "no-store"), body
    return json.loads(body)


def test_it_tells_of_all_workers(serve):
    server = serve(workers=2)
    for _ in range(4):
        server.begin("/lock?30")
    wait_until(lambda: sum(worker["in_flight"] for worker in look(server)["workers"]) == 5)  # this one too
    status = look(server, "/_status/")
    assert status["version"] == 1 and status["master"]["pid"] == server.pid
    assert [worker["state"] for worker in status["workers"]] == ["serving"] * 2
    requests = [request for worker in look(server, "/_status/trace")["workers"] for request in worker["requests"]]
    locked = [request for request in requests if request["target"] == "/lock?30"]
    assert len(requests) == 5 and len(locked) == 4
    assert all("wait_for_lock" in "".join(request["stack"]) and request["wait"]["kind"] == "lock" for request in locked)
    assert "stack" not in json.dumps(look(server, "/_status/requests"))
    assert len(look(server, "/_status/workers")["workers"]) == 2
    assert server.get("/_status/moon")[0] == 404
    status, fields, _ = server.request("POST", "/_status")
    assert (status, fields["Allow"]) == (405, "GET, HEAD")
    assert server.request("HEAD", "/_status")[0] == 200


def test_it_does_not_queue(serve):
    server = serve(most=2)
    for _ in range(4):
        server.begin("/sleep?30")
    worker = wait_until(lambda: (found := look(server)["workers"][0])["queued"] == 2 and found)
    assert worker["in_flight"] == 3
    assert server.get("/_status/live")[0] == 200


def test_ready_fails_where_requests_queue_for_long(serve):
    server = serve(most=1, queue="2s")
    assert server.get("/_status/ready")[::2] == (200, b"ok\n")
    for _ in range(2):
        server.begin("/sleep?30")
    found = wait_until(lambda: (answer := server.get("/_status/ready"))[0] == 503 and answer)
    assert found[2] == b"full: requests queue for more than half of queue-timeout\n"
    assert server.get("/_status/live")[0] == 200


FOREIGN = ["allow = 10.0.0.0/8\nallow-probes = 10.0.0.1", "allow = ::1\nallow-probes = unix",
           "allow = 10.0.0.0/8\nallow-probes = 2001:db8::/32\nauth = me:secret"]


@pytest.mark.parametrize("status", FOREIGN)
def test_others_get_404(serve, status):
    """The same page as where there is nothing."""
    server = serve(status)
    for path in ("", "/", "/status", "/requests", "/trace", "/workers", "/live", "/ready", "/moon"):
        for method in ("GET", "POST"):
            status, fields, body = server.request(method, "/_status" + path)
            assert (status, fields["Content-Type"]) == (404, "text/html; charset=utf-8"), path
            assert b"404 Not Found" in body and not fields["WWW-Authenticate"] and not fields["Allow"]


def test_probes_only_by_default(serve):
    server = serve("")
    assert server.get("/_status")[0] == 404 and server.get("/_status/requests")[0] == 404
    assert server.get("/_status/live")[0] == 200 and server.get("/_status/ready")[0] == 200


def test_the_client_of_a_trusted_proxy_counts(serve):
    server = serve("allow = 192.0.2.0/24\nallow-probes = 192.0.2.1", server="trusted-proxies = 127.0.0.1")
    assert look(server, headers={"X-Forwarded-For": "192.0.2.7"})
    for headers in ({}, {"X-Forwarded-For": "192.0.3.7"}, {"X-Forwarded-For": "192.0.2.7, 192.0.3.7"}):
        assert server.get("/_status", headers)[0] == 404
        assert server.get("/_status/live", headers)[0] == 404
    untrusting = serve("allow = 192.0.2.0/24\nallow-probes = 192.0.2.1")
    assert untrusting.get("/_status", {"X-Forwarded-For": "192.0.2.7"})[0] == 404


def test_basic_authentication(serve):
    server = serve("allow = 127.0.0.1\nauth = me:secret\nauth = you:pass:word")
    status, fields, _ = server.get("/_status")
    assert status == 401 and fields["WWW-Authenticate"].startswith("Basic realm=")
    for wrong in ("Basic bWU6c2VjcmV", "Basic bWU6c2VjcmV0eA==", "Basic", "Bearer bWU6c2VjcmV0", "Basic bWU6U2VjcmV0"):
        assert server.get("/_status", {"Authorization": wrong})[0] == 401, wrong
        assert server.get("/_status/moon", {"Authorization": wrong})[0] == 401, wrong
    for right in ("Basic bWU6c2VjcmV0", "basic  bWU6c2VjcmV0", "Basic eW91OnBhc3M6d29yZA=="):
        assert look(server, headers={"Authorization": right})
    assert server.get("/_status/ready")[0] == 200


@pytest.mark.parametrize("status, message", [
    ("allow = moon", 'server.ini:10: "allow = moon"'), ("allow-probes = 10.0.0.0/40", '"allow-probes = 10.0.0.0/40"'),
    ("auth = me", "expected NAME:PASSWORD"), ("auth = me:", "expected NAME:PASSWORD"),
    ("alow = ::1", 'did you mean "allow"')])
def test_bad_settings(run_server, status, message):
    result = run_server(["-t"], INI.format(status=status, workers=1, most=1, queue="1s", server=""),
                        {"waits.py": WAITS})
    assert result.returncode == 78 and message in result.stderr, result.stderr


def test_passwords_are_not_shown(run_server):
    """Neither by -T, nor in errors."""
    ini = ("[status /s]\nauth = admin:geheim=1\nallow = ::1\n[wsgi /]\napp = a:b\nenv = TOKEN=geheim:2\n"
           "[cgi /c]\nroot = .\nenv = KEY=geheim\n")
    shown = run_server(["-T"], ini).stdout
    assert "geheim" not in shown and "allow = ::1 ;" in shown
    for line in ("auth = admin:***", "env = TOKEN=***", "env = KEY=***"):
        assert f"\n{line} ; " in shown, shown
    result = run_server(["-t"], "[status /s]\nauth = :geheim\n[hello /]\n")
    assert '"auth = :***": expected NAME:PASSWORD' in result.stderr and "geheim" not in result.stderr


def test_drain_delay(serve):
    """Ready fails first, and the server serves; then it stops."""
    server = serve(server="drain-delay = 700ms\ncontrol = s.ctl", workers=2)
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.wait_log(r"SIGTERM: not ready from now on; stopping in 0\.700 s")
    wait_until(lambda: server.get("/_status/ready")[0] == 503)
    assert server.get("/_status/ready")[2] == b"draining: the server is about to stop\n"
    assert server.get("/_status/live")[0] == 200 and server.get("/sleep?0")[0] == 200
    assert look(server)["master"]["state"] == "draining"
    assert server.wait_exit() == 0
    assert time.monotonic() - began >= 0.7


def test_a_second_signal_does_not_wait(serve):
    server = serve(server="drain-delay = 50s")
    server.process.send_signal(signal.SIGTERM)
    server.wait_log("not ready from now on")
    server.process.send_signal(signal.SIGTERM)
    server.wait_log("SIGTERM: stopping")
    assert server.wait_exit() == 0


def test_a_reload_ends_what_winch_began(serve):
    server = serve(server="drain-delay = 100ms")
    server.process.send_signal(signal.SIGWINCH)
    server.wait_log("stopping all workers, but not the master")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("#0 all workers are ready", count=2)
    assert server.get("/_status/ready")[0] == 200
