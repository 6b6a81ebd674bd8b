"""What the WSGI bridge makes of start_response, write() and the iterable that an application returns."""
import gzip
import pathlib
import re

import pytest

APP = """
import gzip, io, os, queue, sys, tempfile, threading

HTML = [('Content-Type', 'text/html')]
closed = []
step = queue.Queue()

class Body:
    '''An iterable with close(), and with __len__ if it is given.'''
    def __init__(self, items, name):
        self.items, self.name = (item for item in items), name
    def __iter__(self):
        return self.items
    def close(self):
        closed.append(self.name)

class Sized(Body):
    def __len__(self):
        return 1

def one_item(environ, start_response):
    start_response('200 OK', HTML)
    return [b'hello']

def items(environ, start_response):
    start_response('200 OK', HTML)
    return (b'hello', b'', b' world')

def nothing(environ, start_response):
    start_response('200 OK', HTML)
    return []

def empty_items(environ, start_response):
    start_response('200 OK', HTML)
    return iter([b'', b''])

class Stored:
    '''As the responses of Django: iterated, but all there.'''
    def __init__(self, *items):
        self.stored = items
    def __iter__(self):
        return iter(self.stored)

def stored(environ, start_response):
    start_response('200 OK', HTML)
    return Stored(b'stored', b'', b' before')

def stored_list(environ, start_response):
    start_response('200 OK', HTML)
    items = iter([b'skipped', b'list'])
    next(items)
    return items

def sized(environ, start_response):
    start_response('200 OK', HTML)
    return Sized([b'hello'], 'sized')

def generator(environ, start_response):
    start_response('200 OK', HTML)
    yield b'a'
    yield b''
    yield b'b'

def late_start(environ, start_response):
    yield b''
    start_response('201 Created', HTML)
    yield b'late'

def stepwise(environ, start_response):
    start_response('200 OK', HTML)
    for i in range(3):
        yield b'item %d' % i
        step.get(timeout=20)  # the client must have got it by now

class Lingering(Body):
    def close(self):
        step.get(timeout=20)  # the client must have the end of the body by now
        super().close()

def close_waits(environ, start_response):
    start_response('200 OK', HTML)
    return Lingering([b'a', b'b'], 'lingering')

def go_on(environ, start_response):
    step.put(1)
    start_response('200 OK', HTML)
    return []

def writes(environ, start_response):
    write = start_response('200 OK', HTML)
    write(b'one ')
    write(b'')
    write(b'two ')
    return [b'three']

def writes_stepwise(environ, start_response):
    write = start_response('200 OK', HTML)
    write(b'item 0')
    step.get(timeout=20)
    return [b'item 1']

def status(environ, start_response):
    code, reason = environ['QUERY_STRING'].split('-')
    start_response(code + ' ' + reason, HTML)
    return [b'body']

def own_length(environ, start_response):
    start_response('200 OK', [('Content-Length', '5')])
    return iter([b'he', b'llo'])

def head_only(environ, start_response):
    if environ['REQUEST_METHOD'] == 'HEAD':
        start_response('200 OK', [('Content-Length', '5')])
        return []
    return one_item(environ, start_response)

def endless(environ, start_response):
    start_response('200 OK', HTML)
    def items():
        while True:
            yield b'x' * 1000
    return Body(items(), 'endless')

def many_headers(environ, start_response):
    cookies = [('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2')]
    start_response('200 OK', [('X-%d' % i, 'v' * i) for i in range(200)] + cookies)
    return []

def latin(environ, start_response):
    start_response('200 Tr\\xe8s bien', [('X-Name', 'caf\\xe9')])
    return [b'']

def own_date(environ, start_response):
    start_response('200 OK', [('Date', 'Thu, 01 Jan 1970 00:00:00 GMT'), ('Server', 'mine')])
    return []

def too_short(environ, start_response):
    start_response('200 OK', [('Content-Length', '10')])
    return Body([b'four'], 'too_short')

def too_long(environ, start_response):
    start_response('200 OK', [('Content-Length', '4')])
    return Body([b'fo', b'ur and more', b'never'], 'too_long')

def too_long_list(environ, start_response):
    start_response('200 OK', [('Content-Length', '4')])
    return [b'four and more']

def too_long_write(environ, start_response):
    write = start_response('200 OK', [('Content-Length', '4')])
    try:
        write(b'four and more')
    except ValueError as error:
        closed.append(str(error))
    return []

def replaced(environ, start_response):
    start_response('200 OK', [('X-First', '1')])
    try:
        raise KeyError('x')
    except KeyError:
        start_response('503 Later', [('X-Second', '2')], exc_info=sys.exc_info())
    return [b'replaced']

def elsewhere(environ, start_response):
    headers = [('X-Thread', 'other'), ('Content-Length', '4')]
    if environ['QUERY_STRING'] == 'bad':
        headers.append(('X-Bad', 'a\\nb'))
    thread = threading.Thread(target=start_response, args=('201 Made', headers))
    thread.start()
    thread.join()
    if environ['QUERY_STRING'] == 'replaced':
        start_response('503 Later', HTML, (KeyError, KeyError('x'), None))
    return [b'body']

def exc_info_first(environ, start_response):
    try:
        raise KeyError('x')
    except KeyError:
        start_response('503 Later', HTML, sys.exc_info())
    return [b'error page']

def exc_info_none(environ, start_response):
    start_response('200 OK', HTML, None)
    return [b'fine']

def too_late(environ, start_response):
    start_response('200 OK', HTML)
    yield b'begun'
    try:
        raise KeyError('the real error')
    except KeyError:
        start_response('500 Oops', HTML, sys.exc_info())
    yield b'never'

def closed_names(environ, start_response):
    start_response('200 OK', HTML)
    return [' '.join(closed).encode()]

def slow_client(environ, start_response):
    start_response('200 OK', [('Content-Length', str(64 << 20))])
    return (b'%08d' % i * 8192 for i in range(1024))

# ---- files ----

def file(environ, start_response):
    f = open('data', 'rb')
    start_response('200 OK', [('X-Test', 'file')])
    return environ['wsgi.file_wrapper'](f, 8192)

def file_offset(environ, start_response):
    f = open('data', 'rb')
    f.read(1000)
    start_response('200 OK', [])
    return environ['wsgi.file_wrapper'](f)

def file_raw_offset(environ, start_response):
    f = open('data', 'rb', buffering=0)
    f.seek(99000)
    start_response('200 OK', [])
    return environ['wsgi.file_wrapper'](f)

def file_length(environ, start_response):
    f = open('data', 'rb')
    f.seek(10)
    start_response('206 Partial Content', [('Content-Length', '20')])
    return environ['wsgi.file_wrapper'](f)

def file_shorter(environ, start_response):
    start_response('200 OK', [('Content-Length', '100001')])
    return environ['wsgi.file_wrapper'](open('data', 'rb'))

def file_past_end(environ, start_response):
    f = open('data', 'rb')
    f.seek(200000)
    start_response('200 OK', [])
    return environ['wsgi.file_wrapper'](f)

def file_written(environ, start_response):
    f = tempfile.TemporaryFile()
    f.write(b'written but not flushed')
    f.seek(8)
    f.seek(0)
    f.write(b'WRITTEN')
    f.seek(0)
    start_response('200 OK', [])
    return environ['wsgi.file_wrapper'](f)

def file_proc(environ, start_response):
    '''A regular file that says its size is 0.'''
    start_response('200 OK', [])
    return environ['wsgi.file_wrapper'](open('/proc/version', 'rb'))

def file_gzip(environ, start_response):
    '''It has a fileno(), but the bytes of that are not its own.'''
    start_response('200 OK', [])
    return environ['wsgi.file_wrapper'](gzip.open('data.gz', 'rb'))

def file_pipe(environ, start_response):
    r, w = os.pipe()
    os.write(w, b'from a pipe')
    os.close(w)
    start_response('200 OK', [])
    return environ['wsgi.file_wrapper'](os.fdopen(r, 'rb'))

class Like:
    def __init__(self):
        self.file = io.BytesIO(b'file-like ' * 2000)
    def read(self, size):
        assert size == 100
        return self.file.read(size)
    def close(self):
        closed.append('like')

def file_like(environ, start_response):
    start_response('200 OK', [])
    return environ['wsgi.file_wrapper'](Like(), 100)

def file_iterated(environ, start_response):
    '''As a middleware does.'''
    start_response('200 OK', [])
    return (block for block in environ['wsgi.file_wrapper'](open('data', 'rb'), 512))

class Tracked(io.FileIO):
    def close(self):
        if not self.closed:
            closed.append('tracked')
        super().close()

def file_closed(environ, start_response):
    start_response('200 OK', [])
    return environ['wsgi.file_wrapper'](io.BufferedReader(Tracked('data')))

def application(environ, start_response):
    return globals()[environ['PATH_INFO'][1:]](environ, start_response)
"""
DATA = bytes(range(250)) * 400


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon("[wsgi /]\napp = app", {"app.py": APP, "data": DATA, "data.gz": gzip.compress(b"unpacked")})


