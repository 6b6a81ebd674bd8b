"""WebSockets (RFC 6455) for WSGI applications.

    def application(environ, start_response):
        if environ.get("HTTP_UPGRADE", "").lower() != "websocket":
            ...                                             # a page
        ws = environ["syncless.websocket"]()
        for message in ws:                                  # str or bytes, as the client sent it
            ws.send(message)
        return []

Each connection is a request that goes on: it has its coroutine, and others may send on it too. There is no compression.
"""
from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import threading
from collections.abc import Iterator, Sequence


from ._inside import _syncless
from .timeout import Timeout

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_STATUS, NOT_UTF8, TOO_BIG = 1000, 1001, 1002, 1005, 1007, 1009
CHUNK = 65536       # bytes
CLOSE_TIMEOUT = 10  # seconds that a client has to answer a close frame


class HandshakeError(ValueError):
    """The request is not a WebSocket handshake; answer it with 400 (or 426)."""


class ConnectionClosed(ConnectionError):
    """The connection is closed.

    code: of the close frame; 1005 if it had none, 1006 if there was no close frame. reason: its text.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"the WebSocket is closed: {code} {reason}".rstrip())
        self.code, self.reason = code, reason


class _Violation(Exception):
    """What the client sends violates the protocol."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text  # of the close frame


