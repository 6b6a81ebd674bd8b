"""syncless.wsgi: servers inside of a program, and what they take for an application."""
import re
import signal
import subprocess
import textwrap
import threading
import urllib.request

import pytest

from scripts import PYTHON, TIMEOUT, certificate, script

START = """
import http.client, os, urllib.error, urllib.request
import syncless.wsgi
def fetch(url, data=None, **options):
    try:
        with urllib.request.urlopen(url, data, timeout=10, **options) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/sleep":
        time.sleep(0.2)
    if path == "/for-ever":
        time.sleep(60)
    if path == "/fail":
        1 / 0
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = "wsgi.url_scheme", "REMOTE_ADDR", "SERVER_PORT", "SCRIPT_NAME", "PATH_INFO"
    return [" ".join(environ[name] for name in names).encode(), b" ", environ["wsgi.input"].read().upper()]
"""


@pytest.fixture
def serving(script):
    return lambda source, *arguments, **options: script(START + textwrap.dedent(source), *arguments, **options)


def test_beside_the_program(serving):
    """Server and clients in one OS thread, and the ticker goes on."""
    out = serving("""
        ticks = []
        def tick():
            while True:
                sleep(0.02)
                ticks.append(1)
        ticker = spawn(tick)
        with syncless.wsgi.start(app, ("127.0.0.1", 0)) as server:
            port = server.address[1]
            print(fetch(server.url + "a%20b", b"body") == (200, b"http 127.0.0.1 %d  /a b BODY" % port))
            began = time.monotonic()
            clients = [spawn(fetch, server.url + "sleep") for _ in range(50)]
            print({co.get()[0] for co in clients}, time.monotonic() - began < 2, len(ticks) > 5)
            kept = http.client.HTTPConnection(*server.address)
            for _ in range(3):
                kept.request("GET", "/")
                print(kept.getresponse().read()[:4], end=" ")
        try:
            fetch(server.url)
        except urllib.error.URLError as error:
            print(error.reason.errno)
        try:
            kept.request("GET", "/")
            print(kept.getresponse().read())
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            print("closed")
        server.close()
        """)
    assert out == "True\n{200} True True\nb'http' b'http' b'http' 111\nclosed\n"


def test_two_servers_and_addresses(serving, tmp_path):
    out = serving("""
        path = sys.argv[1]
        def other(environ, start_response):
            start_response("200 OK", [])
            return [b"other"]
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(path)
        stale.close()
        own = socket.create_server(("127.0.0.1", 0))
        with syncless.wsgi.start(app, "127.0.0.1:0") as one, syncless.wsgi.start(other, "[::1]:0") as two, \\
                syncless.wsgi.start(other, "unix:" + path) as three, syncless.wsgi.start(other, own) as four:
            print(fetch(one.url)[1][:4], fetch(two.url)[1], fetch(four.url)[1], two.url.startswith("http://[::1]:"))
            client = socket.socket(socket.AF_UNIX)
            client.connect(three.address)
            client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            print(client.makefile("rb").read()[-5:])
            for bad in one.address, "nonsense", "unix:/nonexistent/socket":
                try:
                    syncless.wsgi.start(other, bad)
                except (OSError, ValueError) as error:
                    print(str(error).replace(str(one.address[1]), "PORT"))
        print(os.path.exists(path), own.fileno() >= 0)
        """, str(tmp_path / "socket"))
    assert out == ("b'http' b'other' b'other' True\nb'other'\n"
                   "[Errno 98] cannot listen on ('127.0.0.1', PORT): Address already in use\n"
                   "address 'nonsense': expected HOST:PORT, :PORT or unix:PATH\n"
                   "[Errno 2] cannot listen on unix:/nonexistent/socket: No such file or directory\nFalse True\n")


