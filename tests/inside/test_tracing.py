"""[tracing]: the trace of a request in logs and environ, and its spans at a collector of the test's own."""
import collections
import http.server
import json
import pathlib
import re
import socket
import threading
import time

import pytest

from conftest import SANITIZED, TIMEOUT, wait_until

WAITS = (pathlib.Path(__file__).parent / "waits.py").read_text()
APP = WAITS.replace("import ctypes", "import contextlib\nimport ctypes").replace("def app(", """
def wait_for_fork(query):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def wait_for_error(query):
    raise RuntimeError("on purpose")


def wait_for_dns(query):
    with contextlib.suppress(OSError):
        socket.getaddrinfo(query, 80)


def wait_for_trace(query):
    pass


def app(""").replace('return [b"ok"]', 'return [environ.get("HTTP_TRACEPARENT", "-")[:2].encode()]')
ECHO = """
def app(environ, start_response):
    start_response("200 OK", [])
    environ["wsgi.errors"].write("a line\\n")
    return [f'{environ.get("HTTP_TRACEPARENT")} {environ.get("HTTP_TRACESTATE")}'.encode()]
"""
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{PARENT}-01"


class Collector(http.server.ThreadingHTTPServer):
    """Takes spans, or refuses them with the status of the next answers."""
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), CollectorRequest)
        self.messages, self.answers, self.lock = [], [], threading.Lock()
        self.body = b"{}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self):
        with self.lock:
            return [span for _, message in self.messages for resource in message["resourceSpans"]
                    for scope in resource["scopeSpans"] for span in scope["spans"]]

    def close(self):
        self.shutdown()
        self.server_close()


class CollectorRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            status, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
            if status == 200:
                self.server.messages.append((self, message))
        self.send_response(status)
        for name, value in {"Content-Length": len(self.server.body), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(self.server.body)
        except OSError:
            pass


@pytest.fixture
def collector():
    with Collector() as one:
        yield one
        one.shutdown()


@pytest.fixture
def traced(daemon, collector):
    """Start a server whose spans go to the collector."""
    def start(tracing="", url=None, more="[log]\nlevel = debug\n", server="", **options):
        ini = f"[server]\nworkers = 1\n{server}[tracing]\notlp = {url or collector.url}\n{tracing}{more}[wsgi /]\n"
        return daemon(ini + "app = waits:app\n", {"waits.py": APP}, **options)
    return start


def attributes(span):
    """Those of a span; a number is a string of JSON, as protocol buffers have it."""
    values = {item["key"]: item["value"] for item in span["attributes"]}
    assert len(values) == len(span["attributes"]), span
    return {key: int(value["intValue"]) if "intValue" in value else value["stringValue"]
            for key, value in values.items()}


def wait_for_spans(collector, count):
    return wait_until(lambda: (spans := collector.spans()) and len(spans) >= count and spans)


def test_spans_by_field(traced, collector):
    with socket.create_server(("127.0.0.1", 0)) as backend:
        def answer():
            with backend.accept()[0] as sock:
                sock.recv(65536)
                time.sleep(0.1)
                sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nx")
        threading.Thread(target=answer, daemon=True).start()
        port = backend.getsockname()[1]
        server = traced("service-name = shop\n")
        began = time.time_ns()
        status, _, _ = server.get(f"/socket?{port}", {"traceparent": GIVEN, "tracestate": 'a=1,b="2',
                                                      "Host": "shop:81", "User-Agent": "pytest/1"})
        ended = time.time_ns()
        assert status == 200
    parent, child = wait_for_spans(collector, 2)
    handler, message = collector.messages[0]
    assert handler.path == "/v1/traces" and handler.headers["Content-Type"] == "application/json"
    assert handler.headers["Host"] == f"127.0.0.1:{collector.server_port}"
    resource = attributes(message["resourceSpans"][0]["resource"])
    assert resource["service.name"] == "shop" and resource["host.name"] == socket.gethostname()
    assert message["resourceSpans"][0]["scopeSpans"][0]["scope"]["name"] == "syncless-server"
    assert (parent["traceId"], parent["parentSpanId"], parent["kind"], parent["name"], parent["flags"]) == \
        (TRACE, PARENT, 2, "GET", 1)
    assert parent["traceState"] == 'a=1,b="2' and "status" not in parent
    assert re.fullmatch("[0-9a-f]{16}", parent["spanId"]) and parent["spanId"] != PARENT
    start, end = int(parent["startTimeUnixNano"]), int(parent["endTimeUnixNano"])
    assert began - 1e6 <= start <= end - 90e6 and end <= ended + 1e6
    found = attributes(parent)
    expected = {"http.request.method": "GET", "url.scheme": "http", "url.path": "/socket", "url.query": str(port),
                "server.address": "shop", "server.port": 81, "client.address": "127.0.0.1",
                "user_agent.original": "pytest/1", "network.protocol.version": "1.1",
                "http.response.status_code": 200, "http.response.body.size": 2}
    assert expected.items() <= found.items(), found
    assert not {"error.type", "http.request.method_original"} & found.keys()
    parts = sum(value for key, value in found.items() if re.fullmatch(r"syncless\.(cpu|ready|pool|wait\.\w+)_us", key))
    assert parts == pytest.approx((end - start) / 1000, rel=0.02, abs=300)
    assert found["syncless.wait.socket_us"] >= 90000
    assert (child["traceId"], child["parentSpanId"], child["kind"], child["name"]) == \
        (TRACE, parent["spanId"], 3, f"socket 127.0.0.1:{port}")
    assert child["spanId"] not in (parent["spanId"], PARENT)
    assert start <= int(child["startTimeUnixNano"]) <= int(child["endTimeUnixNano"]) - 90e6
    assert int(child["endTimeUnixNano"]) <= end
    found = attributes(child)
    assert found["server.address"] == "127.0.0.1" and found["server.port"] == port
    assert found["syncless.waits"] >= 1 and found["syncless.waited_us"] >= 90000


def test_other_spans(traced, collector, tmp_path):
    """Errors, odd requests, other kinds of peers; in one batch."""
    server = traced()
    server.get("/error")
    server.raw(b"MOON /trace?\xc3\xbc HTTP/1.0\r\nTraceParent: " + GIVEN.encode() + b"\r\n\r\n", until=b"00")
    server.raw(b"GET \0 HTTP/1.1\r\n\r\n")
    server.get("/dns?no-such-host.example")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        threading.Thread(target=lambda: (time.sleep(0.05), listener.accept()[0].sendall(b"x")), daemon=True).start()
        server.get(f"/unix?{tmp_path}/s")
    server.get("/fork")
    spans = {span["name"] if span["kind"] != 2 else attributes(span)["url.path"]: span
             for span in wait_for_spans(collector, 8)}
    error = attributes(spans["/error"])
    assert error["error.type"] == "500" and error["http.response.status_code"] == 500
    assert spans["/error"]["status"] == {"code": 2} and "parentSpanId" not in spans["/error"]
    assert attributes(spans[""])["http.response.status_code"] == 400
    moon = attributes(spans["/trace"])
    assert (moon["http.request.method"], moon["http.request.method_original"]) == ("_OTHER", "MOON")
    assert spans["/trace"]["name"] == "HTTP" and moon["network.protocol.version"] == "1.0"
    unix = attributes(spans[f"socket unix:{tmp_path}/s"])
    assert unix["network.transport"] == "unix" and unix["server.address"] == f"{tmp_path}/s"
    assert len({span["spanId"] for span in spans.values()}) == len(spans)
    assert "/fork" in spans and server.stop() == 0
    dns = attributes(spans["dns no-such-host.example"])
    assert dns["dns.question.name"] == "no-such-host.example" and spans["dns no-such-host.example"]["kind"] == 1
    names = collections.Counter(attributes(span)["url.path"] for span in collector.spans() if span["kind"] == 2)
    assert set(names.values()) == {1}, names


VALID = {
    GIVEN: "01", f"00-{TRACE}-{PARENT}-00": "00", f"00-{TRACE}-{PARENT}-ff": "03",
    f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like": "01", f"cc-{TRACE}-{PARENT}-01": "01",
}
INVALID = [
    "", "00", f"00-{TRACE.upper()}-{PARENT}-01", f"00-{TRACE}-{PARENT}-1", f"00-{TRACE}-{PARENT}-01-more",
    f"00-{TRACE}-{PARENT}-01x", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE[:-1]}-{PARENT}-01", f"00_{TRACE}-{PARENT}-01", f"0g-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01.x",
    f"00-{TRACE[:-1]}g-{PARENT}-01", "x" * 6000, f"00-{TRACE}-{PARENT}-0G", f"{GIVEN}, {GIVEN}",
]


