"""Reload, upgrade, drain, recycling: what changes while the server serves, without any effect on requests."""
import functools
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time

import pytest

from conftest import SERVER, TIMEOUT, is_worker
from load import Load

APP = "def app(e, s):\n    s('200 OK', [('Content-Length', '2')])\n    return [b'%s']\n"
INI = "[server]\nworkers = 2\n{}\n[wsgi /]\napp = app:app\n"


@pytest.fixture
def start(daemon):
    def run(extra="", body="v1", files={}, **options):
        return daemon(INI.format(extra), {"app.py": APP % body, **files}, **options)
    return run


def rewrite(server, extra="", ini=INI):
    """Change the file. The address stays that of the start, which the harness gave on the command line."""
    (server.dir / "server.ini").write_text(ini.format(extra))


def generations(server):
    return len(re.findall(r"#0 all workers are ready", server.log))


def reload(server, signum=signal.SIGHUP):
    before = generations(server)
    os.kill(server.pid, signum)
    server.wait_until(lambda: generations(server) > before)


def ready(server, count=1):
    server.wait_log("#0 all workers are ready", count=count)
    return server


def body(server):
    return server.get("/")[2]


# ---- HUP ----


def test_reload_takes_new_code_and_new_settings(start):
    server = ready(start())
    before = server.worker_pids()
    (server.dir / "app.py").write_text(APP % "v2")
    rewrite(server, "max-concurrency = 77")
    reload(server)
    server.wait_until(lambda: not set(before) & set(server.worker_pids()))
    assert body(server) == b"v2"
    assert len(server.worker_pids()) == 2


def test_reload_changes_the_number_of_workers(start):
    server = ready(start())
    for count in (4, 1, 3):
        (server.dir / "server.ini").write_text(INI.replace("workers = 2", f"workers = {count}").format(""))
        reload(server)
        server.wait_until(lambda: len(server.worker_pids()) == count)


SLOW = """
import time
def app(environ, start_response):
    time.sleep(0.2)
    start_response('200 OK', [('Content-Length', '4')])
    return [b'slow']
"""


def test_running_request_survives_a_reload(start):
    server = ready(start(files={"app.py": SLOW}))
    with Load(server, threads=3) as load:
        reload(server)
        load.wait(3)
    assert load.errors == [] and load.bodies == {b"slow"}


def test_bad_configuration_keeps_the_old_one(start):
    server = ready(start())
    before = server.worker_pids()
    rewrite(server, "wrokers = 3")
    reload(server)
    server.wait_log(r'server\.ini:3: unknown key "wrokers" in \[server\]; did you mean "workers"\?')
    server.wait_log('reload failed, keeping the old configuration: .*server.ini:3: unknown key "wrokers" in')
    assert server.worker_pids() == before and body(server) == b"v1"
    os.kill(before[0], signal.SIGKILL)  # and it is still good for a new worker
    server.wait_until(lambda: len(set(server.worker_pids()) - set(before)) == 1)


def test_application_that_cannot_load_keeps_the_old_workers(start):
    server = ready(start())
    before = server.worker_pids()
    (server.dir / "app.py").write_text("import nothing_of_that_name\n")
    reload(server)
    server.wait_log("No module named 'nothing_of_that_name'")
    server.wait_log("reload failed.*: no worker could start")
    assert len(re.findall("No module named", server.log)) == 1, "only the first worker was tried"
    assert server.worker_pids() == before and body(server) == b"v1"
    (server.dir / "app.py").write_text(APP % "v3")
    reload(server)
    server.wait_until(lambda: body(server) == b"v3")


def test_reload_that_hangs_gives_way_to_the_next(start):
    server = ready(start())
    (server.dir / "app.py").write_text("import time\nprint('hanging', flush=True)\ntime.sleep(1000)\n")
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("hanging")
    assert body(server) == b"v1"
    (server.dir / "app.py").write_text(APP % "v2")
    reload(server)
    server.wait_until(lambda: body(server) == b"v2")
    server.wait_until(lambda: len(server.worker_pids()) == 2)


def test_address_that_is_in_use_keeps_the_old_ones(start):
    other, server = start(), ready(start(extra="bind = 127.0.0.1:0"))
    rewrite(server, f"bind = 127.0.0.1:{other.port}")
    reload(server)
    server.wait_log(f"cannot listen on 127.0.0.1:{other.port}: Address already in use")
    assert body(server) == b"v1" and body(other) == b"v1"


