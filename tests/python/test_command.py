"""syncless-python is python3: its command line, its ends, its children, its signals."""
import os
import pty
import select
import signal
import subprocess
import time

import pytest

from scripted import PYTHON, TIMEOUT, python, script


@pytest.fixture(scope="module")
def plain():
    """Return the plain command of the interpreter that it runs in."""
    done = subprocess.run([PYTHON, "-c", "import sys; print(sys._base_executable)"], check=True, text=True,
                          stdout=subprocess.PIPE, timeout=TIMEOUT)
    return done.stdout.strip()


# ---- the command line ----

FACTS = ("import sys; print(sys.version, sys.prefix, sys.path, sys.flags, sys.argv, sys.orig_argv[1:], "
         "sys.warnoptions, sys._xoptions)")


@pytest.mark.parametrize("arguments", [
    ["-c", FACTS], ["-c", FACTS, "-c", "x"], ["-I", "-c", FACTS], ["-S", "-B", "-O", "-c", FACTS],
    ["-X", "dev", "-W", "error", "-c", FACTS], ["-V"], ["-VV"], ["-m", "this"], ["-m", "no.such"], ["-m"],
    ["no-such-file.py"], ["-c", "1/0"], ["-c", "x ="], ["-c", "import sys; sys.exit(3)"], ["--no-such-option"],
    ["-c", "import sys; sys.exit('words')"], ["-c", "raise KeyboardInterrupt"], ["-c", "import os; os.abort()"],
], ids=" ".join)
def test_same_as_python(python, plain, arguments):
    expected = python(*arguments, python=plain)
    done = python(*arguments)
    assert done.stdout == expected.stdout
    assert done.stderr.replace(str(PYTHON), plain) == expected.stderr
    assert done.returncode == expected.returncode


def test_script_from_stdin_and_environment(python):
    done = python("-", "a", input="import sys; print(sys.argv, sys.flags.optimize)", env={"PYTHONOPTIMIZE": "2"})
    assert done.stdout == "['-', 'a'] 2\n"


def test_closed_standard_descriptors_stay_closed(python):
    code = "import os, sys; print(sys.stdin, [n for n in range(3) if os.path.exists(f'/proc/self/fd/{n}')])"
    done = subprocess.run(["/bin/sh", "-c", 'exec "$0" -c "$1" <&-', PYTHON, code], text=True, timeout=TIMEOUT,
                          stdout=subprocess.PIPE)
    assert done.stdout == "None [1, 2]\n"


def test_children_are_syncless_too(script):
    out = script("""
        import subprocess, sys
        print(sys.executable)
        code = "import sys, _syncless; print(sys.executable)"
        subprocess.run([sys.executable, "-c", code], check=True)
        """)
    assert out == f"{PYTHON}\n" * 2


@pytest.mark.parametrize("kind", ["--copies", "--symlinks"])
def test_venv(python, script, tmp_path, kind):
    assert python("-m", "venv", kind, "--without-pip", tmp_path / "v").returncode == 0
    assert python("-c", "import sys; print(sys.prefix)", python=tmp_path / "v/bin/python").stdout == f"{tmp_path}/v\n"
    out = script("import sys, _syncless; print(sys.prefix, sys.prefix != sys.base_prefix)",
                 env={"VIRTUAL_ENV": tmp_path / "v"})
    assert out == f"{tmp_path}/v True\n"


@pytest.mark.parametrize("name", ["x\\0", "syncless\\0", "\\udc80", "\\0"])
def test_names_that_cannot_be_found(python, plain, name):
    program = (f"import importlib.metadata\nfor find in __import__, importlib.metadata.version:\n"
               f"    try: find('{name}')\n    except Exception as error: print(ascii(error))")
    assert python("-c", program).stdout == python("-c", program, python=plain).stdout


def test_finders_have_a_module(script):
    assert "None" not in script("import sys; print([finder.__module__ for finder in sys.meta_path])")


# ---- ends ----

