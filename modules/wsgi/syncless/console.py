"""A prompt inside a running program, whose coroutines go on while it waits for a line.

    syncless-python -m syncless.console             a prompt in a new process
    syncless-python -m syncless.console PATH        the prompt of a program that has called syncless.backdoor(PATH)
    syncless-python -m syncless.console PID         a prompt in a worker of syncless-server, or in a program of
                                                    syncless-python that was started with SYNCLESS_CONSOLE=1

All have history and completion (Tab).
"""
from __future__ import annotations

import code
import contextlib
import contextvars
import errno
import io
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import CodeType
from typing import Any, Protocol

import syncless

from .coroutine import Coroutine, spawn
from .unix import peer_uid, remove_stale

HISTORY = os.path.expanduser("~/.syncless_history")
ASK = "\x01"  # begins a line that asks for completions
BANNER = "Syncless, Python {}. Coroutines run while you type; coroutines() lists them."


# ---- names ----

def ticker(on: bool = True, seconds: float = 0.5) -> None:
    """Print a dot every half a second from a coroutine, to see that it goes on; or stop that."""
    global _ticker
    if _ticker is not None and _ticker.alive:
        _ticker.kill()
    _ticker = spawn(_tick, seconds) if on else None


_ticker: Coroutine[None] | None = None


def _tick(seconds: float) -> None:
    while True:
        syncless.sleep(seconds)
        sys.stdout.write(".")
        sys.stdout.flush()


def _names(more: dict[str, Any] | None) -> dict[str, Any]:
    names = {name: getattr(syncless, name) for name in syncless.__all__}
    return {"__name__": "__console__", "syncless": syncless, "ticker": ticker, **names, **(more or {})}


# ---- on the terminal ----

class _Completer(Protocol):
    def complete(self, text: str, state: int) -> str | None: ...


def _completer(names: dict[str, Any]) -> _Completer:
    import rlcompleter  # which imports readline
    return rlcompleter.Completer(names)


def _use_readline(complete: Callable[[str, int], str | None]) -> Callable[[], None]:
    """Enable history and completion, if this Python has readline. Return a function to be called at the end."""
    try:
        import readline
    except ImportError:
        return lambda: None
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
    with contextlib.suppress(OSError):
        readline.read_history_file(HISTORY)

    def save() -> None:
        with contextlib.suppress(OSError):
            readline.write_history_file(HISTORY)
    return save


def interact(names: dict[str, Any] | None = None) -> None:
    """Run a prompt on the terminal, with these names and those of syncless, until the end of input."""
    space = _names(names)
    save = _use_readline(_completer(space).complete)
    try:
        code.interact(BANNER.format(sys.version.split()[0]), local=space, exitmsg="")
    finally:
        save()


# ---- the server of the backdoor ----

_output: contextvars.ContextVar[Any] = contextvars.ContextVar("output")  # of the session, also in what it spawns


