"""The master is root and trusts nobody who is not: workers and a fork server of a user that say and do what they like,
and a user who owns the directory of logs, pidfile and socket."""
import contextlib
import os
import pwd
import re
import signal
import stat
import subprocess

import pytest

from conftest import is_worker, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the master is to be root, and the workers are not")

NOBODY = pwd.getpwnam("nobody").pw_uid

# What code in a worker or in the fork server can do to its channel. Messages are those of server/process/channel.h.
CHANNEL = """
import array, os, socket, struct, sys
READY, PING, SPAWN, SPAWNED, REPORT = 2, 4, 8, 9, 10
def channels():
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            sock = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_SEQPACKET:
            yield sock
def message(kind, number=0):
    return struct.pack("iii", kind, number, -1)
def send(sock, data, fds=()):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], rights)
"""

# A fork server that answers orders itself. What it does is in the file "lie": it names a process, or has somebody speak
# on the channel of the worker that is none of the master's children, or is the fork server.
LIAR = CHANNEL + """
import pathlib, select
how, number = pathlib.Path(__file__).with_name("lie").read_text().split()
channel, = channels()
send(channel, message(READY))
while True:
    select.select([channel], [], [])
    data, rights, _, _ = channel.recvmsg(64, 1000)
    if not data:
        select.select([], [], [], 100 if how == "stays" else 0)
        sys.exit()
    if struct.unpack_from("i", data)[0] != SPAWN:
        continue
    worker = socket.socket(fileno=array.array("i", rights[0][2])[0])
    if how == "child" and os.fork() == 0:
        send(worker, message(SPAWNED))
        select.select([], [], [], 1)
        os._exit(0)
    if how == "itself":
        send(worker, message(SPAWNED))
    send(channel, message(SPAWNED, int(number)))
"""

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [str(run(environ)).encode()]
"""


@pytest.fixture
def start(daemon, open_folder):
    """start(source of the application, lines for [server], lines for [log], files={}) -> Daemon of which the workers
    run as nobody, and own their folder."""
    os.chown(open_folder, NOBODY, -1)

    def run(source, server="", log="", files={}):
        for name, text in {"app.py": source, **files}.items():
            (open_folder / name).write_text(text)
        return daemon(f"[server]\nworkers = 1\nuser = nobody\n{server}\n[log]\n{log}\n"
                      f"[wsgi]\nchdir = {open_folder}\n[wsgi /]\napp = {open_folder}/app.py:app\n")

    return run


@pytest.fixture
def victim():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


# ---- processes ----


@pytest.mark.parametrize("how", ["name", "child", "itself"])
def test_fork_server_that_lies(start, victim, how):
    """It cannot have the master send signals to processes that are no workers, nor keep it from its end."""
    number = victim.pid if how == "name" else 0
    server = start(LIAR, "preload = yes", files={"lie": f"{how} {number}"})
    server.wait_log("cannot fork worker 1: Protocol error" if how != "name" else "cannot fork worker 1: ")
    assert not re.search(r"worker 1 \(pid", server.log)
    server.stop()
    assert victim.poll() is None


def test_fork_server_that_stays(start):
    """It does not end when its channel does; the master does not leave it behind."""
    server = start(LIAR, "preload = yes", files={"lie": "stays -11"})
    server.wait_log("cannot fork worker 1: Resource temporarily unavailable")
    fork_server, = server.worker_pids()
    server.stop()
    assert not is_worker(fork_server)


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_descriptors_that_a_worker_sends(start):
    server = start(CHANNEL + APP + """
def run(environ):
    channel, = channels()
    for _ in range(20):
        send(channel, message(PING), (0, 1, 2))
        send(channel, message(REPORT) + b"x", (0,))
""")
    server.wait_log("all workers are ready")
    before = open_files(server.pid)
    for _ in range(5):
        assert server.get("/")[0] == 200
    os.kill(server.pid, signal.SIGUSR1)
    server.wait_log("log files reopened")  # it has read them
    assert open_files(server.pid) <= before


def test_worker_that_sends_without_end(start):
    """Children of a worker fill its channel all the time: the master hears its signals."""
    server = start(CHANNEL + APP + """
import signal, time
def run(environ):
    channel, = channels()
    for _ in range(3):
        if os.fork() == 0:
            channel.setblocking(False)
            os.setsid()
            end = time.monotonic() + 20
            while time.monotonic() < end:
                try:
                    send(channel, message(PING))
                except BlockingIOError:
                    pass
            os._exit(0)
""")
    server.wait_log("all workers are ready")
    assert server.get("/")[0] == 200
    workers = server.worker_pids()
    flooding = subprocess.run(["pgrep", "-u", "nobody", "-f", str(server.dir)], capture_output=True, text=True)
    try:
        os.kill(server.pid, signal.SIGUSR1)
        server.wait_log("log files reopened", timeout=10)
        assert server.stop(timeout=15) == 0
    finally:
        for pid in set(map(int, flooding.stdout.split())) - set(workers):
            with contextlib.suppress(ProcessLookupError):  # they end after 20 s
                os.kill(pid, signal.SIGKILL)


def test_shared_memory_with_nonsense(start):
    """Workers may write what they like to the tables that they share with the master."""
    server = start(APP + """
