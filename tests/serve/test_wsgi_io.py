"""wsgi.input and wsgi.errors as files of Python's module io: what wrappers and libraries ask of them."""
import ast
import io
import pickle
import re
import zipfile

import pytest

APP = """
import codecs, csv, gzip, io, json, pickle, shutil, tarfile, zipfile

def lines(stream):
    return list(io.TextIOWrapper(stream, 'utf-8', newline=''))

def rows(stream):
    return list(csv.reader(io.TextIOWrapper(stream, newline='')))

def buffered(stream):
    file = io.BufferedReader(stream, 4)
    return [file.peek(1)[:1], file.readline(), file.read(2), file.read1(2), file.read(), file.read()]

def text_of_buffered(stream):
    with io.TextIOWrapper(io.BufferedReader(stream)) as file:
        return file.read()

def decoded(stream):
    return codecs.getreader('utf-8')(stream).read()

def unpickled(stream):
    value = pickle.load(stream)
    return [len(value), sum(value)]

def unzipped(stream):
    try:
        zipfile.ZipFile(stream)
    except zipfile.BadZipFile as error:
        return str(error)

def untarred(stream):
    return [member.name for member in tarfile.open(fileobj=stream, mode='r|')]

def gunzipped(stream):
    return gzip.GzipFile(fileobj=stream).read()

def copied(stream):
    target = io.BytesIO()
    shutil.copyfileobj(stream, target)
    return target.getvalue()

def parsed(stream):
    return json.load(stream)

def asked(stream):
    facts = [stream.readable(), stream.writable(), stream.seekable(), stream.isatty(), stream.closed, stream.flush(),
             isinstance(stream, io.IOBase), isinstance(stream, io.BufferedIOBase), isinstance(stream, io.TextIOBase)]
    for name, args in (('seek', (0,)), ('seek', (0, 2)), ('tell', ()), ('truncate', ()), ('fileno', ()),
                       ('write', (b'x',)), ('writelines', ([],)), ('detach', ())):
        try:
            getattr(stream, name)(*args)
        except io.UnsupportedOperation:
            facts.append(name)
    return facts

def pieces(stream):
    target = bytearray(4)
    return [stream.read1(3), stream.read1(0), stream.readinto(target), bytes(target), stream.readinto1(target),
            stream.read1(), stream.read1(), stream.read1(5), stream.readinto(target), stream.readinto(bytearray())]

def closing(stream):
    with stream as same:
        facts = [same is stream, same.read(1), same.closed]
    try:
        stream.read()
    except ValueError as error:
        facts.append(str(error))
    return facts + [stream.closed, stream.close()]

def live(stream):
    'Answers each line before the client sends the next.'
    for line in io.TextIOWrapper(stream):
        yield line.upper().encode()

kept = []

def keep(stream):
    kept.append(stream)
    return stream.closed

def late(stream):
    return kept.pop().closed

def errors(log):
    facts = [log.isatty(), log.encoding, log.errors, log.newlines, log.closed, log.fileno(), log.readable(),
             log.writable(), log.seekable(), log.line_buffering, log.name, log.mode, isinstance(log, io.TextIOBase)]
    buffer = log.buffer
    facts += [buffer.write(b'caf\\xc3\\xa9 \\xff '), buffer.write(memoryview(b'bytes\\n')), buffer.flush(),
              buffer.isatty(),
              buffer.closed, buffer.writable(), isinstance(buffer, io.BufferedIOBase)]
    wrapper = io.TextIOWrapper(buffer, 'utf-8', write_through=True)
    print('wrapped line', file=wrapper)
    wrapper.close()
    with log:
        log.write('in a block')
    print('closed but open', file=log)
    for name in ('read', 'readline', 'seek', 'tell', 'truncate'):
        try:
            getattr(log, name)()
        except io.UnsupportedOperation:
            facts.append(name)
    return facts

def application(environ, start_response):
    call = environ['PATH_INFO'][1:]
    start_response('200 OK', [])
    if call == 'live':
        return live(environ['wsgi.input'])
    return [repr(globals()[call](environ['wsgi.errors' if call == 'errors' else 'wsgi.input'])).encode()]
"""


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon("[wsgi /]\napp = app", {"app.py": APP})


