"""wsgi.input, with sized and with chunked bodies: the calls of PEP 3333, the end of the body, and misuse."""
import ast
import io
import random

import pytest

APP = """
import io, threading

kept = None

def calls(environ):
    '''What the calls named in the query return, separated by dots.'''
    stream = environ['wsgi.input']
    results = []
    for call in environ['QUERY_STRING'].split('.'):
        if call == 'list':
            results.append(list(stream))
        elif call == 'next':
            results.append(next(stream, None))
        elif call.startswith('into'):
            target = bytearray(int(call[4:]))
            results.append(bytes(target[:stream.readinto(target)]))
        else:
            name, _, size = call.partition('-')
            results.append(getattr(stream, name)(*([int(size)] if size else [])))
    return results

def misuse(environ):
    stream = environ['wsgi.input']
    results = []
    for call in (lambda: stream.read('1'), lambda: stream.read(1, 2), lambda: stream.readinto(b'x'),
                 lambda: stream.readline({}), lambda: stream.read(1 << 80)):
        try:
            results.append(call())
        except Exception as error:
            results.append(type(error).__name__)
    return results + [stream.read(None), stream.read(-1), stream.read(0)]

def interrupted(environ):
    '''The client sends its body when it has heard of the timeout.'''
    import syncless
    with syncless.Timeout(0.01, False) as limit:
        environ['wsgi.input'].read()
    environ['wsgi.errors'].write(f'interrupted: {limit.expired}\\n')
    body = environ['wsgi.input'].read()
    if body == b'raise':
        open('/nonexistent')
    return body

def keep(environ):
    global kept
    kept = environ['wsgi.input']

def late(environ):
    results = []
    for call in (kept.read, kept.readline, kept.readlines, lambda: next(kept), lambda: kept.readinto(bytearray(9))):
        try:
            results.append(call())
        except ValueError as error:
            results.append(str(error))
    return results

def other_thread(environ):
    results = []
    def read():
        try:
            environ['wsgi.input'].read()
        except RuntimeError as error:
            results.append(str(error))
    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    return results + [environ['wsgi.input'].read()]

def size(environ):
    total, checksum = 0, 0
    while True:
        block = environ['wsgi.input'].read(1 << 20)
        if not block:
            return [total, checksum]
        total += len(block)
        checksum = (checksum + sum(block)) % (1 << 30)

def application(environ, start_response):
    results = globals()[environ['PATH_INFO'][1:]](environ)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [repr(results).encode()]
"""


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon("[wsgi /]\napp = app\nmax-body-size = 0", {"app.py": APP})


def chunks(body, sizes):
    """The body in chunks of these sizes, which are used in rotation."""
    out, stream, i = b"", io.BytesIO(body), 0
    while part := stream.read(sizes[i % len(sizes)]):
        out += b"%x\r\n%s\r\n" % (len(part), part)
        i += 1
    return out + b"0\r\n\r\n"


def ask(server, path, body, framing):
    if framing == "sized":
        head, sent = f"Content-Length: {len(body)}", body
    else:
        head, sent = "Transfer-Encoding: chunked", chunks(body, framing)
    answer = server.raw(f"POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{head}\r\n\r\n".encode() + sent)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return ast.literal_eval(answer.partition(b"\r\n\r\n")[2].decode())


LINES = b"one\ntwo\r\n\nlonger line\nend"
FRAMINGS = ["sized", (1,), (3, 5), (1000,)]


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
@pytest.mark.parametrize("query, expected", [
    ("read", [LINES]),
    ("read.read.readline.list", [LINES, b"", b"", []]),
    ("read-4.readline.read-2.read", [b"one\n", b"two\r\n", b"\nl", b"onger line\nend"]),
    ("read-1000.read-1", [LINES, b""]),
    ("readline.readline.readline.readline.readline.readline",
     [b"one\n", b"two\r\n", b"\n", b"longer line\n", b"end", b""]),
    ("readline-2.readline-2.readline-2.readline-0.read", [b"on", b"e\n", b"tw", b"", b"o\r\n\nlonger line\nend"]),
    ("readlines", [[b"one\n", b"two\r\n", b"\n", b"longer line\n", b"end"]]),
    ("readlines-5.readlines-1.read", [[b"one\n", b"two\r\n"], [b"\n"], b"longer line\nend"]),
    ("list.next", [[b"one\n", b"two\r\n", b"\n", b"longer line\n", b"end"], None]),
    ("next.read-1.next", [b"one\n", b"t", b"wo\r\n"]),
])
def test_calls(server, framing, query, expected):
    assert ask(server, "/calls?" + query, LINES, framing) == expected


