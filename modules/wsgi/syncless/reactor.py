"""Twisted on Syncless's loop, beside coroutines.

    from syncless import reactor
    reactor.install()                              # before twisted.internet.reactor is imported
    from twisted.internet import reactor

    reactor.run()                                  # on the main coroutine; the others go on
    spawn(reactor.run, installSignalHandlers=False)     # or on one of its own

Twisted's epoll reactor needs no change: what it waits with parks its coroutine. What is added is that other coroutines may
use it as its own code does, and the two functions below, by which each side waits for the other.
"""
import threading
from typing import Any, Callable

from .coroutine import spawn

__all__ = ["defer_to_coroutine", "install", "wait_for"]


def install() -> Any:
    """Make Syncless's the reactor of this process, and return it. ImportError without Twisted; Twisted's own
    ReactorAlreadyInstalledError if there is another one."""
    from twisted.internet import epollreactor, main

    class SynclessReactor(epollreactor.EPollReactor):
        """Twisted's, which hears calls that other coroutines make while it waits."""

        def callLater(self, *args, **kwargs):
            call = super().callLater(*args, **kwargs)
            self._wake()
            return call

        def addReader(self, reader):
            super().addReader(reader)
            self._wake()

        def addWriter(self, writer):
            super().addWriter(writer)
            self._wake()

        def run(self, *args, **kwargs):
            self._ident = threading.get_ident()
            super().run(*args, **kwargs)

        def _wake(self):
            if getattr(self, "_ident", None) not in (None, threading.get_ident()):
                self.wakeUp()

    reactor = SynclessReactor()
    main.installReactor(reactor)
    return reactor


def defer_to_coroutine(function: Callable, *args, **kwargs) -> Any:
    """Call function(*args, **kwargs) on a coroutine, where it may wait as it likes; a Deferred of what it returns or raises.
    For code of Twisted's, in place of deferToThread."""
    from twisted.internet import defer, reactor
    from twisted.python.failure import Failure
    deferred = defer.Deferred()

    def run():
        try:
            value = function(*args, **kwargs)
        except Exception:
            reactor.callFromThread(deferred.errback, Failure())
        else:
            reactor.callFromThread(deferred.callback, value)

    spawn(run)
    return deferred


def wait_for(function: Callable, *args, **kwargs) -> Any:
    """Call function(*args, **kwargs) in the reactor and wait for what the Deferred that it returns comes to. For coroutines
    other than the reactor's own."""
    from twisted.internet import reactor, threads
    return threads.blockingCallFromThread(reactor, function, *args, **kwargs)
