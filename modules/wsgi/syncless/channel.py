"""Queue and Channel: how coroutines, and OS threads, hand things to each other.

Each one that waits has a lock of its own, which is released by the one that serves it. So they are served in the order
in which they came, and none is woken for nothing.
"""
from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar, overload

T = TypeVar("T")
D = TypeVar("D")


class ChannelClosed(Exception):
    """The channel was closed: nothing can be sent or received any more."""


class _Waiter(Generic[T]):
    """One that waits for an item, or for its item to be taken. Changed under its owner's mutex."""

    __slots__ = ("lock", "item", "served")

    def __init__(self, item: T | None = None) -> None:
        self.item = item
        self.served = False
        self.lock = threading.Lock()
        self.lock.acquire()

    def serve(self, item: T | None = None) -> None:
        self.item = item
        self.served = True
        self.lock.release()


def _seconds(timeout: float | None) -> float:
    if timeout is None:
        return -1
    if not timeout >= 0:
        raise ValueError(f"timeout must not be negative: {timeout}")
    return min(timeout, threading.TIMEOUT_MAX)


class Queue(Generic[T]):
    """An unbounded queue; taking from an empty one waits.

    Its methods have the names of collections.deque, and put and get beside them. For a bounded queue use queue.Queue,
    which works between coroutines too.
    """

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items = collections.deque(items)
        self._receivers: collections.deque[_Waiter[T]] = collections.deque()
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        """Iterate over the items that are there now; they stay."""
        return iter(list(self._items))

    @property
    def pending_receiver_count(self) -> int:
        """How many wait for an item."""
        return len(self._receivers)

    def append(self, item: T) -> None:
        """Add an item at the end. Never waits."""
        with self._mutex:
            self._add(item, self._items.append)

    def appendleft(self, item: T) -> None:
        """Add an item at the front. Never waits."""
        with self._mutex:
            self._add(item, self._items.appendleft)

    put = append

    def _add(self, item: T, keep: Callable[[T], None]) -> None:
        if self._receivers:
            self._receivers.popleft().serve(item)
        else:
            keep(item)

    def popleft(self, timeout: float | None = None) -> T:
        """Take the first item; TimeoutError if there is none within that many seconds."""
        return self._take(self._items.popleft, timeout)

    def pop(self, timeout: float | None = None) -> T:
        """Take the last item; TimeoutError if there is none within that many seconds."""
        return self._take(self._items.pop, timeout)

    get = popleft

    def _take(self, take: Callable[[], T], timeout: float | None) -> T:
        seconds = _seconds(timeout)
        with self._mutex:
            if self._items:
                return take()
            waiter: _Waiter[T] = _Waiter()
            self._receivers.append(waiter)
        try:
            waiter.lock.acquire(timeout=seconds)
        except BaseException:
            with self._mutex:
                if waiter.served:
                    self._add(waiter.item, self._items.appendleft)  # type: ignore[arg-type]
                else:
                    self._receivers.remove(waiter)
            raise
        with self._mutex:
            if waiter.served:
                return waiter.item  # type: ignore[return-value]
            self._receivers.remove(waiter)
        raise TimeoutError(f"nothing was put into the queue within {timeout} s")


class Channel(Generic[T]):
    """A place where senders and receivers meet: each waits for the other, and nothing is stored.

        channel = Channel()
        spawn(channel.send, 5)
        print(channel.receive())
    """

    def __init__(self) -> None:
        self._senders: collections.deque[_Waiter[_Item[T]]] = collections.deque()
        self._receivers: collections.deque[_Waiter[_Item[T]]] = collections.deque()
        self._mutex = threading.Lock()
        self._closed = False

    @property
    def balance(self) -> int:
        """How many wait to send; if negative, to receive."""
        return len(self._senders) - len(self._receivers)

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    def send(self, value: T, timeout: float | None = None) -> None:
        """Wait until value is received. TimeoutError if that takes more than that many seconds; ChannelClosed."""
        self._send(_Item(value, None), timeout)

    def send_exception(self, exception: BaseException, timeout: float | None = None) -> None:
        """The same with an exception, which receive() will raise."""
        if not isinstance(exception, BaseException):
            raise TypeError(f"expected an exception, not {exception!r}")
        self._send(_Item(None, exception), timeout)

    def receive(self, timeout: float | None = None) -> T:
        """Wait for a sender. TimeoutError if there is none within that many seconds; ChannelClosed."""
        seconds = _seconds(timeout)
        with self._mutex:
            if self._senders:
                sender = self._senders.popleft()
                item = sender.item
                sender.serve()
                return _unpack(item)
            self._check_open()
            waiter: _Waiter[_Item[T]] = _Waiter()
            self._receivers.append(waiter)
        try:
            self._wait(waiter, self._receivers, seconds, "received")
        except BaseException:
            if waiter.served and waiter.item:
                self._give_back(waiter.item)
            raise
        return _unpack(waiter.item)

    def close(self) -> None:
        """End the channel: all that wait now, or send or receive later, get ChannelClosed; iterations end."""
        with self._mutex:
            self._closed = True
            for waiters in self._senders, self._receivers:
                while waiters:
                    waiters.popleft().serve(_Item(None, ChannelClosed("the channel was closed")))

    def __iter__(self) -> Iterator[T]:
        """Iterate over what is received, until the channel is closed."""
        while True:
            try:
                yield self.receive()
            except ChannelClosed:
                return

    def _check_open(self) -> None:
        if self._closed:
            raise ChannelClosed("the channel was closed")

    def _send(self, item: _Item[T], timeout: float | None) -> None:
        seconds = _seconds(timeout)
        with self._mutex:
            self._check_open()
            if self._receivers:
                self._receivers.popleft().serve(item)
                return
            waiter = _Waiter(item)
            self._senders.append(waiter)
        self._wait(waiter, self._senders, seconds, "sent")
        if waiter.item:
            _unpack(waiter.item)

    def _wait(self, waiter: _Waiter[_Item[T]], waiters: collections.deque[_Waiter[_Item[T]]], seconds: float,
              done: str) -> None:
        try:
            waiter.lock.acquire(timeout=seconds)
        finally:
            with self._mutex:
                if not waiter.served:
                    waiters.remove(waiter)
        if not waiter.served:
            raise TimeoutError(f"nothing was {done} within {seconds} s")

    def _give_back(self, item: _Item[T]) -> None:
        """The receiver of item was interrupted at the moment when it got it."""
        with self._mutex:
            if self._receivers:
                self._receivers.popleft().serve(item)
            else:
                self._senders.appendleft(_Waiter(item))


class _Item(Generic[T]):
    """What is sent: a value, or an exception that receive() raises."""

    __slots__ = ("value", "exception")

    def __init__(self, value: T | None, exception: BaseException | None) -> None:
        self.value = value
        self.exception = exception


def _unpack(item: _Item[T] | None) -> T:
    assert item is not None
    if item.exception is not None:
        raise item.exception
    return item.value  # type: ignore[return-value]


@overload
def receive_with_timeout(timeout: float, channel: Channel[T]) -> T | None: ...
@overload
def receive_with_timeout(timeout: float, channel: Channel[T], default: D) -> T | D: ...
def receive_with_timeout(timeout: float, channel: Channel[T], default: object = None) -> object:
    """Return channel.receive(timeout), or default instead of raising TimeoutError."""
    try:
        return channel.receive(timeout)
    except TimeoutError:
        return default
