"""Behind proxies: which of them are believed, by header fields and by the PROXY protocol."""
import json
import re
import socket
import struct

import pytest

from conftest import exchange
from nginx import Nginx, documented
from test_http import bodies, get, one, responses

APP = """
import json

def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'application/json')])
    names = 'REMOTE_ADDR', 'REMOTE_PORT', 'wsgi.url_scheme', 'HTTP_HOST', 'SCRIPT_NAME', 'PATH_INFO', 'SERVER_NAME'
    return [json.dumps({name: environ.get(name) for name in names}).encode()]
"""
INI = """
[server]
{server}
[wsgi /shop]
app = app:app
"""


@pytest.fixture
def serve(daemon):
    return lambda *lines: daemon(INI.format(server="\n".join(lines)), {"app.py": APP})


def environ(server, *fields, prefix=b""):
    return json.loads(one(server.raw(prefix + get("/shop/a", "Connection: close", *fields)))[2])


FIELDS = ["X-Forwarded-For: 1.1.1.1, 192.0.2.1, 127.0.0.2", "X-Forwarded-Proto: https",
          "X-Forwarded-Host: shop.example", "X-Forwarded-Prefix: /outer"]
HEADERS = [f"trusted-headers = {name}"
           for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix")]


def test_fields_of_a_trusted_proxy(serve):
    found = environ(serve("trusted-proxies = 127.0.0.0/8", *HEADERS), *FIELDS)
    assert found == {"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "", "wsgi.url_scheme": "https",
                     "HTTP_HOST": "shop.example",
                     "SCRIPT_NAME": "/outer/shop", "PATH_INFO": "/a", "SERVER_NAME": "127.0.0.1"}


def test_forwarded_of_a_trusted_proxy(serve):
    server = serve("trusted-proxies = 127.0.0.1", "trusted-headers = forwarded")
    found = environ(server, 'Forwarded: for="[2001:db8::7]:99";proto=https;host=shop.example')
    assert (found["REMOTE_ADDR"], found["REMOTE_PORT"]) == ("2001:db8::7", "99")
    assert (found["wsgi.url_scheme"], found["HTTP_HOST"]) == ("https", "shop.example")


@pytest.mark.parametrize("lines", [[], ["trusted-proxies = 10.0.0.0/8", "trusted-proxies = unix"],
                                   ["trusted-proxies = 127.0.0.1", "trusted-headers = x-request-id"]])
def test_nobody_else_is_believed(serve, lines):
    found = environ(serve(*lines), *FIELDS)
    assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) == ("127.0.0.1", "http")
    assert (found["HTTP_HOST"], found["SCRIPT_NAME"]) == ("test", "/shop")


def test_trusted_on_a_unix_socket(serve):
    server = serve("bind = unix:%(here)/s", "trusted-proxies = unix")
    assert environ(server, *FIELDS)["REMOTE_ADDR"] == "127.0.0.2"  # is no trusted proxy itself
    assert environ(server)["REMOTE_ADDR"] == ""


def test_every_request_of_a_connection_is_looked_at(serve):
    server = serve("trusted-proxies = 127.0.0.1")
    data = b"".join(get("/shop/a", f"X-Forwarded-For: 192.0.2.{i}") for i in range(5)) + get("/shop/a",
                                                                                             "Connection: close")
    found = [json.loads(body)["REMOTE_ADDR"] for body in bodies(server.raw(data))]
    assert found == [f"192.0.2.{i}" for i in range(5)] + ["127.0.0.1"]


def test_request_ids(daemon):
    server = daemon("[server]\ntrusted-proxies = 127.0.0.1\n[wsgi /]\napp = app:app\n",
                    {"app.py": "def app(environ, start_response):\n    print('here', file=environ['wsgi.errors'])\n"
                               "    start_response('200 OK', [])\n    return []\n"})
    for given in ("abc-1", "x" * 128):
        server.raw(get("/", "Connection: close", f"X-Request-ID: {given}"))
        server.wait_log(f"rid={given} GET /: here")
    for bad in ("a b", "x" * 129, "a\"b", ""):
        server.raw(get("/", "Connection: close", f"X-Request-ID: {bad}"))
    server.wait_log(r"rid=[0-9a-f]{32} GET /: here", count=4)
    made = re.findall(r"rid=([0-9a-f]{32}) ", server.log)
    assert len(set(made)) == 4


# ---- PROXY ----

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source="192.0.2.1"):
    return f"PROXY TCP4 {source} 192.0.2.2 4660 80\r\n".encode()


def v2(source="192.0.2.1", command=0x21, extra=b""):
    body = socket.inet_aton(source) + socket.inet_aton("192.0.2.2") + struct.pack(">HH", 4660, 80) + extra
    return V2 + bytes([command, 0x11]) + struct.pack(">H", len(body)) + body


@pytest.fixture(scope="module")
def proxied(shared_daemon):
    ini = INI.format(server="\n").replace("[server]", "[server]\nbind = unix:%(here)/s proxy-protocol")
    return shared_daemon(ini, {"app.py": APP})


