"""The static module: files, folders, and nothing outside of them. test_static_fields.py has the fields of requests."""
import html.parser
import os
import re
import resource
import socket
import urllib.parse

import pytest

from conftest import exchange, preload
from static_site import DATE, MODIFIED, SECRET, THOUSAND, link, new, site  # noqa: F401


# ---- whole files ----

def test_file(site):
    status, headers, body = site.get("/thousand.bin")
    assert (status, body) == (200, THOUSAND)
    assert headers["Content-Length"] == "1000"
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Last-Modified"] == DATE
    assert headers["Accept-Ranges"] == "bytes"
    assert re.fullmatch(r'"[0-9a-f]+-3e8-[0-9a-f]+"', headers["ETag"])
    assert "Transfer-Encoding" not in headers and "Content-Encoding" not in headers


def test_names_are_decoded_once(site, new):
    new("100%41.txt", b"percent\n")
    assert site.get("/a%20b%26c.txt")[2] == b"spaced\n"
    assert site.get("/100%2541.txt")[2] == b"percent\n"
    assert site.get("/100%41.txt")[0] == 404


def test_empty_file(site):
    status, headers, body = site.get("/empty.txt")
    assert (status, headers["Content-Length"], body) == (200, "0", b"")


def test_head_is_get_without_body(site):
    connection = site.http()
    heads = []
    for method in ("GET", "HEAD", "GET"):
        connection.request(method, "/thousand.bin")
        response = connection.getresponse()
        assert response.read() == (b"" if method == "HEAD" else THOUSAND)
        heads.append([field for field in response.getheaders() if field[0] != "Date"])
    assert heads[0] == heads[1] == heads[2]
    connection.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods(site, method):
    for path in ("/thousand.bin", "/none"):
        status, headers, _ = site.request(method, path, body=b"x" if method == "POST" else None)
        assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert site.get("/thousand.bin")[2] == THOUSAND


def test_options(site):
    status, headers, body = site.request("OPTIONS", "/thousand.bin")
    assert (status, headers["Allow"], body) == (204, "GET, HEAD, OPTIONS", b"")


@pytest.mark.parametrize("path", ["/none", "/none/", "/folder/none", "/a.css/", "/a.css/x", "/" + 300 * "n",
                                  "/" + 4000 * "n/"])
def test_missing(site, path):
    assert site.get(path)[0] == 404


@pytest.mark.parametrize("name, mime", [
    ("x.html", "text/html; charset=utf-8"), ("x.HTM", "text/html; charset=utf-8"), ("x.css", "text/css; charset=utf-8"),
    ("x.js", "text/javascript; charset=utf-8"), ("x.mjs", "text/javascript; charset=utf-8"),
    ("x.json", "application/json"),
    ("x.svg", "image/svg+xml"), ("x.png", "image/png"), ("x.jpeg", "image/jpeg"), ("x.wasm", "application/wasm"),
    ("x.woff2", "font/woff2"), ("x.mp4", "video/mp4"), ("x.pdf", "application/pdf"), ("x.tar.gz", "application/gzip"),
    ("x.none-such", "application/octet-stream"), ("html", "application/octet-stream"),
    ("x.", "application/octet-stream"),
])
def test_types(site, new, name, mime):
    new(name, b"x")
    assert site.get("/" + name)[1]["Content-Type"] == mime


def test_type_comes_from_the_name_not_the_folder(site):
    folder = site.www / "folder.html"
    folder.mkdir()
    (folder / "plain").write_bytes(b"x")
    assert site.get("/folder.html/plain")[1]["Content-Type"] == "application/octet-stream"


def test_own_types(site, new):
    new("x.mine", b"x")
    assert site.get("/open/x.mine")[1]["Content-Type"] == "text/x-mine"
    assert site.get("/open/page.js")[1]["Content-Type"] == "text/x-mine"
    assert site.get("/open/a.css")[1]["Content-Type"] == "text/css"
    assert site.get("/open/.env")[1]["Content-Type"] == "application/x-none"


@pytest.mark.skipif(not os.path.exists("/etc/mime.types"), reason="the system has no /etc/mime.types")
def test_types_of_the_system(site, new):
    new("x.cpp", b"x")
    assert site.get("/x.cpp")[1]["Content-Type"] == "text/x-c++src; charset=utf-8"


def test_added_fields(site):
    headers = site.get("/open/a.css")[1]
    assert (headers["X-One"], headers["X-Two"], headers["Cache-Control"]) == ("1", "two, too", "max-age=7200")
    again, headers, _ = site.get("/open/a.css", {"If-None-Match": headers["ETag"]})
    assert (again, headers["X-One"], headers["Cache-Control"]) == (304, "1", "max-age=7200")
    assert site.get("/never/a.css")[1]["Cache-Control"] == "no-cache"
    assert "Cache-Control" not in site.get("/a.css")[1]