def test_addresses_come_and_go(start):
    server = ready(start(extra="bind = 127.0.0.1:0\nbind = unix:%(here)/a.sock"))
    port = server.port
    rewrite(server, "bind = 127.0.0.1:0\nbind = unix:%(here)/b.sock")
    reload(server)
    assert body(server) == b"v1" and server.port == port, "the address that stayed is the same socket"
    assert (server.dir / "b.sock").is_socket()
    server.wait_until(lambda: not (server.dir / "a.sock").exists())


@pytest.mark.parametrize("left", ["nothing", "a dead socket"])
def test_lost_file_of_a_unix_socket_is_made_again(daemon, left):
    """A cleaner of /tmp has removed it: HUP makes it again, twice if need be, with its mode, and without an effect on
    requests that came in by the first one. The last one is removed at the stop."""
    server = ready(daemon("[server]\nbind = unix:%(here)/a.sock\nsocket-mode = 0611\n[wsgi /]\napp = app:app\n",
                          {"app.py": SLOW}))
    path = server.dir / "a.sock"
    for _ in range(2):
        with server.connect() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            path.unlink()
            if left != "nothing":
                with socket.socket(socket.AF_UNIX) as dead:
                    dead.bind(str(path))
            reload(server)
            assert b"".join(iter(lambda: sock.recv(1000), b"")).endswith(b"slow")
        assert body(server) == b"slow" and path.stat().st_mode & 0o777 == 0o611
    reload(server)
    assert body(server) == b"slow"
    assert len(re.findall("the file of the socket .*a.sock is gone: making it again", server.log)) == 2
    server.stop()
    assert not path.exists()


def test_socket_of_another_server_is_left_alone(daemon):
    """Somebody has removed the file, and another server listens under that name: it is not ours to remove."""
    server = ready(daemon("[server]\nbind = unix:%(here)/a.sock\n[hello /]\n"))
    path = server.dir / "a.sock"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        server.stop()
        assert path.exists()


def test_abstract_socket(daemon):
    """unix:@name, which has no file: served, kept at a reload, free after the stop, and nobody else's meanwhile."""
    name = f"@syncless-test-{os.getpid()}"
    server = ready(daemon(f"[server]\nbind = unix:{name}\nsocket-mode = 0600\n[log]\naccess-log = stderr\n"
                          "log-format = at %(server)\n[wsgi /]\napp = app:app\n", {"app.py": APP % "v1"}))
    assert server.path == name
    server.path = "\0" + name[1:]
    assert body(server) == b"v1"
    reload(server)
    assert body(server) == b"v1"
    server.wait_log(f"^at {name}$", count=2)
    second = subprocess.run([SERVER, "-c", server.dir / "server.ini"], capture_output=True, text=True, timeout=TIMEOUT)
    assert second.returncode == 1 and f"cannot listen on unix:{name}: Address already in use" in second.stderr
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    assert list(server.dir.glob("*syncless-test*")) == []


@pytest.mark.limit(120)
def test_fifty_reloads_under_load(daemon):
    server = ready(daemon("[server]\nworkers = 2\n[hello /]\n"))
    with Load(server) as load:
        reload(server)
        before = open_descriptors(server)
        for _ in range(49):
            reload(server)
            load.wait(2)
    assert load.errors == [] and load.answers > 100
    server.wait_until(lambda: len(server.worker_pids()) == 2)
    server.wait_until(lambda: open_descriptors(server) <= before)  # the last workers' channels are closed in time


def open_descriptors(server):
    """Of the master, when only the workers that stay are left."""
    server.wait_until(lambda: len(server.worker_pids()) == 2)
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def test_a_burst_of_hups_is_one_reload_or_two(start):
    server = ready(start())
    with Load(server, threads=2) as load:
        for _ in range(20):
            os.kill(server.pid, signal.SIGHUP)
        reload(server)
        load.wait(10)
    assert load.errors == []


# ---- USR2 ----


def master_pid(server):
    """The pid in the pidfile; None while one master takes it from another."""
    path = server.dir / "pid"
    return int(path.read_text()) if path.exists() else None


@pytest.fixture
def upgradable(start):
    """A server with a pidfile; new masters that a test leaves behind are ended."""
    server = ready(start(extra="pidfile = pid"))
    yield server
    if master_pid(server) not in (None, server.pid):
        end_master(server, master_pid(server))