def head_and_body(server, path, method="GET", until=None):
    answer = server.raw(f"{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode(), until=until)
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode("latin-1") + "\r\n", body


# ---- framing ----

@pytest.mark.parametrize("path, length, body", [
    ("/one_item", 5, b"hello"), ("/items", 11, b"hello world"), ("/nothing", 0, b""), ("/empty_items", 0, b""),
    ("/stored", 13, b"stored before"), ("/stored_list", 4, b"list"), ("/sized", 5, b"hello"),
    ("/own_length", 5, b"hello"),
])
def test_content_length(server, path, length, body):
    head, received = head_and_body(server, path)
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert re.findall(r"^Content-Length: (\d+)\r$", head, re.M) == [str(length)]
    assert received == body


@pytest.mark.parametrize("path, chunks", [
    ("/generator", b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"),
    ("/writes", b"4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"),
])
def test_chunked(server, path, chunks):
    head, body = head_and_body(server, path)
    assert "Transfer-Encoding: chunked\r\n" in head and "Content-Length" not in head
    assert body == chunks


def test_start_response_may_come_with_the_first_item(server):
    assert server.get("/late_start")[::2] == (201, b"late")


@pytest.mark.parametrize("path, items", [("/stepwise", 3), ("/writes_stepwise", 1)])
def test_items_are_sent_before_the_next_is_asked_for(server, path, items):
    with server.connect() as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        received = b""
        for i in range(items):
            while b"item %d" % i not in received:
                received += sock.recv(1000)
            server.get("/go_on")
        while chunk := sock.recv(1000):
            received += chunk
    assert received.endswith(b"0\r\n\r\n")


def test_slow_client_gets_all_and_memory_stays(server):
    server.get("/one_item")
    with server.connect() as sock:
        sock.sendall(b"GET /slow_client HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        assert server.get("/one_item")[2] == b"hello"  # others are served meanwhile
        assert server.sanitized or server.rss() < 64 << 20
        size = 0
        while chunk := sock.recv(1 << 20):
            size += len(chunk)
    assert size > 64 << 20


# ---- no body ----

@pytest.mark.parametrize("path, length", [("/one_item", "5"), ("/head_only", "5"), ("/nothing", None),
                                          ("/endless", None), ("/file", "100000")])
def test_head(server, path, length):
    head, body = head_and_body(server, path, "HEAD")
    assert body == b""
    assert re.findall(r"^Content-Length: (\d+)\r$", head, re.M) == ([length] if length else [])


@pytest.mark.parametrize("status", [204, 304])
def test_status_without_a_body(server, status):
    head, body = head_and_body(server, f"/status?{status}-Reason")
    assert head.startswith(f"HTTP/1.1 {status} Reason\r\n")
    assert body == b"" and "Transfer-Encoding" not in head


def test_connection_lives_on_after_head_and_204(server):
    connection = server.http()
    for method, path in (("HEAD", "/one_item"), ("GET", "/status?204-Nothing"), ("HEAD", "/endless"),
                         ("GET", "/one_item")):
        connection.request(method, path)
        body = connection.getresponse().read()
    assert body == b"hello"
    connection.close()


# ---- the head ----

def test_status_and_reason_are_the_applications(server):
    head, _ = head_and_body(server, "/status?418-Teapot,short.and.stout")
    assert head.startswith("HTTP/1.1 418 Teapot,short.and.stout\r\n")


def test_many_headers_in_order(server):
    head, _ = head_and_body(server, "/many_headers")
    lines = head.split("\r\n")
    first = lines.index("X-0: ")
    expected = [f"X-{i}: {'v' * i}" for i in range(200)] + ["Set-Cookie: a=1", "Set-Cookie: b=2"]
    assert lines[first:first + 202] == expected


def test_latin_1(server):
    head, _ = head_and_body(server, "/latin")
    assert head.startswith("HTTP/1.1 200 Tr\xe8s bien\r\n") and "X-Name: caf\xe9\r\n" in head


def test_date_and_server_of_the_application_win(server):
    head, _ = head_and_body(server, "/own_date")
    assert re.findall("^(?:Date|Server): (.*)\r$", head, re.M) == ["Thu, 01 Jan 1970 00:00:00 GMT", "mine"]


# ---- exc_info ----

def test_exc_info_replaces_the_head(server):
    head, body = head_and_body(server, "/replaced")
    assert head.startswith("HTTP/1.1 503 Later\r\n") and body == b"replaced"
    assert "X-Second: 2" in head and "X-First" not in head


def test_start_response_in_another_thread(server):
    head, body = head_and_body(server, "/elsewhere")
    assert head.startswith("HTTP/1.1 201 Made\r\n") and "X-Thread: other\r\n" in head and body == b"body"
    head, body = head_and_body(server, "/elsewhere?replaced")
    assert head.startswith("HTTP/1.1 503 Later\r\n") and "X-Thread" not in head and body == b"body"
    assert server.get("/elsewhere?bad")[0] == 500
    server.wait_log("the value of header .*X-Bad.* has a control character")


def test_exc_info_in_the_first_call(server):
    assert server.get("/exc_info_first")[::2] == (503, b"error page")
    assert server.get("/exc_info_none")[::2] == (200, b"fine")


def test_exc_info_after_the_head_is_raised_again(server):
    body = head_and_body(server, "/too_late")[1]
    assert b"begun" in body and b"never" not in body and not body.endswith(b"0\r\n\r\n")
    server.wait_log("KeyError: 'the real error'")


# ---- a body that is not as long as it was said to be ----

def test_too_short(server):
    head, body = head_and_body(server, "/too_short")
    assert "Content-Length: 10" in head and body == b"four"
    server.wait_log("GET /too_short: .* 4 of 10 bytes")
    assert b"too_short" in server.get("/closed_names")[2]


@pytest.mark.parametrize("path", ["/too_long", "/too_long_list", "/too_long_write"])
def test_too_long_is_cut_at_content_length(server, path):
    connection = server.http()
    for _ in range(2):  # the connection can still be used
        connection.request("GET", path)
        assert connection.getresponse().read() == b"four"
    connection.close()
    closed = server.get("/closed_names")[2].decode()
    if path == "/too_long_list":
        server.wait_log("longer than the 4 bytes of its Content-Length")
    else:
        assert {"/too_long": "too_long", "/too_long_write": "longer than the 4 bytes"}[path] in closed


# ---- close() ----

def test_the_end_does_not_wait_for_close(server):
    assert server.get("/close_waits")[2] == b"ab"
    assert b"lingering" not in server.get("/closed_names")[2]
    server.get("/go_on")
    server.wait_until(lambda: b"lingering" in server.get("/closed_names")[2])


def test_close_is_called_when_the_client_is_gone(server):
    with server.connect() as sock:
        sock.sendall(b"GET /endless HTTP/1.1\r\nHost: test\r\n\r\n")
        sock.recv(10)
    server.wait_until(lambda: b"endless" in server.get("/closed_names")[2])
    assert not re.search(r"/endless: .*\n.*Traceback", server.log)


# ---- wsgi.file_wrapper ----

@pytest.mark.parametrize("path, body", [
    ("/file", DATA), ("/file_offset", DATA[1000:]), ("/file_raw_offset", DATA[99000:]), ("/file_past_end", b""),
    ("/file_written", b"WRITTEN but not flushed"),
])
def test_file_by_sendfile(server, path, body):
    status, headers, received = server.get(path)
    assert (status, headers["Content-Length"]) == (200, str(len(body))) and received == body


@pytest.mark.parametrize("path, body", [
    ("/file_gzip", b"unpacked"), ("/file_pipe", b"from a pipe"), ("/file_like", b"file-like " * 2000),
    ("/file_iterated", DATA), ("/file_closed", DATA), ("/file_proc", pathlib.Path("/proc/version").read_bytes()),
], ids=lambda value: value if isinstance(value, str) else "")
def test_file_that_must_be_read(server, path, body):
    status, headers, received = server.get(path)
    assert (status, headers["Transfer-Encoding"]) == (200, "chunked") and received == body


def test_file_with_content_length(server):
    status, headers, received = server.get("/file_length")
    assert (status, headers["Content-Length"]) == (206, "20") and received == DATA[10:30]


def test_file_shorter_than_content_length(server):
    assert head_and_body(server, "/file_shorter")[1] == DATA
    server.wait_log("100000 of 100001 bytes")


def test_files_are_closed(server):
    server.get("/file_like")
    server.get("/file_closed")
    assert {b"like", b"tracked"} <= set(server.get("/closed_names")[2].split())


def test_close_of_sized_result(server):
    server.get("/sized")
    assert b"sized" in server.get("/closed_names")[2].split()
