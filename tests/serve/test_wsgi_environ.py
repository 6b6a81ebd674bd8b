"""The environ dict of the WSGI bridge: what PEP 3333 asks for, from requests written byte by byte."""
import ast
import os
import re
import socket

import pytest

from conftest import exchange
from test_fair import cpu_clock

INI = """
[wsgi /]
app = app
[wsgi /shop/]
app = app
"""

APP = """
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    facts = {name: value if isinstance(value, (str, int, bool, tuple)) else type(value).__name__
             for name, value in environ.items()}
    assert type(environ) is dict
    environ.clear()  # an application may do what it wants with it
    return [repr(facts).encode()]
"""


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon(INI, {"app.py": APP})


def environ(server, line="GET / HTTP/1.1", *fields, body=b""):
    """The environ that a request makes, after one of another kind that must leave nothing behind."""
    head = "\r\n".join([line, "Host: test", *fields, "Connection: close", "", ""])
    answer = server.raw(head.encode("latin-1") + body)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer
    return ast.literal_eval(answer.partition(b"\r\n\r\n")[2].decode())


def test_every_variable(server):
    facts = environ(server, "GET /a%20b/c?x=%31&y HTTP/1.1")
    assert facts.pop("SERVER_PORT") == str(server.port)
    assert facts.pop("REMOTE_PORT").isdigit()
    assert facts == {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/a b/c", "QUERY_STRING": "x=%31&y",
        "REQUEST_URI": "/a%20b/c?x=%31&y", "RAW_URI": "/a%20b/c?x=%31&y", "SERVER_NAME": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "syncless-server", "GATEWAY_INTERFACE": "CGI/1.1",
        "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "test", "HTTP_CONNECTION": "close",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": "Input", "wsgi.errors": "Errors",
        "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False, "wsgi.input_terminated": True,
        "wsgi.file_wrapper": "type",
        "syncless.websocket": "builtin_function_or_method",
    }


