"""Requests as threads: those that block let the others run, in one worker and one OS thread, and share nothing that
threads would not share. The traps are those of CPython's GIL and PyGILState: modules/wsgi/threads/tstate.c and
modules/wsgi/interp/compat.c."""
import subprocess
import time

import pytest

APP = """
import asyncio, contextvars, ctypes, gc, json, os, queue, select, socket, subprocess, threading, time, weakref

PAUSE = 0.3
local = threading.local()
var = contextvars.ContextVar('var', default='unset')
lock = threading.Lock()
rlock = threading.RLock()
libc = ctypes.CDLL(None)
held = ctypes.PyDLL(None)  # its calls keep the GIL
compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
held_compare_type = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

def sleep(n):
    time.sleep(PAUSE)
    return n

def sleep_with_gil(n):
    held.usleep(int(PAUSE * 1e6))
    return n

def select_(n):
    r, w = os.pipe()
    try:
        select.select([r], [], [], PAUSE)
    finally:
        os.close(r), os.close(w)
    return n

def socket_(n):
    a, b = socket.socketpair()
    with a, b:
        a.settimeout(PAUSE)
        try:
            a.recv(1)
        except socket.timeout:
            return n

def condition(n):
    threading.Event().wait(PAUSE)
    return n

def process(n):
    subprocess.run(['sleep', str(PAUSE)], check=True)
    return n

def event_loop(n):
    async def main():
        await asyncio.sleep(PAUSE)
        return n
    return asyncio.run(main())

def os_thread(n):
    '''A real thread feeds the coroutine.'''
    q = queue.Queue()
    def feed():
        time.sleep(PAUSE)
        q.put(n)
    threading.Thread(target=feed).start()
    return q.get(timeout=20)

def thread_local(n):
    local.value = n
    time.sleep(PAUSE)
    return local.value

def context_var(n):
    before = var.get()
    var.set(n)
    time.sleep(PAUSE)
    return n if (before, var.get()) == ('unset', n) else (before, var.get())

def identity(n):
    ident = threading.get_ident()
    time.sleep(PAUSE)
    assert ident == threading.get_ident() and threading.current_thread() is not threading.main_thread()
    others.add(ident)
    return n

others = set()

def recursive_lock(n):
    '''An RLock belongs to a thread: were two coroutines one thread, both would be inside.'''
    with rlock:
        local.inside = n
        counter[0] += 1
        assert counter[0] == 1
        with rlock:
            time.sleep(0.005)
        counter[0] -= 1
    return n

counter = [0]

def exception_state(n):
    try:
        raise KeyError(n)
    except KeyError:
        time.sleep(PAUSE)
        try:
            raise
        except KeyError as error:
            return error.args[0]

def sort(library, prototype, n):
    '''Calls back from C, where each call back parks: C code goes on without the GIL, or with it.'''
    order = []
    def compare(a, b):
        order.append((a, b))
        time.sleep(0.02)
        return n if local.sorting == n else 'another state'
    local.sorting = n
    numbers = (ctypes.c_int * 5)(*range(5))
    library.qsort(numbers, 5, 4, prototype(compare))
    assert len(order) >= 4
    return n

def callback(n):
    return sort(libc, compare_type, n)

def callback_with_gil(n):
    return sort(held, held_compare_type, n)

def callback_after_park(n):
    '''C code parks without the GIL, and calls back when others have had it.'''
    helper = ctypes.CDLL('./helper.so')
    local.value = n
    call_type = ctypes.CFUNCTYPE(ctypes.c_int)
    return helper.wait_and_call(int(PAUSE * 1e6), call_type(lambda: local.value))

def ensure_with_gil(n):
    '''PyGILState_Ensure by one that has the GIL: it must find this coroutine's state, or it waits forever.'''
    ensure, release = held.PyGILState_Ensure, held.PyGILState_Release
    for _ in range(3):
        state = ensure()
        time.sleep(0.05)
        release(state)
        held.usleep(50000)
        assert ensure() == 0  # PyGILState_LOCKED: it was held
        release(0)
    return n

def deep(n):
    def down(depth):
        return 0 if depth == 0 else 1 + down(depth - 1)
    local.depth = down(500)
    time.sleep(PAUSE)
    return n if down(500) == local.depth else None

def nested(n):
    '''As deep as C code goes before CPython stops it, in its own words: the stack must hold that.'''
    def deeper():
        return sorted([2, 1], key=lambda _: deeper())
    try:
        deeper()
    except RecursionError:
        time.sleep(0.01)
        return n

# More levels than fit on a stack of 8 MB: from 3.14 on that is the limit, not a number of levels.
ENDLESS = 300000

def nest(depth):
    list_ = []
    for _ in range(depth):
        list_ = [list_]
    return list_

def nested_json(n):
    '''C code that recurses without calling Python.'''
    try:
        json.dumps(nest(ENDLESS))
    except RecursionError:
        return n

def nested_equal(n):
    '''The same; repr() would do, but looks at all levels above at each.'''
    try:
        nest(ENDLESS) == nest(ENDLESS)
    except RecursionError:
        return n

def nested_source(n):
    try:
        compile("-" * 60000 + "1", "source", "eval")
    except (RecursionError, MemoryError):
        return n

def garbage(n):
    '''What is freed when the stack of this coroutine is not needed any more.'''
    time.sleep(PAUSE)
    local.nest = nest(200000)
    return n

ends = {}

def pair(n):
    if n not in ends:
        ends[n] = os.pipe()
    return ends[n]

def two_readers(n):
    '''Of three requests two read from one pipe, and the third writes for both.'''
    r, w = pair(n // 3)
    if n % 3 == 2:
        time.sleep(0.1)
        return os.write(w, b'11')
    return os.read(r, 1).decode()

def closed(n):
    '''Of two requests one reads from a pipe, and the other one closes it.'''
    r, w = pair(n // 2)
    if n % 2:
        time.sleep(0.1)
        os.close(r)
        pair(-1)  # its number is used again at once
        return 'closed'
    try:
        return os.read(r, 1)
    except OSError as error:
        return error.strerror

def collect(n):
    gc.collect()
    return len(gc.get_objects())

def ok(n):
    return n

def items(n):
    for i in range(3):
        time.sleep(PAUSE / 3)
        yield b'%d' % n

def application(environ, start_response):
    n = int(environ['QUERY_STRING'] or 0)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    if environ['PATH_INFO'] == '/items':
        return items(n)
    return [str(globals()[environ['PATH_INFO'][1:]](n)).encode()]
"""