def end_master(server, pid, signum=signal.SIGTERM):
    os.kill(pid, signum)
    server.wait_until(lambda: not is_worker(pid))


@pytest.mark.limit(120)
def test_ten_upgrades_under_load(upgradable):
    server = upgradable
    with Load(server) as load:
        for _ in range(10):
            old = master_pid(server)
            seen = generations(server)
            os.kill(old, signal.SIGUSR2)
            server.wait_until(lambda: generations(server) > seen)
            assert master_pid(server) != old and int((server.dir / "pid.oldbin").read_text()) == old
            os.kill(old, signal.SIGQUIT)
            if old == server.pid:
                server.process.wait(TIMEOUT)
            else:
                server.wait_until(lambda: not is_worker(old))
            assert not (server.dir / "pid.oldbin").exists()
            load.wait(5)
    assert load.errors == [] and load.answers > 100


def test_upgrade_that_fails_changes_nothing(upgradable):
    server = upgradable
    rewrite(server, "nonsense")
    os.kill(server.pid, signal.SIGUSR2)
    server.wait_log(r"the new binary ended \(exit code 78\), this one continues")
    assert body(server) == b"v1"
    server.wait_until(lambda: master_pid(server) == server.pid)


def test_upgrade_that_hangs_is_given_up(start):
    """The new binary waits for its configuration, which nobody writes."""
    server = ready(start(extra="pidfile = pid\nstart-timeout = 1s"))
    ini = server.dir / "server.ini"
    ini.unlink()
    os.mkfifo(ini)
    os.kill(server.pid, signal.SIGUSR2)
    new = int(server.wait_log(r"started the new binary \S+, pid (\d+)")[1])
    server.wait_log(rf"the new binary, pid {new}, has not started a worker within start-timeout: killing it")
    server.wait_log(r"the new binary ended \(signal 9\), this one continues")
    assert body(server) == b"v1" and not is_worker(new)
    server.wait_until(lambda: master_pid(server) == server.pid)


def test_upgrade_that_is_taken_back(upgradable):
    """The new master is told to stop: the old one still has the sockets, and gets its pidfile back."""
    server = upgradable
    os.kill(server.pid, signal.SIGUSR2)
    server.wait_until(lambda: generations(server) > 1)
    new = master_pid(server)
    assert new != server.pid
    end_master(server, new)
    server.wait_until(lambda: master_pid(server) == server.pid)
    assert body(server) == b"v1"


def test_second_upgrade_waits_for_the_end_of_the_first(upgradable):
    """A third master would rename the pidfile over that of the first, which nobody could find any more."""
    server = upgradable
    os.kill(server.pid, signal.SIGUSR2)
    server.wait_until(lambda: generations(server) > 1)
    new = master_pid(server)
    os.kill(new, signal.SIGUSR2)
    server.wait_log(rf"\[warn\] {new}#0 upgrade refused: the old binary is still running, pid {server.pid}; "
                    "send QUIT to it first")
    assert master_pid(server) == new and int((server.dir / "pid.oldbin").read_text()) == server.pid
    os.kill(server.pid, signal.SIGQUIT)
    server.process.wait(TIMEOUT)
    seen = generations(server)
    os.kill(new, signal.SIGUSR2)
    server.wait_until(lambda: generations(server) > seen)
    end_master(server, master_pid(server))
    server.wait_until(lambda: master_pid(server) == new)


def test_upgrade_without_the_pidfile(upgradable):
    """Somebody has removed it: the log says so, and the new master writes its own."""
    server = upgradable
    (server.dir / "pid").unlink()
    os.kill(server.pid, signal.SIGUSR2)
    server.wait_log(r"\[warn\] .*cannot rename the pidfile (\S+)/pid to \1/pid.oldbin: No such file or directory")
    server.wait_until(lambda: master_pid(server) not in (None, server.pid))
    end_master(server, master_pid(server))
    assert body(server) == b"v1"


def test_upgrade_keeps_the_unix_socket(daemon):
    server = ready(daemon("[server]\nbind = unix:%(here)/a.sock\npidfile = pid\n[wsgi /]\napp = app:app\n",
                          {"app.py": APP % "v1"}))
    os.kill(server.pid, signal.SIGUSR2)
    ready(server, 2)
    new = master_pid(server)
    os.kill(server.pid, signal.SIGQUIT)
    server.process.wait(TIMEOUT)
    try:
        assert body(server) == b"v1"
    finally:
        end_master(server, new)
    assert not (server.dir / "a.sock").exists() and not (server.dir / "pid").exists()


