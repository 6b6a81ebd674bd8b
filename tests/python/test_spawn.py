"""_syncless.spawn: functions on coroutines that Python takes for threads."""
import pytest

from scripted import script


def test_side_by_side_in_one_os_thread(script):
    out = script("""
        import os, threading, time, _syncless
        done = threading.Semaphore(0)
        idents = set()
        def work():
            time.sleep(0.2)
            idents.add(threading.get_ident())
            done.release()
        start = time.monotonic()
        for _ in range(1000):
            _syncless.spawn(work)
        for _ in range(1000):
            done.acquire()
        print(len(idents), len(os.listdir("/proc/self/task")), time.monotonic() - start < 2)
        """)
    assert out == "1000 2 True\n"  # one thread is the watcher of time slices


def test_arguments_and_errors(script):
    out = script("""
        import time, _syncless
        _syncless.spawn(lambda *args, **kwargs: print(args, kwargs), 1, 2, a=3)
        for bad in (), (5,), (None, 1):
            try:
                _syncless.spawn(*bad)
            except TypeError as error:
                print(error)
        time.sleep(0)
        time.sleep(0.01)
        """)
    assert out == "the first argument of spawn() must be callable\n" * 3 + "(1, 2) {'a': 3}\n"


def test_what_it_raises_goes_to_the_hook(script):
    out = script("""
        import sys, time, _syncless
        sys.unraisablehook = lambda raised: print(repr(raised.exc_value), raised.object.__name__)
        def fail():
            1 / 0
        _syncless.spawn(fail)
        _syncless.spawn(sys.exit, 3)
        time.sleep(0.01)
        """)
    assert out == "ZeroDivisionError('division by zero') fail\n"


def test_context_is_a_copy(script):
    out = script("""
        import contextvars, time, _syncless
        var = contextvars.ContextVar("var")
        var.set("outer")
        def work(name):
            seen = var.get()
            var.set(name)
            time.sleep(0.01)
            print(seen, var.get())
        _syncless.spawn(work, "a")
        _syncless.spawn(work, "b")
        time.sleep(0.05)
        print(var.get())
        """)
    assert out == "outer a\nouter b\nouter\n"


def test_thread_locals_begin_empty_and_end_with_it(script):
    """The second coroutine runs on the pooled stack of the first."""
    out = script("""
        import threading, time, _syncless
        local = threading.local()
        class Value:
            def __del__(self):
                print("freed")
        def work():
            print(hasattr(local, "value"))
            local.value = Value()
        for _ in range(2):
            _syncless.spawn(work)
            time.sleep(0.01)
        """)
    assert out == "False\nfreed\n" * 2


def test_spawn_in_an_os_thread(script):
    out = script("""
        import threading, _syncless
        done = threading.Event()
        thread = threading.Thread(target=_syncless.spawn, args=(done.set,))
        thread.start()
        print(done.wait(10))
        thread.join()
        """)
    assert out == "True\n"


def test_locks_between_coroutines_and_threads(script):
    out = script("""
        import queue, threading, time, _syncless
        to_thread, to_coroutine = queue.Queue(), queue.Queue()
        def thread():
            for _ in range(500):
                to_coroutine.put(to_thread.get() + 1)
        def coroutine():
            n = 0
            for _ in range(500):
                to_thread.put(n)
                n = to_coroutine.get()
            print(n)
            done.set()
        done = threading.Event()
        threading.Thread(target=thread).start()
        _syncless.spawn(coroutine)
        done.wait()
        """)
    assert out == "500\n"


def test_server_and_clients_in_one_thread(script):
    """100 requests of 0.1 s each, by urllib from http.server, both plain blocking code."""
    out = script("""
        import http.server, socketserver, threading, time, urllib.request, _syncless
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                time.sleep(0.1)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"hello")
            def log_message(self, *args):
                pass
        class Server(socketserver.TCPServer):
            request_queue_size = 200
            def process_request(self, request, address):
                _syncless.spawn(self.process, request, address)
            def process(self, request, address):
                self.finish_request(request, address)
                self.shutdown_request(request)
        def fetch():
            answers.append(urllib.request.urlopen(f"http://127.0.0.1:{server.server_address[1]}/").read())
            done.release()
        server, answers, done = Server(("127.0.0.1", 0), Handler), [], threading.Semaphore(0)
        _syncless.spawn(server.serve_forever)
        start = time.monotonic()
        for _ in range(100):
            _syncless.spawn(fetch)
        for _ in range(100):
            done.acquire()
        print(answers == [b"hello"] * 100, time.monotonic() - start < 3)
        """)
    assert out == "True True\n"


DEEP = """
    import ast, copy, gc, json, os, pickle, sys, threading, _syncless
    DEPTH = 400000
    gc.disable()  # it would look at the lists again and again

    def nest():
        list_ = []
        for _ in range(DEPTH):
            list_ = [list_]
        return list_

    one, other = nest(), nest()

    def call(n=0):
        return call(n + 1)

    def call_from_c(_=0):
        return sorted([1], key=call_from_c)

    RECURSE = {
        "call": call,
        "call from C": call_from_c,
        "compare": lambda: one == other,
        "dump": lambda: json.dumps(one),
        "load": lambda: json.loads("[" * DEPTH),
        "pickle": lambda: pickle.dumps(one),
        "copy": lambda: copy.deepcopy(one),
        "compile": lambda: compile("a" + ".a" * DEPTH, "source", "eval"),
        "evaluate": lambda: ast.literal_eval("+".join(["1"] * DEPTH)),
    }

    def recurse():
        for name, function in RECURSE.items():
            try:
                function()
                print(name, "came back")
            except (RecursionError, MemoryError):
                pass
        nest()  # is freed here
        print("passed", flush=True)

    def spawned(function=recurse):
        done = threading.Event()
        def run():
            try:
                function()
            finally:
                done.set()
        _syncless.spawn(run)
        done.wait()

    def fork():
        pid = os.fork()
        if pid == 0:
            recurse()
            os._exit(0)
        assert os.waitpid(pid, 0) == (pid, 0)

    for _ in range(2):
        {"main": recurse, "spawned": spawned, "forked": lambda: spawned(fork)}[sys.argv[1]]()
    """


@pytest.mark.parametrize("where", ["main", "spawned", "forked"])
def test_deep_recursion_is_an_error_not_a_crash(script, where):
    """Wherever it is, and however often: the second coroutine has the stack of the first."""
    assert script(DEEP, where) == "passed\n" * 2
