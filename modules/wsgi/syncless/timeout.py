"""Timeout: an end to whatever a coroutine waits for.

The exception is raised inside of the blocking call, by way of EINTR. A library in C that tries again after that gets
ECANCELED, so that its call fails; Timeout then replaces the library's exception by its own.
"""
import math
import threading
from typing import Any, Callable, Optional, Union

import _syncless

from .clock import call_later

_RAISE = object()


def _check(seconds):
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"a timeout is a number of seconds or None, not {seconds!r}")
    if math.isnan(seconds) or seconds < 0:
        raise ValueError(f"a timeout must not be negative: {seconds}")
    if seconds > threading.TIMEOUT_MAX:
        raise OverflowError(f"a timeout of {seconds} seconds is too long; use None for none")
    return seconds


class Timeout(BaseException):
    """After so many seconds, end what this coroutine waits for by an exception, raised once.

        with Timeout(5):
            sock.connect(address)
            data = sock.recv(100)

    seconds: from entering the block; None: never. exc: what is raised, an exception or its class; None: this Timeout itself,
    which no `except Exception` takes; False: nothing leaves the block, which just ends early (see `expired`).

    Timeouts nest. A block that does not wait is not ended. TypeError or ValueError for what is no length of time,
    OverflowError for more than 292 years; RuntimeError in an OS thread, or if it is entered twice.
    """

    def __init__(self, seconds: Optional[float], exc: Union[None, bool, BaseException, type] = None):
        super().__init__(seconds)
        if exc is not None and exc is not False and not _is_exception(exc):
            raise TypeError(f"exc must be an exception, its class, None or False, not {exc!r}")
        self.seconds = None if seconds is None else _check(seconds)
        self.expired = False  # whether it was over before it was cancelled
        self._exc = exc
        self._handle = None   # of the coroutine, while it is on
        self._timer = None
        self._raised: Optional[BaseException] = None
        self._failed = False  # a wait of a library in C has failed by it

    def __str__(self):
        return "no timeout" if self.seconds is None else f"timed out after {self.seconds} s"

    def start(self) -> "Timeout":
        """For use without `with`: begins, until cancel()."""
        if self._handle is not None:
            raise RuntimeError("this Timeout is on already; make one for each block")
        self._handle = _syncless.handle()
        if self._handle is None:
            raise RuntimeError("Timeout works on coroutines only; this is an OS thread (or a forked child)")
        self.expired, self._raised, self._failed = False, None, False
        self._begin()
        return self

    def _begin(self):
        if self.seconds is not None:
            self._timer = call_later(self.seconds, self._expire)

    def _expire(self):
        if self._exc is None or self._exc is False:
            self._raised = self
        else:
            self._raised = _make(self._exc)
        self.expired = True
        self._handle.interrupt(self._raised)

    def cancel(self) -> bool:
        """It is off from here on. Returns whether it was in time: nothing has been raised."""
        handle, self._handle = self._handle, None
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if not self.expired:
            return True
        if handle is None:
            return False
        self._failed = handle.failed
        return handle.withdraw(self._raised)

    def change(self, seconds: Optional[float]) -> None:
        """So many seconds from now instead; None: never. RuntimeError if it is not on or was raised already."""
        seconds = None if seconds is None else _check(seconds)
        handle = self._handle
        if handle is None or not self.cancel():
            raise RuntimeError("this Timeout is not on" if handle is None else "this Timeout is over")
        self._handle, self.seconds, self.expired = handle, seconds, False
        self._begin()

    def __enter__(self) -> "Timeout":
        return self.start()

    def __exit__(self, kind, value, trace) -> bool:
        in_time = self.cancel()
        if not self.expired:
            return False
        if not in_time:
            return value is self._raised and self._exc is False
        if self._failed and (value is None or isinstance(value, Exception)):  # a call in C was cancelled by us
            if self._exc is False:
                return True
            raise self._raised from value
        return False


def _make(exc):
    """An exception of what was given for one; that of its class, if it cannot be made without arguments."""
    try:
        return exc() if isinstance(exc, type) else exc
    except BaseException as error:  # it is the block's affair: here, in the clock, nobody would hear of it
        return error


def _is_exception(exc):
    return isinstance(exc, BaseException) or (isinstance(exc, type) and issubclass(exc, BaseException))


def timeout_call(seconds: Optional[float], function: Callable, *args, default: Any = _RAISE, **kwargs) -> Any:
    """What function(*args, **kwargs) returns; if it waits for longer than so many seconds, default, or a Timeout is raised.

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
