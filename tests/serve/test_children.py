"""Children that an application forks are processes of the application: nothing of the server is in them."""
import json
import os
import pathlib
import re
import signal
import socket
import time

import pytest

from conftest import SANITIZED, TIMEOUT, compile_module, wait_until

APP = """
import concurrent.futures, ctypes, json, logging, multiprocessing, os, pty, signal, subprocess, sys, threading, time

fork_context = multiprocessing.get_context('fork')
logging.basicConfig(level=logging.INFO)

def double(n):
    return 2 * n

def in_child(function, fork=os.fork):
    'What the function returns in a child, by a pipe.'
    inward, outward = os.pipe()
    pid = fork()
    if pid == 0:
        os.write(outward, json.dumps(function()).encode())
        os._exit(0)
    os.close(outward)
    with open(inward) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(text)

def descriptors():
    names = []
    for number in os.listdir('/proc/self/fd'):
        try:
            names.append(os.readlink(f'/proc/self/fd/{number}'))
        except OSError:
            pass
    return names

def handlers():
    status = open('/proc/self/status').read()
    masks = {line.split(':')[0]: int(line.split(':')[1], 16) for line in status.splitlines() if line.startswith('Sig')
             and not line.startswith('SigQ')}
    return {name: [n for n in range(1, 65) if mask >> (n - 1) & 1] for name, mask in masks.items()}

def pool():
    with fork_context.Pool(3) as pool:
        return pool.map(double, range(5))  # __exit__ calls terminate()

def pool_that_renews():
    'Its children are forked by a thread.'
    with fork_context.Pool(1, maxtasksperchild=1) as pool:
        return pool.map(double, range(4), chunksize=1)

def executor():
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=fork_context) as pool:
        return list(pool.map(double, range(4)))

def terminate():
    process = fork_context.Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join()
    return process.exitcode

def logs():
    logging.info('in the parent')
    process = fork_context.Process(target=logging.info, args=('in the child',))
    process.start()
    process.join()
    return process.exitcode

def by_thread(function):
    result = []
    thread = threading.Thread(target=lambda: result.append(function()))
    thread.start()
    thread.join()
    return result[0]

def c_fork():
    return ctypes.PyDLL(None).fork()

def forkpty():
    pid, fd = pty.fork()
    terminals.append(fd)  # its end sends SIGHUP
    return pid

terminals = []

def preexec():
    read, write = os.pipe()
    program = subprocess.Popen(['true'], preexec_fn=lambda: os.write(write, json.dumps(descriptors()).encode()))
    os.close(write)
    text = os.read(read, 10000)
    os.close(read)
    program.wait()
    return json.loads(text)

def grandchild():
    return in_child(lambda: [in_child(descriptors), in_child(handlers)])

def linger(seconds):
    'A child that outlives the request.'
    pid = os.fork()
    if pid == 0:
        time.sleep(seconds)
        os._exit(0)
    return pid

def start_process(daemon, seconds=60):
    process = fork_context.Process(target=time.sleep, args=(seconds,), daemon=daemon)
    process.start()
    return process.pid

VIEWS = {
    'pool': pool, 'pool_that_renews': pool_that_renews, 'executor': executor, 'terminate': terminate, 'logs': logs,
    'descriptors': lambda: in_child(descriptors), 'handlers': lambda: in_child(handlers),
    'descriptors_c': lambda: in_child(descriptors, c_fork), 'descriptors_pty': lambda: in_child(descriptors, forkpty),
    'descriptors_thread': lambda: by_thread(lambda: in_child(descriptors)), 'preexec': preexec,
    'terminate_thread': lambda: by_thread(terminate), 'grandchild': grandchild,
    'linger': lambda: linger(60), 'process': lambda: start_process(False), 'daemon': lambda: start_process(True),
    'pid': os.getpid,
}

def app(environ, start_response):
    body = json.dumps(VIEWS.get(environ['PATH_INFO'][1:], os.getpid)()).encode()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
"""


@pytest.fixture
def start(daemon):
    children = []

    def run(more="", app=APP, workers=1):
        server = daemon(f"[server]\nworkers = {workers}\n{more}\n[wsgi /]\napp = app:app\n", {"app.py": app})
        server.wait_log("all workers are ready")
        server.children = children
        return server
    yield run
    for pid in children:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def server(shared_daemon):
    server = shared_daemon("[wsgi /]\napp = app:app\n", {"app.py": APP})
    server.wait_log("all workers are ready")
    return server


def is_alive(pid):
    try:
        return "\nState:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def get(server, view):
    status, _, body = server.get("/" + view)
    assert status == 200
    return json.loads(body)


@pytest.mark.parametrize("view, result", [
    ("pool", [0, 2, 4, 6, 8]), ("pool_that_renews", [0, 2, 4, 6]), ("executor", [0, 2, 4, 6]),
    ("terminate", -signal.SIGTERM), ("terminate_thread", -signal.SIGTERM), ("logs", 0),
])
def test_multiprocessing(server, view, result):
    """Terminate works: the children have no handler of the server."""
    began = time.monotonic()
    assert get(server, view) == result
    assert time.monotonic() - began < (30 if SANITIZED else 8)
    assert len(server.worker_pids()) == 1


def test_a_child_logs(server):
    get(server, "logs")
    server.wait_log(r"INFO:root:in the child")


@pytest.mark.parametrize("view", ["descriptors", "descriptors_c", "descriptors_pty", "descriptors_thread", "preexec"])
def test_no_descriptor_of_the_server_is_in_a_child(server, view):
    with server.connect() as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        idle.recv(1000)
        names = get(server, view)
    assert not [name for name in names if re.match(r"socket:|anon_inode:|/memfd:stack-dump", name)], names


