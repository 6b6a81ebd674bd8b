"""Applications with faults: each fault has a clear line in the log and a definite answer, and affects no other
request."""
import re
import signal

import pytest

from timeouts import SANITIZED

APP = """
import sys

HTML = [('Content-Type', 'text/html')]
closed = []

class Body:
    def __init__(self, items, fault=None):
        self.items, self.fault = items, fault
    def __iter__(self):
        return iter(self.items)
    def close(self):
        closed.append(1)
        if self.fault:
            raise self.fault

def faulty(exception):
    yield b''
    raise exception

def begun(exception):
    yield b'begun'
    raise exception

class Bad(Exception):
    def __str__(self):
        raise RuntimeError('no text')

def raise_it(exception):
    raise exception

def recurse(n=0):
    return recurse(n + 1)

class Emptying:
    def __repr__(self):
        EMPTIES.clear()
        return 'emptied'

EMPTIES = [('A', slice(Emptying(), Emptying(), Emptying()))]
OK = '200 OK'
FAULTS = {
    # before the first byte
    'raises': lambda s: raise_it(KeyError('secret-key')),
    'exit': lambda s: sys.exit(3),
    'interrupt': lambda s: raise_it(KeyboardInterrupt()),
    'base': lambda s: raise_it(BaseException('base')),
    'nul': lambda s: raise_it(ValueError('before\\0after')),
    'generator_exit': lambda s: raise_it(GeneratorExit()),
    'recursion': lambda s: recurse(),
    'no_text': lambda s: raise_it(Bad()),
    'after_start': lambda s: (s(OK, HTML), raise_it(ValueError('started'))),
    'in_generator': lambda s: (s(OK, HTML), Body(faulty(ValueError('first item'))))[1],
    'iter_fails': lambda s: (s(OK, HTML), 42)[1],
    'none': lambda s: s(OK, HTML) and None,
    'returns_str': lambda s: (s(OK, HTML), 'text')[1],
    'str_item': lambda s: (s(OK, HTML), ['text'])[1],
    'str_item_of_iter': lambda s: (s(OK, HTML), iter(['text']))[1],
    'int_item': lambda s: (s(OK, HTML), [5])[1],
    'list_item': lambda s: (s(OK, HTML), iter([[65]]))[1],
    'write_int': lambda s: s(OK, HTML)(5),
    'write_str': lambda s: s(OK, HTML)('text'),
    'write_two': lambda s: s(OK, HTML)(b'a', b'b'),
    'no_start': lambda s: [b'body'],
    'no_start_empty': lambda s: [],
    # arguments of start_response
    'no_arguments': lambda s: s(),
    'four_arguments': lambda s: s(OK, HTML, None, None),
    'wrong_name': lambda s: s(OK, HTML, exception=None),
    'only_status': lambda s: s(status=OK),
    'only_headers': lambda s: s(headers=HTML),
    'no_headers': lambda s: s(OK, exc_info=None),
    'two_values': lambda s: s(OK, HTML, status=OK),
    'both_names': lambda s: s(OK, headers=HTML, response_headers=HTML),
    'bad_exc_info': lambda s: s(OK, HTML, (1, 2)),
    'twice': lambda s: (s(OK, HTML), s(OK, HTML)),
    'status_bytes': lambda s: s(b'200 OK', HTML),
    'status_int': lambda s: s(200, HTML),
    'status_short': lambda s: s('20', HTML),
    'status_digits': lambda s: s('2000', HTML),
    'status_empty': lambda s: s('', HTML),
    'status_no_space': lambda s: s('200OK', HTML),
    'status_word': lambda s: s('OK 200', HTML),
    'status_100': lambda s: s('100 Continue', HTML),
    'status_1000': lambda s: s('1000 Big', HTML),
    'status_crlf': lambda s: s('200 OK\\r\\nX: y', HTML),
    'status_wide': lambda s: s('200 \\u20ac', HTML),
    'status_nul': lambda s: s('200 OK\\0X', HTML),
    'repr_frees': lambda s: s(OK, EMPTIES),
    'headers_none': lambda s: s(OK, None),
    'headers_int': lambda s: s(OK, 5),
    'headers_str': lambda s: s(OK, 'A: b'),
    'headers_bytes': lambda s: s(OK, b'A: b'),
    'headers_dict': lambda s: s(OK, {'AB': 'b'}),
    'headers_fail': lambda s: s(OK, (raise_it(KeyError('in headers')) for _ in range(1))),
    'header_str': lambda s: s(OK, iter(['AB'])),
    'header_bytes': lambda s: s(OK, [b'AB']),
    'header_set': lambda s: s(OK, [{'A', 'b'}]),
    'header_one': lambda s: s(OK, [['A']]),
    'header_three': lambda s: s(OK, [('A', 'b', 'c')]),
    'name_bytes': lambda s: s(OK, [(b'A', 'b')]),
    'value_int': lambda s: s(OK, [('Content-Length', 5)]),
    'name_empty': lambda s: s(OK, [('', 'b')]),
    'name_space': lambda s: s(OK, [('A b', 'c')]),
    'name_colon': lambda s: s(OK, [('A:', 'c')]),
    'name_crlf': lambda s: s(OK, [('A\\r\\nB', 'c')]),
    'name_wide': lambda s: s(OK, [('\\xc4', 'c')]),
    'value_cr': lambda s: s(OK, [('A', 'b\\rc')]),
    'value_lf': lambda s: s(OK, [('A', 'b\\nX: y')]),
    'value_nul': lambda s: s(OK, [('A', 'b\\0c')]),
    'value_wide': lambda s: s(OK, [('A', '\\u20ac')]),
    'length_word': lambda s: s(OK, [('Content-Length', 'many')]),
    'length_negative': lambda s: s(OK, [('Content-Length', '-1')]),
    'length_twice': lambda s: s(OK, [('Content-Length', '1'), ('Content-Length', '2')]),
    # after it
    'begun': lambda s: (s(OK, HTML), Body(begun(ValueError('second item'))))[1],
    'begun_interrupt': lambda s: (s(OK, HTML), begun(KeyboardInterrupt()))[1],
    'begun_str': lambda s: (s(OK, HTML), iter([b'begun', 'text']))[1],
    'written': lambda s: (s(OK, HTML)(b'begun'), raise_it(ValueError('after write'))),
    'close_fails': lambda s: (s(OK, HTML), Body([b'fine'], ValueError('in close')))[1],
    'close_exits': lambda s: (s(OK, HTML), Body([b'fine'], SystemExit(1)))[1],
    'both_fail': lambda s: (s(OK, HTML), Body(faulty(ValueError('in iter')), ValueError('in close too')))[1],
}

def application(environ, start_response):
    name = environ['PATH_INFO'][1:]
    if name == 'closed':
        start_response(OK, HTML)
        return [str(len(closed)).encode()]
    if name == 'errors':
        log = environ['wsgi.errors']
        log.write('one line\\nsecond')
        log.write(' line\\n')
        print('printed', 'line', file=log)
        log.writelines(['a', 'b\\n', 'caf\\xe9 \\udc80\\n', 'nul \\0 in it\\n'])
        log.write('flushed')
        log.flush()
        log.write('\\n\\nnot ended')
        start_response(OK, HTML)
        return [b'logged']
    return FAULTS[name](start_response)
"""

