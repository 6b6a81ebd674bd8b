"""Processes: the master and its workers, signals, exit codes, and modules that must be refused."""
import os
import pathlib
import re
import signal
import socket
import threading
import time

import pytest

FAILED, WORKERS, APP = 1, 3, 4


@pytest.fixture
def start(daemon, c_modules):
    def run(rest="[probe /]\n", workers=1, **options):
        return daemon(f"[server]\nmodule-path = {c_modules}\nworkers = {workers}\n{rest}", **options)
    return run


def get_in_thread(server, path):
    """Send a request; returns a function that waits for its (status, headers, body), or the exception it raised."""
    connection = server.http()
    connection.request("GET", path)
    result = []

    def run():
        try:
            response = connection.getresponse()
            result.append((response.status, response.headers, response.read()))
        except OSError as error:
            result.append(error)
        connection.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def finish():
        thread.join(20)
        return result[0]
    return finish


def workers_within(server, count, others=()):
    """The pids of `count` workers, none of them in `others`, as soon as all of them are ready."""
    def ready():
        pids = server.worker_pids()
        said = all(re.search(rf"\b{pid}#\d+ worker \d+ is ready", server.log) for pid in pids)
        return pids if said and len(pids) == count and not set(pids) & set(others) else None
    return server.wait_until(ready)


def requests_in_progress(server, count):
    """Wait until so many connections are accepted, and what clients have sent on them is received."""
    def received():
        lines = [line.split() for line in open("/proc/net/tcp").read().splitlines()[1:]]
        mine = [line for line in lines if line[1].endswith(f":{server.port:04X}") and line[3] == "01"]
        return sum(line[4].endswith(":00000000") and line[9] != "0" for line in mine) >= count
    return server.wait_until(received)


# ---- workers ----


def test_two_workers_answer(start):
    server = start(workers=2)
    pids = set(workers_within(server, 2))
    seen = set()
    for _ in range(2000):
        seen.add(int(server.get("/pid")[2]))
        if seen == pids:
            break
    assert seen == pids


def test_workers_auto_is_the_number_of_cpus(start):
    workers_within(start(workers="auto"), len(os.sched_getaffinity(0)))


def test_killed_worker_is_replaced(start):
    server = start(workers=2)
    before = workers_within(server, 2)
    os.kill(before[0], signal.SIGKILL)
    server.wait_log(rf"\b{before[0]}\b.*(signal 9|SIGKILL|killed)")
    after = workers_within(server, 2, others=before[:1])
    assert before[1] in after and server.get("/")[0] == 200


def test_killed_worker_loses_its_own_connections_only(start):
    server = start(workers=2)
    workers_within(server, 2)
    connections, pids = [], []
    while len(set(pids)) < 2 and len(pids) < 3000:
        batch = [server.http() for _ in range(50)]
        for connection in batch:
            connection.request("GET", "/pid")
        connections += batch
        pids += [int(connection.getresponse().read()) for connection in batch]
    assert len(set(pids)) == 2
    os.kill(pids[0], signal.SIGKILL)
    workers_within(server, 2, others=pids[:1])
    for connection, pid in zip(connections, pids):
        if pid != pids[0]:
            connection.request("GET", "/pid")
            assert int(connection.getresponse().read()) in server.worker_pids()  # it may have moved to the new one
        connection.close()


def test_crashing_worker_is_restarted_with_back_off(start):
    """Several deaths in a row take longer than as many forks, and the port stays open."""
    server = start()
    started = time.monotonic()
    dead = []
    for _ in range(6):
        dead += workers_within(server, 1, others=dead)
        os.kill(dead[-1], signal.SIGKILL)
    workers_within(server, 1, others=dead)
    assert time.monotonic() - started > 0.5
    server.wait_log(r"again in|back-?off|in \d+(\.\d+)? ?m?s")
    assert server.get("/")[0] == 200


def test_worker_whose_master_dies_ends(start):
    server = start()
    worker, = workers_within(server, 1)
    os.kill(server.pid, signal.SIGKILL)
    server.wait_exit()
    assert "#1 the master has died: stopping" in server.log
    status = pathlib.Path(f"/proc/{worker}/status")
    server.wait_until(lambda: not status.exists() or "State:\tZ" in status.read_text())


# ---- stopping ----


def test_term_when_idle(start):
    server = start(workers=2)
    pids = workers_within(server, 2)
    assert server.stop(signal.SIGTERM) == 0
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    with pytest.raises(ConnectionRefusedError):
        server.connect()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGQUIT])
