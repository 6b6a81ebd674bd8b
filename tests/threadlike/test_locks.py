"""Locks of C, C++, Rust and GLib, and libraries that are built on them: coroutines that wait park, as threads would
sleep."""
import pathlib
import shutil
import subprocess

import pytest

from harness import NATIVE, SANITIZED, library, on_coroutines, same, wheels

COUNT = 5  # callers at once


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("native")


def calls_of(path, functions):
    """A scene that calls each of these functions by COUNT callers at once. The results are sorted, or for barriers
    added up: who is the last, or who throws, may be another one each time."""
    return f'''
import ctypes
lib = ctypes.CDLL({str(path)!r})


def scene():
    results = {{}}
    for name, args in {functions!r}:
        function = getattr(lib, name)
        found = together(*[lambda: function(*args)] * {COUNT})
        results[name] = sum(found) if name in ("rust_barrier", "pthread_gate") else sorted(found)
    return results
'''


def test_cxx(folder, daemon):
    functions = [(name, ()) for name in [
        "static_local", "static_that_fails", "call_once", "call_once_that_fails", "mutex", "recursive_mutex",
        "timed_mutex", "shared_mutex", "shared_timed_mutex", "condition_times_out", "async", "semaphore",
        "thread_joins"]]
    functions += [(name, (COUNT,)) for name in ["condition", "latch", "barrier", "atomic_wait"]]
    result = same(daemon, calls_of(library(folder, "cxx_locks.cc"), functions), requests=1)
    assert result["static_that_fails"] == [-1, -1, 7, 7, 7]
    assert result["call_once_that_fails"] == [-1, -1, 1, 1, 1]


def test_future(folder, daemon):
    """One caller sets the value that the others wait for."""
    scene = f'''
import ctypes
lib = ctypes.CDLL({str(library(folder, "cxx_locks.cc"))!r})


def scene():
    return together(*[lambda first=i == 3: lib.promise(int(first)) for i in range(4)])
'''
    assert same(daemon, scene, requests=1) == [12] * 4


def test_c(folder, daemon):
    functions = [(name, ()) for name in ["c11_once", "c11_mutex", "c11_recursive", "c11_thread", "pthread_gate",
                                         "spin_lock", "own_spin_lock"]] + [("c11_condition", (COUNT,))]
    scene = calls_of(library(folder, "c_locks.c"), functions) + f"\nlib.setup({COUNT})\n"
    same(daemon, scene, requests=1)


