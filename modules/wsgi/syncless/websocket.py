"""WebSockets (RFC 6455) for WSGI applications.

    def application(environ, start_response):
        if environ.get("HTTP_UPGRADE", "").lower() != "websocket":
            ...                                             # a page
        ws = environ["syncless.websocket"]()
        for message in ws:                                  # str or bytes, as the client sent it
            ws.send(message)
        return []

Each connection is a request that goes on: it has its coroutine, and others may send on it too. Messages are compressed
if the client can (permessage-deflate, RFC 7692), each for itself, so an idle connection keeps no state of zlib. When
the worker is about to end, each client is told by a close frame with code 1001.
"""
from __future__ import annotations

import base64
import binascii
import os
import socket
import struct
import threading
import time
import weakref
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

try:
    from _sha1 import sha1  # type: ignore[import]  # without OpenSSL, which hashlib loads
except ImportError:
    from hashlib import sha1

from ._drain import draining, when_draining
from ._frames import Frames
from ._inside import _syncless
from .coroutine import spawn
from .timeout import Timeout

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_STATUS, NOT_UTF8, TOO_BIG = 1000, 1001, 1002, 1005, 1007, 1009
CHUNK = 65536       # bytes
MIN_DEFLATED = 64   # bytes of a message that is worth to be compressed
CONTROLS = 32       # control frames after which the others have a turn
MAX_BLOCKS = 64     # of a frame that are each marked as the last one of the message
SLACK = 64          # bytes by which an empty or small message may grow when it is compressed
TAIL = b"\0\0\xff\xff"  # the end of each compressed message, which is not sent (RFC 7692 section 7.2.1)
CLOSE_TIMEOUT = 10  # seconds that a client has to answer a close frame


