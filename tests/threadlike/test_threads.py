"""A coroutine is a threading.Thread: its object, its hooks, and libraries that look at threads."""
import json
import re
import subprocess
import textwrap

import pytest

from conftest import BUILD
from harness import leaky_env, same, wheels

OBJECTS = """
import logging, threading, time

def scene():
    here = threading.current_thread()
    others = set(threading.enumerate())
    begun, go, seen = threading.Semaphore(0), threading.Event(), []

    def work():
        me = threading.current_thread()
        seen.append(me)
        me.mark = 1
        begun.release()
        go.wait()

    results = [start(work) for n in range(3)]
    for n in range(3):
        begun.acquire()
    inside = {
        "real": [not isinstance(t, threading._DummyThread) for t in seen],
        "alive": [t.is_alive() for t in seen],
        "listed": set(seen) == set(threading.enumerate()) - others,
        "count": threading.active_count() - len(others),
        "found": [threading._active[t.ident] is threading._active.get(t.ident) is t for t in seen],
        "known": [t.ident in threading._active for t in seen],
        "idents": len({t.ident for t in seen} | {here.ident}),
        "native": {t.native_id > 0 for t in seen} == {True},
        "names": len({t.name for t in seen}),
        "repr": ["started" in repr(t) for t in seen],
        "again": here is threading.current_thread(),
    }
    before = time.monotonic()
    seen[0].join(0.05)
    inside["join timed out"] = time.monotonic() - before >= 0.05 and seen[0].is_alive()
    try:
        here.join()
    except RuntimeError as error:
        inside["join itself"] = str(error)
    joiners = [start(t.join) for t in seen]      # by threads, or coroutines
    real = threading.Thread(target=seen[0].join)  # by a thread
    real.start()
    go.set()
    after = {"joined": [j() for j in joiners]}
    real.join()
    for result in results:
        result()
    for t in seen:
        t.join()
    after.update(alive=[t.is_alive() for t in seen], repr=["stopped" in repr(t) for t in seen],
                 listed=[t in threading.enumerate() for t in seen], left=set(threading.enumerate()) - others == set())
    late = []
    start(lambda: late.append(threading.current_thread()))()
    after["new"] = late[0] not in seen and not hasattr(late[0], "mark")
    return inside, after
"""


def test_object(daemon):
    inside, after = same(daemon, OBJECTS, requests=1)
    assert inside["count"] == 3 and after["left"]


REQUESTS = """
import json, threading, time

local = threading.local()
kept = []

def application(environ, start_response):
    me = threading.current_thread()
    child = threading.Thread(target=print)
    report = {"type": type(me).__name__, "daemon": me.daemon, "child": child.daemon, "alive": me.is_alive(),
              "listed": me in threading.enumerate(), "fresh": me not in kept and not hasattr(me, "mark"),
              "name": me.name, "ident": me.ident == threading.get_ident(),
              "before": [t.is_alive() or t in threading.enumerate() for t in kept]}
    me.mark = kept.append(me)
    if environ["PATH_INFO"] == "/wait":
        waiter = threading.Thread(target=lambda: (me.join(), print("joined", me.name, flush=True)))
        waiter.start()
    start_response("200 OK", [])
    return [json.dumps(report).encode()]
"""


def test_each_request_is_a_new_thread(daemon):
    server = daemon("[wsgi /]\napp = app:application\n", {"app.py": REQUESTS})
    for n in range(5):
        report = json.loads(server.get("/wait" if n == 2 else "/")[2])
        name = report.pop("name")
        assert re.fullmatch(r"Thread-\d+ \(application\)", name)
        assert report == {"type": "Thread", "daemon": False, "child": False, "alive": True, "listed": True,
                          "fresh": True, "ident": True, "before": [False] * n}
        if n == 2:
            server.wait_log(f"joined {re.escape(name)}")


ENDLESS = """
import threading

class Again:
    def __del__(self):
        threading.current_thread().again = Again()

def application(environ, start_response):
    threading.current_thread().again = Again()
    start_response("200 OK", [])
    return [str(threading.active_count()).encode()]
"""


def test_main_thread_stays(daemon):
    """All threads were looked at while the application was loaded, on a coroutine that serves the first request."""
    app = """
import threading
threading.enumerate()

def application(environ, start_response):
    me, main = threading.current_thread(), threading.main_thread()
    start_response("200 OK", [])
    return [str([me is not main, me.ident != main.ident, main in threading.enumerate()]).encode()]
"""
    server = daemon("[wsgi /]\napp = app:application\n", {"app.py": app})
    assert [server.get("/")[2] for _ in range(2)] == [b"[True, True, True]"] * 2


def test_an_object_that_always_comes_back_does_not_keep_the_worker(daemon):
    server = daemon("[wsgi /]\napp = app:application\n", {"app.py": ENDLESS})
    for _ in range(3):
        assert server.get("/")[2] == b"2"


