"""Libraries that look at threads or have some of their own: profilers, a debugger, Rust, Playwright, libzmq, lxml."""
import json
import socket
import subprocess
import threading

import pytest

from conftest import PYTHON_HOST, SANITIZED, TIMEOUT
from harness import same, scene_env, wheels

# ---- profilers ----

WORK = '''
import time


def work(n):
    time.sleep(0.01)
    return inner(n)


def inner(n):
    return n + 1


def all_work():
    return together(*[lambda n=n: work(n) for n in range(8)])
'''

YAPPI = WORK + '''
import yappi


def scene():
    yappi.set_clock_type("wall")
    yappi.start()
    results = all_work()
    yappi.stop()
    stats = {s.name: s for s in yappi.get_func_stats() if s.name in ("work", "inner")}
    threads = len(yappi.get_thread_stats())
    yappi.clear_stats()
    return results, {name: s.ncall for name, s in stats.items()}, stats["work"].ttot > 0.05, threads >= 8
'''


def test_yappi(daemon):
    """It sees each coroutine as a thread, and each call once."""
    assert same(daemon, YAPPI, wheels("yappi"), requests=1) == [
        list(range(1, 9)), {"work": 8, "inner": 8}, True, True]


VIZTRACER = WORK + '''
import json, os, tempfile
from viztracer import VizTracer


def scene():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace.json")
        with VizTracer(output_file=path, verbose=0):
            results = all_work()
        with open(path) as file:
            events = [event for event in json.load(file)["traceEvents"] if event["ph"] == "X"]
    calls = {name: [e["dur"] for e in events if e["name"].startswith(name + " ")] for name in ("work", "inner")}
    return results, len(calls["work"]), len(calls["inner"]), all(length > 9000 for length in calls["work"])
'''


def test_viztracer(daemon):
    assert same(daemon, VIZTRACER, wheels("viztracer"), requests=1) == [list(range(1, 9)), 8, 8, True]


SLEEPER = '''
import os, time


def application(environ, start_response):
    sleep_here()
    start_response("200 OK", [])
    return []


def sleep_here():
    while not os.path.exists("release"):
        time.sleep(0.01)
'''


@pytest.mark.skipif(SANITIZED, reason="py-spy does not find its way through the sanitizer's memory")
def test_py_spy(daemon):
    """Its dump of a worker from outside shows where each request waits."""
    spy = wheels("py-spy") / "bin" / "py-spy"
    server = daemon("[wsgi /]\napp = app:application\n", {"app.py": SLEEPER})
    server.wait_log("worker 1 is ready")
    results = [threading.Thread(target=server.get, args=("/",)) for _ in range(3)]
    for thread in results:
        thread.start()
    worker, done = server.worker_pids()[0], None

    def all_seen():
        nonlocal done
        done = subprocess.run([spy, "dump", "--pid", str(worker)], capture_output=True, text=True, timeout=60)
        return "ermission" in done.stderr or done.stdout.count("sleep_here (") == 3

    server.wait_until(all_seen)
    (server.dir / "release").touch()
    for thread in results:
        thread.join()
    if "ermission" in done.stderr:
        pytest.skip("py-spy may not look at processes here")
    assert done.stdout.count("sleep_here (") == 3, done.stdout + done.stderr


# ---- a debugger ----

DEBUGGED = '''
import os, debugpy
debugpy.configure(python=os.environ["REAL_PYTHON"])
port = debugpy.listen(("127.0.0.1", 0))[1]


def application(environ, start_response):
    if environ["PATH_INFO"] == "/port":
        answer = str(port)
    else:
        answer = compute(environ["PATH_INFO"])
    start_response("200 OK", [])
    return [answer.encode()]


def compute(path):
    doubled = path + path
    return doubled  # here
'''


