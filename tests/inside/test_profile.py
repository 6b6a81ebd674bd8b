"""syncless-ctl profile: where the time goes, on the CPU and in waits, over all coroutines of all workers."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import xml.etree.ElementTree

import pytest

from conftest import BUILD, TIMEOUT, wait_until

CTL = BUILD / "syncless-ctl"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
APP = """
import hashlib, os, re, socket, threading, time
lock = threading.Lock()
lock.acquire()

def busy(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass

def major():
    busy(0.03)

def minor():
    busy(0.02)

def split(query):
    major()
    minor()
    time.sleep(0.05)

def hog(query):
    re.match('(a+)+$', 'a' * int(query) + 'b')

def hash(query):
    hashlib.pbkdf2_hmac('sha1', b'p', b's', int(query))

def sleep(query):
    time.sleep(float(query))

def wait_for_lock(query):
    lock.acquire(timeout=float(query))

def ask(query):
    socket.create_connection(('127.0.0.1', int(query))).recv(1)

def nothing(query):
    pass

def app(environ, start_response):
    globals()[environ['PATH_INFO'].strip('/')](environ['QUERY_STRING'])
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
"""


class Profiled:
    """A server, with requests that are sent to it, one after the other."""

    def __init__(self, server):
        self.server = server
        self.threads, self.ends = [], False
        self.connections = []

    def repeat(self, path):
        def run():
            while not self.ends:
                try:
                    self.server.get(path)
                except OSError:  # its worker was killed
                    pass
        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def begin(self, path):
        self.connections.append(self.server.connect())
        self.connections[-1].sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def command(self, *args):
        return [CTL, "-s", self.server.dir / "s.ctl", "profile", *args]

    def run(self, *args):
        return subprocess.run(self.command(*args), capture_output=True, text=True, timeout=3 * TIMEOUT)

    def stacks(self, *args):
        """Microseconds by stack, a tuple of names."""
        result = self.run(*args)
        assert result.returncode == 0, result
        lines = [line.rpartition(" ") for line in result.stdout.splitlines()]
        return {tuple(stack.split(";")): int(time) for stack, _, time in lines}

    def ask(self, line):
        """The answer to a line on the socket."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(TIMEOUT)
            sock.connect(str(self.server.dir / "s.ctl"))
            sock.sendall(line.encode() + b"\n")
            answer = b""
            while chunk := sock.recv(65536):
                answer += chunk
            return answer.decode()

    def close(self):
        self.ends = True
        for connection in self.connections:
            connection.close()
        for thread in self.threads:
            thread.join(TIMEOUT)


@pytest.fixture
def profiled(daemon):
    started = []

    def start(workers=1, more="", server="", limits=""):
        running = daemon(f"[server]\nworkers = {workers}\ncontrol = s.ctl\nshutdown-timeout = 100ms\n{server}\n"
                         f"[limits]\n{limits}\n"
                         f"[wsgi /]\napp = profiled:app\n{more}", {"profiled.py": APP})
        running.wait_log("#0 all workers are ready")
        started.append(Profiled(running))
        return started[-1]
    yield start
    for one in started:
        one.close()


def time_of(stacks, kind, function=""):
    """The time of all stacks of this kind with this function."""
    return sum(time for stack, time in stacks.items()
               if stack[0].startswith(kind) and any(name.startswith(function) for name in stack))


def test_a_known_split(profiled):
    """30 ms in one function, 20 in another, and a wait; by CPU time, so that it holds on a busy machine."""
    server = profiled()
    server.repeat("/split")
    stacks = server.stacks("-s", "2", "--rate", "400")
    major, minor = time_of(stacks, "on CPU", "major "), time_of(stacks, "on CPU", "minor ")
    assert major / (major + minor) == pytest.approx(0.6, abs=0.1), stacks
    assert major + minor > 0.8 * time_of(stacks, "on CPU"), stacks
    [stack] = [stack for stack in stacks if "minor (" in "".join(stack) and stack[0] == "on CPU"
               and stack[-1].startswith("busy")][:1]
    assert [re.sub(r"\(.*/", "(", name) for name in stack[1:]] == [
        "app (profiled.py)", "split (profiled.py)", "minor (profiled.py)", "busy (profiled.py)"], stack
    waits = time_of(stacks, "waits: sleep", "split ")
    assert waits == pytest.approx(major + minor, rel=0.5), stacks


def test_waits_by_kind_and_stack(profiled):
    """Of two workers; each waits all the time."""
    server = profiled(workers=2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for path in ("/sleep?60", "/wait_for_lock?60", f"/ask?{port}"):
            for _ in range(10):
                server.begin(path)
        control = [CTL, "-s", server.server.dir / "s.ctl", "requests"]
        wait_until(lambda: subprocess.run(control, capture_output=True, text=True).stdout.count(": waits ") == 30)
        began = time.monotonic()
        stacks = server.stacks("-s", "1")
        seconds = time.monotonic() - began
    for kind, function in (("sleep", "sleep "), ("lock", "wait_for_lock "), ("socket", "ask ")):
        assert 5e6 < time_of(stacks, f"waits: {kind}", function) <= 10e6 * seconds, (kind, stacks)
        assert time_of(stacks, f"waits: {kind}") == time_of(stacks, f"waits: {kind}", function)
    assert [stack[-1] for stack in stacks if stack[0] == "waits: socket"] == [f"127.0.0.1:{port}"]


def test_many_waits(profiled):
    """Not all can be read in this time; the others count too."""
    server = profiled(limits="max-concurrency = 1000")
    for _ in range(400):
        server.begin("/sleep?60")
    for _ in range(200):
        server.begin("/wait_for_lock?60")
    control = [CTL, "-s", server.server.dir / "s.ctl", "requests"]
    wait_until(lambda: subprocess.run(control, capture_output=True, text=True).stdout.count(": waits ") == 600)
    stacks = server.stacks("-s", "1")
    sleep, lock = time_of(stacks, "waits: sleep"), time_of(stacks, "waits: lock")
    assert sleep / lock == pytest.approx(2, rel=0.02) and sleep > 200e6, stacks
    assert time_of(stacks, "waits: sleep", "sleep ") + time_of(stacks, "waits: sleep", "[stack") == sleep, stacks


def test_c_code_that_holds_the_gil_and_that_does_not(profiled):
    server = profiled()
    server.repeat("/hog?20")
    server.repeat("/hash?100000")
    stacks = server.stacks("-s", "2")
    assert time_of(stacks, "on CPU", "hog ") > 0.05e6, stacks
    assert time_of(stacks, "on CPU", "hash ") > 0.05e6, stacks


def test_of_one_prefix(profiled):
    server = profiled()
    for path in ("/sleep?30", "/wait_for_lock?30"):
        server.begin(path)
    server.repeat("/split")
    wait_until(lambda: server.server.get("/nothing"))
    stacks = server.stacks("-s", "1", "--url", "/wait_for")
    assert stacks and {stack[0] for stack in stacks} == {"waits: lock"}, stacks
    result = server.run("-s", "0.2", "--url", "/none")
    assert result.returncode == 0 and not result.stdout and "no samples" in result.stderr, result


def test_every_format(profiled, tmp_path):
    server = profiled()
    server.repeat("/split")

    def write(name, *args):
        result = server.run("-s", "0.6", "-o", tmp_path / name, *args)
        assert result.returncode == 0 and not result.stdout, result
        return (tmp_path / name).read_text()
    collapsed = write("out.txt")
    assert all(re.fullmatch(r"[^;]+(;[^;]+)+ \d+", line) for line in collapsed.splitlines()) and collapsed
    svg = xml.etree.ElementTree.fromstring(write("out.svg"))
    space = "{http://www.w3.org/2000/svg}"
    frames = {group.get("data-n"): float(group.get("data-w")) for group in svg.iter(f"{space}g")}
    assert {"on CPU", "waits: sleep"} <= set(frames) and sum(
        frames[name] for name in frames if name.startswith(("on CPU", "waits:", "ready"))) == pytest.approx(1200, abs=1)
    assert not re.search(r"(src|href)=|url\(", (tmp_path / "out.svg").read_text())
    scope = json.loads(write("out.json"))
    for profile in scope["profiles"]:
        opened = []
        for event in profile["events"]:
            assert 0 <= event["at"] <= profile["endValue"] and event["frame"] < len(scope["shared"]["frames"])
            if event["type"] == "O":
                opened.append(event["frame"])
            else:
                assert opened.pop() == event["frame"]
        assert not opened
    assert any(frame["name"].startswith("split ") for frame in scope["shared"]["frames"])
    events = json.loads(write("out.json", "--format", "perfetto"))["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X"}
    assert any(event["name"].startswith("split ") and event["dur"] > 0 for event in events)


SEARCH_AND_ZOOM = """<script><![CDATA[
window.prompt = () => '^split';
document.getElementById('seek').dispatchEvent(new MouseEvent('click'));
[...document.querySelectorAll('g.f')].find(g => g.getAttribute('data-n') === 'on CPU')
    .dispatchEvent(new MouseEvent('click'));
]]></script></svg>"""


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium")
def test_the_page(profiled, tmp_path):
    """A search says how much of the time it has found, and a click makes a frame as wide as the page."""
    server = profiled()
    server.repeat("/split")
    path = tmp_path / "out.svg"
    assert server.run("-s", "0.6", "-o", path).returncode == 0
    path.write_text(path.read_text().replace("</svg>", SEARCH_AND_ZOOM))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/chromium"]
    done = subprocess.run([*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=60)
    found = re.search(r'id="note">\^split: ([\d.]+) % of the time<', done.stdout)
    assert found and float(found[1]) > 50, done
    width = re.search(r'data-n="on CPU".*?<rect x="([\d.]+)" y="\d+" width="([\d.]+)"', done.stdout)
    assert float(width[1]) == 0 and float(width[2]) == pytest.approx(1200), done.stdout
    assert re.search(r'data-n="waits: sleep" style="display: none;"', done.stdout), done.stdout


@pytest.mark.parametrize("args, code, said", [
    (["-s", "0"], 64, "-s 0: expected 0.1 to 3600 seconds"),
    (["-s", "100000"], 64, "-s 100000: expected 0.1 to 3600 seconds"),
    (["-s", "nan"], 64, "-s nan: expected"),
    (["-s", "x"], 64, "-s x: expected"),
    (["--rate", "0"], 64, "--rate 0: expected 1 to 1000"),
    (["--format", "pdf"], 64, 'there is no format "pdf": expected svg, collapsed, speedscope or perfetto'),
    (["--url", "shop"], 64, "--url shop: expected the beginning of a path"),
    (["--url", "/" + "x" * 300], 64, "of at most 200 bytes"),
    (["now"], 64, "unexpected argument now"),
    (["-o", "/none/out.svg"], 73, "cannot create /none/out.svg: No such file or directory"),
])
def test_a_wrong_command_line(tmp_path, args, code, said):
    """Is told before a server is asked."""
    result = subprocess.run([CTL, "-s", tmp_path / "none.ctl", "profile", *args], capture_output=True, text=True,
                            timeout=TIMEOUT)
    assert result.returncode == code and said in result.stderr and result.stderr.count("\n") == 1, result


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_no_permission(profiled):
    server = profiled()
    os.chmod(server.server.dir, 0o755)
    path = server.server.dir / "s.ctl"
    for parent in list(path.parents)[:-2]:
        if parent.stat().st_uid == 0 and str(parent).startswith("/tmp/pytest"):
            os.chmod(parent, 0o755)
    result = subprocess.run(server.command("-s", "1"), user=65534, group=65534, extra_groups=[], capture_output=True,
                            text=True, timeout=TIMEOUT)
    assert result.returncode == 77 and "no permission to use" in result.stderr, result


@pytest.mark.parametrize("line", ["profile", "profile 1", "profile x 100", "profile 0 100", "profile 1 -1",
                                  "profile 1 100000", "profile 1 1 /a /b /c", "profile 1 1 /" + "x" * 300])
def test_wrong_questions(profiled, line):
    server = profiled()
    assert server.ask(line).startswith("syncless 1 64\n")
    assert server.server.get("/nothing")[0] == 200


def test_ctrl_c_gives_what_there_is(profiled):
    server = profiled()
    server.repeat("/split")
    process = subprocess.Popen(server.command("-s", "60"), stdout=subprocess.PIPE, text=True)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=TIMEOUT)[0]
    assert process.returncode == 0 and "split (" in output, output


def test_two_at_once(profiled):
    """The second one is told; after the first has ended it can."""
    server = profiled()
    assert server.ask("profile 7 100") == "syncless 1 0\n"
    result = server.run("-s", "0.1")
    assert result.returncode == 75 and "somebody else makes a profile" in result.stderr, result
    assert server.ask("profile 7 0").startswith("syncless 1 0\n")
    assert server.run("-s", "0.1").returncode == 0


def test_a_worker_is_replaced_meanwhile(profiled):
    """Nothing else is lost, and the new one takes part."""
    server = profiled(workers=2)
    pid = int(server.server.get("/nothing")[2])
    server.repeat("/split")
    process = subprocess.Popen(server.command("-s", "2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)
    server.server.wait_log(rf"worker \d \(pid {pid}\) was killed by signal 9")
    output, errors = process.communicate(timeout=3 * TIMEOUT)
    assert process.returncode == 0 and "split (" in output, errors


def test_it_ends_by_itself(profiled):
    """If syncless-ctl is killed, its worker has no thread for it after some seconds."""
    server = profiled()
    pid = int(server.server.get("/nothing")[2])
    before = len(os.listdir(f"/proc/{pid}/task"))
    with subprocess.Popen(server.command("-s", "60"), stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: len(os.listdir(f"/proc/{pid}/task")) == before + 1)
        process.kill()
    wait_until(lambda: len(os.listdir(f"/proc/{pid}/task")) == before, 3 * TIMEOUT)
    assert server.run("-s", "0.1").returncode == 0
