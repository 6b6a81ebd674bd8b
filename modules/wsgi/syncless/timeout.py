"""Timeout: limits how long a coroutine waits.

The exception is raised inside the blocking call, by way of EINTR. A library in C that tries again after that gets
ECANCELED, so that its call fails; Timeout then replaces the library's exception by its own.
"""
from __future__ import annotations

import math
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, TypeVar, overload


from ._inside import _syncless
from .clock import Timer, call_later

T = TypeVar("T")
D = TypeVar("D")

_RAISE = object()


def _check(seconds: float) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"a timeout is a number of seconds or None, not {seconds!r}")
    if math.isnan(seconds) or seconds < 0:
        raise ValueError(f"a timeout must not be negative: {seconds}")
    if seconds > threading.TIMEOUT_MAX:
        raise OverflowError(f"a timeout of {seconds} seconds is too long; use None for no timeout")
    return seconds


class Timeout(BaseException):
    """A context manager that limits how long its block waits: then an exception is raised there, once.

        with Timeout(5):
            sock.connect(address)
            data = sock.recv(100)

    seconds: counted from the start of the block; None: no timeout.
    exc: what is raised, an exception or its class; None: this Timeout itself, which `except Exception` does not catch;
    False: the block ends early and nothing leaves it (see `expired`).

    Timeouts nest. A block that does not wait is not ended. TypeError or ValueError if seconds is no length of time,
    OverflowError for more than 292 years; RuntimeError in an OS thread, or if it is entered twice.
    """

    def __init__(self, seconds: float | None,
                 exc: BaseException | type[BaseException] | Literal[False] | None = None) -> None:
        super().__init__(seconds)
        if exc is not None and exc is not False and not _is_exception(exc):
            raise TypeError(f"exc must be an exception, its class, None or False, not {exc!r}")
        self.seconds = None if seconds is None else _check(seconds)
        self.expired = False  # whether the time was over before cancel()
        self._exc = exc
        self._handle: _syncless.Handle | None = None  # of the coroutine, from start() to cancel()
        self._timer: Timer | None = None
        self._raised: BaseException | None = None
        self._failed = False  # it has made a wait of a library in C fail

    def __str__(self) -> str:
        return "no timeout" if self.seconds is None else f"timed out after {self.seconds} s"

    def start(self) -> Timeout:
        """For use without `with`: start it; it lasts until cancel()."""
        if self._handle is not None:
            raise RuntimeError("this Timeout was started already; make one for each block")
        self._handle = _syncless.handle()
        if self._handle is None:
            raise RuntimeError("Timeout works on coroutines only; this is an OS thread (or a forked child)")
        self.expired, self._raised, self._failed = False, None, False
        self._begin()
        return self

    def _begin(self) -> None:
        if self.seconds is not None:
            self._timer = call_later(self.seconds, self._expire)

    def _expire(self) -> None:
        if self._handle is None:  # cancel() was preempted before it stopped the timer
            return
        self._raised = self if self._exc is None or self._exc is False else _make(self._exc)
        self.expired = True
        self._handle.interrupt(self._raised)

    def cancel(self) -> bool:
        """Stop it. Return whether that was in time, so that nothing was raised."""
        handle, self._handle = self._handle, None
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if not self.expired:
            return True
        if handle is None or self._raised is None:
            return False
        self._failed = handle.failed
        return handle.withdraw(self._raised)

    def change(self, seconds: float | None) -> None:
        """Let it expire that many seconds from now instead; None: never.

        RuntimeError if it is not active, or the exception was raised already.
        """
        seconds = None if seconds is None else _check(seconds)
        handle = self._handle
        if handle is None or not self.cancel():
            raise RuntimeError("this Timeout is not active" if handle is None else "this Timeout has expired")
        self._handle, self.seconds, self.expired = handle, seconds, False
        self._begin()

    def __enter__(self) -> Timeout:
        return self.start()

    # The type says None too, or type checkers would assume that any block may end early, not only those of exc=False.
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> bool | None:
        in_time = self.cancel()
        if not self.expired:
            return False
        if not in_time:
            return value is self._raised and self._exc is False
        if self._failed and (value is None or isinstance(value, Exception)):  # it has made a call in C fail
            if self._exc is False:
                return True
            assert self._raised is not None
            raise self._raised from value
        return False


def _make(exc: Any) -> BaseException:
    """Return an exception, given one or its class; if it cannot be made without arguments, what that raises."""
    try:
        made: BaseException = exc() if isinstance(exc, type) else exc
    except BaseException as error:  # raised in the block, since nobody would see it here in the clock's coroutine
        return error
    return made


def _is_exception(exc: object) -> bool:
    return isinstance(exc, BaseException) or (isinstance(exc, type) and issubclass(exc, BaseException))


@overload
def timeout_call(seconds: float | None, function: Callable[..., T], *args: Any, default: D, **kwargs: Any) -> T | D: ...
@overload
def timeout_call(seconds: float | None, function: Callable[..., T], *args: Any, **kwargs: Any) -> T: ...
def timeout_call(seconds: float | None, function: Callable[..., Any], *args: Any, default: Any = _RAISE,
                 **kwargs: Any) -> Any:
    """Return function(*args, **kwargs). If it waits longer than that many seconds, return default or raise a Timeout.

        line = timeout_call(3, sys.stdin.readline, default=None)
    """
    limit = Timeout(seconds)
    try:
        with limit:
            return function(*args, **kwargs)
    except Timeout as raised:
        if raised is not limit or default is _RAISE:
            raise
        return default
