"""The life of a thread: destructors run when it ends, on the coroutine, and may wait; applications start and end on one
too."""
import re
import time

import pytest

from conftest import TIMEOUT
from harness import library, same

# ---- the end of a thread ----

ENDS = """
import os, threading, time

lock = threading.Lock()
local = threading.local()
ended = []

class Value:
    def __del__(self):
        with lock:
            ended.append(1)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/set":
        local.value = Value()
        time.sleep(0.2)
    elif path == "/hold":
        with lock:
            while not os.path.exists("release"):
                time.sleep(0.01)
    start_response("200 OK", [])
    return [str(len(ended)).encode()]
"""


@pytest.fixture
def ends(daemon):
    return daemon("[wsgi /]\napp = app:application\n", {"app.py": ENDS})


def test_destructors_may_wait_for_a_request(ends):
    """20 coroutines set a value and are not needed afterwards. What frees them waits for a lock that a request holds,
    which used to stop the worker for ever."""
    ends.get_all(["/set"] * 20)
    with ends.connect() as sock:
        sock.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(2.5)  # the pool is trimmed once a second
        assert ends.get("/")[2] == b"0"
        (ends.dir / "release").touch()
        assert b" 200 " in sock.recv(1000)
    ends.wait_until(lambda: int(ends.get("/")[2]) >= 19)


def test_destructors_may_wait_at_the_stop(ends):
    ends.get_all(["/set"] * 20)
    assert ends.stop() == 0
    assert re.search(r"wsgi: 1 thread states, 0 of them of coroutines\n.* stopped", ends.log)


def test_a_destructor_that_waits_for_ever_does_not_keep_the_worker(daemon):
    """The lock is held by nobody who would release it."""
    server = daemon("[wsgi /]\napp = app:application\n", {"app.py": ENDS + "lock.acquire()\n"})
    server.get_all(["/set"] * 3)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < TIMEOUT / 2
    # The third begins a new life to run what draining() registers, so its destructor waits then, and is told to end.
    assert "2 coroutines were still running" in server.log and "Killed: the worker stops" in server.log


TELLER = """
import ctypes, threading, time

teller = ctypes.CDLL("LIBRARY")
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int)

def scene():
    told = []
    order = threading.Lock()

    @CALLBACK
    def tell(number):  # by PyGILState_Ensure, in a thread without a state
        time.sleep(0.001)
        with order:
            told.append(number)

    def use():
        time.sleep(0.001)
        return teller.cxx_use()

    teller.cxx_tell(tell)
    used = together(*[use] * 10)
    while len(told) < 40:
        time.sleep(0.01)
    teller.cxx_tell(None)
    return [used, sorted(told)]
"""


def test_destructors_of_cxx_call_python(daemon, tmp_path):
    path = library(tmp_path, "../../unit/tls_cxx.cc")
    result = same(daemon, TELLER.replace("LIBRARY", str(path)), requests=1)
    assert result == [[3] * 10, sorted([1, 2, 3, 4] * 10)]


# ---- start and stop of an application ----

STARTS = """
import atexit, os, queue, sys, threading, _syncless

answers = queue.Queue()

def ask():
    _syncless.spawn(lambda: answers.put(threading.get_ident()))
    return answers.get(timeout=5)

def check():
    assert ask() != threading.get_ident()
    assert threading.current_thread() is threading.main_thread()
    nested = []
    for _ in range(200):  # CPython since 3.14 looks at the stack
        nested = [nested]
    assert len(repr(nested)) == 402

check()

@atexit.register
def end():
    check()
    print("ended well", file=sys.stderr, flush=True)

def application(environ, start_response):
    start_response("200 OK", [])
    return [b"started"]
"""


@pytest.mark.parametrize("limits", ["", "stack-size = 128k\n"])
def test_an_application_may_wait_for_coroutines_while_it_starts_and_ends(daemon, limits):
    server = daemon(f"[server]\n{limits}[wsgi /]\napp = app:application\n", {"app.py": STARTS})
    assert server.get("/")[2] == b"started"
    assert server.stop() == 0
    assert "ended well" in server.log


def test_the_check_loads_it_likewise(run_server):
    done = run_server(["--check=app"], "[wsgi /]\napp = app:application\n", {"app.py": STARTS})
    assert done.returncode == 0, done.stderr


def test_with_preload_there_are_no_coroutines_yet(run_server):
    done = run_server([], "[server]\npreload = yes\n[wsgi /]\napp = app:application\n", {"app.py": STARTS})
    assert done.returncode == 4
    assert "RuntimeError: with preload there are no coroutines before a worker has started" in done.stderr


PRELOADED = """
import atexit, sys

def application(environ, start_response):
    start_response("200 OK", [])
    return [b"started"]

@atexit.register
def end():
    nested = []
    for _ in range(1000000):
        nested = [nested]
    try:
        repr(nested)
    except RecursionError:
        print("ended well", file=sys.stderr, flush=True)
"""


def test_a_preloaded_application_ends_on_another_stack(daemon):
    """CPython since 3.14 must be told of that, or recursion overflows it."""
    server = daemon("[server]\npreload = yes\n[wsgi /]\napp = app:application\n", {"app.py": PRELOADED})
    assert server.get("/")[2] == b"started"
    assert server.stop() == 0
    assert "ended well" in server.log
