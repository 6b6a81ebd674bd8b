"""Logs: the access log's formats and variables, what clients cannot forge, where lines go, and that writing them never
waits."""
import base64
import datetime
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import TIMEOUT, exchange, server_args, server_env, wait_until, write_files

APP = """
import time
def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/sleep':
        time.sleep(0.2)
    if path == '/spin':
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass
    if path == '/fail':
        raise RuntimeError('on purpose')
    if path == '/shout':
        for _ in range(3000):
            environ['wsgi.errors'].write('x' * 200 + chr(10))
    start_response('201 Made', [('X-Mark', 'one "two"'), ('Content-Length', '5')])
    return [b'hello']
"""


@pytest.fixture
def logged(daemon):
    """logged(format) -> (server, lines): the lines function waits for that many."""
    def start(fmt, extra=""):
        server = daemon(f"[log]\naccess-log = access.log\nlog-format = {fmt}\n{extra}[wsgi /]\napp = app:app\n",
                        {"app.py": APP})
        path = server.dir / "access.log"

        def lines(count):
            server.wait_until(lambda: path.exists() and len(path.read_text().splitlines()) >= count)
            found = path.read_text().splitlines()
            assert len(found) == count, found
            return found
        return server, lines
    return start


def test_combined_is_the_default(daemon):
    server = daemon("[log]\naccess-log = a.log\n[hello /]\n")
    server.get("/x?y", {"User-Agent": "agent", "Referer": "http://r/"})
    log = server.dir / "a.log"
    server.wait_until(lambda: log.exists() and log.read_text())
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z][a-z]/20\d\d:\d\d:\d\d:\d\d [-+]\d{4}\] '
                        r'"GET /x\?y HTTP/1\.1" 200 \d+ "http://r/" "agent"\n', log.read_text())


PRESETS = {
    "common": r'127\.0\.0\.1 - bob \[[^]]+\] "POST /a HTTP/1\.1" 201 5',
    "combined": r'127\.0\.0\.1 - bob \[[^]]+\] "POST /a HTTP/1\.1" 201 5 "-" "me"',
    "combined-time": r'127\.0\.0\.1 - bob \[[^]]+\] "POST /a HTTP/1\.1" 201 5 "-" "me" \d+\.\d{3}',
    "%(addr)|%(method)|%(path)|%(query)|%(mount)|%(host)": r"127\.0\.0\.1\|POST\|/a\|-\|-\|shop",
    "%(size) %(server):%(server_port) 100%% %{X-Mark}o %{user-agent}i %{None}i %(wid)":
        r"5 127\.0\.0\.1:PORT 100% one \\x22two\\x22 me - 1",
    "%(rsize) %(port) %(pid) %(time) %(request_id)":
        r"1\d\d \d+ \d+ 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [0-9a-f]{32}",
}


@pytest.mark.parametrize("fmt", PRESETS)
def test_format(logged, fmt):
    server, lines = logged(fmt)
    authorization = "Basic " + base64.b64encode(b"bob:secret").decode()
    server.request("POST", "/a",
                   {"User-Agent": "me", "Authorization": authorization, "Host": "shop", "X-Request-ID": "r-1"}, b"x")
    assert re.fullmatch(PRESETS[fmt].replace("PORT", str(server.port)), lines(1)[0])


def test_json(logged):
    server, lines = logged("json")
    server.get('/a"b\\c', {"User-Agent": "caf\xe9 \"x\"\t"})
    record = json.loads(lines(1)[0])
    assert record["status"] == 201 and record["size"] == 5 and record["rsize"] > 100 and record["wid"] == 1
    assert record["uri"] == '/a"b\\c' and record["user"] is None and record["uagent"] == "caf\xe9 \"x\""
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT.*Z", record["time"]) and isinstance(record["micros"], int)