# ---- -s ----


def test_signals_by_pidfile(upgradable, run_server):
    server = upgradable

    def tell(what):
        done = subprocess.run([SERVER, "-c", server.dir / "server.ini", "-s", what], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    tell("reopen")
    server.wait_log("log files reopened")
    tell("reload")
    ready(server, 2)
    tell("stop")
    assert server.wait_exit() == 0
    done = subprocess.run([SERVER, "-c", server.dir / "server.ini", "-s", "stop"], capture_output=True, text=True)
    assert done.returncode == 1 and "no server found" in done.stderr
    done = subprocess.run([SERVER, "-c", server.dir / "server.ini", "-s", "dance"], capture_output=True, text=True)
    assert done.returncode == 2


def tell(server, what, *more):
    return subprocess.run([SERVER, "-c", server.dir / "server.ini", "-s", what, *more], capture_output=True, text=True,
                          timeout=TIMEOUT)


@pytest.mark.parametrize("preload", ["no", "yes"])
def test_reload_command_waits_for_the_result(start, preload):
    """It succeeds when all workers have the new code, and else fails with the code of such a start, and the reason."""
    slow = "import time\ntime.sleep(0.5)\n"
    server = ready(start(extra=f"pidfile = pid\npreload = {preload}"))
    (server.dir / "app.py").write_text(slow + APP % "v2")
    done = tell(server, "reload")
    assert (done.returncode, done.stderr) == (0, "")
    server.wait_until(lambda: body(server) == b"v2")  # an old worker that leaves may have taken a connection
    (server.dir / "app.py").write_text(slow + "import nothing_such\n")
    done = tell(server, "reload")
    assert done.returncode == 4 and "the reload failed, and the server goes on as before: no worker" in done.stderr
    assert body(server) == b"v2"
    last = server.wait_log("all workers are ready, with the old configuration: the last reload failed: .*").string
    assert re.search(r"\[error\] \d+#0 all workers are ready, with the old.*\n\Z", last), "the last line says so"
    (server.dir / "app.py").write_text("raise SystemExit(9)\n")
    assert tell(server, "reload").returncode == 4
    (server.dir / "app.py").write_text("import os\nos._exit(3)\n")
    assert tell(server, "reload").returncode == 3
    (server.dir / "app.py").write_text(APP % "v3")
    assert tell(server, "reload").returncode == 0
    server.wait_until(lambda: body(server) == b"v3")


def test_reload_command_with_a_reason_of_the_master(start):
    other, server = start(), ready(start(extra="bind = 127.0.0.1:0\npidfile = pid"))
    rewrite(server, f"bind = 127.0.0.1:{other.port}\npidfile = pid")
    done = tell(server, "reload")
    assert done.returncode == 1
    assert f"goes on as before: cannot listen on 127.0.0.1:{other.port}: Address already in use" in done.stderr
    rewrite(server, "wrokers = 3\npidfile = pid")
    assert tell(server, "reload").returncode == 78 and server.log.count("reloading configuration") == 1
    done = subprocess.run([SERVER, "-s", "reload", "--to", str(server.pid)], capture_output=True, text=True)
    assert done.returncode == 78 and 'server.ini:3: unknown key "wrokers" in [server]' in done.stderr


def test_reload_command_during_a_reload(start):
    """The one that runs hangs, so the next one takes its place: each command waits for the result of its own."""
    server = ready(start(extra="pidfile = pid"))
    (server.dir / "app.py").write_text("import time\nprint('hanging', flush=True)\ntime.sleep(1000)\n")
    command = [SERVER, "-c", server.dir / "server.ini", "-s", "reload"]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    server.wait_log("hanging")
    (server.dir / "app.py").write_text(APP % "v2")
    assert tell(server, "reload").returncode == 0
    server.wait_until(lambda: body(server) == b"v2")
    assert first.wait(TIMEOUT) == 0 and first.stderr.read() == ""
    first.stderr.close()


def test_reload_command_when_the_server_ends(start):
    server = ready(start(extra="pidfile = pid"))
    (server.dir / "app.py").write_text("import time\nprint('hanging', flush=True)\ntime.sleep(1000)\n")
    command = subprocess.Popen([SERVER, "-c", server.dir / "server.ini", "-s", "reload"], stderr=subprocess.PIPE,
                               text=True)
    server.wait_log("hanging")
    assert server.stop(signal.SIGINT) == 0
    assert command.wait(TIMEOUT) == 1 and "the server has ended during the reload" in command.stderr.read()
    command.stderr.close()


def test_pidfile_of_another_process_is_not_believed(start):
    """The machine was started anew, and the pid in the file that was left is another program's by now."""
    server = ready(start(extra="pidfile = pid"))
    with subprocess.Popen(["sleep", "100"]) as stranger:
        (server.dir / "pid").write_text(f"{stranger.pid}\n")
        for what in ("reload", "stop", "quit", "reopen", "upgrade"):
            done = tell(server, what)
            assert done.returncode == 1
            assert f"its pidfile {server.dir}/pid: process {stranger.pid} is another program" in done.stderr
        assert stranger.poll() is None
        stranger.kill()
    (server.dir / "pid").write_text("much ado\n")
    assert "there is no pid in it" in tell(server, "stop").stderr
    (server.dir / "pid").write_text(f"{server.pid}\n")
    assert tell(server, "stop").returncode == 0 and server.wait_exit() == 0


def test_to_names_the_process(start):
    server = ready(start())
    run = functools.partial(subprocess.run, capture_output=True, text=True, timeout=TIMEOUT)
    assert run([SERVER, "-s", "reload", "--to", str(server.pid)]).returncode == 0
    assert generations(server) == 2
    assert run([SERVER, "-s", "reload", "--to", "none"]).returncode == 2
    assert run([SERVER, "--to", str(server.pid)]).returncode == 2
    done = run([SERVER, "-s", "stop", "--to", str(os.getpid())])
    assert done.returncode == 1 and "is another program" in done.stderr


# ---- WINCH, TTIN, TTOU ----


def test_winch_drains_and_hup_brings_workers_back(start):
    server = ready(start())
    os.kill(server.pid, signal.SIGWINCH)
    server.wait_until(lambda: server.worker_pids() == [])
    assert server.process.poll() is None
    os.kill(server.pid, signal.SIGHUP)
    assert body(server) == b"v1", "connections made meanwhile are served"


def test_bad_configuration_while_no_worker_serves(start):
    """The old one has served, so workers start with that again."""
    server = ready(start())
    os.kill(server.pid, signal.SIGWINCH)
    server.wait_until(lambda: server.worker_pids() == [])
    rewrite(server, ini=INI.replace("app:app", "nothing_of_that_name:app"))
    os.kill(server.pid, signal.SIGHUP)
    assert body(server) == b"v1"
    server.wait_log("reload failed.*: no worker could start")


def test_ttin_and_ttou(start):
    server = ready(start())
    for signum, count in ((signal.SIGTTIN, 3), (signal.SIGTTIN, 4), (signal.SIGTTOU, 3), (signal.SIGTTOU, 2),
                          (signal.SIGTTOU, 1), (signal.SIGTTOU, 1)):
        os.kill(server.pid, signum)
        server.wait_until(lambda: len(server.worker_pids()) == count)
    assert body(server) == b"v1"


def test_signals_of_the_master_do_not_end_workers(start):
    """killall sends them to every process."""
    server = ready(start())
    workers = server.worker_pids()
    for pid in workers:
        for signum in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGTTIN, signal.SIGTTOU):
            os.kill(pid, signum)
    assert body(server) == b"v1" and server.worker_pids() == workers