# ---- folders ----

def test_index(site):
    assert site.get("/")[2] == b"<p>index\n"
    assert site.get("/folder/")[2] == b"<p>folder\n"
    assert site.get("/folder/")[1]["Content-Type"] == "text/html; charset=utf-8"
    assert site.get("/open/folder/")[2] == b"<p>second\n"
    assert site.get("/open/")[2] == b"<p>index\n"


@pytest.mark.parametrize("path", ["/bare/", "/bare/sub/", "/never/", "/never/folder/"])
def test_no_listing_by_default(site, path):
    assert site.get(path)[0] == 403
    site.wait_log(r"\[warn\].*/www/.* has no index file, and listing is off")


@pytest.fixture(scope="module")
def odd_folders(site):
    for name in ("evil.example", "\\evil.example", "a\r\nb", 'dä"<x'):
        (site.www / name).mkdir()


@pytest.mark.parametrize("path, location", [
    ("/folder", "/folder/"),
    ("/folder?a=b&c=%2F", "/folder/?a=b&c=%2F"),
    ("/bare/sub", "/bare/sub/"),
    ("/open/folder", "/open/folder/"),
    ("/open", "/open/"),
    ("/open?x", "/open/?x"),
    ("//folder", "/folder/"),
    ("/fol%64er", "/folder/"),
    ("//evil.example", "/evil.example/"),
    ("/%2Fevil.example", "/evil.example/"),
    ("/%2F%2Fevil.example?x", "/evil.example/?x"),
    ("/%5Cevil.example", "/%5Cevil.example/"),
    ("/open//evil.example", "/open/evil.example/"),
    ("/a%0D%0Ab", "/a%0D%0Ab/"),
    ("/d%C3%A4%22%3Cx", "/d%C3%A4%22%3Cx/"),
])
def test_redirect_to_the_slash(site, odd_folders, path, location):
    response = site.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    head = response.split(b"\r\n\r\n")[0].decode()
    assert head.startswith("HTTP/1.1 301 ")
    assert re.findall(r"^Location: (.*?)\r?$", head, re.M) == [location]


