"""draining(): whether this worker is about to end."""
from __future__ import annotations

import threading
from collections.abc import Callable

from ._inside import _syncless

_event = threading.Event()
_functions: list[Callable[[], object]] = []


def draining(timeout: float | None = 0) -> bool:
    """Return whether this worker is about to end: at a reload, at a stop, or because it is replaced.

    Requests that take long (streams, long polls) should then end; they are cancelled after shutdown-timeout. With a
    timeout, wait up to so many seconds for it; None: for any time. So `while not syncless.draining(1):` makes an
    iteration a second. In a program run by syncless-python it is always False.
    """
    return _event.is_set() if timeout == 0 else _event.wait(timeout)


def when_draining(function: Callable[[], object]) -> None:
    """Call the function, which must not wait, when that begins."""
    _functions.append(function)


def _begin() -> None:
    _event.set()
    for function in _functions:
        function()


_syncless.on_drain(_begin)