def test_times_tell_waiting_from_working(logged):
    server, lines = logged("%(path) %(micros) %(cpu_us) %(wait_us) %(queue_us) %(msecs)")
    server.get("/sleep")
    server.get("/spin")
    slept, spun = ([int(n) for n in line.split()[1:]] for line in lines(2))
    assert slept[0] >= 200000 and slept[2] >= 190000 and slept[1] < 100000 and slept[4] >= 200
    assert spun[0] >= 200000 and spun[1] >= 190000 and spun[2] < 100000


def test_local_time_is_the_servers(daemon):
    """Django sets the zone of its process."""
    app = """
import os, time
os.environ["TZ"] = "America/Chicago"
time.tzset()
""" + APP
    server = daemon("[log]\naccess-log = a.log\nlog-format = %(ltime)\n[wsgi /]\napp = app:app\n", {"app.py": app},
                    env=server_env({"TZ": "Asia/Kolkata"}))
    server.get("/")
    log = server.dir / "a.log"
    server.wait_until(lambda: log.exists() and log.read_text())
    text = log.read_text().strip(" []\n")
    assert text.endswith(" +0530"), text
    assert abs(time.time() - datetime.datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp()) < 60


def test_worker_that_has_served_nothing_says_little(daemon, run_server):
    server = daemon("[wsgi /]\napp = app:app\n", {"app.py": APP})
    server.wait_log("all workers are ready")
    server.stop()
    assert "coroutines:" not in server.log and "thread states" not in server.log
    done = run_server(["--check=app"], "[wsgi /]\napp = app:app\n", {"app.py": APP})
    assert done.returncode == 0 and "thread states" not in done.stderr


