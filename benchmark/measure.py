"""Run a server and put load on it.

The main figure is the CPU time of the server's process tree divided by the number of requests answered, which other
work on the machine affects least. The server has one core, the load generator another.
"""
import contextlib
import json
import os
import pathlib
import pwd
import re
import shlex
import signal
import socket
import subprocess
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
APPS = HERE / "apps"
PYTHON = "/usr/bin/python3"  # in which gunicorn and others run, and syncless too
TIMEOUT = 20
TICK = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]


class Failed(Exception):
    """A server or a load generator did not work."""


# ---- processes ----

def pin(core):
    return lambda: os.sched_setaffinity(0, {core})


def stat_fields(pid):
    """/proc/PID/stat, from its third field."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(root):
    """root and its descendants."""
    parents = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents.setdefault(int(stat_fields(path.name)[1]), []).append(int(path.name))
    pids = [root]
    for pid in pids:
        pids += parents.get(pid, [])
    return pids


def cpu_seconds(pids):
    """CPU time of these processes and of their children that have ended."""
    return sum(int(ticks) for pid in pids for ticks in stat_fields(pid)[11:15]) / TICK


def memory(pids, file, key):
    """One line of /proc/PID/status or smaps_rollup, in bytes, summed over the processes."""
    texts = [pathlib.Path(f"/proc/{pid}/{file}").read_text() for pid in pids]
    return sum(int(number) << 10 for text in texts for number in re.findall(rf"^{key}:\s+(\d+) kB", text, re.M))


class Running:
    """A context manager: a server that serves a workload."""

    def __init__(self, server, workload, context):
        self.server, self.workload, self.context = server, workload, context
        self.port = free_port()
        self.dir = context.new_dir()
        self.url = f"http://127.0.0.1:{self.port}{workload.path}"
        self.log = self.dir / "log"

    def command(self):
        config = (APPS / "nginx.conf").read_text()
        user = pwd.getpwuid(os.getuid()).pw_name
        marks = {"@PORT@": self.port, "@DIR@": self.dir, "@ROOT@": self.context.root, "@USER@": user}
        for mark, value in marks.items():
            config = config.replace(mark, str(value))
        (self.dir / "nginx.conf").write_text(config)
        alone = self.context.alone.get(self.workload.name, 0)
        command = self.server.command.format(port=self.port, app=self.workload.app, dir=self.dir, python=PYTHON,
                                             build=self.context.build, alone=alone)
        return shlex.split(command)

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command(), cwd=APPS, env=self.context.env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=pin(SERVER_CORE), start_new_session=True)
        try:
            self.check()
        except BaseException:
            self.__exit__()
            raise
        return self

    def check(self):
        """Wait until the server accepts connections, and check the size of an answer."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log = self.log.read_text(errors="replace")[-2000:]
                    raise Failed(f"the server does not start:\n{log}") from None
                time.sleep(0.02)
        body = b"x" * self.workload.options["body"] if "body" in self.workload.options else None
        with urllib.request.urlopen(self.url, body, timeout=TIMEOUT) as answer:
            size = len(answer.read())
        if size != self.workload.size:
            raise Failed(f"the body has {size} bytes, not {self.workload.size}")

    def __exit__(self, *unused):
        with contextlib.suppress(ProcessLookupError):  # it has ended, and check says why
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session, so these are its descendants only
        self.process.wait()

    @contextlib.contextmanager
    def measured(self):
        """A context manager: a dict, filled at the end with the CPU seconds, peak memory and growth of the block."""
        result = {}
        pids = tree(self.process.pid)
        before, memory_before = cpu_seconds(pids), memory(pids, "status", "VmRSS")
        yield result
        pids = tree(self.process.pid)
        result["cpu_seconds"] = cpu_seconds(pids) - before
        result["rss"] = memory(pids, "status", "VmHWM")
        result["rss_growth"] = result["rss"] - memory_before


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


# ---- loads ----
#
# Each returns requests, seconds, p50 and p99 in milliseconds, errors, and the figures of Running.measured.

def start_load(command):
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, preexec_fn=pin(LOAD_CORE))


def start_wrk(url, seconds, connections, method="GET", depth=1, body=0, close=False):
    return start_load(["wrk", "-t1", "-c", connections, "-d", f"{seconds}s", "--timeout", "10s",
                       "-s", HERE / "load.lua", url, "--", method, depth, body, "close" if close else "keep"])


def end_wrk(process):
    output = process.communicate(timeout=TIMEOUT + 60)[0]
    found = re.search(r"^RESULT (.*)", output, re.M)
    if not found:
        raise Failed("wrk failed:\n" + output)
    result = json.loads(found[1])
    if not result["requests"]:
        raise Failed("no request was answered")
    return result