def test_tls(serving, certificate):
    log = []
    out = serving("""
        import ssl
        cert, key = sys.argv[1:]
        trusting = ssl.create_default_context(cafile=cert)
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(cert, key)
        for tls in (cert, key), {"certfile": cert, "keyfile": key}, own:
            with syncless.wsgi.start(app, ("127.0.0.1", 0), tls=tls) as server:
                print(fetch(server.url, context=trusting)[1].split()[:2], end=" ")
                clients = [spawn(fetch, server.url + "sleep", b"x" * 300000, context=trusting) for _ in range(10)]
                print({(status, len(body) > 300000) for status, body in [co.get() for co in clients]})
                plain = socket.create_connection(server.address)
                plain.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
                try:
                    plain.recv(100)
                except ConnectionResetError:
                    pass
                print(fetch(server.url, context=trusting)[0])
        try:
            syncless.wsgi.start(app, ("127.0.0.1", 0), tls="cert.pem")
        except TypeError as error:
            print(error)
        """, *certificate, stderr=log)
    assert out == "[b'https', b'127.0.0.1'] {(200, True)}\n200\n" * 3 + (
        "tls must be an ssl.SSLContext, (certfile, keyfile) or a dict with these, not 'cert.pem'\n")


def test_http_and_https_on_one_port(serving, certificate):
    out = serving("""
        import ssl
        cert, key = sys.argv[1:]
        trusting = ssl.create_default_context(cafile=cert)
        with syncless.wsgi.start(app, ("127.0.0.1", 0), tls=(cert, key), use_http=True) as server:
            plain = server.url.replace("https", "http")
            silent = socket.create_connection(server.address)
            for _ in range(2):
                print(fetch(server.url, context=trusting)[1].split()[:2], fetch(plain)[1].split()[:2])
            clients = [spawn(fetch, plain + "sleep", b"x" * 300000) for _ in range(5)]
            clients += [spawn(fetch, server.url + "sleep", b"x" * 300000, context=trusting) for _ in range(5)]
            print({(status, len(body) > 300000) for status, body in [co.get() for co in clients]})
            socket.create_connection(server.address).close()
            kept = http.client.HTTPConnection(*server.address)
            kept.request("GET", "/")
            print(kept.getresponse().status)
        for url, options in (server.url, {"context": trusting}), (plain, {}):
            try:
                fetch(url, **options)
            except urllib.error.URLError as error:
                print(error.reason.errno)
        with syncless.wsgi.start(app, ("127.0.0.1", 0), tls=(cert, key), use_http=True, max_body_size=10) as server:
            print(fetch(server.url.replace("https", "http"), b"x" * 11)[0])
        """, *certificate)
    assert out == ("[b'https', b'127.0.0.1'] [b'http', b'127.0.0.1']\n" * 2 + "{(200, True)}\n200\n111\n111\n413\n")


def test_errors_and_limits(serving):
    log = []
    out = serving("""
        with syncless.wsgi.start(app, ("127.0.0.1", 0), max_body_size=10, request_timeout=0.2) as server:
            asked = ("", b"x" * 10), ("", b"x" * 11), ("fail", None), ("for-ever", None), ("", None)
            print([fetch(server.url + path, data)[0] for path, data in asked])
        """, stderr=log)
    assert out == "[200, 413, 500, 504, 200]\n"
    assert "GET /fail: the application failed\n  Traceback" in log[0] and "request-timeout" in log[0]


def test_close_in_a_thread_and_in_a_child(serving, tmp_path):
    """A thread may close a server; a forked child that leaves its block leaves the server alone."""
    out = serving("""
        with syncless.wsgi.start(app, "unix:" + sys.argv[1]) as server:
            pid = os.fork()
            if pid == 0:
                sys.exit(3)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), os.path.exists(server.address))
            for _ in range(2):
                client = socket.socket(socket.AF_UNIX)
                client.settimeout(5)
                client.connect(server.address)
                client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
                print(client.makefile("rb").read()[:15])
            run_in_thread(server.close)
            print(os.path.exists(server.address))
            server.wait()
        """, str(tmp_path / "socket"))
    assert out == "3 True\nb'HTTP/1.1 200 OK'\nb'HTTP/1.1 200 OK'\nFalse\n"