def test_graceful_stop_lets_a_running_request_finish(start, signum):
    server = start()
    idle = server.http()
    idle.request("GET", "/")
    idle.getresponse().read()
    answer = get_in_thread(server, "/sleep?1000")
    requests_in_progress(server, 2)
    assert server.stop(signum) == 0
    assert answer()[::2] == (200, b"slept\n")
    assert idle.sock.recv(1) == b""
    idle.close()


def test_graceful_stop_ends_at_shutdown_timeout(start):
    server = start(rest="shutdown-timeout = 300ms\n[probe /]\n")
    answer = get_in_thread(server, "/sleep?30000")
    requests_in_progress(server, 1)
    started = time.monotonic()
    assert server.stop() == 0
    assert 0.25 < time.monotonic() - started < 5
    assert isinstance(answer(), OSError) or answer()[0] >= 500
    server.wait_log(r"\[warn\] \d+#1 shutdown-timeout exceeded: closing 1 connections")


def test_second_term_stops_at_once(start):
    server = start()
    get_in_thread(server, "/sleep?30000")
    requests_in_progress(server, 1)
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.wait_log("TERM|stopping|shutting down")
    assert server.stop() == 0
    assert time.monotonic() - started < 5


SLOW = """
import os, subprocess, time
def app(environ, start_response):
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/env':
        import socket
        socket.getaddrinfo('localhost', 80)
        return [subprocess.run(['env'], stdout=subprocess.PIPE).stdout]
    def body():
        try:
            yield b'begun'
            time.sleep(60)
        finally:
            open(os.path.join(os.path.dirname(__file__), 'ended'), 'w').close()
    return body()
"""
SCRIPT = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\necho $$\nsleep 60\n"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_requests_are_cancelled_before_they_are_cut(daemon, signum):
    """Children of CGI scripts are killed and `finally` blocks run, in bounded time."""
    server = daemon("[server]\nshutdown-timeout = 200ms\n[wsgi /]\napp = slow:app\n[cgi /cgi]\nroot = cgi\n",
                    {"slow.py": SLOW, "cgi/slow.sh": SCRIPT})
    with server.connect() as app, server.connect() as cgi:
        app.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        cgi.sendall(b"GET /cgi/slow.sh HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while not re.search(rb"\r\n(\d+)\n", received):
            received += cgi.recv(1000)
        while b"begun" not in app.recv(1000):
            pass
        group = int(re.search(rb"\r\n(\d+)\n", received)[1])
        os.killpg(group, 0)
        started = time.monotonic()
        assert server.stop(signum) == 0
        assert time.monotonic() - started < 3
    assert (server.dir / "ended").exists()
    server.wait_until(lambda: not group_exists(group))


def group_exists(group):
    try:
        os.killpg(group, 0)
        return True
    except ProcessLookupError:
        return False


STUBBORN = """
import time
def app(environ, start_response):
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""


def test_request_that_ignores_its_cancellation_does_not_delay_the_stop(daemon):
    """A request that waits again whatever ends its wait."""
    server = daemon("[server]\nshutdown-timeout = 100ms\n[wsgi /]\napp = stubborn:app\n", {"stubborn.py": STUBBORN})
    workers_within(server, 1)
    get_in_thread(server, "/")
    requests_in_progress(server, 1)
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 5
    server.wait_log("1 coroutines were still running")


def test_children_do_not_inherit_what_is_the_servers_own(daemon):
    server = daemon("[server]\nresolver = system\nthreads = 3\n[wsgi /]\napp = slow:app\n", {"slow.py": SLOW})
    for _ in range(2):
        assert b"PATH=" in (environment := server.get("/env")[2]) and b"UV_" not in environment
    given = daemon("[server]\nresolver = system\n[wsgi /]\napp = slow:app\n", {"slow.py": SLOW},
                   env={"UV_THREADPOOL_SIZE": 9})
    assert b"UV_THREADPOOL_SIZE=9\n" in given.get("/env")[2]


def test_int_is_fast(start):
    server = start()
    get_in_thread(server, "/sleep?30000")
    requests_in_progress(server, 1)
    started = time.monotonic()
    assert server.stop(signal.SIGINT) == 0
    assert time.monotonic() - started < 5


def test_pipe_is_ignored(start):
    server = start()
    for pid in [server.pid] + workers_within(server, 1):
        os.kill(pid, signal.SIGPIPE)
    assert server.get("/")[0] == 200


def test_unix_socket_is_removed_and_a_stale_one_replaced(daemon, c_modules):
    ini = f"[server]\nmodule-path = {c_modules}\nbind = unix:%(here)/app.sock\n[probe /]\n"
    server = daemon(ini)
    path = server.path
    assert server.stop() == 0 and not os.path.exists(path)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(path)
    stale.close()
    again = daemon(ini.replace("%(here)", os.path.dirname(path)))
    assert again.get("/")[0] == 200


# ---- starting ----


def test_port_in_use(start, run_server, c_modules):
    server = start()
    done = run_server([], f"[server]\nmodule-path = {c_modules}\nbind = 127.0.0.1:{server.port}\n[probe /]\n")
    assert done.returncode == FAILED
    assert f"127.0.0.1:{server.port}" in done.stderr and "in use" in done.stderr
    assert server.get("/")[0] == 200


def test_unix_socket_in_use_is_not_taken_away(daemon, run_server, c_modules):
    server = daemon(f"[server]\nmodule-path = {c_modules}\nbind = unix:%(here)/app.sock\n[probe /]\n")
    done = run_server([], f"[server]\nmodule-path = {c_modules}\nbind = unix:{server.path}\n[probe /]\n")
    assert done.returncode == FAILED and "in use" in done.stderr
    assert server.get("/")[0] == 200


COMPILE_AGAIN = "compile it with this server's header"
MODULES = {  # module: (exit code, what is said)
    "missing": (78, r"server\.ini:\d: .*missing"),
    "wrong_abi": (78, rf"wrong_abi: .* for version 3\.0 of syncless\.h, this server has 4\.\d+: {COMPILE_AGAIN}"),
    "no_abi": (78, r"no_abi: its sl_module lacks \.abi = SL_ABI"),
    "next_minor": (78, rf"built for version 4\.\d+ .* has 4\.\d+: {COMPILE_AGAIN}, or update the server"),
    "next_major": (78, rf"built for version 5\.\d+ .* has 4\.\d+: {COMPILE_AGAIN}, or update the server"),
    "newer": (78, rf"undefined symbol: sl_of_a_later_version: {COMPILE_AGAIN}, or update the server"),
    "no_symbol": (78, r"no_symbol.*is not a syncless module: it does not export the symbol sl_module"),
    "not_elf": (78, r"not_elf.*"),
    "not_loadable": (APP, r"not_loadable|broken"),
    "not_startable": (WORKERS, r"not_startable|broken"),
    "crashes": (WORKERS, r"signal 6|SIGABRT|Aborted"),
}


@pytest.mark.parametrize("name", MODULES)
def test_module_that_must_be_refused(run_server, c_modules, name):
    code, said = MODULES[name]
    done = run_server([], f"[server]\nmodule-path = {c_modules}\n[{name} /]\n")
    assert done.returncode == code and re.search(said, done.stderr), done


def test_module_with_an_older_and_shorter_table(start):
    server = start("[older /]\n[older /preloaded]\n", workers="1\npreload = yes")
    assert server.get("/")[2] == server.get("/preloaded")[2] == b"older\n"
    assert server.stop() == 0


# ---- stack overflow ----


def test_stack_overflow_names_the_request_and_ends_that_worker_only(start):
    server = start(workers=2)
    before = workers_within(server, 2)
    with pytest.raises(OSError):
        server.get("/recurse?deep=1")
    server.wait_log(r"stack overflow.*GET /recurse\?deep=1|GET /recurse\?deep=1.*stack overflow")
    dead = int(server.wait_log(r"pid (\d+)\) was killed by signal (?:6|11)\b")[1])
    after = workers_within(server, 2, others=[dead])
    assert set(before) - set(after) == {dead}
    assert server.get("/")[0] == 200


BACKGROUND = """
import queue, sys, threading, time, syncless

def background():
    try:
        queue.Queue().get()
    finally:
        time.sleep(0.01)
        print("background: finally", file=sys.stderr)

def app(environ, start_response):
    syncless.spawn(background)
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/lock":
        lock = threading.Lock()
        with lock:
            try:
                lock.acquire()
            finally:
                print("request: finally", file=sys.stderr)
    return [b"ok"]
"""


def test_stop_kills_what_waits_in_python(daemon):
    """Also what waits for a lock, which no error ends: finally blocks run, and the worker exits in an orderly way."""
    server = daemon("[server]\nshutdown-timeout = 200ms\n[wsgi /]\napp = background:app", {"background.py": BACKGROUND})
    assert server.get("/")[0] == 200
    with server.connect() as sock:
        sock.sendall(b"GET /lock HTTP/1.1\r\nHost: x\r\n\r\n")
        server.wait_until(lambda: server.get("/")[0] == 200)
        assert server.stop() == 0
    assert server.log.count("background: finally") == 3
    assert server.log.count("request: finally") == 1
    assert "Traceback" not in server.log and "were still running" not in server.log
