"""Coroutines for code in plain blocking style.

The package is there in programs run by `syncless-python` and in applications of `syncless-server`. In both, a call that
blocks (a socket, a lock, time.sleep, a database client in C) makes only its coroutine wait. So the package is small: it
starts coroutines, ends them, and limits how long they wait.

    import syncless

    def fetch(url):
        with syncless.Timeout(5):
            return urllib.request.urlopen(url).read()

    pages = [syncless.spawn(fetch, url) for url in urls]
    for page in pages:
        print(len(page.get()))

Times are seconds, as int or float. Every function may be called on any coroutine, and in OS threads unless it says
otherwise.
"""
from __future__ import annotations

import sys
from typing import TYPE_CHECKING

try:
    import _syncless
except ImportError:
    raise ImportError("the package syncless works in programs run by syncless-python and in applications of "
                      "syncless-server, not in other Pythons: start the program with syncless-python PROGRAM") from None

from _syncless import ClientGone, Killed, RequestTimeout

from .channel import Channel, ChannelClosed, Queue, receive_with_timeout
from .coroutine import Coroutine, coroutines, current, sleep, spawn, yield_now
from .dns import DnsError, Record, resolve
from .threads import ThreadPool, run_in_thread
from .timeout import Timeout, timeout_call

if TYPE_CHECKING:
    from .console import backdoor
    from sys import stdin as stdin, stdout as stdout
    from .nbio import NonBlockingSocket as NonBlockingSocket, NonBlockingSslSocket as NonBlockingSslSocket

__all__ = ["Channel", "ChannelClosed", "ClientGone", "Coroutine", "DnsError", "Killed", "Queue", "Record",
           "RequestTimeout", "ThreadPool", "Timeout", "backdoor", "coroutines", "current", "receive_with_timeout",
           "resolve", "run_in_thread", "sleep", "spawn", "timeout_call", "yield_now"]

__version__: str = _syncless.version


if not TYPE_CHECKING:
    def __getattr__(name):
        """Names that are imported when they are first used, and those of Syncless of 2010."""
        if name == "backdoor":
            from .console import backdoor
            return backdoor
        if name in ("NonBlockingSocket", "NonBlockingSslSocket"):
            from . import nbio
            return getattr(nbio, name)
        if name in ("stdin", "stdout"):
            return getattr(sys, name)
        raise AttributeError(f"module 'syncless' has no attribute {name!r}")
