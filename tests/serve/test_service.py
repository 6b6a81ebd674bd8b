"""The server as a service of the system: users, files, systemd, containers, the command line."""
import grp
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from conftest import SERVER, TIMEOUT, VIRTUALENV, is_worker, server_args, server_env, wait_until, write_files

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up privileges")
WHO = """
import os
def app(environ, start_response):
    start_response('200 OK', [])
    open('made', 'w').close()
    return [b'%d %d %s' % (os.getuid(), os.getgid(), ','.join(map(str, os.getgroups())).encode())]
"""


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def ready(server):
    server.wait_log("all workers are ready")
    return server


# ---- users ----


@root_only
@pytest.mark.parametrize("preload", ["no", "yes"])
def test_workers_give_up_their_privileges(daemon, open_folder, preload):
    nobody = pwd.getpwnam("nobody")
    (open_folder / "who.py").write_text(WHO)
    server = ready(daemon(f"[server]\nuser = nobody\numask = 027\npreload = {preload}\n"
                          f"[wsgi /]\napp = who:app\nchdir = {open_folder}\n"))
    worker = int(server.wait_log(r"\] (\d+)#1 worker 1 is ready")[1])
    status = status_of(worker)
    assert status["Uid"].split() == [str(nobody.pw_uid)] * 4 and status["Gid"].split() == [str(nobody.pw_gid)] * 4
    assert set(status["Groups"].split()) <= {str(nobody.pw_gid)}
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status_of(server.pid)["Uid"].split()[0] == "0", "the master keeps what it needs for a reload"
    assert server.get("/")[2].split()[0] == b"%d" % nobody.pw_uid
    made = (open_folder / "made").stat()
    assert made.st_mode & 0o777 == 0o640 and made.st_uid == nobody.pw_uid
    assert "the workers run as root" not in server.log


@root_only
def test_workers_that_run_as_root(daemon):
    server = ready(daemon("[hello /]\n"))
    server.wait_log(r'\[warn\] .*the workers run as root: set "user" in \[server\]')
    chosen = ready(daemon("[server]\nuser = root\n[hello /]\n"))
    assert "run as root" not in chosen.log


LOGIN = """
import os
def app(environ, start_response):
    start_response('200 OK', [])
    return [repr([os.environ.get(name) for name in ('HOME', 'USER', 'LOGNAME')]).encode(),
            b' ', os.path.expanduser('~').encode()]
"""


@root_only
@pytest.mark.parametrize("preload", ["no", "yes"])
@pytest.mark.parametrize("user", ["daemon", "54321", ""])
def test_login_environment_is_that_of_the_user(daemon, open_folder, user, preload):
    """Not that of root's shell. A number that has no name has no files either."""
    (open_folder / "login.py").write_text(LOGIN)
    names = {"HOME": "/root", "USER": "root", "LOGNAME": "root"}
    server = ready(daemon(f"[server]\npreload = {preload}\n" + (f"user = {user}\n" if user else "") +
                          f"[wsgi /]\napp = login:app\nchdir = {open_folder}\n", env=names))
    home = {"daemon": pwd.getpwnam("daemon").pw_dir, "54321": "/", "": "/root"}[user]
    name = {"daemon": "daemon", "54321": None, "": "root"}[user]
    assert server.get("/")[2].decode() == f"{[home, name, name]} {home}"


@root_only
def test_home_can_be_set(daemon, open_folder):
    (open_folder / "login.py").write_text(LOGIN)
    server = ready(daemon("[server]\nuser = daemon\n"
                          f"[wsgi /]\napp = login:app\nenv = HOME=/srv\nchdir = {open_folder}\n"))
    assert server.get("/")[2] == b"['/srv', 'daemon', 'daemon'] /srv"


@root_only
def test_group_and_chroot(daemon, tmp_path):
    jail = tmp_path / "jail"
    jail.mkdir()
    server = ready(daemon(f"[server]\nuser = nobody\ngroup = daemon\nchroot = {jail}\n[hello /]\n"))
    worker, = server.worker_pids()
    assert status_of(worker)["Gid"].split()[0] == str(grp.getgrnam("daemon").gr_gid)
    assert os.readlink(f"/proc/{worker}/root") == str(jail) and server.get("/")[0] == 200


@root_only
def test_chroot_without_proc_and_max_rss(daemon, tmp_path):
    server = ready(daemon(f"[server]\nchroot = {tmp_path}\nmax-rss = 1g\n[hello /]\n"))
    server.wait_log(r"\[warn\] .*#1 max-rss has no effect: cannot read /proc/self/statm: No such file or directory")