class Adapter:
    """A client of the debug adapter protocol."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=4 * TIMEOUT)
        self.file = self.sock.makefile("rb")
        self.number, self.kept = 0, []

    def send(self, command, **arguments):
        self.number += 1
        body = json.dumps({"seq": self.number, "type": "request", "command": command, "arguments": arguments}).encode()
        self.sock.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def receive(self):
        size = 0
        while (line := self.file.readline().strip()):
            size = int(line.split(b":")[1])
        return json.loads(self.file.read(size))

    def await_message(self, kind, name):
        """The body of the first event or response of that name, also of one that has come already."""
        while True:
            for message in self.kept:
                if message["type"] == kind and message[{"event": "event", "response": "command"}[kind]] == name:
                    self.kept.remove(message)
                    assert message.get("success", True), message
                    return message.get("body")
            self.kept.append(self.receive())

    def call(self, command, **arguments):
        self.send(command, **arguments)
        return self.await_message("response", command)


@pytest.mark.limit(120)
def test_debugpy(daemon):
    """Attach to a worker, stop in a request at a breakpoint, look at a variable; the other requests go on."""
    site = wheels("debugpy==1.8.11")
    env = scene_env("coroutines", site, {"REAL_PYTHON": str(PYTHON_HOST), "PYDEVD_DISABLE_FILE_VALIDATION": "1"})
    server = daemon("[wsgi /]\napp = app:application\n", {"app.py": DEBUGGED}, env=env)
    adapter = Adapter(int(server.get("/port")[2]))
    adapter.call("initialize", adapterID="test", clientID="test", pathFormat="path")
    adapter.send("attach", justMyCode=False)
    adapter.await_message("event", "initialized")
    line = 1 + next(n for n, text in enumerate(DEBUGGED.splitlines()) if "# here" in text)
    adapter.call("setBreakpoints", source={"path": str(server.dir / "app.py")}, breakpoints=[{"line": line}])
    adapter.call("configurationDone")
    adapter.await_message("response", "attach")
    answers = []
    asks = threading.Thread(target=lambda: answers.append(server.get("/xy")[2]))
    asks.start()
    thread = adapter.await_message("event", "stopped")["threadId"]
    frame = adapter.call("stackTrace", threadId=thread)["stackFrames"][0]
    assert (frame["name"], frame["line"]) == ("compute", line)
    assert adapter.call("evaluate", expression="doubled", frameId=frame["id"], context="watch")["result"] == "'/xy/xy'"
    adapter.send("continue", threadId=thread)
    asks.join()
    assert answers == [b"/xy/xy"]
    adapter.call("disconnect")
    assert server.get("/z")[2] == b"/z/z"


# ---- libraries in Rust and C ----

RUST = '''
import time
import orjson
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def default(value):
    time.sleep(0.001)
    return "later"


def one(n):
    fernet = Fernet(Fernet.generate_key())
    plain = fernet.decrypt(fernet.encrypt(orjson.dumps({"n": n})))
    key = rsa.generate_private_key(65537, 1024)
    signature = key.sign(plain, padding.PKCS1v15(), hashes.SHA256())
    time.sleep(0.002)
    key.public_key().verify(signature, plain, padding.PKCS1v15(), hashes.SHA256())
    return orjson.loads(orjson.dumps([n, object()], default=default)), orjson.loads(plain)["n"]


def scene():
    return together(*[lambda n=n: one(n) for n in range(8)])
'''


def test_rust_modules(daemon):
    assert same(daemon, RUST, wheels("cryptography", "orjson")) == [[[n, "later"], n] for n in range(8)]


TOKENIZERS = '''
import os, time
os.environ["TOKENIZERS_PARALLELISM"] = "true"
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

texts = [f"the quick brown fox {n} jumps over the lazy dog" for n in range(200)]


def slowly():
    for text in texts:
        time.sleep(0.0001)
        yield text


def scene():
    tokenizer = Tokenizer(models.BPE(unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(slowly(), trainers.BpeTrainer(vocab_size=200, show_progress=False))
    return together(*[lambda: sum(len(e.ids) for e in tokenizer.encode_batch(texts)) for n in range(8)])
'''


def test_tokenizers(daemon):
    """Callers wait for threads of rayon; the trainer calls a generator that waits."""
    counts = same(daemon, TOKENIZERS, wheels("tokenizers"))
    assert len(set(counts)) == 1 and counts[0] > 1000


LXML = '''
import time
from lxml import etree


class Resolver(etree.Resolver):
    def __init__(self, n):
        self.n = n

    def resolve(self, url, ident, context):
        time.sleep(0.002)
        return self.resolve_string(f"<!ENTITY e '{self.n}'>", context)


def one(n):
    def pick(context, nodes):
        time.sleep(0.001)
        return len(nodes) == 1

    functions = etree.FunctionNamespace(f"urn:{n}")
    functions["pick"] = pick
    functions.prefix = f"p{n}"
    tree = etree.fromstring("<a>" + "<b/>" * 50 + "</a>")
    found = tree.xpath(f"b[position() < 5][p{n}:pick(.)]")
    parser = etree.XMLParser(load_dtd=True)
    parser.resolvers.add(Resolver(n))
    other = etree.fromstring(f"<!DOCTYPE x SYSTEM 'x{n}.dtd'><x>&e;</x>", parser)
    try:
        etree.fromstring("<broken>" + "x" * n)
    except etree.XMLSyntaxError as error:
        return len(found), other.text, error.position


def scene():
    return together(*[lambda n=n: one(n) for n in range(8)])
'''


def test_lxml(daemon):
    """libxml2 has thread-locals of pthread keys, and calls back into Python that waits."""
    assert same(daemon, LXML, wheels("lxml")) == [[4, str(n), [1, 9 + n]] for n in range(8)]


ZMQ = '''
import zmq


def scene():
    context = zmq.Context()
    server = context.socket(zmq.REP)
    port = server.bind_to_random_port("tcp://127.0.0.1")

    def serve():
        for _ in range(24):
            server.send(server.recv() + b"!")

    def one(n):
        with context.socket(zmq.REQ) as client:
            client.connect(f"tcp://127.0.0.1:{port}")
            results = []
            for i in range(3):
                client.send(b"%d" % n)
                results.append(client.recv().decode())
        return results

    found = together(serve, *[lambda n=n: one(n) for n in range(8)])
    server.close()
    context.term()
    return found[1:]
'''


def test_zmq(daemon):
    assert same(daemon, ZMQ, wheels("pyzmq")) == [[f"{n}!"] * 3 for n in range(8)]


# ---- Playwright ----

PLAYWRIGHT = '''
import http.server, threading
from playwright.sync_api import sync_playwright


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *args):
        pass


def one(url, n):
    with sync_playwright() as playwright:
        context = playwright.request.new_context()
        text = context.get(f"{url}/{n}").text()
        context.dispose()
        try:
            playwright.chromium.launch(executable_path="/nonexistent")
        except Exception as error:
            return text, type(error).__name__


def scene():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    results = together(*[lambda n=n: one(url, n) for n in range(2)])
    server.shutdown()
    server.server_close()
    return results
'''


@pytest.mark.limit(180)
def test_playwright(daemon):
    """Its sync API: asyncio in greenlets, and a driver that is a child. Without a browser, which PyPI has not."""
    assert same(daemon, PLAYWRIGHT, wheels("playwright"), requests=1) == [["/0", "Error"], ["/1", "Error"]]
