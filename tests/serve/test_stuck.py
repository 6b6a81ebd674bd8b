"""Workers that are stuck, and starts that do not end: they are reported and replaced, and nobody else notices."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import SANITIZED, SERVER, TIMEOUT, is_worker, server_env, wait_until

APP = """
import ctypes, os, re, select, signal, stat, sys, threading, time

libc = ctypes.CDLL('libc.so.6')      # libc's own functions: they park nobody
greedy = ctypes.PyDLL('libc.so.6')   # the same, with the GIL held
buffer = ctypes.create_string_buffer(64)

def regex():
    re.match('(a+)+$', 'a' * 40 + 'b')

def spin(seconds=1e9):
    end = time.monotonic() + seconds
    while time.monotonic() < end: pass


def read_in_c():
    libc.read(os.pipe()[0], buffer, 1)

def read_with_gil():
    greedy.read(os.pipe()[0], buffer, 1)

def thread_with_gil():
    threading.Thread(target=read_with_gil, daemon=True).start()
    time.sleep(0.01)

def deadlock():
    libc.pthread_mutex_lock(buffer)
    libc.pthread_mutex_lock(buffer)

def stop():
    os.kill(os.getpid(), signal.SIGSTOP)

def descriptors(kind):
    links = ((int(name), os.readlink(f'/proc/self/fd/{name}')) for name in os.listdir('/proc/self/fd')
             if os.path.exists(f'/proc/self/fd/{name}'))
    return [number for number, target in links if kind in target]

def deafen():
    'The loop turns, but its epoll set is another one.'
    for number in descriptors('eventpoll'):
        real_close(number)
        fresh = select.epoll()
        assert fresh.fileno() == number, (fresh.fileno(), number)
        keep.append(fresh)

keep = []

def real_close(number):
    assert libc.close(number) == 0

def close_everything():
    os.closerange(3, 1000)

def close_wakers():
    for number in descriptors('eventfd'):
        real_close(number)

def lower_limit():
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

def close_listener():
    import socket
    for number in descriptors('socket:'):
        sock = socket.socket(fileno=os.dup(number))
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            real_close(number)

def close_channel():
    import socket
    for number in descriptors('socket:'):
        sock = socket.socket(fileno=os.dup(number))
        if sock.type == socket.SOCK_SEQPACKET:
            real_close(number)

def app(environ, start_response):
    name, query = environ['PATH_INFO'][1:], environ['QUERY_STRING']
    if name:
        globals()[name](*([float(query)] if query else []))
    start_response('200 OK', [('Content-Length', '2')])
    return [b'ok']
"""


@pytest.fixture
def start(daemon):
    def run(workers=1, timeout="1s", more="", app=APP, log="", **options):
        ini = (f"[server]\nworkers = {workers}\nworker-timeout = {timeout}\nwatchdog-timeout = 500ms\n"
               f"time-slice = 0\n{more}\n"
               f"[wsgi /]\napp = app:app\n{log}")
        server = daemon(ini, {"app.py": app}, **options)
        server.wait_log("all workers are ready")
        return server
    return run


class Client(threading.Thread):
    """A client that asks for a path, and shows how that ended."""

    def __init__(self, server, path):
        super().__init__(daemon=True)
        self.server, self.path, self.result = server, path, None
        self.start()

    def run(self):
        try:
            self.result = self.server.get(self.path, timeout=4 * TIMEOUT)[0]
        except OSError as error:
            self.result = error

    def end(self):
        self.join(4 * TIMEOUT)
        return self.result


class Others(threading.Thread):
    """Clients who ask for / all the time, on a new connection each: the longest time that one of them had to wait."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.over, self.worst, self.count, self.errors = server, threading.Event(), 0, 0, []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.join()

    def run(self):
        while not self.over.wait(0.02):
            began = time.monotonic()
            try:
                assert self.server.get("/", timeout=3 * TIMEOUT)[0] == 200
            except (OSError, AssertionError) as error:
                self.errors.append(error)
            self.worst = max(self.worst, time.monotonic() - began)
            self.count += 1


