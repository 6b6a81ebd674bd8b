"""Coroutines for code in plain blocking style.

The package is there in programs run by `syncless-python` and in applications of `syncless-server`. In both, a call that
blocks (a socket, a lock, time.sleep, a database client in C) makes only its coroutine wait; so what is here is short: to
start coroutines, to end them, and to bound how long they wait.

    import syncless

    def fetch(url):
        with syncless.Timeout(5):
            return urllib.request.urlopen(url).read()

    pages = [syncless.spawn(fetch, url) for url in urls]
    for page in pages:
        print(len(page.get()))

Times are seconds, as int or float. Everything may be called in any coroutine; in OS threads, whatever does not say
otherwise.
"""
try:
    import _syncless
except ImportError:
    raise ImportError("the package syncless works in programs run by syncless-python and in applications of "
                      "syncless-server; this is another python. Start the program with: syncless-python PROGRAM") from None

from _syncless import ClientGone, RequestTimeout

from .channel import Channel, ChannelClosed, Queue, receive_with_timeout
from .coroutine import Coroutine, Killed, coroutines, current, sleep, spawn, yield_now
from .dns import DnsError, Record, resolve
from .nbio import NonBlockingSocket, NonBlockingSslSocket
from .threads import ThreadPool, run_in_thread
from .timeout import Timeout, timeout_call

__all__ = ["Channel", "ChannelClosed", "ClientGone", "Coroutine", "DnsError", "Killed", "NonBlockingSocket",
           "NonBlockingSslSocket", "Queue", "Record", "RequestTimeout", "ThreadPool", "Timeout", "backdoor", "coroutines",
           "current", "receive_with_timeout", "resolve", "run_in_thread", "sleep", "spawn", "stdin", "stdout",
           "timeout_call", "yield_now"]


def __getattr__(name):
    if name in ("stdin", "stdout"):
        import sys
        return getattr(sys, name)
    if name == "backdoor":
        from .console import backdoor
        return backdoor
    raise AttributeError(f"module 'syncless' has no attribute {name!r}")
