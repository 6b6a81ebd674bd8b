"""The master when something goes wrong: a reload that fails, a fork server that dies, a second signal, odd starts."""
import contextlib
import grp
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from conftest import BUILD, SERVER, TIMEOUT, WRAPPER, is_worker, server_args, server_env, wait_until, write_files

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
FAILING_LATE = "import time\nprint('hanging', flush=True)\ntime.sleep(%s)\nimport nothing_such\n"


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
    """Children of the master that serve: not the fork server."""
    return [pid for pid in server.worker_pids() if re.search(rf"\b{pid}#\d worker \d is ready", server.log)]


def get_slowly(server):
    """Start a request that takes a second. Returns its connection."""
    sock = server.connect()
    sock.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    server.wait_until((server.dir / "begun").exists)
    return sock


# ---- a signal too many ----


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
        assert idle.recv(1) == b""  # the worker has got that one
        server.process.send_signal(signal.SIGTERM)
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    assert server.wait_exit() == 0


# ---- workers that exit ----


@pytest.mark.parametrize("code, said", [(0, "exited unexpectedly"), (3, "exited with code 3")])
def test_worker_that_exits_is_reported_and_restarted(start, code, said):
    server = ready(start(app=f"import os\ndef app(e, s):\n    os._exit({code})\n"))
    worker, = server.worker_pids()
    assert server.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    server.wait_log(rf"#0 worker 1 \(pid {worker}\) {said}$")
    server.wait_log("worker 1 is ready", count=2)


def test_worker_that_does_not_stop_is_killed(start):
    server = ready(start("shutdown-timeout = 100ms"))
    worker, = server.worker_pids()
    os.kill(worker, signal.SIGSTOP)
    assert server.stop() == 0
    assert f"#0 worker 1 (pid {worker}) did not stop in time and was killed" in server.log


# ---- the fork server of preload ----


def cpu_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def fork_server_of(server):
    server.wait_until(lambda: worker_pids_of(server))
    return next(pid for pid in server.wait_until(lambda: len(server.worker_pids()) == 2 and server.worker_pids())
                if pid not in worker_pids_of(server))


def test_master_is_quiet_without_a_fork_server(start):
    """One that dies while all workers serve is not needed: the master waits, also when it could start the next one."""
    server = ready(start("preload = yes"))
    os.kill(fork_server_of(server), signal.SIGKILL)
    server.wait_log("the fork server ended")
    begun = time.monotonic()
    server.wait_until(lambda: time.monotonic() > begun + 1)
    before = cpu_ticks(server.pid)
    server.wait_until(lambda: time.monotonic() > begun + 1.5)
    assert cpu_ticks(server.pid) - before < 10


def test_stop_with_a_fork_server_is_no_error(start):
    server = ready(start("preload = yes"))
    assert server.stop() == 0
    assert not re.search(r"\[error\]|\[warn\] (?!.*the workers run as root)", server.log)


def test_fork_server_that_hangs_ends_with_its_generation(start):
    server = ready(start("preload = yes"))
    fork_server = fork_server_of(server)
    (server.dir / "app.py").write_text(HANGING)
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("hanging")
    hanging, = [pid for pid in server.worker_pids() if pid not in (fork_server, *worker_pids_of(server))]
    (server.dir / "app.py").write_text(APP % "v2")
    os.kill(server.pid, signal.SIGHUP)
    server.wait_until(lambda: server.get("/")[2] == b"v2")
    server.wait_until(lambda: not is_worker(hanging))


def test_fork_server_that_does_not_answer_is_replaced(start):
    """A late answer of it must not be taken for the answer to another order."""
    server = ready(start("preload = yes"))
    os.kill(fork_server_of(server), signal.SIGSTOP)
    worker, = worker_pids_of(server)
    os.kill(worker, signal.SIGKILL)
    server.wait_log("cannot fork worker 1: Connection timed out")
    server.wait_log("worker 1 is ready", count=2)
    assert server.get("/")[0] == 200


def test_old_fork_server_that_dies_during_a_reload_is_replaced_after_it(start):
    server = ready(start("preload = yes"))
    fork_server = fork_server_of(server)
    (server.dir / "app.py").write_text(FAILING_LATE % 1)
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("hanging")
    os.kill(fork_server, signal.SIGKILL)
    (server.dir / "app.py").write_text(APP % "v3")
    server.wait_log("reload failed.*: no worker could start")
    for pid in worker_pids_of(server):
        os.kill(pid, signal.SIGKILL)
    server.wait_until(lambda: len(re.findall(r"worker 1 is ready", server.log)) >= 2)
    assert server.get("/")[2] == b"v3"


