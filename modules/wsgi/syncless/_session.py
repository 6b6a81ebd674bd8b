"""Sessions that an operator has with a worker by syncless-ctl: a prompt, and a debugger on one request.

The client sends lines, and the byte INTERRUPT for Ctrl-C; what it gets is text. A debugger runs on the coroutine of its
request, which is reached where it waits or computes (Handle.call): so it is pdb as ever, the request stands still while
its prompt is open, and nothing else does. The end of the session, whichever, lets the request go on.
"""
from __future__ import annotations

import bdb
import contextlib
import ctypes
import logging
import pdb
import queue
import socket
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from . import console
from ._inside import _syncless
from .coroutine import spawn

HELLO = "syncless 1 0\n"  # SL_SESSION in C
REFUSAL = "syncless 1 1\n"
INTERRUPT = b"\x03"
MAX_LINE = 1 << 20  # bytes of a line
MAX_LINES = 10000  # that have come and were not read
AGAIN = 0.1  # seconds between two looks whether the request was reached, and still runs
OWN_FILES = (pdb.__file__, bdb.__file__, __file__)


class _Client:
    """The other end: a text file, of which lines are read by a coroutine of its own."""

    def __init__(self, sock: socket.socket, on_interrupt: Callable[[], object]) -> None:
        self.sock, self.on_interrupt = sock, on_interrupt
        self._ended = False  # it sends no more
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()  # its get() is safe against exceptions from outside

    def start(self) -> None:
        self.reader = spawn(self._read)
        self.reader.name = "session of syncless-ctl"

    def _read(self) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while (data := self.sock.recv(65536)) and len(rest) < MAX_LINE and self._lines.qsize() < MAX_LINES:
                if INTERRUPT in data:
                    data, rest = data.rpartition(INTERRUPT)[2], b""
                    self._clear()
                    self.on_interrupt()
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._lines.put(line.decode(errors="replace") + "\n")
        if rest:
            self._lines.put(rest.decode(errors="replace"))
        self._lines.put("")
        self._ended = True

    def _clear(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._lines.get_nowait()

    def is_over(self) -> bool:
        """Whether it has gone, and all that it has sent was read."""
        return self._ended and self._lines.qsize() <= 1

    def readline(self) -> str:
        """The next line; "" at the end."""
        line = self._lines.get()
        if not line:
            self._lines.put("")  # for the next call
        return line

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self.sock.sendall(text.encode(errors="backslashreplace"))
        return len(text)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


# ---- reaching a coroutine ----

def _reach(handle: Any, function: Callable[[FrameType | None], object], wanted: Callable[[], bool], tries: int) -> None:
    """Have the coroutine call the function, if need be by several tries, which are numbered. The first one, and some
    later ones, end a wait; a wait of C code then begins anew, and a second call is for the end of that."""
    if tries % 5 == 0:
        handle.withdraw(function)
        handle.call(function)
        time.sleep(0.01)
    if wanted():
        handle.call(function)


class _Interrupt:
    """Raises KeyboardInterrupt where it is called."""
    done = False

    def __call__(self, frame: FrameType | None) -> None:
        self.done = True
        raise KeyboardInterrupt


def _interrupt(handle: Any) -> None:
    one = _Interrupt()
    for tries in range(100):
        _reach(handle, one, lambda: not one.done, tries)
        if one.done:
            return
        time.sleep(AGAIN)
    handle.withdraw(one)


# ---- the prompt ----

def _serve_console(sock: socket.socket) -> None:
    handle = _syncless.handle()
    client = _Client(sock, lambda: _interrupt(handle))
    console.capture_output()
    client.write(HELLO)
    client.start()
    try:
        console._Session(client, client, None).run()
    finally:
        client.close()


# ---- the debugger ----

def _store_locals(frame: FrameType) -> None:
    """Have assignments to local variables of a frame count: before 3.13 that is so after trace functions only."""
    if sys.version_info < (3, 13):
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), 0)


