"""C code that computes without the GIL: upon other cores, while the others go on; callbacks, exceptions, forks, signals
and thread-locals are as in threads."""
import errno
import os
import subprocess

import pytest
from conftest import BUILD, SANITIZED, server_env
from harness import library, on_coroutines, same, wheels

COMPUTE = '''
import bz2, hashlib, lzma, random, sqlite3, time, zlib

DATA = random.Random(1).randbytes(100000)


def pbkdf2():
    return hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 40000).hex()


def scrypt():
    return hashlib.scrypt(b"password", salt=b"salt", n=4096, r=8, p=1).hex()


def compressed():
    return [module.decompress(module.compress(DATA)) == DATA for module in (zlib, bz2, lzma)]


def sums():
    return zlib.crc32(DATA), zlib.adler32(DATA), hashlib.sha256(DATA).hexdigest()


def query():
    db = sqlite3.connect(":memory:")
    return db.execute("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000) "
                      "SELECT count(*) FROM c").fetchone()


def scene():
    return together(*[pbkdf2, scrypt, compressed, sums, query] * 3)
'''


def test_compute(daemon):
    """More at once than the pool has threads."""
    same(daemon, COMPUTE)


def test_others_go_on(daemon):
    scene = COMPUTE.replace("def scene():\n", "def at_once():\n") + '''

def scene():
    together(pbkdf2, scrypt)
    return [beats(lambda: together(lambda: [function() for _ in range(8)])) > 5
            for function in (pbkdf2, scrypt, query, lambda: zlib.compress(DATA * 10))]
'''
    assert same(daemon, scene) == [True] * 4


WAITS = '''
import ctypes, hashlib, os, socket, threading, time

libc, sections = ctypes.CDLL(None), ctypes.PyDLL(os.environ["SECTIONS"])
MANY = 40 # more than the pool has threads


def call(function, *arguments):
    """Lets go of the GIL and calls it: all of these are one place in the code. Returns its result, and errno."""
    error = ctypes.c_int()
    arguments = [ctypes.c_long(getattr(a, "value", a)) for a in [*arguments, 0, 0, 0, 0][:4]]
    result = sections.section_call(ctypes.cast(function, ctypes.c_void_p), *arguments, ctypes.byref(error))
    return result, error.value


def address(memory):
    return ctypes.addressof(memory)


def learn():
    """That place has computed much, and has not waited."""
    for _ in range(30):
        call(sections.compute, 1)
'''

# Each waits for one that has to compute upon another core before it lets them go.
WAITING = WAITS + '''

def all_of(wait, let_go):
    learn()
    waiting = [start(wait) for _ in range(MANY)]
    time.sleep(0.02)
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 20000)
    call(sections.compute, 1)
    let_go()
    return {result() for result in waiting}


def by_semaphore():
    semaphore = ctypes.create_string_buffer(32)
    libc.sem_init(semaphore, 0, 0)
    return all_of(lambda: call(libc.sem_wait, address(semaphore))[0],
                  lambda: [libc.sem_post(semaphore) for _ in range(MANY)])


def by_mutex():
    mutex = ctypes.create_string_buffer(40)
    libc.pthread_mutex_lock(mutex)

    def wait():
        result = call(libc.pthread_mutex_lock, address(mutex))[0]
        call(sections.compute, 1) # with the lock held
        return result + libc.pthread_mutex_unlock(mutex)

    return all_of(wait, lambda: libc.pthread_mutex_unlock(mutex))


def by_socket():
    a, b = socket.socketpair()

    def wait():
        byte = ctypes.create_string_buffer(1)
        call(sections.compute, 1)
        return call(libc.recv, a.fileno(), address(byte), 1)[0], byte.raw.decode()

    return [list(result) for result in all_of(wait, lambda: b.send(b"x" * MANY))]


def by_pipe():
    a, b = os.pipe()
    byte = ctypes.create_string_buffer(1)
    return all_of(lambda: call(libc.read, a, address(byte), 1)[0], lambda: os.write(b, b"x" * MANY))


def by_looking():
    seen = []

    def wait():
        while not seen:
            call(libc.usleep, 100)
        return seen[0]

    return all_of(wait, lambda: seen.append(1))


def errors():
    learn()
    a, b = socket.socketpair()
    limit = (0).to_bytes(8, "little") + (2000).to_bytes(8, "little")
    a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    byte = ctypes.create_string_buffer(1)
    return [call(libc.recv, a.fileno(), address(byte), 1) for _ in range(3)]


def scene():
    return [list(f()) for f in (by_semaphore, by_mutex, by_socket, by_pipe, by_looking, errors)]
'''


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    return {"SECTIONS": str(library(tmp_path_factory.mktemp("sections"), "sections.c"))}


def test_waits(daemon, sections):
    """Nobody keeps a thread of the pool by waiting: those that all wait for get there."""
    got = same(daemon, WAITING, env=sections)
    assert got == [[0], [0], [[1, "x"]], [1], [1], [[-1, errno.EAGAIN]] * 3]


def test_a_place_that_computed_and_now_waits(sections):
    """Who sleeps there does so at the same time as the others: 4 s of sleep in 0.1 s."""
    assert on_coroutines(WAITS + '''

def scene():
    learn()
    began = time.monotonic()
    together(*[lambda: call(libc.usleep, 100000)] * MANY)
    return time.monotonic() - began
''', env=sections) < 1