def test_rust(folder, daemon):
    if not shutil.which("rustc"):
        pytest.skip("there is no rustc")
    path = folder / "locks.so"
    command = ["rustc", "--crate-type", "cdylib", "-O", "-o", path, NATIVE / "locks.rs"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0 and "linker" in done.stderr:
        pytest.skip("rustc cannot link")
    assert done.returncode == 0, done.stderr
    functions = [(name, ()) for name in ["rust_mutex", "rust_timeout", "rust_rwlock", "rust_once", "rust_thread",
                                         "rust_channel"]]
    functions += [("rust_condvar", (COUNT,)), ("rust_barrier", (COUNT,))]
    same(daemon, calls_of(path, functions), requests=1)


LOADS = """
import _ctypes, concurrent.futures, ctypes, ctypes.util, time
paths = {PATHS}
opener = ctypes.CDLL({OPENER})
by = getattr(opener, {BY})
by.restype = ctypes.c_void_p
in_real_threads = concurrent.futures.ThreadPoolExecutor(4)


def load(path):
    library = ctypes.CDLL(path, handle=by(path.encode()) or 0)
    state = library.load_state()
    _ctypes.dlclose(library._handle)
    return state


def look_up():
    for _ in range(300):
        ctypes.CDLL(None).getpid()
        time.sleep(0.0005)
    return True


def scene():
    others = [in_real_threads.submit(look_up), in_real_threads.submit(load, paths[-1])]
    results = together(*[lambda path=path: load(path) for path in paths[:-1]], look_up)
    return results + [other.result() for other in others]
"""


def paths_to_load(folder):
    first = library(folder, "slow_load.c")
    paths = [first]
    for number in range(4):
        paths.append(folder / f"slow_load_{number}.so")
        shutil.copy(first, paths[-1])
    return paths


@pytest.mark.parametrize("by, form", [("dlopen", "{folder}/{name}"), ("dlopen", "{name}"), ("dlmopen", "{name}"),
                                      ("dlopen", "$ORIGIN/{name}"), ("dlmopen", "${{ORIGIN}}/../{last}/{name}")])
def test_libraries_that_wait_while_they_are_loaded(folder, daemon, by, form):
    """On coroutines, beside OS threads that load others, look symbols up with the GIL held, and wait for the linker."""
    names = [form.format(folder=folder, last=folder.name, name=path.name) for path in paths_to_load(folder)]
    opener = library(folder, "open_name.c", f"-Wl,-rpath,{folder}", "-ldl")
    scene = LOADS.replace("{PATHS}", repr(names)).replace("{BY}", repr("by_" + by))
    assert same(daemon, scene.replace("{OPENER}", repr(str(opener))), requests=2) == [2, 2, 2, 2, True, True, 2]


APART = """
import ctypes
opener = ctypes.CDLL({OPENER})


def scene():
    return together(*[lambda path=path: opener.apart(path.encode()) for path in {PATHS}])
"""


def test_libraries_in_namespaces_of_their_own(folder, daemon):
    """Their libc is not ours, so they wait as they like."""
    paths = [str(path) for path in paths_to_load(folder)[:3]]
    scene = APART.replace("{OPENER}", repr(str(library(folder, "open_name.c")))).replace("{PATHS}", repr(paths))
    assert same(daemon, scene, requests=1) == [2, 2, 2]


GLIB = '''
import ctypes, ctypes.util, time
glib = ctypes.CDLL("libglib-2.0.so.0")
for name in "g_mutex_lock", "g_mutex_unlock", "g_mutex_trylock", "g_cond_wait", "g_cond_broadcast", \\
        "g_rec_mutex_lock", "g_rec_mutex_unlock", "g_rw_lock_writer_lock", "g_rw_lock_writer_unlock":
    getattr(glib, name).argtypes = [ctypes.c_void_p] * (2 if name == "g_cond_wait" else 1)


def scene():
    mutex, cond, rec, rw = (ctypes.create_string_buffer(64) for _ in range(4))
    state = {"inside": 0, "most": 0, "here": 0}

    def hold(lock, unlock, at):
        for i in range(5):
            lock(at)
            state["inside"] += 1
            state["most"] = max(state["most"], state["inside"])
            time.sleep(0.002)
            state["inside"] -= 1
            unlock(at)
        return state["most"]

    def meet():
        glib.g_mutex_lock(mutex)
        state["here"] += 1
        if state["here"] == 5:
            glib.g_cond_broadcast(cond)
        while state["here"] < 5:
            glib.g_cond_wait(cond, mutex)
        glib.g_mutex_unlock(mutex)
        return True

    return [together(*[lambda: hold(glib.g_mutex_lock, glib.g_mutex_unlock, mutex)] * 5), together(*[meet] * 5),
            together(*[lambda: hold(glib.g_rec_mutex_lock, glib.g_rec_mutex_unlock, rec)] * 5),
            together(*[lambda: hold(glib.g_rw_lock_writer_lock, glib.g_rw_lock_writer_unlock, rw)] * 5)]
'''


def test_glib(daemon):
    if not any(pathlib.Path("/usr/lib").glob("*/libglib-2.0.so.0")):
        pytest.skip("there is no GLib")
    assert same(daemon, GLIB) == [[1] * 5, [True] * 5, [1] * 5, [1] * 5]


# ---- libraries ----

GRPC = '''
import concurrent.futures, time
import grpc


def echo(request, context):
    time.sleep(0.2)
    return request


def count(request, context):
    for i in range(5):
        time.sleep(0.02)
        yield request + b"%d" % i


def total(requests, context):
    return b"%d" % sum(map(len, requests))


def talk(requests, context):
    for request in requests:
        time.sleep(0.02)
        yield request


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        return {"/t/echo": grpc.unary_unary_rpc_method_handler(echo),
                "/t/count": grpc.unary_stream_rpc_method_handler(count),
                "/t/total": grpc.stream_unary_rpc_method_handler(total),
                "/t/talk": grpc.stream_stream_rpc_method_handler(talk)}.get(details.method)


def scene():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), handlers=[Service()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    address = f"127.0.0.1:{port}"
    channel = grpc.insecure_channel(address)

    def own(i):
        with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as other:
            return other.unary_unary("/t/echo")(b"own", timeout=20).decode()

    def late(i):
        try:
            channel.unary_unary("/t/echo")(b"late", timeout=0.05)
        except grpc.RpcError as error:
            return error.code().name

    calls = {
        "unary": lambda i: channel.unary_unary("/t/echo")(b"%d" % i, timeout=20).decode(),
        "stream": lambda i: [x.decode() for x in channel.unary_stream("/t/count")(b"x", timeout=20)],
        "upload": lambda i: channel.stream_unary("/t/total")(iter([b"ab"] * 5), timeout=20).decode(),
        "talk": lambda i: [x.decode() for x in channel.stream_stream("/t/talk")(iter([b"1", b"2"]), timeout=20)],
        "own": own,
        "late": late,
        "future": lambda i: channel.unary_unary("/t/echo").future(b"f", timeout=20).result().decode(),
    }
    results = {}
    for name, call in calls.items():
        began = time.monotonic()
        results[name] = together(*[lambda i=i: call(i) for i in range(8)])
        results[name].append(time.monotonic() - began < QUICK)
    channel.close()
    server.stop(0).wait()
    return results
'''.replace("QUICK", "8" if SANITIZED else "1.5")


def test_grpc(daemon):
    """Calls of each kind, eight at once, and a server in the same process."""
    result = same(daemon, GRPC, wheels("grpcio"))
    assert result["unary"] == [*map(str, range(8)), True] and result["late"][0] == "DEADLINE_EXCEEDED"


KAFKA = '''
import time
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

CONF = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}


def produce():
    errors = []
    producer = Producer({**CONF, "message.timeout.ms": 300})
    producer.produce("topic", b"x", callback=lambda error, message: errors.append(error.name()))
    left = producer.flush(5)
    return errors, left


def consume():
    consumer = Consumer({**CONF, "group.id": "g"})
    consumer.subscribe(["topic"])
    message = consumer.poll(0.3)
    consumer.close()
    return message is None


def list_topics():
    try:
        AdminClient(CONF).list_topics(timeout=0.3)
    except KafkaException as error:
        return error.args[0].name()


def scene():
    began = time.monotonic()
    beat = beats(lambda: time.sleep(0))
    results = together(*[produce, consume, list_topics] * 4)
    return results, time.monotonic() - began < QUICK
'''.replace("QUICK", "20" if SANITIZED else "4")


def test_kafka(daemon):
    """librdkafka, whose broker is down."""
    results, quick = same(daemon, KAFKA, wheels("confluent-kafka"))
    assert quick and results[:3] == [[["_MSG_TIMED_OUT"], 0], True, "_TRANSPORT"]


POLARS = '''
import time
import polars


def slow(i):
    frame = polars.LazyFrame({"n": [1, 2, 3]}).with_columns(
        polars.col("n").map_batches(lambda series: (time.sleep(0.2), series * 2)[1], return_dtype=polars.Int64))
    return frame.collect()["n"].sum()


def scene():
    slow(0)
    went_on = beats(lambda: slow(1))
    return together(*[lambda: slow(1)] * 4), went_on > 20
'''


def test_polars():
    """Rust: the caller waits for rayon's threads, which call Python."""
    assert on_coroutines(POLARS, wheels("polars")) == [[12] * 4, True]
