"""Queue and Channel: how coroutines, and OS threads, hand things to each other.

Whoever must wait gets a lock of its own, released by who serves it, so the first to wait is the first served, and nobody is
woken in vain.
"""
import collections
import threading
from typing import Any, Iterable, Iterator, Optional


class ChannelClosed(Exception):
    """The channel was closed: nothing can be sent or received any more."""


class _Waiter:
    """Somebody who waits for an item, or for its item to be taken. What is done to it is done under its owner's mutex."""

    __slots__ = ("lock", "item", "served")

    def __init__(self, item=None):
        self.item = item
        self.served = False
        self.lock = threading.Lock()
        self.lock.acquire()

    def serve(self, item=None):
        self.item = item
        self.served = True
        self.lock.release()


def _seconds(timeout):
    if timeout is None:
        return -1
    if not timeout >= 0:
        raise ValueError(f"timeout must not be negative: {timeout}")
    return min(timeout, threading.TIMEOUT_MAX)


class Queue:
    """Items in a row, as many as there are; who takes from an empty one waits.

    Its names are collections.deque's, with put and get beside them. For a bounded one take queue.Queue, which works between
    coroutines too.
    """

    def __init__(self, items: Iterable = ()):
        self._items = collections.deque(items)
        self._receivers = collections.deque()
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator:
        """The items that are there now; they stay."""
        return iter(list(self._items))

    @property
    def pending_receiver_count(self) -> int:
        """How many wait for an item."""
        return len(self._receivers)

    def append(self, item: Any) -> None:
        """Add it at the end. Never waits."""
        with self._mutex:
            self._add(item, self._items.append)

    def appendleft(self, item: Any) -> None:
        """Add it at the front. Never waits."""
        with self._mutex:
            self._add(item, self._items.appendleft)

    put = append

    def _add(self, item, keep):
        if self._receivers:
            self._receivers.popleft().serve(item)
        else:
            keep(item)

    def popleft(self, timeout: Optional[float] = None) -> Any:
        """Take the first one; TimeoutError if there is none within so many seconds."""
        return self._take(self._items.popleft, timeout)

    def pop(self, timeout: Optional[float] = None) -> Any:
        """Take the last one; TimeoutError if there is none within so many seconds."""
        return self._take(self._items.pop, timeout)

    get = popleft

    def _take(self, take, timeout):
        seconds = _seconds(timeout)
        with self._mutex:
            if self._items:
                return take()
            waiter = _Waiter()
            self._receivers.append(waiter)
        try:
            waiter.lock.acquire(timeout=seconds)
        except BaseException:
            with self._mutex:
                if waiter.served:
                    self._add(waiter.item, self._items.appendleft)
                else:
                    self._receivers.remove(waiter)
            raise
        with self._mutex:
            if waiter.served:
                return waiter.item
            self._receivers.remove(waiter)
        raise TimeoutError(f"nothing was put into the queue within {timeout} s")


class Channel:
    """A place where a sender meets a receiver: each waits for the other, and nothing is stored.

        channel = Channel()
        spawn(channel.send, 5)
        print(channel.receive())
    """

    def __init__(self) -> None:
        self._senders = collections.deque()
        self._receivers = collections.deque()
        self._mutex = threading.Lock()
        self._closed = False

    @property
    def balance(self) -> int:
        """How many wait to send; negative: to receive."""
        return len(self._senders) - len(self._receivers)

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    def send(self, value: Any, timeout: Optional[float] = None) -> None:
        """Wait until somebody receives it; TimeoutError if nobody does within so many seconds, ChannelClosed."""
        self._send((value, None), timeout)

    def send_exception(self, exception: BaseException, timeout: Optional[float] = None) -> None:
        """The same with an exception, which receive() will raise."""
        if not isinstance(exception, BaseException):
            raise TypeError(f"expected an exception, not {exception!r}")
        self._send((None, exception), timeout)

    def receive(self, timeout: Optional[float] = None) -> Any:
        """Wait for a sender; TimeoutError if there is none within so many seconds, ChannelClosed."""
        seconds = _seconds(timeout)
        with self._mutex:
            if self._senders:
                sender = self._senders.popleft()
                item = sender.item
                sender.serve()
                return _unpack(item)
            self._check_open()
            waiter = _Waiter()
            self._receivers.append(waiter)
        try:
            self._wait(waiter, self._receivers, seconds, "received")
        except BaseException:
            if waiter.served and waiter.item:
                self._give_back(waiter.item)
            raise
        return _unpack(waiter.item)

    def close(self) -> None:
        """Nothing more will be sent: those who wait, and all who come later, get ChannelClosed; iterations end."""
        with self._mutex:
            self._closed = True
            for waiters in self._senders, self._receivers:
                while waiters:
                    waiters.popleft().serve((None, ChannelClosed("the channel was closed")))

    def __iter__(self) -> Iterator:
        """What is received, until the channel is closed."""
        while True:
            try:
                yield self.receive()
            except ChannelClosed:
                return

    def _check_open(self):
        if self._closed:
            raise ChannelClosed("the channel was closed")

    def _send(self, item, timeout):
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

    def _wait(self, waiter, waiters, seconds, done):
        try:
            waiter.lock.acquire(timeout=seconds)
        finally:
            with self._mutex:
                if not waiter.served:
                    waiters.remove(waiter)
        if not waiter.served:
            raise TimeoutError(f"nothing was {done} within {seconds} s")

    def _give_back(self, item):
        """It was handed to a receiver that was interrupted just then."""
        with self._mutex:
            if self._receivers:
                self._receivers.popleft().serve(item)
            else:
                self._senders.appendleft(_Waiter(item))


def _unpack(item):
    value, exception = item
    if exception is not None:
        raise exception
    return value


def receive_with_timeout(timeout: float, channel: Channel, default: Any = None) -> Any:
    """channel.receive(timeout), or default in place of TimeoutError."""
    try:
        return channel.receive(timeout)
    except TimeoutError:
        return default