def test_end_does_not_wait_for_coroutines(script):
    out = script("""
        import atexit, time, _syncless
        def tick():
            while True:
                time.sleep(0.0005)
        for _ in range(20):
            _syncless.spawn(tick)
        def at_exit():
            time.sleep(0.02)
            print("at exit")
        atexit.register(at_exit)
        time.sleep(0.01)
        print("end")
        """)
    assert out == "end\nat exit\n"


def test_end_before_a_coroutine_begins(script):
    """It becomes ready while the interpreter is finalizing, where some code waits."""
    out = script("""
        import os, sys, time, _syncless
        class Slow:
            def __del__(self, sleep=time.sleep, write=os.write):
                sleep(0.02)
                write(1, b"deleted\\n")
        sys.slow = Slow()
        _syncless.spawn(print, "never")
        """)
    assert out == "deleted\n"


def test_exit_in_coroutine_ends_it_alone(python):
    done = python("-c", "import sys, time, _syncless; _syncless.spawn(sys.exit, 5); time.sleep(0.05); sys.exit(4)")
    assert (done.returncode, done.stderr) == (4, "")


# ---- forked children ----

def test_forked_child_ends_as_in_python(script):
    out = script("""
        import os, sys, time
        pid = os.fork()
        if pid == 0:
            time.sleep(0.01)
            sys.exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """)
    assert out == "3\n"


def test_forked_child_spawns(script):
    """Coroutines of the child end without ending it; those of the parent are not there."""
    out = script("""
        import os, time, _syncless
        _syncless.spawn(lambda: (time.sleep(0.05), print("in", os.getpid() == parent, flush=True)))
        parent = os.getpid()
        time.sleep(0.01)
        pid = os.fork()
        if pid == 0:
            _syncless.spawn(print, "spawned", flush=True)
            time.sleep(0.2)
            raise SystemExit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """)
    assert sorted(out.splitlines()) == ["3", "in True", "spawned"]


def test_child_forked_by_coroutine(script):
    out = script("""
        import os, threading, _syncless
        done = threading.Semaphore(0)
        def work():
            pid = os.fork()
            if pid == 0:
                print("child", flush=True)
                return
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            done.release()
        _syncless.spawn(work)
        done.acquire()
        """)
    assert out == "child\n0\n"


# ---- signals ----

def test_our_threads_get_no_signals(script, tmp_path):
    """One of them would take a signal for which sigwait waits."""
    out = script("""
        import os, sys, syncless

        def write():
            with open(sys.argv[1], "w") as file:
                os.fsync(file.fileno())

        syncless.spawn(write).join()
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/status") as file:
                if int(task) != os.getpid():
                    print(*[line.split()[1] for line in file if line.startswith("SigBlk")])
        """, tmp_path / "file")
    blocked = [int(line, 16) for line in out.splitlines()]
    assert len(blocked) >= 2 and all(mask >> signal.SIGALRM - 1 & 1 for mask in blocked), out


@pytest.mark.skipif(os.getuid() != 0, reason="only root may call setgroups")
def test_setgroups_reaches_all_threads(script):
    """libc signals its threads for that, and has made the handler with the first one."""
    script("""
        import os, threading, time
        threading.Thread(target=time.sleep, args=(0.2,)).start()
        os.setgroups(os.getgroups())
        """)


def test_keyboard_interrupt_ends_a_blocking_call():
    code = "print('ready', flush=True); import time; time.sleep(60)"
    process = subprocess.Popen([PYTHON, "-c", code], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT)
    assert err.endswith("KeyboardInterrupt\n")
    assert process.returncode == -signal.SIGINT