MISTAKES = {
    "user = no-such-user": '"user = no-such-user": there is no such user',
    "group = no-such-group": '"group = no-such-group": there is no such group',
    "user = 4294967295": "there is no such user",
    "user = 4294967296": "there is no such user",
    "group = 4294967296": "there is no such group",
    "socket-owner = 4294967296:0": "there is no such user or group",
    "supplementary-groups = 4294967296": "there is no such group",
    "umask = 9": '"umask = 9": expected an octal number such as 027',
    "socket-mode = rw": '"socket-mode = rw": expected an octal number such as 0660',
    "socket-owner = nobody:no-such-group": "there is no such user or group",
    "max-requests = -1": '"max-requests = -1": expected 0 or more',
    "daemonize = yes": '"daemonize = yes": set "error-log" in [log]',
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes(run_server, line):
    done = run_server(["--check"], f"[server]\n{line}\n[hello /]\n")
    assert done.returncode == 78 and "server.ini:2: " in done.stderr and MISTAKES[line] in done.stderr, done.stderr


@root_only
def test_mode_and_owner_of_unix_sockets(daemon):
    server = daemon("[server]\nbind = unix:%(here)/a.sock\nsocket-mode = 0620\nsocket-owner = nobody:daemon\n"
                    "[hello /]\n")
    found = os.stat(server.path)
    assert stat.S_IMODE(found.st_mode) == 0o620
    assert (found.st_uid, found.st_gid) == (pwd.getpwnam("nobody").pw_uid, grp.getgrnam("daemon").gr_gid)


# ---- files ----


@pytest.mark.parametrize("user", ["", pytest.param("user = nobody", marks=root_only)])
def test_usr1_reopens_logs(daemon, user):
    server = ready(daemon(f"[server]\n{user}\n[log]\naccess-log = a.log\nlog-format = %(uri)\n[hello /]\n"))
    log, old = server.dir / "a.log", server.dir / "a.log.1"
    server.get("/before")
    server.wait_until(lambda: log.read_text() == "/before\n")
    log.rename(old)
    server.get("/renamed")
    server.wait_until(lambda: old.read_text() == "/before\n/renamed\n")
    os.kill(server.pid, signal.SIGUSR1)
    server.wait_log("log files reopened")

    def arrives():
        server.get("/after")
        return log.exists() and "/after\n" in log.read_text()
    server.wait_until(arrives)
    seen = old.read_text()
    server.get("/after")
    assert old.read_text() == seen


LOUD = """
import sys
def app(environ, start_response):
    print('to stderr', file=sys.stderr, flush=True)
    environ['wsgi.errors'].write('to the log\\n')
    start_response('200 OK', [])
    return []
"""


def test_usr1_reopens_the_error_log_in_every_process(daemonized, tmp_path):
    """The master, a worker and the standard error of the application write to the new file."""
    done = daemonized("[server]\npidfile = pid\nbind = unix:%(here)/d.sock\n[log]\nerror-log = e.log\n"
                      "[wsgi /]\napp = loud:app\n", {"loud.py": LOUD})
    assert done.returncode == 0
    log = tmp_path / "e.log"
    log.rename(tmp_path / "e.log.1")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGUSR1)
    wait_until(lambda: log.exists() and "log files reopened" in log.read_text())

    def arrives():
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(tmp_path / "d.sock"))
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            sock.recv(100)
        return "to stderr\n" in log.read_text() and "to the log\n" in log.read_text()
    wait_until(arrives)


def test_pidfile(daemon):
    server = ready(daemon("[server]\npidfile = run.pid\n[hello /]\n"))
    assert (server.dir / "run.pid").read_text() == f"{server.pid}\n"
    server.stop()
    assert not (server.dir / "run.pid").exists()


@pytest.fixture
def daemonized(tmp_path):
    """Start with -d: the CompletedProcess of the command. The server it starts is ended after the test."""
    def run(ini, files={}):
        write_files(tmp_path, {"server.ini": ini, **files})
        command = server_args(tmp_path, ini, ["-d"])
        return subprocess.run(command, cwd=tmp_path, env=server_env(), capture_output=True, text=True, timeout=TIMEOUT)
    yield run
    if (tmp_path / "pid").exists():
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_worker(pid))


def test_daemonize(daemonized, tmp_path):
    done = daemonized("[server]\npidfile = pid\nbind = unix:%(here)/d.sock\n[log]\nerror-log = d.log\n[hello /]\n")
    assert done.returncode == 0 and done.stderr == ""
    pid = int((tmp_path / "pid").read_text())
    with socket.socket(socket.AF_UNIX) as sock:  # it serves when the start has returned
        sock.connect(str(tmp_path / "d.sock"))
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")
    assert os.getsid(pid) == pid
    wait_until(lambda: "all workers are ready" in (tmp_path / "d.log").read_text())  # a thread writes it


