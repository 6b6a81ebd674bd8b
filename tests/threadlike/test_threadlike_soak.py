"""What the other scenes do, all of it at once in one worker: each request is answered as on threads, and nothing grows.
`make soak` runs this for SOAK=300 seconds; without that variable it is skipped."""
import http.client
import json
import os
import random
import re
import subprocess
import threading
import time

import pytest

from conftest import PYTHON_HOST
from harness import PRELUDE, SCENE_SECONDS, scene_env, wheels
from soaking import figures_at_rest, run_clients
from test_gil import UVLOOP
from test_libraries import LXML, RUST
from test_tls import ERRNO, GREENLET, SCIPY, SQLALCHEMY

SECONDS = int(os.environ.get("SOAK", 0))
CLIENTS = 20
NUMBERS = 4  # different arguments for each page

SITES = [["greenlet"], ["sqlalchemy[asyncio]", "aiosqlite"], ["numpy", "scipy"], ["cffi"], ["lxml"],
         ["cryptography", "orjson"], ["uvloop"], ["grpcio"], ["confluent-kafka"], ["polars"]]

GRPC = '''
import concurrent.futures, threading
import grpc


def echo(request, context):
    time.sleep(0.01)
    return request


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(echo)


channel, lock = None, threading.Lock()


def connect():
    """A server inside, whose threads begin with the first request."""
    global channel, server
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=[Service()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")


def one(n):
    with lock:
        if not channel:
            connect()
    return channel.unary_unary("/t/echo")(b"%d" % n, timeout=20).decode()
'''

KAFKA = '''
from confluent_kafka import Producer


def one(n):
    errors = []
    producer = Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0, "message.timeout.ms": 200})
    producer.produce("topic", b"x", callback=lambda error, message: errors.append(error.name()))
    return producer.flush(10), errors
'''

POLARS = '''
import polars


def one(n):
    frame = polars.LazyFrame({"n": [1, 2, n]}).with_columns(
        polars.col("n").map_batches(lambda series: (time.sleep(0.01), series * 2)[1], return_dtype=polars.Int64))
    return frame.collect()["n"].sum()
'''

CHILDREN = '''
import multiprocessing, os, subprocess
context = multiprocessing.get_context("fork")


def double(n):
    return 2 * n


def grandchild(n):
    pid = os.fork()
    if pid == 0:
        inner = os.fork()
        if inner == 0:
            os._exit(n)
        os._exit(1 + os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def one(n):
    with context.Pool(2) as pool:
        doubled = pool.map(double, range(n))
    output = subprocess.run(["echo", str(n)], capture_output=True, preexec_fn=int, text=True).stdout
    return doubled, output, grandchild(n)
'''

FIFO = '''
import os, tempfile


def one(n):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)

        def write():
            with open(path, "w") as file:
                file.write(str(n))

        def read():
            with open(path) as file:
                return file.read()

        return together(read, write)
'''

HOGS = '''
import hashlib


def one(n):
    """Four slices of Python code, C code that calls Python code, and C code without the GIL."""
    end = time.monotonic() + 0.02
    while time.monotonic() < end:
        sum(range(100))
    last = sorted(range(20000), key=lambda number: -number)[n]
    return last, hashlib.pbkdf2_hmac("sha256", b"password", b"%d" % n, 10000).hex()
'''

PAGES = {"greenlet": GREENLET, "sqlalchemy": SQLALCHEMY, "scipy": SCIPY, "errno": ERRNO, "lxml": LXML, "rust": RUST,
         "uvloop": UVLOOP.replace("async def one", "async def spawn") +
         "\n\ndef one(n):\n    return asyncio.new_event_loop().run_until_complete(spawn(n))\n",
         "grpc": GRPC, "kafka": KAFKA, "polars": POLARS, "children": CHILDREN, "fifo": FIFO, "hogs": HOGS}

APPLICATION = '''
import ctypes, gc, importlib, json, os
pages = {name: importlib.import_module(f"page_{name}") for name in os.environ["PAGES"].split()}


def figures():
    gc.collect()
    return {"objects": len(gc.get_objects()), "descriptors": len(os.listdir("/proc/self/fd"))}


def application(environ, start_response):
    name, n = environ["PATH_INFO"][1:].split("/")
    if name == "exit":
        ctypes.CDLL(None).pthread_exit(None)
    result = figures() if name == "figures" else pages[name].one(int(n))
    start_response("200 OK", [])
    return [json.dumps(result).encode()]
'''

MAIN = '''
import json, os, sys
sys.path.insert(0, os.getcwd())
import soak_app
print("soak:", json.dumps({f"/{name}/{n}": page.one(n) for name, page in soak_app.pages.items() for n in range(%d)}))
sys.stdout.flush()
os._exit(0)
''' % NUMBERS


class Client(threading.Thread):
    """Asks for pages in random order until a given time; sometimes it leaves early."""

    def __init__(self, server, expected, seed, end):
        super().__init__()
        self.server, self.expected, self.random, self.end = server, expected, random.Random(seed), end
        self.served, self.errors, self.path = 0, [], None

    def ask(self, connection):
        self.path = self.random.choice([*self.expected])
        connection.request("GET", self.path)
        if self.random.random() < 0.03:
            connection.close()
            return
        response = connection.getresponse()
        text = response.read().decode()
        assert response.status == 200 and json.loads(text) == self.expected[self.path], text[:1000]

    def end_thread(self):
        assert self.server.get("/exit/0")[0] == 500

    def run(self):
        connection = self.server.http()
        try:
            while time.monotonic() < self.end:
                self.end_thread() if self.random.random() < 0.02 else self.ask(connection)
                self.served += 1
        except (AssertionError, OSError, http.client.HTTPException) as error:
            self.errors.append((self.path, repr(error)))
        connection.close()


def load(server, expected, seconds, seed):
    end = time.monotonic() + seconds
    return run_clients([Client(server, expected, seed * 1000 + n, end) for n in range(CLIENTS)])


@pytest.mark.skipif(not SECONDS, reason="only by `make soak`")
@pytest.mark.limit(300 + 2 * SECONDS)
def test_soak(daemon, tmp_path):
    files = {f"page_{name}.py": PRELUDE + "\nimport time\n" + text for name, text in PAGES.items()}
    files["soak_app.py"] = APPLICATION
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    sites = ":".join(str(wheels(*packages)) for packages in SITES)
    env = {"PAGES": " ".join(PAGES), "GRPC_ENABLE_FORK_SUPPORT": "0"}
    done = subprocess.run([PYTHON_HOST, "-c", MAIN], cwd=tmp_path, env=scene_env("threads", sites, env),
                          capture_output=True, text=True, timeout=2 * SCENE_SECONDS)
    assert done.stdout.startswith("soak: "), done.stdout + done.stderr
    expected = json.loads(done.stdout[6:])
    server = daemon("[wsgi /]\napp = soak_app:application\n", files, env=scene_env("coroutines", sites, env))
    load(server, expected, SECONDS / 4, 1)
    before = figures_at_rest(server, "/figures/0", 60)
    served = load(server, expected, SECONDS * 3 / 4, 2)
    after = figures_at_rest(server, "/figures/0", 60)
    print(f"{served} requests; {before} -> {after}")
    assert after["descriptors"] <= before["descriptors"] + 2
    assert after["objects"] < before["objects"] + 5000
    assert after["resident"] < before["resident"] + (40 << 20) or server.sanitized
    assert server.stop(timeout=30) == 0
    states = re.search(r"wsgi: (\d+) thread states, (\d+) of them of coroutines", server.log)
    assert states, server.log