def test_bad_addresses(script):
    out = script("""
        from syncless.wsgi import start
        for bad in ("127.0.0.1", 99999), "127.0.0.1:-1", "no.such.host.invalid:80", ("127.0.0.1", "80"):
            try:
                start(lambda environ, start_response: [], bad)
            except (OSError, ValueError, TypeError) as error:
                print(type(error).__name__, error)
        """).splitlines()
    assert out[0] == "ValueError address 127.0.0.1:99999: the port must be from 0 to 65535"
    assert out[1] == "ValueError address '127.0.0.1:-1': expected HOST:PORT, :PORT or unix:PATH"
    assert re.match(r"OSError \[Errno -\d\] cannot listen on no.such.host.invalid:80: ", out[2])
    assert out[3].startswith("TypeError ")


def test_base_http_in_odd_ways(serving):
    """Interim responses, several lines in one write, a body by writelines; and no HTTP at all."""
    log = []
    out = serving("""
        import http.server
        class Odd(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/bad":
                    self.wfile.write(b"nothing\\r\\n\\r\\n")
                self.wfile.write(b"HTTP/1.1 100 Continue\\r\\n\\r\\nHTTP/1.1 103 Early Hints\\r\\nLink: x\\r\\n\\r\\n"
                                 b"HTTP/1.1 202 Fine\\r\\nX-A: b\\r\\n\\r\\nbody ")
                self.wfile.writelines([b"in ", b"parts"])
        with syncless.wsgi.start(Odd, ("127.0.0.1", 0)) as server:
            print(*fetch(server.url), fetch(server.url + "bad")[0])
        """, stderr=log)
    assert out == "202 b'body in parts' 500\n"
    assert "does not begin with an HTTP status line: 'nothing'" in log[0]


@pytest.mark.parametrize("tls", [False, True])
def test_applications_go_with_their_servers(serving, certificate, tls):
    """When the last request is answered: a program may serve one after the other."""
    out = serving("""
        import gc, ssl, weakref
        class App:
            def __call__(self, environ, start_response):
                return app(environ, start_response)
        def is_gone(ref):
            for _ in range(200):
                gc.collect()
                if ref() is None:
                    return True
                sleep(0.01)
        tls = tuple(sys.argv[1:]) or None
        context = ssl.create_default_context(cafile=tls[0]) if tls else None
        for _ in range(3):
            server = syncless.wsgi.start(App(), ("127.0.0.1", 0), tls=tls)
            ref = weakref.ref(next(o for o in gc.get_objects() if type(o) is App))
            fetch(server.url, context=context)
            idle = socket.create_connection(server.address)
            running = spawn(fetch, server.url + "sleep", context=context)
            sleep(0.1)
            server.close()
            server.close()
            print(ref() is not None, running.get()[0], is_gone(ref))
        """, *(certificate if tls else ()))
    assert out == "True 200 True\n" * 3


def test_limits_of_the_process(serving):
    """The first server takes all keys of [limits]; later ones those of a mount, each its own."""
    out = serving("""
        with syncless.wsgi.start(app, ("127.0.0.1", 0), max_header_size="1k", header_timeout=0.2,
                                 max_body_size="1k") as server:
            print(fetch(server.url, b"x" * 1024)[0], fetch(server.url, b"x" * 1025)[0])
            def large(url):
                return urllib.request.Request(url, headers={"X": "x" * 2000})
            print(fetch(large(server.url))[0])
            slow = socket.create_connection(server.address)
            slow.sendall(b"GET / HTTP/1.1\\r\\n")
            print(slow.makefile("rb").read(12))
        with syncless.wsgi.start(app, ("127.0.0.1", 0), request_timeout="100ms", on_disconnect="cancel") as server:
            print(fetch(server.url + "sleep")[0], fetch(large(server.url))[0])
        """, stderr=[])
    assert out == "200 413\n431\nb'HTTP/1.1 408'\n504 431\n"