# ---- recycling ----

RECYCLING = {
    "max-requests": "max-requests = 200\nmax-requests-jitter = 50",
    "max-lifetime": "max-lifetime = 1s",
    "max-rss": "max-rss = 1m",
}


@pytest.mark.parametrize("why", RECYCLING)
def test_workers_are_recycled_under_load(start, why):
    server = ready(start(extra=RECYCLING[why]))
    before = server.worker_pids()
    with Load(server) as load:
        server.wait_until(lambda: not set(before) & set(server.worker_pids()))
        load.wait(10)
    assert load.errors == []
    server.wait_log(rf"#\d {why} reached")


def test_the_largest_number_of_requests(start):
    """The random share that is added does not overflow, so that the first request would be the last."""
    server = ready(start(extra="max-requests = 9223372036854775807\nmax-requests-jitter = 1000\nmax-lifetime = 2s"))
    assert body(server) == b"v1"
    server.wait_log("max-lifetime reached")
    assert "max-requests reached" not in server.log


RANDOM = """
import ctypes
def app(e, s):
    s('200 OK', [])
    return [b'%d' % ctypes.CDLL(None).random()]
"""
FIRST_RANDOM = 1804289383  # what random() of libc returns first in a process that has not called srandom()


@pytest.mark.parametrize("key", ["max-requests", "max-lifetime"])
def test_recycling_leaves_the_applications_random_numbers_alone(start, key):
    server = ready(start(extra=f"{key} = 10000\nmax-requests-jitter = 100", files={"app.py": RANDOM}))
    assert int(body(server)) == FIRST_RANDOM


