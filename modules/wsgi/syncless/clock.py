"""Functions that are called at a given time, all by one coroutine.

A coroutine for each Timeout would work too, but needs a stack; here a timer is an entry of a heap. A stopped timer
stays in the heap until its time has come, or until more than half of the heap are stopped timers.
"""
from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
from collections.abc import Callable

from ._inside import _syncless


MAX_SLEEP = 365 * 24 * 3600.0  # seconds; for later timers the clock sleeps several times


class Timer:
    """A call to be made; stop() takes it back."""

    __slots__ = ("function", "ident")

    def __init__(self, function: Callable[[], object]) -> None:
        self.function: Callable[[], object] | None = function
        self.ident = threading.get_ident()  # of who has started it

    def stop(self) -> None:
        _syncless.steady(True)
        try:
            if self.function is not None:
                self.function = None
                _clock.note_stopped()
        finally:
            _syncless.steady(False)


class Clock:
    """The timers of this process, and the coroutine that waits for the first of them. Used on coroutines only.

    It is changed by coroutines that are not preempted meanwhile.
    """

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Timer]] = []  # time, order, timer
        self.order = itertools.count()
        self.stopped = 0      # stopped timers that are in the heap
        self.running = False  # the coroutine
        self.wake = threading.Lock()
        self.wake.acquire()

    def start(self, seconds: float, function: Callable[[], object]) -> Timer:
        timer = Timer(function)
        _syncless.steady(True)
        try:
            heapq.heappush(self.heap, (time.monotonic() + seconds, next(self.order), timer))
            if not self.running:
                self.begin()
            elif self.heap[0][2] is timer and self.wake.locked():
                self.wake.release()
        finally:
            _syncless.steady(False)
        return timer

    def begin(self) -> None:
        self.running = True
        _syncless.spawn(self.run)

    def note_stopped(self) -> None:
        self.stopped += 1
        if self.stopped > 100 and self.stopped > len(self.heap) // 2:
            self.heap = [entry for entry in self.heap if entry[2].function is not None]
            heapq.heapify(self.heap)
            self.stopped = 0

    def run(self) -> None:
        """Ends when nothing is left to wait for; the next timer starts it again."""
        handle = _syncless.handle()
        assert handle is not None
        handle.internal = True
        _syncless.steady(True)
        try:
            while self.heap:
                self.wake.acquire(timeout=min(max(self.heap[0][0] - time.monotonic(), 0), MAX_SLEEP))
                self.call_due()
        finally:
            self.running = False

    def call_due(self) -> None:
        now = time.monotonic()
        while self.heap and self.heap[0][0] <= now:
            timer = heapq.heappop(self.heap)[2]
            function, timer.function = timer.function, None
            if function is None:
                self.stopped -= 1
            else:
                function()


_clock = Clock()


def call_later(seconds: float, function: Callable[[], object]) -> Timer:
    """Call function(), which must neither wait nor raise and is not preempted, after that many seconds. On a coroutine.
    """
    return _clock.start(seconds, function)


def _forget() -> None:
    """In a forked child, which has only the coroutine that has forked, and only its timers."""
    global _clock
    heap, _clock = _clock.heap, Clock()
    if _syncless.handle() is None:
        return
    here = threading.get_ident()
    _clock.heap = [entry for entry in heap if entry[2].ident == here and entry[2].function is not None]
    heapq.heapify(_clock.heap)
    if _clock.heap:
        _clock.begin()


os.register_at_fork(after_in_child=_forget)
