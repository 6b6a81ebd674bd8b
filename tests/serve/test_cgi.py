"""The CGI module with real scripts, in sh and Python, against a real daemon.

Each test has its script beside it. Scripts write what tests need to know (their pid, that a signal came) to stderr,
which the module logs; the tests wait for those lines.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import select
import socket
import threading
import time
import urllib.parse

import pytest

from conftest import exchange, preload

MIB = 1 << 20
TEXT = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n"  # the beginning of most scripts here
PYTHON = "#!/usr/bin/python3 -SE\n"

FILES = {
    "cgi/env": PYTHON + """
import json, os, sys
print('Content-Type: application/json\\n')
json.dump({'env': dict(os.environ), 'cwd': os.getcwd(), 'argv': sys.argv}, sys.stdout)
""",
    "cgi/cat": TEXT + "exec cat\n",
    "cgi/sub/dir/hello world": TEXT + "echo \"$SCRIPT_NAME $PATH_INFO\"\n",
    "cgi/plain.txt": "just a file\n",
    "cgi/code.py": "print('Content-Type: text/plain\\n\\nran by python')\n",
    "cgi/.hidden": TEXT,
    "cgi/nph-old": TEXT,
    "cgi/no-interpreter": "#!/nowhere/at/all\n",
    "cgi/no-line": "echo\n",
    "cgi/a:b/index.cgi": TEXT,
    "cgi/index.cgi": TEXT + "echo index $SCRIPT_NAME $QUERY_STRING\n",
    "outside": TEXT + "echo outside\n",
}
INI = """
[limits]
max-body-size = 0
[cgi /cgi]
root = cgi
index = index.cgi
interpreter = .py=/usr/bin/python3
env = CONFIGURED=a=b
env = SERVER_NAME=configured.example
pass-env = PASSED
pass-env = NOT_THERE
[cgi /auth]
root = cgi
pass-authorization = yes
[cgi /links]
root = cgi
follow-symlinks = yes
"""


def prepare(server):
    """Make what write_files cannot."""
    cgi = server.dir / "cgi"
    (cgi / "link-out").symlink_to("../outside")
    (cgi / "link-in").symlink_to("sub/dir/hello world")
    (cgi / "dir-out").symlink_to("..")
    (cgi / "no-line").chmod(0o755)
    os.mkfifo(cgi / "fifo")
    return server


@pytest.fixture(scope="module")
def server(shared_daemon):
    return prepare(shared_daemon(INI, FILES, env={"PASSED": "on", "SECRET": "of the server",
                                                  "PATH": os.environ["PATH"]}))


@pytest.fixture
def script(daemon):
    """script(text, *lines of the section) -> a daemon with that one script at /s, from a file of its own."""
    def start(text, *lines, env={}, **more):
        return daemon("[cgi /]\nroot = cgi\n" + "".join(line + "\n" for line in lines), {"cgi/s": text, **more},
                      env=env)
    return start


def children(server):
    """The processes whose parent is a worker, zombies too."""
    return [pid for worker in server.worker_pids()
            for pid in pathlib.Path(f"/proc/{worker}/task/{worker}/children").read_text().split()]


def descriptors(server):
    return sum(len(os.listdir(f"/proc/{worker}/fd")) for worker in server.worker_pids())


def is_running(pid):
    """Whether the process exists and is not a zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_gone(server, *pids):
    server.wait_until(lambda: not any(map(is_running, pids)))


def wait_clean(server):
    server.wait_until(lambda: not children(server))


def logged_pid(server, name="pid"):
    return int(server.wait_log(rf"\b{name}=(\d+)")[1])


def head(path="/s", *fields, method="GET"):
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *fields]
    return "".join(line + "\r\n" for line in lines).encode() + b"\r\n"


def receive_until(sock, mark, data=b""):
    while mark not in data:
        chunk = sock.recv(65536)
        assert chunk, data
        data += chunk
    return data


def is_cut(data):
    """Whether a response came without the end of its chunks."""
    return b"\r\n\r\n" in data and not data.endswith(b"0\r\n\r\n")


@contextlib.contextmanager
def requests(server, count, path="/s"):
    """Send GET requests at the same time; yields a function that waits for their statuses."""
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(server.get(path, timeout=30)[0])) for _ in range(count)]
    for thread in threads:
        thread.start()

    def finish():
        for thread in threads:
            thread.join(30)
        return statuses
    yield finish
    finish()


# ---- the environment ----


def environment(server, path, *fields, body=b"", method="GET"):
    raw = server.raw(head(path, "Connection: close", *fields, method=method) + body)
    return json.loads(re.search(rb"\{.*\}", raw, re.S)[0])


