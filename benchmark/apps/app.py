"""The WSGI applications of the benchmark, one per workload: plain blocking Python, the same for every server."""
import os
import sys
import time
import urllib.request
import wsgiref.util

FILE = os.environ.get("BENCHMARK_FILE")
UPSTREAM = os.environ.get("BENCHMARK_UPSTREAM")
MEBI = b"x" * (1 << 20)
PLAIN = ("Content-Type", "text/plain")


def reply(start_response, body, kind="text/plain"):
    start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, World\n"]


def echo(environ, start_response):
    return reply(start_response, environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))


def mebi(environ, start_response):
    return reply(start_response, MEBI)


def file(environ, start_response):
    body = open(FILE, "rb")
    start_response("200 OK", [PLAIN, ("Content-Length", str(os.fstat(body.fileno()).st_size))])
    return environ.get("wsgi.file_wrapper", wsgiref.util.FileWrapper)(body, 1 << 16)


def sleep(environ, start_response):
    time.sleep(0.1)
    return hello(environ, start_response)


def mixed(environ, start_response):
    return (sleep if environ["PATH_INFO"] == "/sleep" else hello)(environ, start_response)


def parked(environ, start_response):
    if environ["PATH_INFO"] == "/parked":
        time.sleep(600)
    return hello(environ, start_response)


def upstream(environ, start_response):
    with urllib.request.urlopen(UPSTREAM) as answer:
        return reply(start_response, answer.read())


idle_connections = []


def query(environ, start_response):
    """One query of 20 ms, on a connection from the pool."""
    connection = idle_connections.pop() if idle_connections else connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'Hello, World' FROM pg_sleep(0.02)")
        body = cursor.fetchone()[0].encode()
    idle_connections.append(connection)
    return reply(start_response, body)


def connect():
    import psycopg2
    if "gevent" in sys.modules:  # libpq would block gevent; psycopg2 has a hook against that
        import psycogreen.gevent
        psycogreen.gevent.patch_psycopg()
    connection = psycopg2.connect("")
    connection.autocommit = True
    return connection


def chain(environ, start_response):
    """The application of the benchmark of 2010: / answers with 44 bytes, and the page of a number links to the next."""
    path = environ["PATH_INFO"]
    if path == "/":
        return reply(start_response, b'<a href="/0">start at 0</a><p>Hello, World!\n', "text/html")
    following = (1664525 * int(path[1:]) + 1013904223) % (1 << 32)
    return reply(start_response, b'<a href="/%d">continue with %d</a>\n' % (following, following), "text/html")