def pid_of_worker(server, number, count=1):
    """The pid of the count-th worker of that number."""
    return int(server.wait_log(rf"(\d+)#{number} worker {number} is ready", count=count)[1])


HANGS = {  # view: what the log says of the place
    "regex": r"GET /regex, at .*:\d+ in (?:prefix)?match",
    "spin": r"GET /spin, at \S+/app\.py:13 in spin",
    "read_in_c": r"GET /read_in_c, at \S+/app\.py:17 in read_in_c",
    "read_with_gil": r"GET /read_with_gil, at \S+/app\.py:20 in read_with_gil",
    "thread_with_gil": r"GET /thread_with_gil, at \S+ in \w+(; the GIL is held at \S+/app\.py:20 in read_with_gil)?",
    "deadlock": r"GET /deadlock, at \S+/app\.py:28 in deadlock",
    "stop": r"it was stopped by a signal \(SIGSTOP\), in GET /stop",
}


@pytest.mark.parametrize("view", HANGS)
def test_the_only_worker_is_replaced(start, view):
    server = start()
    stuck = pid_of_worker(server, 1)
    client, began = Client(server, "/" + view), time.monotonic()
    server.wait_log(rf"#0 worker 1 \(pid {stuck}\) is stuck, it has not answered for \d\.\d s: {HANGS[view]}: "
                    "replacing it$")
    fresh = pid_of_worker(server, 1, 2)
    assert server.get("/")[0] == 200
    assert time.monotonic() - began < (20 if SANITIZED else 5)
    assert isinstance(client.end(), OSError)
    server.wait_log(rf"#0 worker 1 \(pid {stuck}\) was killed$")
    assert server.log.index("worker 1 is ready", server.log.index("is stuck")) < server.log.index("was killed")
    assert server.log.count("is stuck") == 1
    assert server.worker_pids() == [fresh]
    assert server.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        server.connect()


@pytest.mark.parametrize("preload", ["no", "yes"])
@pytest.mark.parametrize("view", HANGS)
def test_of_two_workers_the_other_one_serves_meanwhile(start, view, preload):
    server = start(2, more=f"preload = {preload}")
    before = set(server.worker_pids())
    with Others(server) as others:
        client = Client(server, "/" + view)
        stuck = int(server.wait_log(rf"\(pid (\d+)\) is stuck, .*: {HANGS[view]}: replacing it$")[1])
        server.wait_log(rf"\(pid {stuck}\) was killed$")
        enough = others.count + 10
        server.wait_until(lambda: others.count > enough)
    assert isinstance(client.end(), OSError)
    # One connection may have been accepted by the worker just before it got stuck: that client is one of its own.
    assert len(others.errors) <= 1 and others.worst < (20 if SANITIZED else 5), (others.worst, others.errors)
    assert before - set(server.worker_pids()) == {stuck}
    assert server.log.count("is stuck") == 1


def test_idle_worker_that_is_stopped_keeps_no_connection_waiting(start):
    """The kernel wakes one worker for a connection: it may be the one that is stopped."""
    server = start(2, "5s")
    os.kill(pid_of_worker(server, 2), signal.SIGSTOP)
    for _ in range(4):
        began = time.monotonic()
        assert server.get("/")[0] == 200
        assert time.monotonic() - began < (10 if SANITIZED else 4)
        time.sleep(0.1)
    assert "is stuck" not in server.log
    server.wait_log(r"worker 2 \(pid \d+\) is stuck, .*: it was stopped by a signal \(SIGSTOP\): replacing it", 15)