def test_meta_variables(server):
    got = environment(server, "/cgi/env/extra/p%61th?a=1&b=%20", "Content-Length: 3", "Content-Type: x/y", body=b"abc",
                      method="POST")
    env, root = got["env"], os.path.realpath(server.dir / "cgi")
    port = env.pop("REMOTE_PORT")
    assert port.isdigit() and got["cwd"] == root and got["argv"] == [root + "/env"]
    expected = {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "syncless-server",
        "SERVER_NAME": "configured.example", "SERVER_PORT": str(server.port), "SERVER_ADDR": "127.0.0.1",
        "REMOTE_ADDR": "127.0.0.1", "REMOTE_HOST": "127.0.0.1", "REQUEST_SCHEME": "http", "REQUEST_METHOD": "POST",
        "REQUEST_URI": "/cgi/env/extra/p%61th?a=1&b=%20", "QUERY_STRING": "a=1&b=%20", "SCRIPT_NAME": "/cgi/env",
        "SCRIPT_FILENAME": root + "/env", "DOCUMENT_ROOT": root, "PATH_INFO": "/extra/path",
        "PATH_TRANSLATED": root + "/extra/path", "CONTENT_LENGTH": "3", "CONTENT_TYPE": "x/y", "REDIRECT_STATUS": "200",
        "HTTP_HOST": "test", "PATH": os.environ["PATH"], "PASSED": "on", "CONFIGURED": "a=b",
    }
    assert {name: value for name, value in env.items() if name != "LC_CTYPE"} == expected  # Python sets that itself


def test_variables_that_do_not_apply_are_absent(server):
    env = environment(server, "/cgi/env")["env"]
    assert not {"CONTENT_LENGTH", "CONTENT_TYPE", "PATH_INFO", "PATH_TRANSLATED", "HTTPS", "AUTH_TYPE"} & set(env)
    assert env["QUERY_STRING"] == ""