@pytest.mark.parametrize("prefix", [v1(), v2(), v2(extra=b"\x04\0\x03abc" * 100)], ids=["v1", "v2", "with values"])
@pytest.mark.parametrize("step", [1000000, 1, 7])
def test_proxy_protocol(proxied, prefix, step):
    with proxied.connect() as sock:
        data = prefix + get("/shop/a") + get("/shop/a", "Connection: close")
        for at in range(0, len(data), step):
            sock.sendall(data[at:at + step])
        for _, _, body in responses(exchange(sock, b"")):
            found = json.loads(body)
            assert (found["REMOTE_ADDR"], found["REMOTE_PORT"]) == ("192.0.2.1", "4660")


@pytest.mark.parametrize("prefix", [b"PROXY UNKNOWN\r\n", v2(command=0x20)])
def test_connections_of_the_balancer_itself(proxied, prefix):
    assert environ(proxied, prefix=prefix)["REMOTE_ADDR"] == ""


@pytest.mark.parametrize("prefix", [b"", b"PROXY TCP4 x\r\n", V2 + b"\xff" * 20, v1() + v1(), b"PROXY" + b" " * 200])
def test_bad_proxy_headers_get_no_answer(proxied, prefix):
    received = proxied.raw(prefix + get("/shop/a", "Connection: close"))
    assert received == b"" or one(received)[0] == 400  # the second of two is no request


def test_proxy_header_of_a_stranger(serve):
    server = serve("bind = unix:%(here)/s proxy-protocol", "trusted-proxies = 10.0.0.0/8")
    assert server.raw(v1() + get("/shop/a")) == b""
    server.wait_log("the proxy is not in trusted-proxies")


def test_fields_behind_a_proxy_header(serve):
    """The peer is the address in the header: it may be a trusted proxy too."""
    server = serve("bind = unix:%(here)/s proxy-protocol", "trusted-proxies = unix", "trusted-proxies = 10.0.0.0/8")
    assert environ(server, *FIELDS, prefix=v1("10.0.0.9"))["REMOTE_ADDR"] == "127.0.0.2"
    assert environ(server, *FIELDS, prefix=v1("192.0.2.9"))["REMOTE_ADDR"] == "192.0.2.9"


def test_proxy_header_that_does_not_come(serve):
    server = serve("bind = unix:%(here)/s proxy-protocol", "header-timeout = 300ms")
    with server.connect() as sock:
        assert one(exchange(sock, b"PROXY TCP4 1"))[0] == 408
    assert environ(server, prefix=v1())["REMOTE_ADDR"] == "192.0.2.1"


# ---- a real nginx ----


@pytest.mark.parametrize("page", ["README.md", "docs/deploy.md"])
def test_nginx_forwards(serve, tmp_path, page):
    """nginx passes other fields of its client through, which must not be believed by default."""
    server = serve("bind = unix:%(here)/s", "trusted-proxies = unix", "[wsgi /events]", "app = app:app")
    nginx = documented(tmp_path, server.path, page,
                       "set_real_ip_from unix:; real_ip_header X-Test;")  # a client on a Unix socket has no address
    try:
        fields = {"Host": "shop.example", "X-Forwarded-For": "1.1.1.1", "X-Forwarded-Proto": "https",
                  "X-Test": "192.0.2.7",
                  "Forwarded": "for=1.1.1.2;proto=http;host=evil", "X-Forwarded-Host": "evil",
                  "X-Forwarded-Prefix": "/evil"}
        found = [json.loads(nginx.get(path, fields)[2]) for path in ("/shop/a", "/events")]
    finally:
        nginx.end()
    assert [(each["REMOTE_ADDR"], each["wsgi.url_scheme"], each["HTTP_HOST"])
            for each in found] == [("192.0.2.7", "http", "shop.example")] * 2
    assert not [each["SCRIPT_NAME"] for each in found if "evil" in each["SCRIPT_NAME"]]


@pytest.mark.parametrize("protocol", ["tcp", "unix"])
def test_nginx_speaks_the_proxy_protocol(serve, tmp_path, protocol):
    """nginx as a TCP load balancer, whose connections are kept alive."""
    server = serve(f"bind = {'127.0.0.1:0' if protocol == 'tcp' else 'unix:%(here)/s'} proxy-protocol")
    with socket.create_server(("127.0.0.1", 0)) as free:
        front = free.getsockname()
    upstream = f"unix:{server.path}" if server.path else f"{server.host}:{server.port}"
    nginx = Nginx(tmp_path, "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\nevents {}\n"
                  f"stream {{ server {{ listen 127.0.0.1:{front[1]}; proxy_pass {upstream}; proxy_protocol on; }} }}",
                  front)
    try:
        with socket.create_connection(front, 5) as sock:
            data = get("/shop/a") * 3 + get("/shop/a", "Connection: close")
            found = [json.loads(body) for body in bodies(exchange(sock, data))]
            assert [(f["REMOTE_ADDR"], f["REMOTE_PORT"])
                    for f in found] == [("127.0.0.1", str(sock.getsockname()[1]))] * 4
    finally:
        nginx.end()
