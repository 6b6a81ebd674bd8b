"""Counters of the server: what is counted, and that sums do not go back whatever happens to workers."""
import json
import os
import pathlib
import signal

import pytest

from conftest import TIMEOUT, wait_until

WAITS = (pathlib.Path(__file__).parent / "waits.py").read_text()
INI = """
[server]
workers = {workers}
control = s.ctl
pidfile = pid
shutdown-timeout = 100ms
{server}
[status /_status]
allow = 127.0.0.1
[hello /plain]
[wsgi /]
app = waits:app
"""


@pytest.fixture
def serve(daemon):
    def start(workers=1, server="", **options):
        running = daemon(INI.format(workers=workers, server=server), {"waits.py": WAITS}, **options)
        running.wait_log("#0 all workers are ready")
        return running
    return start


def look(server):
    status, _, body = server.get("/_status")
    assert status == 200
    return json.loads(body)


def totals(server):
    return look(server)["totals"]


def difference(after, before):
    return {name: value - before[name] for name, value in after.items() if isinstance(value, int)}


def test_requests_are_counted(serve):
    server = serve()
    before = totals(server)
    assert server.get("/sleep?0.01")[0] == 200
    assert server.request("POST", "/client", body=b"x" * 1000)[0] == 200
    assert server.request("POST", "/plain/x", body=b"x" * 1000)[0] == 200
    assert server.get("/moon?1")[0] == 500
    after = totals(server)
    changed = difference(after, before)
    assert changed["requests"] == 5  # the first look is one of them
    assert difference(after["responses"], before["responses"]) == {"1xx": 0, "2xx": 4, "3xx": 0, "4xx": 0, "5xx": 1,
                                                                   "other": 0}
    assert 2100 < changed["bytes_in"] < 4000
    assert changed["bytes_out"] > 500
    assert len(after["duration"]["counts"]) == len(after["duration"]["bounds_us"]) + 1
    assert sum(after["duration"]["counts"]) == after["requests"]
    assert after["waits"]["sleep"]["calls"] == 1 and after["waits"]["sleep"]["us"] > 10000
    assert after["duration"]["sum_us"] > after["waits"]["sleep"]["us"]
    assert 0 < changed["cpu_us"] < changed["process_cpu_us"] + 10000


def test_the_duration_of_requests_is_a_histogram(serve):
    server = serve()
    before = totals(server)["duration"]
    server.get("/sleep?0.1")
    after = totals(server)["duration"]
    slow = [count - old for count, old, bound in zip(after["counts"], before["counts"], after["bounds_us"] + [1e9])
            if bound > 100000]
    assert sum(slow) == 1
    assert after["bounds_us"][0] == 10 and after["bounds_us"] == sorted(after["bounds_us"])


def test_a_request_that_no_worker_has_read_is_counted(serve):
    server = serve()
    before = totals(server)
    assert server.raw(b"GET / HTTP/3.0\r\n\r\n").startswith(b"HTTP/1.1 505")
    assert server.raw(b"\x16\x03\x01\r\n\r\n").startswith(b"HTTP/1.1 400")
    after = totals(server)
    assert difference(after["responses"], before["responses"])["5xx"] == 1
    assert difference(after["responses"], before["responses"])["4xx"] == 1


# ---- workers that end ----

def ask(server, times=20):
    for _ in range(times):
        assert server.get("/plain")[0] == 200


def test_a_killed_worker_takes_nothing_along(serve):
    server = serve()
    ask(server)
    before = totals(server)
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    server.wait_log(r"worker 1 is ready", count=2)
    after = totals(server)
    assert after["requests"] == before["requests"] + 1
    assert sum(after["duration"]["counts"]) == after["requests"]
    assert after["restarts"] == 1 and after["process_cpu_us"] > before["process_cpu_us"]


def test_sums_go_on_over_a_reload(serve):
    server = serve(workers=2)
    ask(server)
    before = totals(server)
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("#0 all workers are ready", count=2)
    after = totals(server)
    assert after["requests"] == before["requests"] + 1
    assert (after["reloads"], after["restarts"]) == (1, 0)


def test_sums_go_on_in_a_new_binary(serve):
    server = serve()
    ask(server)
    before = totals(server)
    old = server.pid
    os.kill(old, signal.SIGUSR2)
    new = int(server.wait_log(r"started the new binary .*, pid (\d+)")[1])
    server.wait_log("all workers are ready", count=2)
    os.kill(old, signal.SIGQUIT)
    server.process.wait(TIMEOUT)
    status = look(server)
    assert status["master"]["pid"] == new
    assert status["totals"]["requests"] == before["requests"] + 1
    os.kill(new, signal.SIGTERM)
    wait_until(lambda: not pathlib.Path(f"/proc/{new}/fd/0").exists())


def test_sums_are_over_all_workers(serve):
    server = serve()
    ask(server)
    os.kill(server.pid, signal.SIGTTIN)
    server.wait_log("worker 2 is ready")
    ask(server)
    assert totals(server)["requests"] == 40
    os.kill(server.pid, signal.SIGTTOU)
    wait_until(lambda: len(server.worker_pids()) == 1)
    assert totals(server)["requests"] == 41


def test_a_forked_child_of_an_application_counts_nothing(serve):
    server = serve()
    before = totals(server)
    assert server.get("/child?0.01")[0] == 200
    assert totals(server)["requests"] == before["requests"] + 2
