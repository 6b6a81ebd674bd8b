"""No request leaves memory behind: run by `make valgrind`.

A daemon serves each kind of request a few times, another one many times more. What valgrind then counts as in use at
exit must be the same but for a few blocks: caches that grow once are no leak, a block per request is. CPython takes its
objects from malloc here (PYTHONMALLOC), so that lost references count too. Programs (cgi) cannot run here, as valgrind
3.19 has no pidfd_open: the leak check of `make asan` sees those.
"""
import re

import pytest

FEW, MANY = 10, 110
SLACK = (MANY - FEW) // 5  # blocks: a leak in one kind of request is MANY - FEW at least

INI = """
[hello /hello/]
[static /static/]
root = %(here)/files
listing = yes
[wsgi /]
app = leaks_app
"""
APP = '''
import tempfile, time

def application(environ, start_response):
    return globals()[environ["PATH_INFO"].strip("/")](environ, start_response)

def item(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Header", "value")])
    return [b"hello"]

def items(environ, start_response):
    write = start_response("200 OK", [])
    write(b"first")
    for n in range(3):
        time.sleep(0.001)
        yield b"item %d" % n

def echo(environ, start_response):
    start_response("200 OK", [])
    return [environ["wsgi.input"].readline(), environ["wsgi.input"].read()]

def unread(environ, start_response):
    start_response("200 OK", [])
    return [b"I did not read it"]

def file(environ, start_response):
    content = tempfile.TemporaryFile()
    content.write(b"x" * 100000)
    content.seek(0)
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](content)

def fails(environ, start_response):
    raise RuntimeError("as the test wants it")

def fails_late(environ, start_response):
    start_response("200 OK", [])
    yield b"first"
    raise RuntimeError("as the test wants it")
'''
FILES = {"leaks_app.py": APP, "files/page.html": "<p>page" * 1000}
REQUESTS = [
    ("GET", "/hello/", {}, None),
    ("GET", "/static/page.html", {}, None),
    ("GET", "/static/page.html", {"Range": "bytes=0-9,20-29"}, None),
    ("GET", "/static/", {}, None),
    ("GET", "/static/none", {}, None),
    ("GET", "/item/?query", {"Cookie": "a=b"}, None),
    ("HEAD", "/item/", {}, None),
    ("POST", "/items/", {}, b"some body"),
    ("POST", "/echo/", {}, b"a line\nand another"),
    ("POST", "/unread/", {}, b"x" * 100000),
    ("GET", "/file/", {}, None),
    ("GET", "/fails/", {}, None),
    ("GET", "/fails_late/", {}, None),
]
RAW = [b"GARBAGE\r\n\r\n", b"GET / HT", b"POST /echo/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nshort",
       b"POST /echo/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsome\n\r\n0\r\nTrailer: x\r\n\r\n",
       b"GET /item/ HTTP/1.1\r\nHost: a\r\n\r\n" * 20]


def one_round(server):
    for request in REQUESTS:
        try:
            server.request(*request[:2], headers=request[2], body=request[3])
        except OSError:
            assert request[1] == "/fails_late/"
        except Exception as error:
            assert request[1] == "/fails_late/", error
    for data in RAW:
        server.raw(data, shutdown=True)


def blocks_left(daemon, rounds):
    server = daemon(INI, FILES, env={"PYTHONMALLOC": "malloc"})
    worker = server.wait_log(r"(\d+)#1 worker 1 is ready")[1]
    for n in range(rounds):
        one_round(server)
    assert server.stop() == 0
    found = re.search(rf"=={worker}==\s+in use at exit: [\d,]+ bytes in ([\d,]+) blocks", server.log)
    return int(found[1].replace(",", ""))


@pytest.mark.limit(400)
def test_memory_per_request(daemon):
    few = blocks_left(daemon, FEW)
    many = blocks_left(daemon, MANY)
    assert many - few < SLACK, f"{few} blocks after {FEW} rounds, {many} after {MANY}"