def test_queue_time(daemon):
    """The line of a request that was queued says for how long."""
    server = daemon("[server]\nmax-concurrency = 1\n[log]\naccess-log = a.log\nlog-format = %(queue_us)\n"
                    "[wsgi /]\napp = app:app\n", {"app.py": APP})
    first = threading.Thread(target=server.get, args=("/sleep",))
    with server.connect() as second:
        first.start()
        server.wait_until(lambda: os.path.exists(server.dir / "a.log"))
        second.sendall(b"GET /sleep HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while second.recv(1000):
            pass
    first.join()
    log = server.dir / "a.log"
    server.wait_until(lambda: len(log.read_text().split()) == 2)
    assert max(map(int, log.read_text().split())) > 100000


def test_requests_that_get_no_turn_have_their_line(daemon):
    """A client that only closes its connection meanwhile has none."""
    server = daemon("[server]\nmax-concurrency = 1\nqueue-timeout = 300ms\n[log]\naccess-log = a.log\n"
                    "log-format = %(status) %(addr) %(method) %(uri) %(proto) %(size) %(rsize) %(queue_us)\n"
                    "[wsgi /]\napp = app:app\n", {"app.py": APP.replace("0.2", "1.5")})
    with server.connect() as busy, server.connect() as second, server.connect() as leaving:
        busy.sendall(b"GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
        server.wait_until(lambda: os.path.exists(server.dir / "a.log"))
        leaving.close()
        received = exchange(second, b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 503 ")
    server.wait_until((server.dir / "a.log").read_text)
    *fields, queued = (server.dir / "a.log").read_text().split()
    assert fields == ["503", "127.0.0.1", "GET", "/second", "HTTP/1.1", "0", str(len(received))]
    assert int(queued) >= 300000


def test_no_request_forges_a_line(logged):
    server, lines = logged("combined")
    server.raw(b'GET /a"b\\ HTTP/1.1\r\nHost: x\r\nUser-Agent: a" 200 5 "\t\xff\r\nConnection: close\r\n\r\n')
    assert lines(1)[0].endswith(r'"GET /a\x22b\x5c HTTP/1.1" 201 5 "-" "a\x22 200 5 \x22\x09\xff"')
    server.raw(b'GET /a"b\\ HTTP/1.1\r\nHost: x\r\nUser-Agent: "\x1b[31m\r\n\r\n')
    assert re.search(r'"GET /a\\x22b\\x5c HTTP/1.1" 400 \d+ "-" "-"$', lines(2)[1])


def test_requests_that_were_refused_have_their_line(logged):
    server, lines = logged("%(status) %(method) %(uri)")
    server.raw(b"GET / HTTP/1.1\r\n\r\n")
    server.raw(b"\x16\x03\x01\r\n\r\n")
    server.raw(b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    server.get("/fail")
    assert [line.split()[0] for line in lines(4)] == ["400", "400", "414", "500"]


def test_a_refused_request_keeps_its_method_and_version(daemon):
    server = daemon("[limits]\nheader-timeout = 200ms\n[log]\naccess-log = a.log\n"
                    "log-format = %(status) %(method) %(uri) %(proto)\n[wsgi /]\napp = app:app\n", {"app.py": APP})
    refused = [
        (b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", "501 CONNECT a:1 HTTP/1.1"),
        (b"BREW /pot HTTP/2.0\r\nHost: x\r\n\r\n", "505 BREW /pot HTTP/2.0"),
        (b"PURGE /a HTTP/1.0\r\nHost : x\r\n\r\n", "400 PURGE /a HTTP/1.0"),
        (b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "501 PUT /a HTTP/1.1"),
        (b"PUT /a HTTP/1.1\r\nHost: x\r\nA: \x01", "400 PUT /a HTTP/1.1"),
        (b"PUT /a HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 40000, "431 PUT /a HTTP/1.1"),
        (b"PUT /" + b"x" * 20000, "414 PUT - -"),
        (b"PUT /slow HTTP/1.1\r\nHo", "408 PUT /slow HTTP/1.1"),
        (b"PUT /slow HT", "408 PUT - -"),
    ]
    for request, _ in refused:
        server.raw(request)
    log = server.dir / "a.log"
    server.wait_until(lambda: len(log.read_text().splitlines()) == len(refused))
    assert log.read_text().splitlines() == [line for _, line in refused]


def test_client_that_left_is_499(daemon):
    big = ("def app(e, s):\n    e['wsgi.input'].read()\n    s('200 OK', [])\n"
           "    return (b'x' * 100000 for _ in range(1000))\n")
    server = daemon("[log]\naccess-log = a.log\nlog-format = %(status) %(path)\n[wsgi /]\napp = big:app\n",
                    {"big.py": big})
    with server.connect() as sock:
        sock.sendall(b"GET /left HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.recv(10)
    with server.connect() as sock:
        sock.sendall(b"POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1000).startswith(b"HTTP/1.1 400 ")
    log = server.dir / "a.log"
    server.wait_until(lambda: {"499 /left", "400 /half"} == set(log.read_text().splitlines()))


TIMED = """
import time
def app(environ, start_response):
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/begun':
        yield b'begun'
    time.sleep(20)
"""


def test_requests_that_timed_out_or_lost_their_client_have_their_line(daemon):
    server = daemon("[limits]\nrequest-timeout = 300ms\nrequest-timeout-counts = application\n"
                    "on-disconnect = cancel\n[log]\naccess-log = a.log\nlog-format = %(status) %(path)\n"
                    "[wsgi /]\napp = timed:app\n", {"timed.py": TIMED})
    log = server.dir / "a.log"
    assert server.get("/late")[0] == 504
    server.raw(b"GET /begun HTTP/1.1\r\nHost: x\r\n\r\n")
    with server.connect() as sock:
        sock.sendall(b"GET /gone HTTP/1.1\r\nHost: x\r\n\r\n")
    server.wait_until(lambda: log.exists() and len(log.read_text().splitlines()) == 3)
    assert log.read_text().splitlines() == ["504 /late", "504 /begun", "499 /gone"]


def test_499_is_not_sent(daemon):
    """A client that has only closed its sending side counts as gone, but it still reads."""
    server = daemon("[limits]\non-disconnect = cancel\n[log]\naccess-log = a.log\nlog-format = %(status) %(path)\n"
                    "[wsgi /]\napp = timed:app\n", {"timed.py": TIMED})
    log = server.dir / "a.log"
    with server.connect() as sock:
        sock.sendall(b"GET /half HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert exchange(sock, b"") == b""
    server.wait_until(lambda: log.exists() and log.read_text() == "499 /half\n")


def test_off_by_default(daemon):
    server = daemon("[hello /]\n")
    server.get("/")
    assert "GET" not in server.log


def test_access_log_on_stderr(daemon):
    server = daemon("[log]\naccess-log = stderr\nlog-format = line of %(uri)\n[hello /]\n")
    server.get("/somewhere")
    server.wait_log("^line of /somewhere$")


@pytest.mark.parametrize("target", ["stdout", "-"])
def test_access_log_on_stdout(tmp_path, target):
    """`-` is standard output, as with gunicorn; the error log stays on standard error. A pipe that nobody reads holds
    no request up."""
    ini = (f"[server]\nbind = unix:%(here)/s\n[log]\naccess-log = {target}\nerror-log = -\n"
           "log-format = on %(uri)\n[hello /]\n")
    write_files(tmp_path, {"server.ini": ini})
    process = subprocess.Popen(server_args(tmp_path, ini, []), env=server_env(), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        while "all workers are ready" not in (line := process.stderr.readline()):
            assert line, "the server ended"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(TIMEOUT)
            sock.connect(str(tmp_path / "s"))
            received = exchange(sock, b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(20000)), True)
        assert received.count(b"HTTP/1.1 200 OK") == 20000
    finally:
        process.terminate()
        out, err = process.communicate(timeout=TIMEOUT)
    assert out.startswith("on /0\non /1\n") and "on /" not in err


def test_log_at_the_limit_of_its_size(daemon):
    """RLIMIT_FSIZE: writes fail, but SIGXFSZ ends neither the worker nor the master, and not the next worker either."""
    server = daemon("[log]\naccess-log = a.log\n[hello /]\n[cgi /cgi]\nroot = cgi\n",
                    {"cgi/limit": "#!/bin/sh\necho Content-Type: text/plain\necho\ngrep SigIgn /proc/self/status\n"})
    server.wait_log("all workers are ready")
    worker, = server.worker_pids()
    for pid in (server.pid, worker):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (100, 100))
    for _ in range(5):
        assert server.get("/")[0] == 200
    server.wait_log("cannot write to the log .*a.log: File too large")
    ignored = int(server.get("/cgi/limit")[2].split()[1], 16)
    assert not ignored & 1 << signal.SIGXFSZ - 1, "programs are started with the default"
    assert server.worker_pids() == [worker]


@pytest.fixture
def slow_disk():
    """slow_disk(pid, *paths): each write to one of these files takes half a second."""
    tracers = []

    def slow_down(pid, *paths):
        if not shutil.which("strace"):
            pytest.skip("there is no strace")
        options = [option for path in paths for option in ("-P", path)]
        tracer = subprocess.Popen(["strace", "-f", "-p", str(pid), *options, "-e", "inject=write:delay_enter=500000"],
                                  stderr=subprocess.PIPE, text=True)
        tracers.append(tracer)
        if not re.search(" attached( with .*)?$", tracer.stderr.readline()):
            pytest.skip("strace may not look at processes here")

    yield slow_down
    for tracer in tracers:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=TIMEOUT)


def log_to_file(server):
    """Have a server change to an error log in a file. Returns its path."""
    ini, log = server.dir / "server.ini", server.dir / "e.log"
    server.wait_log("all workers are ready")
    former = server.worker_pids()
    ini.write_text(ini.read_text() + "[log]\nerror-log = e.log\n")
    os.kill(server.pid, signal.SIGHUP)
    server.wait_until(lambda: log.exists() and "all workers are ready" in log.read_text())
    server.wait_until(lambda: not {*former} & {*server.worker_pids()})
    return log


def test_slow_disk_holds_nobody_up(daemon, slow_disk):
    """Files are written by threads: neither the access log nor the error log holds a request up, and all is there in
    the end, also after a reopening."""
    server = daemon("[log]\naccess-log = a.log\nlog-format = %(path)\n[wsgi /]\napp = app:app\n", {"app.py": APP})
    log, errors = server.dir / "a.log", log_to_file(server)
    slow_disk(server.worker_pids()[0], log, errors)
    begun = time.monotonic()
    for n in range(10):
        assert server.get(f"/{n}")[0] == 201
        assert server.get("/fail")[0] == 500
    assert time.monotonic() - begun < 3, "20 writes of half a second"
    os.rename(log, server.dir / "old.log")
    os.kill(server.pid, signal.SIGUSR1)
    server.wait_until(log.exists)
    server.get("/new")
    server.wait_until(lambda: log.read_text().endswith("/new\n"))
    lines = ((server.dir / "old.log").read_text() + log.read_text()).splitlines()
    assert lines == [path for n in range(10) for path in (f"/{n}", "/fail")] + ["/new"]
    server.wait_until(lambda: errors.read_text().count("RuntimeError: on purpose") == 10)


def test_what_was_logged_before_a_crash_is_in_the_log(daemon):
    server = daemon("[wsgi /]\napp = app:app\n", {"app.py": """
import ctypes
def app(environ, start_response):
    environ['wsgi.errors'].write('the last words\\n')
    ctypes.string_at(0)
"""})
    log = log_to_file(server)
    with pytest.raises((OSError, http.client.HTTPException)):
        server.get("/")
    server.wait_until(lambda: "segmentation fault" in log.read_text())
    assert re.search("the last words.*segmentation fault", log.read_text(), re.S), log.read_text()


MISTAKES = {
    "log-format = %(adr)": r'server\.ini:2: "log-format = %\(adr\)": there is no variable "%\(adr\)"',
    "log-format = %x": r'server\.ini:2: "log-format = %x": "%" must be followed by',
    "log-format = %{X}": r'server\.ini:2: "log-format = %\{X\}": "%\{" must be followed by the name',
    "access-log = syslog:mail": r'server\.ini:2: "access-log = syslog:mail": expected syslog:daemon',
    "error-log =": r'server\.ini:2: "error-log =": expected stderr, stdout, syslog, journal, \|COMMAND or a file',
    "acess-log = x": r'server\.ini:2: unknown key "acess-log" in \[log\]; did you mean "access-log"\?',
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes(run_server, line):
    done = run_server(["--check"], f"[log]\n{line}\n[hello /]\n")
    assert done.returncode == 78 and re.search(MISTAKES[line], done.stderr), done.stderr


def test_log_that_cannot_be_opened(run_server):
    done = run_server([], "[log]\naccess-log = /nonexistent/a.log\n[hello /]\n")
    assert done.returncode == 1 and "cannot open the access log /nonexistent/a.log: No such file" in done.stderr


def test_disk_that_is_full_stops_nobody_and_is_told_once(daemon):
    server = daemon("[log]\naccess-log = /dev/full\n[hello /]\n")
    for _ in range(100):
        assert server.get("/")[0] == 200
    server.wait_log(r"\[error\] \d+#1 cannot write to the log /dev/full: No space left on device")
    assert server.log.count("/dev/full") == 1


def test_error_log_in_a_file_takes_all_of_stderr(tmp_path):
    files = {"server.ini": "[log]\nerror-log = logs/error.log\n[wsgi /]\napp = app:app\n",
             "app.py": "import sys\nprint('from python', file=sys.stderr)\n" + APP, "logs/keep": ""}
    write_files(tmp_path, files)
    process = subprocess.Popen(server_args(tmp_path, files["server.ini"], []), env=server_env(), stderr=subprocess.PIPE)
    log = tmp_path / "logs/error.log"
    try:
        wait_until(lambda: log.exists() and "is ready" in log.read_text())
    finally:
        process.terminate()
        assert process.communicate(timeout=TIMEOUT)[1] == b""
    assert "from python\n" in log.read_text() and log.read_text().endswith("stopped\n")
    assert log.stat().st_mode & 0o777 == 0o640


@pytest.fixture
def piped(tmp_path):
    """A server whose standard error is a pipe, and a function that gets a path from it."""
    ini = "[log]\naccess-log = stderr\n[wsgi /]\napp = app:app\n"
    write_files(tmp_path, {"server.ini": ini, "app.py": APP})
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(server_args(tmp_path, ini, ["-b", f"127.0.0.1:{port}"]), env=server_env(),
                               stderr=subprocess.PIPE)

    def get(path):
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
            sock.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path)
            return b"".join(iter(lambda: sock.recv(1000), b""))
    try:
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        yield process, get
    finally:
        process.send_signal(signal.SIGINT)
        rest = None if process.stderr.closed else process.stderr.read()
        code = process.wait(TIMEOUT)
    assert code == 0, rest


def test_a_reader_that_is_gone_costs_nothing(piped):
    """The reader of standard error has exited: requests go on, and the server does not spin."""
    def ticks():
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return [sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
                for pid in children]

    process, get = piped
    get(b"/")
    process.stderr.close()
    for _ in range(3):
        assert b"201 Made" in get(b"/")
    time.sleep(1.1)  # in which the worker has looked after its logs
    before = ticks()
    time.sleep(0.5)
    assert sum(ticks()) - sum(before) < 0.2 * os.sysconf("SC_CLK_TCK")
    assert b"201 Made" in get(b"/")


def test_full_pipe_holds_nobody_up(piped):
    """Nothing reads standard error: requests go on, and the log says how many lines were dropped."""
    process, get = piped
    started = time.monotonic()
    for _ in range(5):
        assert b"201 Made" in get(b"/shout")
    assert b"201 Made" in get(b"/")
    assert time.monotonic() - started < TIMEOUT
    text = b""
    while b"log lines: stderr was not accepting writes" not in text:
        text += os.read(process.stderr.fileno(), 65536)
    assert not re.search(rb"x{201}", text), "two lines are mixed"


@pytest.fixture
def syslog():
    """The socket of a syslogd."""
    if os.path.exists("/dev/log") or os.geteuid() != 0:
        pytest.skip("/dev/log exists")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("/dev/log")
        try:
            sock.settimeout(TIMEOUT)
            yield sock
        finally:
            os.unlink("/dev/log")


TO_SYSLOG = "[log]\naccess-log = syslog:local3\nlog-format = line of %(uri)\n[hello /]\n"


def test_syslog(syslog, daemon):
    daemon(TO_SYSLOG).get("/a")
    assert re.fullmatch(rb"<158>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d syncless\[\d+\]: line of /a", syslog.recv(1000))


def test_syslog_that_does_not_take_more(syslog, daemon):
    """Lines that are dropped then are dropped whole."""
    server = daemon(TO_SYSLOG)
    with server.connect() as sock:
        exchange(sock, b"".join(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 3000) for _ in range(400)),
                 shutdown=True)
    lines = [syslog.recv(9000) for _ in range(50)]
    server.get("/last")
    while not lines[-1].endswith(b"/last"):
        lines.append(syslog.recv(9000))
    assert all(re.fullmatch(rb"<158>\w{3} [ \d]\d \d\d:\d\d:\d\d syncless\[\d+\]: line of /(a{3000}|last)", line)
               for line in lines)
    server.wait_log(r"dropped \d+ log lines: syslog:local3 was not accepting writes")


# ---- logs of mounts, programs, journald ----


def lines_of(path, count):
    wait_until(lambda: path.exists() and len(path.read_text().splitlines()) >= count)
    found = path.read_text().splitlines()
    assert len(found) == count, found
    return found


def test_mounts_have_logs_of_their_own(daemon):
    """A mount has what its section says, else its module, else [log]; mounts with the same file share it; requests
    that no mount has served are in the log of [log]. All of them are reopened."""
    server = daemon("""
[log]
access-log = all.log
log-format = all %(uri)
[static]
access-log = static.log
[static /a]
root = .
[static /b]
root = .
log-format = b %(uri) %(status)
[static /c]
root = .
access-log = off
[hello /d]
[hello /e]
access-log = all.log
log-format = e %(uri)
""", {"f": ""})
    paths = ["/a/f", "/b/x", "/c/f", "/d", "/e?q", "/none"]
    for path in paths:
        server.get(path)
    assert lines_of(server.dir / "static.log", 2) == ["all /a/f", "b /b/x 404"]
    assert lines_of(server.dir / "all.log", 3) == ["all /d", "e /e?q", "all /none"]
    for name in ("all", "static"):
        (server.dir / f"{name}.log").rename(server.dir / f"{name}.old")
    server.process.send_signal(signal.SIGUSR1)
    server.wait_log("log files reopened")
    wait_until(lambda: (server.get("/a/f"), server.get("/d")) and (server.dir / "static.log").exists()
               and (server.dir / "static.log").read_text() and (server.dir / "all.log").read_text())


def test_logs_of_mounts_alone(daemon):
    server = daemon("[hello /a]\n[hello /b]\naccess-log = b.log\nlog-format = %(uri)\n")
    server.wait_log("#0 all workers are ready")
    server.get("/a"), server.get("/b"), server.get("/none")
    assert lines_of(server.dir / "b.log", 1) == ["/b"]
    (server.dir / "server.ini").write_text("[hello /a]\naccess-log = a.log\nlog-format = %(uri)\n[hello /b]\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("#0 all workers are ready", count=2)
    wait_until(lambda: server.get("/a") and (server.dir / "a.log").read_text())


def test_excluded_paths(daemon):
    server = daemon("[log]\naccess-log = a.log\nlog-format = %(uri)\naccess-log-exclude = /healthz\n"
                    "access-log-exclude = /static/*\n[hello /]\n[hello /own]\naccess-log-exclude = /own/quiet\n")
    for path in ("/healthz", "/healthz?full", "/healthz/deep", "/static/a/b.css", "/own", "/own/quiet", "/last"):
        server.get(path)
    assert lines_of(server.dir / "a.log", 3) == ["/healthz/deep", "/own", "/last"]


def test_sample(daemon):
    """One line for so many requests, but each error of the server has one."""
    server = daemon("[log]\naccess-log = a.log\nlog-format = %(status) %(uri)\naccess-log-sample = 10\n"
                    "[wsgi /]\napp = app:app\n", {"app.py": APP})
    for number in range(40):
        server.get("/fail" if number in (3, 4) else f"/{number}")
    server.get("/end")
    found = lines_of(server.dir / "a.log", 5)
    assert found[:2] == ["500 /fail"] * 2 and all(line.startswith("201 /") for line in found[2:])


RULE_MISTAKES = {
    "access-log-sample = 0": r'server\.ini:3: "access-log-sample = 0": expected 1 to',
    "access-log-exclude = healthz": r'server\.ini:3: "access-log-exclude = healthz": expected a path that begins',
    "access-log = |": r'server\.ini:3: "access-log = \|": expected a command after the \|',
    "log-format = %(no)": r'server\.ini:3: "log-format = %\(no\)": there is no variable',
    "access-log = syslog:mail": r'server\.ini:3: "access-log = syslog:mail": expected syslog:daemon',
}


@pytest.mark.parametrize("line", RULE_MISTAKES)
@pytest.mark.parametrize("section", ["[log]", "[hello /a]"])
def test_mistakes_in_rules(run_server, line, section):
    done = run_server(["--check"], f"[hello /]\n{section}\n{line}\n")
    assert done.returncode == 78 and re.search(RULE_MISTAKES[line], done.stderr), done.stderr


PROGRAM = "|while read -r line; do echo \"$$ $line\" >> got; done; echo end >> got"


def test_program_takes_a_log(daemon):
    """Lines of several workers. When it dies another goes on with the same pipe, and nothing is lost. At the stop it
    has all lines, and then the end of its input."""
    server = daemon(f"[server]\nworkers = 2\n[log]\naccess-log = {PROGRAM}\nlog-format = %(uri)\n[hello /]\n")
    got = server.dir / "got"
    server.get("/0")
    first = lines_of(got, 1)[0].split()
    assert first[1] == "/0"
    os.kill(int(first[0]), signal.SIGKILL)
    server.wait_log(r"\[error\] \d+#0 the program of a log ended \(signal 9\): starting it again in a second: while")
    for number in range(1, 20):
        server.get(f"/{number}")
    lines = lines_of(got, 20)
    assert sorted(int(line.split("/")[1]) for line in lines) == list(range(20))
    second, = {line.split()[0] for line in lines[1:]}
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("#0 all workers are ready", count=2)
    server.get("/reloaded")
    assert lines_of(got, 21)[-1] == f"{second} /reloaded", "a reload keeps it"
    server.get("/last")
    assert server.stop() == 0
    assert lines_of(got, 23)[-2:] == [f"{second} /last", "end"]


def test_program_that_a_reload_does_not_name_ends(daemon):
    server = daemon(f"[log]\naccess-log = {PROGRAM}\nlog-format = %(uri)\n[hello /]\n")
    server.get("/0")
    lines_of(server.dir / "got", 1)
    (server.dir / "server.ini").write_text("[hello /]\n")
    server.process.send_signal(signal.SIGHUP)
    assert lines_of(server.dir / "got", 2)[-1] == "end"
    assert "program of a log" not in server.log


def test_program_takes_the_error_log(daemon):
    """And with it standard error of the application and of its children."""
    app = "import os, sys\n" + APP + "\nprint('said', file=sys.stderr, flush=True)\nos.system('echo child >&2')\n"
    server = daemon("[log]\nerror-log = stderr\n[wsgi /]\napp = app:app\n", {"app.py": app})
    (server.dir / "server.ini").write_text("[log]\nerror-log = |cat >> errors\n[wsgi /]\napp = app:app\n")
    server.process.send_signal(signal.SIGHUP)
    errors = server.dir / "errors"
    wait_until(lambda: errors.exists() and "all workers are ready" in errors.read_text())
    server.stop()
    text = errors.read_text()
    assert {"said", "child"} <= set(text.splitlines()) and text.endswith("#0 stopped\n")


def test_journal(daemon, tmp_path):
    """Native messages of journald, one for each line, with the priority."""
    path = pathlib.Path("/run/systemd/journal/socket")
    if path.exists() or os.geteuid() != 0:
        pytest.skip("journald runs here")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(str(path))
            sock.settimeout(TIMEOUT)
            server = daemon("[log]\naccess-log = journal\nlog-format = line of %(uri)\n[wsgi /]\napp = app:app\n",
                            {"app.py": APP})
            server.get("/a")
            assert sock.recv(1000) == b"PRIORITY=6\nSYSLOG_IDENTIFIER=syncless\nMESSAGE=line of /a"
            (server.dir / "server.ini").write_text("[log]\nerror-log = journal\n[wsgi /]\napp = app:app\n")
            server.process.send_signal(signal.SIGHUP)
            while not (message := sock.recv(10000)).endswith(b"all workers are ready"):
                assert re.fullmatch(rb"PRIORITY=[3-7]\nSYSLOG_IDENTIFIER=syncless\nMESSAGE=[^\n]+", message)
    finally:
        path.unlink(missing_ok=True)


def test_stdout_that_is_a_file_outlives_a_reload(tmp_path):
    """The old log is closed, but not its descriptor 1."""
    ini = "[server]\nbind = unix:%(here)/s\n[log]\naccess-log = -\nlog-format = on %(uri)\n[hello /]\n"
    write_files(tmp_path, {"server.ini": ini})
    with open(tmp_path / "out", "w") as out:
        process = subprocess.Popen(server_args(tmp_path, ini, []), env=server_env(), stdout=out,
                                   stderr=subprocess.PIPE, text=True)
    try:
        for number in range(3):
            while "all workers are ready" not in process.stderr.readline():
                pass
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(TIMEOUT)
                sock.connect(str(tmp_path / "s"))
                exchange(sock, b"GET /%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % number)
            process.send_signal(signal.SIGHUP)
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT)
    assert sorted(lines_of(tmp_path / "out", 3)) == ["on /0", "on /1", "on /2"]
