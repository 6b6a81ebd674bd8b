"""Functions called at a time, by one coroutine for all of them.

A coroutine for each Timeout would do too, but cost a stack; here it costs an entry of a heap. A timer that was stopped
stays in the heap until its time has come, or until such timers are most of it.
"""
import heapq
import itertools
import os
import threading
import time

import _syncless

LONGEST = 365 * 24 * 3600.0  # seconds of one sleep; a later timer is looked at again then


class Timer:
    """A call that is to be made; stop() takes it back."""

    __slots__ = ("function",)

    def __init__(self, function):
        self.function = function

    def stop(self):
        if self.function is not None:
            self.function = None
            _clock.note_stopped()


class Clock:
    """The timers of this process, and the coroutine that waits for the first of them. Used on coroutines only."""

    def __init__(self):
        self.heap = []
        self.order = itertools.count()
        self.stopped = 0      # timers in the heap that are
        self.running = False  # the coroutine
        self.ident = None
        self.wake = threading.Lock()
        self.wake.acquire()

    def start(self, seconds, function):
        timer = Timer(function)
        heapq.heappush(self.heap, (time.monotonic() + seconds, next(self.order), timer))
        if not self.running:
            self.running = True
            _syncless.spawn(self.run)
        elif self.heap[0][2] is timer and self.wake.locked():
            self.wake.release()
        return timer

    def note_stopped(self):
        self.stopped += 1
        if self.stopped > 100 and self.stopped > len(self.heap) // 2:
            self.heap = [entry for entry in self.heap if entry[2].function is not None]
            heapq.heapify(self.heap)
            self.stopped = 0

    def run(self):
        """Ends when nothing is left to wait for; the next timer starts it again."""
        self.ident = threading.get_ident()
        try:
            while self.heap:
                self.wake.acquire(timeout=min(max(self.heap[0][0] - time.monotonic(), 0), LONGEST))
                self.call_due()
        finally:
            self.running, self.ident = False, None

    def call_due(self):
        now = time.monotonic()
        while self.heap and self.heap[0][0] <= now:
            timer = heapq.heappop(self.heap)[2]
            function, timer.function = timer.function, None
            if function is None:
                self.stopped -= 1
            else:
                function()


_clock = Clock()


def call_later(seconds, function):
    """Call function(), which must neither wait nor raise, after so many seconds. On a coroutine. Returns a Timer."""
    return _clock.start(seconds, function)


def is_clock(ident):
    """Whether that coroutine is the one of this file."""
    return _clock.ident == ident


def _forget():
    global _clock
    _clock = Clock()  # a forked child has none of its parent's coroutines


os.register_at_fork(after_in_child=_forget)