# What the log must say of a fault that the client sees as a plain 500.
BEFORE = {
    "raises": r"KeyError: 'secret-key'", "exit": r"SystemExit: 3", "interrupt": r"KeyboardInterrupt",
    "base": r"BaseException: base", "generator_exit": "GeneratorExit", "recursion": "RecursionError: ",
    "nul": r"ValueError: before\\x00after", "after_start": "ValueError: started",
    "no_text": r"Bad: <(?:exception str\(\) failed|unprintable Bad object)>",
    "in_generator": "ValueError: first item", "iter_fails": "TypeError: 'int' object is not iterable",
    "none": r"returned NoneType, where .* \[body\]",
    "returns_str": r"returned str, where .* \[body\]", "str_item": "must consist of bytes, not str",
    "str_item_of_iter": "must consist of bytes, not str", "int_item": "must consist of bytes, not int",
    "list_item": "must consist of bytes, not list", "write_int": "must consist of bytes, not int",
    "write_str": "must consist of bytes, not str", "write_two": r"expected write\(data\)",
    "no_start": "did not call start_response", "no_start_empty": "did not call start_response",
    "no_arguments": r"expected start_response\(status, headers, exc_info=None\)",
    "four_arguments": "expected start_response", "only_status": "expected start_response",
    "only_headers": "expected start_response", "no_headers": "expected start_response",
    "two_values": r"start_response\(\) has two values for 'status'",
    "both_names": r"start_response\(\) has two values for 'response_headers'",
    "wrong_name": r"start_response\(\) has no argument 'exception'", "bad_exc_info": "exc_info must be a tuple",
    "twice": r"AssertionError: start_response\(\) was called a second time without exc_info",
    "status_bytes": "TypeError: status must be str, not bytes", "status_int": "TypeError: status must be str, not int",
    "status_short": "like '200 OK', not '20'", "status_digits": "not '2000'", "status_empty": "not ''",
    "status_no_space": "not '200OK'", "status_word": "not 'OK 200'",
    "status_100": "number from 200 to 999", "status_1000": "number from 200 to 999", "status_crlf": "not '200 OK",
    "status_wide": "status has characters that are not in latin-1",
    "status_nul": r"not '200 OK\\x00X'", "repr_frees": r"header value must be str, not slice: slice\(emptied",
    "headers_none": "headers must be a list .* not NoneType", "headers_int": "headers must be a list .* not int",
    "headers_str": "headers must be a list .* not str", "headers_bytes": "headers must be a list .* not bytes",
    "headers_dict": r"must be a tuple \(name, value\), not 'AB'", "headers_fail": "KeyError: 'in headers'",
    "header_str": r"must be a tuple \(name, value\), not 'AB'", "header_set": r"must be a tuple .* not {'",
    "header_bytes": r"must be a tuple \(name, value\), not b'AB'", "header_one": r"must be a tuple .* not \['A'\]",
    "header_three": r"must be a tuple \(name, value\), not \('A'", "name_bytes": "header name must be str, not bytes",
    "value_int": "header value must be str, not int: 5", "name_empty": "letters, digits and hyphens",
    "name_space": "letters, digits and hyphens", "name_colon": "letters, digits and hyphens",
    "name_crlf": "letters, digits and hyphens", "name_wide": "letters, digits and hyphens",
    "value_cr": "control character or a line break", "value_lf": "control character or a line break",
    "value_nul": "control character or a line break",
    "value_wide": "header value has characters that are not in latin-1",
    "length_word": "must be a number of bytes", "length_negative": "must be a number of bytes",
    "length_twice": "is given twice", "both_fail": "ValueError: in close too",
}
AFTER = {"begun": "second item", "begun_interrupt": "KeyboardInterrupt", "begun_str": "not str",
         "written": "after write"}


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon("[wsgi /]\napp = app", {"app.py": APP})