import re
def run(environ):
    count = 0
    with open("/proc/self/mem", "r+b", 0) as memory, open("/proc/self/maps") as maps:
        for line in maps:
            found = re.match(r"(\\w+)-\\w+ rw-s .*/dev/zero", line)
            if found:
                memory.seek(int(found[1], 16))
                memory.write(b"\\xff" * 4)
                count += 1
    return count
""", "dumpable = yes\n[outbound 192.0.2.1:80]\nmax-connections = 3")
    server.wait_log("all workers are ready")
    assert int(server.get("/")[2]) >= 2
    for pid in server.worker_pids():
        os.kill(pid, signal.SIGKILL)
    server.wait_log("worker 1 is ready", count=2)
    assert server.get("/")[0] == 200


# ---- files ----


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("root's\n")
    path.chmod(0o600)
    return path


def link_of_nobody(path, target):
    path.symlink_to(target)
    os.lchown(path, NOBODY, -1)


@pytest.mark.parametrize("place", ["file", "folder"])
@pytest.mark.parametrize("key", ["error-log", "access-log"])
def test_log_that_is_a_link(run_server, open_folder, secret, key, place):
    link_of_nobody(open_folder / "link", secret if place == "file" else secret.parent)
    path = open_folder / ("link" if place == "file" else "link/secret")
    done = run_server([], f"[server]\nuser = nobody\n[log]\n{key} = {path}\n[static /]\nroot = {open_folder}\n")
    assert done.returncode == 1
    assert (f"cannot open the {key.replace('-', ' ')} {path}: Too many levels of symbolic links: root follows "
            "symbolic links of root only") in done.stderr
    assert secret.read_text() == "root's\n"


def test_links_of_root_are_followed(daemon, open_folder, tmp_path):
    """Administrators make them: a log on another disk, or on standard output."""
    os.chown(open_folder, NOBODY, -1)
    (open_folder / "log").symlink_to(f"later/../{tmp_path.name}/real.log")
    (open_folder / "later").symlink_to(tmp_path)
    (open_folder / "output").symlink_to("/dev/stdout")
    server = daemon(f"[server]\nuser = nobody\n[log]\naccess-log = {open_folder}/log\nlog-format = %(uri)\n"
                    f"[static /]\nroot = {open_folder}\n[static /out]\nroot = {open_folder}\n"
                    f"access-log = {open_folder}/output\n")
    server.wait_log("all workers are ready")
    server.get("/one")
    server.get("/out/two")
    server.wait_log("^/out/two$")
    wait_until(lambda: (tmp_path / "real.log").read_text() == "/one\n")


def test_pidfile_in_a_folder_of_another(daemon, open_folder, secret):
    os.chown(open_folder, NOBODY, -1)
    link_of_nobody(open_folder / "pid.new", secret)
    server = daemon(f"[server]\nuser = nobody\npidfile = {open_folder}/pid\n[static /]\nroot = {open_folder}\n")
    server.wait_log("all workers are ready")
    assert secret.read_text() == "root's\n"
    assert (open_folder / "pid").read_text() == f"{server.pid}\n"
    (open_folder / "pid").unlink()
    os.mkfifo(open_folder / "pid")
    assert server.stop() == 0
    assert stat.S_ISFIFO((open_folder / "pid").stat().st_mode)


def test_mode_of_a_socket_from_the_first_moment(daemon, open_folder):
    """The file is made with it; a reload changes it."""
    server = daemon(f"[server]\nbind = unix:{open_folder}/s\nsocket-mode = 0600\numask = 077\n"
                    f"socket-owner = nobody\n[static /]\nroot = {open_folder}\n")
    server.wait_log("all workers are ready")
    found = (open_folder / "s").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o600, NOBODY)
    (server.dir / "server.ini").write_text((server.dir / "server.ini").read_text().replace("0600", "0666"))
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("all workers are ready", count=2)
    assert stat.S_IMODE((open_folder / "s").stat().st_mode) == 0o666


def test_socket_whose_file_was_exchanged(daemon, open_folder, secret):
    """Mode and owner are set on the file that was made for the socket, whatever is in its place by now."""
    server = daemon(f"[server]\nbind = unix:{open_folder}/s\nsocket-mode = 0600\n[static /]\nroot = {open_folder}\n")
    server.wait_log("all workers are ready")
    (open_folder / "s").unlink()
    link_of_nobody(open_folder / "s", secret)
    ini = server.dir / "server.ini"
    ini.write_text(ini.read_text().replace("socket-mode = 0600", "socket-mode = 0666\nsocket-owner = nobody"))
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("cannot set the socket-mode of unix:.*/s: Stale file handle")
    server.wait_log("reload failed")
    assert (stat.S_IMODE(secret.stat().st_mode), secret.stat().st_uid) == (0o600, 0)
    assert server.stop() == 0
    assert (open_folder / "s").is_symlink()