class _Debugger(pdb.Pdb):
    """Of one request. Its methods run on the coroutine of the request, but for those of the session."""

    def __init__(self, client: _Client) -> None:
        super().__init__(stdin=client, stdout=client, nosigint=True, readrc=False)  # type: ignore[arg-type]
        self.client = client
        self.begun = self.ended = self.asks = False
        self.wanted = True  # the request is to stop
        self.entry = self.enter  # one object, which is queued once

    def enter(self, frame: FrameType | None) -> None:
        """Called where the request is: at first, after Ctrl-C, and when the client has gone."""
        self.wanted = False
        if self.asks:
            raise KeyboardInterrupt
        if self.ended or frame is None:
            return
        if frame.f_code.co_filename in OWN_FILES:  # it is being traced
            self.set_step()
            return
        try:
            self.begin(frame)
        except Exception:  # is no fault of the request's
            logging.getLogger("syncless").exception("the debugger has failed")
            self.detach()

    def stop(self) -> None:
        self.wanted = True

    def is_wanted(self) -> bool:
        """Whether the request is to stop, or its debugger to end."""
        return not self.ended and (self.wanted or (self.client.is_over() and not self.asks))

    def begin(self, frame: FrameType) -> None:
        if not self.begun:
            _syncless.hold(True)
        self.begun = True
        sys.settrace(None)
        self.reset()
        at: FrameType | None = frame
        while at:
            at.f_trace = self.trace_dispatch
            self.botframe = at
            at = at.f_back
        self.set_step()
        self.interaction(frame, None)
        if not self.ended and (self.breaks or self.stopframe is not self.botframe):
            sys.settrace(self.trace_dispatch)

    def interaction(self, frame: Any, *args: Any) -> None:
        if self.client.is_over():
            self.detach()
            return
        self.asks = True
        try:
            super().interaction(frame, *args)
        finally:
            self.asks = False

    def onecmd(self, line: str) -> bool:
        frame = self.curframe
        if frame is not None:
            frame.f_locals  # CPython stores them only after a look at them
        stops = super().onecmd(line)
        if frame is not None:
            _store_locals(frame)
        return stops

    def end(self) -> None:
        self.ended = True
        for handle in [handle for handle, debugger in _debugged.items() if debugger is self]:
            del _debugged[handle]

    def detach(self) -> None:
        """The request goes on, and this is over."""
        self.clear_all_breaks()
        self.set_continue()
        sys.settrace(None)
        self.end()
        _syncless.hold(False)
        self.client.close()

    def do_detach(self, arg: str) -> bool:
        """detach

        End the session; the request goes on. So do quit, exit, q and the end of input (Ctrl-D).
        """
        self.message("the request goes on")
        self.detach()
        return True

    do_quit = do_q = do_exit = do_EOF = do_detach

    def do_continue(self, arg: str) -> bool | None:
        """c(ont(inue))

        Continue, up to a breakpoint; without any, end the session.
        """
        return super().do_continue(arg) if self.breaks else self.do_detach(arg)

    do_c = do_cont = do_continue

    def do_run(self, arg: str) -> None:
        """run

        A request cannot be run again, and there is one prompt only.
        """
        self.error("that is not possible here")

    do_restart = do_interact = do_run

    def _load_breaks(self) -> None:  # those of other sessions are not for this one
        pass


_debugged: dict[Any, _Debugger] = {}  # by the handle of the coroutine


def _find(ident: int) -> Any:
    return next((handle for handle in _syncless.handles() if handle.ident == ident), None)


def _stack(ident: int) -> str:
    frame = sys._current_frames().get(ident)
    return "".join(traceback.format_stack(frame)) if frame else ""


def _follow(handle: Any, client: _Client, debugger: _Debugger, ident: int) -> None:
    """Until the session is over: reach the request, and see whether it still runs."""
    tries = 0
    while not debugger.ended and handle.alive:
        if debugger.is_wanted():
            _reach(handle, debugger.entry, debugger.is_wanted, tries)
            tries += 1
        else:
            tries = 0
        if tries == 4 and not debugger.begun:
            client.write(f"the request is in C code, and stops when that returns to Python:\n{_stack(ident)}")
        time.sleep(AGAIN)
    handle.withdraw(debugger.entry)
    if not handle.alive and not debugger.ended:
        client.write("the request has ended\n")


def _serve_debugger(sock: socket.socket, ident: int) -> None:
    handle = _find(ident)
    if handle is None or handle in _debugged:
        why = "somebody debugs this request already" if handle else "the request has ended"
        sock.sendall(f"{REFUSAL}{why}\n".encode())
        return
    client = _Client(sock, lambda: debugger.stop())
    debugger = _debugged[handle] = _Debugger(client)
    client.write(HELLO)
    client.start()
    try:
        _follow(handle, client, debugger, ident)
    finally:
        debugger.end()
        client.close()


def serve(fd: int, ident: int) -> None:
    """Have a session over a socket; ident is that of the request's thread, or 0 for a prompt."""
    with socket.socket(fileno=fd) as sock:
        sock.setblocking(True)
        if ident:
            _serve_debugger(sock, ident)
        else:
            _serve_console(sock)
