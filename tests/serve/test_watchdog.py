"""The watchdog of the event loop: it says which request blocks the loop, and where, and never harms that request."""
import os
import re
import signal
import threading
import time

import pytest

from conftest import SANITIZED, wait_until

APP = """
import ctypes, re, time

def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

def outer(seconds):
    spin(seconds)

def churn(depth):
    'Creates and ends frames in every way.'
    try:
        if depth:
            return sum(churn(n) for n in (depth - 1, depth - 2) if n >= 0) + eval('(lambda n: n)(1)')
        raise KeyError(depth)
    except KeyError:
        exec('def f(): return [i for i in range(3)]', names := {})
        return len(names['f']())
    finally:
        sorted([3, 1, 2], key=lambda n: -n)

def app(environ, start_response):
    path, query = environ['PATH_INFO'], environ['QUERY_STRING']
    if path == '/spin':
        outer(float(query))
    if path == '/c':
        re.match('(a+)+$', 'a' * int(query) + 'b')
    if path == '/nogil':
        derive(int(query))
    if path == '/sleep':
        time.sleep(float(query))
    if path == '/churn':
        end = time.monotonic() + float(query)
        while time.monotonic() < end:
            churn(9)
    start_response('200 OK', [('Content-Length', '2')])
    return [b'ok']

def derive(rounds):
    'By ctypes, whose calls stay on the thread of the loop.'
    ctypes.CDLL('libcrypto.so.3').PKCS5_PBKDF2_HMAC_SHA1(b'p', 1, b's', 1, rounds, 20, ctypes.create_string_buffer(20))
"""


@pytest.fixture
def start(daemon):
    def run(timeout="300ms", key="watchdog-timeout"):
        server = daemon(f"[server]\n{key} = {timeout}\ntime-slice = 0\n[wsgi /]\napp = busy:app\n", {"busy.py": APP})
        server.wait_log("all workers are ready")
        return server
    return run


def reports(server):
    """[(seconds, request), ...]"""
    return re.findall(r"\[warn\] \d+#1 event loop blocked for (\d+\.\d) s: (.*)", server.log)


def test_python_that_blocks_the_loop(start):
    server = start()
    assert server.get("/spin?1.9")[2] == b"ok"
    found = reports(server)
    assert [request for _, request in found] == ["GET /spin?1.9"], "once, not each second"
    assert 0.3 <= float(found[0][0]) < 0.9
    stack = [r'  Stack \(most recent call first\):', r'    File ".*busy\.py", line [56] in spin',
             r'    File ".*busy\.py", line 10 in outer', r'    File ".*busy\.py", line 27 in app']
    server.wait_log(r"GET /spin\?1\.9\n" + "\n".join(stack))


def test_c_code_that_keeps_the_gil(start):
    server = start()
    server.get("/c?25")
    server.wait_log(r'GET /c\?25\n(  .*\n)+?    File ".*busy\.py", line 29 in app')


def test_c_code_that_has_released_the_gil(start):
    server = start("100ms")
    server.get("/nogil?3000000")
    server.wait_log(r'GET /nogil\?3000000\n(  .*\n)*?    File ".*busy\.py", line 43 in derive')


def test_waiting_requests_are_not_reported(start):
    server = start()
    threads = [threading.Thread(target=server.get, args=("/sleep?1",)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reports(server) == []


def test_the_watchdog_shares_no_descriptors(start):
    """Where threads share a descriptor table, each system call on a descriptor costs more."""
    worker, = start().worker_pids()
    (thread,) = {int(name) for name in os.listdir(f"/proc/{worker}/task")} - {worker}
    wait_until(lambda: len(os.listdir(f"/proc/{worker}/task/{thread}/fd")) <= 3)
    assert len(os.listdir(f"/proc/{worker}/fd")) > 5


def test_old_name_of_the_key(start):
    server = start(key="hog-limit")
    server.wait_log(r'\[warn\] .*server\.ini:2: "hog-limit" has been renamed to "watchdog-timeout"')
    server.get("/spin?0.5")
    assert [request for _, request in reports(server)] == ["GET /spin?0.5"]


def test_zero_switches_it_off(start):
    server = start("0")
    server.get("/spin?0.5")
    assert reports(server) == []


def test_c_handler_that_blocks_the_loop(daemon, c_modules):
    server = daemon(f"[server]\nwatchdog-timeout = 200ms\nmodule-path = {c_modules}\n[probe /]\n")
    server.get("/spin?700")
    server.wait_log(r"\[warn\] \d+#1 event loop blocked for 0\.\d s: GET /spin\?700$")


def test_module_that_starts_slowly_is_not_reported(daemon):
    slow = "import time\ntime.sleep(0.5)\ndef app(e, s):\n    s('200 OK', [])\n    return []\n"
    server = daemon("[server]\nwatchdog-timeout = 100ms\n[wsgi /]\napp = slow:app\n", {"slow.py": slow})
    server.wait_log("all workers are ready")
    assert reports(server) == []


@pytest.mark.limit(60)
def test_thousands_of_stack_dumps_harm_nobody(start):
    """Requested by signal at any moment of code that creates and ends frames all the time."""
    server = start("0")
    worker, = server.worker_pids()
    answers, asked = [], 0
    while asked < (100 if SANITIZED else 2000) or len(answers) < 4:
        thread = threading.Thread(target=lambda: answers.append(server.get("/churn?1")[2]))
        thread.start()
        while thread.is_alive():
            os.kill(worker, signal.SIGRTMIN + 1)
            asked += 1
            time.sleep(0.0002)
        thread.join()
    assert set(answers) == {b"ok"} and server.worker_pids() == [worker]
    dumped = len(re.findall(r"stack dump by signal.*\n  Stack.*\n    File", server.log))
    failed = server.log.count("the stack cannot be read")
    assert dumped > 20 and failed < dumped, (dumped, failed)
    assert server.get("/")[2] == b"ok"
