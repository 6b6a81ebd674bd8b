"""Twisted on Syncless's loop, beside coroutines.

    from syncless import reactor
    reactor.install()                              # before twisted.internet.reactor is imported
    from twisted.internet import reactor

    reactor.run()                                  # on the main coroutine; the others go on
    spawn(reactor.run, installSignalHandlers=False)     # or on one of its own

Twisted's epoll reactor works unchanged: epoll_wait parks its coroutine. This module lets other coroutines use the
reactor as its own code does, and adds two functions by which each side waits for the other.
"""
from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Any, ParamSpec

from .coroutine import spawn

P = ParamSpec("P")

__all__ = ["defer_to_coroutine", "install", "wait_for"]


def _import(name: str) -> Any:
    """Import a module of Twisted. Type checkers do not see it, so what they know of Twisted does not matter."""
    return importlib.import_module(f"twisted.{name}")


def install() -> Any:
    """Install the reactor of this process, and return it.

    ImportError without Twisted; Twisted's ReactorAlreadyInstalledError if there is a reactor already.
    """
    base: Any = _import("internet.epollreactor").EPollReactor

    class SynclessReactor(base):  # type: ignore[misc]
        """Twisted's, which wakes up when other coroutines call it while it waits."""

        def callLater(self, *args: Any, **kwargs: Any) -> Any:
            call = super().callLater(*args, **kwargs)
            self._wake()
            return call

        def addReader(self, reader: Any) -> None:
            super().addReader(reader)
            self._wake()

        def addWriter(self, writer: Any) -> None:
            super().addWriter(writer)
            self._wake()

        def run(self, *args: Any, **kwargs: Any) -> None:
            self._ident = threading.get_ident()
            super().run(*args, **kwargs)

        def _wake(self) -> None:
            if getattr(self, "_ident", None) not in (None, threading.get_ident()):
                self.wakeUp()

    reactor = SynclessReactor()
    _import("internet.main").installReactor(reactor)
    return reactor


def defer_to_coroutine(function: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> Any:
    """Call function(*args, **kwargs), which may wait, on a coroutine. Return a Deferred of what it returns or raises.

    For code that runs in the reactor, in place of deferToThread.
    """
    reactor, failure = _import("internet.reactor"), _import("python.failure")
    deferred = _import("internet.defer").Deferred()

    def run() -> None:
        try:
            value = function(*args, **kwargs)
        except Exception:
            reactor.callFromThread(deferred.errback, failure.Failure())
        else:
            reactor.callFromThread(deferred.callback, value)

    spawn(run)
    return deferred


def wait_for(function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
    """Call function(*args, **kwargs) in the reactor, and wait for the result of the Deferred that it returns.

    For coroutines other than the reactor's own.
    """
    reactor, threads = _import("internet.reactor"), _import("internet.threads")
    return threads.blockingCallFromThread(reactor, function, *args, **kwargs)
