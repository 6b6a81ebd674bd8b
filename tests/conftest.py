"""The harness of the tests that run a real daemon.

Each test starts a syncless-server of its own, from $SYNCLESS_BUILD (build/ by default), on a port that the kernel
chooses and the log names. A thread reads the log from a pipe and notifies a condition, so waiting for a line needs no
sleep. Every wait has a timeout. When a test is over, its processes are ended by pid; if it failed, pytest shows the log
of its daemons.
"""
import concurrent.futures
import functools
import http.client
import os
import pathlib
import re
import resource
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from timeouts import SANITIZED, TIMEOUT, WRAPPER, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / os.environ.get("SYNCLESS_BUILD", "build")
SERVER = BUILD / "syncless-server"
PYTHON_HOST = pathlib.Path(os.environ.get("SYNCLESS_TEST_PYTHON", "/usr/bin/python3"))  # the interpreter to run in
REPORT = re.compile(r"(Address|Leak)Sanitizer: |runtime error: |^==\d+== Invalid ", re.M)

os.environ["PATH"] = f"{PYTHON_HOST.parent}:{os.environ['PATH']}"  # it is found there
os.environ.pop("VIRTUAL_ENV", None)


class UnixConnection(http.client.HTTPConnection):
    """http.client over a Unix socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    """A running syncless-server. `dir` is its working directory, with server.ini."""

    sanitized = SANITIZED

    def __init__(self, directory, command, env):
        self.dir = directory
        self.command = command
        self.log = ""
        self._grown = threading.Condition()
        self._seen = []  # pids of workers: none may outlive the test
        self.process = subprocess.Popen(command, cwd=directory, env=env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.pid = self.process.pid
        self._closed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._find_address()
        except AssertionError:
            self.end()
            raise

    def _read(self):
        with self.process.stdout as pipe:
            while chunk := pipe.read1(65536):
                with self._grown:
                    self.log += chunk.decode("utf-8", "replace")
                    self._grown.notify_all()
        with self._grown:
            self._closed = True
            self._grown.notify_all()

    def _find_address(self):
        self.host, self.port, self.path = "127.0.0.1", None, None
        found = self.wait_log(r"listening on (?:http://(\S+):(\d+)|unix:(\S+))")
        if found[2]:
            self.host, self.port = found[1].strip("[]"), int(found[2])
        else:
            self.path = found[3]

    # ---- its log ----

    def wait_log(self, regex, timeout=TIMEOUT, count=1):
        """Wait until regex matches the log `count` times; returns the last of these matches."""
        def matches():
            return list(re.finditer(regex, self.log, re.M))

        with self._grown:
            self._grown.wait_for(lambda: len(matches()) >= count or self._closed, timeout)
            found = matches()
        if len(found) < count:
            state = "ended" if self._closed else "still runs"
            raise AssertionError(f"no {regex!r} ({len(found)} of {count}) in the log; the daemon {state}:\n{self.log}")
        return found[count - 1]

    # ---- its processes ----

    def worker_pids(self):
        text = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        pids = [int(pid) for pid in text.split()]
        self._seen += [pid for pid in pids if pid not in self._seen]
        return pids

    def rss(self):
        """Resident bytes of the workers."""
        total = 0
        for pid in self.worker_pids():
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            total += 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])
        return total

    def wait_until(self, condition, timeout=TIMEOUT):
        """The first true value of condition()."""
        return wait_until(condition, timeout)

    def wait_exit(self, timeout=TIMEOUT):
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        assert not self._reader.is_alive(), "the daemon has ended, but another process still holds its log open"
        return code

    def stop(self, signum=signal.SIGTERM, timeout=TIMEOUT):
        """Send the signal and return the exit code."""
        if self.process.poll() is None:
            self.worker_pids()
            self.process.send_signal(signum)
        return self.wait_exit(timeout)

    def end(self):
        """End the daemon in whatever state it is; fails if it ignores SIGTERM."""
        try:
            code = self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the daemon did not stop on SIGTERM") from None
        finally:
            for pid in self._seen:
                if is_worker(pid):
                    os.kill(pid, signal.SIGKILL)
        if REPORT.search(self.log):
            raise AssertionError("the daemon's log has a sanitizer report")
        return code

    # ---- requests ----

    def connect(self, timeout=TIMEOUT):
        if self.path:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout)
            sock.connect(self.path)
            return sock
        return socket.create_connection((self.host, self.port), timeout)

    def http(self, timeout=TIMEOUT):
        """An http.client connection; it is kept alive between requests."""
        if self.path:
            return UnixConnection(self.path, timeout)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def request(self, method, path, headers={}, body=None, timeout=TIMEOUT):
        """Send one request on a new connection; returns (status, headers, body)."""
        connection = self.http(timeout)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def get(self, path, headers={}, **options):
        return self.request("GET", path, headers, **options)

    def get_all(self, paths, apart=0):
        """Request all paths at once, or one every `apart` seconds. Returns the bodies as strings, in order, and the
        seconds until the last one was there."""
        began = time.monotonic()

        def get(item):
            time.sleep(item[0] * apart)
            return self.get(item[1])[2].decode()

        with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
            texts = list(pool.map(get, enumerate(paths)))
        return texts, time.monotonic() - began

    def raw(self, data, shutdown=False, timeout=TIMEOUT, until=None):
        """Send data on a new connection while receiving; with `shutdown`, half-close it afterwards. Returns the bytes
        received up to the end of the connection, the bytes `until`, or `timeout` seconds of silence."""
        with self.connect() as sock:
            return exchange(sock, data, shutdown, timeout, until)


def exchange(sock, data, shutdown=False, timeout=TIMEOUT, until=None):
    """Daemon.raw on an existing connection. If the server answers and closes before it has read everything, the answer
    counts."""
    sock.setblocking(False)
    unsent, received = memoryview(data), bytearray()
    while not (until and until in received):
        readable, writable, _ = select.select([sock], [sock] if unsent else [], [], timeout)
        if not readable and not writable:
            break
        if writable:
            try:
                unsent = unsent[sock.send(unsent[:1 << 20]):]
                if not unsent and shutdown:
                    sock.shutdown(socket.SHUT_WR)
            except (ConnectionResetError, BrokenPipeError):
                unsent = b""
        if readable:
            try:
                chunk = sock.recv(1 << 20)
            except ConnectionResetError:
                if not received:
                    raise
                break
            received += chunk
            if not chunk:
                break
    return bytes(received)


def is_worker(pid):
    try:
        return "syncless" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def write_files(directory, files):
    """files: {relative name: text or bytes}. Those that begin with #! become executable."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if path.read_bytes()[:2] == b"#!":
            path.chmod(0o755)


