"""Applications that fork: the child never continues as a second worker, and does not affect the first."""
import re

import pytest

APP = """
import multiprocessing, os, subprocess, sys, threading

def answer(start_response, text):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(text).encode()]

def fork(child):
    '''A view that forks: the child process calls child(), the parent answers with its exit code.'''
    def view(environ, start_response):
        pid = os.fork()
        if pid == 0:
            return child(environ, start_response)
        return answer(start_response, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return view

def raise_it(exception):
    raise exception

def items(start_response, pid):
    start_response('200 OK', [])
    if pid == 0:
        yield b'from the child'
    yield str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode()

def ended_items(start_response):
    start_response('200 OK', [])
    yield b'before '
    pid = os.fork()
    if pid:
        yield str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode()

def holds_a_lock(environ, start_response):
    with threading.RLock():  # which the child can release only if it is the thread that it was
        pid = os.fork()
    if pid == 0:
        os._exit(4)
    return answer(start_response, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

class Forking:
    '''Answers with the exit code of the child that its last close() has forked.'''
    code = 0
    def __init__(self, start_response):
        start_response('200 OK', [])
    def __iter__(self):
        yield str(self.code).encode()
    def close(self):
        pid = os.fork()
        if pid:
            Forking.code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

VIEWS = {
    'holds_a_lock': holds_a_lock,
    'grandchild': fork(lambda e, s: os._exit(1 + fork_again(lambda: fork_again(lambda: 3)))),
    'exits': fork(lambda e, s: sys.exit(7)),
    'exits_with_nothing': fork(lambda e, s: sys.exit()),
    'exits_with_text': fork(lambda e, s: sys.exit('a reason')),
    'returns': fork(lambda e, s: answer(s, 'child')),
    'raises': fork(lambda e, s: raise_it(KeyError('in the child'))),
    'prints': fork(lambda e, s: print('printed', 'by the child', end='') or answer(s, 'child')),
    'ends': fork(lambda e, s: os._exit(5)),
    'uses_locks': fork(lambda e, s: os._exit(use_locks())),
    'iterates': lambda e, s: items(s, os.fork()),
    'ends_iteration': lambda e, s: ended_items(s),
    'forks_in_close': lambda e, s: Forking(s),
    'runs_a_program': lambda e, s: answer(s, subprocess.run(['sh', '-c', 'exit 9'], preexec_fn=os.setsid).returncode),
    'multiprocessing': lambda e, s: answer(s, run_process()),
}

def fork_again(function):
    before = threading.get_ident()
    with threading.RLock():
        pid = os.fork()
    if pid == 0:
        os._exit(function() if threading.get_ident() == before else 99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def use_locks():
    with threading.RLock():
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
    return 6 if threading.current_thread().ident == threading.get_ident() else 1

def run_process():
    process = multiprocessing.get_context('fork').Process(target=sys.exit, args=(8,))
    process.start()
    process.join()
    return process.exitcode

def application(environ, start_response):
    return VIEWS[environ['PATH_INFO'][1:]](environ, start_response)
"""


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon("[wsgi /]\napp = app", {"app.py": APP})


@pytest.mark.parametrize("view, body", [
    ("exits", b"7"), ("exits_with_nothing", b"0"), ("exits_with_text", b"1"), ("returns", b"0"), ("raises", b"1"),
    ("prints", b"0"), ("ends", b"5"), ("uses_locks", b"6"), ("iterates", b"0"), ("ends_iteration", b"before 0"),
    ("forks_in_close", b"0"), ("runs_a_program", b"9"), ("multiprocessing", b"8"), ("holds_a_lock", b"4"),
    ("grandchild", b"4"),
])
def test_one_answer_and_the_exit_code(server, view, body):
    connection = server.http()
    for _ in range(2):
        connection.request("GET", "/" + view)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, body)
    connection.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):  # nothing else comes on that connection
        connection.sock.recv(1)
    connection.close()


def test_the_log_reports_what_the_child_did(server):
    server.get("/raises")
    server.wait_log(r"failed in a child process that it forked\n(  .*\n)*?  KeyError: 'in the child'")
    server.get("/prints")
    server.wait_log("printed by the child")
    assert not re.search("SystemExit", server.log)
    assert len(server.worker_pids()) == 1
