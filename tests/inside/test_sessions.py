"""syncless-ctl console and debug: over a terminal and over pipes, while other requests go on."""
import fcntl
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
import time

import pytest

from conftest import ROOT, TIMEOUT, compile_module, wait_until
from test_control import CTL, Controlled


@pytest.fixture
def control(daemon):
    one = Controlled(daemon)
    yield one
    one.close()


class Terminal:
    """syncless-ctl on a pseudo terminal, or on pipes."""

    def __init__(self, control, *arguments, on_pty=True):
        command = [CTL, "-s", control.path, *arguments]
        self.output = ""
        if on_pty:
            self.fd, child = pty.openpty()
            self.process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, start_new_session=True,
                                            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
            os.close(child)
            self.input = self.fd
        else:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT)
            self.fd, self.input = self.process.stdout.fileno(), self.process.stdin.fileno()

    def wait_for(self, pattern):
        deadline = time.monotonic() + TIMEOUT
        while not (match := re.search(pattern, self.output)):
            assert select.select([self.fd], [], [], max(deadline - time.monotonic(), 0))[0], (pattern, self.output)
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # EIO: nobody has the other end
                data = b""
            assert data, f"it ended without {pattern!r}:\n{self.output}"
            self.output += data.decode(errors="replace")
        self.output = self.output[match.end():]
        return match

    def type(self, text):
        os.write(self.input, text.encode())

    def ask(self, text, pattern):
        self.type(text + "\n")
        return self.wait_for(pattern)

    def finish(self):
        """The exit code, and what else it has printed."""
        rest = self.output
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            rest += data.decode(errors="replace")
        return self.process.wait(TIMEOUT), rest

    def end(self):
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
            self.process.stdin.close()
        else:
            os.close(self.fd)


@pytest.fixture
def session():
    running = []

    def start(*arguments, **options):
        running.append(Terminal(*arguments, **options))
        return running[-1]
    yield start
    for one in running:
        one.end()


def begin(control, target, doing="waits"):
    """Begin a request, and return its id with the socket that it will be answered on."""
    sock = control.begin(target)
    found = wait_until(lambda: [request["id"] for request in control.requests("requests")
                                if request["target"] == target and (not doing or request["state"] == doing)])
    return found[0], sock


def answer(sock):
    sock.settimeout(TIMEOUT)
    return sock.recv(65536)[:15]


def test_a_prompt_on_a_terminal(control, session):
    control.begin("/sleep?60")
    one = session(control, "console")
    one.wait_for(r"Syncless, Python .*\s+>>> ")
    one.ask("[c.name for c in coroutines() if 'ctl' in c.name]", r"\['session of syncless-ctl'\]\s+>>> ")
    one.ask("print('\\x1b[2J')", r"\?\[2J\s+>>> ")
    one.ask("while True: pass\n", r"\.\.\. ")
    assert control.server.get("/sleep?0")[0] == 200
    one.type("\x03")
    one.wait_for(r"KeyboardInterrupt\s+>>> ")
    one.ask("time = __import__('time'); time.sleep(60)", "sleep")
    one.type("\x03")
    one.wait_for(r"KeyboardInterrupt\s+>>> ")
    one.type("half a line\x03")
    one.wait_for(r"KeyboardInterrupt\s+>>> ")
    one.ask("6 * 7", r"42\s+>>> ")
    one.type("\x04")
    assert one.finish()[0] == 0
    control.server.wait_log("an operator begins a session: console")


def test_a_prompt_over_pipes(control):
    pid = str(control.server.worker_pids()[0])
    lines = "import os\nos.getpid()\nfor i in range(2):\n  print(i * 21)\n\n1/0\nexit()\n"
    result = control.run("console", pid, input=lines)
    assert result.returncode == 0 and result.stderr == "", result
    assert re.search(rf">>> >>> {pid}\n>>> ... ... 0\n21\n>>> Traceback.*\n(.*\n)*ZeroDivision", result.stdout), result
    for arguments, message in ((["1"], "there is no such worker"), (["x"], "expected nothing, or the pid of a worker")):
        result = control.run("console", *arguments, input="")
        assert result.returncode in (1, 64) and message in result.stderr, result
    raw = control.raw(b"console\nprint(6 * 7)\nexit()\n")
    assert raw.startswith("syncless 1 0\n") and "42" in raw