def test_the_log_has_the_stacks(start):
    """Of the code that hangs, and of other threads, one of which may hold what it waits for."""
    server = start()
    Client(server, "/thread_with_gil")
    server.wait_log(r"is stuck, .*: replacing it\n"
                    r"  Stack \(most recent call first\):\n"
                    r"(  .*\n)*?"
                    r"    File \"\S+/app\.py\", line 2[34] in thread_with_gil\n"
                    r"    File \"\S+/app\.py\", line \d+ in app\n"
                    r"(  .*\n)*"
                    r"  (Current thread|Thread) 0x[0-9a-f]+.*\n"
                    r"(  .*\n)*?"
                    r"    File \"\S+/app\.py\", line 20 in read_with_gil\n")


def test_handler_in_c(daemon, c_modules):
    server = daemon(f"[server]\nmodule-path = {c_modules}\nworker-timeout = 1s\nwatchdog-timeout = 0\n[probe /]\n")
    stuck = pid_of_worker(server, 1)
    Client(server, "/spin?100000")
    server.wait_log(rf"worker 1 \(pid {stuck}\) is stuck, it has not answered for 1\.\d s: GET /spin\?100000: "
                    "replacing it$")
    pid_of_worker(server, 1, 2)
    assert server.get("/")[0] == 200


def test_computation_that_ends_in_time(start):
    server = start(timeout="4s")
    worker = pid_of_worker(server, 1)
    assert server.get("/spin?2")[0] == 200
    assert server.worker_pids() == [worker] and "is stuck" not in server.log


SLOW_START = "import os, time\nif os.path.exists('slow'): time.sleep(2)\n"


def test_worker_that_comes_back_to_life_is_replaced_gently(start):
    """Its replacement starts slowly; when that is ready, the first one has answered its client and serves."""
    server = start(app=SLOW_START + APP)
    (server.dir / "slow").touch()
    stuck = pid_of_worker(server, 1)
    assert server.get("/spin?1.8", timeout=30)[0] == 200
    server.wait_log(rf"worker 1 \(pid {stuck}\) answers again after \d\.\d s, and is replaced all the same$")
    assert server.get("/")[0] == 200
    pid_of_worker(server, 1, 2)
    server.wait_log(rf"\b{stuck}#1 stopped$")
    assert "was killed" not in server.log


def test_repeated_hangs(start):
    """The service is not given up, nor do replacements come later and later."""
    server = start(timeout="500ms")
    for n in range(1, 5):
        pid_of_worker(server, 1, n)
        began = time.monotonic()
        Client(server, "/read_in_c")
        pid_of_worker(server, 1, n + 1)
        assert server.get("/")[0] == 200
        assert time.monotonic() - began < (20 if SANITIZED else 4)
    assert server.log.count("is stuck") == 4 and "restarting worker" not in server.log


def test_all_workers_are_stuck(start):
    """They are replaced one after the other: in a machine that is merely slow not all must be killed."""
    server = start(3)
    before = server.worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    server.wait_log(r"was killed$", count=3)
    assert server.get("/")[0] == 200
    events = re.findall(r"(is stuck|was killed)", server.log)
    assert events == ["is stuck", "was killed"] * 3
    assert not set(before) & set(server.worker_pids())


@pytest.mark.parametrize("seconds", [2.5, 4])
def test_silence_of_the_master_itself_is_no_proof(start, seconds):
    """As after Ctrl-Z and fg, or when a container was paused."""
    server = start(2, "2s")
    everybody = [server.pid, *server.worker_pids()]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    time.sleep(2.5)
    assert "is stuck" not in server.log and [server.pid, *server.worker_pids()] == everybody