# ---- kill -9 ----


@pytest.mark.limit(90)
def test_killed_workers_lose_their_own_requests_only(start):
    """Each kill -9 loses at most what ran in that worker: here one request for each connection of the load."""
    server = ready(start())
    chance = random.Random(5)
    kills = 0
    with Load(server, threads=4) as load:
        for _ in range(6):
            victim = chance.choice(server.worker_pids())
            os.kill(victim, signal.SIGKILL)
            kills += 1
            load.wait(50)
            server.wait_until(lambda: len(server.worker_pids()) == 2 and victim not in server.worker_pids())
    assert len(load.errors) <= 4 * kills, load.errors
    assert all("reset" in error.lower() or "closed" in error or "Broken" in error for error in load.errors), load.errors
    assert len(re.findall("was killed by signal 9", server.log)) == kills


# ---- preload ----

PRELOADED = """
import os, threading
fork_server = os.getpid()
local = threading.local()
def app(e, s):
    lock = threading.Lock()
    with lock:
        text = b'%d %d %d' % (fork_server, os.getpid(), os.getppid())
    s('200 OK', [('Content-Length', str(len(text)))])
    return [text]
"""


def preloaded(start):
    """A server whose workers are children of the master: the processes between them and the fork server have ended."""
    server = ready(start(extra="preload = yes", files={"app.py": PRELOADED}))
    server.wait_until(lambda: len(worker_pids_of(server)) == 2)
    return server


def test_preload(start):
    server = preloaded(start)
    seen = [tuple(map(int, body(server).split())) for _ in range(50)]
    fork_server = seen[0][0]
    assert {loaded_by for loaded_by, _, _ in seen} == {fork_server} and all(pid != fork_server for _, pid, _ in seen)
    assert {parent for _, _, parent in seen} == {server.pid}, "workers are the master's own children"
    with Load(server) as load:
        reload(server)
        os.kill(int(body(server).split()[1]), signal.SIGKILL)
        load.wait(20)
    server.wait_until(lambda: int(body(server).split()[0]) != fork_server)  # an old worker may have a request left
    assert len(load.errors) <= 4
    server.wait_until(lambda: not pathlib.Path(f"/proc/{fork_server}").exists())


def test_fork_server_that_dies_is_replaced(start):
    """Workers go on; another fork server is started when one is needed."""
    server = preloaded(start)
    fork_server = int(body(server).split()[0])
    with Load(server) as load:
        os.kill(fork_server, signal.SIGKILL)
        server.wait_log(r"the fork server ended \(signal 9\)")
        load.wait(20)
    assert load.errors == []
    for worker in worker_pids_of(server):
        os.kill(worker, signal.SIGKILL)
    server.wait_until(lambda: len(re.findall(r"worker \d is ready", server.log)) >= 4)
    assert int(body(server).split()[0]) not in (fork_server, server.pid)
    for signum, count in ((signal.SIGTTIN, 3), (signal.SIGWINCH, 0)):
        os.kill(server.pid, signum)
        server.wait_until(lambda: len(worker_pids_of(server)) == count)
    reload(server)
    server.wait_until(lambda: len(worker_pids_of(server)) == 2)


def worker_pids_of(server):
    """Children of the master that serve: not the fork server."""
    return [pid for pid in server.worker_pids() if re.search(rf"\b{pid}#\d worker \d is ready", server.log)]


def test_preload_of_a_broken_application(run_server):
    done = run_server([], "[server]\npreload = yes\n[wsgi /]\napp = app:app\n", {"app.py": "import nothing_such\n"})
    assert done.returncode == 4 and done.stderr.count("No module named 'nothing_such'") == 1