def test_without_python(daemon):
    server = daemon("[server]\ncontrol = s.ctl\n[hello /]\n")
    server.wait_log("#0 all workers are ready")
    for command in (["console"], ["debug", f"{server.worker_pids()[0]}.1"]):
        result = subprocess.run([CTL, "-s", server.dir / "s.ctl", *command], input="", capture_output=True, text=True)
        assert result.returncode == 1 and "Python code" in result.stderr, result


@pytest.mark.parametrize("on_pty", [True, False], ids=["terminal", "pipes"])
def test_debug_a_request_that_waits(control, session, on_pty):
    """It stands still while others go on; at the end it goes on."""
    began = time.monotonic()
    ident, sock = begin(control, "/sleep?1")
    other, _ = begin(control, "/sleep?60")
    one = session(control, "debug", ident, on_pty=on_pty)
    one.wait_for(r"waits.py\(\d+\)wait_for_sleep\(\)\s+-> time.sleep\(float\(query\)\)\s+\(Pdb\) ")
    result = control.run("debug", ident, input="")
    assert result.returncode == 1 and "somebody debugs this request already" in result.stderr, result
    one.ask("w", r"waits.py\(\d+\)app\(\)(.|\n)*\(Pdb\) ")
    one.ask("p query", r"'1'\s+\(Pdb\) ")
    assert control.server.get("/sleep?0")[0] == 200
    time.sleep(max(began + 1.1 - time.monotonic(), 0))
    assert not select.select([sock], [], [], 0)[0]
    one.ask("n", r"--Return--(.|\n)*\(Pdb\) ")
    one.ask("n", r"app\(\)\s+-> start_response(.|\n)*\(Pdb\) ")
    one.ask("p 1 / 0", r"\*\*\* ZeroDivisionError(.|\n)*\(Pdb\) ")
    one.ask("!name = 'changed'", r"\(Pdb\) ")
    one.ask("interact", r"not possible here\s+\(Pdb\) ")
    one.type("q\n")
    code, rest = one.finish()
    assert code == 0 and "the request goes on" in rest
    assert answer(sock) == b"HTTP/1.1 200 OK"
    assert [request["id"] for request in control.requests("requests")] == [other]


def test_debug_a_request_that_computes(control, session):
    """Breakpoints, Ctrl-C while it runs, and at the prompt."""
    ident, sock = begin(control, "/nothing?60", None)
    one = session(control, "debug", ident)
    one.wait_for(r"wait_for_nothing\(\)(.|\n)*\(Pdb\) ")
    one.ask("b app", r"Breakpoint \d+ at .*waits.py:\d+\s+\(Pdb\) ")
    one.ask("c", r"c\r\n")
    time.sleep(0.1)
    one.type("\x03")
    one.wait_for(r"wait_for_nothing\(\)(.|\n)*\(Pdb\) ")
    one.ask("!while True: pass", "pass")
    time.sleep(0.1)
    one.type("\x03")
    one.wait_for(r"KeyboardInterrupt(.|\n)*\(Pdb\) ")
    one.ask("tbreak start_response", r"\*\*\*(.|\n)*\(Pdb\) ")
    one.ask("cl 1", r"\(Pdb\) ")
    one.ask("!end = 0", r"\(Pdb\) ")
    one.type("c\n")
    assert one.finish()[0] == 0
    assert answer(sock) == b"HTTP/1.1 200 OK"


@pytest.fixture
def gate(tmp_path):
    """The path of a FIFO, whose readers wait until a call of the function, which waits for so many of them."""
    path = tmp_path / "gate"
    os.mkfifo(path)

    def release(control, readers=1):
        def wait_for_it():
            kinds = [request.get("wait", {}).get("kind") for request in control.requests("requests")]
            return kinds.count("pipe") == readers
        control.server.wait_until(wait_for_it)
        path.write_text("")
    return path, release


def test_a_client_that_vanishes(control, session, gate):
    """At the prompt, and while the request runs up to a breakpoint."""
    path, release = gate
    ident, sock = begin(control, f"/fifo?{path}")
    one = session(control, "debug", ident, on_pty=False)
    one.wait_for(r"\(Pdb\) ")
    one.process.kill()
    release(control)
    assert answer(sock) == b"HTTP/1.1 200 OK"
    ident, sock = begin(control, f"/fifo?{path}")
    one = session(control, "debug", ident, on_pty=False)
    one.wait_for(r"\(Pdb\) ")
    one.ask("b app", r"\(Pdb\) ")
    one.type("c\n")
    one.process.kill()
    release(control)
    assert answer(sock) == b"HTTP/1.1 200 OK"
    assert control.server.get("/sleep?0")[0] == 200
    assert "[error]" not in control.server.log