HOOKS = """
import sys, threading

def scene():
    seen = {"trace": set(), "profile": set()}

    def inner():
        return sys.gettrace() is trace, sys.getprofile() is profile

    def work():
        return inner()

    def trace(frame, event, argument):
        seen["trace"].add((frame.f_code.co_name, event))
        return trace

    def profile(frame, event, argument):
        seen["profile"].add((frame.f_code.co_name, event))

    threading.settrace(trace)
    threading.setprofile(profile)
    inside = start(work)()
    threading.settrace(None)
    threading.setprofile(None)
    after = start(work)()
    found = {kind: sorted(e for e in events if e[0] in ("work", "inner")) for kind, events in seen.items()}
    return inside, after, found, sys.gettrace() is None
"""


def test_trace_and_profile(daemon):
    inside, after, found, _ = same(daemon, HOOKS, requests=1)
    assert inside == [True, True] and after == [False, False] and ["inner", "line"] in found["trace"]


TRACED_REQUESTS = """
import sys, threading

seen = []

def trace(frame, event, argument):
    if frame.f_code.co_filename == __file__:
        seen.append(frame.f_code.co_name)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/on":
        threading.settrace(trace)
    elif path == "/off":
        threading.settrace(None)
    elif path == "/own":
        sys.settrace(trace)
    start_response("200 OK", [])
    return [repr((sys.gettrace() is trace, seen)).encode()]
"""


def test_trace_of_requests(daemon):
    server = daemon("[wsgi /]\napp = app:application\n", {"app.py": TRACED_REQUESTS})
    bodies = [server.get(path)[2].decode() for path in ["/on", "/", "/off", "/", "/own", "/"]]
    assert bodies == ["(False, [])", "(True, ['application'])", "(True, ['application', 'application'])",
                      "(False, ['application', 'application'])", "(True, ['application', 'application'])",
                      "(False, ['application', 'application'])"]


EXCEPTHOOK = """
import threading

def scene():
    seen = []

    def hook(args):
        seen.append((args.exc_type.__name__, str(args.exc_value), args.exc_traceback is not None,
                     args.thread is threads[0]))

    threads = []
    def fail():
        threads.append(threading.current_thread())
        raise ValueError("spawned")

    before, threading.excepthook = threading.excepthook, hook
    if _os.environ["SCENE_ON"] == "threads":
        t = threading.Thread(target=fail)
        t.start()
        t.join()
    else:
        _syncless.spawn(fail).join()
    threading.excepthook = before
    return seen
"""


def test_excepthook(daemon):
    assert same(daemon, EXCEPTHOOK, requests=1) == [["ValueError", "spawned", True, True]]


FORK = """
import logging, multiprocessing, os, sys, threading

def child(queue):
    logging.basicConfig(format="%(threadName)s", stream=sys.stderr)
    logging.warning("hello")
    me = threading.current_thread()
    queue.put((me is threading.main_thread(), threading.active_count(), me.is_alive()))

def scene():
    def work():
        threading.current_thread(), threading.enumerate()
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()
        process = context.Process(target=child, args=(queue,))
        process.start()
        found = queue.get()
        process.join(20)
        return process.exitcode, found
    return together(work, work, work)
"""


def test_multiprocessing_by_fork(daemon):
    assert same(daemon, FORK) == [[0, [True, 1, True]]] * 3


LOGGING = """
import io, logging, threading

def scene():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(threadName)s|%(thread)d"))
    log = logging.Logger("scene")
    log.addHandler(handler)
    names = []

    def work():
        log.warning("x")
        names.append("%s|%d" % (threading.current_thread().name, threading.get_ident()))

    start(work)()
    log.warning("x")
    return out.getvalue().split()[0] == names[0]
"""


def test_logging(daemon):
    assert same(daemon, LOGGING) is True


LOCALS = """
import json
from asgiref.local import Local

store = Local()

def application(environ, start_response):
    before = getattr(store, "user", None)
    store.user = environ["QUERY_STRING"]
    start_response("200 OK", [])
    return [json.dumps(before).encode()]
"""


@pytest.mark.parametrize("version", ["3.6.0", "3.8.1"])
def test_asgiref_locals_are_of_one_request(daemon, version):
    site = wheels(f"asgiref=={version}")
    server = daemon("[wsgi /]\napp = app:application\n", {"app.py": LOCALS}, env={"PYTHONPATH": site})
    assert [json.loads(server.get(f"/?user{n}")[2]) for n in range(4)] == [None] * 4


COVERAGE = """
import coverage, os, time

def covered():
    here = 1
    time.sleep(0.01)
    return here

def scene():
    cov = coverage.Coverage(data_file=None, include=[__file__])
    cov.start()
    together(covered, covered)
    cov.stop()
    lines = set(cov.get_data().lines(__file__))
    first = covered.__code__.co_firstlineno
    return [line in lines for line in range(first + 1, first + 4)]
"""


