"""syncless-ctl top, on a pseudo-terminal."""
import fcntl
import os
import pathlib
import re
import select
import signal
import struct
import subprocess
import termios
import time
import urllib.parse

import pytest

from conftest import BUILD, TIMEOUT, wait_until

CTL = BUILD / "syncless-ctl"
WAITS = (pathlib.Path(__file__).parent / "waits.py").read_text()
INI = "[server]\nworkers = 2\ncontrol = s.ctl\nshutdown-timeout = 100ms\n[wsgi /]\napp = waits:app\n"


class Terminal:
    """A program that has a terminal of its own."""

    def __init__(self, *command, rows=30, columns=100, **env):
        self.ours, self._theirs = os.openpty()
        self.resize(rows, columns, tell=False)
        self.before = termios.tcgetattr(self._theirs)
        self.output = b""
        self.process = subprocess.Popen(command, stdin=self._theirs, stdout=self._theirs, stderr=self._theirs,
                                        env={**os.environ, "TERM": "xterm", **env}, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, rows, columns, tell=True):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            os.kill(self.process.pid, signal.SIGWINCH)

    def read(self, seconds=0.05):
        while select.select([self.ours], [], [], seconds)[0]:
            self.output += os.read(self.ours, 65536)
            seconds = 0
        return self.output.decode("latin-1")

    def lines(self):
        """The last picture that is whole."""
        pictures = re.findall(r"\x1b\[H((?:(?!\x1b\[H).)*)\x1b\[J", self.read(), re.S)
        return re.sub(r"\x1b\[[0-9]*[mK]", "", pictures[-1] if pictures else "").split("\r\n")

    def wait_for(self, regex):
        return wait_until(lambda: re.search(regex, "\n".join(self.lines())))

    def press(self, key):
        os.write(self.ours, key.encode())

    def settled(self):
        """Wait for its end: whether the terminal is as it was."""
        wait_until(lambda: self.read() and self.process.poll() is not None)
        return (termios.tcgetattr(self._theirs) == self.before and
                self.output.rstrip().endswith(b"\x1b[m\x1b[?25h\x1b[?1049l") and b"\x1b[?1049h" in self.output)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(TIMEOUT)
        os.close(self.ours)
        os.close(self._theirs)


@pytest.fixture
def top(daemon):
    opened = []

    def start(**options):
        server = daemon(INI, {"waits.py": WAITS})
        server.wait_log("#0 all workers are ready")
        server.begin = lambda target: opened.append(begin(server, target))
        terminal = Terminal(CTL, "-s", server.dir / "s.ctl", "top", **options)
        opened.append(terminal)
        return server, terminal

    def begin(server, target):
        sock = server.connect()
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return sock
    yield start
    for one in opened:
        one.close()


def test_it_shows_what_runs(top):
    server, terminal = top()
    server.begin("/lock?30&old")
    terminal.wait_for(r"GET /lock\?30&old")
    server.begin("/sleep?30&new")
    terminal.wait_for(r"/lock\?30&old[\s\S]*/sleep\?30&new")  # the older one first, as soon as workers answer in time
    lines = terminal.lines()
    assert re.match(rf"syncless  master {server.pid}  serving  for ", lines[0])
    assert sum(bool(re.match(r" +\d +\d+  serving ", line)) for line in lines) == 2
    old, new = (next(i for i, line in enumerate(lines) if name in line) for name in ("&old", "&new"))
    assert re.search(r"  lock 0x\w+ +GET /lock", lines[old]) and re.search("  sleep  ", lines[new])
    terminal.wait_for(r"requests  \d+\.\d/s")
    for _ in range(20):
        server.get("/sleep?0")
    terminal.wait_for(r"requests  [1-9]\d*\.\d/s")
    terminal.press("q")
    assert terminal.settled() and terminal.process.returncode == 0


def test_keys_and_size(top):
    server, terminal = top()
    terminal.wait_for("REQUEST, BY age")
    terminal.press("s")
    terminal.wait_for("REQUEST, BY cpu")
    terminal.press("p")
    terminal.wait_for("PAUSED")
    server.begin("/sleep?30&" + "x" * 300)
    terminal.resize(12, 40)
    wait_until(lambda: max(map(len, terminal.lines())) <= 40 and len(terminal.lines()) <= 12)
    time.sleep(1.2)  # longer than a tick: nothing new is shown
    assert "GET /sleep" not in "".join(terminal.lines())
    terminal.press(" ")
    terminal.resize(24, 200)
    terminal.wait_for(r"GET /sleep\?30&xxx")
    assert max(map(len, terminal.lines())) <= 200
    os.kill(terminal.process.pid, signal.SIGTERM)
    assert terminal.settled()


def test_what_clients_send_does_not_control_the_terminal(top, tmp_path):
    import socket
    server, terminal = top(columns=200)
    path = tmp_path / "a\x1b[2J\x7f\u009bb"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        server.begin("/unix?" + urllib.parse.quote(str(path)))
        terminal.wait_for(r"a\?\[2J\?+b")
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\xff]", terminal.read())
    assert b"\x1b[2J" not in terminal.output
    terminal.press("\x03")
    assert terminal.settled()


def test_it_goes_on_with_the_next_server(top):
    server, terminal = top()
    terminal.wait_for("REQUEST, BY age")
    server.stop()
    terminal.wait_for("asking again every second")
    assert "serving" in "".join(terminal.lines())  # what was known last
    again = subprocess.Popen(server.command, cwd=server.dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        terminal.wait_for(rf"^syncless  master {again.pid} ")
    finally:
        again.terminate()
        again.wait(TIMEOUT)
    terminal.press("q")
    assert terminal.settled()


def test_a_stopped_top_gives_the_terminal_back(top):
    server, terminal = top()
    terminal.wait_for("REQUEST, BY age")
    terminal.press("\x1a")
    wait_until(lambda: terminal.read().endswith("\x1b[m\x1b[?25h\x1b[?1049l"))
    size = len(terminal.output)
    os.kill(terminal.process.pid, signal.SIGCONT)
    wait_until(lambda: "REQUEST, BY age" in terminal.read()[size:])
    terminal.press("q")
    assert terminal.settled()


def test_without_a_terminal(top):
    server, terminal = top()
    command = [CTL, "-s", server.dir / "s.ctl", "top"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT)
    assert (result.returncode, result.stdout) == (64, "") and "top needs a terminal" in result.stderr
    dumb = Terminal(*command, TERM="dumb")
    try:
        wait_until(lambda: dumb.process.poll() is not None)
        assert dumb.process.returncode == 64 and "$TERM is dumb" in dumb.read() and "\x1b" not in dumb.read()
    finally:
        dumb.close()
    gone = subprocess.run([CTL, "-s", "/nowhere", "top"], capture_output=True, text=True, timeout=TIMEOUT)
    assert gone.returncode == 69 and "cannot connect to /nowhere" in gone.stderr
    terminal.press("q")
    assert terminal.settled()