def test_preload_of_a_broken_application_at_a_reload(start):
    server = ready(start(extra="preload = yes"))
    (server.dir / "app.py").write_text("import nothing_such\n")
    reload(server)
    server.wait_log("reload failed.*: no worker could start")
    assert body(server) == b"v1"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_ordinary_stop_with_preload_logs_no_error(start, signum):
    """Also if the fork server gets the signal first, as when it is sent to all processes, and at once after a start."""
    server = preloaded(start)
    fork_server = int(body(server).split()[0])
    os.kill(fork_server, signum)
    assert body(server)
    assert server.stop(signum) == 0
    assert not re.search(r"\[error\]|fork server", server.log), server.log
    server.wait_until(lambda: not pathlib.Path(f"/proc/{fork_server}").exists())


# ---- starts that are killed ----

STARTS_SLOWLY = """
import pathlib, sys, time
with open('starts', 'a') as starts:
    starts.write('.')
if len(open('starts').read()) in {slow}:
    print('now it loads', flush=True)
    time.sleep(60)
""" + APP % "v1"
KILLS = [signal.SIGKILL, signal.SIGTERM]


@pytest.mark.parametrize("preload", ["no", "yes"])
@pytest.mark.parametrize("signum", KILLS)
def test_worker_killed_while_it_starts_is_started_again(daemon, signum, preload):
    """By the kernel for its memory, or by somebody: the application is not known to be at fault."""
    server = daemon(f"[server]\npreload = {preload}\n[wsgi /]\napp = app:app\n",
                    {"app.py": STARTS_SLOWLY.format(slow={1, 2})})
    for count in (1, 2):
        server.wait_log("now it loads", count=count)
        loading, = server.worker_pids()
        os.kill(loading, signum)
    ready(server)
    assert body(server) == b"v1" and "giving up" not in server.log


@pytest.mark.parametrize("preload", ["no", "yes"])
def test_worker_killed_while_it_starts_does_not_end_a_reload(daemon, preload):
    server = ready(daemon(f"[server]\npreload = {preload}\n[wsgi /]\napp = app:app\n",
                          {"app.py": STARTS_SLOWLY.format(slow={2})}))
    before = set(server.worker_pids())
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("now it loads")
    loading, = set(server.worker_pids()) - before
    os.kill(loading, signal.SIGKILL)
    ready(server, 2)
    server.wait_until(lambda: not before & set(server.worker_pids()))
    assert "reload failed" not in server.log


def test_workers_that_are_always_killed_end_the_server(daemon):
    server = daemon("[wsgi /]\napp = app:app\n", {"app.py": "import os\nos.kill(os.getpid(), 9)\n"})
    assert server.wait_exit() == 3
    assert server.log.count("was killed by signal 9") == 5 and "giving up with exit code 3" in server.log


# ---- reload-on-change ----


def changes(server):
    return re.findall(r"#0 (?:\S+/daemon\d+/)?(\S+) has changed$", server.log, re.M)


def test_reload_on_change_is_for_what_is_written_by_hand(start):
    """Source, templates and the ini file, also in directories that are new; not databases, uploads, logs, pidfiles and
    what is below directories of uploads, virtualenvs and hidden ones."""
    others = {"db.sqlite3": "", "db.sqlite3-journal": "", "photo.jpg": "", "pid": "", "run.log": "", "a.pyc": "",
              "media/upload.html": "", "uploads/a.py": "", "env/pyvenv.cfg": "", "env/lib/x.py": "", ".git/x.py": "",
              "__pycache__/x.py": "", "node_modules/x.html": "", ".#app.py": ""}
    server = ready(start(extra="reload-on-change = .", files={**others, "shop/templates/keep": ""}))
    watched = ["app.py", "shop/templates/page.html", "server.ini", "new/deep/views.py"]
    for count, name in enumerate(watched, 1):
        for other in others:
            (server.dir / other).write_text("x")
        (server.dir / name).parent.mkdir(parents=True, exist_ok=True)
        with open(server.dir / name, "a") as file:
            file.write("\n")
        ready(server, count + 1)
        assert changes(server) == watched[:count]
    (server.dir / "new/deep/views.py").write_text("again")  # in a directory that is known since
    ready(server, len(watched) + 2)
    assert changes(server)[-1] == "new/deep/views.py"


