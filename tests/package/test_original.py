"""Tests of the original Syncless that no other file here has: its wsgi_test, signals, TLS."""
import pytest

from scripts import make_certificate, script

SERVE = """
import re
import syncless.wsgi
def app(environ, start_response):
    if environ["PATH_INFO"] == "/infinite":
        return 5
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["REQUEST_METHOD"] == "POST":
        return [b"line ", environ["wsgi.input"].readline()]
    return [b"Hello, ", b"World! ", environ["PATH_INFO"].encode(), environ["QUERY_STRING"].encode()]
server = syncless.wsgi.start(app, ("127.0.0.1", 0))
def exchange(data):
    with socket.create_connection(server.address) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    return re.sub(rb"Date: [^\\r]*", b"Date: D", answer)
def show(data):
    for head, body in re.findall(rb"(HTTP.*?)\\r\\n\\r\\n(.*?)(?=HTTP|\\Z)", exchange(data), re.S):
        fields = [line for line in head.decode().split("\\r\\n")
                  if line.startswith(("HTTP", "Connection", "Content-Length"))]
        print("; ".join(fields), body.decode().split("<")[0])
GET = b"GET /%s HTTP/1.%d\\r\\nHost: x\\r\\n%s\\r\\n"
POST = b"POST / HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 7\\r\\n\\r\\nfoo\\nbar"
"""


@pytest.fixture
def wsgi(script):
    return lambda source, **options: script(SERVE + source, **options)


def test_single_requests(wsgi):
    out = wsgi("""
show(GET % (b"", 0, b""))
show(GET % (b"?a=b", 1, b"Connection: close\\r\\n"))
show(GET % (b"", 0, b"Connection: keep-alive\\r\\n"))
show(b"POST / HTTP/1.0\\r\\nContent-Length: 7\\r\\n\\r\\nfoo\\nbar")
head = exchange(GET % (b"", 0, b"")).split(b"\\r\\n\\r\\n")[0]
print(all(name in head for name in (b"Server: syncless", b"Date: D", b"Content-Type: text/plain")))
""")
    assert out == ("HTTP/1.1 200 OK; Content-Length: 15; Connection: close Hello, World! /\n"
                   "HTTP/1.1 200 OK; Content-Length: 18; Connection: close Hello, World! /a=b\n"
                   "HTTP/1.1 200 OK; Content-Length: 15; Connection: keep-alive Hello, World! /\n"
                   "HTTP/1.1 200 OK; Content-Length: 9; Connection: close line foo\n\nTrue\n")


def test_sequences(wsgi):
    """Pipelined requests are answered in order; the rest of a body is dropped; after HTTP/1.0 no more is served."""
    out = wsgi("""
show(POST + GET % (b"second", 1, b""))
print()
show(GET % (b"1", 1, b"") + GET % (b"2", 0, b"") + GET % (b"3", 1, b""))
print()
show(POST + POST + GET % (b"3", 0, b"") + GET % (b"4", 1, b""))
""")
    line = "HTTP/1.1 200 OK; Content-Length: 9 line foo\n\n"
    assert out == (line + "HTTP/1.1 200 OK; Content-Length: 21 Hello, World! /second\n\n"
                   "HTTP/1.1 200 OK; Content-Length: 16 Hello, World! /1\n"
                   "HTTP/1.1 200 OK; Content-Length: 16; Connection: close Hello, World! /2\n\n"
                   + line + line + "HTTP/1.1 200 OK; Content-Length: 16; Connection: close Hello, World! /3\n")


def test_too_long_a_head(wsgi):
    """The original closed without a word; today there is a status for it."""
    assert wsgi("""
show(GET % (b"", 1, b"".join(b"X-%d: %s\\r\\n" % (n, b"x" * 90) for n in range(400))))
""", stderr=[]).startswith("HTTP/1.1 431 Request Header Fields Too Large")


def test_signals(script):
    """Handlers run on the main coroutine, each signal once, while others wait on."""
    out = script("""
        import os, signal
        heard = []
        signal.signal(signal.SIGUSR2, lambda *_: heard.append(current().name))
        other = spawn(sleep, 0.1)
        spawn(lambda: os.kill(os.getpid(), signal.SIGUSR2))
        sleep(0.05)
        print(heard, other.join())
        """)
    assert out == "['main'] True\n"


def test_tls_with_client_certificates(script, tmp_path):
    """Its issue 12: the handshake of a server that asks for the client's certificate; both sides in one thread."""
    for name in "server", "client":
        make_certificate(tmp_path, name)
    out = script("""
        import gc, hashlib, ssl
        folder = sys.argv[1]
        def context(side, own, trusted):
            made = ssl.SSLContext(side)
            made.check_hostname = False
            made.verify_mode = ssl.CERT_REQUIRED
            made.load_cert_chain(f"{folder}/{own}-cert.pem", f"{folder}/{own}-key.pem")
            made.load_verify_locations(f"{folder}/{trusted}-cert.pem")
            return made
        server = context(ssl.PROTOCOL_TLS_SERVER, "server", "client")
        client = context(ssl.PROTOCOL_TLS_CLIENT, "client", "server")
        digest = hashlib.sha1(ssl.PEM_cert_to_DER_cert(open(f"{folder}/client-cert.pem").read())).hexdigest()
        def serve(sock):
            with server.wrap_socket(sock, server_side=True) as tls:
                cert = tls.getpeercert(binary_form=True)
                tls.sendall(str(hashlib.sha1(cert).hexdigest() == digest and tls.cipher() is not None).encode())
        def ask():
            near, far = socket.socketpair()
            side = spawn(serve, far)
            with client.wrap_socket(near) as tls:
                answer = tls.recv(10)
            side.get()
            return answer
        print({co.get() for co in [spawn(ask) for _ in range(50)]})
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        for _ in range(50):
            ask()
        gc.collect()
        print(sum(isinstance(thing, (ssl.SSLSocket, ssl.SSLContext)) for thing in gc.garbage))
        """, str(tmp_path))
    assert out == "{b'True'}\n0\n"