def test_all_faults_are_listed():
    names = set(re.findall(r"^    '(\w+)': lambda", APP, re.M))
    assert names == {*BEFORE, *AFTER, "close_fails", "close_exits"}


@pytest.mark.parametrize("name", BEFORE)
def test_fault_before_the_first_byte(server, name):
    connection = server.http()
    connection.request("GET", f"/{name}?x=1")
    response = connection.getresponse()
    body = response.read()
    assert response.status == 500 and response.headers["X-Y"] is None
    assert b"secret" not in body and b"Traceback" not in body
    server.wait_log(rf"\[error\].* GET /{name}\?x=1: .*\n(  .*\n)*?  .*{BEFORE[name]}")
    connection.request("GET", "/closed")  # the same connection, and the same worker
    assert connection.getresponse().read().isdigit()
    connection.close()


@pytest.mark.parametrize("name", AFTER)
def test_fault_after_the_first_byte_cuts_the_connection(server, name):
    answer = server.raw(f"GET /{name} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"begun" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    server.wait_log(rf"GET /{name}: the application failed\n(  .*\n)*?  .*{AFTER[name]}")


@pytest.mark.parametrize("name, error", [("close_fails", "ValueError: in close"), ("close_exits", "SystemExit: 1")])
def test_close_that_raises_spoils_no_response(server, name, error):
    assert server.get("/" + name)[::2] == (200, b"fine")
    server.wait_log(rf"GET /{name}: close\(\) of the response failed\n(  .*\n)*?  {error}")


@pytest.mark.parametrize("name", ["in_generator", "begun", "both_fail"])
def test_close_is_called_after_a_fault(server, name):
    before = int(server.get("/closed")[2])
    server.raw(f"GET /{name} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
    assert int(server.get("/closed")[2]) == before + 1


def test_a_traceback_names_the_line(server):
    server.get("/raises?line")
    text = server.wait_log(r"GET /raises\?line: the application failed\n((?:  .*\n)*?  KeyError.*)")[1]
    assert 'app.py", line' in text and "raise exception" in text


def test_wsgi_errors_line_by_line(server):
    assert server.get("/errors?q")[2] == b"logged"
    server.wait_log("not ended")
    lines = re.findall(r"\[error\] \S+ rid=\w+ GET /errors\?q: (.*)$", server.log, re.M)
    assert lines == ["one line", "second line", "printed line", "ab", r"café \udc80", r"nul \x00 in it",
                     "flushed", "", "", "not ended"]


def test_no_worker_has_ended(server):
    pids = server.worker_pids()
    for name in ("exit", "interrupt", "begun_interrupt", "close_exits"):
        server.raw(f"GET /{name} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
    assert server.get("/closed")[0] == 200 and server.worker_pids() == pids


CRASH = """
import ctypes, faulthandler, os, signal

def crash(how):
    if how == 'abort':
        os.abort()
    elif how == 'fpe':
        signal.raise_signal(signal.SIGFPE)
    ctypes.string_at(8)

def app(environ, start_response):
    if environ['PATH_INFO'] != '/':
        crash(environ['PATH_INFO'][1:])
    start_response('200 OK', [])
    return [str(faulthandler.is_enabled()).encode()]
"""
CRASHES = {"read": (r"segmentation fault in GET /read$", signal.SIGSEGV), "abort": ("", signal.SIGABRT),
           "fpe": ("", signal.SIGFPE)}


@pytest.mark.skipif(SANITIZED, reason="the sanitizer has handlers of its own")
@pytest.mark.parametrize("how", CRASHES)
@pytest.mark.parametrize("preload", ["no", "yes"])
def test_crash_has_its_python_stack_in_the_log(daemon, how, preload):
    """faulthandler is on, and leaves our line about the request, the signal and the next worker as they are."""
    server = daemon(f"[server]\npreload = {preload}\n[wsgi /]\napp = crash:app\n", {"crash.py": CRASH})
    assert server.get("/")[2] == b"True"
    with pytest.raises(OSError):
        server.get("/" + how)
    said, signum = CRASHES[how]
    server.wait_log(rf'{said}(.*\n)*  File ".*/crash.py", line \d+ in crash\n  File ".*/crash.py", line \d+ in app$')
    server.wait_log(rf"was killed by signal {int(signum)} ")
    assert server.get("/")[2] == b"True"


@pytest.mark.skipif(SANITIZED, reason="the sanitizer has handlers of its own")
def test_crash_at_import_has_its_python_stack_in_the_log(run_server):
    done = run_server([], "[wsgi /]\napp = crash:app\n", {"crash.py": CRASH + "crash('read')\n"})
    assert done.returncode == 3
    where = r'  File ".*/crash.py", line \d+ in '
    assert re.search(rf"{where}crash\n{where}<module>", done.stderr)
