"""Filters: modules in C in front of the mounts. The field Do of a request says what they do, see modules/guard.c."""
import re
import time
import urllib.request

import pytest

from conftest import exchange
from test_http import chunked as chunks
from test_http import get, one, post

APP = """
def app(environ, start_response):
    path, user = environ['PATH_INFO'], environ.get('REMOTE_USER', '-')
    if path == '/fail':
        raise ValueError('failed')
    if path == '/again':
        start_response('200 OK', [('Content-Type', 'text/html'), ('X-First', '1')])
        start_response('202 Accepted', [('X-Second', '2')], (ValueError, ValueError(), None))
    elif path == '/read':
        user = str(len(environ['wsgi.input'].read()))
        start_response('200 OK', [])
    else:
        start_response('200 OK', [('Content-Type', 'text/plain')])
    return [f'app {user}\\n'.encode()]
"""
CGI = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nscript %s\\n' \"$REMOTE_USER\"\n"
FILES = {"app.py": APP, "www/secret/file": "secret\n", "www/file": "open\n", "cgi/s": CGI,
         "www/a/secret/file": "secret\n"}
INI = """
[server]
module-path = {modules}
[log]
access-log = access.log
log-format = %(user) %(mount) %(status)
[limits]
request-timeout = 500ms
max-body-size = 100k
[guard /app]
name = inner
[wsgi /app]
app = app:app
[guard /app/deep]
name = deep
[static /files]
root = www
[guard /files/secret]
name = secret
[guard /files/a/secret]
name = secret
[cgi /cgi]
root = cgi
[guard /]
name = first
[guard other.example/]
name = other
[both /both]
name = both
[probe /probe]
[guard /patient]
name = patient
[probe /patient]
request-timeout = 0
on-disconnect = cancel
"""


@pytest.fixture(scope="module")
def server(shared_daemon, c_modules):
    return shared_daemon(INI.format(modules=c_modules), FILES)


def guards(headers):
    return headers.get_all("Guard")


def logged(server, pattern):
    def found():
        return re.findall(pattern, (server.dir / "access.log").read_text(), re.M)
    return server.wait_until(found)


# ---- which filters are asked, and what they see ----


@pytest.mark.parametrize("path, fields, names, status", [
    ("/app/x", {}, ["first", "inner"], 200),
    ("/app", {}, ["first", "inner"], 200),
    ("/apple", {}, ["first"], 404),
    ("/app/deep/er", {}, ["first", "inner", "deep"], 200),
    ("/app/deeper", {}, ["first", "inner"], 200),
    ("/app/deep", {"Host": "other.example:80"}, ["first", "other", "inner", "deep"], 200),
    ("/files/file", {}, ["first"], 200),
    ("/files/secret/file", {}, ["first", "secret"], 200),
    ("/cgi/s", {}, ["first"], 200),
    ("/nowhere", {}, ["first"], 404),
    ("/", {}, ["first"], 404),
    ("/both", {}, ["first", "both"], 200),
    ("/both/x", {}, ["first", "both"], 200),
])
def test_short_prefixes_come_first_then_the_order_of_the_file(server, path, fields, names, status):
    got, headers, body = server.get(path, fields)
    assert (got, guards(headers)) == (status, names)


@pytest.mark.parametrize("path, name, seen", [
    ("/app/x%20y/?z", "inner", "inner [/app] [/x y/]"),
    ("/app", "inner", "inner [/app] []"),
    ("/app/x", "first", "first [] [/app/x]"),
    ("/app//x", "inner", "inner [/app] [/x]"),
    ("//app/./x/", "inner", "inner [/app] [/x/]"),
    ("/app/x/..", "inner", "inner [/app] [/]"),
    ("/app/..", "inner", "inner [/app] [/..]"),
    ("/app/../app/x", "inner", "inner [/app] [/x]"),
    ("/x/..//.%2fapp/y", "inner", "inner [/app] [/y]"),
    ("/../../app/.", "inner", "inner [/app] [/]"),
    ("/app/.x/..y/...", "inner", "inner [/app] [/.x/..y/...]"),
])
def test_what_a_filter_sees(server, path, name, seen):
    data = server.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nDo: {name}=reply\r\nConnection: close\r\n\r\n".encode())
    assert one(data)[2].decode() == seen + "\n"


