"""C code that ends its thread by pthread_exit: the coroutine ends, with its destructors; nothing else does."""
import pytest

from harness import on_coroutines

APP = '''
import ctypes, threading, time
libraries = {"released": ctypes.CDLL(None), "held": ctypes.PyDLL(None)}  # with the GIL or without it
local = threading.local()
log = []


class Ends:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        time.sleep(0.001)
        log.append(self.name)


def ends(how):
    local.value = Ends(how)
    try:
        libraries[how].pthread_exit(None)
    finally:
        log.append("never")


def application(environ, start_response):
    path = environ["PATH_INFO"][1:]
    if path in libraries:
        ends(path)
    start_response("200 OK", [])
    return [",".join(log).encode() or b"-"]
'''

SPAWNED = APP + '''
import syncless


def scene():
    results = []
    for n in range(20):
        ending = [syncless.spawn(ends, how) for how in libraries]
        for coroutine in ending:
            try:
                coroutine.get(10)
            except RuntimeError as error:
                results.append("pthread_exit" in str(error) and not coroutine.alive)
        time.sleep(0.005)
    alive = len(threading.enumerate()), len(syncless.coroutines())
    return all(results), len(results), sorted(set(log)), len(log), *alive
'''


def test_spawned():
    assert on_coroutines(SPAWNED) == [True, 40, ["held", "released"], 40, 1, 1]


@pytest.mark.parametrize("how", ["released", "held"])
def test_request(daemon, how):
    """The client gets 500, and the permit of the request is free again."""
    ini = "[limits]\nmax-concurrency = 2\nqueue-timeout = 5s\n[wsgi /]\napp = app:application\n"
    server = daemon(ini, {"app.py": APP})
    for _ in range(20):
        assert server.get(f"/{how}")[0] == 500
    assert server.get("/")[::2] == (200, ",".join([how] * 20).encode())
    server.wait_log("the handler has called pthread_exit", count=20)