HELPER = """
#include <unistd.h>
int wait_and_call(unsigned microseconds, int (*fn)(void));
int wait_and_call(unsigned microseconds, int (*fn)(void))
{
    usleep(microseconds);
    return fn();
}
"""


@pytest.fixture(scope="module")
def server(shared_daemon, tmp_path_factory):
    folder = tmp_path_factory.mktemp("helper")
    (folder / "helper.c").write_text(HELPER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "helper.so", folder / "helper.c"], check=True)
    return shared_daemon("[wsgi /]\napp = app", {"app.py": APP, "helper.so": (folder / "helper.so").read_bytes()})


def gather(server, path, count):
    """Ask count times at once: the answers in order, and the seconds until the last one."""
    return server.get_all([f"{path}?{n}" for n in range(count)])


WAITS = ["sleep", "sleep_with_gil", "select_", "socket_", "condition", "thread_local", "context_var", "identity",
         "exception_state", "deep", "os_thread", "event_loop"]


@pytest.mark.alone
@pytest.mark.parametrize("name", WAITS)
def test_20_requests_that_wait(server, name):
    """One after the other they would take 6 seconds."""
    answers, seconds = gather(server, "/" + name, 20)
    assert answers == [str(n) for n in range(20)]
    assert server.sanitized or seconds < 2


def test_a_context_ends_with_its_request(server):
    """The second twenty run in the threads of the first."""
    for _ in range(2):
        assert gather(server, "/context_var", 20)[0] == [str(n) for n in range(20)]


@pytest.mark.alone
def test_100_requests_that_sleep(server):
    answers, seconds = gather(server, "/sleep", 100)
    assert answers == [str(n) for n in range(100)]
    assert server.sanitized or seconds < 3


@pytest.mark.alone
def test_subprocesses(server):
    answers, seconds = gather(server, "/process", 5)
    assert answers == [str(n) for n in range(5)]
    assert server.sanitized or seconds < 1.2


@pytest.mark.alone
def test_generators_side_by_side(server):
    answers, seconds = gather(server, "/items", 20)
    assert answers == [str(n) * 3 for n in range(20)]
    assert server.sanitized or seconds < 2


@pytest.mark.parametrize("name", ["recursive_lock", "callback", "callback_with_gil", "callback_after_park",
                                  "ensure_with_gil", "nested"])
def test_threads_to_cpython(server, name):
    answers, _ = gather(server, "/" + name, 20)
    assert answers == [str(n) for n in range(20)]


@pytest.mark.parametrize("name", ["nested_json", "nested_equal", "nested_source"])
def test_code_that_recurses_without_end(server, name):
    answers, _ = gather(server, "/" + name, 4)
    assert answers == [str(n) for n in range(4)]


@pytest.mark.limit(120)
def test_deep_garbage_of_coroutines(daemon):
    """It is freed on the stack of the event loop, of whose limits CPython must know, some of it only at the end."""
    server = daemon("[wsgi /]\napp = app", {"app.py": APP})
    assert server.get("/ok?1")[2] == b"1"
    workers = server.worker_pids()
    for _ in range(4):
        assert gather(server, "/garbage", 4)[0] == [str(n) for n in range(4)]
        time.sleep(1)
    assert server.worker_pids() == workers
    assert server.stop() == 0
    assert "fault" not in server.log and "unexpectedly" not in server.log


def test_two_requests_read_one_pipe(server):
    answers, _ = gather(server, "/two_readers", 12)
    assert answers == ["1", "1", "2"] * 4


def test_a_descriptor_is_closed_while_another_request_reads_it(server):
    """A thread blocked in read() would not even notice."""
    answers, _ = gather(server, "/closed", 12)
    assert answers == ["Bad file descriptor", "closed"] * 6


def test_a_client_that_waits_does_not_hold_others(server):
    """The body of one request comes late: its read() parks with the GIL held."""
    with server.connect() as sock:
        sock.sendall(b"POST /ok?7 HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n")
        assert server.get("/ok?8")[2] == b"8"
        sock.sendall(b"12345")
        assert sock.recv(1000).endswith(b"7")


@pytest.mark.limit(120)
def test_nothing_leaks(server):
    if server.sanitized:
        pytest.skip("memory figures mean nothing here")

    def load(count):
        connection = server.http()
        for n in range(count):
            connection.request("POST", f"/ok?{n}", b"some body", {"X-Number": str(n)})
            assert connection.getresponse().read() == str(n).encode()
        connection.request("GET", "/collect")
        objects = int(connection.getresponse().read())
        connection.close()
        return objects, server.rss()

    load(2000)
    objects, rss = load(100)
    more_objects, more_rss = load(20000)
    assert more_objects - objects < 20
    assert more_rss - rss < 1 << 20