@pytest.mark.parametrize("path", ["/files/secret/file", "/files//secret/file", "//files/secret/file",
                                  "/files/./secret/file",
                                  "/files/x/../secret/file", "/files/%73ecret/file", "/files%2Fsecret/file",
                                  "/files/secret",
                                  "/files/a//secret/file", "/files/a/%2e%2e/secret/", "/files/secret/../file",
                                  "/files/secret%2f../a/secret/file", "/files///secret//file",
                                  "/files//../secret/file", "/files//%2e%2e//secret/", "/files/a//..//../secret/x"])
def test_no_spelling_of_a_path_gets_past_its_filter(server, path):
    data = server.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nDo: secret=401\r\nConnection: close\r\n\r\n".encode())
    assert one(data)[0] == 401, data


# ---- what it answers ----


def test_a_status_is_answered_with_the_fields_it_has_set(server):
    status, headers, body = server.get("/app/x", {"Do": "inner=401"})
    assert status == 401 and b"<h1>401 Unauthorized</h1>" in body
    assert headers["WWW-Authenticate"] == 'Basic realm="guard"' and guards(headers) == ["first", "inner"]
    assert logged(server, "^- /app 401$")


def test_its_own_response(server):
    status, headers, body = server.get("/files/file", {"Do": "first=reply"})
    assert (status, body, guards(headers)) == (200, b"first [] [/files/file]\n", ["first"])


def test_a_mistake_is_a_500_without_the_fields_of_that_filter(server):
    status, headers, body = server.get("/app/x", {"Do": "inner=errno"})
    assert (status, guards(headers), headers["Left"]) == (500, ["first"], None)
    server.wait_log(r"\[error\].*GET /app/x: the handler failed: Input/output error")


def test_a_result_that_means_nothing(server):
    assert server.get("/app/x", {"Do": "inner=nonsense"})[0] == 500
    server.wait_log(r"the handler returned 2: expected 0, 300 to 999, or a negative errno")


def test_the_body_is_read_by_a_filter_that_answers(server):
    body = b"x" * 54321
    assert server.request("POST", "/app/read", {"Do": "inner=count"}, body)[2] == b"54321\n"
    assert server.request("POST", "/nowhere", {"Do": "first=count"}, iter([body]))[2] == b"54321\n"
    assert server.request("POST", "/app/read", {"Do": "first=user"}, body)[2] == b"app 54321\n"


def test_a_body_that_is_too_large_is_refused_first(server):
    assert server.request("POST", "/app/read", {"Do": "first=count"}, b"x" * 200_000)[0] == 413
    assert server.request("POST", "/nowhere", {"Do": "first=count"}, iter([b"x" * 200_000]))[0] == 413


@pytest.mark.parametrize("deed, body", [("peek", b"body"), ("begin", b"")])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_filter_that_passes_too_late(server, deed, body, chunked):
    """The handler would see half of the body, or write its response into another one."""
    log = len(server.log)
    fields = ["Connection: close", f"Do: inner={deed}"]
    whole = chunks("/app/read", b"4\r\nbody\r\n0\r\n\r\n", *fields)
    data = server.raw(whole if chunked else post("/app/read", body, *fields))
    if deed == "peek":
        assert one(data)[0] == 500
    else:
        assert b"begun\n" in data and not data.endswith(b"0\r\n\r\n")
    assert b"app" not in data
    said = "[guard /app] has begun to answer the request, or to read its body, and let it pass"
    server.wait_until(lambda: said in server.log[log:])


