"""python-threads = coroutines: threads that an application starts are coroutines, at import and in requests."""
import pytest

COROUTINES = "[server]\npython-threads = coroutines\n[wsgi /]\napp = app"
REAL = "[wsgi /]\napp = app"

APP = """
import _thread, atexit, concurrent.futures, os, queue, sys, threading, time

def consume():
    while (item := jobs.get()) is not None:
        item[0] += 1
        item[1].set()

def tick():
    while True:
        ticks.append(time.monotonic())
        time.sleep(0.01)

jobs, ticks = queue.Queue(), []
threading.Thread(target=consume, name="consumer").start()
threading.Thread(target=tick, name="ticker", daemon=True).start()
started = threading.Event()
threading.Thread(target=started.set).start()
started.wait()      # it runs while the module is imported
atexit.register(lambda: print("atexit", file=sys.stderr, flush=True))
threading._register_atexit(lambda: jobs.put(None))
pool = concurrent.futures.ThreadPoolExecutor(1000)

everybody = threading.Barrier(1000)

def wait(n):
    everybody.wait()
    return threading.get_ident()

def count(environ):
    return len(os.listdir('/proc/self/task'))

def crowd(environ):
    return len(set(pool.map(wait, range(1000))))

def ask(environ):
    item = [1, threading.Event()]
    jobs.put(item)
    item[1].wait()
    return item[0]

def linger(environ):
    threading.Thread(target=lambda: (time.sleep(0.3), print('lingered', file=sys.stderr, flush=True))).start()
    return 'started'

ran = []

def start(environ):
    _thread.start_new_thread(ran.append, (1,))
    return 'started'

def count_ran(environ):
    return len(ran)

def names(environ):
    return sorted(t.name for t in threading.enumerate() if not t.name.startswith('ThreadPool'))

def application(environ, start_response):
    body = str(globals()[environ['PATH_INFO'][1:]](environ)).encode()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
"""


def test_threads_of_an_application_are_coroutines(daemon):
    """A pool of 1000 adds no thread of the system; with real threads it does."""
    server = daemon(COROUTINES, {"app.py": APP})
    before = int(server.get("/count")[2])
    assert server.get("/crowd")[2] == b"1000"
    assert server.get("/ask")[2] == b"2"
    assert int(server.get("/count")[2]) == before < 8
    assert b"consumer" in server.get("/names")[2] and b"ticker" in server.get("/names")[2]


def test_thread_begins_when_its_request_is_over(daemon):
    """In the same iteration of the loop, in which the coroutine of the request keeps the GIL."""
    server = daemon(COROUTINES, {"app.py": APP})
    for _ in range(5):
        assert server.get("/start")[2] == b"started"
    assert server.get("/count_ran")[2] == b"5"


def test_real_threads_by_default(daemon):
    server = daemon(REAL, {"app.py": APP})
    before = int(server.get("/count")[2])
    assert server.get("/ask")[2] == b"2"
    assert before >= 3


@pytest.mark.parametrize("ini", [COROUTINES, REAL], ids=["coroutines", "real"])
def test_a_stop_waits_for_threads_but_not_for_daemons(daemon, ini):
    """As when a Python process ends: then functions of atexit run, once the others have ended."""
    server = daemon(ini, {"app.py": APP})
    assert server.get("/linger")[2] == b"started"
    assert server.stop() == 0
    assert server.log.index("lingered") < server.log.index("atexit")
    assert "still running" not in server.log


def test_value_is_checked(run_server):
    done = run_server(["-t"], ini="[server]\npython-threads = green\n[wsgi /]\napp = app")
    assert done.returncode == 78 and '"python-threads = green": expected real or coroutines' in done.stderr
