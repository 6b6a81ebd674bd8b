"""What the server tells of itself after an upgrade, in a sandbox, and with others that do not answer: a database, a
name server."""
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from conftest import SANITIZED, TIMEOUT, is_worker, wait_until
from databases import Postgres
from test_control import CTL, Controlled

PSYCOPG = """
import psycopg2

def app(environ, start_response):
    connection = psycopg2.connect("")
    connection.cursor().execute("SELECT pg_sleep(60)")
"""


def test_over_an_upgrade(daemon):
    """The new master has the socket, whether the old one ends or is there; when the new one is told to end, the old one
    has it again."""
    control = Controlled(daemon, server="pidfile = pid\n")
    old = control.server.pid

    def master():
        result = control.run("-j", "status")
        return result.returncode == 0 and int(re.search(r'"master":\{"pid":(\d+)', result.stdout)[1])
    assert master() == old
    os.kill(old, signal.SIGUSR2)
    new = wait_until(lambda: (pid := master()) != old and pid)
    try:
        control.server.wait_log(f"{new}#0 all workers are ready")
        os.kill(new, signal.SIGTERM)
        wait_until(lambda: not is_worker(new))
        wait_until(lambda: master() == old)
        os.kill(old, signal.SIGUSR2)
        new = wait_until(lambda: (pid := master()) != old and pid)
        control.server.wait_log(f"{new}#0 all workers are ready")
        os.kill(old, signal.SIGQUIT)
        control.server.process.wait(TIMEOUT)
        assert master() == new
        control.begin("/sleep?60")
        ident = wait_until(lambda: control.requests("requests"))[0]["id"]
        result = control.run("debug", ident, input="p query\n")
        assert "'60'" in result.stdout, result
        assert control.run("reload", "--wait").returncode == 0
        assert control.run("stop").returncode == 0
        wait_until(lambda: not is_worker(new))
        assert not control.path.exists()
    finally:
        control.close()
        if is_worker(new):
            os.kill(new, signal.SIGKILL)


@pytest.mark.skipif(SANITIZED, reason="LeakSanitizer uses ptrace")
def test_in_a_sandbox(daemon):
    control = Controlled(daemon, server="sandbox = yes\n")
    control.begin("/sleep?60")
    request = wait_until(lambda: control.requests("trace"))[0]
    assert request["wait"]["kind"] == "sleep" and "wait_for_sleep" in str(request["stack"])
    assert "42\n" in control.run("console", input="6 * 7\n").stdout
    assert "'60'" in control.run("debug", request["id"], input="p query\n").stdout
    os.kill(control.server.worker_pids()[0], signal.SIGSTOP)
    assert [worker["state"] for worker in control.ask("workers")["workers"]] == ["stuck"]
    os.kill(control.server.worker_pids()[0], signal.SIGCONT)
    assert control.run("cancel", request["id"]).returncode == 0
    control.close()


@pytest.mark.needs("psycopg2")
def test_a_database_that_takes_long(daemon):
    """libpq waits in C code: for whom is known, and pdb says where."""
    postgres = Postgres()
    try:
        server = daemon("[server]\ncontrol = s.ctl\nshutdown-timeout = 100ms\n[wsgi /]\napp = app:app\n",
                        {"app.py": PSYCOPG}, env=postgres.env)
        control = Controlled.__new__(Controlled)
        control.server, control.path, control._asked = server, server.dir / "s.ctl", []
        sock = control.begin("/")
        wait = {"kind": "socket", "of": f"unix:{postgres.dir}/.s.PGSQL.5432"}
        request = wait_until(lambda: (found := control.requests("trace")) and "line 6 in app" in str(found[0]["stack"])
                             and found[0])
        assert request["wait"] == wait, request
        assert {(peer["kind"], peer["of"]) for peer in request["peers"]} <= {("socket", wait["of"])}, request
        one = subprocess.Popen([CTL, "-s", control.path, "debug", request["id"]], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
        lines = []
        while "execute" not in (line := one.stdout.readline()):
            lines.append(line)
        assert "the request is in C code" in lines[0], lines
        assert control.requests("requests")[0]["wait"] == wait
        assert control.run("cancel", request["id"]).returncode == 0
        assert sock.recv(15) == b"HTTP/1.1 503 Se"
        one.communicate(timeout=TIMEOUT)
        control.close()
        server.stop()
    finally:
        postgres.end()


ISLAND = """
import os, socket, subprocess, sys, time
folder, *command = sys.argv[1:]
subprocess.run(["mount", "--bind", f"{folder}/resolv.conf", "/etc/resolv.conf"], check=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
server = socket.socket(type=socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
parent = os.getpid()
if not os.fork():  # it has the socket, and not the log
    for fd in range(3):
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(0)
server.close()
os.execvp(command[0], command)
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="only root can make namespaces of the network")
@pytest.mark.parametrize("resolver", ["c-ares", "system"])
def test_a_name_server_that_does_not_answer(daemon, open_folder, resolver):
    (open_folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:20 attempts:1\n")
    control = Controlled(daemon, server=f"bind = unix:{open_folder}/s\nresolver = {resolver}\n",
                         before=["unshare", "--net", "--mount", sys.executable, "-c", ISLAND, str(open_folder)])
    for _ in range(3):
        control.begin("/name?slow.example.")
    requests = wait_until(lambda: len(found := control.requests("trace")) == 3 and all(
        request["state"] == "waits" for request in found) and found)
    for request in requests:
        assert request["wait"] == {"kind": "dns", "of": "slow.example."}, request
        assert "wait_for_name" in str(request["stack"])
        parts = sum(wait["us"] for wait in request["waits"].values())
        parts += request["cpu_us"] + request["ready_us"] + request["pool_us"]
        assert parts == pytest.approx(request["age_us"], rel=0.02, abs=300), request
    control.close()
    control.server.stop(signal.SIGINT)