def test_reload_patterns(start):
    server = ready(start(extra="reload-on-change = .\nreload-patterns = *.txt\nreload-patterns = conf.*"))
    for count, name in enumerate(["a.txt", "conf.json"], 1):
        (server.dir / "app.py").write_text(APP % "v2")
        (server.dir / name).write_text("x")
        ready(server, count + 1)
    assert changes(server) == ["a.txt", "conf.json"]


def test_imported_modules_are_watched(start, tmp_path_factory):
    """From anywhere, also those that are imported later, and after a reload that has failed; once each is loaded."""
    other = tmp_path_factory.mktemp("other")
    names = "first", "late", "plain"
    for name in names:
        (other / f"{name}.py").write_text("x = 1\n")
    app = f"""import sys
sys.path.append({str(other)!r})
import first
def load(environ):
    if environ['PATH_INFO'] == '/late':
        import late
def app(environ, start_response):
    load(environ)
    start_response('200 OK', [])
    return [b'v1']
"""
    server = ready(start(extra="reload-on-change = src\n", files={"app.py": app, "src/keep": ""}))

    def change(name, text, line, path="/"):
        def seen():
            server.get(path)  # each time: the former worker that may get it tells nothing when it stops
            (other / f"{name}.py").write_text(text)
            return re.search(rf"{other}/{name}.py has changed", server.log)
        server.wait_until(seen)
        server.wait_log(line)

    (other / "plain.py").write_text("not imported\n")
    change("first", "1 / 0\n", "reload failed, keeping the old configuration")
    change("first", "x = 2\n", "2")
    server.wait_log("all workers are ready$", count=2)
    change("late", "x = 2\n", "late.py has changed", "/late")
    server.wait_log("all workers are ready$", count=3)
    assert "plain.py" not in server.log


def test_included_file_is_watched(start):
    """Also if it is not below the directories of the key."""
    server = ready(start(extra="reload-on-change = src\ninclude = more/*.ini",
                         files={"src/keep": "", "more/a.ini": "[limits]\nrequest-timeout = 9s\n"}))
    (server.dir / "more/a.ini").write_text("[limits]\nrequest-timeout = 8s\n")
    ready(server, 2)
    assert changes(server) == ["more/a.ini"]


STREAM = """
import time
def app(environ, start_response):
    start_response('200 OK', [])
    yield b'begun'
    while environ['PATH_INFO'] == '/stream':
        time.sleep(0.05)
        yield b'.'
    yield b'v1'
"""


def test_stream_does_not_hold_a_reload_for_a_change_up(start):
    """Its worker leaves at once, not after shutdown-timeout, which is 30 s; after a HUP it has that time."""
    server = ready(start(extra="reload-on-change = .", files={"app.py": STREAM}))
    server.wait_until(lambda: len(server.worker_pids()) == 2)
    before = set(server.worker_pids())
    with server.connect() as sock:
        sock.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in sock.recv(1000)
        os.kill(server.pid, signal.SIGHUP)
        ready(server, 2)
        server.wait_until(lambda: len(server.worker_pids()) == 3)
        left, = before & set(server.worker_pids())
        begun = time.monotonic()
        server.wait_until(lambda: time.monotonic() > begun + 1.5)
        assert left in server.worker_pids() and sock.recv(100)
    before = set(server.worker_pids()) - {left}
    with server.connect() as sock:
        sock.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in sock.recv(1000)
        (server.dir / "app.py").write_text(STREAM.replace("v1", "v2"))
        ready(server, 3)
        server.wait_until(lambda: not before & set(server.worker_pids()), timeout=10)
        assert body(server).endswith(b"v2")


def test_reload_on_change(start):
    server = ready(start(extra="reload-on-change = ."))
    (server.dir / "app.py").write_text(APP % "v2")
    ready(server, 2)
    server.wait_until(lambda: body(server) == b"v2")
    (server.dir / ".swp").write_text("no change")
    temporary = server.dir / "app.py~"
    temporary.write_text(APP % "v3")
    assert generations(server) == 2
    temporary.rename(server.dir / "app.py")
    ready(server, 3)
    server.wait_until(lambda: body(server) == b"v3")


# ---- starts that fail ----


def test_workers_that_can_no_longer_start_end_the_server(start):
    """The application breaks after a good start, and then every worker dies."""
    server = ready(start())
    (server.dir / "app.py").write_text("import nothing_such\n")
    for pid in server.worker_pids():
        os.kill(pid, signal.SIGKILL)
    assert server.wait_exit(30) == 4
    assert "giving up" in server.log
