"""Counters of the server: what is counted, and that sums do not go back whatever happens to workers."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

from conftest import BUILD, TIMEOUT, wait_until

WAITS = (pathlib.Path(__file__).parent / "waits.py").read_text()
INI = """
[server]
workers = {workers}
control = s.ctl
pidfile = pid
shutdown-timeout = 100ms
{server}
[status /_status]
allow = 127.0.0.1
[hello /plain]
[wsgi /]
app = waits:app
"""


@pytest.fixture
def serve(daemon):
    def start(workers=1, server="", **options):
        running = daemon(INI.format(workers=workers, server=server), {"waits.py": WAITS}, **options)
        running.wait_log("#0 all workers are ready")
        return running
    return start


def look(server):
    status, _, body = server.get("/_status")
    assert status == 200
    return json.loads(body)


def totals(server):
    return look(server)["totals"]


def difference(after, before):
    return {name: value - before[name] for name, value in after.items() if isinstance(value, int)}


def test_requests_are_counted(serve):
    server = serve()
    before = totals(server)
    assert server.get("/sleep?0.01")[0] == 200
    assert server.request("POST", "/client", body=b"x" * 1000)[0] == 200
    assert server.request("POST", "/plain/x", body=b"x" * 1000)[0] == 200
    assert server.get("/moon?1")[0] == 500
    after = totals(server)
    changed = difference(after, before)
    assert changed["requests"] == 5  # the first look is one of them
    assert difference(after["responses"], before["responses"]) == {"1xx": 0, "2xx": 4, "3xx": 0, "4xx": 0, "5xx": 1,
                                                                   "other": 0}
    assert 2100 < changed["bytes_in"] < 4000
    assert changed["bytes_out"] > 500
    assert len(after["duration"]["counts"]) == len(after["duration"]["bounds_us"]) + 1
    assert sum(after["duration"]["counts"]) == after["requests"]
    assert after["waits"]["sleep"]["calls"] == 1 and after["waits"]["sleep"]["us"] > 10000
    assert after["duration"]["sum_us"] > after["waits"]["sleep"]["us"]
    assert 0 < changed["cpu_us"] < changed["process_cpu_us"] + 10000


def test_the_duration_of_requests_is_a_histogram(serve):
    server = serve()
    before = totals(server)["duration"]
    server.get("/sleep?0.1")
    after = totals(server)["duration"]
    slow = [count - old for count, old, bound in zip(after["counts"], before["counts"], after["bounds_us"] + [1e9])
            if bound > 100000]
    assert sum(slow) == 1
    assert after["bounds_us"][0] == 10 and after["bounds_us"] == sorted(after["bounds_us"])


def test_a_request_that_no_worker_has_read_is_counted(serve):
    server = serve()
    before = totals(server)
    assert server.raw(b"GET / HTTP/3.0\r\n\r\n").startswith(b"HTTP/1.1 505")
    assert server.raw(b"\x16\x03\x01\r\n\r\n").startswith(b"HTTP/1.1 400")
    after = totals(server)
    assert difference(after["responses"], before["responses"])["5xx"] == 1
    assert difference(after["responses"], before["responses"])["4xx"] == 1


# ---- workers that end ----

def ask(server, times=20):
    for _ in range(times):
        assert server.get("/plain")[0] == 200


def test_a_killed_worker_takes_nothing_along(serve):
    server = serve()
    ask(server)
    before = totals(server)
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    server.wait_log(r"worker 1 is ready", count=2)
    after = totals(server)
    assert after["requests"] == before["requests"] + 1
    assert sum(after["duration"]["counts"]) == after["requests"]
    assert after["restarts"] == 1 and after["process_cpu_us"] > before["process_cpu_us"]


def test_sums_go_on_over_a_reload(serve):
    server = serve(workers=2)
    ask(server)
    before = totals(server)
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("#0 all workers are ready", count=2)
    after = totals(server)
    assert after["requests"] == before["requests"] + 1
    assert (after["reloads"], after["restarts"]) == (1, 0)


@contextlib.contextmanager
def upgraded(server):
    """In a new binary, whose pid is the value; the old one has ended."""
    old = server.pid
    os.kill(old, signal.SIGUSR2)
    new = int(server.wait_log(r"started the new binary .*, pid (\d+)")[1])
    server.wait_log("all workers are ready", count=2)
    os.kill(old, signal.SIGQUIT)
    server.process.wait(TIMEOUT)
    try:
        yield new
    finally:
        os.kill(new, signal.SIGTERM)
        wait_until(lambda: not pathlib.Path(f"/proc/{new}/fd/0").exists())


def test_sums_go_on_in_a_new_binary(serve):
    server = serve()
    ask(server)
    before = totals(server)
    with upgraded(server) as new:
        status = look(server)
        assert status["master"]["pid"] == new
        assert status["totals"]["requests"] == before["requests"] + 1


def test_sums_are_over_all_workers(serve):
    server = serve()
    ask(server)
    os.kill(server.pid, signal.SIGTTIN)
    server.wait_log("worker 2 is ready")
    ask(server)
    assert totals(server)["requests"] == 40
    os.kill(server.pid, signal.SIGTTOU)
    wait_until(lambda: len(server.worker_pids()) == 1)
    assert totals(server)["requests"] == 41


def test_a_forked_child_of_an_application_counts_nothing(serve):
    server = serve()
    before = totals(server)
    assert server.get("/child?0.01")[0] == 200
    assert totals(server)["requests"] == before["requests"] + 2


# ---- the page for Prometheus ----

OPEN = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}


def scrape(server, open=True):
    """{(name, labels): value}, as prometheus_client's parser reads it."""
    package = pytest.importorskip("prometheus_client", reason="prometheus_client is not installed")
    status, fields, body = server.get("/_status/metrics", OPEN if open else {})
    assert status == 200
    if open:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
        assert fields["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert body.endswith(b"\n# EOF\n")
    else:
        from prometheus_client.parser import text_string_to_metric_families as parse
        assert fields["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert b"EOF" not in body
    samples = [sample for family in parse(body.decode()) for sample in family.samples]
    found = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
    assert len(found) == len(samples) > 100 and package
    return found


@pytest.mark.parametrize("open", [True, False])
def test_prometheus_reads_the_page(serve, open):
    server = serve(workers=2)
    ask(server, 3)
    server.request("POST", "/client", body=b"x")
    server.request("BREW", "/sleep?0.02")
    server.get("/moon?1")
    page = scrape(server, open)
    assert page["syncless_requests_total", "hello /plain", "GET", "200"] == 3
    assert page["syncless_requests_total", "wsgi /", "POST", "200"] == 1
    assert page["syncless_requests_total", "wsgi /", "other", "200"] == 1
    assert page["syncless_requests_total", "wsgi /", "GET", "500"] == 1
    assert page["syncless_request_duration_seconds_count", "wsgi /"] == 3
    assert page["syncless_request_duration_seconds_bucket", "wsgi /", "+Inf"] == 3
    assert page["syncless_request_duration_seconds_sum", "wsgi /"] > 0.02
    assert page["syncless_request_wait_seconds_sum", "sleep"] > 0.02
    assert page["syncless_workers", "serving"] == page[("syncless_workers_wanted",)] == 2
    assert page["syncless_requests_in_flight",] == 1
    assert page["syncless_resident_memory_bytes",] > 1 << 20
    assert page["syncless_cpu_seconds_total",] > 0
    assert not [key for key in page if "moon" in str(key) or "BREW" in str(key)]


def test_what_seldom_happens_is_counted(serve):
    server = serve(server="time-slice = 5ms")
    before = scrape(server)
    server.get_all(["/nothing?0.3"] * 2)
    server.get("/disk?" + str(server.dir / "file"))
    after = scrape(server)
    for name in ("preemptions", "offloaded_calls", "loop_held", "loop_held_seconds", "waits"):
        assert after[f"syncless_{name}_total",] > before[f"syncless_{name}_total",], name


def test_connections_of_applications_are_told(daemon):
    with socket.create_server(("127.0.0.1", 0)) as backend:
        host = "127.0.0.1:%d" % backend.getsockname()[1]
        server = daemon(INI.format(workers=1, server="") + f"[outbound {host}]\nmax-connections = 5\n",
                        {"waits.py": WAITS})
        server.wait_log("#0 all workers are ready")
        with server.connect() as sock:
            sock.sendall(f"GET /socket?{host.split(':')[1]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            wait_until(lambda: scrape(server)["syncless_outbound_connections", host] == 1)
            assert scrape(server)["syncless_outbound_connections_opened_total", host] == 1


def test_ctl_prints_the_same(serve):
    server = serve()
    ask(server, 3)
    command = [BUILD / "syncless-ctl", "-s", server.dir / "s.ctl", "metrics"]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert 'syncless_requests_total{mount="hello /plain",method="GET",status="200"} 3\n' in text
    assert text.endswith("# EOF\n")
    plain = subprocess.run([*command, "plain"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "# TYPE syncless_requests_total counter\n" in plain and "EOF" not in plain


def test_promtool_finds_nothing_wrong(serve):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (Debian: prometheus)")
    server = serve()
    ask(server, 3)
    page = server.get("/_status/metrics")[2]
    result = subprocess.run(["promtool", "check", "metrics"], input=page, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    assert (result.returncode, result.stdout) == (0, b"")


def test_scanners_leave_no_series_behind(serve):
    server = serve()
    before = len(scrape(server))
    for number in range(50):
        server.request("M" * (number + 1), f"/plain/{number}", {"Host": f"{number}.example"})
    assert len(scrape(server)) < before + 60  # a histogram, and one series


# ---- statsd ----

def receive(sock, seconds=TIMEOUT):
    """All lines until one says how many workers there are, the first of the gauges."""
    lines = []
    sock.settimeout(seconds)
    while not any(".workers:" in line for line in lines):
        packet = sock.recv(65536)
        assert len(packet) <= 1400
        lines += packet.decode().split("\n")
    return lines


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_statsd(serve, tmp_path, kind):
    with socket.socket(socket.AF_INET if kind == "udp" else socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0) if kind == "udp" else str(tmp_path / "s"))
        target = f"udp://localhost:{sock.getsockname()[1]}" if kind == "udp" else f"unix:{tmp_path}/s"
        server = serve(server=f"statsd = {target}\nstatsd-prefix = shop")
        receive(sock)
        ask(server, 3)
        server.get("/moon?1")
        lines = []
        while not {"shop.request.status.500:1|c", "shop.request.status.200:3|c"} <= set(lines):
            lines += receive(sock)
        assert [line for line in lines if line.startswith("shop.request.duration:")]
        assert "shop.workers:1|g" in lines
        assert sum(int(line[len("shop.requests:"):-2]) for line in lines if line.startswith("shop.requests:")) == 4


def test_statsd_goes_on_in_a_new_binary(serve):
    def requests():
        return sum(int(line[len("syncless.requests:"):-2]) for line in lines if line.startswith("syncless.requests:"))

    lines = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        server = serve(server=f"statsd = 127.0.0.1:{sock.getsockname()[1]}")
        receive(sock)
        ask(server, 3)
        with upgraded(server):
            ask(server, 4)
            while requests() < 7:
                lines += receive(sock)
            assert requests() == 7


def test_statsd_without_a_server_of_it(serve, tmp_path):
    server = serve(server=f"statsd = unix:{tmp_path}/none")
    server.wait_log(r"\[warn\] \d+#0 statsd: cannot reach its address: No such file")
    assert server.get("/plain")[0] == 200


@pytest.mark.parametrize("line, message", [
    ("statsd = nonsense", r"server.ini:7: .*: expected udp://HOST:PORT"),
    ("statsd = udp://no.such.host.invalid:8125", r"server.ini:7: .*cannot find the address of no.such.host.invalid"),
    ("statsd = udp://127.0.0.1:1\nstatsd-prefix = a:b", r"server.ini:8: .*expected at most 100 bytes without"),
])
def test_statsd_mistakes(run_server, line, message):
    result = run_server(["-t"], INI.format(workers=1, server=line), {"waits.py": WAITS})
    assert result.returncode == 78 and re.search(message, result.stderr), result.stderr


# ---- prometheus_client in applications ----

COUNTING = """
import os
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, multiprocess
counter = Counter("hits", "Requests.")
gauge = Gauge("alive", "Workers.", multiprocess_mode="livesum")

def app(environ, start_response):
    registry = CollectorRegistry()
    gauge.set(1)
    if environ["PATH_INFO"] == "/metrics":
        multiprocess.MultiProcessCollector(registry)
        body = generate_latest(registry)
    else:
        counter.inc()
        body = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.parametrize("keys", ["preload = no", "preload = yes\nsandbox = yes"])
def test_prometheus_client_with_several_workers(daemon, keys):
    package = pytest.importorskip("prometheus_client", reason="prometheus_client is not installed")
    folder = pathlib.Path(package.__file__).parents[1]
    ini = (f"[server]\nworkers = 2\n{keys}\nprometheus-multiproc-dir = %(here)/counts\n"
           f"[wsgi /]\napp = counting:app\npythonpath = {folder}\n")
    old = {"counts/counter_1.db": "old", "counts/notes": "mine", "counting.py": COUNTING}
    server = daemon(ini, old)
    server.wait_log("#0 all workers are ready")
    assert not (server.dir / "counts/counter_1.db").exists() and (server.dir / "counts/notes").exists()
    hits = [int(server.get("/")[2]) for _ in range(20)]
    assert len(set(hits)) == 2
    page = server.get("/metrics")[2].decode()
    assert "hits_total 20.0\n" in page and "alive 2.0\n" in page
    os.kill(hits[0], signal.SIGKILL)
    server.wait_log(r"#\d worker \d is ready", count=3)
    wait_until(lambda: not list((server.dir / "counts").glob(f"gauge_live*_{hits[0]}.db")))
    page = wait_until(lambda: "\nalive 2.0\n" in (page := server.get("/metrics")[2].decode()) and page)
    assert "hits_total 20.0\n" in page


def test_folder_for_prometheus_client_is_no_link(run_server, tmp_path):
    """The master is root, and would give away what the link leads to."""
    (tmp_path / "else").mkdir()
    (tmp_path / "counts").symlink_to(tmp_path / "else")
    line = f"prometheus-multiproc-dir = {tmp_path}/counts"
    result = run_server([], INI.format(workers=1, server=line), {"waits.py": WAITS})
    assert result.returncode != 0 and "cannot make the folder" in result.stderr, result.stderr


def test_folder_for_prometheus_client_has_a_database(run_server, tmp_path):
    """The library reads all files *.db, and nobody may lose one that is not of it."""
    line = f"prometheus-multiproc-dir = {tmp_path}/counts"
    result = run_server([], INI.format(workers=1, server=line), {"waits.py": WAITS, "counts/app.db": "mine"})
    assert result.returncode != 0 and "counts/app.db is no file of prometheus_client" in result.stderr, result.stderr
    assert (tmp_path / "counts/app.db").read_text() == "mine"