# A virtualenv beside the ini file, for tests that do not run in it.
VIRTUALENV = {"venv/pyvenv.cfg": "", "venv/bin/python": f"#!/bin/sh\nexec {PYTHON_HOST} \"$@\"\n"}


def server_env(env={}):
    full = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env}
    return {name: str(value) for name, value in full.items() if value is not None}


def server_args(directory, ini, args):
    """The command line; unless the test sets them, the server gets a free port on loopback and one worker."""
    command = [*WRAPPER, str(SERVER)]
    if ini is not None:
        command += ["-c", str(directory / "server.ini")]
        given = ini + " ".join(map(str, args))
        if not re.search(r"\bbind\s*=", given):
            command += ["-o", "server.bind=127.0.0.1:0"]
        if not re.search(r"\bworkers\s*=", given):
            command += ["-o", "server.workers=1"]
    return command + [str(arg) for arg in args]


class Starter:
    """Starts daemons when called, and ends them: the fixtures `daemon` and `shared_daemon`."""

    def __init__(self, new_directory):
        self.new_directory = new_directory
        self.daemons = []

    def __call__(self, ini, files={}, args=[], env={}, before=[]):
        directory = self.new_directory()
        if ini is not None:
            write_files(directory, {"server.ini": ini})
        write_files(directory, files)
        daemon = Daemon(directory, [*before, *server_args(directory, ini, args)], server_env(env))
        self.daemons.append(daemon)
        return daemon

    def end(self):
        errors = []
        for daemon in self.daemons:
            try:
                daemon.end()
            except AssertionError as error:
                errors.append(f"{error}\n{daemon.log}")
        assert not errors, "\n".join(errors)


@pytest.fixture
def daemon(tmp_path_factory):
    """daemon(ini_text, files={}, args=[], env={}, before=[]) -> Daemon, for one test. before: words before the command.
    """
    starter = Starter(lambda: tmp_path_factory.mktemp("daemon"))
    yield starter
    starter.end()


@pytest.fixture
def start_workers(daemon):
    """start_workers(app, workers=2, extra="") -> Daemon whose workers are ready. app is the source of a WSGI function
    of that name, extra are lines for [server]."""
    def run(app, workers=2, extra=""):
        server = daemon(f"[server]\nworkers = {workers}\n{extra}\n[wsgi /]\napp = app:app\n", {"app.py": app})
        server.wait_log("#0 all workers are ready")
        return server
    return run


