"""The prompt, on a terminal and through a backdoor, while coroutines go on."""
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from conftest import server_env
from scripts import PYTHON, TIMEOUT, run_python, script


class Terminal:
    """A program on a pseudo terminal."""

    def __init__(self, *arguments, home):
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self.fd, child = pty.openpty()
        self.process = subprocess.Popen([PYTHON, *arguments], stdin=child, stdout=child, stderr=child, close_fds=True,
                                        env={**env, "HOME": str(home), "TERM": "dumb", "INPUTRC": "/dev/null"})
        os.close(child)
        self.output = ""

    def _read(self, pattern):
        try:
            return os.read(self.fd, 4096).decode(errors="replace")
        except OSError:  # EIO: nobody has the other end
            raise AssertionError(f"the program ended without {pattern!r}:\n{self.output}") from None

    def wait_for(self, pattern):
        deadline = time.monotonic() + TIMEOUT
        while not (match := re.search(pattern, self.output)):
            ready = select.select([self.fd], [], [], max(deadline - time.monotonic(), 0))[0]
            assert ready, f"no {pattern!r} in:\n{self.output}"
            self.output += self._read(pattern)
        self.output = self.output[match.end():]
        return match

    def type(self, text):
        os.write(self.fd, text.encode())

    def finish(self):
        """Return the exit code. Until then read its output, since a program waits until its terminal has taken it."""
        while select.select([self.fd], [], [], 0.02)[0] or self.process.poll() is None:
            try:
                os.read(self.fd, 4096)
            except OSError:  # closed
                break
        return self.process.wait(TIMEOUT)

    def end(self):
        self.process.kill()
        self.process.wait()
        os.close(self.fd)


@pytest.fixture
def terminal(tmp_path):
    running = []

    def start(*arguments):
        running.append(Terminal(*arguments, home=tmp_path))
        return running[-1]

    yield start
    for one in running:
        one.end()


def test_prompt(terminal, tmp_path):
    """Dots come while nobody types; Tab completes; history outlives the session; an error ends nothing."""
    one = terminal("-m", "syncless.console")
    one.wait_for(">>> ")
    one.type("ticker(True, 0.02)\n")
    one.wait_for(r"\.{5}")
    one.type("ticker(False)\n")
    one.wait_for(">>> ")
    one.type("syncless.recei\t0, Channel(), 4711)\n")
    one.wait_for(r"syncless\.receive_with_timeout\(0, Channel\(\), 4711\)\s+4711\s+>>> ")
    one.type("1 / 0\n")
    one.wait_for(r"ZeroDivisionError.*\s+>>> ")
    one.type("spawn(lambda: 6 * 7).get()\n")
    one.wait_for(r"42\s+>>> ")
    one.type("\x04")
    assert one.finish() == 0
    assert "spawn(lambda: 6 * 7).get()" in (tmp_path / ".syncless_history").read_text()


HOST = """
import os, sys, time
import syncless
value = ["of the program"]
door = syncless.backdoor(sys.argv[1], {"value": value})
print("ready", oct(os.stat(sys.argv[1]).st_mode), flush=True)
while len(value) < 3:
    time.sleep(0.01)
print("value", value, flush=True)
door.close()
print(os.path.exists(sys.argv[1]))
"""