def test_workers_forked_later_write_to_the_reopened_logs(start):
    server = ready(start("preload = yes", "access-log = a.log\nlog-format = %(uri)"))
    log, old = server.dir / "a.log", server.dir / "a.log.1"
    log.rename(old)
    os.kill(server.pid, signal.SIGUSR1)
    server.wait_log("log files reopened")
    worker, = server.wait_until(lambda: worker_pids_of(server))
    os.kill(worker, signal.SIGKILL)
    server.wait_log("worker 1 is ready", count=2)
    server.get("/later")
    server.wait_until(lambda: "/later\n" in log.read_text() + old.read_text())
    assert "/later\n" in log.read_text()


# ---- forks that fail ----


def children_of(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


NOBODY = pwd.getpwnam("nobody")
UNPRIVILEGED = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.fixture
def start_unprivileged():
    """Start a server that is not root, since root may have any number of processes: its Popen, ended after the test."""
    servers = []

    def run(ini):
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))  # pytest's own are root's alone
        folder.chmod(0o777)
        write_files(folder, {"server.ini": ini})
        (folder / "modules").mkdir()
        # The build may be in a folder that only root can enter.
        for path in SERVER, *BUILD.glob("*.so"), BUILD / "modules/hello.so":
            shutil.copy(path, folder / path.relative_to(BUILD))
        command = [*WRAPPER, folder / SERVER.name, "-c", folder / "server.ini"]
        servers.append(subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, **UNPRIVILEGED))
        return servers[-1]
    with contextlib.ExitStack() as stack:
        yield run
        for server in servers:
            server.terminate()
            server.communicate(timeout=TIMEOUT)
            assert server.returncode == 0


def limit_processes(pid, count):
    """Limit how many processes the user of that process may have, when it forks."""
    subprocess.run(["prlimit", f"--pid={pid}", f"--nproc={count}:"], check=True, **UNPRIVILEGED)


@pytest.mark.parametrize("preload, said", [("no", "cannot fork worker 1"), ("yes", "cannot start the fork server")])
def test_forks_that_fail_leave_no_descriptors(start_unprivileged, preload, said):
    server = start_unprivileged(f"[server]\nbind = unix:%(here)/s.sock\nworkers = 1\npreload = {preload}\n[hello /]\n")

    def wait_log(text):
        while text not in (line := server.stderr.readline()):
            assert line, "the server has ended"

    wait_log("all workers are ready")
    limit_processes(server.pid, 0)
    for pid in children_of(server.pid):
        os.kill(pid, signal.SIGKILL)
    for _ in range(2):  # it tries once a second; by the second time the channels of those killed are closed
        wait_log(f"{said}: Resource temporarily unavailable")
    before = os.listdir(f"/proc/{server.pid}/fd")
    for _ in range(2):
        wait_log(said)
    assert os.listdir(f"/proc/{server.pid}/fd") == before
    limit_processes(server.pid, resource.getrlimit(resource.RLIMIT_NPROC)[0])
    wait_log("worker 1 is ready")


# ---- starts that hang or fail ----


def reload_to_what_works(server):
    """And check that nothing is left of what hung."""
    (server.dir / "app.py").write_text(APP % "v2")
    os.kill(server.pid, signal.SIGHUP)
    ready(server)
    assert server.get("/")[2] == b"v2"
    server.wait_until(lambda: len(server.worker_pids()) == 1)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_signals_that_the_parent_ignores_stop_a_start_that_hangs(start, signum):
    before = signal.signal(signum, signal.SIG_IGN)
    try:
        server = start(app=HANGING)
    finally:
        signal.signal(signum, before)
    server.wait_log("hanging")
    assert server.stop(signum) == 0 and "did not stop in time" not in server.log


def test_first_start_that_hangs_gives_way_to_a_reload(start):
    server = start(app=HANGING)
    server.wait_log("hanging")
    reload_to_what_works(server)


def test_a_second_start_that_hangs_gives_way_too(start):
    server = start(app=HANGING)
    server.wait_log("hanging")
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("hanging", count=2)
    reload_to_what_works(server)


def test_failure_of_a_start_that_was_replaced_does_not_end_the_server(start):
    server = start(app=FAILING_LATE % 0.5)
    server.wait_log("hanging")
    (server.dir / "app.py").write_text("import time\ntime.sleep(1)\n" + APP % "v2")
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("No module named")
    ready(server)
    assert server.get("/")[2] == b"v2"


def test_reloads_that_fail_do_not_count_as_starts_that_fail(start):
    """After five of them the server must not give up at the first worker that cannot start."""
    server = ready(start())
    (server.dir / "app.py").write_text("import nothing_such\n")
    for count in range(1, 6):
        os.kill(server.pid, signal.SIGHUP)
        server.wait_log("reload failed.*: no worker could start", count=count)
        ready(server, count + 1)
    worker, = server.worker_pids()
    os.kill(worker, signal.SIGKILL)
    server.wait_log("No module named", count=6)
    (server.dir / "app.py").write_text(APP % "v2")
    server.wait_until(lambda: "worker 1 is ready" in server.log.rsplit("was killed by", 1)[1])
    assert server.get("/")[2] == b"v2"