class _Stdout(io.TextIOBase):
    """sys.stdout while there are sessions, so that what a session prints goes to its client."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def write(self, text: str) -> int:
        try:
            return int(_output.get(self.original).write(text))
        except (OSError, ValueError):  # the client is gone
            return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            _output.get(self.original).flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def capture_output() -> None:
    """From now on what sessions print goes to their clients."""
    if not isinstance(sys.stdout, _Stdout):
        sys.stdout = _Stdout(sys.stdout)  # type: ignore[assignment]


class _Session(code.InteractiveConsole):
    """input, output: text files, or what is like them."""

    def __init__(self, input: Any, output: Any, names: dict[str, Any] | None) -> None:
        super().__init__(_names(names))
        self.input, self.output = input, output
        self.completer = _completer(self.locals)  # type: ignore[arg-type]

    def raw_input(self, prompt: str = "") -> str:
        self.write(prompt)
        while line := self.input.readline():
            if not line.startswith(ASK):
                return str(line).rstrip("\r\n")
            self.write(json.dumps(self.matches(line[1:].rstrip("\n"))) + "\n")
        raise EOFError

    def matches(self, text: str) -> list[str]:
        found: list[str] = []
        while (match := self.completer.complete(text, len(found))) is not None:
            found.append(match)
        return found

    def write(self, data: str) -> None:
        self.output.write(data)
        self.output.flush()

    def runcode(self, code: CodeType) -> None:
        try:
            super().runcode(code)
        except SystemExit:  # ends the session, not the program
            raise EOFError from None

    def run(self) -> None:
        _output.set(self.output)
        with contextlib.suppress(OSError, EOFError):
            self.interact(BANNER.format(sys.version.split()[0]), exitmsg="")


class Backdoor:
    """What backdoor() returns.

    path: of its socket.
    """

    def __init__(self, path: str, names: dict[str, Any] | None) -> None:
        if not path.startswith("\0"):
            remove_stale(path)
        self.path, self.names = path, names
        self.listener = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o177)
        try:
            self.listener.bind(path)
        except OSError as error:
            self.listener.close()
            raise OSError(error.errno, f"cannot open a backdoor at {path}: {error.strerror}") from None
        finally:
            os.umask(mask)
        self.listener.listen()
        capture_output()
        self.acceptor = spawn(self._accept)
        self.acceptor.name = f"backdoor {path}"

    def _accept(self) -> None:
        while True:
            sock, _ = self.listener.accept()
            if peer_uid(sock) in (0, os.geteuid()):
                spawn(self._serve, sock).name = "backdoor session"
            else:
                sock.close()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            try:
                _Session(sock.makefile("r", encoding="utf-8", errors="replace"),
                         sock.makefile("w", encoding="utf-8", errors="backslashreplace"), self.names).run()
            finally:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)  # coroutines that it spawned may still have its files

    def close(self) -> None:
        """Accept no more sessions; those that are open go on."""
        if self.acceptor.alive:
            self.acceptor.kill()
        self.listener.close()
        if not self.path.startswith("\0"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)


def backdoor(path: str, names: dict[str, Any] | None = None) -> Backdoor:
    """Serve a prompt on a Unix socket, for this user and root only.

    To connect: `syncless-python -m syncless.console PATH`, or `socat - UNIX:PATH`. names: what the prompt finds besides
    those of syncless, such as {"app": app}. What a session prints goes to its client only, also from coroutines that it
    spawns. OSError if the socket cannot be made. On a coroutine, or before there are any.
    """
    return Backdoor(path, names)


# ---- a backdoor that a signal opens, or the start of the process ----

SIGNAL = signal.SIGRTMIN + 2
WAIT = 10  # seconds for the process to open it

_opened: Backdoor | None = None


def _door(pid: int) -> str:
    """An abstract address, which needs no directory and is seen from a chroot too."""
    return f"\0syncless-console-{pid}"


def _open_once() -> bool:
    """Open the backdoor of this process, if it is not open. In a forked child that of the parent does not count."""
    global _opened
    door = _door(os.getpid())
    if _opened is not None and _opened.path == door:
        return False
    _opened = Backdoor(door, None)
    return True


def open_at_start() -> None:
    _open_once()


def open_by_signal() -> None:
    if _open_once():
        logging.getLogger("syncless").warning("a console was opened in this process, pid %d, by a signal", os.getpid())


def _status(pid: int, name: str) -> str:
    """The first word of a line of /proc/PID/status."""
    with open(f"/proc/{pid}/status") as status:
        return next(line.split()[1] for line in status if line.startswith(name + ":"))


def _command(pid: int) -> str:
    with open(f"/proc/{pid}/cmdline") as command:
        return command.read()


def _takes_signal(pid: int) -> bool:
    """Whether the process handles the signal; another one would be ended by it."""
    try:
        caught = int(_status(pid, "SigCgt"), 16)
        with open(f"/proc/{pid}/maps") as maps:
            ours = "/libsyncless" in maps.read()
    except PermissionError:  # without `dumpable` only root may read it
        ours = "syncless" in _command(pid)
    except (OSError, StopIteration):
        return False
    return bool(caught >> (SIGNAL - 1) & 1) and ours


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]
    return []


def _open_by_sending(pid: int) -> socket.socket:
    if not _takes_signal(pid):
        workers = [str(child) for child in _children(pid) if _takes_signal(child)]
        raise OSError(errno.ESRCH, "it is no worker with Python" +
                      (f"; its workers are {', '.join(workers)}" if workers else ""))
    os.kill(pid, SIGNAL)
    deadline = time.monotonic() + WAIT
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return _connect_path(_door(pid))
        if time.monotonic() > deadline:
            raise OSError(errno.ETIMEDOUT, "it does not open a console")
        time.sleep(0.02)


def _open_door(pid: int) -> socket.socket:
    """Connect, after the signal if the door is closed. OSError if that is not possible."""
    try:
        sock = _connect_path(_door(pid))
    except ConnectionRefusedError:
        sock = _open_by_sending(pid)
    if peer_uid(sock) != int(_status(pid, "Uid")):
        sock.close()
        raise OSError(errno.EPERM, "somebody else listens there")
    return sock


# ---- the client of the backdoor ----

def _connect_path(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


class _Client:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.found: list[str] = []

    def read_prompt(self) -> str | None:
        """Print what comes before a prompt, and return the prompt; None at the end."""
        text = ""
        while not text.endswith((">>> ", "... ")):
            data = self.sock.recv(65536)
            if not data:
                print(text, end="")
                return None
            text += data.decode(errors="replace")
        sys.stdout.write(text[:-4])
        sys.stdout.flush()
        return text[-4:]

    def complete(self, text: str, state: int) -> str | None:
        if state == 0:
            self.sock.sendall(f"{ASK}{text}\n".encode())
            answer = b""
            while not answer.endswith(b"\n"):
                data = self.sock.recv(65536)
                if not data:
                    return None
                answer += data
            self.found = json.loads(answer.rpartition(b"\n[")[2] if b"\n[" in answer else answer)
        return self.found[state] if state < len(self.found) else None

    def run(self) -> None:
        while (prompt := self.read_prompt()) is not None:
            try:
                line = input(prompt)
            except EOFError:
                print()
                return
            self.sock.sendall(line.encode() + b"\n")


def _connect(target: str) -> None:
    client = _Client(_open_door(int(target)) if target.isdigit() else _connect_path(target))
    save = _use_readline(client.complete)
    try:
        client.run()
    finally:
        save()


def _main(arguments: list[str]) -> None:
    if len(arguments) > 1:
        sys.exit("usage: syncless-python -m syncless.console [PATH of a backdoor | PID of a worker]")
    if not arguments:
        interact()
        return
    try:
        _connect(arguments[0])
    except OSError as error:
        sys.exit(f"cannot connect to the backdoor {arguments[0]}: {error.strerror or error}")


if __name__ == "__main__":
    _main(sys.argv[1:])