class HandshakeError(ValueError):
    """The request is not a WebSocket handshake.

    If the application does not catch it, it is answered as it should be: with 426 and the version that we speak, 405 or
    400. code: that status; headers: its fields.
    """

    def __init__(self, text: str, code: int = 400, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.code, self.headers = code, list(headers)


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


def _frame(opcode: int, data: bytes, deflated: bool = False) -> bytes:
    size, first = len(data), (0xC0 if deflated else 0x80) | opcode
    if size < 126:
        head = struct.pack("!BB", first, size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 126, size)
    else:
        head = struct.pack("!BBQ", first, 127, size)
    return head + data


class _Inflater:
    """Decompresses one message, which may become max_size bytes long, and then no more."""

    def __init__(self, max_size: int) -> None:
        self._stream = zlib.decompressobj(-15)
        self._left = max_size

    def add(self, data: bytes, final: bool) -> bytes:
        try:
            return self._inflate(data + TAIL if final else data)
        except zlib.error as error:
            raise _Violation(NOT_UTF8, f"a message that cannot be decompressed: {error}") from None

    def _inflate(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        while data:
            if len(parts) > MAX_BLOCKS:
                raise _Violation(NOT_UTF8, "a compressed message that ends too often")
            parts.append(self._stream.decompress(data, self._left + 1))
            self._left -= len(parts[-1])
            if self._left < 0 or self._stream.unconsumed_tail:
                raise _Violation(TOO_BIG, "a decompressed message is too large")
            data = self._stream.unused_data
            if self._stream.eof:  # a block was marked as the last one: RFC 7692 section 7.2.3.4
                self._stream = zlib.decompressobj(-15)
        return b"".join(parts)


class _Deflate:
    """What was agreed on about compression.

    response: the field that says so. bits: of the largest window that we may use.
    """

    def __init__(self, parameters: dict[str, str | None]) -> None:
        self.bits = int(parameters.get("server_max_window_bits") or 15)
        self.response = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        if "server_max_window_bits" in parameters:
            self.response += f"; server_max_window_bits={self.bits}"

    def pack(self, data: bytes) -> bytes | None:
        """Compress a message; None if that makes it no smaller."""
        stream = zlib.compressobj(6, zlib.DEFLATED, -self.bits, 5)
        packed = stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
        return packed[:-4] if len(packed) - 4 < len(data) else None


def _window_bits(value: str | None) -> bool:
    """Whether zlib can use this window; it takes 8 for 9."""
    return value is not None and value.isascii() and value.isdigit() and value[0] != "0" and 9 <= int(value) <= 15


def _parameters(offer: str) -> dict[str, str | None] | None:
    """The parameters of an offer of permessage-deflate that we can take, or None."""
    name, *rest = [part.strip() for part in offer.split(";")]
    found: dict[str, str | None] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if key.strip() in found:
            return None
        found[key.strip()] = value.strip().strip('"') if equals else None
    flags = [found.get(key) for key in ("server_no_context_takeover", "client_no_context_takeover")]
    known = {"server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits",
             "client_max_window_bits"}
    if name.lower() != "permessage-deflate" or any(flags) or set(found) - known:
        return None
    if "server_max_window_bits" in found and not _window_bits(found["server_max_window_bits"]):
        return None
    client = found.get("client_max_window_bits")
    return None if client is not None and client != "8" and not _window_bits(client) else found


def _agree(offers: list[str]) -> _Deflate | None:
    """Take the first offer that we can."""
    for offer in ",".join(offers).split(","):
        parameters = _parameters(offer)
        if parameters is not None:
            return _Deflate(parameters)
    return None


def _is_code(code: int) -> bool:
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


class WebSocket:
    """One connection; made by environ["syncless.websocket"]().

    subprotocol: the one that was chosen, or None.
    """

    def __init__(self, stream: _syncless.Stream, subprotocol: str | None, max_size: int,
                 deflate: _Deflate | None = None, pings: tuple[float, float] = (0, 0)) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._max_size = max_size
        self._sending = threading.Lock()
        self._receiving = threading.Lock()
        self._closed: ConnectionClosed | None = None  # what recv and send raise from now on
        self._said_close = False
        self._message = bytearray()  # the fragments of a message that is not complete
        self._opcode = 0             # of that message, or 0
        self._inflater: _Inflater | None = None  # of that message, if it is compressed
        self._deflate = deflate
        self._controls = 0  # control frames so far
        self._pings = pings  # seconds of silence until a ping, and from then on to the end; 0: no pings
        self._pinged = False  # the client is silent, and was sent one
        stream.timeout(pings[0])
        self.subprotocol = subprotocol
        _open.add(self)
        if draining():
            spawn(self._go_away)

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
        packed = self._deflate.pack(data) if self._deflate and opcode < CLOSE and len(data) >= MIN_DEFLATED else None
        try:
            self._stream.send(_frame(opcode, data) if packed is None else _frame(opcode, packed, True))
        except OSError as error:
            self._closed = ConnectionClosed(1006, str(error))
            raise self._closed from None

    def _say_close(self, payload: bytes) -> None:
        with self._sending:
            if not self._said_close and not self._closed:
                self._said_close = True
                self._put(CLOSE, payload)

    def _go_away(self) -> None:
        """The worker is about to end: tell the client. The application learns it when the client has answered."""
        try:
            self._say_close(struct.pack("!H", GOING_AWAY))
        except ConnectionClosed:
            return  # it has gone already
        time.sleep(CLOSE_TIMEOUT)
        if not self._closed:
            self._stream.stop()

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
            while (data := self._stream.recv(CHUNK)) is None:
                self._ping_silent()
            if self._pinged:
                self._pinged = False
                self._stream.timeout(self._pings[0])
            return data
        except (ConnectionError, TimeoutError):
            return b""
        except OSError:
            if not self._said_close:
                raise
            return b""  # by _go_away: the client has not answered

    def _ping_silent(self) -> None:
        """The client has sent nothing for a while: ask whether it is there; or it is not, if it was asked before."""
        if self._pinged:
            self._closed = ConnectionClosed(1006, "no answer to a ping")
            raise self._closed
        self._pinged = True
        self._stream.timeout(self._pings[1])
        with self._sending:
            if not self._said_close:
                self._put(PING, b"")

    def _take_frame(self) -> str | bytes | None:
        """Read a frame. Return the message that it completes, or None."""
        self._fill(2)
        first, second = self._buffer[:2]
        opcode, size, head = first & 15, second & 127, 2
        deflated = bool(first & 0x40)
        if first & 0x30 or (deflated and (not self._deflate or opcode not in (TEXT, BINARY))):
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
        return self._take_data(opcode, bool(first & 128), deflated, self._take_payload(head, size))

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
        if len(self._message) + size > self._max_size + (SLACK if self._deflate else 0):
            raise _Violation(TOO_BIG, f"a message has more than {self._max_size} bytes")

    def _take_data(self, opcode: int, final: bool, deflated: bool, data: bytes) -> str | bytes | None:
        if deflated:
            self._inflater = _Inflater(self._max_size)
        if self._inflater:
            data = self._inflater.add(data, final)
            self._inflater = None if final else self._inflater
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
        self._controls += 1
        if self._controls % CONTROLS == 0:
            _syncless.yield_now()
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


_open: weakref.WeakSet[WebSocket] = weakref.WeakSet()
_handed_over: weakref.WeakSet[ClientSocket] = weakref.WeakSet()


def _close_all() -> None:
    for ws in list(_open):
        if not ws.closed:
            spawn(ws._go_away)  # a slow client holds up no other
    for sock in list(_handed_over):
        spawn(sock._go_away)


when_draining(_close_all)


def _has_token(name: str, token: str) -> bool:
    return token in [part.strip().lower() for value in _syncless.fields(name) for part in value.split(",")]


def _check_handshake() -> str:
    """Return the key. HandshakeError, with the answer that RFC 6455 section 4.2 and 4.4 want."""
    fields = _syncless.fields
    version = [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    asks = _has_token("Upgrade", "websocket") and _has_token("Connection", "upgrade")
    if not asks or fields(":version") != ["1.1"]:
        raise HandshakeError("the request does not ask for a WebSocket", 426, version)
    if fields(":method") != ["GET"]:
        raise HandshakeError("a WebSocket begins with GET", 405, [("Allow", "GET")])
    if fields("Sec-WebSocket-Version") != ["13"]:
        raise HandshakeError("the version of the WebSocket protocol is not 13", 426, version)
    keys = fields("Sec-WebSocket-Key")
    if len(keys) != 1 or not _check_key(keys[0]):
        raise HandshakeError("the WebSocket handshake is malformed: it needs one key of 16 bytes in base64")
    if fields("Transfer-Encoding") or fields("Content-Length") not in ([], ["0"]):
        raise HandshakeError("a WebSocket handshake has no body")
    return keys[0]


def accept(subprotocols: Sequence[str] = (), max_size: int = 1 << 20, compression: bool = True,
           ping_interval: float | None = 30, ping_timeout: float = 30) -> WebSocket:
    """Turn the request that this coroutine serves into a WebSocket: environ["syncless.websocket"].

    subprotocols: those of the application, best first; the first one that the client offers is chosen.
    max_size: bytes of the largest message; a larger one closes the connection with code 1009. compression: whether it
    is used if the client can. ping_interval: seconds for which a client may be silent, while recv waits, until it is
    sent a ping; None: none is sent. ping_timeout: seconds that it then has to send anything, or else it is gone.

    HandshakeError if the request is not a WebSocket handshake. What the application returns after it is ignored.
    """
    key = _check_handshake()
    fields = [("Sec-WebSocket-Accept", base64.b64encode(sha1(key.encode() + GUID).digest()).decode())]
    offered = [name.strip() for value in _syncless.fields("Sec-WebSocket-Protocol") for name in value.split(",")]
    chosen = next((name for name in subprotocols if name in offered), None)
    if chosen:
        fields.append(("Sec-WebSocket-Protocol", chosen))
    deflate = _agree(_syncless.fields("Sec-WebSocket-Extensions")) if compression else None
    if deflate:
        fields.append(("Sec-WebSocket-Extensions", deflate.response))
    pings = (ping_interval, ping_timeout) if ping_interval else (0, 0)
    return WebSocket(_syncless.upgrade(fields), chosen, max_size, deflate, pings)


class ClientSocket:
    """environ["gunicorn.socket"]: the connection of a request that asks for an upgrade, as a blocking socket.

    For libraries that speak the protocol themselves: simple-websocket, Flask-Sock, python-engineio. With its first use,
    on the coroutine of the request, the server leaves the connection to it; it is closed when the request ends. When
    the worker is about to end, the client gets a close frame with 1001 between two frames of the library, which then
    learns by the client's answer that the connection is over.
    """

    # What leaves the frames that are sent to send and sendall.
    _HARMLESS = frozenset(["fileno", "recv_into", "settimeout", "gettimeout", "setblocking", "getblocking",
                           "setsockopt", "getsockopt", "getpeername", "getsockname", "shutdown", "close", "family",
                           "type", "proto"])

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._early = b""  # received by the server before
        self._frames: Frames | None = Frames()  # None: it is not known what the library sends
        self._sending = threading.RLock()
        self._leaves = self._said_close = self._ended = False

    def _take(self) -> socket.socket:
        if self._socket is None:
            fd, self._early = _syncless.hand_over(self)
            self._socket = socket.socket(fileno=os.dup(fd))
            self._socket.setblocking(True)
            _handed_over.add(self)
            if draining():
                self._leaves = True
        return self._socket

    def __getattr__(self, name: str) -> Any:
        if name not in self._HARMLESS:
            self._frames = None
        return getattr(self._take(), name)

    def send(self, data: Any, flags: int = 0) -> int:
        with self._sending:
            if self._said_close:  # nothing comes after it
                return len(memoryview(data).cast("B"))
            sent = self._take().send(data, flags)
            self._follow(memoryview(data).cast("B")[:sent])
        return sent

    def sendall(self, data: Any, flags: int = 0) -> None:
        with self._sending:
            if not self._said_close:
                self._take().sendall(data, flags)
                self._follow(data)

    def _follow(self, data: Any) -> None:
        if self._frames:
            self._frames.feed(data)
        if self._leaves:
            self._say_going_away()

    def _say_going_away(self) -> None:
        """Once, when no frame has begun."""
        if self._frames and self._frames.is_between():
            self._leaves = False
            self._said_close = True
            self._take().sendall(struct.pack("!BBH", 0x80 | CLOSE, 2, GOING_AWAY))

    def _go_away(self) -> None:
        """The worker is about to end."""
        try:
            with self._sending:
                self._leaves = True
                self._say_going_away()
        except OSError:
            return  # it has gone already
        time.sleep(CLOSE_TIMEOUT)
        if self._said_close and not self._ended:
            self._take().shutdown(socket.SHUT_RDWR)

    def recv(self, size: int, flags: int = 0) -> bytes:
        sock = self._take()
        if self._early and not flags:
            data, self._early = self._early[:size], self._early[size:]
            return data
        return sock.recv(size, flags)

    def end(self) -> None:
        """The request is over: nothing may use the connection any more, on whatever coroutine."""
        self._ended = True
        _handed_over.discard(self)
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed by the client, or by the library
            self._socket.close()