def wrk(running, seconds, **options):
    end_wrk(start_wrk(running.url, 1, **options))  # warm up: pools, caches, connections to backends
    with running.measured() as result:
        result.update(end_wrk(start_wrk(running.url, seconds, **options)))
    if options.get("depth", 1) > 1:
        result["p50"] = result["p99"] = None  # wrk would give the latency of a batch
    return result


def spread(running, seconds, **options):
    """wrk, and how many times the mean the CPU time of the busiest worker is: 1 is even, 2 is all on one of two."""
    end_wrk(start_wrk(running.url, 1, **options))
    workers = tree(running.process.pid)[1:]
    before = {pid: cpu_seconds([pid]) for pid in workers}
    with running.measured() as result:
        result.update(end_wrk(start_wrk(running.url, seconds, **options)))
    used = [cpu_seconds([pid]) - before[pid] for pid in workers]
    return result | {"busiest": max(used) * len(used) / sum(used)}


def mixed(running, seconds, **options):
    """wrk, beside one more client that requests /sleep."""
    sleeper = start_wrk(running.url.replace("/hello", "/sleep"), seconds + 3, 1)
    try:
        return wrk(running, seconds, **options)
    finally:
        end_wrk(sleeper)


def queries(running, seconds, connections):
    """wrk, and how many queries PostgreSQL executes at once."""
    end_wrk(start_wrk(running.url, 2, connections))
    with running.measured() as result:
        process = start_wrk(running.url, seconds, connections)
        at_once = running.context.postgres.active_queries(seconds - 0.5)
        result.update(end_wrk(process), at_once=at_once)
    return result


def ab(running, seconds, connections):
    command = ["ab", "-q", "-c", connections, "-t", seconds, "-n", 10_000_000, "-s", 10, running.url]
    with running.measured() as result:
        output = start_load(command).communicate(timeout=TIMEOUT + 60)[0]
    patterns = {"requests": r"^Complete requests:\s+(\d+)", "seconds": r"^Time taken for tests:\s+([\d.]+)",
                "errors": r"^Failed requests:\s+(\d+)", "p50": r"^\s+50%\s+(\d+)", "p99": r"^\s+99%\s+(\d+)"}
    found = {name: re.search(pattern, output, re.M) for name, pattern in patterns.items()}
    if not all(found.values()):
        raise Failed("ab failed:\n" + output)
    return result | {name: float(match[1]) for name, match in found.items()}


def sequential(running, seconds):
    """The client of 2010: one request at a time, each on a new connection, for the path that the last answer names."""
    path, times = b"/0", []
    with running.measured() as result:
        begin = at = time.perf_counter()
        while at < begin + seconds:
            with socket.create_connection(("127.0.0.1", running.port), TIMEOUT) as sock:
                sock.sendall(b"GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" % path)
                answer = b"".join(iter(lambda: sock.recv(65536), b""))
            path = re.search(rb'<a href="(/\d+)">', answer)[1]
            now = time.perf_counter()
            times.append((now - at) * 1e3)
            at = now
    times.sort()
    return result | {"requests": len(times), "seconds": at - begin, "errors": 0,
                     "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100]}


class Connections:
    """Connections to a server, which are closed at the end; and the memory that the server needs for each, in bytes."""

    def __init__(self, running):
        self.running, self.socks = running, []

    def open(self, count, path, answered):
        """Open so many, send one request on each, and wait for the answer if it is answered."""
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", self.running.port), TIMEOUT)
            self.socks.append(sock)
            sock.sendall(request)
            answer = b""
            while answered and not (answer.endswith(b"\n") and b"\r\n\r\n" in answer):
                answer += sock.recv(65536)

    def own_memory(self):
        time.sleep(2.5)  # the server releases unused memory once a second
        return memory(tree(self.running.process.pid), "smaps_rollup", "Private_Dirty")

    def close(self):
        for sock in self.socks:
            sock.close()


def memory_each(running, count, path, answered):
    with contextlib.closing(Connections(running)) as connections:
        connections.open(100, path, answered)  # the first ones cost more: pools grow
        before = connections.own_memory()
        with running.measured() as result:
            begin = time.perf_counter()
            connections.open(count, path, answered)
            result.update(requests=count, seconds=time.perf_counter() - begin, p50=None, p99=None, errors=0)
        result["bytes_each"] = (connections.own_memory() - before) / count
    return result


def idle(running, seconds, connections):
    """Connections that have sent one request and stay open."""
    return memory_each(running, connections, running.workload.path, True)


def parked(running, seconds, connections):
    """Requests that are not answered."""
    return memory_each(running, connections, "/parked", False)


def call_in_loop(python, app, env):
    """CPU microseconds of one call of a WSGI application, without a server."""
    done = subprocess.run([python, "loop.py", app, "20000"], cwd=APPS, env=env, check=True, capture_output=True,
                          text=True, preexec_fn=pin(SERVER_CORE))
    return float(done.stdout)