def test_the_time_of_a_debugged_request_does_not_run(daemon, session, gate):
    path, release = gate
    control = Controlled(daemon, extra="request-timeout = 1s\n")
    ident, sock = begin(control, f"/fifo?{path}")
    one = session(control, "debug", ident)
    one.wait_for(r"\(Pdb\) ")
    time.sleep(1.2)
    one.ask("p query", r"/gate'\s+\(Pdb\) ")
    one.type("\x04")
    assert one.finish()[0] == 0
    release(control)
    assert answer(sock) == b"HTTP/1.1 200 OK"
    ident, sock = begin(control, "/sleep?30")
    one = session(control, "debug", ident)
    one.wait_for(r"\(Pdb\) ")
    one.type("c\n")
    assert one.finish()[0] == 0 and answer(sock) == b"HTTP/1.1 504 Ga"
    control.close()


def test_the_end_of_a_debugged_request(control, session):
    """It is cancelled, or stepped through to its end, or the server stops."""
    ident, sock = begin(control, "/sleep?30")
    one = session(control, "debug", ident, on_pty=False)
    one.wait_for(r"\(Pdb\) ")
    assert control.run("cancel", ident).returncode == 0
    assert answer(sock) == b"HTTP/1.1 503 Se"
    assert one.finish()[0] == 0
    ident, sock = begin(control, "/sleep?0.8")
    one = session(control, "debug", ident, on_pty=False)
    one.wait_for(r"\(Pdb\) ")
    one.ask("until 2000", "> .*")
    one.type("n\n" * 30)
    code, rest = one.finish()
    assert code == 0 and answer(sock) == b"HTTP/1.1 200 OK"
    ident, sock = begin(control, "/sleep?30")
    one = session(control, "debug", ident, on_pty=False)
    one.wait_for(r"\(Pdb\) ")
    assert control.server.stop(signal.SIGTERM) == 0
    assert one.finish()[0] == 0


LIBRARY = """
#include <errno.h>
#include <sys/socket.h>

int wait_for_byte(int fd)
{
    char byte;
    ssize_t n;

    do
        n = recv(fd, &byte, 1, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : (int)n;
}
"""


def test_a_request_in_c_code(control, session, tmp_path):
    """A wait of a library in C is told, and goes on; the request stops when it is back in Python."""
    (tmp_path / "library.c").write_text(LIBRARY)
    compile_module(tmp_path / "library.c", tmp_path / "library.so")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ident, sock = begin(control, f"/library?{tmp_path}/library.so:{listener.getsockname()[1]}")
        one = session(control, "debug", ident)
        one.wait_for(r"request is in C code(.|\n)*in wait_for_library")
        peer = listener.accept()[0]
        with peer:
            peer.sendall(b"x")
            one.wait_for(r"wait_for_library\(\)(.|\n)*\(Pdb\) ")
            one.ask("n", r"assert result == 1\s+\(Pdb\) ")
            one.ask("p result", r"1\s+\(Pdb\) ")
            one.type("q\n")
        assert one.finish()[0] == 0 and answer(sock) == b"HTTP/1.1 200 OK"


def test_many_sessions_at_once(control, session, gate):
    path, release = gate
    waiting = [begin(control, f"/fifo?{path}&{number}") for number in range(5)]
    sessions = [session(control, "debug", ident, on_pty=False) for ident, _ in waiting]
    for number, one in enumerate(sessions):
        one.wait_for(r"\(Pdb\) ")
        one.ask("up", r"\(Pdb\) ")
        one.ask("p environ['QUERY_STRING']", rf"&{number}'\s+\(Pdb\) ")
    for one in sessions:
        one.type("c\n")
        assert one.finish()[0] == 0
    release(control, 5)
    assert [answer(sock) for _, sock in waiting] == [b"HTTP/1.1 200 OK"] * 5


def test_completion(control):
    ident, _ = begin(control, "/sleep?60")
    script = f"""source {ROOT}/dist/syncless-ctl.bash
        syncless-ctl() {{ {CTL} "$@"; }}
        complete() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _syncless_ctl; echo "${{COMPREPLY[*]}}"; }}
        complete syncless-ctl con; complete syncless-ctl de
        complete syncless-ctl -s {control.path} debug ''; complete syncless-ctl -s {control.path} console ''"""
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert result.stdout.splitlines()[-4:] == ["console", "debug", ident, ident.partition(".")[0]], result
