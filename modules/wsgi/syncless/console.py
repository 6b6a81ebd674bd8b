"""A prompt inside of a running program, whose coroutines go on while it waits for a line.

    syncless-python -m syncless.console             a prompt in a new process
    syncless-python -m syncless.console PATH        the prompt of a program that has called syncless.backdoor(PATH)

Both have history and completion (Tab).
"""
import code
import contextlib
import contextvars
import io
import json
import os
import rlcompleter
import socket
import sys
from typing import Any, Dict, Optional

import syncless

from .coroutine import spawn
from .unix import peer_uid, remove_stale

HISTORY = os.path.expanduser("~/.syncless_history")
ASK = "\x01"  # a line that begins so asks for completions
BANNER = "Syncless, Python {}. Coroutines run while you type; coroutines() lists them."


# ---- names ----

def ticker(on: bool = True, seconds: float = 0.5) -> None:
    """Print a dot every half a second from a coroutine, or no more: to see that it goes on."""
    global _ticker
    if _ticker is not None and _ticker.alive:
        _ticker.kill()
    _ticker = spawn(_tick, seconds) if on else None


_ticker = None


def _tick(seconds):
    while True:
        syncless.sleep(seconds)
        sys.stdout.write(".")
        sys.stdout.flush()


def _names(more):
    names = {name: getattr(syncless, name) for name in syncless.__all__}
    return {"__name__": "__console__", "syncless": syncless, "ticker": ticker, **names, **(more or {})}


# ---- the terminal's ----

def _use_readline(complete):
    """History and completion, if this Python has readline. Returns what is to be called at the end."""
    try:
        import readline
    except ImportError:
        return lambda: None
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
    with contextlib.suppress(OSError):
        readline.read_history_file(HISTORY)

    def save():
        with contextlib.suppress(OSError):
            readline.write_history_file(HISTORY)
    return save


def interact(names: Optional[Dict[str, Any]] = None) -> None:
    """A prompt on the terminal, with these names and all of syncless, until the end of input."""
    space = _names(names)
    save = _use_readline(rlcompleter.Completer(space).complete)
    try:
        code.interact(BANNER.format(sys.version.split()[0]), local=space, exitmsg="")
    finally:
        save()


# ---- the backdoor's server ----

_output = contextvars.ContextVar("output")  # the session's, also in what it spawns


class _Stdout(io.TextIOBase):
    """sys.stdout while there are sessions: what they print goes to them."""

    def __init__(self, original):
        self.original = original

    def write(self, text):
        try:
            return _output.get(self.original).write(text)
        except (OSError, ValueError):  # that client is gone
            return len(text)

    def flush(self):
        with contextlib.suppress(OSError, ValueError):
            _output.get(self.original).flush()

    def __getattr__(self, name):
        return getattr(self.original, name)


class _Session(code.InteractiveConsole):
    def __init__(self, sock, names):
        super().__init__(_names(names))
        self.input = sock.makefile("r", encoding="utf-8", errors="replace")
        self.output = sock.makefile("w", encoding="utf-8", errors="backslashreplace")
        self.completer = rlcompleter.Completer(self.locals)

    def raw_input(self, prompt=""):
        self.write(prompt)
        while line := self.input.readline():
            if not line.startswith(ASK):
                return line.rstrip("\r\n")
            self.write(json.dumps(self.matches(line[1:].rstrip("\n"))) + "\n")
        raise EOFError

    def matches(self, text):
        found = []
        while (match := self.completer.complete(text, len(found))) is not None:
            found.append(match)
        return found

    def write(self, data):
        self.output.write(data)
        self.output.flush()

    def runcode(self, program):
        try:
            super().runcode(program)
        except SystemExit:  # ends the session, not the program
            raise EOFError from None

    def run(self):
        _output.set(self.output)
        with contextlib.suppress(OSError, EOFError):
            self.interact(BANNER.format(sys.version.split()[0]), exitmsg="")


class Backdoor:
    """What backdoor() returns. path: of its socket."""

    def __init__(self, path, names):
        remove_stale(path)
        self.path, self.names = path, names
        self.listener = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o177)
        try:
            self.listener.bind(path)
        except OSError as error:
            self.listener.close()
            raise OSError(error.errno, f"no backdoor at {path}: {os.strerror(error.errno)}") from None
        finally:
            os.umask(mask)
        self.listener.listen()
        if not isinstance(sys.stdout, _Stdout):
            sys.stdout = _Stdout(sys.stdout)
        self.acceptor = spawn(self._accept)
        self.acceptor.name = f"backdoor {path}"

    def _accept(self):
        while True:
            sock, _ = self.listener.accept()
            if peer_uid(sock) in (0, os.geteuid()):
                spawn(self._serve, sock).name = "backdoor session"
            else:
                sock.close()

    def _serve(self, sock):
        with sock:
            try:
                _Session(sock, self.names).run()
            finally:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)  # what it spawned may still hold its files

    def close(self) -> None:
        """Nobody comes in any more; sessions go on."""
        if self.acceptor.alive:
            self.acceptor.kill()
        self.listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def backdoor(path: str, names: Optional[Dict[str, Any]] = None) -> Backdoor:
    """Serve the prompt on a Unix socket, to this user and root only: `syncless-python -m syncless.console PATH`, or
    `socat - UNIX:PATH`. names: more that it finds, {"app": app}. OSError if the socket cannot be made.

    What a session prints goes to it alone, also from coroutines that it spawns. On a coroutine, or before there are any.
    """
    return Backdoor(path, names)


# ---- the backdoor's client ----

class _Client:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.found = []

    def read_prompt(self):
        """Print what comes up to a prompt, and return that; None at the end."""
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

    def complete(self, text, state):
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

    def run(self):
        while (prompt := self.read_prompt()) is not None:
            try:
                line = input(prompt)
            except EOFError:
                print()
                return
            self.sock.sendall(line.encode() + b"\n")


def _connect(path):
    client = _Client(path)
    save = _use_readline(client.complete)
    try:
        client.run()
    finally:
        save()


def _main(arguments):
    if len(arguments) > 1:
        sys.exit("usage: syncless-python -m syncless.console [PATH of a backdoor]")
    if not arguments:
        return interact()
    try:
        _connect(arguments[0])
    except OSError as error:
        sys.exit(f"no backdoor answers at {arguments[0]}: {error.strerror}")


if __name__ == "__main__":
    _main(sys.argv[1:])
