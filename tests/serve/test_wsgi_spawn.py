"""_syncless.spawn in an application: coroutines beside the requests."""
import pytest

APP = """
import os, queue, signal, sys, threading, time, _syncless

ticks = 0
local = threading.local()

def tick():
    global ticks
    while True:
        time.sleep(0.005)
        ticks += 1

_syncless.spawn(tick)   # when the application is loaded: runs as soon as the worker serves

def fan_out():
    q = queue.Queue()
    def work(n):
        time.sleep(0.2)
        q.put(n)
    start = time.monotonic()
    for n in range(50):
        _syncless.spawn(work, n)
    done = sorted(q.get(timeout=20) for _ in range(50))
    return done == list(range(50)) and time.monotonic() - start < 2

def thread_state():
    local.value = 'of the request'
    q = queue.Queue()
    _syncless.spawn(lambda: q.put(hasattr(local, 'value')))
    return q.get(timeout=20)

def fail():
    _syncless.spawn(lambda: 1 / 0)
    _syncless.spawn(sys.exit)
    time.sleep(0.01)
    return True

def fork():
    q = queue.Queue()
    def work():
        pid = os.fork()
        if pid == 0:
            sys.exit(5)
        q.put(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    _syncless.spawn(work)
    return q.get(timeout=20)

def ticking():
    before = ticks
    time.sleep(0.1)
    return ticks > before

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(globals()[environ['PATH_INFO'][1:]]()).encode()]
"""


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon("[wsgi /]\napp = app", {"app.py": APP})


@pytest.mark.parametrize("path, answer", [("fan_out", b"True"), ("thread_state", b"False"), ("fork", b"5"),
                                          ("ticking", b"True")])
def test_spawned_beside_requests(server, path, answer):
    assert server.get("/" + path)[2] == answer


def test_failure_is_logged_and_ends_nothing_else(server):
    assert server.get("/fail")[2] == b"True"
    server.wait_log("ZeroDivisionError")
    assert server.get("/ticking")[2] == b"True"


def test_stop_does_not_wait_for_them(daemon):
    server = daemon("[wsgi /]\napp = app", {"app.py": APP})
    assert server.get("/ticking")[2] == b"True"
    server.process.terminate()
    assert server.wait_exit() == 0
