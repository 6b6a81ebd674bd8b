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

In other Pythons the package can be imported, but has only its version; every other name raises ImportError.
`python -m syncless` is syncless-server.
"""
from __future__ import annotations

import sys
from typing import TYPE_CHECKING

_IS_INSIDE = "_syncless" in sys.builtin_module_names  # whether this Python runs in syncless-server or syncless-python

if TYPE_CHECKING or _IS_INSIDE:
    import _syncless
    from _syncless import ClientGone, Killed, RequestTimeout

    from ._drain import draining
    from .channel import Channel, ChannelClosed, Queue, receive_with_timeout
    from .coroutine import Coroutine, coroutines, current, sleep, spawn, yield_now
    from .dns import DnsError, Record, resolve
    from .threads import ThreadPool, run_in_thread
    from .timeout import Timeout, timeout_call

    __version__: str = _syncless.version

if TYPE_CHECKING:
    from .console import backdoor
    from sys import stdin as stdin, stdout as stdout
    from .nbio import NonBlockingSocket as NonBlockingSocket, NonBlockingSslSocket as NonBlockingSslSocket

__all__ = ["Channel", "ChannelClosed", "ClientGone", "Coroutine", "DnsError", "Killed", "Queue", "Record",
           "RequestTimeout", "ThreadPool", "Timeout", "backdoor", "coroutines", "current", "draining",
           "receive_with_timeout", "resolve", "run_in_thread", "sleep", "spawn", "timeout_call", "yield_now"]


if not TYPE_CHECKING:
    def __getattr__(name):
        """Names that are imported when they are first used, and those of Syncless of 2010."""
        if name == "__version__":
            from importlib import metadata
            try:
                return metadata.version("syncless")
            except metadata.PackageNotFoundError:
                raise AttributeError("the version is not known: the package syncless is not installed") from None
        if name in __all__ and not _IS_INSIDE:
            from . import _inside  # which says why not
        if name == "backdoor":
            from .console import backdoor
            return backdoor
        if name in ("NonBlockingSocket", "NonBlockingSslSocket"):
            from . import nbio
            return getattr(nbio, name)
        if name in ("stdin", "stdout"):
            return getattr(sys, name)
        raise AttributeError(f"module 'syncless' has no attribute {name!r}")