def test_traceparent(daemon):
    server = daemon("[tracing]\ntraceparent = accept\n[log]\naccess-log = a.log\n"
                    "log-format = %(trace_id) %(span_id)\n[wsgi /]\napp = echo:app\n", {"echo.py": ECHO})
    seen = []

    def ask(*fields):
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        answer = server.raw(f"GET / HTTP/1.0\r\n{head}\r\n".encode()).rpartition(b"\r\n\r\n")[2].decode()
        parent, _, state = answer.partition(" ")
        match = re.fullmatch("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", parent)
        seen.append(match)
        return match[1], match[2], match[3], state
    for given, flags in VALID.items():
        trace, span, out, state = ask(("Traceparent", given), ("tracestate", "a=1"), ("tracestate", "b=2"))
        assert (trace, out, state) == (TRACE, flags, "a=1, b=2") and span != PARENT, given
    for given in INVALID:
        trace, span, flags, state = ask(("traceparent", given), ("tracestate", "a=1"))
        assert trace != TRACE and flags == "03" and state == "None", given
    trace, *_, state = ask(("traceparent", GIVEN), ("x", "y"), ("TRACEPARENT", GIVEN), ("tracestate", "a=1"))
    assert trace != TRACE and state == "None"
    assert ask()[2:] == ("03", "None")
    assert len({match[2] for match in seen}) == len(seen)
    lines = wait_until(lambda: (text := (server.dir / "a.log").read_text().splitlines()) and len(text) == len(seen)
                       and text)
    assert lines == [f"{match[1]} {match[2]}" for match in seen]
    server.wait_log(rf"rid=\w+ trace={TRACE} GET /: a line", count=len(VALID))


def test_traces_that_clients_name_do_not_count(daemon):
    server = daemon("[tracing]\ntraceparent = new\nsample = 1000000000\n[log]\naccess-log = a.log\nlog-format = json\n"
                    "[wsgi /]\napp = echo:app\n", {"echo.py": ECHO})
    answer = server.get("/", {"traceparent": GIVEN, "tracestate": "a=1"})[2].decode()
    assert re.fullmatch(rf"00-(?!{TRACE})\w+-\w+-02 None", answer), answer
    line = json.loads(wait_until((server.dir / "a.log").read_text))
    assert line["trace_id"] == answer[3:35] and line["span_id"] == answer[36:52]


def test_sampling(traced, collector):
    server = traced("sample = 1000000000\n")
    for number in range(20):
        server.get(f"/trace?no{number}")
    server.get("/trace?no", {"traceparent": f"00-{TRACE}-{PARENT}-00"})
    server.get("/trace?yes", {"traceparent": GIVEN})
    server.stop()
    assert [attributes(span)["url.query"] for span in collector.spans()] == ["yes"]


