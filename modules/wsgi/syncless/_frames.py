"""What a library sends that speaks WebSocket itself: where its frames end."""
from __future__ import annotations

MOST_HEAD = 65536  # bytes of a response head
CLOSE = 8


class Frames:
    """Follows the bytes of a server: a response head, then frames (RFC 6455 section 5.2), which have no mask."""

    def __init__(self) -> None:
        self._begun = bytearray()  # what has come of the head, or of the header of a frame
        self._left = 0  # bytes of the frame that are still to come
        self._opened = self._closed = False

    def is_between(self) -> bool:
        """Whether another frame may be sent now."""
        return self._opened and not self._closed and not self._left and not self._begun

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        data = memoryview(data).cast("B")
        while len(data) and not self._closed:
            skipped = min(self._left, len(data))
            self._left -= skipped
            data = data[skipped:]
            if len(data):
                data = self._feed_header(data) if self._opened else self._feed_head(data)

    def _feed_head(self, data: memoryview) -> memoryview:
        before = len(self._begun)
        self._begun += data
        end = self._begun.find(b"\r\n\r\n", max(before - 3, 0))
        if end < 0:
            self._closed = before > MOST_HEAD  # not a WebSocket
            return data[len(data):]
        self._opened = self._begun.startswith(b"HTTP/1.1 101")
        self._closed = not self._opened
        self._begun.clear()
        return data[end + 4 - before:]

    def _feed_header(self, data: memoryview) -> memoryview:
        needed = 2
        if len(self._begun) >= 2:
            needed += {126: 2, 127: 8}.get(self._begun[1] & 127, 0)
        taken = data[:needed - len(self._begun)]
        self._begun += taken
        if len(self._begun) == needed and not (needed == 2 and self._begun[1] & 127 >= 126):
            size = self._begun[1] & 127 if needed == 2 else int.from_bytes(self._begun[2:], "big")
            self._closed = self._begun[0] & 15 == CLOSE
            self._left = size
            self._begun.clear()
        return data[len(taken):]