PRINTS = """
import os, sys
print('printed at import')
def app(environ, start_response):
    print('printed in a request')
    os.system('echo printed by a child')
    start_response('200 OK', [])
    return []
"""


def test_daemonize_keeps_what_is_printed(daemonized, tmp_path):
    """The error log takes standard output too, of the application and of its children, also after a reopen."""
    done = daemonized("[server]\npidfile = pid\nbind = unix:%(here)/d.sock\n[log]\nerror-log = d.log\n"
                      "[wsgi /]\napp = prints:app\n", {"prints.py": PRINTS})
    assert done.returncode == 0 and done.stdout == ""
    log = tmp_path / "d.log"

    def get():
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(tmp_path / "d.sock"))
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while sock.recv(100):
                pass
        return log.exists() and {"printed in a request", "printed by a child"} <= set(log.read_text().splitlines())
    wait_until(get)
    assert "printed at import" in log.read_text().splitlines()
    log.rename(tmp_path / "d.log.1")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGUSR1)
    wait_until(get)


def test_daemonize_refuses_an_access_log_on_stdout(run_server):
    done = run_server(["-t", "-d"], "[log]\nerror-log = e.log\naccess-log = -\n[hello /]\n")
    assert done.returncode == 78 and '-d: "daemonize = yes": set "access-log" in [log] to a file' in done.stderr


def test_daemonize_reports_a_start_that_fails(daemonized, tmp_path):
    done = daemonized("[log]\nerror-log = d.log\n[wsgi /]\napp = nothing:app\n")
    assert done.returncode == 4 and "No module named 'nothing'" in (tmp_path / "d.log").read_text()


# ---- systemd ----


@pytest.fixture
def systemd(tmp_path):
    """The socket of a service manager; receive(pattern) waits for a message that has it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(TIMEOUT)

        def receive(pattern):
            while True:
                message = sock.recv(1000).decode()
                if re.search(pattern, message):
                    return message
        receive.path = str(tmp_path / "notify")
        yield receive


def test_systemd_is_told(daemon, systemd):
    app = "import os\nassert 'NOTIFY_SOCKET' not in os.environ\n" + WHO
    server = daemon("[wsgi /]\napp = who:app\n", {"who.py": app}, env={"NOTIFY_SOCKET": systemd.path})
    assert "READY=1" in systemd("READY")
    server.process.send_signal(signal.SIGHUP)
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", systemd("RELOADING"))
    systemd("READY=1")
    server.stop()
    systemd("STOPPING=1")


def test_systemd_status_says_that_a_reload_failed(daemon, systemd):
    server = daemon("[wsgi /]\napp = who:app\n", {"who.py": WHO}, env={"NOTIFY_SOCKET": systemd.path})
    assert systemd("READY=1").endswith("STATUS=1 workers serving")
    for name, bad, good, reason in (
            ("who.py", "import nothing_such", WHO, "no worker could start.* the application cannot be loaded"),
            ("server.ini", "[wsgi /]\napp = who:app\nx = 1\n", "[wsgi /]\napp = who:app\n",
             r"server\.ini:3: unknown key \"x\" in \[wsgi /\]$")):
        (server.dir / name).write_text(bad)
        server.process.send_signal(signal.SIGHUP)
        status = systemd("READY=1")
        assert re.search("serving the old configuration: the last reload failed: .*" + reason, status), status
        (server.dir / name).write_text(good)
        server.process.send_signal(signal.SIGHUP)
        assert systemd("READY=1").endswith("STATUS=1 workers serving")


BLOCKING = """
import time
def app(environ, start_response):
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        pass
    start_response('200 OK', [])
    return []