def test_a_collector_that_comes_late(traced, collector):
    """It is not there, then refuses, then takes everything; requests do not notice."""
    collector.close()
    server = traced(url=collector.url)
    for number in range(10):
        assert server.get(f"/trace?{number}")[0] == 200
    server.wait_log(r"\[warn\] .*cannot send spans to the collector http://127.0.0.1:\d+: Connection refused")
    late = Collector(collector.server_port)
    late.answers = [(503, {"Retry-After": "1"}), (429, {"Retry-After": "1"})]
    late.body = b"x" * (20 << 20)
    try:
        spans = wait_until(lambda: len(late.spans()) == 10 and late.spans())
        assert {attributes(span)["url.query"] for span in spans} == {str(number) for number in range(10)}
        server.wait_log("the collector .* takes spans again")
        assert server.log.count("cannot send spans") == 1 and "dropped" not in server.log
        late.answers = [(400, {})]
        server.get("/trace")
        server.wait_log(r"the collector .* answers 400 to spans$")
        server.wait_log(r"\[warn\] \S+ 1 spans were dropped, since the collector")
    finally:
        late.close()


def test_a_collector_that_reads_nothing(traced):
    """The queue is bounded, what is dropped is told once a second, requests are as fast, and a stop does not wait."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server = traced(url=f"http://127.0.0.1:{deaf.getsockname()[1]}", more="[log]\nlevel = debug\n")
        before = server.rss()
        sock = server.connect()
        request = b"GET /trace?" + b"%22" * 2500 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        began = time.monotonic()
        for _ in range(60):
            sock.sendall(request * 20)
            answered = 0
            while answered < 20:
                answered += sock.recv(1 << 20).count(b"HTTP/1.1 200")
        assert time.monotonic() - began < TIMEOUT
        sock.close()
        server.wait_log(r"\d+ spans were dropped, since the collector")
        times = re.findall(r"^(\S+) .*spans were dropped", server.log, re.M)
        assert len({stamp[:19] for stamp in times}) >= len(times) - 1
        assert SANITIZED or server.rss() - before < 40 << 20
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 8


def test_spans_of_the_last_moment(traced, collector):
    """At a reload and a stop, what is left is sent."""
    server = traced(server="shutdown-timeout = 100ms\n")
    server.get("/trace?1")
    server.process.send_signal(1)
    server.wait_log("stopped")
    server.get("/trace?2")
    sock = server.connect()
    sock.sendall(b"GET /sleep?30 HTTP/1.1\r\nHost: x\r\n\r\n")
    server.get("/trace?3")
    assert server.stop() == 0
    sock.close()
    queries = [attributes(span)["url.query"] for span in collector.spans()]
    assert sorted(queries) == ["1", "2", "3", "30"]


@pytest.mark.parametrize("tracing, message", [
    ("otlp = https://x:4318", "TLS is not spoken here"), ("otlp = x:4318", "expected http://HOST:PORT/PATH"),
    ("otlp = http://", "expected http://HOST"), ("otlp = http://a@b", "expected http://HOST"),
    ("otlp = http://x:0", "its port is no number"), ("otlp = http://[::1", "expected http://HOST"),
    ("otlp = http://x:99999/", "its port"), ("otlp = environment", "neither OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("sample = 0", "sample"), ("traceparent = maybe", "accept"), ("olpt = x", 'unknown key "olpt"'),
])
def test_bad_settings(run_server, tracing, message):
    result = run_server(["-t"], f"[tracing]\n{tracing}\n[hello /]\n")
    assert result.returncode == 78 and re.search(r"server.ini:2: ", result.stderr) and message in result.stderr, result


def test_the_environment(traced, collector):
    """Where to, and whose spans these are, as OpenTelemetry has it; the key says that it counts."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url + "/", "OTEL_SERVICE_NAME": "of-env",
           "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test%2C 1,service.name=other,broken,=x"}
    server = traced(url="environment", env=env)
    server.get("/trace")
    server.stop()
    handler, message = collector.messages[0]
    resource = attributes(message["resourceSpans"][0]["resource"])
    assert handler.path == "/v1/traces" and resource["service.name"] == "of-env"
    assert resource["deployment.environment.name"] == "test, 1" and set(resource) == {
        "service.name", "deployment.environment.name", "host.name"}