def test_a_place_that_only_waits_is_not_slow(sections):
    """It never gets a thread."""
    assert on_coroutines(WAITS + '''

def threads():
    return len(os.listdir("/proc/self/task"))


def scene():
    together(time.sleep) # a second coroutine, with which the thread comes that watches them
    before = threads()
    for _ in range(30):
        together(*[lambda: call(libc.usleep, 5000)] * 4)
    return threads() == before
''', env=sections)


CALLBACKS = '''
import sqlite3, threading, time


def query(n):
    db = sqlite3.connect(":memory:")
    me, seen, local = threading.get_ident(), set(), threading.local()
    local.n = n

    def function(x):
        seen.add((threading.get_ident() == me, local.n))
        if x % 500 == 0:
            time.sleep(0.001)
        if x == 1500 and n % 2:
            raise ValueError(x)
        return x + n

    db.create_function("f", 1, function)
    results = []
    for _ in range(3):
        try:
            results += db.execute("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000) "
                                  "SELECT sum(f(x)) FROM c").fetchone()
        except sqlite3.OperationalError as error:
            results.append(str(error))
    return results, sorted(seen)


def scene():
    return together(*[lambda n=n: query(n) for n in range(8)])
'''


def test_callbacks(daemon):
    same(daemon, CALLBACKS)


FORK = '''
import hashlib, os, subprocess, sys, time


def compute(rounds=30000):
    return hashlib.pbkdf2_hmac("sha256", b"password", b"salt", rounds).hex()


def child(expected):
    compute()
    pid = os.fork()
    if pid == 0:
        os._exit(7 if compute() == expected else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def scene():
    expected = compute()
    others = [start(lambda: compute(300000)) for _ in range(3)]
    results = together(*[lambda: child(expected)] * 3)
    results.append(subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout.decode())
    return results, len({other() for other in others})
'''


@pytest.mark.skipif(SANITIZED, reason="a child hangs if a thread was in the sanitizer's allocator")
def test_fork(daemon):
    """Forks while others are away, and by one that has been."""
    assert same(daemon, FORK) == [[7, 7, 7, "1\n"], 1]


SIGNALS = '''
import hashlib, signal, syncless, threading, time


def compute(rounds=30000):
    return hashlib.pbkdf2_hmac("sha256", b"password", b"salt", rounds).hex()


def timed_out():
    try:
        with syncless.Timeout(0.05):
            for _ in range(1000):
                compute()
    except BaseException as error:
        return type(error).__name__


def killed():
    c = syncless.spawn(lambda: [compute() for _ in range(1000)])
    time.sleep(0.05)
    c.kill()
    try:
        c.get()
    except BaseException as error:
        return type(error).__name__


def scene():
    calls = []
    signal.signal(signal.SIGALRM, lambda *_: calls.append(threading.current_thread() is threading.main_thread()))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    together(*[compute] * 4)
    signal.setitimer(signal.ITIMER_REAL, 0)
    away = syncless.spawn(compute, 1 << 30)
    time.sleep(0.01)
    return len(calls) > 0 and all(calls), syncless.spawn(timed_out).get(), killed(), away.stack()[-1].name
'''


def test_signals_and_exceptions():
    """An exception that is sent to one that is away is raised when it is back."""
    assert on_coroutines(SIGNALS) == [True, "Timeout", "Killed", "compute"]


def test_exit_while_away(tmp_path):
    """Nobody waits for who is away when the program ends."""
    (tmp_path / "program.py").write_text('''
import hashlib, syncless, time
syncless.spawn(hashlib.pbkdf2_hmac, "sha256", b"", b"", 1 << 30)
time.sleep(0.1)
print("end")
raise SystemExit(5)
''')
    done = subprocess.run([BUILD / "syncless-python", tmp_path / "program.py"], env=server_env(), capture_output=True,
                          text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (5, "end\n", "")


CORES = """
import hashlib, os


def compute():
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 60000)


def used():
    ticks = {}
    for thread in os.listdir("/proc/self/task"):
        fields = open(f"/proc/self/task/{thread}/stat").read().rsplit(")", 1)[1].split()
        ticks[thread] = int(fields[11]) + int(fields[12])
    return ticks


def scene():
    together(compute, compute)
    before = used()
    together(*[compute] * 8)
    spent = [ticks - before.get(thread, 0) for thread, ticks in used().items()]
    return max(spent) / sum(spent)
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_two_cores():
    """Of eight at once no thread does more than 0.6: on two cores they take so much of their serial time."""
    assert on_coroutines(CORES) <= 0.6


def test_bcrypt(daemon):
    site = wheels("bcrypt==4.2.1")
    scene = '''
import bcrypt


def scene():
    salt = b"$2b$08$abcdefghijklmnopqrstuu"
    together(*[lambda: bcrypt.hashpw(b"password", salt).decode()] * 4)
    count = beats(lambda: together(*[lambda: bcrypt.hashpw(b"password", salt)] * 8))
    return together(*[lambda: bcrypt.hashpw(b"password", salt).decode()] * 8), count > 3
'''
    assert same(daemon, scene, site=site)[1] is True
