"""Thread-local storage belongs to the coroutine: libraries that keep a state for each thread, with callbacks and calls
that wait in the middle, 20 at once."""
import os
import pathlib
import platform
import re
import subprocess
import time

import pytest

from conftest import PYTHON_HOST, SANITIZED
from harness import NATIVE, host_version, in_requests, library, on_coroutines, same, wheels

REPEAT = int(os.environ.get("REPEAT", 5))  # how often the scenes that once crashed are run; 100 by hand
TORCH = pathlib.Path("/opt/wheels")

AT_ONCE = """
import functools, time

def scene():
    return together(*[functools.partial(one, n) for n in range(20)])
"""

ONE = """
import time

def scene():
    return one(3)
"""


def check(daemon, scene, site=None):
    """A function one(number) runs 20 times at once, on threads, on coroutines, and in requests. Returns the results."""
    results = same(daemon, AT_ONCE + scene, site, requests=0)
    assert in_requests(daemon, ONE + scene, site, count=20) == [results[3]] * 20
    return results


# ---- C and C++ ----

PYBIND11 = """
import bound

def one(n):
    def wait(x=n):
        time.sleep(0.001)
        return x

    def fail():
        time.sleep(0.001)
        raise ValueError(n)

    seen = []
    for i in range(3):
        seen += [bound.with_thing(n, wait), bound.guarded(1), bound.guarded_without_gil(1), bound.wait_for(1),
                 bound.without_gil(wait)]
        try:
            bound.raises(fail)
        except ValueError as error:
            seen += error.args
    return seen
"""


@pytest.fixture(scope="module")
def pybind11_site(tmp_path_factory):
    """A folder with the module bound, for the host's Python."""
    folder = tmp_path_factory.mktemp("bound")
    ask = "import sysconfig as s; print(s.get_path('include'), s.get_config_var('EXT_SUFFIX'))"
    done = subprocess.run([PYTHON_HOST, "-c", ask], capture_output=True, text=True, check=True)
    include, suffix = done.stdout.split()
    subprocess.run(["c++", "-std=c++17", "-O1", "-fPIC", "-shared", f"-I{wheels('pybind11')}/pybind11/include",
                    f"-I{include}", NATIVE / "bound.cc", "-o", folder / f"bound{suffix}"], check=True)
    return folder


@pytest.mark.limit(60 * REPEAT)
def test_pybind11(daemon, pybind11_site):
    for _ in range(REPEAT):
        check(daemon, PYBIND11, pybind11_site)


ERRNO = """
import cffi

def one(n):
    ffi = cffi.FFI()
    ffi.errno = n
    time.sleep(0.01)
    return ffi.errno
"""


def test_errno_of_cffi(daemon):
    assert check(daemon, ERRNO, wheels("cffi")) == list(range(20))


OPENSSL = """
import ctypes

crypto = ctypes.CDLL("libcrypto.so.3")
crypto.ERR_get_error.restype = ctypes.c_ulong

def one(n):
    crypto.ERR_new()
    crypto.ERR_set_error(4, 100 + n, None)
    time.sleep(0.01)
    return [crypto.ERR_get_error() & 0xff, crypto.ERR_get_error()]
"""

GLIB = """
import ctypes

glib = ctypes.CDLL("libglib-2.0.so.0")
for name in ("g_main_context_new", "g_main_context_get_thread_default"):
    getattr(glib, name).restype = ctypes.c_void_p
for name in ("push", "pop"):
    getattr(glib, f"g_main_context_{name}_thread_default").argtypes = [ctypes.c_void_p]

def one(n):
    seen = [glib.g_main_context_get_thread_default()]
    context = glib.g_main_context_new()
    glib.g_main_context_push_thread_default(context)
    time.sleep(0.01)
    seen.append(glib.g_main_context_get_thread_default() == context)
    glib.g_main_context_pop_thread_default(context)
    return seen
"""


@pytest.mark.parametrize("library, scene", [("libcrypto.so.3", OPENSSL), ("libglib-2.0.so.0", GLIB)],
                         ids=["openssl", "glib"])
def test_keys(daemon, library, scene):
    load = subprocess.run([PYTHON_HOST, "-c", f"import ctypes; ctypes.CDLL({library!r})"], capture_output=True)
    if load.returncode != 0:
        pytest.skip(f"there is no {library}")
    check(daemon, scene)


COPIES = """
import ctypes, os, time
lib = ctypes.CDLL(os.environ["LIBRARY"])

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def one():
    lib.fill()
    time.sleep(1)

def scene():
    before = resident()
    ends = [start(one) for n in range(3000)]
    time.sleep(0.5)
    most = resident()
    for end in ends:
        end()
    for _ in range(100):
        time.sleep(0.1)
        if resident() < before + (most - before) / 3:
            break
    return most - before > 3000 * 30000, resident() < before + (most - before) / 3
"""


@pytest.mark.skipif(SANITIZED, reason="AddressSanitizer keeps what is freed")
def test_memory_of_copies_is_given_back(tmp_path):
    """3000 coroutines, each with 30 KB of thread-locals."""
    (tmp_path / "copies.c").write_text("#include <string.h>\n_Thread_local char space[30000];\n"
                                       "void fill(void)\n{\n    memset(space, 1, sizeof(space));\n}\n")
    path = library(tmp_path, str(tmp_path / "copies.c"))
    assert on_coroutines(COPIES, env={"LIBRARY": str(path)}) == [True, True]