def test_bad_limits(script, tmp_path):
    out = script("""
        from syncless.wsgi import start
        def app(environ, start_response):
            pass
        path = sys.argv[1]
        for limits in ({"max_body": 5}, {"max_body_size": -1}, {"request_timeout": "soon", "max_headers": "many"},
                       {"on_disconnect": True}):
            try:
                start(app, "unix:" + path, **limits)
            except ValueError as error:
                print(error)
        start(app, ("127.0.0.1", 0)).close()
        try:
            start(app, "unix:" + path, header_timeout=5)
        except ValueError as error:
            print(error)
        import os
        print(os.path.exists(path))
        """, str(tmp_path / "socket"))
    assert out.splitlines() == [
        'limits: unknown key "max-body" in [limits]',
        'limits: "max-body-size = -1": expected a size such as 512, 64k, 4m or 1g',
        'limits: "request-timeout = soon": expected a duration such as 500ms, 10s, 5m, 1h or 1d',
        'limits: "max-headers = many": expected a whole number',
        'limits: "on-disconnect = True": expected ignore or cancel',
        '"header-timeout" holds for the whole process, which has been set up already', "False"]


def test_no_applications(script):
    out = script("""
        from syncless.wsgi import RunHttpServer, serve, start
        class Nothing:
            pass
        for bad in None, 5, "app", Nothing, Nothing(), lambda: None, lambda a, b, c: None:
            try:
                RunHttpServer(bad)
            except TypeError as error:
                print(str(error).split(":")[0].endswith("is not an application"))
        def in_thread():
            try:
                start(lambda environ, start_response: [], ("127.0.0.1", 0))
            except RuntimeError as error:
                print(error)
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()
        """)
    assert out == "True\n" * 7 + "only a coroutine can serve; this is an OS thread (or a forked child)\n"


def test_end_of_the_program_ends_requests(serving):
    """Their finally blocks run, and the client sees it."""
    out = serving("""
        def waiting(environ, start_response):
            try:
                time.sleep(60)
            finally:
                print("finally", flush=True)
        server = syncless.wsgi.start(waiting, ("127.0.0.1", 0))
        def client():
            status = fetch(server.url)[0]
            os.write(1, b"%d" % status)  # CPython aborts at its end if a daemon thread is in print()
        thread = threading.Thread(target=client, daemon=True)
        thread.start()
        sleep(0.1)
        """)
    assert out.startswith("finally\n")


FRAMEWORKS = {
    "flask": "import flask; app = flask.Flask('x'); app.route('/')(lambda: 'hello')",
    "bottle": "import bottle; app = bottle.Bottle(); app.route('/')(lambda: 'hello')",
    "web.py": "import web\nclass Index:\n    def GET(self):\n        return 'hello'\n"
              "app = web.application(('/', 'Index'), globals())",
    "cherrypy class": "import cherrypy\nclass app:\n    @cherrypy.expose\n    def index(self):\n        return 'hello'",
    "cherrypy object": "class Root:\n    def index(self):\n        return 'hello'\n    index.exposed = True\n"
                       "app = Root()",
    "cherrypy tree": "import cherrypy\nclass Root:\n    @cherrypy.expose\n"
                     "    def index(self):\n        return 'hello'\n"
                     "cherrypy.tree.mount(Root(), '/')\napp = cherrypy.tree",
    "webob": "from webob.dec import wsgify\n@wsgify\ndef app(request):\n    return 'hello'",
    "django": "import django.conf\ndjango.conf.settings.configure(ROOT_URLCONF='__main__', ALLOWED_HOSTS=['*'])\n"
              "from django.urls import path\nfrom django.http import HttpResponse\n"
              "urlpatterns = [path('', lambda r: HttpResponse('hello'))]\n"
              "from django.core.wsgi import get_wsgi_application\napp = get_wsgi_application()",
    "basehttp": "import http.server\nclass app(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n"
                "        self.send_response(200)\n        self.end_headers()\n        self.wfile.write(b'hello')\n"
                "    def log_message(self, *args):\n        pass",
    "class": "class app:\n    def __init__(self, environ, start_response):\n        start_response('200 OK', [])\n"
             "    def __iter__(self):\n        yield b'hello'",
    "method": "class X:\n    def app(self, environ, start_response):\n        start_response('200 OK', [])\n"
              "        return [b'hello']\n"
              "app = X().app",
}