def test_coverage(daemon):
    assert same(daemon, COVERAGE, site=wheels("coverage==7.6.1"), requests=1) == [True, True, True]


GREEN = """
import eventlet, gevent, gevent.queue

def with_gevent():
    queue = gevent.queue.Queue()
    let = gevent.spawn(lambda: (gevent.sleep(0.02), queue.put(3)))
    found = queue.get(timeout=10)
    let.join()
    return found

def with_eventlet():
    return list(eventlet.GreenPool().imap(lambda n: (eventlet.sleep(0.02), n)[1], [1, 2, 3]))

def scene():
    return together(with_gevent, with_gevent, with_gevent), together(with_eventlet, with_eventlet)
"""


def test_gevent_and_eventlet_without_monkey_patching(daemon):
    site = wheels("gevent==24.11.1", "eventlet==0.36.1")
    assert same(daemon, GREEN, site=site) == [[3, 3, 3], [[1, 2, 3], [1, 2, 3]]]


def test_coverage_run(tmp_path):
    """`coverage run` of a program under syncless-python."""
    site = wheels("coverage==7.6.1")
    (tmp_path / "program.py").write_text(textwrap.dedent("""
        import syncless

        def work():
            value = 1
            return value

        syncless.spawn(work).get()
        """))
    python = BUILD / "syncless-python"
    for arguments in ["run", "program.py"], ["report", "--show-missing"]:
        done = subprocess.run([python, "-m", "coverage", *arguments], cwd=tmp_path, env=leaky_env({"PYTHONPATH": site}),
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"program.py +\d+ +0 +100%", done.stdout), done.stdout


FRAMES = """
import faulthandler, sys, tempfile, threading

def scene():
    begun, go = threading.Semaphore(0), threading.Event()

    def sleeper_of_the_scene():
        begun.release()
        go.wait()

    results = [start(sleeper_of_the_scene) for n in range(2)]
    for n in range(2):
        begun.acquire()
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        dumped = file.read().count("in sleeper_of_the_scene")
    idents = {thread.ident for thread in threading.enumerate()}
    framed = 0
    for ident, frame in sys._current_frames().items():
        while frame and frame.f_code.co_name != "sleeper_of_the_scene":
            frame = frame.f_back
        framed += frame is not None and ident in idents
    go.set()
    for result in results:
        result()
    return dumped, framed
"""


def test_faulthandler_and_frames(daemon):
    assert same(daemon, FRAMES, requests=1) == [2, 2]


LATE = """
import atexit, concurrent.futures, threading, time

pool = concurrent.futures.ThreadPoolExecutor(1)

def late(name):
    time.sleep(1)
    print(f"{name} has done its work\\n", end="", flush=True)

def application(environ, start_response):
    threading.Thread(target=late, args=("the thread",)).start()
    pool.submit(late, "the pool")
    start_response("200 OK", [])
    return [b"started"]
"""


def test_threads_of_requests_end_their_work_at_a_stop(daemon):
    server = daemon("[wsgi /]\napp = app:application\n", {"app.py": LATE})
    assert server.get("/")[2] == b"started"
    assert server.stop() == 0
    assert "the thread has done its work" in server.log and "the pool has done its work" in server.log


STUCK = """
import threading

def application(environ, start_response):
    threading.Thread(target=threading.Event().wait).start()
    start_response("200 OK", [])
    return [b"started"]
"""


def test_a_thread_that_never_ends_does_not_keep_the_server(daemon):
    server = daemon("[server]\nshutdown-timeout = 2s\n[wsgi /]\napp = app:application\n", {"app.py": STUCK})
    assert server.get("/")[2] == b"started"
    server.stop()
    server.wait_log("worker 1 .* did not stop in time and was killed")


MONITORING = """
import sys, threading

def watched():
    return 1

def scene():
    if not hasattr(sys, "monitoring"):
        return None
    seen, tool, here = [], sys.monitoring.PROFILER_ID, threading.current_thread()

    def begins(code, offset):
        if code is watched.__code__:
            seen.append(threading.current_thread() is not here)

    sys.monitoring.use_tool_id(tool, "scene")
    sys.monitoring.register_callback(tool, sys.monitoring.events.PY_START, begins)
    sys.monitoring.set_events(tool, sys.monitoring.events.PY_START)
    together(watched, watched)
    sys.monitoring.free_tool_id(tool)

    begun, go, inside = threading.Event(), threading.Event(), []

    def waits():
        begun.set()
        go.wait()
        inside.append(sys.gettrace() is not None)

    result = start(waits)
    begun.wait()
    threading.settrace_all_threads(lambda *unused: None)
    go.set()
    result()
    threading.settrace_all_threads(None)
    return seen, inside
"""


def test_monitoring_and_all_threads(daemon):
    """Both since CPython 3.12."""
    result = same(daemon, MONITORING, requests=1)
    if result is None:
        pytest.skip("this CPython has neither")
    assert result == [[True, True], [True]]
