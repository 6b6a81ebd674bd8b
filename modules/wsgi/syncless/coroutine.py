"""Coroutines: spawn, current, kill, and what happens to them at the end of the program."""
from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar


from ._inside import Killed, _syncless

P = ParamSpec("P")
T = TypeVar("T")

END_TIMEOUT = 2.0  # seconds that all finally blocks have at the end of the program

_numbers = itertools.count(1)
_live: set[Coroutine[Any]] = set()  # spawned, and not ended


class Coroutine(Generic[T]):
    """A coroutine; spawn() makes one, current() and coroutines() find those that run.

    name: str, for logs; may be set.
    value: what its function returned; None before that.
    exception: what its function raised; None if it did not. If it was killed, what it was killed with.
    """

    __slots__ = ("name", "value", "exception", "_handle", "_ended", "_over", "_killed", "_spawned", "__weakref__")

    def __init__(self, name: str, handle: _syncless.Handle | None = None) -> None:
        self.name = name
        self.value: T | None = None
        self.exception: BaseException | None = None
        self._handle = handle                      # None: it has not begun
        self._killed: BaseException | None = None  # what kill() has sent
        self._spawned = handle is None
        self._over = False                         # it was spawned, and its function has returned
        self._ended = threading.Lock()             # held until then; join() waits for it
        self._ended.acquire()

    def __repr__(self) -> str:
        return f"<Coroutine {self.name}{'' if self.alive else ', ended'}>"

    def _run(self, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._handle = _syncless.handle()
        assert self._handle is not None
        self._handle.owner = self
        try:
            if self._killed is not None:
                raise self._killed
            self.value = function(*args, **kwargs)
        except (Killed, SystemExit) as raised:
            self.exception = raised
        except BaseException as raised:
            self.exception = raised
            if raised is not self._killed:
                self._report(raised)
        finally:
            _live.discard(self)
            self._over = True
            self._ended.release()

    def _end_early(self) -> None:
        """C code has called pthread_exit in it."""
        self.exception = RuntimeError(f"coroutine {self.name} was ended by pthread_exit")
        _live.discard(self)
        self._over = True
        self._ended.release()

    def _report(self, raised: BaseException) -> None:
        """Its function has failed: call threading.excepthook if the program has set one, as for threads, or log it."""
        hook = threading.excepthook
        if hook is None or hook is getattr(threading, "__excepthook__"):  # which mypy 1.0 does not know
            import logging  # which few programs need
            logging.getLogger("syncless").error("coroutine %s failed", self.name, exc_info=raised)
            return
        try:
            hook(threading.ExceptHookArgs((type(raised), raised, raised.__traceback__, threading.current_thread())))
        except Exception:
            sys.excepthook(*sys.exc_info())

    @property
    def alive(self) -> bool:
        """Whether it has not ended: it runs, waits, or has not begun. Once False it stays so."""
        return not self._over if self._spawned else self._handle is not None and self._handle.alive

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end, for at most that many seconds. Return whether it has ended.

        RuntimeError if it is the calling one, or was not made by spawn(); ValueError if timeout is negative.
        """
        if not self._spawned:
            raise RuntimeError(f"only a coroutine made by spawn() can be waited for, and {self.name} was not")
        if self._handle is not None and self._handle.alive and self._handle.ident == threading.get_ident():
            raise RuntimeError(f"coroutine {self.name} cannot wait for its own end")
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must not be negative: {timeout}")
        seconds = -1 if timeout is None else min(timeout, threading.TIMEOUT_MAX)
        if not self._over and self._ended.acquire(timeout=seconds):
            self._ended.release()  # for others who wait
        return self._over

    def get(self, timeout: float | None = None) -> T:
        """Wait for its end. Return what its function returned, or raise what it raised.

        TimeoutError if it has not ended after that many seconds.
        """
        if not self.join(timeout):
            raise TimeoutError(f"coroutine {self.name} has not ended within {timeout} s")
        if self.exception is not None:
            raise self.exception
        return self.value  # type: ignore[return-value]

    def kill(self, exception: BaseException | None = None) -> None:
        """Raise an exception (default: Killed) in it where it waits. Return at once; join() waits for the end.

        A coroutine that has not begun never does. RuntimeError if it has ended; TypeError if exception is none.
        """
        if exception is None:
            exception = Killed(f"coroutine {self.name} was killed")
        if not isinstance(exception, BaseException):
            raise TypeError(f"expected an exception, not {exception!r}")
        if not self.alive:
            raise RuntimeError(f"coroutine {self.name} has ended, it cannot be killed")
        here = _syncless.handle()
        if here is not None and here is self._handle:
            self._killed = exception
            raise exception
        if here is None:  # an OS thread
            _syncless.spawn(self._send, exception)
        else:
            self._send(exception)

    def _send(self, exception: BaseException) -> None:
        self._killed = exception
        if self._handle is not None:
            self._handle.interrupt(exception)

    def stack(self) -> traceback.StackSummary:
        """Return where it is, outermost call first; empty if it has not begun or has ended."""
        frame = sys._current_frames().get(self._handle.ident) if self._handle and self._handle.alive else None
        return traceback.extract_stack(frame) if frame else traceback.StackSummary()


def spawn(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[T]:
    """Call function(*args, **kwargs) on a coroutine of its own, which begins when this one waits.

    It runs in a copy of this one's contextvars context. What it raises is logged (logger "syncless"), or given to
    threading.excepthook if the program has set that, and ends nothing else. TypeError if function is not callable;
    MemoryError without memory for its stack; RuntimeError in a child that was forked by an application of
    syncless-server, or by an OS thread.

        page = spawn(fetch, "http://127.0.0.1/")
        ...
        print(page.get())
    """
    if not callable(function):
        raise TypeError(f"the first argument of spawn() must be callable, not {function!r}")
    co: Coroutine[T] = Coroutine(f"{getattr(function, '__qualname__', type(function).__qualname__)}-{next(_numbers)}")
    _live.add(co)
    try:
        _syncless.spawn(co._run, function, args, kwargs)
    except BaseException:
        _live.discard(co)
        raise
    return co


def _adopt(handle: _syncless.Handle) -> Coroutine[Any]:
    if handle.owner is None:
        is_main = handle.ident == threading.main_thread().ident
        handle.owner = Coroutine("main" if is_main else f"coroutine-{next(_numbers)}", handle)
    owner: Coroutine[Any] = handle.owner
    return owner


def current() -> Coroutine[Any]:
    """Return the calling coroutine: a spawned one, a request of syncless-server, or the main one.

    RuntimeError in an OS thread.
    """
    handle = _syncless.handle()
    if handle is None:
        raise RuntimeError("this is not a coroutine but an OS thread (or a forked child)")
    return _adopt(handle)


def coroutines() -> list[Coroutine[Any]]:
    """Return every coroutine that has begun and not ended, for debugging.

        for co in coroutines():
            print(co.name, *co.stack().format())
    """
    return [_adopt(handle) for handle in _syncless.handles() if not handle.internal]


def sleep(seconds: float) -> None:
    """Let this coroutine wait. If seconds is not positive, return at once."""
    if seconds > 0:
        time.sleep(seconds)


def yield_now() -> None:
    """Let all coroutines that are ready run first."""
    _syncless.yield_now()


def _to_end() -> list[Coroutine[Any]]:
    """Return all coroutines but this one and the clock."""
    here = _syncless.handle()
    begun = [_adopt(handle) for handle in _syncless.handles() if handle is not here and not handle.internal]
    return begun + [co for co in _live if co._handle is None]


def _forget() -> None:
    """In a forked child: all coroutines but the one that has forked are gone."""
    here = _syncless.handle()
    for co in list(_live):
        if here is None or co._handle is not here:
            _live.discard(co)
            co.exception = Killed(f"coroutine {co.name} is not in the forked child")
            co._over = True
            co._ended.release()


def _end_all() -> None:
    """The program is over: raise Killed in coroutines that wait, and give their finally blocks a moment."""
    if _syncless.handle() is None:
        return
    deadline = time.monotonic() + END_TIMEOUT
    while (ending := _to_end()) and time.monotonic() < deadline:
        for co in ending:
            if co._killed is None:
                co.kill(Killed("the program ends"))
        for co in ending:
            if co._spawned:
                co.join(max(deadline - time.monotonic(), 0))
            else:  # a request, or one of _syncless.spawn: nothing tells of its end
                time.sleep(0.001)


atexit.register(_end_all)
os.register_at_fork(after_in_child=_forget)
