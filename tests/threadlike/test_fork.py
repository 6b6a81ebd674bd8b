"""Forked children. To the application they are what they are in a program with threads; and where syncless-python has
forked, coroutines go on working."""
import subprocess
import textwrap

import pytest

from conftest import BUILD, SANITIZED, TIMEOUT
from harness import leaky_env, on_coroutines, on_threads, same

FORK = '''
import concurrent.futures, logging, multiprocessing, os, signal, subprocess, sys, threading, time

context = multiprocessing.get_context("fork")


def double(n):
    return 2 * n


def in_child(function):
    """The exit code of a child that calls the function."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = function()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
'''


def run(program, *, timeout=6 * TIMEOUT, code=0):
    """Run a program under syncless-python. Returns what it printed."""
    command = [BUILD / "syncless-python", "-c", FORK + textwrap.dedent(program)]
    done = subprocess.run(command, text=True, timeout=timeout, stdin=subprocess.DEVNULL, capture_output=True,
                          env=leaky_env())
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_child_that_ends_by_exit_after_work_on_threads():
    """Code that runs at exit looks for no thread of the parent: group names are looked up on one."""
    assert run("""
        import grp
        for _ in range(3):
            grp.getgrnam("root")
            if (pid := os.fork()) == 0:
                sys.exit(3)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        """) == "3\n3\n3\n"


# ---- as with threads ----


def test_as_in_threads(daemon):
    scene = FORK + '''
def terminated():
    process = context.Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join()
    return process.exitcode

def logs():
    logging.getLogger().setLevel(logging.INFO)
    logging.info("in the parent")
    process = context.Process(target=logging.info, args=("in the child",))
    process.start()
    process.join()
    return process.exitcode

def pool():
    with context.Pool(2) as pool:
        return pool.map(double, range(5))

def executor():
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        return list(pool.map(double, range(5)))

def raised():
    process = context.Process(target=int, args=("x",))
    sys.stderr = open(os.devnull, "w")
    process.start()
    process.join()
    sys.stderr = sys.__stderr__
    return process.exitcode

def locks():
    lock = threading.RLock()
    with lock:
        before = threading.get_ident()
        return in_child(lambda: lock.release() or 10 * (threading.get_ident() == before) +
                        (threading.current_thread() is threading.main_thread()))

def executes():
    pid = os.fork()
    if pid == 0:
        os.execvp("sh", ["sh", "-c", "exit 5"])
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def grandchild():
    return in_child(lambda: 1 + in_child(lambda: 1 + in_child(lambda: 4)))

def signalled():
    return in_child(lambda: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(60) or 1)

def works_in_child():
    """Threads, subprocesses and sockets in a child."""
    def body():
        results = []
        threads = [threading.Thread(target=lambda: (time.sleep(0.05), results.append(1))) for _ in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        output = subprocess.run(["echo", "xx"], capture_output=True).stdout
        import socket
        a, b = socket.socketpair()
        threading.Thread(target=lambda: (time.sleep(0.05), a.sendall(b"yyy"))).start()
        return len(results) + len(output) + len(b.recv(10))
    return in_child(body)

def scene():
    names = [terminated, logs, pool, executor, raised, locks, executes, grandchild, signalled, works_in_child]
    return [[name.__name__, *together(name)] for name in names]
'''
    result = dict(same(daemon, scene, requests=1))
    assert result == {"terminated": -15, "logs": 0, "pool": [0, 2, 4, 6, 8], "executor": [0, 2, 4, 6, 8], "raised": 1,
                      "locks": 11, "executes": 5, "grandchild": 6, "signalled": -15, "works_in_child": 9}


def test_several_at_once():
    scene = FORK + '''
def one():
    process = context.Process(target=time.sleep, args=(0.2,))
    process.start()
    process.join()
    return process.exitcode

def scene():
    began = time.monotonic()
    return together(*[one] * 8), time.monotonic() - began < 1.4
'''
    assert on_coroutines(scene) == on_threads(scene) == [[0] * 8, True]


# ---- coroutines in the child ----


COROUTINES = '''
import syncless

def nap(n):
    time.sleep(0.2)
    return n

def check():
    """Coroutines, time-outs, signals and threads work in this process."""
    began = time.monotonic()
    others = [syncless.spawn(nap, n) for n in range(5)]
    assert [other.get() for other in others] == list(range(5))
    assert time.monotonic() - began < %s
    with syncless.Timeout(0.05, False) as limit:
        time.sleep(60)
    assert limit.expired
    caught = []
    signal.signal(signal.SIGALRM, lambda *args: caught.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.2)
    assert caught == [1]
    signal.signal(signal.SIGALRM, lambda *args: 1 / 0)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        time.sleep(60)
    except ZeroDivisionError:
        caught.append(2)
    assert caught == [1, 2]
    assert syncless.run_in_thread(lambda: threading.current_thread() is not threading.main_thread())
    import socket
    assert socket.getaddrinfo("localhost", 80)
    assert threading.current_thread() is threading.main_thread()
    return 7
''' % (5 if SANITIZED else 0.9)


def test_fork_by_the_main_coroutine():
    run(COROUTINES + '''
    sleeper = syncless.spawn(time.sleep, 100)
    time.sleep(0.01)
    assert in_child(check) == 7
    assert check() == 7 and sleeper.alive  # in the parent
    '''.replace("\n    ", "\n"))