def test_drain_ends_a_reload_too(start):
    """WINCH while the fork server of the new configuration loads."""
    server = ready(start("preload = yes"))
    (server.dir / "app.py").write_text(HANGING)
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("hanging")
    os.kill(server.pid, signal.SIGWINCH)
    server.wait_log("#1 stopped")
    (server.dir / "app.py").write_text(APP % "v2")
    os.kill(server.pid, signal.SIGHUP)
    assert server.get("/")[2] == b"v2"


def test_ignored_sigchld_of_the_caller(start):
    """The kernel would reap the children, and the master would not notice that they ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        server = start()
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    worker, = ready(server).worker_pids()
    os.kill(worker, signal.SIGKILL)
    server.wait_log("was killed by signal 9")
    server.wait_log("worker 1 is ready", count=2)


# ---- sockets and logs after a failure ----


def test_new_binary_that_cannot_bind_leaves_the_unix_socket(daemon, start):
    other = start()
    server = ready(daemon("[server]\nbind = unix:%(here)/a.sock\n[hello /]\n"))
    (server.dir / "server.ini").write_text("[server]\nbind = unix:%(here)/a.sock\n"
                                           f"bind = 127.0.0.1:{other.port}\n[hello /]\n")
    os.kill(server.pid, signal.SIGUSR2)
    server.wait_log(r"the new binary ended \(exit code 1\)")
    assert server.get("/")[0] == 200


def test_socket_whose_server_accepts_nothing_does_not_hold_the_start(run_server, tmp_path):
    with socket.socket(socket.AF_UNIX) as hung, socket.socket(socket.AF_UNIX) as first:
        hung.bind(str(tmp_path / "a.sock"))
        hung.listen(0)
        first.connect(str(tmp_path / "a.sock"))
        done = run_server([], "[server]\nbind = unix:%(here)/a.sock\n[hello /]\n", timeout=5)
    assert done.returncode == 1 and "in use" in done.stderr


ADDRESSES = {
    "192.0.2.7:8080": "Cannot assign requested address: no interface of this machine has this address",
    "unix:/nonexistent/a.sock": "No such file or directory: create the directory first",
    "unix:/etc/hosts": "Address already in use: another server listens there, or the file is no socket",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_advice_for_an_address_in_use_or_wrong(run_server, address):
    done = run_server([], f"[server]\nbind = {address}\n[hello /]\n")
    assert done.returncode == 1 and f"cannot listen on {address}: {ADDRESSES[address]}" in done.stderr


def test_socket_owner_that_cannot_be_set(tmp_path):
    path = tmp_path / "owner.sock"
    owner, unable = ("nobody", ["setpriv", "--bounding-set=-chown"]) if os.geteuid() == 0 else ("root", [])
    command = [*unable, SERVER, "-m", "a:b", "-b", f"unix:{path}", "-o", f"server.socket-owner={owner}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 1
    assert f"cannot set the socket-owner of unix:{path}: Operation not permitted" in done.stderr
    assert "cannot listen" not in done.stderr and not path.exists()


def test_reload_that_fails_leaves_the_log_on_stderr(start):
    server = ready(start())
    (server.dir / "app.py").write_text("import nothing_such\n")
    ini = server.dir / "server.ini"
    ini.write_text(ini.read_text().replace("[log]", "[log]\nerror-log = new.log"))
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("reload failed.*: no worker could start")
    assert "No module named" in (server.dir / "new.log").read_text()


def test_reload_that_fails_leaves_the_protocol_of_listeners(start):
    server = ready(start("bind = 127.0.0.1:0"))
    (server.dir / "app.py").write_text("import nothing_such\n")
    ini = server.dir / "server.ini"
    ini.write_text(ini.read_text().replace("127.0.0.1:0", "127.0.0.1:0 proxy-protocol"))
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("reload failed.*: no worker could start")
    (server.dir / "app.py").write_text(APP % "v3")
    worker, = server.wait_until(lambda: len(server.worker_pids()) == 1 and server.worker_pids())
    os.kill(worker, signal.SIGKILL)
    server.wait_log("worker 1 is ready", count=2)
    assert server.get("/")[2] == b"v3"


def test_log_goes_back_to_stderr_at_a_reload(start):
    server = ready(start())
    ini = server.dir / "server.ini"
    before = ini.read_text()
    ini.write_text(before.replace("[log]", "[log]\nerror-log = e.log"))
    os.kill(server.pid, signal.SIGHUP)
    log = server.dir / "e.log"
    server.wait_until(lambda: log.exists() and "all workers are ready" in log.read_text())
    ini.write_text(before)
    os.kill(server.pid, signal.SIGHUP)
    ready(server, 2)


def test_error_log_on_a_full_disk_is_reported_on_the_original_stderr(run_server):
    done = run_server([], "[log]\nerror-log = /dev/full\n[wsgi /]\napp = nothing:app\n")
    assert done.returncode == 4
    said = "cannot write to the log /dev/full: No space left on device"
    assert re.fullmatch(rf"\S+ \[error\] \d+#0 {said}\n", done.stderr)


# ---- daemonize ----


def start_in_background(folder, ini, files):
    write_files(folder, {"server.ini": ini, **files})
    command = server_args(folder, ini, ["-d"])
    return subprocess.run(command, cwd=folder, env=server_env(), capture_output=True, text=True, timeout=TIMEOUT)


def test_start_in_the_background_that_fails_names_its_log(tmp_path):
    """And returns although a child of the application lives on."""
    child = ("import os, time\nif os.fork() == 0:\n    os.closerange(0, 3)\n    time.sleep(5)\n    os._exit(0)\n"
             "import nothing_such\n")
    begun = time.monotonic()
    done = start_in_background(tmp_path, "[log]\nerror-log = e.log\n[wsgi /]\napp = app:app\n", {"app.py": child})
    assert (done.returncode, done.stdout) == (4, "") and time.monotonic() - begun < 4
    assert done.stderr == f"syncless-server: the server did not start (exit code 4); see the log {tmp_path}/e.log\n"
    assert "No module named 'nothing_such'" in (tmp_path / "e.log").read_text()


# ---- systemd ----


@pytest.fixture
def systemd(tmp_path):
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(TIMEOUT)
        yield sock


def test_systemd_is_told_the_pid_of_the_new_master(start, systemd):
    """And not that the service stops."""
    server = ready(start("pidfile = pid", env={"NOTIFY_SOCKET": systemd.getsockname()}))
    os.kill(server.pid, signal.SIGUSR2)
    ready(server, 2)
    new = int((server.dir / "pid").read_text())
    os.kill(server.pid, signal.SIGQUIT)
    server.process.wait(TIMEOUT)
    try:
        seen = [systemd.recv(1000)]
        while not seen[-1].startswith(b"MAINPID"):
            seen.append(systemd.recv(1000))
        assert seen[-1] == b"MAINPID=%d" % new and b"STOPPING=1" not in seen
    finally:
        os.kill(new, signal.SIGTERM)
        wait_until(lambda: not is_worker(new))
    while seen[-1] != b"STOPPING=1":
        seen.append(systemd.recv(1000))
        assert not seen[-1].startswith(b"MAINPID")


def test_systemd_that_cannot_be_reached_is_logged(start, tmp_path):
    server = ready(start(env={"NOTIFY_SOCKET": f"{tmp_path}/none"}))
    server.wait_log(rf"\[warn\] .*cannot send READY=1 to systemd \(NOTIFY_SOCKET={tmp_path}/none\): "
                    "No such file or directory")


def test_status_counts_the_workers_there_are(start, systemd):
    server = ready(start(env={"NOTIFY_SOCKET": systemd.getsockname()}))
    os.kill(server.pid, signal.SIGTTIN)
    while b"2 workers" not in systemd.recv(1000):
        pass


# ---- users ----


SECOND_GROUP = next((group for group in grp.getgrall() if group.gr_mem), None)


@pytest.mark.skipif(os.geteuid() != 0 or not SECOND_GROUP, reason="not root, or no user has a second group")
def test_groups_of_the_user_in_a_chroot(daemon, tmp_path):
    """They are looked up outside the chroot."""
    group = SECOND_GROUP
    server = ready(daemon(f"[server]\nuser = {group.gr_mem[0]}\nchroot = {tmp_path}\n[hello /]\n"))
    worker, = server.worker_pids()
    status = pathlib.Path(f"/proc/{worker}/status").read_text()
    assert str(group.gr_gid) in re.search(r"Groups:(.*)", status)[1].split()


# ---- reload-on-change ----


def test_only_the_named_file_is_watched(start):
    """Not its neighbours; and a file may have a name that begins with a dot."""
    server = ready(start("reload-on-change = .env"))
    (server.dir / "neighbour.txt").write_text("x")
    begun = time.monotonic()
    server.wait_until(lambda: time.monotonic() > begun + 0.3)
    assert "has changed" not in server.log
    (server.dir / ".env").write_text("x")
    ready(server, 2)
    assert server.log.count("has changed") == 1 and f"{server.dir}/.env has changed" in server.log