CALLS = {
    "sleep": "time.sleep(60)",
    "read": "os.read(os.pipe()[0], 1)",
    "recv": "a, b = socket.socketpair(); a.recv(1)",
    "lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "queue": "queue.Queue().get()",
    "select": "select.select([os.pipe()[0]], [], [])",
    "poll": "p = select.poll(); p.register(os.pipe()[0]); p.poll()",
    "epoll": "select.epoll().poll()",
    "pause": "signal.pause()",
    "accept": "socket.create_server(('127.0.0.1', 0)).accept()",
    "child": "subprocess.run(['sleep', '60'])",
    "join": "t = threading.Thread(target=time.sleep, args=(60,), daemon=True); t.start(); t.join()",
    "flock": "a, b = open('f', 'w'), open('f', 'w'); fcntl.flock(a, 2); fcntl.flock(b, 2)",
    "asyncio": "asyncio.run(asyncio.sleep(60))",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_alarm_interrupts(script, call, tmp_path):
    """A handler that raises ends the call; one that returns lets it go on (PEP 475)."""
    out = script(f"""
        import asyncio, fcntl, os, queue, select, signal, socket, subprocess, threading, time
        class Alarm(Exception):
            pass
        count = 0
        def on_alarm(signum, frame):
            global count
            count += 1
            if count == 2:
                signal.setitimer(signal.ITIMER_REAL, 0)
                raise Alarm
        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        try:
            {call}
            {call if call == CALLS["pause"] else ""}
        except Alarm:
            print("ended", count)
        """, cwd=tmp_path)
    assert out == "ended 2\n"


def test_wakeup_fd_and_sigwait(script):
    out = script("""
        import os, signal, socket, threading, time
        a, b = socket.socketpair()
        a.setblocking(False)
        signal.set_wakeup_fd(a.fileno())
        signal.signal(signal.SIGUSR1, lambda *args: None)
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        print(b.recv(1)[0] == signal.SIGUSR1)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR2)).start()
        print(signal.sigwait([signal.SIGUSR2]) == signal.SIGUSR2)
        print(signal.sigtimedwait([signal.SIGUSR2], 0.01))
        """)
    assert out == "True\nTrue\nNone\n"


# ---- the prompt ----

class Prompt:
    """An interactive interpreter on a terminal."""

    def __init__(self, *arguments):
        self.ticked, self.told = os.pipe()
        os.set_inheritable(self.told, True)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(PYTHON, [PYTHON, "-q", *arguments], {**os.environ, "TERM": "dumb", "PYTHON_BASIC_REPL": "1"})
        os.close(self.told)
        self.wait("")

    def wait(self, text):
        """Return what it writes up to text and the next prompt."""
        seen, end = "", time.monotonic() + TIMEOUT
        while text not in seen or not seen.endswith(">>> "):
            assert select.select([self.fd], [], [], end - time.monotonic())[0], seen
            seen += os.read(self.fd, 4096).decode()
        return seen

    def say(self, line, text=""):
        os.write(self.fd, line.encode())
        return self.wait(text)

    def end(self):
        os.write(self.fd, b"\x04")
        while True:
            try:
                os.read(self.fd, 4096)
            except OSError:
                break
        os.close(self.fd)
        os.close(self.ticked)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize("arguments", [["-i"], ["-I", "-S", "-i"]], ids=["readline", "plain"])
def test_prompt_lets_coroutines_run(arguments):
    """Fifty ticks while nothing but the prompt waits; Ctrl-C there, and in a call that blocks."""
    prompt = Prompt(*arguments)
    prompt.say("import os, time, _syncless\n")
    prompt.say("def tick():\n  for _ in range(50): time.sleep(0.001)\n  os.write(%d, b'x')\n\n" % prompt.told)
    prompt.say("_syncless.spawn(tick)\n")
    assert os.read(prompt.ticked, 1) == b"x"
    prompt.say("\x03", "KeyboardInterrupt")
    os.write(prompt.fd, b"os.write(%d, b'y'), time.sleep(60)\n" % prompt.told)
    assert os.read(prompt.ticked, 1) == b"y"
    prompt.say("\x03", "KeyboardInterrupt")
    assert prompt.end() in (0, -signal.SIGINT)  # CPython 3.11 remembers the interrupt