@pytest.mark.parametrize("host, name", [("example.org:81", "example.org"), ("[::1]:81", "[::1]"), ("", "127.0.0.1")])
def test_server_name(server, host, name):
    raw = server.raw(f"GET /auth/env HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert json.loads(re.search(rb"\{.*\}", raw, re.S)[0])["env"]["SERVER_NAME"] == name


def test_server_name_of_an_ipv6_address(daemon):
    """It has brackets, unlike SERVER_ADDR."""
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("no IPv6")
    server = daemon("[server]\nbind = [::]:0\n[cgi /]\nroot = %(here)\n",
                    {"s": TEXT + "echo $SERVER_NAME $SERVER_ADDR $SERVER_PORT\n"})
    with socket.create_connection(("::1", server.port), 10) as sock:
        answer = exchange(sock, b"GET /s HTTP/1.0\r\n\r\n")
    assert answer.endswith(f"\r\n\r\n[::1] ::1 {server.port}\n".encode())


def test_fields_become_variables(server):
    env = environment(server, "/cgi/env", "X-One: 1", "x-one: 2", "Cookie: a=1", "Cookie: b=2", "X-Empty:",
                      "Accept: */*")["env"]
    assert env["HTTP_X_ONE"] == "1, 2" and env["HTTP_COOKIE"] == "a=1; b=2"
    assert env["HTTP_X_EMPTY"] == "" and env["HTTP_ACCEPT"] == "*/*"


def test_fields_that_must_not_become_variables(server):
    fields = ["Proxy: http://evil.example/", "X_One: forged", "X-One: true", "Authorization: Basic xyz", "TE: trailers",
              "Keep-Alive: 5", "Proxy-Authorization: Basic xyz", "X.Y: dot"]
    env = environment(server, "/cgi/env", *fields)["env"]
    assert env["HTTP_X_ONE"] == "true"
    assert {name for name in env if name.startswith("HTTP_")} == {"HTTP_HOST", "HTTP_X_ONE"}


def test_authorization_is_passed_where_allowed(server):
    env = environment(server, "/auth/env", "Authorization: Basic xyz")["env"]
    assert env["HTTP_AUTHORIZATION"] == "Basic xyz"


def test_unix_socket(daemon):
    server = daemon("[server]\nbind = unix:%(here)/s.sock\n[cgi /]\nroot = cgi\n", FILES)
    env = environment(server, "/env")["env"]
    assert (env["SERVER_NAME"], env["SERVER_PORT"], env["REMOTE_ADDR"]) == ("test", "80", "")
    assert not {"SERVER_ADDR", "REMOTE_PORT"} & set(env)
    for host, port in ("test:81", "81"), ("test:", "80"), ("", "80"), ("test:65535", "65535"), ("[::1]:8", "8"):
        env = json.loads(server.get("/env", {"Host": host})[2])["env"]
        assert env["SERVER_PORT"] == port, host


# ---- which script ----


@pytest.mark.parametrize("path, body", [
    ("/cgi/sub/dir/hello%20world", "/cgi/sub/dir/hello world \n"),
    ("/cgi/sub/dir/hello%20world/a//b/.x/", "/cgi/sub/dir/hello world /a//b/.x/\n"),
    ("/cgi/sub%2Fdir/hello%20world", "/cgi/sub/dir/hello world \n"),
    ("/cgi/link-in", "/cgi/link-in \n"),
    ("/links/link-out", "outside\n"),
    ("/cgi/code.py", "ran by python\n"),
    ("/cgi/?x=y", "index /cgi/index.cgi x=y\n"),
])
def test_script_is_found(server, path, body):
    status, headers, got = server.get(path)
    assert (status, got.decode()) == (200, body) and headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize("path, status", [
    ("/cgi/missing", 404),
    ("/cgi/sub", 404),
    ("/cgi/sub/", 404),
    ("/cgi/.hidden", 404),
    ("/cgi/fifo", 404),
    ("/cgi/" + "x" * 300, 404),
    ("/cgi/../outside", 404),
    ("/cgi/%2e%2e/outside", 404),
    ("/cgi/..%2foutside", 404),
    ("/cgi/sub/../../outside", 404),
    ("/cgi/env/../../../etc/passwd", 404),
    ("/cgi/link-out", 403),
    ("/cgi/dir-out/outside", 403),
    ("/cgi/plain.txt", 403),
    ("/cgi/nph-old", 501),
    ("/cgi/no-line", 500),
    ("/cgi/no-interpreter", 500),
])
def test_script_is_refused(server, path, status):
    assert server.get(path)[0] == status
    if status != 404:
        server.wait_log(re.escape(path.removeprefix("/cgi")) + r": .*(symlink|executable|nph-|#!)")


@pytest.mark.parametrize("target, location", [("/cgi", "/cgi/"), ("/cgi?a=b/c", "/cgi/?a=b/c"),
                                              ("/cgi/a%3ab", "/cgi/a%3ab/"),
                                              ("/cgi/a:b", "/cgi/a:b/")])
def test_directory_is_redirected_to_its_slash(server, target, location):
    """The location is relative: behind a proxy the client may see the script below another path."""
    status, headers, _ = server.get(target)
    for outside in "http://proxy.example/outer", "http://proxy.example":
        assert (status, urllib.parse.urljoin(outside + target, headers["Location"])) == (301, outside + location)


# ---- the process ----


def test_process_is_clean(script):
    """A process group of its own, descriptors 0 to 2 only, no signal blocked or ignored except the two of glibc."""
    server = script(PYTHON + r"""
import os
fds = sorted(int(fd) for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd))
print('Content-Type: text/plain\n')
print(os.getpgid(0) == os.getpid(), fds, repr(os.read(0, 1)))
""")
    assert server.get("/s")[2].decode() == "True [0, 1, 2] b''\n"
    server = script("#!/bin/sh\nexec sed -n '1i Content-Type: text/plain\\n\ns/Sig[BI][lg][kn]:.//p'"
                    " /proc/self/status\n")
    blocked, ignored = server.get("/s")[2].split()
    assert int(blocked, 16) == 0 and int(ignored, 16) & 0x7fffffff == 0


def test_nothing_is_left_behind(script):
    """No zombie and no open descriptor, however a script ends."""
    server = script(TEXT + "case $QUERY_STRING in exit) exit 3;; kill) kill -9 $$;; cat) exec cat;; "
                           "hang) exec sleep 100; esac\n",
                    "timeout = 200ms", **{"cgi/bad": "#!/bin/sh\necho no head; kill -9 $$\n",
                                          "cgi/none": "#!/nowhere\n"})
    paths = ["/s", "/s?exit", "/s?kill", "/s?cat", "/s?hang", "/bad", "/none"]

    def use():
        for path in paths:
            with contextlib.suppress(Exception):
                server.get(path)
            server.raw(head(path, "Content-Length: 100000", method="POST") + b"x" * 100000, until=b"\r\n\r\n")
        with server.connect() as sock:
            sock.sendall(head("/s?cat", "Content-Length: 10", method="POST"))
            receive_until(sock, b"\r\n\r\n")
        wait_clean(server)
    use()
    before = descriptors(server)
    use()
    server.wait_until(lambda: descriptors(server) <= before)


def test_background_job_outlives_its_script(script):
    server = script(TEXT + "sleep 100 >/dev/null 2>&1 </dev/null &\necho pid=$! >&2\necho done\n")
    assert server.get("/s")[2] == b"done\n"
    pid = logged_pid(server)
    wait_clean(server)
    assert is_running(pid)
    os.kill(pid, 9)


# ---- bodies ----


def test_100_mib_through_cat(server):
    """Both directions at once, and memory does not grow; the client reads while it sends."""
    block, digests = os.urandom(MIB), [hashlib.sha256(), hashlib.sha256()]
    server.get("/cgi/cat")
    before = server.rss()
    with server.connect() as sock:
        sock.sendall(head("/cgi/cat", f"Content-Length: {100 * MIB}", "Connection: close", method="POST"))

        def send():
            for _ in range(100):
                sock.sendall(block)
                digests[0].update(block)
        sender = threading.Thread(target=send)
        sender.start()
        received = dechunk(sock.makefile("rb"), digests[1].update)
        sender.join()
    assert received == 100 * MIB and digests[0].digest() == digests[1].digest()
    assert server.sanitized or server.rss() - before < 8 * MIB


def dechunk(stream, take):
    """Read a chunked response to its end. Returns its body."""
    total = 0
    while stream.readline() != b"\r\n":
        pass
    while size := int(stream.readline(), 16):
        take(stream.read(size))
        assert stream.read(2) == b"\r\n"
        total += size
    return total


def test_script_answers_while_it_reads(server):
    """Ping-pong: each line comes back before the next is sent, with a chunked body."""
    with server.connect() as sock:
        sock.sendall(head("/cgi/cat", "Transfer-Encoding: chunked", method="POST"))
        data = b""
        for i in range(20):
            line = b"line %d\n" % i
            sock.sendall(b"%x\r\n%s\r\n" % (len(line), line))
            data = receive_until(sock, line, data)
        sock.sendall(b"0\r\n\r\n")
        receive_until(sock, b"0\r\n\r\n", data)


def test_script_that_writes_before_it_reads(script):
    """More than all pipes hold in both directions: a server that handled one after the other would deadlock."""
    server = script(TEXT + "head -c 2000000 /dev/zero\nwc -c\n", "max-body-size = 0")
    answer = server.raw(head("/s", "Content-Length: 2000000", "Connection: close", method="POST") + b"x" * 2000000)
    assert answer.count(b"\0") == 2000000 and b"2000000\n" in answer and not is_cut(answer)


@pytest.mark.parametrize("count", [0, 1, 100000])
def test_chunked_body_has_no_length_and_ends_by_eof(script, count):
    server = script(TEXT + "echo ${CONTENT_LENGTH-absent} $(wc -c)\n")
    body = b"%x\r\n%s\r\n" % (count, b"y" * count) if count else b""
    request = head("/s", "Transfer-Encoding: chunked", "Connection: close", method="POST")
    answer = server.raw(request + body + b"0\r\n\r\n")
    assert b"absent %d\n" % count in answer


def test_expect_100_continue(server):
    with server.connect() as sock:
        sock.sendall(head("/cgi/cat", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        data = receive_until(sock, b"100 Continue\r\n\r\n")
        sock.sendall(b"hello")
        assert b"hello" in receive_until(sock, b"0\r\n\r\n", data)


def test_output_goes_out_as_it_is_written(script):
    server = script(TEXT + "echo first\nread line <go\necho $line\n")
    os.mkfifo(server.dir / "cgi/go")
    with server.connect() as sock:
        sock.sendall(head())
        data = receive_until(sock, b"first\n")
        (server.dir / "cgi/go").write_text("second\n")
        assert b"second\n" in receive_until(sock, b"0\r\n\r\n", data)


def test_script_that_does_not_read_its_body(script):
    """Neither a large body nor one that never comes delays the response."""
    server = script(TEXT + "echo answer\n")
    assert b"answer" in server.raw(head("/s", "Content-Length: 1000000", method="POST") + b"x" * 1000000,
                                   until=b"answer")
    with server.connect() as sock:
        sock.sendall(head("/s", "Content-Length: 1000000", method="POST") + b"x")
        receive_until(sock, b"answer")
    wait_clean(server)


@pytest.mark.parametrize("text, status", [("echo answer", b"200"), ("exec sleep 100", b"504"), ("kill -9 $$", b"502")])
def test_client_that_sends_only_a_part_of_its_body(script, text, status):
    """It still gets the whole response, and the request ends."""
    server = script((TEXT if status == b"200" else "#!/bin/sh\n") + text, "timeout = 200ms", "max-children = 1")
    for _ in range(2):
        with server.connect() as sock:
            sock.sendall(head("/s", "Content-Length: 1000000", method="POST") + b"x")
            data = receive_until(sock, b"0\r\n\r\n" if status == b"200" else b"<hr>syncless\n")
            assert data.startswith(b"HTTP/1.1 " + status)
            assert sock.recv(1) == b""


def test_script_that_closes_its_stdin(script):
    server = script(TEXT + "exec <&-\necho answer\n")
    assert b"answer" in server.raw(head("/s", "Content-Length: 1000000", method="POST") + b"x" * 1000000,
                                   until=b"answer")


def test_large_head_and_chunked_body(script):
    """The head stays readable, for the log too, while the body goes through the same buffer."""
    server = script(TEXT + "wc -c\necho $PATH_INFO >&2\n")
    fields = [f"X-Field-{i}: {'v' * 100}" for i in range(80)]
    with server.connect() as sock:
        for i in range(3):
            sock.sendall(head(f"/s/the-{i}", *fields, "Transfer-Encoding: chunked", method="POST"))
            for size in (10, 30000, 5):
                sock.sendall(b"%x\r\n%s\r\n" % (size, b"z" * size))
            sock.sendall(b"0\r\n\r\n")
            assert b"30015\n" in receive_until(sock, b"\r\n0\r\n\r\n")
            server.wait_log(rf"POST /s/the-{i}: .*: /the-{i}$")


def test_body_comes_in_while_output_is_stuck(script):
    """Two coroutines use one connection: no byte of the output is lost, doubled or out of order.

    The client does not read, so a send of small pieces is stuck half-way; then it sends its body, a byte at a time."""
    server = script(PYTHON + """
import os, sys
print(f'pid={os.getpid()}', file=sys.stderr, flush=True)
os.write(1, b'Content-Type: text/plain\\n\\n')
for i in range(60000):
    os.write(1, b''.join(b'%07d\\n' % n for n in range(32 * i, 32 * i + 32)))
""")
    with server.connect() as sock:
        sock.sendall(head("/s", "Content-Length: 20", "Connection: close", method="POST"))
        pid = logged_pid(server)
        for _ in range(20):
            server.wait_until(lambda: is_stuck(pid))
            sock.sendall(b"x")
        received = bytearray()
        dechunk(sock.makefile("rb"), received.extend)
    assert received == b"".join(b"%07d\n" % n for n in range(60000 * 32))


def is_stuck(pid):
    """Whether a process that does nothing but write has written much and sleeps now."""
    written = int(re.search(r"wchar: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text())[1])
    return written > MIB and pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


# ---- the head of the output ----


def printed(text):
    """A script that prints this text, with the escapes of printf."""
    return f"#!/bin/sh\nprintf '%b' '{text}'\n"


@pytest.mark.parametrize("text, status, fields, body", [
    (r"Content-Type: text/html\r\n\r\n<p>", 200, {"Content-Type": "text/html"}, b"<p>"),
    (r"content-type:text/html\n\n\n", 200, {"Content-Type": "text/html"}, b"\n"),
    (r"Status: 404 Not Here\nContent-Type: a/b\n\nx", 404, {}, b"x"),
    (r"Status: 201\n\n", 201, {}, b""),
    (r"Status: 204 None\n\n", 204, {"Transfer-Encoding": None}, b""),
    (r"Status: 304 Same\nETag: "+ '"x"' + r"\n\n", 304, {"ETag": '"x"'}, b""),
    (r"Location: http://example.org/x\n\n", 302, {"Location": "http://example.org/x"}, b""),
    (r"Location: /local?x\n\n", 302, {"Location": "/local?x"}, b""),
    (r"Status: 303 See\nLocation: /x\nContent-Type: a/b\n\nbody", 303, {"Location": "/x"}, b"body"),
    (r"Content-Type: a/b\nSet-Cookie: a=1\nSet-Cookie: b=2\nConnection: close\nTransfer-Encoding: gzip\n\nx", 200,
     {"Set-Cookie": "a=1", "Connection": "close", "Transfer-Encoding": "chunked"}, b"x"),
    (r"Content-Type: a/b\nConnection: keep-alive\nKeep-Alive: 5\nUpgrade: h2c\nTE: x\nTrailer: A\n\nx", 200,
     {"Connection": None, "Keep-Alive": None, "Upgrade": None, "TE": None, "Trailer": None}, b"x"),
    (r"Status: 205\nContent-Type: a/b\n\nbody", 205, {"Content-Length": "0", "Transfer-Encoding": None}, b""),
    (r"Status: 304\nContent-Length: 4\n\nbody", 304, {"Content-Length": None}, b""),
    (r"Status: 999 Own\n\nbody", 999, {}, b"body"),
    (r"Content-Type: a/b\nContent-Length: 2\n\nxy", 200, {"Content-Length": "2", "Transfer-Encoding": None}, b"xy"),
    (r"Content-Type: a/b\nX-Space:  \t v w \t \n\n", 200, {"X-Space": "v w"}, b""),
])
def test_output(script, text, status, fields, body):
    got = script(printed(text)).get("/s")
    assert (got[0], got[2]) == (status, body)
    assert {name: got[1][name] for name in fields} == fields


@pytest.mark.parametrize("body", ["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"])
def test_body_that_is_cut(script, body):
    """The script is not told that this is the end, and the client, which has closed its side only, gets 400."""
    server = script("#!/bin/sh\nbody=$(cat)\nprintf 'Content-Type: a/b\\n\\n%s' \"$body\"\n")
    answer = server.raw(f"POST /s HTTP/1.1\r\nHost: a\r\n{body}".encode(), shutdown=True)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_reason_phrase(script):
    assert script(printed(r"Status: 299 Very Fine\n\n")).raw(head("/s", "Connection: close")).startswith(
        b"HTTP/1.1 299 Very Fine\r\n")


def test_head_in_pieces(script):
    """Each byte of the head arrives alone."""
    server = script(PYTHON + r"""
import os
for byte in b'Content-Type: text/plain\r\nX-Long: ' + b'v' * 5000 + b'\r\n\r\nbody':
    os.write(1, bytes([byte]))
""")
    status, headers, body = server.get("/s")
    assert (status, len(headers["X-Long"]), body) == (200, 5000, b"body")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_head_has_no_body(script, method):
    server = script(TEXT + "echo $REQUEST_METHOD\n")
    connection = server.http()
    for _ in range(2):  # on the same connection: nothing of a body was sent
        connection.request(method, "/s")
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"" if method == "HEAD" else b"GET\n")


@pytest.mark.parametrize("text, reason", [
    (r"", r"ended \(exit status 0\) before the end of the head"),
    (r"Hello\nworld\n", r"before the end of the head: Hello"),
    (r"Content-Type: text/plain\n", r"before the end of the head: Content-Type"),
    (r"Hello\n\n", r"not a header field: Hello"),
    (r"HTTP/1.1 200 OK\nContent-Type: a/b\n\n", r"not a header field: HTTP/1.1 200 OK"),
    (r": x\nContent-Type: a/b\n\n", r"not a header field: : x"),
    (r"Content-Type : a/b\n\n", r"not a header field: Content-Type : a/b"),
    (r"Content-Type: a/b\n folded\n\n", r"not a header field:  folded"),
    (r"Content-Type: a\rX: b\n\n", r"control bytes in the field: Content-Type"),
    (r"Content-Type: a\0000b\n\n", r"a NUL byte in the head"),
    (r"\n<html>", r"neither Content-Type nor Location nor Status"),
    (r"X-Other: a\n\n", r"neither Content-Type nor Location nor Status"),
    (r"Content-Type: a/b\ncontent-type: c/d\n\n", r"repeated field: content-type"),
    (r"Status: 200 OK\nStatus: 404 No\n\n", r"repeated field: Status"),
    (r"Content-Type: a/b\nContent-Length: 1\nContent-Length: 1\n\nx", r"repeated field: Content-Length"),
    (r"Content-Type: a/b\nContent-Length: -1\n\n", r"Content-Length is not a number"),
    (r"Status: OK\n\n", r"Status is not"),
    (r"Status: 100 Continue\n\n", r"Status is not"),
    (r"Status: 2000\n\n", r"Status is not"),
    (r"Status: 200OK\n\n", r"Status is not"),
])
def test_malformed_output(script, text, reason):
    server = script(printed(text))
    status, headers, _ = server.get("/s")
    assert status == 502 and "Set-Cookie" not in headers
    server.wait_log(rf"\[error\].* GET /s: .*/cgi/s: malformed output: .*{reason}")
    wait_clean(server)


def test_head_that_is_too_large(script):
    """It is refused while the script still writes."""
    server = script(TEXT.replace("\\n\\n", "\\n") + "yes 'X-Field: value'\n")
    assert server.get("/s")[0] == 502
    server.wait_log("malformed output: a head of more than 64 KiB")
    wait_clean(server)


def test_fields_of_malformed_output_do_not_reach_the_client(script):
    headers = script(printed(r"Content-Type: a/b\nSet-Cookie: x=1\nLocation: /x\nbad line\n\n")).get("/s")[1]
    assert headers["Set-Cookie"] is None and headers["Location"] is None


def test_more_than_content_length(script):
    server = script(printed(r"Content-Type: a/b\nContent-Length: 4\n\n1234567"))
    assert server.get("/s")[2] == b"1234"
    server.wait_log("more than its Content-Length")


def test_less_than_content_length(script):
    server = script(printed(r"Content-Type: a/b\nContent-Length: 9\n\n1234"))
    assert server.raw(head()).endswith(b"\r\n\r\n1234")  # and the connection is closed


# ---- stderr and the end ----


def test_stderr_goes_to_the_log_line_by_line(script):
    server = script(TEXT + "echo one >&2\nread x <go\nprintf 'two\\033\\nthree' >&2\n")
    os.mkfifo(server.dir / "cgi/go")
    with requests(server, 1):
        server.wait_log(r"\[warn\] .*GET /s: .*/cgi/s: one$")
        (server.dir / "cgi/go").write_text("\n")
    server.wait_log(r"/cgi/s: two\\x1[bB]$")
    server.wait_log(r"/cgi/s: three$")


def test_long_line_of_stderr_is_cut_into_pieces(script):
    server = script(TEXT + "head -c 3000 /dev/zero | tr '\\0' e >&2\necho end >&2\n")
    server.get("/s")
    server.wait_log(r"e+end$")
    lengths = [len(line) for line in re.findall(r"/cgi/s: (e+)(?:end)?$", server.log, re.M)]
    assert sum(lengths) == 3000 and max(lengths) == 1024


def test_much_stderr_before_the_head(script):
    """More than the pipe holds: a server that read only stdout would never finish."""
    server = script("#!/bin/sh\nyes error | head -c 300000 >&2\nprintf 'Content-Type: a/b\\n\\ndone'\n")
    assert server.get("/s")[2] == b"done"


def test_stderr_without_end_does_not_fill_the_log(script):
    """300000 lines, of which each takes 100 bytes and more in the log. The script is not held up."""
    server = script(TEXT + "yes e | head -c 600000 >&2\necho done\n", "stderr-rate = 4k")
    started = time.monotonic()
    assert server.get("/s")[2] == b"done\n"
    seconds = time.monotonic() - started

    def lines():
        dropped = re.findall(r"/cgi/s: left out (\d+) lines of stderr: there were more than stderr-rate", server.log)
        return len(re.findall(r"/cgi/s: e$", server.log, re.M)), sum(map(int, dropped))

    assert server.wait_until(lambda: sum(lines()) == 300000)
    assert 60 <= lines()[0] <= 63 * (2 + seconds)


@pytest.mark.parametrize("how, told", [("exit 3", "exit status 3"), ("kill -11 $$", "signal 11, Segmentation fault")])
def test_failure_before_the_head(script, how, told):
    server = script(f"#!/bin/sh\necho why >&2\n{how}\n")
    assert server.get("/s")[0] == 502
    server.wait_log(r"/cgi/s: why$")
    server.wait_log(rf"/cgi/s: malformed output: ended \({told}\) before the end of the head")


def test_exit_status_after_the_answer(script):
    server = script(TEXT + "echo answer\nexit 3\n")
    assert server.get("/s")[2] == b"answer\n"
    server.wait_log(r"/cgi/s: ended with exit status 3")


def test_signal_cuts_the_answer(script):
    server = script(TEXT + "echo answer\nkill -9 $$\n")
    assert is_cut(server.raw(head()))
    server.wait_log(r"/cgi/s: ended with signal 9")


# ---- time, clients that leave, limits ----


def test_timeout_before_the_head(script):
    server = script("#!/bin/sh\nexec sleep 100\n", "timeout = 100ms")
    started = time.monotonic()
    assert server.get("/s")[0] == 504
    assert time.monotonic() - started < 2
    server.wait_log(r"\[error\].*/cgi/s: timed out: no output and no input taken for 1\d\d ms")
    wait_clean(server)


def test_timeout_after_the_head_cuts_the_answer(script):
    server = script(TEXT + "echo begun\nexec sleep 100\n", "timeout = 200ms")
    answer = server.raw(head())
    assert b"begun" in answer and is_cut(answer)
    wait_clean(server)


def test_timeout_kills_the_whole_group(script):
    """Also a process that ignores SIGTERM and has closed its stdout."""
    server = script("#!/bin/sh\ntrap '' TERM\nsleep 100 >/dev/null 2>&1 &\necho pid=$! >&2\n"
                    "echo leader=$$ >&2\nsleep 100\n",
                    "timeout = 300ms")
    assert server.get("/s")[0] == 504
    wait_gone(server, logged_pid(server), logged_pid(server, "leader"))
    wait_clean(server)


def test_timeout_lets_a_script_say_goodbye(script):
    server = script("#!/bin/sh\ntrap 'echo cleaned up >&2; exit' TERM\nsleep 100 & wait\n", "timeout = 300ms")
    assert server.get("/s")[0] == 504
    server.wait_log(r"/cgi/s: cleaned up$")


def test_request_timeout_lets_a_script_say_goodbye_too(script):
    """A cancelled request still waits for its script, of which nothing is left."""
    server = script("#!/bin/sh\ntrap 'sleep 0.6; echo cleaned up >&2; exit' TERM\nsleep 100 & wait\n",
                    "request-timeout = 300ms")
    assert server.get("/s")[0] == 504
    server.wait_log(r"/cgi/s: cleaned up$")
    wait_clean(server)
    server = script("#!/bin/sh\ntrap '' TERM\nsleep 100\n", "request-timeout = 300ms")
    assert server.get("/s")[0] == 504
    wait_clean(server)


def test_timeout_begins_anew_with_output_and_input(script):
    """A script that runs for longer than the timeout, but is never silent that long."""
    server = script(TEXT + "for i in 1 2 3 4 5; do sleep 0.2; echo $i; done\n", "timeout = 600ms")
    assert server.get("/s")[2] == b"1\n2\n3\n4\n5\n"
    server = script("#!/bin/sh\nwc -c >&2\nprintf 'Content-Type: a/b\\n\\ndone'\n", "timeout = 600ms")
    with server.connect() as sock:
        sock.sendall(head("/s", "Content-Length: 5", method="POST"))
        for _ in range(5):
            select.select([sock], [], [], 0.2)
            sock.sendall(b"x")
        receive_until(sock, b"done")


def test_no_timeout(script):
    assert script(TEXT + "sleep 0.3\necho done\n", "timeout = 0").get("/s")[2] == b"done\n"


def test_client_that_leaves_ends_the_script(script):
    server = script(TEXT + "echo pid=$$ >&2\nsleep 100 >/dev/null 2>&1 &\necho job=$! >&2\nexec yes\n")
    with server.connect() as sock:
        sock.sendall(head())
        receive_until(sock, b"y\ny\n")
    wait_gone(server, logged_pid(server), logged_pid(server, "job"))
    wait_clean(server)


def test_client_that_leaves_in_the_middle_of_its_body(script):
    """The script must not mistake the part for the whole body: it gets a signal, and no end of file."""
    server = script("#!/bin/sh\necho pid=$$ >&2\ncat >/dev/null\necho whole >&2\n")
    with server.connect() as sock:
        sock.sendall(head("/s", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n")
        pid = logged_pid(server)
    wait_gone(server, pid)
    wait_clean(server)
    assert "whole" not in server.log


def test_malformed_body(script):
    server = script("#!/bin/sh\necho pid=$$ >&2\ncat >/dev/null\necho whole >&2\n")
    with server.connect() as sock:
        sock.sendall(head("/s", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n")
        pid = logged_pid(server)
        sock.sendall(b"nonsense\r\n")
        assert receive_until(sock, b"\r\n").startswith(b"HTTP/1.1 400 ")
    wait_gone(server, pid)
    assert "whole" not in server.log


def test_scripts_run_side_by_side(script):
    server = script(TEXT + "sleep 1\n")
    started = time.monotonic()
    with requests(server, 30) as finish:
        assert finish() == [200] * 30
    assert time.monotonic() - started < (20 if server.sanitized else 4)
    wait_clean(server)


def test_max_children(script):
    """Two at a time: each script finds one of two directories free."""
    server = script("""#!/bin/sh
mkdir 1 2>/dev/null && mine=1 || { mkdir 2 && mine=2; } || exit 1
sleep 0.1
rmdir $mine
printf 'Content-Type: text/plain\\n\\n'
""", "max-children = 2")
    with requests(server, 10) as finish:
        assert finish() == [200] * 10


def test_max_children_is_waited_for_no_longer_than_the_timeout(script):
    server = script(TEXT + "echo begun >&2\nfor i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; echo x; done\n",
                    "max-children = 1", "timeout = 500ms")
    with requests(server, 1) as finish:
        server.wait_log("begun")
        assert server.get("/s")[0] == 503
        assert finish() == [200]
    server.wait_log(r"max-children = 1: no script has ended within the timeout")
    assert server.get("/s")[0] == 200


@pytest.mark.parametrize("call", ["addopen", "adddup2", "addclosefrom_np", "addchdir_np"])
def test_no_memory_to_start_a_script(script, tmp_path, call):
    """It must not run in another directory, or with descriptors of the server."""
    server = script(TEXT, env=preload(tmp_path / "memory.so",
                                      f"int posix_spawn_file_actions_{call}(void) {{ return 12; }}"))
    assert server.get("/s")[0] == 503
    server.wait_log(r"cgi/s: cannot be started: Cannot allocate memory")


@pytest.mark.parametrize("errno", [1, 38])  # EPERM, ENOSYS
def test_without_pidfds(script, tmp_path, errno):
    """In a sandbox or on a kernel that has none: a script that has closed its output is waited for, one that is silent
    is ended in time, and nobody is left behind."""
    server = script(TEXT + "case $PATH_INFO in /long) exec sleep 30;; /closes) exec >&- 2>&-; sleep 0.3; exit 3;;\n"
                    "esac\necho body\n", "timeout = 400ms",
                    env=preload(tmp_path / "pidfd.so", "#include <errno.h>\n"
                                f"int pidfd_open(int pid, unsigned flags) {{ errno = {errno}; return -1; }}"))
    assert server.get("/s")[2] == b"body\n"
    server.get("/s/closes")
    server.wait_log("cgi/s: ended with exit status 3")
    server.raw(b"GET /s/long HTTP/1.1\r\nHost: x\r\n\r\n")
    server.wait_log("cgi/s: timed out")
    worker, = server.worker_pids()
    server.wait_until(lambda: not pathlib.Path(f"/proc/{worker}/task/{worker}/children").read_text())


# ---- configuration ----


@pytest.mark.parametrize("lines, message", [
    ("root = missing", r"root = .*/missing: No such file"),
    ("root = /", r"root = /: "),
    ("root = /dev/null", r"root = /dev/null: Not a directory"),
    ("root = .\nenv = NOVALUE", r"env = NOVALUE: write NAME=VALUE"),
    ("root = .\nenv = =x", r"env = =x: write NAME=VALUE"),
    ("root = .\ninterpreter = .py=python3", r"interpreter = .py=python3: write \.EXT=/absolute/path"),
    ("root = .\ninterpreter = .py=/nowhere/python", r"interpreter = .py=/nowhere/python: No such file"),
])
def test_section_that_makes_no_sense(run_server, lines, message):
    done = run_server(ini=f"[cgi /]\n{lines}\n")
    assert done.returncode == 3
    assert re.search(message, done.stderr), done.stderr


@pytest.mark.parametrize("number", [-1, 1 << 31])
def test_max_children_has_a_range(run_server, number):
    done = run_server(ini=f"[cgi /]\nroot = .\nmax-children = {number}\n")
    assert done.returncode == 78
    assert f'"max-children = {number}": expected 0 to 2147483647' in done.stderr