@pytest.fixture
def host(tmp_path):
    path = str(tmp_path / "door")
    process = subprocess.Popen([PYTHON, "-c", HOST, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready 0o140600\n"
    yield process, path
    process.kill()
    process.wait()
    process.stdout.close()


def test_backdoor(terminal, host):
    process, path = host
    one, two = terminal("-m", "syncless.console", path), terminal("-m", "syncless.console", path)
    for session in one, two:
        session.wait_for(">>> ")
    one.type("value.appe\t\n")
    one.wait_for(r"value\.append\(")
    one.wait_for(r"\.\.\. ")
    one.type("'one')\n")
    one.wait_for(">>> ")
    two.type("print(value)\n")
    two.wait_for(r"\['of the program', 'one'\]")
    two.type("_ = spawn(print, 'from a coroutine of two')\n")
    two.wait_for("from a coroutine of two")
    two.type("for n in range(2):\n    n\n\n")
    two.wait_for(r"0\s+1\s")
    two.type("1 / 0\n")
    two.wait_for(r"ZeroDivisionError.*\s+>>> ")
    two.type("raise SystemExit\n")
    assert two.finish() == 0
    one.type("value.append('end')\n")
    assert process.communicate(timeout=TIMEOUT)[0] == "value ['of the program', 'one', 'end']\nFalse\n"


def test_peer_of_another_user_is_refused(script, tmp_path):
    out = script("""
        import syncless.console
        path = sys.argv[1]
        door = backdoor(path)
        syncless.console.peer_uid = lambda sock: 4711
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        print(client.recv(100))
        try:
            backdoor(path)
        except OSError as error:
            print(error.errno)
        """, str(tmp_path / "door"))
    assert out == ("b''\n98\n" if os.geteuid() != 4711 else out)


DOOR_APP = """
import syncless
state = ["of the worker"]
def application(environ, start_response):
    start_response("200 OK", [])
    return [repr(state).encode()]
"""


@pytest.mark.parametrize("extra", ["", "preload = true\n"])
def test_console_in_a_worker(terminal, daemon, extra):
    """By its pid, with no code in the application; and once more, when it is open."""
    server = daemon(f"[server]\n{extra}[wsgi /]\napp = app\n", {"app.py": DOOR_APP})
    server.wait_log("worker 1 is ready")
    worker = str(max(server.worker_pids()))
    for word in "one", "two":
        one = terminal("-m", "syncless.console", worker)
        one.wait_for(">>> ")
        one.type(f"import app; app.state.append('{word}')\n")
        one.wait_for(">>> ")
        assert word.encode() in server.get("/")[2]
        one.type("print(app.state)\n")
        one.wait_for(rf"'{word}'\]\s+>>> ")
        one.type("\x04")
        assert one.finish() == 0
    assert server.log.count("a console was opened in this process") == 1


def test_console_from_the_start(terminal, daemon, script):
    """By a key of the server, and by a variable of syncless-python; without the signal."""
    server = daemon("[wsgi /]\napp = app\nconsole = yes\n", {"app.py": DOOR_APP})
    server.wait_log("worker 1 is ready")
    one = terminal("-m", "syncless.console", str(server.worker_pids()[0]))
    one.wait_for(">>> ")
    one.type("\x04")
    assert one.finish() == 0 and "a console was opened" not in server.log
    program = "import os, sys, time; where = 'the program'; print(os.getpid(), flush=True); sys.stdin.read()"
    with subprocess.Popen([PYTHON, "-c", program], env=server_env({"SYNCLESS_CONSOLE": "1"}), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        two = terminal("-m", "syncless.console", process.stdout.readline().strip())
        two.wait_for(">>> ")
        two.type("import __main__; __main__.where\n")
        two.wait_for(r"'the program'\s+>>> ")
        two.type("\x04")
        assert two.finish() == 0
        process.stdin.close()
    assert process.returncode == 0


def test_console_names_the_workers_of_a_master(daemon):
    server = daemon("[server]\nworkers = 2\n[wsgi /]\napp = app\n", {"app.py": DOOR_APP})
    server.wait_log("#0 all workers are ready")
    error = run_python("-m", "syncless.console", str(server.pid)).stderr
    assert "it is no worker with Python; its workers are " in error
    assert all(str(pid) in error for pid in server.worker_pids())


def test_console_signal_ends_no_worker(daemon):
    server = daemon("[hello /]\n")
    server.wait_log("worker 1 is ready")
    worker, = server.worker_pids()
    os.kill(worker, signal.SIGRTMIN + 2)
    assert server.get("/")[0] == 200 and server.worker_pids() == [worker]


def test_no_backdoor(tmp_path):
    done = run_python("-m", "syncless.console", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"cannot connect to the backdoor {tmp_path}/none: No such file or directory\n"