def test_fork_by_another_coroutine():
    """It is the main one of the child, with the identity that it had; the others are gone."""
    run(COROUTINES + '''
def body():
    assert threading.get_ident() == before
    assert not sleeper.alive and sleeper.join(1) and isinstance(sleeper.exception, syncless.Killed)
    assert syncless.coroutines() == [syncless.current()] and syncless.current() is forker
    return check()

def forks():
    global before
    before = threading.get_ident()
    return in_child(body)

sleeper = syncless.spawn(time.sleep, 100)
time.sleep(0.01)
forker = syncless.spawn(forks)
assert forker.get() == 7 and sleeper.alive
''')


def test_grandchildren_have_coroutines_too():
    run(COROUTINES + '''
def generation(n):
    assert check() == 7
    return in_child(lambda: generation(n - 1)) if n else 7

assert syncless.spawn(in_child, lambda: generation(3)).get() == 7
assert in_child(lambda: syncless.spawn(in_child, check).get()) == 7
''')


def test_timeout_around_a_fork():
    """It expires in both."""
    run(COROUTINES + '''
def times_out():
    with syncless.Timeout(0.5, False) as limit:
        pid = os.fork()
        time.sleep(60)
    if pid == 0:
        os._exit(5 if limit.expired else 6)
    return limit.expired, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

assert times_out() == (True, 5)
assert syncless.spawn(times_out).get() == (True, 5)
''')


def test_daemon_that_closes_all_descriptors():
    """Fork twice, close everything, and then wait: the loop is made when it is needed."""
    text = run(COROUTINES + '''
inward, outward = os.pipe()
os.dup2(outward, 1)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(3, 1000)
        print("daemon", check(), flush=True)
    os._exit(0)
os.close(outward)
os.dup2(2, 1)
print(os.read(inward, 100).decode(), file=sys.stderr)
os.wait()
''')
    assert text == ""


def test_parent_and_child_talk():
    """Lines in both directions, as in a demonstration of 2010, which hung without reinit()."""
    run('''
    import socket, syncless

    def talk(sock, lines):
        def write():
            for n in range(lines):
                sock.sendall(b"x" * (20 * n) + b"\\n")
            sock.shutdown(socket.SHUT_WR)
        writer = syncless.spawn(write)
        received = sum(line.count(b"\\n") for line in iter(lambda: sock.recv(65536), b""))
        writer.get()
        return received

    a, b = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        a.close()
        os._exit(talk(b, 1000) == 1000)
    b.close()
    assert talk(a, 1000) == 1000
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    ''')


def test_server_and_asyncio_in_a_child():
    """A child of a program that serves does not serve its port, but can serve another one."""
    run('''
    import asyncio, syncless, syncless.wsgi, urllib.request

    def app(environ, start_response):
        time.sleep(0.05)
        start_response("200 OK", [])
        return [str(os.getpid()).encode()]

    def serve():
        servers.append(syncless.wsgi.start(app, ("127.0.0.1", 0)))
        return servers[-1].url

    def get(url):
        return int(urllib.request.urlopen(url, timeout=10).read())

    servers = []
    mine = serve()
    assert get(mine) == os.getpid()
    parent = os.getpid()

    def body():
        other = serve()
        assert [co.get() for co in [syncless.spawn(get, other) for _ in range(5)]] == [os.getpid()] * 5
        async def main():
            await asyncio.sleep(0.05)
            return await asyncio.to_thread(get, mine)
        assert asyncio.run(main()) == parent
        return 7

    waiting = syncless.spawn(in_child, body)
    assert waiting.get() == 7 and get(mine) == parent
    ''')


def test_fork_by_a_thread():
    """Such a child has no coroutines; its calls block, as in any process."""
    run('''
    import syncless

    def body():
        time.sleep(0.01)
        try:
            syncless.spawn(time.sleep, 0)
        except RuntimeError as error:
            return 8 if "forked" in str(error) else 9

    results = []
    thread = threading.Thread(target=lambda: results.append(in_child(body)))
    thread.start()
    thread.join()
    assert results == [8]
    ''')


def test_request_forks(daemon):
    """Nor has a child of a request."""
    app = FORK + '''
import syncless

def body():
    time.sleep(0.01)
    try:
        syncless.spawn(time.sleep, 0)
    except RuntimeError:
        return 8

def app(environ, start_response):
    start_response("200 OK", [])
    return [str(in_child(body)).encode()]
'''
    server = daemon("[wsgi /]\napp = app:app\n", {"app.py": app})
    assert server.get("/")[2] == b"8"


@pytest.mark.limit(300)
def test_a_hundred_times():
    run(COROUTINES + '''
def body():
    others = [syncless.spawn(time.sleep, 0.01) for n in range(3)]
    return 1 + sum(other.join() for other in others)

sleepers = [syncless.spawn(time.sleep, 100) for n in range(20)]
for n in range(50):
    assert in_child(body) == 4
    assert syncless.spawn(in_child, body).get() == 4
codes = [co.get() for co in [syncless.spawn(in_child, body) for n in range(20)]]
assert codes == [4] * 20
''', timeout=250)