@pytest.mark.parametrize("framing", ["sized", (8,)], ids=str)
def test_readinto_gives_what_is_there(server, framing):
    assert ask(server, "/calls?readline.into2.readline.into100", LINES, framing)[:3] == [b"one\n", b"tw", b"o\r\n"]


@pytest.mark.parametrize("query, expected", [("read", [b""]), ("readline", [b""]), ("list", [[]]), ("readlines", [[]]),
                                             ("next", [None]), ("into5", [b""])])
def test_no_body(server, query, expected):
    assert ast.literal_eval(server.get("/calls?" + query)[2].decode()) == expected


@pytest.mark.parametrize("framing", ["sized", (7000, 1, 60000)], ids=str)
def test_long_lines(server, framing):
    """Longer than the buffer, and just as long."""
    lines = [b"x" * n + b"\n" for n in (8191, 8192, 8193, 100000, 0)] + [b"y" * 20000]
    assert ask(server, "/calls?list", b"".join(lines), framing) == [lines]


@pytest.mark.parametrize("framing", ["sized", (70000, 1, 10)], ids=str)
def test_read_all_of_a_large_body(server, framing):
    body = random.Random(4).randbytes(3 << 20)
    assert ask(server, "/calls?read", body, framing) == [body]


def test_upload_in_blocks(server):
    body = bytes(range(256)) * (64 << 12)
    assert ask(server, "/size", body, "sized") == [len(body), sum(range(256)) * (64 << 12) % (1 << 30)]


def test_misuse(server):
    assert ask(server, "/misuse", b"body", "sized") == ["TypeError", "TypeError", "BufferError", "TypeError",
                                                        "OverflowError", b"body", b"", b""]


def test_after_the_request(server):
    for body, framing in ((b"abc", "sized"), (b"abc", (1,))):
        assert ask(server, "/keep", body, framing) is None
        assert ask(server, "/late", b"x", "sized") == ["wsgi.input was used after the request had ended"] * 5


def interrupt(server, body):
    with server.connect() as sock:
        before = server.log.count("interrupted: True")
        sock.sendall(b"POST /interrupted HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body))
        server.wait_log("interrupted: True", count=before + 1)
        sock.sendall(body)
        return sock.makefile("rb").read()


def test_a_timeout_is_not_the_end_of_the_body(server):
    assert interrupt(server, b"all of it").endswith(b"b'all of it'")


def test_who_fails_after_a_timeout_is_at_fault(server):
    """An OSError of the application is not mistaken for one of the connection."""
    assert interrupt(server, b"raise").startswith(b"HTTP/1.1 500 ")
    server.wait_log(r"the application failed\n(  .*\n)*?  FileNotFoundError")


def test_from_another_thread(server):
    message, body = ask(server, "/other_thread", b"abc", "sized")
    assert "only in the thread that called the application" in message and body == b"abc"


def test_unread_body_does_not_hurt_the_next_request(server):
    connection = server.http()
    for _ in range(3):
        connection.request("POST", "/keep", body=b"x" * 5000)
        assert connection.getresponse().read() == b"None"
    connection.close()


def test_expect_100_continue(server):
    with server.connect() as sock:
        sock.sendall(b"POST /calls?read HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"abc")
        assert b"[b'abc']" in sock.recv(1000)


def test_malformed_chunks_are_400_without_a_traceback(server):
    before = server.log.count("Traceback")
    answer = server.raw(b"POST /calls?read HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert server.log.count("Traceback") == before


def test_client_that_leaves_in_the_middle_is_no_error_of_the_app(server):
    before = server.log.count("Traceback")
    with server.connect() as sock:
        sock.sendall(b"POST /calls?read HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nabc")
    assert ask(server, "/calls?read", b"still alive", "sized") == [b"still alive"]
    assert server.log.count("Traceback") == before