class Links(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.texts, self.tags = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "a":
            self.links.append(dict(attributes)["href"])
            self.texts.append("")

    def handle_data(self, data):
        if self.texts:
            self.texts[-1] += data


def test_listing(site):
    folder = site.www / "list"
    folder.mkdir()
    files = ["a.txt", "b<i>&amp;\"'.txt", "javascript:alert(1)", "c d?e#f%41.txt", "ümlaut", ".dot", "z" * 255]
    for name in files:
        (folder / name).write_bytes(name.encode())
        os.utime(folder / name, (MODIFIED, MODIFIED))
    (folder / "sub").mkdir()
    (folder / "link").symlink_to(site.dir / "secret")
    os.mkfifo(folder / "fifo")
    status, headers, body = site.get("/open/list/")
    page = Links(body.decode())
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    expected = ["../", "sub/"] + sorted(files + ["link"], key=lambda name: name.encode())
    modified = re.search(r"\d{4}-.{11}", page.texts[1])[0]
    assert [text.split("\n")[0] for text in page.texts][:2] == ["../", "sub/" + modified]
    assert [urllib.parse.unquote(link) for link in page.links] == expected
    assert "i" not in page.tags and ":" not in "".join(page.links)
    row = re.search(r"<tr><td><a href=\"a.txt\">.*", body.decode())[0]
    assert row == '<tr><td><a href="a.txt">a.txt</a></td><td>1994-11-06 08:49</td><td>5</td></tr>'
    assert re.search(r'>link</a></td><td></td><td></td>', body.decode())  # nothing is told about what it leads to
    for name, reference in zip(expected[2:], page.links[2:]):
        content = SECRET if name == "link" else name.encode()
        assert site.get("/open/list/" + reference)[2] == content
    assert site.request("HEAD", "/open/list/")[::2] == (200, b"")
    assert Links(site.get("/open/.well-known/")[2].decode()).links == ["../", ".private", "token"]
    assert "../" not in Links(site.get("/open/bare/")[2].decode()).links[1:]


def test_large_listing_is_streamed(daemon):
    """Clients that do not read hold the names, not pages of 5 MB each."""
    server = daemon("[static /]\nroot = www\nlisting = on\n", {"www/first": ""})
    names = [f"{n:05}" + "&" * 200 for n in range(3000)] + ["first"]
    for name in names[:-1]:
        (server.dir / "www" / name).touch()
    status, headers, body = server.get("/")
    assert status == 200 and headers["Content-Length"] is None and len(body) > 4 << 20
    assert [urllib.parse.unquote(link) for link in Links(body.decode()).links] == names
    before, socks = server.rss(), [server.connect() for _ in range(6)]
    for sock in socks:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for sock in socks:
        assert sock.recv(12) == b"HTTP/1.1 200"
    grown = server.rss() - before
    for sock in socks:
        sock.close()
    assert grown < 6 * (3 << 20) or server.sanitized, grown


# ---- nothing outside of the root ----

@pytest.mark.parametrize("mount", ["", "/open", "/never"])
@pytest.mark.parametrize("path", [
    "/../secret", "/folder/../../secret", "/%2e%2e/secret", "/%2E%2E%2Fsecret", "/..%2fsecret", "/.%2e/secret",
    "/%2e./secret",
    "//../secret", "/./../secret", "/folder/%2e%2e/%2e%2e/secret", "/..\\secret", "/..%5csecret", "/%2e%2e%5csecret",
    "/folder/..%5c..%5csecret", "/..%00/secret", "/secret%00.html", "/..%c0%afsecret", "/%c0%ae%c0%ae/secret",
    "/%252e%252e/secret", "/..;/secret", "/.../secret", "/../../../../../../../../etc/passwd", "/..", "/../",
    "/folder/..",
    "/etc/passwd", "//etc/passwd", "/%2Fetc/passwd", "/%2F%2Fetc%2Fpasswd",
])
def test_traversal(site, mount, path):
    response = site.raw(f"GET {mount}{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    status = int(response.split()[1])
    assert status in (400, 404)
    assert SECRET not in response and b"root:" not in response


def test_dots_that_stay_inside_are_refused_too(site):
    """Well-behaved clients resolve those themselves."""
    for path in ("/folder/../a.css", "/./a.css", "/open/./a.css"):
        answer = site.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert int(answer.split()[1]) in (400, 404)


def test_symlinks_inside(site, link):
    link("in", "folder/index.html")
    link("folder/up", "../a.css")
    link("folder/absolute", site.www / "a.css")
    link("over", "folder")
    assert site.get("/in")[2] == b"<p>folder\n"
    assert site.get("/folder/up")[2] == b"a {}\n"
    assert site.get("/folder/absolute")[2] == b"a {}\n"
    assert site.get("/over/")[2] == b"<p>folder\n"
    assert site.get("/over")[1]["Location"] == "/over/"


def test_symlinks_outside(site, link):
    outside = site.dir / "www-beside"  # the root's name is a prefix of it
    outside.mkdir()
    (outside / "file").write_bytes(SECRET)
    (outside / "index.html").write_bytes(SECRET)
    link("file", site.dir / "secret")
    link("relative", "../secret")
    link("beside", outside)
    link("twice", "relative")
    link("up", "..")
    for path in ("/file", "/relative", "/beside", "/beside/", "/beside/file", "/twice", "/up/secret", "/up/"):
        status, _, body = site.get(path)
        assert (status, SECRET in body) == (403, False), path
    site.wait_log(r"\[warn\].*a symbolic link leads from .*/www/relative out of the root, and follow-symlinks is off")
    for path in ("/open/file", "/open/relative", "/open/beside/file", "/open/beside/", "/open/twice",
                 "/open/up/secret"):
        assert site.get(path)[2] == SECRET, path


def test_symlinks_that_lead_nowhere(site, link):
    link("loop", "loop")
    link("dangling", "none")
    for mount in ("", "/open"):
        assert site.get(mount + "/loop")[0] == 403
        assert site.get(mount + "/dangling")[0] == 404


@pytest.mark.parametrize("path", ["/.env", "/.git/config", "/.git/", "/.git", "/.well-known/.private",
                                  "/folder/.well-known/x"])
def test_hidden(site, path):
    status, _, body = site.get(path)
    assert (status, SECRET in body) == (404, False)


def test_not_hidden(site):
    assert site.get("/.well-known/token")[2] == b"token\n"
    assert site.get("/open/.env")[2] == SECRET
    assert site.get("/open/.git/config")[2] == SECRET


def test_special_files(site, link):
    os.mkfifo(site.www / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(site.www / "sock"))
    link("zero", "/dev/zero")
    for path in ("/fifo", "/sock", "/zero", "/open/fifo", "/open/sock", "/open/zero"):
        assert site.get(path)[0] == 403, path
    site.wait_log(r"\[warn\].*cannot serve .*/www/fifo: Operation not supported")
    listener.close()


# ---- files that change, clients that stall, failures ----

def test_file_that_shrinks(site, new):
    path = new("shrinking")
    os.truncate(path, 256 << 20)  # more than the buffers of sockets hold
    with site.connect() as sock:
        sock.sendall(b"GET /shrinking HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"Content-Length: 268435456\r\n" in sock.recv(4096)
        os.truncate(path, 1 << 20)
        received = exchange(sock, b"")
    assert len(received) < 256 << 20
    site.wait_log(r"\[error\].*shrinking was cut short")
    assert site.get("/thousand.bin")[2] == THOUSAND


def test_slow_readers_hold_nobody_up(site, new):
    path = new("big")
    os.truncate(path, 1 << 30)
    stalled = []
    for _ in range(20):
        sock = site.connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(15) == b"HTTP/1.1 200 OK"
        stalled.append(sock)
    connection = site.http()
    for _ in range(100):
        connection.request("GET", "/thousand.bin")
        assert connection.getresponse().read() == THOUSAND
    connection.close()
    for sock in stalled:
        assert b"\0" * 1000 in exchange(sock, b"", until=b"\0" * 1000)  # it goes on where it was
        sock.close()


def test_root_that_is_exchanged(daemon):
    """A deployment by symbolic link: `current` points to another release, and to nothing for a moment."""
    server = daemon("[static /]\nroot = current\n", files={"one/f": "1", "two/f": "2", "current/f": "0"})
    current = server.dir / "current"
    assert server.get("/f")[2] == b"0"
    for release in ("one", "two"):
        current.rename(server.dir / ("before-" + release))
        assert server.get("/f")[0] == 200
        current.symlink_to(release)
        content = (server.dir / release / "f").read_bytes()
        server.wait_until(lambda: server.get("/f")[2] == content)


def test_failure_is_logged(site):
    """There is no free descriptor: 500, and the log says for which file and why."""
    connection = site.http()
    connection.request("GET", "/a.css")
    assert connection.getresponse().read() == b"a {}\n"
    worker, = site.worker_pids()
    before = resource.prlimit(worker, resource.RLIMIT_NOFILE, (3, resource.prlimit(worker, resource.RLIMIT_NOFILE)[1]))
    try:
        connection.request("GET", "/a.css")
        assert connection.getresponse().status == 500
    finally:
        resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
    site.wait_log(r"\[error\].*cannot open .*/www/a\.css: Too many open files \(errno 24\)")
    assert site.get("/a.css")[0] == 200
    connection.close()


@pytest.mark.parametrize("ini, complaint", [
    ("root = none", r"cannot open the root .*/none: No such file or directory"),
    ("root = file", r"cannot open the root .*/file: Not a directory"),
    ("root = .\nmime-types = bad.types", r"bad\.types:2: \"html\" is not a media type"),
    ("root = .\nmime-types = none.types", r"cannot read mime-types = .*none\.types: No such file"),
    ("root = .\nheader = nonsense", r"header = nonsense is not of the form \"Name: value\""),
])
def test_start_that_fails(run_server, ini, complaint):
    done = run_server(ini=f"[static /]\n{ini}\n", files={"file": "", "bad.types": "text/html html\nhtml htm\n"})
    assert done.returncode == 3
    assert re.search(complaint, done.stderr)


NO_MEMORY = """
#include <stdlib.h>
#include <string.h>
char *strndup(const char *s, size_t n)
{
    char *copy = n == 6 && !memcmp(s, "X-Last", 6) ? NULL : malloc(n + 1);
    if (copy) {
        strncpy(copy, s, n)[n] = 0;
    }
    return copy;
}
"""


def test_running_out_of_memory_ends_the_process_and_is_said(run_server, tmp_path):
    done = run_server(ini="[static /]\nroot = .\nheader = X-Last: straw\n",
                      env=preload(tmp_path / "memory.so", NO_MEMORY))
    assert done.returncode == 3
    assert "[error]" in done.stderr and "out of memory in a module" in done.stderr and "signal 6" in done.stderr


def test_field_the_server_refuses(daemon):
    server = daemon("[static /]\nroot = .\nheader = Content-Length: x\nheader = X: y\n", files={"f": "f"})
    status, headers, body = server.get("/f")
    assert (status, headers["X"], body) == (200, "y", b"f")
    server.wait_log(r'\[error\].*"Content-Length: x" is left out')


def test_descriptors_are_closed(site):
    worker, = site.worker_pids()
    etag = site.get("/thousand.bin")[1]["ETag"]

    def count():
        return len(os.listdir(f"/proc/{worker}/fd"))

    before = count()
    for _ in range(10):
        for path, fields in (("/thousand.bin", {}), ("/thousand.bin", {"If-None-Match": etag}), ("/folder", {}),
                             ("/folder/", {}),
                             ("/thousand.bin", {"Range": "bytes=0-0,500-500"}), ("/thousand.bin", {"If-Match": '"x"'}),
                             ("/bare/", {}), ("/open/bare/", {}), ("/page.js", {"Accept-Encoding": "br, gzip"}),
                             ("/none", {}),
                             ("/thousand.bin", {"Range": "bytes=5000-"})):
            site.get(path, fields)
    site.wait_until(lambda: count() <= before)
