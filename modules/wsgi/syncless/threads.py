"""OS threads, for what would block every coroutine: code that computes, disks, C libraries that make no libc calls."""
from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from ._inside import _syncless
from .channel import Queue

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_SIZE = min(32, (os.cpu_count() or 1) + 4)  # threads of the pool of run_in_thread


class _Call(Generic[T]):
    __slots__ = ("function", "context", "done", "value", "exception")

    def __init__(self, function: Callable[[], T]) -> None:
        self.function = function
        self.context = contextvars.copy_context()
        self.value: T | None = None
        self.exception: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def run(self) -> None:
        try:
            self.value = self.context.run(self.function)
        except BaseException as raised:
            self.exception = raised
        self.done.release()


def _start_thread(thread: threading.Thread) -> None:
    """Start it as a thread of the system, also where those of Python are coroutines."""
    _syncless.start_real_threads(True)
    try:
        thread.start()
    finally:
        _syncless.start_real_threads(False)


class ThreadPool:
    """A pool of at most `size` threads, which are started when they are needed. Calls beyond that are queued.

        pool = ThreadPool(3)
        digest = pool(hashlib.scrypt, password, salt=salt, n=2**14, r=8, p=1)
    """

    def __init__(self, size: int) -> None:
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"the size of a pool must be at least 1, not {size!r}")
        self.size = size
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._calls: Queue[_Call[Any]] = Queue()
        self._threads = 0
        self._busy = 0  # calls that were queued and have not ended
        self._mutex = threading.Lock()

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run function(*args, **kwargs) in a thread while this coroutine waits. Return or raise what it does.

        If the coroutine is interrupted meanwhile, the thread goes on and its result is dropped.
        """
        if not callable(function):
            raise TypeError(f"expected a callable, not {function!r}")
        if self._pid != os.getpid():
            self._begin()  # a forked child has none of the threads
        call = _Call(lambda: function(*args, **kwargs))
        with self._mutex:
            self._busy += 1
            if self._threads < min(self._busy, self.size):
                _start_thread(threading.Thread(target=self._work, args=(self._calls,), daemon=True,
                                               name=f"syncless-{self._threads}"))
                self._threads += 1
        self._calls.append(call)
        call.done.acquire()
        if call.exception is not None:
            try:
                raise call.exception
            finally:
                del call
        return call.value  # type: ignore[return-value]

    def _work(self, calls: Queue[_Call[Any]]) -> None:
        while True:
            call = calls.popleft()
            call.run()
            del call
            with self._mutex:
                self._busy -= 1


_pool = ThreadPool(DEFAULT_SIZE)


def run_in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run function(*args, **kwargs) in an OS thread while this coroutine waits. Return or raise what it does.

    All calls share one ThreadPool, of four threads more than there are processors (at most 32).
    """
    return _pool(function, *args, **kwargs)