def chunked(body, size=3):
    for start in range(0, len(body), size):
        yield body[start:start + size]


def ask(server, call, body=b"", sized=True):
    connection = server.http()
    connection.request("POST", "/" + call, body=body if sized else chunked(body, max(3, len(body) // 50)),
                       headers={} if sized else {"Transfer-Encoding": "chunked"}, encode_chunked=not sized)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    assert response.status == 200, server.log
    return ast.literal_eval(text.decode())


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("name", "content")
    return file.getvalue()


def tarred():
    import tarfile
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("member"))
    return file.getvalue()


def gzipped(data):
    import gzip
    return gzip.compress(data)


LARGE = bytes(range(256)) * 3000
TEXT = "one\r\ntwö\nthree".encode()
CASES = [
    ("lines", TEXT, ["one\r\n", "twö\n", "three"]),
    ("rows", b'a,"b\nc"\r\n1,2\r\n', [["a", "b\nc"], ["1", "2"]]),
    ("buffered", b"one\ntwo three", [b"o", b"one\n", b"tw", b"o ", b"three", b""]),
    ("text_of_buffered", TEXT, "one\ntwö\nthree"),
    ("decoded", TEXT, TEXT.decode()),
    ("unpickled", pickle.dumps(LARGE, 4), [len(LARGE), sum(LARGE)]),
    ("unpickled", pickle.dumps(bytearray(LARGE), 5), [len(LARGE), sum(LARGE)]),
    ("unzipped", zipped(), "File is not a zip file"),
    ("untarred", tarred(), ["member"]),
    ("gunzipped", gzipped(TEXT), TEXT),
    ("copied", LARGE, LARGE),
    ("parsed", b'{"a": [1]}', {"a": [1]}),
    ("lines", b"", []),
]


@pytest.mark.parametrize("sized", [True, False], ids=["sized", "chunked"])
@pytest.mark.parametrize("call, body, expected", CASES, ids=range(len(CASES)))
def test_libraries(server, call, body, expected, sized):
    assert ask(server, call, body, sized) == expected


@pytest.mark.parametrize("body", [b"", b"body"])
def test_what_it_can_do(server, body):
    assert ask(server, "asked", body) == [True, False, False, False, False, None, True, True, False, "seek", "seek",
                                          "tell", "truncate", "fileno", "write", "writelines", "detach"]


def test_pieces(server):
    assert ask(server, "pieces", b"0123456789abcd") == [b"012", b"", 4, b"3456", 4, b"bcd", b"", b"", 0, 0]


def test_a_closed_file_is_not_read(server):
    assert ask(server, "closing", b"body") == [True, b"b", False, "wsgi.input was used after it had been closed", True,
                                               None]


def test_closing_what_has_no_body_is_for_this_request_only(server):
    assert ask(server, "lines") == [] and ask(server, "asked")[4] is False


def test_closed_after_the_request(server):
    assert ask(server, "keep", b"body") is False and ask(server, "late", b"x") is True


def test_lines_are_read_as_they_come(server):
    """A wrapper does not wait for more than a line."""
    with server.connect() as sock:
        sock.sendall(b"POST /live HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        for line in (b"one\n", b"two\n"):
            sock.sendall(b"4\r\n" + line + b"\r\n")
            received = b""
            while line.upper() not in received:
                received += sock.recv(1000)
        sock.sendall(b"0\r\n\r\n")
        assert sock.recv(100).endswith(b"0\r\n\r\n")


def test_errors(server):
    assert ask(server, "errors") == [False, "utf-8", "backslashreplace", None, False, 2, False, True, False, True,
                                     "<wsgi.errors>", "w", True, 8, 6, None, False, False, True, True, "read",
                                     "readline", "seek", "tell", "truncate"]
    server.wait_log("closed but open")
    lines = re.findall(r"\[error\] \S+ rid=\w+ POST /errors: (.*)$", server.log, re.M)
    assert lines == [r"café \xff bytes", "wrapped line", "in a block", "closed but open"]