def needs_of(framework):
    """Return the pytest marks for a framework that is not part of CPython."""
    module = re.match(r"\w+", framework)[0]
    return [] if module in ("basehttp", "class", "method") else [pytest.mark.needs(module)]


@pytest.mark.parametrize("framework", [pytest.param(name, marks=needs_of(name)) for name in FRAMEWORKS])
def test_frameworks(serving, framework):
    out = serving(FRAMEWORKS[framework] + """
with syncless.wsgi.start(app, ("127.0.0.1", 0)) as server:
    print(*fetch(server.url), fetch(server.url + "absent")[0])
""", stderr=[])
    assert re.fullmatch(r"200 b'hello' (404|200|501)\n", out)


@pytest.mark.needs("cheroot")
def test_cherrypys_own_server(script):
    """cheroot, unchanged: its threads are OS threads, beside our coroutines."""
    out = script("""
        import urllib.request
        from cheroot import wsgi
        def app(environ, start_response):
            time.sleep(0.1)
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"hello"]
        server = wsgi.Server(("127.0.0.1", 0), app, numthreads=3)
        server.prepare()
        running = spawn(server.serve)
        url = f"http://127.0.0.1:{server.bind_addr[1]}/"
        clients = [spawn(lambda: urllib.request.urlopen(url, timeout=10).read()) for _ in range(6)]
        print({co.get() for co in clients})
        run_in_thread(server.stop)
        print(running.join(5))
        """)
    assert out == "{b'hello'}\nTrue\n"


def run_until_served(source, ask):
    """Start a script that prints its URL; call ask(url); send Ctrl-C. Return what ask returned and the exit code."""
    process = subprocess.Popen([PYTHON, "-c", source], stderr=subprocess.PIPE, text=True)
    guard = threading.Timer(TIMEOUT, process.kill)
    guard.start()
    try:
        url = re.match(r"serving on (http://\S+)", process.stderr.readline())[1]
        answer = ask(url)
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        return answer, process.wait(TIMEOUT)
    finally:
        guard.cancel()
        process.kill()
        process.wait()
        process.stderr.close()


def ask(url):
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        return response.read()


def test_run_http_server_and_simple():
    source = "from syncless.wsgi import *\n"
    assert run_until_served(source + "simple(0, lambda: 'one-liner')", ask) == (b"one-liner", -signal.SIGINT)
    app = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'page']\n"
    assert run_until_served(source + app + "RunHttpServer(app, ('127.0.0.1', 0))", ask) == (b"page", -signal.SIGINT)


APP = """
import syncless.wsgi

def other(environ, start_response):
    start_response("200 OK", [])
    return [b"other port"]

server = None

def application(environ, start_response):
    global server
    if server is None:
        server = syncless.wsgi.start(other, ("127.0.0.1", 0))
    start_response("200 OK", [])
    return [server.url.encode()]
"""


def test_a_second_port_of_an_application(daemon):
    server = daemon("[wsgi /]\napp = app\n", {"app.py": APP})
    url = server.get("/")[2].decode()
    assert ask(url) == b"other port"
    assert server.get("/")[2].decode() == url
    assert server.stop() == 0
