"""resolve: records from DNS, with their time to live. For addresses of hosts alone, socket.getaddrinfo does better."""
import errno
import ipaddress
import struct
from typing import Any, List, NamedTuple

import _syncless

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
CAUSES = {errno.ENOENT: "there is no such name", errno.EAGAIN: "no name server has an answer",
          errno.EBADMSG: "no name, or no answer, looks like that"}


class DnsError(OSError):
    """A name could not be looked up. errno: ENOENT, there is none; EAGAIN, no server has an answer; EBADMSG."""


class Mx(NamedTuple):
    """The value of an MX record. The host with the lowest preference is to be tried first."""

    preference: int
    host: str


class Srv(NamedTuple):
    """The value of an SRV record, RFC 2782."""

    priority: int
    weight: int
    port: int
    target: str


class Record(NamedTuple):
    """name: whose record it is, after aliases. ttl: seconds. value: str, but Mx for MX and Srv for SRV."""

    name: str
    type: str
    ttl: int
    value: Any


def resolve(name: str, type: str = "A") -> List[Record]:
    """Ask DNS for the records of a name: type A, AAAA, MX, TXT, SRV, PTR, CNAME or NS. Empty if it has none of that type.

    For PTR the name may be an IP address. /etc/hosts is not looked at, resolv.conf is. DnsError if there is no such name or
    no answer; ValueError for another type.

        for record in sorted(resolve("example.com", "MX"), key=lambda record: record.value):
            print(record.value.host, record.ttl)
    """
    if type not in TYPES:
        raise ValueError(f"type {type!r} is none of {', '.join(TYPES)}")
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


def _ask(name, number):
    if _syncless.handle() is not None:
        return _syncless.query(name, number)
    from .coroutine import spawn  # an OS thread: have a coroutine ask
    outcome = spawn(_try, name, number).get()
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


def _try(name, number):
    try:
        return _syncless.query(name, number)
    except OSError as error:
        return error


def _reverse(name):
    try:
        return ipaddress.ip_address(name).reverse_pointer
    except ValueError:
        return name


class _Message:
    """A DNS message, RFC 1035 section 4."""

    def __init__(self, data):
        self.data = data

    def records(self, type):
        """Those of its answer section that have the type; others are aliases on the way."""
        questions, answers = struct.unpack_from("!HH", self.data, 4)
        at = 12
        for _ in range(questions):
            at = self.name(at)[1] + 4
        for _ in range(answers):
            name, at = self.name(at)
            number, _, ttl, size = struct.unpack_from("!HHIH", self.data, at)
            at += 10
            if number == TYPES[type]:
                yield Record(name, type, ttl, getattr(self, type)(at, size))
            at += size

    def name(self, at):
        """The name at an offset, and where what follows it begins. A pointer leads backwards only."""
        labels, end, limit = [], None, len(self.data)
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
                labels.append(self.data[at + 1:at + 1 + size].decode("latin-1"))
                at += 1 + size

    def A(self, at, size):
        return str(ipaddress.IPv4Address(self.data[at:at + size]))

    def AAAA(self, at, size):
        return str(ipaddress.IPv6Address(self.data[at:at + size]))

    def PTR(self, at, size):
        return self.name(at)[0]

    CNAME = NS = PTR

    def MX(self, at, size):
        return Mx(struct.unpack_from("!H", self.data, at)[0], self.name(at + 2)[0])

    def SRV(self, at, size):
        return Srv(*struct.unpack_from("!HHH", self.data, at), self.name(at + 6)[0])

    def TXT(self, at, size):
        text, end = bytearray(), at + size
        while at < end:
            text += self.data[at + 1:at + 1 + self.data[at]]
            at += 1 + self.data[at]
        return text.decode("utf-8", "surrogateescape")