@pytest.mark.parametrize("todo", ["401", "reply", "errno", "count", "peek", "sleep", "user", "nonsense"])
def test_the_connection_stays(server, todo):
    connection = server.http()
    connection.connect()
    sock = connection.sock
    for _ in range(3):
        connection.request("POST", "/app/read", b"12345", {"Do": f"inner={todo}"})
        response = connection.getresponse()
        assert response.read() and response.status in (200, 401, 500)
        connection.request("GET", "/files/file")
        assert connection.getresponse().read() == b"open\n"
        assert connection.sock is sock
    connection.close()


# ---- what stays when it has passed ----


@pytest.mark.parametrize("path, status", [("/app/x", 200), ("/app/again", 202), ("/app/fail", 500),
                                          ("/files/file", 200),
                                          ("/files/none", 404), ("/cgi/s", 200), ("/nowhere", 404), ("/both", 200),
                                          ("/probe/return?403", 403)])
def test_fields_stay_but_no_status_and_no_length(server, path, status):
    got, headers, body = server.get(path, {"Do": "first=set"})
    assert (got, headers["X-Frame-Options"], headers.get_all("Date")) == (status, "DENY", ["today"])
    assert int(headers.get("Content-Length", len(body))) == len(body)


def test_fields_that_it_took_back_are_gone(server):
    status, headers, body = server.get("/app/x", {"Do": "inner=reset"})
    assert (status, guards(headers), headers["X-Frame-Options"]) == (200, ["first"], None)
    assert headers["Date"] != "today" and len(headers.get_all("Date")) == 1


def test_the_user(server):
    do = {"Do": "inner=user"}
    assert server.get("/app/x", do)[2] == b"app inner\n"
    assert server.get("/app/x")[2] == b"app -\n"
    assert server.get("/app/x", {"Remote-User": "root"})[2] == b"app -\n"
    assert server.get("/cgi/s", {"Do": "first=user"})[2] == b"script first\n"
    assert server.get("/cgi/s")[2] == b"script \n"
    assert server.get("/both", {"Do": "both=user"})[2] == b"handled both\n"
    assert logged(server, "^inner /app 200$") and logged(server, "^first /cgi 200$") and logged(server, "^- /app 200$")


def test_the_user_comes_before_the_one_that_the_client_claims_to_be(server):
    server.get("/both/claim", {"Do": "both=user", "Authorization": "Basic cm9vdDpzZWNyZXQ="})
    server.get("/files/claim", {"Authorization": "Basic cm9vdDpzZWNyZXQ="})
    assert logged(server, "^both /both 200$") and logged(server, "^root /files 404$")


# ---- waiting ----


def test_100_that_wait(server):
    started = time.monotonic()
    sockets = [server.connect() for _ in range(100)]
    answers = []
    for sock in sockets:
        sock.sendall(get("/app/x", "Do: inner=sleep", "Connection: close"))
    for sock in sockets:
        answers.append(one(exchange(sock, b""))[::2])
        sock.close()
    assert answers == [(200, b"app -\n")] * 100
    assert 0.3 <= time.monotonic() - started < (10 if server.sanitized else 2)


@pytest.mark.parametrize("path", ["/app/x", "/nowhere"])
def test_request_timeout_includes_the_filters(server, path):
    """500 ms: one that sleeps for 300 is in time, two are not. Without a mount the limits are those of [limits]."""
    assert server.get(path, {"Do": "first=sleep"})[0] in (200, 404)
    log = len(server.log)
    assert server.get("/app/x", {"Do": "first=sleep inner=sleep"})[0] == 504
    started = time.monotonic()
    assert server.get(path, {"Do": "first=over"})[0] == 504
    assert 0.4 < time.monotonic() - started < 3
    server.wait_until(lambda: "woken up" in server.log[log:])


def test_a_filter_that_passes_although_it_was_cancelled(server):
    """The handler is not run any more."""
    log = len(server.log)
    assert server.get("/probe/pid", {"Do": "first=over"})[::2][0] == 504
    server.wait_until(lambda: "woken up" in server.log[log:])
    assert server.get("/probe/pid")[0] == 200


