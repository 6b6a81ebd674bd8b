"""The application: all calls that look up names, each with a table of arguments; one line of output per call."""
import itertools
import socket

NAMES = [
    "a.test", "A.Test", "a.test.", "both.test", "six.test", "many.test", "ranks.test", "near.test", "alias.test",
    "double.test", "dangling.test", "gone.test", "gone.test.", "www", "www.", "api.v2", "deep", "refused.example", "..",
    "a..test", ".test", "x" * 64 + ".test", "bad name.test", "under_score.test", "localhost", "LOCALHOST", "host.test",
    "nick", "Nick2", "hosts-six.test", "hosts-both.test", "127.0.0.1", "127.1", "0x7f000001", "127.0.0.256",
    "1.2.3.4.5", "::1", "::", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%lo", "fe80::1%nowhere", "fe80::1%1", "[::1]",
    "1:2", "", None,
]
IMPOSSIBLE = ["[::1]", "1:2", "bad name.test", "..", "a..test", ".test"]
SERVICES = [None, "80", "http", "domain", "tftp", "99999", "nonsense", ""]
FAMILIES = [socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6, socket.AF_UNIX]
TYPES = [(0, 0), (socket.SOCK_STREAM, 0), (socket.SOCK_DGRAM, 0), (socket.SOCK_RAW, 0), (0, socket.IPPROTO_TCP),
         (socket.SOCK_STREAM, socket.IPPROTO_UDP), (99, 0)]
FLAGS = [0, socket.AI_PASSIVE, socket.AI_CANONNAME, socket.AI_NUMERICHOST, socket.AI_NUMERICSERV, socket.AI_ADDRCONFIG,
         socket.AI_V4MAPPED, socket.AI_V4MAPPED | socket.AI_ALL, socket.AI_V4MAPPED | socket.AI_ADDRCONFIG,
         socket.AI_CANONNAME | socket.AI_NUMERICHOST, 1 << 29]
ADDRESSES = ["192.0.2.1", "192.0.2.3", "192.0.2.99", "127.0.0.1", "192.0.2.100", "203.0.113.1", "2001:db8::3",
             "2001:db8::99", "::1", "2001:db8::100", "fe80::1%lo", "::ffff:192.0.2.1"]
NAME_FLAGS = [0, socket.NI_NAMEREQD, socket.NI_NUMERICHOST, socket.NI_NUMERICSERV, socket.NI_NOFQDN, socket.NI_DGRAM]


def look(function, *arguments):
    try:
        result = function(*arguments)
    except (OSError, UnicodeError, ValueError) as error:
        result = f"{type(error).__name__}: {error}"
    return f"{function.__name__}{arguments} -> {result}\n"


def lines():
    # Not every combination: each product varies some arguments and leaves the others at common values.
    for name, family, flags in itertools.product(NAMES, FAMILIES, FLAGS):
        if name in IMPOSSIBLE and flags == socket.AI_CANONNAME:
            continue  # glibc sends a query for these names, but only with this flag
        yield look(socket.getaddrinfo, name, "80", family, socket.SOCK_STREAM, 0, flags)
    names = ["a.test", "both.test", "host.test", "::1", None]
    for name, service, (kind, protocol) in itertools.product(names, SERVICES, TYPES):
        yield look(socket.getaddrinfo, name, service, 0, kind, protocol, 0)
    for name in NAMES[:-1]:
        yield look(socket.gethostbyname, name)
        yield look(socket.gethostbyname_ex, name)
        yield look(socket.gethostbyaddr, name)
        yield look(socket.getfqdn, name)
    for address, flags in itertools.product(ADDRESSES, NAME_FLAGS):
        yield look(socket.getnameinfo, (address, 80), flags)
    for address in ADDRESSES:
        yield look(socket.gethostbyaddr, address)


def application(environ, start_response):
    start_response("200 OK", [])
    return ["".join(lines()).encode()]