def is_clean(found):
    """Whether signals have their default handling, but for SIGINT, SIGPIPE, SIGXFSZ and faulthandler's, which are
    Python's."""
    caught = {n for n in found["SigCgt"] if n < 33 or n == signal.SIGRTMIN + 1}
    others = {signal.SIGINT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
    inherited = {n for n in range(1, 32) if signal.getsignal(n) == signal.SIG_IGN}  # by nohup, say
    ignored = {n for n in found["SigIgn"] if n < 32} | inherited  # make ignores libc's own signals
    return found["SigBlk"] == [] and caught <= others and ignored == inherited | {signal.SIGPIPE, signal.SIGXFSZ}


def test_signals_have_their_default_handling_in_a_child(server):
    found = get(server, "handlers")
    assert is_clean(found), found


def test_grandchildren(server):
    names, found = get(server, "grandchild")
    assert not [name for name in names if re.match(r"socket:|anon_inode:|/memfd:stack-dump", name)], names
    assert is_clean(found), found


def test_handler_of_the_application_stays(start):
    app = "import signal\nsignal.signal(signal.SIGHUP, lambda *args: None)\n" + APP
    assert get(start(app=app), "handlers")["SigCgt"].count(signal.SIGHUP) == 1


@pytest.mark.parametrize("preload", ["no", "yes"])
def test_children_of_the_import(start, preload):
    app = APP + "\nAT_IMPORT = [in_child(descriptors), in_child(handlers)]\nVIEWS['import'] = lambda: AT_IMPORT\n"
    names, found = get(start(f"preload = {preload}", app), "import")
    assert not [name for name in names if re.match(r"socket:|anon_inode:|/memfd:stack-dump", name)], names
    assert is_clean(found), found


# ---- clients and ports ----


@pytest.mark.parametrize("view", ["linger", "process"])
def test_no_client_waits_for_the_end_of_a_child(start, view):
    server = start()
    with server.connect() as before, server.connect() as sock:
        before.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        before.recv(1000)
        sock.sendall(f"GET /{view} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := sock.recv(1000):  # up to the end of the connection
            answer += chunk
        child = int(answer.split(b"\r\n\r\n")[1])
        server.children.append(child)
        before.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while before.recv(1000):
            pass
    assert is_alive(child)


@pytest.mark.parametrize("preload", ["no", "yes"])
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_child_that_outlives_the_server_keeps_neither_port_nor_clients(start, end, preload):
    server = start(f"preload = {preload}")
    child = get(server, "linger")
    server.children.append(child)
    worker = get(server, "pid")
    with server.connect() as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        idle.recv(1000)
        if end == "kill":
            os.kill(worker, signal.SIGKILL)
            assert idle.recv(1) == b""
            server.wait_log("worker 1 is ready", count=2)
            assert server.get("/")[0] == 200
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(TIMEOUT) == 0
        assert time.monotonic() - began < (20 if SANITIZED else 5)
        assert end == "kill" or idle.recv(1) == b""
    assert is_alive(child)
    with socket.create_server((server.host, server.port)):
        pass
    os.kill(child, signal.SIGTERM)
    wait_until(lambda: not is_alive(child))


# ---- the end of the worker ----


@pytest.mark.parametrize("way", ["stop", "reload", "max-requests"])
def test_worker_does_not_wait_for_processes(start, way):
    """Of multiprocessing: daemons end with the worker, as in Python; the others run on."""
    server = start("max-requests = 3" if way == "max-requests" else "")
    worker, daemon, process = get(server, "pid"), get(server, "daemon"), get(server, "process")
    server.children += [daemon, process]
    began = time.monotonic()
    if way == "reload":
        os.kill(server.pid, signal.SIGHUP)
    if way == "stop":
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(TIMEOUT) == 0
    wait_until(lambda: not is_alive(worker))
    assert time.monotonic() - began < (30 if SANITIZED else 8)
    assert "did not stop in time" not in server.log
    assert not is_alive(daemon) and is_alive(process)


# ---- C ----


def test_handler_in_c_that_forks_and_returns(daemon, c_modules, tmp_path):
    """The child ends there: it answers nobody, and writes no line to the access log."""
    source = tmp_path / "forks.c"
    source.write_text('''
#include <string.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "syncless.h"
static int handle(void *self, struct sl_request *req)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        return sl_reply(req, 200, "text/plain", "child", 5);
    waitpid(pid, &status, 0);
    char *text = sl_printf(req, "%d", status);
    return sl_reply(req, 200, "text/plain", text, strlen(text));
}
__attribute__((visibility("default"))) const struct sl_module sl_module = {
    .abi = SL_ABI, .name = "forks", .handle = handle };
''')
    compile_module(source, tmp_path / "forks.so")
    server = daemon(f"[server]\nmodule-path = {tmp_path}\n[log]\naccess-log = a.log\n[forks /]\n")
    for _ in range(3):
        assert server.get("/")[2] == b"0"
    server.stop()
    assert len((server.dir / "a.log").read_text().splitlines()) == 3


# ---- many ----


@pytest.mark.limit(240)
def test_a_hundred_times(start):
    server = start()
    worker = get(server, "pid")
    for n in range(100):
        assert get(server, "terminate") == -signal.SIGTERM
        if n % 10 == 0:
            assert get(server, "pool") == [0, 2, 4, 6, 8]
            assert get(server, "terminate_thread") == -signal.SIGTERM
    assert server.worker_pids() == [worker] and get(server, "pid") == worker