"""


def test_watchdog_while_workers_answer(daemon, systemd):
    """Where the master does not replace workers that are stuck, systemd gets no message if none answers."""
    server = daemon("[server]\nwatchdog-timeout = 0\nworker-timeout = 0\ntime-slice = 0\n[wsgi /]\napp = hold:app\n",
                    {"hold.py": BLOCKING}, env={"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "600000"})
    systemd("READY=1")
    for _ in range(3):
        systemd("WATCHDOG=1")
    times = [time.monotonic()]
    holder = threading.Thread(target=server.get, args=("/",))
    holder.start()
    while times[-1] - times[0] < 2.2:
        systemd("WATCHDOG=1")
        times.append(time.monotonic())
    holder.join()
    assert max(after - before for before, after in zip(times, times[1:])) > 0.9


def test_socket_activation(daemon, tmp_path):
    """The sockets of the unit take the place of bind, and survive a reload."""
    write_files(tmp_path, {"server.ini": "[server]\nbind = 127.0.0.1:1\n[hello /]\n"})
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "u.sock"))
        unix.listen()
        script = "exec 3<&%d 4<&%d; LISTEN_PID=$$ LISTEN_FDS=2 exec %s -c %s" % (
            os.dup(tcp.fileno()), os.dup(unix.fileno()), SERVER, tmp_path / "server.ini")
        fds = [int(n) for n in re.findall(r"<&(\d+)", script)]
        process = subprocess.Popen(["bash", "-c", script], pass_fds=fds, stderr=subprocess.PIPE, text=True,
                                   env=server_env())
        for fd in fds:
            os.close(fd)
        addresses = [(tcp.getsockname(), socket.AF_INET), (str(tmp_path / "u.sock"), socket.AF_UNIX)]
        try:
            for _ in range(2):
                for address, family in addresses:
                    with socket.socket(family) as client:
                        client.settimeout(TIMEOUT)
                        client.connect(address)
                        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                        assert client.recv(100).startswith(b"HTTP/1.1 200")
                process.send_signal(signal.SIGHUP)
                while "all workers are ready" not in process.stderr.readline():
                    pass
        finally:
            process.terminate()
            rest = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, rest
        assert (tmp_path / "u.sock").exists(), "it is systemd's"


# ---- containers ----


@root_only
@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare is not installed")
@pytest.mark.parametrize("preload", ["no", "yes"])
def test_as_process_1_it_reaps_strangers(tmp_path, preload):
    """Whatever their exit code is: 4 of a worker would end the server."""
    app = """
import os
def app(environ, start_response):
    pid = os.fork()
    if pid == 0:
        os.fork()
        os._exit(4)
    os.waitpid(pid, 0)
    start_response('200 OK', [])
    return [b'%d %d' % (os.getppid(), sum(is_zombie(n) for n in os.listdir('/proc') if n.isdigit()))]

def is_zombie(pid):
    try:
        return 'State:\\tZ' in open('/proc/%s/status' % pid).read()
    except OSError:
        return False
"""
    ini = f"[server]\nbind = unix:%(here)/s.sock\npreload = {preload}\n[wsgi /]\napp = orphans:app\n"
    write_files(tmp_path, {"server.ini": ini, "orphans.py": app})
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", SERVER, "-c", tmp_path / "server.ini"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=server_env())

    def get():
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(TIMEOUT)
            sock.connect(str(tmp_path / "s.sock"))
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: sock.recv(1000), b"")).split(b"\r\n\r\n")[1]
    try:
        while "all workers are ready" not in (line := process.stderr.readline()):
            if not line and process.poll() is not None:
                pytest.skip("no new namespaces here: " + process.stderr.read())
        assert get().startswith(b"1 ")
        for _ in range(20):
            get()
        wait_until(lambda: get() in (b"1 0", b"1 1"))  # the last orphan may still be dying
    finally:
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, "process 1 stops on TERM like any other"


# ---- the command line ----


def test_check_app(run_server):
    ini = "[wsgi /]\napp = a:app\n"
    good = run_server(["--check=app"], ini, {"a.py": "def app(e, s): pass\n"})
    assert good.returncode == 0 and "can be loaded" in good.stdout
    bad = run_server(["--check=app"], ini, {"a.py": "import nothing_such\n"})
    assert bad.returncode == 4 and "No module named 'nothing_such'" in bad.stderr
    assert run_server(["--check=all"], ini).returncode == 2


def test_dump_config(run_server):
    done = run_server(["-T", "-o", "server.threads=7"],
                      "[server]\nbacklog = 5\n[log]\nlevel = warn\n[hello /]\n[wsgi]\nvirtualenv = venv\n"
                      "[wsgi /app]\napp = a:b\n", VIRTUALENV)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert "backlog = 5 ; " in done.stdout and re.search(r"^backlog = 5 ; .*server\.ini:2$", done.stdout, re.M)
    assert "threads = 7 ; -o server.threads=7" in lines and "max-concurrency = 10000 ; default" in lines
    assert "; pidfile is not set" in lines and "[wsgi /app]" in lines and "[hello /]" in lines
    assert re.search(r"^virtualenv = venv ; .*server\.ini:7$", done.stdout, re.M)


def test_dumped_configuration_is_one(run_server, tmp_path):
    first = run_server(["-T"], "[server]\nworkers = 3\n[static /s]\nroot = .\n")
    again = run_server(["--check"], first.stdout)
    assert again.returncode == 0, again.stderr


def test_version(run_server):
    assert re.match(r"syncless-server \d+\.\d+\.\d+\n", run_server(["-v"]).stdout)
    details = run_server(["-V"]).stdout
    for what in ("compiler", "libuv", "llhttp", "c-ares", "glibc", "python", "bridge"):
        assert re.search(rf"^{what}: \S", details, re.M), details
