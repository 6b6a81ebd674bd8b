"""Real threads, for what would block every coroutine: code that computes, disks, C libraries that make no libc calls."""
import contextvars
import os
import threading
from typing import Any, Callable

from .channel import Queue

PRESET = min(32, (os.cpu_count() or 1) + 4)


class _Call:
    __slots__ = ("function", "context", "done", "value", "exception")

    def __init__(self, function):
        self.function = function
        self.context = contextvars.copy_context()
        self.value = self.exception = None
        self.done = threading.Lock()
        self.done.acquire()

    def run(self):
        try:
            self.value = self.context.run(self.function)
        except BaseException as raised:
            self.exception = raised
        self.done.release()


class ThreadPool:
    """At most so many threads, made when they are needed; more calls than threads wait for their turn.

        pool = ThreadPool(3)
        digest = pool(hashlib.scrypt, password, salt=salt, n=2**14, r=8, p=1)
    """

    def __init__(self, size: int):
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"a pool has one thread or more, not {size!r}")
        self.size = size
        self._begin()

    def _begin(self):
        self._pid = os.getpid()
        self._calls = Queue()
        self._threads = 0
        self._busy = 0  # calls that were handed over and have not ended
        self._mutex = threading.Lock()

    def __call__(self, function: Callable, *args, **kwargs) -> Any:
        """Run it in a thread while this coroutine waits; returns or raises what it does.

        A coroutine that is interrupted meanwhile does not stop the thread, whose result is then dropped.
        """
        if not callable(function):
            raise TypeError(f"expected a callable, not {function!r}")
        if self._pid != os.getpid():
            self._begin()  # a forked child has none of the threads
        call = _Call(lambda: function(*args, **kwargs))
        with self._mutex:
            self._busy += 1
            if self._threads < min(self._busy, self.size):
                threading.Thread(target=self._work, args=(self._calls,), daemon=True,
                                 name=f"syncless-{self._threads}").start()
                self._threads += 1
        self._calls.append(call)
        call.done.acquire()
        if call.exception is not None:
            try:
                raise call.exception
            finally:
                del call
        return call.value

    def _work(self, calls):
        while True:
            call = calls.popleft()
            call.run()
            del call
            with self._mutex:
                self._busy -= 1


_pool = ThreadPool(PRESET)


def run_in_thread(function: Callable, *args, **kwargs) -> Any:
    """Run function(*args, **kwargs) in an OS thread while this coroutine waits; returns or raises what it does.

    All calls share one ThreadPool, of four threads more than there are processors (at most 32).
    """
    return _pool(function, *args, **kwargs)