def test_nothing_stays_from_the_request_before(server):
    environ(server, "POST /path?query HTTP/1.0", "Content-Type: a/b", "Content-Length: 1", "X-Y: z", body=b"x")
    facts = environ(server)
    assert facts["REQUEST_METHOD"] == "GET" and facts["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert (facts["PATH_INFO"], facts["QUERY_STRING"], facts["REQUEST_URI"]) == ("/", "", "/")
    assert not {"CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_X_Y"} & set(facts)


def test_content_type_and_length_have_no_prefix(server):
    facts = environ(server, "POST / HTTP/1.1", "content-TYPE: text/x; a=b", "CONTENT-length: 3", body=b"abc")
    assert facts["CONTENT_TYPE"] == "text/x; a=b" and facts["CONTENT_LENGTH"] == "3"
    assert not [name for name in facts if name.startswith("HTTP_CONTENT")]


def test_chunked_body_has_no_content_length(server):
    facts = environ(server, "POST / HTTP/1.1", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")
    assert "CONTENT_LENGTH" not in facts and facts["wsgi.input_terminated"] is True


def test_script_name_is_the_mount(server):
    facts = environ(server, "GET /shop/item/1?a HTTP/1.1")
    assert (facts["SCRIPT_NAME"], facts["PATH_INFO"], facts["REQUEST_URI"]) == ("/shop", "/item/1", "/shop/item/1?a")
    assert environ(server, "GET /shop/ HTTP/1.1")["PATH_INFO"] == "/"


def test_path_is_latin_1_of_its_bytes(server):
    facts = environ(server, "GET /caf%C3%A9/%FF HTTP/1.1")
    assert facts["PATH_INFO"].encode("latin-1") == b"/caf\xc3\xa9/\xff"


def test_field_values_are_latin_1(server):
    assert environ(server, "GET / HTTP/1.1", "X-Name: caf\xe9")["HTTP_X_NAME"] == "caf\xe9"


def test_repeated_fields_are_joined(server):
    facts = environ(server, "GET / HTTP/1.1", "X-A: 1", "x-a: 2", "Cookie: a=1", "Cookie: b=2", "X-A: 1")
    assert facts["HTTP_X_A"] == "1, 2, 1"
    assert facts["HTTP_COOKIE"] == "a=1; b=2"


def test_equal_repeated_fields_are_joined_too(server):
    assert environ(server, "GET / HTTP/1.1", "X-A: same", "X-A: same")["HTTP_X_A"] == "same, same"


@pytest.mark.parametrize("field", ["X-A: bbbb", "Cookie: a=b", "X-" + "long" * 12 + ": b"])
def test_time_of_repeated_fields(daemon, field):
    """They are joined at once, not one by one: eight times as many take no more than about eight times as long."""
    server = daemon("[limits]\nmax-headers = 100000\nmax-header-size = 1m\n[wsgi /]\napp = app:app\n",
                    {"app.py": "def app(environ, start_response):\n    start_response('200 OK', [])\n    return []\n"})
    server.wait_log("all workers are ready")
    worker, = server.worker_pids()
    now, size = cpu_clock(worker), 120000 // (len(field) + 2)

    def seconds(count):
        began = now()
        head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + (field + "\r\n") * count + "\r\n"
        assert server.raw(head.encode()).startswith(b"HTTP/1.1 200 ")
        return now() - began

    seconds(size)
    assert min(seconds(8 * size) for _ in range(2)) < 24 * min(seconds(size) for _ in range(3))


def test_underscores_cannot_shadow_hyphens(server):
    facts = environ(server, "GET / HTTP/1.1", "X_Real_IP: evil", "X-Real-IP: good", "X-Real_IP: evil", "A_B: c")
    assert facts["HTTP_X_REAL_IP"] == "good"
    assert "HTTP_A_B" not in facts


@pytest.mark.parametrize("name", ["Proxy", "PROXY", "proxy", "pRoXy"])
def test_proxy_never_becomes_http_proxy(server, name):
    for _ in range(2):  # the second time from the cache
        facts = environ(server, "GET / HTTP/1.1", f"{name}: evil", "X-Proxy: a", f"{name}:", "Proxies: b")
        assert "HTTP_PROXY" not in facts and (facts["HTTP_X_PROXY"], facts["HTTP_PROXIES"]) == ("a", "b")


def test_names_that_shadow_take_no_place(server):
    """Also where they are too long for the cache, and where they share a name's letters with others."""
    long = "X-" + "long" * 20
    facts = environ(server, "GET / HTTP/1.1", "Content_Type: a", "CONTENT_LENGTH: 5", "Content_Length: 5",
                    long.replace("-", "_") + ": evil", long + ": good", "Remote-User: x", "Https: on",
                    "Wsgi.url_scheme: https", "Path-Info: /evil", "Script-Name: evil")
    assert facts["HTTP_" + long.upper().replace("-", "_")] == "good"
    assert not {"CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "REMOTE_USER",
                "HTTPS"} & set(facts)
    assert (facts["wsgi.url_scheme"], facts["PATH_INFO"], facts["SCRIPT_NAME"]) == ("http", "/", "")


def test_empty_field(server):
    assert environ(server, "GET / HTTP/1.1", "X-Empty:")["HTTP_X_EMPTY"] == ""


def test_many_and_long_names(server):
    """More names than the cache has slots, and names that are too long for it."""
    for start in range(10):
        fields = [f"X-Field-{start}-{i}: {i}" for i in range(60)] + ["X-" + "long" * 20 + ": 1"]
        facts = environ(server, "GET / HTTP/1.1", *fields)
        assert [facts[f"HTTP_X_FIELD_{start}_{i}"] for i in range(60)] == [str(i) for i in range(60)]
        assert facts["HTTP_X_" + "LONG" * 20] == "1"


def test_http_1_0(server):
    assert environ(server, "GET / HTTP/1.0")["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_absolute_form(server):
    facts = environ(server, "GET http://test/x?y HTTP/1.1")
    assert (facts["PATH_INFO"], facts["QUERY_STRING"]) == ("/x", "y")


@pytest.mark.parametrize("host, name, port", [("shop.test:81", "shop.test", "81"), ("shop.test", "shop.test", "80"),
                                              ("[::1]:81", "[::1]", "81"), ("[::1]", "[::1]", "80")])
def test_unix_socket(daemon, tmp_path, host, name, port):
    server = daemon(f"[server]\nbind = unix:{tmp_path}/s\n" + INI, {"app.py": APP})
    answer = server.raw(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    facts = ast.literal_eval(answer.partition(b"\r\n\r\n")[2].decode())
    assert (facts["SERVER_NAME"], facts["SERVER_PORT"]) == (name, port)
    assert (facts["REMOTE_ADDR"], facts["REMOTE_PORT"]) == ("", "")


def server_name(server, address):
    with socket.create_connection((address, server.port), 10) as sock:
        answer = exchange(sock, b"GET / HTTP/1.0\r\n\r\n")
    facts = ast.literal_eval(answer.partition(b"\r\n\r\n")[2].decode())
    assert facts["SERVER_PORT"] == str(server.port)
    return facts["SERVER_NAME"]


@pytest.mark.parametrize("bind, names", [
    ("0.0.0.0:0", {"127.0.0.1": "127.0.0.1", "127.0.0.2": "127.0.0.2"}),
    ("[::]:0", {"::1": "[::1]"}),
    ("[::1]:0", {"::1": "[::1]"}),
    ("127.0.0.1:0", {"127.0.0.1": "127.0.0.1"})])
def test_server_name_is_the_address_that_the_connection_came_in_on(daemon, bind, names):
    if "[" in bind and not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("no IPv6")
    server = daemon(f"[server]\nbind = {bind}\n" + INI, {"app.py": APP})
    for address, name in [*names.items(), *names.items()]:
        assert server_name(server, address) == name


def test_server_name_on_a_kept_connection(daemon):
    server = daemon("[server]\nbind = *:0\n" + INI, {"app.py": APP})
    with socket.create_connection(("127.0.0.2", server.port), 10) as first:
        for _ in range(3):
            assert b"'SERVER_NAME': '127.0.0.2'" in exchange(first, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", until=b"}")
            assert server_name(server, "127.0.0.3") == "127.0.0.3"


VALIDATED = """
from wsgiref.validate import validator

@validator
def application(environ, start_response):
    body = environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
    print('read', len(body), file=environ['wsgi.errors'])
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body) + 2))])
    return iter([b'ok', body]) if body else [b'ok']
"""


def test_wsgiref_validator(daemon):
    """A response is checked to its end, close() included, so what it finds is in the log."""
    server = daemon("[wsgi /]\napp = app", {"app.py": VALIDATED})
    assert server.get("/a?b=c")[2] == b"ok"
    assert server.request("POST", "/", body=b"abc")[2] == b"okabc"
    assert server.request("HEAD", "/")[0] == 200
    server.wait_log("read 3")
    assert not re.search(r"Traceback|Warning", server.log)
