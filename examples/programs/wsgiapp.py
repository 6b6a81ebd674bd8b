"""An application that breaks one rule of WSGI per path, on a server that survives it. Argument: the address.

/hello /write /infinite /badstatus /badhead /badresp /badread /badbody /short /long /raise /late /exit /parsesize
/a?h=HOST
"""
import socket
import sys
import time
import urllib.parse

from syncless.wsgi import RunHttpServer


def application(environ, start_response):
    path = environ["PATH_INFO"]
    method = globals().get("page_" + path[1:])
    if method is None:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"no such page\n"]
    return method(environ, start_response)


def ok(start_response, *fields):
    return start_response("200 OK", [("Content-Type", "text/plain"), *fields])


def page_hello(environ, start_response):
    ok(start_response)
    return [b"Hello, ", b"World!\n"]


def page_write(environ, start_response):
    write = ok(start_response)
    write(b"foo")
    write(b"bar")
    return [b"baz\n"]


def page_infinite(environ, start_response):
    ok(start_response)
    while True:
        yield b"more\n" * 1000
        time.sleep(0.001)


def page_badstatus(environ, start_response):
    start_response("two hundred", [])
    return []


def page_badhead(environ, start_response):
    ok(start_response, ("Bad\nName", "x"))
    return [b"never\n"]


def page_badresp(environ, start_response):
    ok(start_response)
    return 42


def page_badread(environ, start_response):
    environ["wsgi.input"].read("many")


def page_badbody(environ, start_response):
    ok(start_response)
    return ["text, not bytes\n"]


def page_short(environ, start_response):
    ok(start_response, ("Content-Length", "100"))
    return [b"too short\n"]


def page_long(environ, start_response):
    ok(start_response, ("Content-Length", "5"))
    return [b"too long\n"]


def page_raise(environ, start_response):
    raise KeyError("of the application")


def page_late(environ, start_response):
    ok(start_response)
    yield b"begun\n"
    raise KeyError("too late for a 500")


def page_exit(environ, start_response):
    sys.exit("an application does not end the server")


def page_parsesize(environ, start_response):
    size = len(environ["wsgi.input"].read())
    ok(start_response)
    return [b"%d bytes\n" % size]


def page_a(environ, start_response):
    host = urllib.parse.parse_qs(environ["QUERY_STRING"])["h"][0]
    ok(start_response)
    return [socket.gethostbyname(host).encode() + b"\n"]


if __name__ == "__main__":
    RunHttpServer(application, *sys.argv[1:2])