def _unmask(data: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """Apply the mask by XOR of two large integers, which is fast."""
    size = len(data)
    keys = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def _frame(opcode: int, data: bytes) -> bytes:
    size = len(data)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
    return head + data


def _is_code(code: int) -> bool:
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


class WebSocket:
    """One connection; made by environ["syncless.websocket"]().

    subprotocol: the one that was chosen, or None.
    """

    def __init__(self, stream: _syncless.Stream, subprotocol: str | None, max_size: int) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._max_size = max_size
        self._sending = threading.Lock()
        self._receiving = threading.Lock()
        self._closed: ConnectionClosed | None = None  # what recv and send raise from now on
        self._said_close = False
        self._message = bytearray()  # the fragments of a message that is not complete
        self._opcode = 0             # of that message, or 0
        self.subprotocol = subprotocol

    @property
    def closed(self) -> bool:
        """Whether the connection is closed."""
        return self._closed is not None

    # ---- sending ----

    def send(self, message: str | bytes | bytearray | memoryview) -> None:
        """Send a str as text, bytes as binary, on any coroutine. Waits for a slow client. ConnectionClosed."""
        if isinstance(message, str):
            self._send(TEXT, message.encode())
        elif isinstance(message, (bytes, bytearray, memoryview)):
            self._send(BINARY, bytes(message))
        else:
            raise TypeError(f"a message is str or bytes, not {type(message).__name__}")

    def ping(self, data: bytes = b"") -> None:
        """Send a ping of at most 125 bytes; recv() handles the pong."""
        if len(data) > 125:
            raise ValueError("a ping has at most 125 bytes")
        self._send(PING, bytes(data))

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send a close frame, and wait up to ten seconds for that of the client. Does nothing if it was called before.

        ValueError for a code that may not be sent, or a reason of more than 123 bytes.
        """
        text = reason.encode()
        if not _is_code(code) or len(text) > 123:
            raise ValueError(f"a WebSocket cannot be closed with {code} {reason!r}")
        self._say_close(struct.pack("!H", code) + text)
        with Timeout(CLOSE_TIMEOUT, False):
            for _ in self:
                pass

    def _send(self, opcode: int, data: bytes) -> None:
        with self._sending:
            if self._closed:
                raise self._closed
            if self._said_close:
                raise ConnectionClosed(NORMAL, "by this side")
            self._put(opcode, data)

    def _put(self, opcode: int, data: bytes) -> None:
        try:
            self._stream.send(_frame(opcode, data))
        except OSError as error:
            self._closed = ConnectionClosed(1006, str(error))
            raise self._closed from None

    def _say_close(self, payload: bytes) -> None:
        with self._sending:
            if not self._said_close and not self._closed:
                self._said_close = True
                self._put(CLOSE, payload)

    # ---- receiving ----

    def recv(self) -> str | bytes:
        """Return the next message. Pings are answered and fragments joined here. ConnectionClosed at the end.

        Several coroutines may call it; one waits for the other. A Timeout around it loses nothing. A client that
        violates the protocol, or sends more than max_size, is disconnected.
        """
        with self._receiving:
            return self._recv()

    def _recv(self) -> str | bytes:
        if self._closed:
            raise self._closed
        try:
            while True:
                message = self._take_frame()
                if message is not None:
                    return message
        except _Violation as violation:
            self._say_close(struct.pack("!H", violation.code) + violation.text.encode())
            self._closed = ConnectionClosed(violation.code, violation.text)
            raise self._closed from None

    def __iter__(self) -> Iterator[str | bytes]:
        """Iterate over the messages, until the connection closes."""
        while True:
            try:
                yield self.recv()
            except ConnectionClosed:
                return

    def _fill(self, size: int) -> None:
        """Receive until the buffer has that many bytes.

        Only whole frames are taken out of it, so an exception here, such as a Timeout, loses nothing.
        """
        while len(self._buffer) < size:
            data = self._receive()
            if not data:
                self._closed = ConnectionClosed(1006, "the client is gone")
                raise self._closed
            self._buffer += data

    def _receive(self) -> bytes:
        try:
            return self._stream.recv(CHUNK)
        except (ConnectionError, TimeoutError):
            return b""

    def _take_frame(self) -> str | bytes | None:
        """Read a frame. Return the message that it completes, or None."""
        self._fill(2)
        first, second = self._buffer[:2]
        opcode, size, head = first & 15, second & 127, 2
        if first & 0x70:
            raise _Violation(PROTOCOL_ERROR, "reserved bits are set")
        if not second & 128:
            raise _Violation(PROTOCOL_ERROR, "a client must mask its frames")
        if opcode >= CLOSE:
            self._check_control(opcode, bool(first & 128), size)
            self._take_control(opcode, self._take_payload(head, size))
            return None
        if size >= 126:
            form, head = ("!H", 4) if size == 126 else ("!Q", 10)
            self._fill(head)
            size, = struct.unpack_from(form, self._buffer, 2)
        self._check_data(opcode, size)
        return self._take_data(opcode, bool(first & 128), self._take_payload(head, size))

    def _take_payload(self, head: int, size: int) -> bytes:
        """Take a frame, whose head and payload have that many bytes, out of the buffer."""
        begin = head + 4
        self._fill(begin + size)
        data = _unmask(self._buffer[begin:begin + size], self._buffer[head:begin])
        del self._buffer[:begin + size]
        return data

    def _check_data(self, opcode: int, size: int) -> None:
        if opcode > BINARY or (opcode == CONTINUATION) != bool(self._opcode):
            raise _Violation(PROTOCOL_ERROR, "an unexpected frame")
        if len(self._message) + size > self._max_size:
            raise _Violation(TOO_BIG, f"a message has more than {self._max_size} bytes")

    def _take_data(self, opcode: int, final: bool, data: bytes) -> str | bytes | None:
        if final and not self._opcode:  # as usual, a message in one frame
            return self._decode(data) if opcode == TEXT else data
        self._opcode = self._opcode or opcode
        self._message += data
        if not final:
            return None
        data, opcode = bytes(self._message), self._opcode
        self._message, self._opcode = bytearray(), 0
        return self._decode(data) if opcode == TEXT else data

    @staticmethod
    def _decode(data: bytes | bytearray) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise _Violation(NOT_UTF8, "text that is not UTF-8") from None

    @staticmethod
    def _check_control(opcode: int, final: bool, size: int) -> None:
        if opcode > PONG or not final or size > 125:
            raise _Violation(PROTOCOL_ERROR, "a malformed control frame")

    def _take_control(self, opcode: int, data: bytes) -> None:
        if opcode == PING:
            with self._sending:
                if not self._said_close:
                    self._put(PONG, data)
        elif opcode == CLOSE:
            self._take_close(data)

    def _take_close(self, data: bytes) -> None:
        if len(data) == 1:
            raise _Violation(PROTOCOL_ERROR, "half a close code")
        code = struct.unpack_from("!H", data)[0] if data else NO_STATUS
        if data and not _is_code(code):
            raise _Violation(PROTOCOL_ERROR, f"{code} is not a close code")
        reason = self._decode(data[2:])
        self._say_close(data[:2])
        self._closed = ConnectionClosed(code, reason)
        raise self._closed


def _check_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def accept(subprotocols: Sequence[str] = (), max_size: int = 1 << 20) -> WebSocket:
    """Turn the request that this coroutine serves into a WebSocket: environ["syncless.websocket"].

    subprotocols: those of the application, best first; the first one that the client offers is chosen.
    max_size: bytes of the largest message; a larger one closes the connection with code 1009.

    HandshakeError if the request is not a WebSocket handshake.
    """
    field = _syncless.field
    if (field("Upgrade") or "").lower() != "websocket" or "upgrade" not in (field("Connection") or "").lower():
        raise HandshakeError("the request does not ask for a WebSocket")
    key = field("Sec-WebSocket-Key")
    if field("Sec-WebSocket-Version") != "13" or key is None or not _check_key(key):
        raise HandshakeError("the WebSocket handshake is malformed, or its version is not 13")
    digest = hashlib.sha1(key.encode() + GUID).digest()
    fields = [("Sec-WebSocket-Accept", base64.b64encode(digest).decode())]
    offered = [name.strip() for name in (field("Sec-WebSocket-Protocol") or "").split(",")]
    chosen = next((name for name in subprotocols if name in offered), None)
    if chosen:
        fields.append(("Sec-WebSocket-Protocol", chosen))
    return WebSocket(_syncless.upgrade(fields), chosen, max_size)