MODELS = [("-ftls-model=initial-exec", "initial-exec"), ("-mtls-dialect=gnu2", "TLS descriptors")]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere the compiler has other options")
@pytest.mark.parametrize("flag, model", MODELS, ids=["initial-exec", "descriptors"])
def test_what_coroutines_share_is_named(daemon, tmp_path, flag, model):
    """Once, at the level debug."""
    path = library(tmp_path, "../../unit/tls_object.c", flag, "-DALIGN=16")
    app = f"import ctypes\nctypes.CDLL({str(path)!r})\ndef application(environ, start_response):\n    return []\n"
    server = daemon("[log]\nlevel = debug\n[wsgi /]\napp = app:application\n", {"app.py": app})
    line = f"the thread-locals of {path} are shared by all coroutines: it is compiled for {model}"
    server.wait_log(re.escape(line))
    time.sleep(1.5)
    assert server.log.count(line) == 1


SCIPY = """
from scipy.integrate import quad
from scipy.optimize import fsolve, leastsq

def one(n):
    def line(x):
        time.sleep(0.001)
        return n * x

    def root(x):
        time.sleep(0.001)
        return x - n

    return [round(float(x), 6) for x in (quad(line, 0, 1)[0], fsolve(root, 0.5)[0], leastsq(root, 0.5)[0][0])]
"""


@pytest.mark.limit(300)
def test_scipy(daemon):
    results = check(daemon, SCIPY, wheels("numpy", "scipy"))
    assert results == [[n / 2, float(n), float(n)] for n in range(20)]


TORCH_SCENE = """
import torch

class Scale(torch.autograd.Function):
    @staticmethod
    def forward(context, x, factor):
        context.factor = factor
        time.sleep(0.002)
        return x * factor

    @staticmethod
    def backward(context, gradient):
        time.sleep(0.002)
        return gradient * context.factor, None

def one(n):
    seen = []
    if n % 2:
        with torch.no_grad():
            time.sleep(0.01)
            seen.append(torch.is_grad_enabled())
    time.sleep(0.005)
    seen.append(torch.is_grad_enabled())
    x = torch.ones(3, requires_grad=True)
    Scale.apply(x, n).sum().backward()
    return seen + x.grad.tolist()
"""


@pytest.mark.limit(600)
@pytest.mark.skipif(SANITIZED, reason="takes minutes")
def test_torch(daemon):
    """Heavy: only where its wheel without CUDA lies ready."""
    wheel = next(TORCH.glob(f"torch-*+cpu-cp{host_version().replace('.', '')}-*"), None)
    if not wheel:
        pytest.skip(f"there is no wheel of torch in {TORCH}")
    os.environ["PIP_FIND_LINKS"] = str(TORCH)
    results = check(daemon, TORCH_SCENE, wheels(f"torch=={wheel.name.split('-')[1]}"))
    assert results[2:4] == [[True, 2, 2, 2], [False, True, 3, 3, 3]]


# ---- greenlets ----

GREENLET = """
from greenlet import greenlet

def one(n):
    order = []

    def nested(depth):
        order.append(depth)
        time.sleep(0.002)
        if depth:
            greenlet(nested).switch(depth - 1)
        order.append(-depth)
        time.sleep(0.002)
        return n

    first, second = greenlet(nested), greenlet(nested)
    return [first.switch(4), second.switch(3), order]
"""

SQLALCHEMY = """
import asyncio
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import create_async_engine

def one(n):
    async def main():
        engine = create_async_engine("sqlite+aiosqlite://")

        @event.listens_for(engine.sync_engine, "before_cursor_execute")
        def wait(*args):  # in a greenlet
            time.sleep(0.002)

        async with engine.connect() as connection:
            for i in range(5):
                value = (await connection.execute(text("select :x"), {"x": n})).scalar()
        await engine.dispose()
        return value
    return asyncio.run(main())
"""

GEVENT = """
import gevent

def one(n):
    def work(i):
        gevent.sleep(0.005)
        time.sleep(0.002)
        return i * n
    jobs = [gevent.spawn(work, i) for i in range(3)]
    gevent.joinall(jobs)
    return [job.value for job in jobs]
"""

EVENTLET = """
import warnings
warnings.simplefilter("ignore")
import eventlet

def one(n):
    def work(i):
        eventlet.sleep(0.005)
        time.sleep(0.002)
        return i * n
    return [job.wait() for job in [eventlet.spawn(work, i) for i in range(3)]]
"""


@pytest.mark.limit(60 * REPEAT)
def test_greenlet(daemon):
    for _ in range(REPEAT):
        check(daemon, GREENLET, wheels("greenlet"))


@pytest.mark.limit(300)
def test_sqlalchemy_asyncio(daemon):
    assert check(daemon, SQLALCHEMY, wheels("sqlalchemy[asyncio]", "aiosqlite")) == list(range(20))


@pytest.mark.limit(300)
@pytest.mark.parametrize("package, scene", [("gevent", GEVENT), ("eventlet", EVENTLET)], ids=["gevent", "eventlet"])
def test_event_loops_of_greenlets(daemon, package, scene):
    """Without monkey patching each thread has a loop of its own."""
    check(daemon, scene, wheels(package))