@pytest.fixture
def open_folder():
    """A folder that everybody may use; those of pytest are root's alone."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield pathlib.Path(name)


@pytest.fixture(scope="module")
def shared_daemon(tmp_path_factory):
    """The same, for all tests of a file."""
    starter = Starter(lambda: tmp_path_factory.mktemp("daemon"))
    yield starter
    starter.end()


@pytest.fixture
def run_server(tmp_path):
    """run_server(args, ini=None, files={}, env={}) -> CompletedProcess, for commands that exit on their own. With an
    ini text, `-c` and a free port are added as for daemon()."""
    def run(args=[], ini=None, files={}, env={}, timeout=TIMEOUT):
        write_files(tmp_path, files)
        if ini is not None:
            write_files(tmp_path, {"server.ini": ini})
        return subprocess.run(server_args(tmp_path, ini, args), cwd=tmp_path, env=server_env(env), text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
    return run


@pytest.fixture(autouse=True)
def time_limit(request):
    """A test that hangs fails."""
    def expired(signum, frame):
        raise AssertionError(f"the test took longer than {seconds} s")

    marker = request.node.get_closest_marker("limit")
    seconds = (marker.args[0] if marker else 60) * (4 if SANITIZED else 1)
    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@functools.lru_cache(None)
def host_has(module):
    """Whether the Python in which the server runs can import a module."""
    find = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([BUILD / "syncless-python", "-c", find], timeout=TIMEOUT).returncode == 0


@pytest.fixture(autouse=True)
def needed_modules(request):
    for marker in request.node.iter_markers("needs"):
        if not host_has(marker.args[0]):
            pytest.skip(f"this CPython has no {marker.args[0]}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Add the logs of the test's daemons to the report of a failure."""
    report = (yield).get_result()
    if report.failed:
        for value in item.funcargs.values():
            started = value.daemons if isinstance(value, Starter) else [value] if isinstance(value, Daemon) else []
            for daemon in started:
                report.sections.append((f"log of {' '.join(daemon.command)}", daemon.log[-20000:]))


# ---- modules in C, compiled for the tests ----

MODULES = {  # file: (source, flags)
    "probe": ("probe", []),
    "guard": ("guard", []),
    "both": ("guard", ["-DGUARD_HANDLE"]),
    "older": ("older", []),
    "newer": ("newer", []),
    "next_minor": ("broken", ["-DMODULE_ABI=SL_ABI + (1 << 16)"]),
    "next_major": ("broken", ["-DMODULE_ABI=SL_ABI + (1 << 24)"]),
    "no_abi": ("broken", ["-DMODULE_ABI=0"]),
    "empty": ("broken", ["-DHANDLE=NULL"]),
    "wrong_abi": ("broken", ["-DMODULE_ABI=3"]),
    "not_loadable": ("broken", ["-DSTART_RESULT=-ENOEXEC"]),
    "not_startable": ("broken", ["-DSTART_RESULT=-EIO"]),
    "crashes": ("broken", ["-DSTART_RESULT=-ECHILD"]),
    "no_symbol": ("broken", ["-Dsl_module=other"]),
}


def compile_module(source, path, flags=[], compiler=["cc", "-std=gnu11"]):
    """Make the module at path from a source file, as a user would."""
    command = [*compiler, "-Wall", "-Werror", "-O1", "-g", "-fPIC", "-shared", "-D_GNU_SOURCE", *flags,
               f"-I{ROOT}/include", source, "-o", path]
    subprocess.run(command, check=True)


def preload(path, source):
    """The environment in which a server's libraries find these functions in C before those of libc."""
    path.with_suffix(".c").write_text(source)
    subprocess.run(["cc", "-w", "-shared", "-fPIC", "-o", path, path.with_suffix(".c")], check=True)
    return {"LD_PRELOAD": path, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


@pytest.fixture(scope="session")
def c_modules(tmp_path_factory):
    """A directory for the key module-path: modules compiled from tests/serve/modules, and links to those in build/."""
    folder = tmp_path_factory.mktemp("modules")
    for module in (BUILD / "modules").glob("*.so"):
        (folder / module.name).symlink_to(module.resolve())
    for name, (source, flags) in MODULES.items():
        compile_module(ROOT / f"tests/serve/modules/{source}.c", folder / f"{name}.so", flags)
    (folder / "not_elf.so").write_text("not a shared object\n")
    return folder


@pytest.fixture
def many_files():
    """Raise the limit on open files, for this process and its daemons."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
