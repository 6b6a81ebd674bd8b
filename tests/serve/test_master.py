"""The master when something goes wrong around it: half a reload, a loader that dies, a second signal, an odd start."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from conftest import PATIENCE, SERVER, is_worker, server_args, server_env, wait_until, write_files

APP = "def app(e, s):\n    s('200 OK', [('Content-Length', '2')])\n    return [b'%s']\n"
SLEEPY = """
import os, time
def app(e, s):
    if e['PATH_INFO'] == '/slow':
        open(os.path.join(os.path.dirname(__file__), 'begun'), 'w').close()
        time.sleep(1)
    s('200 OK', [('Content-Length', '2')])
    return [b'ok']
"""
HANGING = "import time\nprint('hanging', flush=True)\ntime.sleep(1000)\n"


@pytest.fixture
def start(daemon):
    def run(server="", log="", app=APP % "v1", workers=1, **options):
        ini = f"[server]\nworkers = {workers}\n{server}\n[log]\n{log}\n[wsgi /]\napp = app:app\n"
        return daemon(ini, {"app.py": app}, **options)
    return run


def ready(server, count=1):
    server.wait_log("#0 all workers are ready", count=count)
    return server


def worker_pids_of(server):
    """Children of the master that serve: not the loader."""
    return [pid for pid in server.worker_pids() if re.search(rf"\b{pid}#\d worker \d is ready", server.log)]


def get_slowly(server):
    """Begin a request that takes a second; its connection."""
    sock = server.connect()
    sock.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    server.wait_until((server.dir / "begun").exists)
    return sock


# ---- a signal more than needed ----


def test_worker_that_already_leaves_is_not_cut_by_the_stop(start):
    server = ready(start(app=SLEEPY))
    with get_slowly(server) as sock:
        os.kill(server.pid, signal.SIGHUP)
        ready(server, 2)
        server.process.send_signal(signal.SIGTERM)
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    assert server.wait_exit() == 0


def test_term_to_every_process_is_one_stop(start):
    """As killall and systemd with KillMode=control-group send it."""
    server = ready(start(app=SLEEPY))
    worker, = server.worker_pids()
    with get_slowly(server) as sock, server.connect() as idle:
        os.kill(worker, signal.SIGTERM)
        assert idle.recv(1) == b""  # it has heard that one
        server.process.send_signal(signal.SIGTERM)
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    assert server.wait_exit() == 0


# ---- the loader of preload ----


def cpu_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def loader_of(server):
    server.wait_until(lambda: worker_pids_of(server))
    return next(pid for pid in server.wait_until(lambda: len(server.worker_pids()) == 2 and server.worker_pids())
                if pid not in worker_pids_of(server))
