"""What applications may give in place of what PEP 3333 asks for, since other servers take it."""
import pytest

from test_http import get, responses

APP = """
import array, collections, threading
from wsgiref.headers import Headers

OK, HTML = '200 OK', [('Content-Type', 'text/html')]
HELLO = memoryview(b'hello')
Pair = collections.namedtuple('Pair', 'name value')

def headers(s, given):
    s(OK, given)
    return [b'hello']

def body(s, result):
    s(OK, HTML)
    return result

def write(s, item):
    s(OK, HTML)(item)
    return []

def named(**arguments):
    def call(s):
        s(**arguments)
        return [b'hello']
    return call

def in_thread(s):
    thread = threading.Thread(target=s, args=(OK, (pair for pair in HTML)))
    thread.start()
    thread.join()
    return [b'hello']

def status(text):
    def call(s):
        s(text, HTML)
        return [b'hello']
    return call

HEADERS = {
    'tuple': lambda s: headers(s, tuple(HTML)),
    'lists': lambda s: headers(s, [['Content-Type', 'text/html']]),
    'generator': lambda s: headers(s, (pair for pair in HTML)),
    'items': lambda s: headers(s, dict(HTML).items()),
    'map': lambda s: headers(s, map(list, HTML)),
    'named_tuples': lambda s: headers(s, [Pair(*HTML[0])]),
    'wsgiref': lambda s: headers(s, Headers(HTML).items()),
    'thread': in_thread,
    'keywords': named(status=OK, headers=HTML),
    'pep': named(status=OK, response_headers=HTML, exc_info=None),
    'keyword': lambda s: s(OK, headers=HTML) and [b'hello'],
    'blanks': lambda s: headers(s, HTML + [('Content-Length', ' 5\t')]),
    'length_again': lambda s: headers(s, HTML + [('Content-Length', '5'), ('content-length', '05')]),
}
BODIES = {
    'bytes': lambda s: body(s, b'hello'),
    'subclass': lambda s: body(s, type('B', (bytes,), {})(b'hello')),
    'bytearray': lambda s: body(s, bytearray(b'hello')),
    'memoryview': lambda s: body(s, HELLO),
    'items': lambda s: body(s, [bytearray(b'he'), HELLO[2:3], b'lo']),
    'strided': lambda s: body(s, [memoryview(b'h-e-l-l-o')[::2]]),
    'wide': lambda s: body(s, (memoryview(array.array('H', [0x6568, 0x6c6c])), b'o')),
    'array': lambda s: body(s, [array.array('b', b'hello')]),
    'iterator': lambda s: body(s, iter([bytearray(b'hel'), HELLO[3:]])),
    'generator': lambda s: body(s, (HELLO[i:i + 1] for i in range(5))),
    'set': lambda s: body(s, {HELLO}),
    'write': lambda s: write(s, bytearray(b'hello')),
    'write_view': lambda s: write(s, HELLO),
}
EMPTY = {
    'bytes': lambda s: body(s, b''),
    'bytearray': lambda s: body(s, bytearray()),
    'item': lambda s: body(s, [memoryview(b'')]),
}

def application(environ, start_response):
    kind, name = environ['PATH_INFO'][1:].split('/')
    if kind == 'status':
        return status(environ['QUERY_STRING'].replace('+', ' '))(start_response)
    return {'headers': HEADERS, 'bodies': BODIES, 'empty': EMPTY}[kind][name](start_response)
"""


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon("[wsgi /]\napp = app", {"app.py": APP})


@pytest.mark.parametrize("name", ["tuple", "lists", "generator", "items", "map", "named_tuples", "wsgiref", "thread",
                                  "keywords", "pep", "keyword", "blanks", "length_again"])
def test_headers(server, name):
    status, headers, body = server.get("/headers/" + name)
    assert (status, headers["Content-Type"], body) == (200, "text/html", b"hello"), server.log
    assert headers.get_all("Content-Length") in (None, ["5"])


SIZED = ["bytes", "subclass", "bytearray", "memoryview", "items", "strided", "wide", "array", "iterator", "set"]


@pytest.mark.parametrize("name", SIZED + ["generator", "write", "write_view"])
def test_bodies(server, name):
    status, headers, body = server.get("/bodies/" + name)
    assert (status, body) == (200, b"hello"), server.log
    assert headers["Content-Length"] == ("5" if name in SIZED else None)
    assert server.request("HEAD", "/bodies/" + name)[::2] == (200, b"")


@pytest.mark.parametrize("name", ["bytes", "bytearray", "item"])
def test_empty_bodies(server, name):
    assert server.get("/empty/" + name)[::2] == (200, b"")


@pytest.mark.parametrize("given, line", [
    ("200", "200 OK"), ("404", "404 Not Found"), ("200+", "200 OK"), ("299", "299 Unknown"), ("600+Own", "600 Own"),
    ("999+Much+more", "999 Much more"), ("999", "999 Unknown"), ("207", "207 Multi-Status")])
def test_statuses(server, given, line):
    answer = server.raw(get("/status/?" + given, "Connection: close"))
    assert answer.startswith(f"HTTP/1.1 {line}\r\n".encode()) and answer.endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("given, length", [("204", None), ("205", "0"), ("304", None)])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_statuses_without_a_body(server, given, length, version):
    asked = get("/status/?" + given, "Connection: keep-alive", version=version)
    first, second = responses(server.raw(asked + get("/status/?200", "Connection: close")))
    assert (first[0], first[1]["Content-Length"], first[1]["Transfer-Encoding"], first[2]) == (int(given), length, None,
                                                                                           b"")
    assert second[2] == b"hello"