@pytest.mark.parametrize("path, status", [("/patient/text", 499)])
def test_a_client_that_leaves_meanwhile(server, path, status):
    log = len(server.log)
    with server.connect() as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nDo: patient=over\r\n\r\n".encode())
        server.wait_until(lambda: "going to sleep" in server.log[log:])
    server.wait_until(lambda: "woken up" in server.log[log:])
    assert logged(server, f"^- /patient {status}$")
    with server.connect() as sock:  # and while its body is read
        sock.sendall(b"POST /patient/text HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nDo: patient=count\r\n\r\n12345")
        time.sleep(0.1)
    assert logged(server, "^- /patient 400$")
    assert server.get("/patient/pid")[0] == 200


# ---- configuration ----


def test_a_module_without_functions_is_refused(run_server, c_modules):
    done = run_server(ini=f"[server]\nmodule-path = {c_modules}\n[empty /]\n")
    assert done.returncode == 78 and "empty.so has neither a handle nor a filter function" in done.stderr


@pytest.mark.parametrize("section", ["guard /", "guard"])
def test_a_filter_has_no_limits_of_its_own(run_server, c_modules, section):
    """Those of the mount hold; a key that has no effect would only look as if it had."""
    done = run_server(ini=f"[server]\nmodule-path = {c_modules}\n[guard /x]\n[{section}]\nrequest-timeout = 1s\n")
    assert done.returncode == 78 and f'unknown key "request-timeout" in [{section}]' in done.stderr
    done = run_server(["-T"], f"[server]\nmodule-path = {c_modules}\n[guard /x]\n[both /y]\n")
    filtering, both = re.search(r"^\[guard /x\]$(.*?)^\[both /y\]$(.*)", done.stdout, re.M | re.S).groups()
    assert "name = guard" in filtering and "max-body-size" not in filtering and "max-body-size" in both


def test_filters_alone_serve_nothing(daemon, c_modules):
    server = daemon(f"[server]\nmodule-path = {c_modules}\n[guard /]\n")
    assert server.get("/")[0] == 404
    assert server.get("/", {"Do": "guard=reply"})[::2] == (200, b"guard [] [/]\n")
    assert server.stop() == 0


def test_a_prefix_of_a_proxy_is_seen(daemon, c_modules):
    trusted = "trusted-proxies = 127.0.0.1\ntrusted-headers = x-forwarded-prefix\n"
    server = daemon(f"[server]\nmodule-path = {c_modules}\n{trusted}[guard /x]\n[probe /]\n")
    fields = {"X-Forwarded-Prefix": "/shop"}
    assert server.get("/x/y", {**fields, "Do": "guard=reply"})[2] == b"guard [/shop/x] [/y]\n"
    assert b"mount=/shop\npath=/facts/z\n" in server.get("/facts/z", fields)[2]


OWN_PORT = """
import syncless.wsgi
servers = []

def own(environ, start_response):
    start_response('200 OK', [])
    return [b'own']

def app(environ, start_response):
    servers.append(syncless.wsgi.start(own, ('127.0.0.1', 0)))
    start_response('200 OK', [])
    return [servers[-1].url.encode()]
"""


def test_not_for_a_port_that_an_application_opens_itself(daemon, c_modules):
    server = daemon(f"[server]\nmodule-path = {c_modules}\n[guard /]\n[wsgi /]\napp = app:app\n", {"app.py": OWN_PORT})
    status, headers, body = server.get("/")
    with urllib.request.urlopen(body.decode(), timeout=10) as response:
        assert (guards(headers), guards(response.headers), response.read()) == (["guard"], None, b"own")


def test_static_files_wait_behind_filters(daemon, c_modules):
    """A filter may wait for anything, so they have no priority then."""
    server = daemon(f"[server]\nmodule-path = {c_modules}\n[limits]\nmax-concurrency = 1\nqueue-timeout = 100ms\n"
                    "[guard /none]\n[probe /]\n[static /files]\nroot = www\n", FILES)
    with server.connect() as sock:
        sock.sendall(get("/sleep?1000"))
        assert server.wait_until(lambda: server.get("/files/file")[0] == 503)