def test_worker_under_a_debugger_is_left_alone(start):
    if not shutil.which("gdb"):
        pytest.skip("no gdb")
    server = start()
    worker = pid_of_worker(server, 1)
    with subprocess.Popen(["gdb", "-q", "-nx", "-p", str(worker)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as gdb:
        server.wait_log(rf"worker 1 \(pid {worker}\) does not answer, but is left alone: process {gdb.pid} is "
                        "debugging it")
        time.sleep(2.5)
        gdb.communicate(b"detach\nquit\n")
    assert server.get("/")[0] == 200
    time.sleep(0.5)
    assert server.worker_pids() == [worker] and "is stuck" not in server.log
    assert server.log.count("left alone") == 1


def test_zero_switches_it_off(start):
    server = start(timeout="0")
    worker = pid_of_worker(server, 1)
    os.kill(worker, signal.SIGSTOP)
    time.sleep(3)
    assert "is stuck" not in server.log and server.worker_pids() == [worker]
    os.kill(worker, signal.SIGCONT)
    assert server.get("/")[0] == 200


def test_worker_of_another_user(daemon, open_folder):
    """The master sees what it waits for, though it may lack the capability to look at others."""
    if os.geteuid() != 0:
        pytest.skip("only root can")
    (open_folder / "app.py").write_text(APP)
    server = daemon("[server]\nuser = nobody\nworker-timeout = 1s\n"
                    f"[wsgi /]\napp = app:app\nchdir = {open_folder}\n")
    server.wait_log("all workers are ready")
    Client(server, "/stop")
    server.wait_log(r"it was stopped by a signal \(SIGSTOP\), in GET /stop: replacing it")
    pid_of_worker(server, 1, 2)
    Client(server, "/regex")
    server.wait_log(HANGS["regex"])
    pid_of_worker(server, 1, 3)
    assert server.get("/")[0] == 200
    assert "Uid:\t0\t0\t0\t0" in pathlib.Path(f"/proc/{server.pid}/status").read_text()


# ---- descriptors that the application closes ----


@pytest.mark.parametrize("workers", [1, 2])
def test_loop_that_turns_but_hears_nothing(start, workers):
    server = start(workers)
    Client(server, "/deafen")
    stuck = int(server.wait_log(r"worker \d \(pid (\d+)\) is stuck, it has not answered for 1\.\d s: replacing it")[1])
    server.wait_log(rf"\(pid {stuck}\) was killed$")
    assert server.get("/")[0] == 200 and len(server.worker_pids()) == workers


@pytest.mark.parametrize("workers", [1, 2])
def test_everything_is_closed(start, workers):
    server = start(workers)
    client = Client(server, "/close_everything")
    server.wait_log(r"something may have closed descriptors that it had not opened")
    server.wait_log(r"worker \d \(pid \d+\) exited with code 1$")
    assert server.get("/")[0] == 200
    assert isinstance(client.end(), OSError)


@pytest.mark.parametrize("workers", [1, 2])
def test_listen_socket_is_closed(start, workers):
    """The worker serves its clients to the end; meanwhile another one takes its place."""
    server = start(workers)
    address = rf"127\.0\.0\.1:{server.port}"
    assert server.get("/close_listener")[0] == 200
    old = int(server.wait_log(rf"(\d+)#\d application code has closed descriptor \d+, the listen socket of {address}: "
                              "asking for a replacement$")[1])
    server.wait_log(rf"\b{old}#\d stopped$")
    assert server.get("/")[0] == 200
    server.wait_until(lambda: len(server.worker_pids()) == workers and old not in server.worker_pids())


@pytest.mark.parametrize("path, told", [
    ("/close_wakers", r"closed descriptor \d+, which is the server's"),
    ("/lower_limit", r"lowered the limit of open files from \d+ to 8"),
], ids=["wakers", "limit"])
def test_the_worker_is_damaged(start, path, told):
    """Threads cannot wake its loop any more, or it cannot accept connections. Without the former it does not stop, and
    is killed after shutdown-timeout."""
    server = start(more="shutdown-timeout = 500ms")
    old = pid_of_worker(server, 1)
    assert server.get(path)[0] == 200
    server.wait_log(rf"{old}#1 application code has {told}: asking for a replacement$")
    server.wait_log(rf"\b{old}#1 stopped$|\(pid {old}\) .*was killed$|\(pid {old}\) exited")
    assert server.get("/")[0] == 200
    server.wait_until(lambda: server.worker_pids() == [pid_of_worker(server, 1, 2)])


def test_channel_is_closed(start):
    server = start()
    old = pid_of_worker(server, 1)
    assert server.get("/close_channel")[0] == 200
    server.wait_log(rf"worker 1 \(pid {old}\) has closed its channel to the master, .*: replacing it$")
    server.wait_log(rf"\b{old}#1 stopped$")
    assert server.get("/")[0] == 200
    server.wait_until(lambda: server.worker_pids() == [pid_of_worker(server, 1, 2)])


# ---- while something else is going on ----


def test_worker_that_leaves_after_a_reload_is_killed(start):
    """It does not keep its clients for all of shutdown-timeout."""
    server = start(more="shutdown-timeout = 1h")
    old = pid_of_worker(server, 1)
    client = Client(server, "/read_in_c")
    server.wait_log("event loop blocked")
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("all workers are ready", count=2)
    server.wait_log(rf"worker 1 \(pid {old}\) is stuck, .*: (replacing|killing) it$")
    server.wait_log(rf"worker 1 \(pid {old}\) was killed$")
    assert isinstance(client.end(), OSError) and server.get("/")[0] == 200


def test_reload_that_fails_while_a_worker_is_stuck(start):
    server = start(2, app=SLOW_START + APP)
    stuck = pid_of_worker(server, 1)
    os.kill(stuck, signal.SIGSTOP)
    (server.dir / "slow").touch()
    (server.dir / "app.py").write_text("import time\ntime.sleep(1.5)\nimport nothing_such\n")
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("reload failed, keeping the old configuration: no worker could start")
    (server.dir / "app.py").write_text(APP)
    server.wait_log(rf"worker 1 \(pid {stuck}\) was killed$", 30)
    assert server.get("/")[0] == 200
    server.wait_until(lambda: len(server.worker_pids()) == 2)


def test_upgrade_while_a_worker_is_stuck(start):
    server = start(more="pidfile = pid")
    stuck = pid_of_worker(server, 1)
    client = Client(server, "/read_in_c")
    server.wait_log("event loop blocked")
    os.kill(server.pid, signal.SIGUSR2)
    new = int(server.wait_log(r"started the new binary \S+, pid (\d+)")[1])
    server.wait_log(rf"\b{new}#0 all workers are ready")
    try:
        server.wait_log(rf"worker 1 \(pid {stuck}\) was killed$")
        assert isinstance(client.end(), OSError)
        os.kill(server.pid, signal.SIGQUIT)
        server.process.wait(TIMEOUT)
        assert server.get("/")[0] == 200
    finally:
        os.kill(new, signal.SIGTERM)
        wait_until(lambda: not is_worker(new))


def test_stop_while_the_worker_is_stuck(start):
    server = start(more="shutdown-timeout = 1h")
    Client(server, "/read_in_c")
    server.wait_log("event loop blocked")
    assert server.stop(timeout=2 * TIMEOUT) == 0
    assert re.search(r"worker 1 \(pid \d+\) is stuck, .*: killing it$", server.log, re.M)
    with pytest.raises(ConnectionRefusedError):
        server.connect()


# ---- request-timeout ----


def test_request_that_cannot_be_cancelled(daemon):
    """Ten seconds after its request-timeout it takes its worker with it."""
    ini = "[server]\nworker-timeout = 1h\n[limits]\nrequest-timeout = 1s\n[wsgi /]\napp = app:app\n"
    server = daemon(ini, {"app.py": APP})
    stuck = pid_of_worker(server, 1)
    client, began = Client(server, "/regex"), time.monotonic()
    server.wait_log(rf"#0 worker 1 \(pid {stuck}\) is stuck: {HANGS['regex']}: the request is past its request-timeout "
                    "and cannot be cancelled: replacing it$", 30)
    assert time.monotonic() - began > 10
    assert isinstance(client.end(), OSError)
    server.wait_log(rf"\(pid {stuck}\) was killed$")
    assert server.get("/")[0] == 200
    lines = re.findall(r"event loop blocked for (\d+)\.\d s: GET /regex", server.log)
    assert lines == ["1", "10"], "not each second"


# ---- starts ----


HANGING_START = "import os, time\ndef hang():\n    time.sleep(1000)\nif os.path.exists('hang'): hang()\n"


@pytest.mark.parametrize("preload", ["no", "yes"])
def test_start_that_does_not_end(run_server, preload):
    began = time.monotonic()
    done = run_server(["-o", "server.start-timeout=1s", "-o", f"server.preload={preload}"], "[wsgi /]\napp = app:app\n",
                      {"app.py": HANGING_START + APP, "hang": ""}, timeout=3 * TIMEOUT)
    name = "the fork server" if preload == "yes" else "worker 1"
    assert done.returncode == 3 and time.monotonic() - began < (30 if SANITIZED else 6)
    assert re.search(rf"#0 {name} \(pid \d+\) has not become ready within start-timeout, 1\.0 s, at \S+/app\.py:3 in "
                     r"hang: killing it\n(  .*\n)*    File \"\S+/app\.py\", line 4 in <module>", done.stderr), done


def test_reload_whose_start_does_not_end_is_rolled_back(start):
    server = start(more="start-timeout = 1s", app=HANGING_START + APP)
    (server.dir / "hang").touch()
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log(r"has not become ready within start-timeout")
    server.wait_log("reload failed, keeping the old configuration: no worker could start")
    assert server.get("/")[0] == 200


@pytest.mark.parametrize("preload", ["no", "yes"])
def test_replacement_that_does_not_start_is_tried_again(start, preload):
    """The stuck worker is killed when its replacement has failed; the service comes back when it can."""
    server = start(more=f"start-timeout = 1s\npreload = {preload}", app=HANGING_START + APP)
    if preload == "yes":  # so that another fork server must be started, which hangs
        fork_server = next(pid for pid in server.worker_pids() if pid != pid_of_worker(server, 1))
        os.kill(fork_server, signal.SIGKILL)
        server.wait_log("the fork server ended")
    (server.dir / "hang").touch()
    Client(server, "/regex")
    server.wait_log("is stuck")
    server.wait_log("has not become ready within start-timeout", 20)
    (server.dir / "hang").unlink()
    pid_of_worker(server, 1, 2)
    assert server.get("/")[0] == 200


def test_slow_start_is_told(daemon):
    slow = "import time\ntime.sleep(11)\n" + APP
    server = daemon("[wsgi /]\napp = app:app\n", {"app.py": slow})
    server.wait_log(r"\[warn\] \d+#0 worker 1 \(pid \d+\) has been starting for 10\.\d s, at \S+/app\.py:2 in <module>",
                    20)
    server.wait_log("all workers are ready")
    assert server.get("/")[0] == 200


# ---- systemd ----


@pytest.fixture
def systemd(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(TIMEOUT)
        yield sock, {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}


def longest_silence(sock, seconds):
    """The longest time between two messages for the watchdog."""
    times = [time.monotonic()]
    while times[-1] - times[0] < seconds:
        while b"WATCHDOG=1" not in sock.recv(1000):
            pass
        times.append(time.monotonic())
    return max(after - before for before, after in zip(times, times[1:]))


@pytest.mark.parametrize("preload", ["no", "yes"])
def test_systemd_does_not_end_the_service_for_one_worker(start, systemd, preload):
    """The master repairs it, and says meanwhile that the service lives."""
    server = start(timeout="2s", more=f"preload = {preload}", env=systemd[1])
    Client(server, "/regex")
    assert longest_silence(systemd[0], 4) < (3 if SANITIZED else 0.6)
    pid_of_worker(server, 1, 2)
    assert server.get("/")[0] == 200
