"""resolve: records from DNS, with their time to live. For the addresses of a host use socket.getaddrinfo."""
from __future__ import annotations

import errno
import ipaddress
import struct
from collections.abc import Iterator
from typing import NamedTuple

from ._inside import _syncless


TYPES = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
CAUSES = {errno.ENOENT: "there is no such name", errno.EAGAIN: "no name server has an answer",
          errno.EBADMSG: "the name or the answer is malformed"}


class DnsError(OSError):
    """A name could not be looked up.

    errno: ENOENT, there is no such name; EAGAIN, no server has an answer; EBADMSG, name or answer is malformed.
    """


class Mx(NamedTuple):
    """The value of an MX record. Try the host with the lowest preference first."""

    preference: int
    host: str


class Srv(NamedTuple):
    """The value of an SRV record, RFC 2782."""

    priority: int
    weight: int
    port: int
    target: str


class Record(NamedTuple):
    """name: after aliases were followed. ttl: seconds. value: str, but Mx for MX and Srv for SRV."""

    name: str
    type: str
    ttl: int
    value: str | Mx | Srv


def resolve(name: str, type: str = "A") -> list[Record]:
    """Ask DNS for the records of a name: type A, AAAA, MX, TXT, SRV, PTR, CNAME or NS.

    The list is empty if the name has none of that type. For PTR the name may be an IP address. resolv.conf is used,
    /etc/hosts is not. Names are any text that the server likes, with bytes that are not printable escaped (RFC 1035):
    check them before they go to a page or a shell. DnsError if there is no such name or no answer; ValueError for
    another type.

        for record in sorted(resolve("example.com", "MX"), key=lambda record: record.value):
            print(record.value.host, record.ttl)
    """
    if type not in TYPES:
        raise ValueError(f"type {type!r} is not one of {', '.join(TYPES)}")
    asked = _reverse(name) if type == "PTR" else name
    try:
        reply = _ask(asked, TYPES[type])
    except OSError as error:
        if error.errno == errno.ENODATA:
            return []
        if error.errno not in CAUSES:
            raise
        raise DnsError(error.errno, f"{name} {type}: {CAUSES[error.errno]}") from None
    try:
        return list(_Message(reply).records(type))
    except (IndexError, ValueError, struct.error):
        raise DnsError(errno.EBADMSG, f"{name} {type}: {CAUSES[errno.EBADMSG]}") from None


def _ask(name: str, number: int) -> bytes:
    if _syncless.handle() is not None:
        return _syncless.query(name, number)
    from .coroutine import spawn  # an OS thread: a coroutine asks for it
    outcome = spawn(_try, name, number).get()
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


def _try(name: str, number: int) -> bytes | OSError:
    try:
        return _syncless.query(name, number)
    except OSError as error:
        return error


def _reverse(name: str) -> str:
    try:
        return ipaddress.ip_address(name).reverse_pointer
    except ValueError:
        return name


def _text(byte: int) -> str:
    """A byte of a name as RFC 1035 section 5.1 writes it: dots in labels and what is not printable are escaped."""
    if not 0x20 < byte < 0x7F:
        return f"\\{byte:03}"
    return f"\\{byte:c}" if byte in b'.\\"$();@' else chr(byte)


class _Message:
    """A DNS message, RFC 1035 section 4."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def records(self, type: str) -> Iterator[Record]:
        """The records of the type in its answer section, of the name in the question or what it is an alias of.

        A server may add records of other names, which say nothing.
        """
        questions, answers = struct.unpack_from("!HH", self.data, 4)
        if questions != 1:
            raise ValueError("not one question")
        owner, at = self.name(12)
        at += 4
        for _ in range(answers):
            name, at = self.name(at)
            number, kind, ttl, size = struct.unpack_from("!HHIH", self.data, at)
            at += 10
            if kind == 1 and name.lower() == owner.lower():
                if number == TYPES[type]:
                    yield Record(name, type, ttl, getattr(self, type)(at, size))
                if number == TYPES["CNAME"]:
                    owner = self.CNAME(at, size)
            at += size

    def name(self, at: int) -> tuple[str, int]:
        """Return the name at an offset, in the form of master files, and the offset after it.

        Pointers must lead backwards.
        """
        labels: list[str] = []
        end: int | None = None
        limit = len(self.data)
        while True:
            size = self.data[at]
            if size >= 0xC0:
                end = end or at + 2
                at = struct.unpack_from("!H", self.data, at)[0] & 0x3FFF
                if at >= limit:
                    raise IndexError("a pointer that leads forward")
                limit = at
            elif size == 0:
                return ".".join(labels), end or at + 1
            else:
                labels.append("".join(map(_text, self.data[at + 1:at + 1 + size])))
                at += 1 + size

    def A(self, at: int, size: int) -> str:
        return str(ipaddress.IPv4Address(self.data[at:at + size]))

    def AAAA(self, at: int, size: int) -> str:
        return str(ipaddress.IPv6Address(self.data[at:at + size]))

    def PTR(self, at: int, size: int) -> str:
        return self.name(at)[0]

    CNAME = NS = PTR

    def MX(self, at: int, size: int) -> Mx:
        return Mx(struct.unpack_from("!H", self.data, at)[0], self.name(at + 2)[0])

    def SRV(self, at: int, size: int) -> Srv:
        priority, weight, port = struct.unpack_from("!HHH", self.data, at)
        return Srv(priority, weight, port, self.name(at + 6)[0])

    def TXT(self, at: int, size: int) -> str:
        text, end = bytearray(), at + size
        while at < end:
            text += self.data[at + 1:at + 1 + self.data[at]]
            at += 1 + self.data[at]
        return text.decode("utf-8", "surrogateescape")
