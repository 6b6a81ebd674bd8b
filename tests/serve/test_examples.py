"""The examples and the demo site, served as their READMEs say, with the system's packages of the frameworks."""
import base64
import concurrent.futures
import http.cookies
import json
import re
import shutil
import subprocess
import time
import urllib.parse

import pytest

from conftest import BUILD, ROOT
from databases import Postgres

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
BOUNDARY = "xxBOUNDARYxx"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.fixture(scope="module")
def example(shared_daemon, tmp_path_factory):
    """example(name) -> the daemon that serves examples/NAME/syncless.ini, started once."""
    started = {}
    env = {"GUESTBOOK_DB": tmp_path_factory.mktemp("django") / "guestbook.sqlite3"}

    def start(name):
        if name not in started:
            ini = ROOT / ("syncless.ini" if name == "demo" else f"examples/{name}/syncless.ini")
            args = ["-c", ini, "-o", "server.bind=127.0.0.1:0", "-o", "server.workers=1"]
            started[name] = shared_daemon(None, args=args, env=env)
        return started[name]
    return start


def text(answer):
    """The body of an answer, whose status must be 200."""
    status, headers, body = answer
    assert status == 200, answer
    return body.decode()


def multipart(files):
    """The body of a multipart form with the given files."""
    part = "--" + BOUNDARY + '\r\nContent-Disposition: form-data; name="{0}"; filename="{0}"\r\n\r\n'
    parts = [part.format(name).encode() + data + b"\r\n" for name, data in files.items()]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


FRAMEWORKS = ["django", "flask", "bottle", "webpy", "cherrypy", "webob", "basehttp"]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_sleepers_sleep_side_by_side(example, name):
    """20 requests of half a second each, in one worker, in far less than ten seconds."""
    server = example(name)
    text(server.get("/sleep"))
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: server.get("/sleep")[0], range(20)))
    assert answers == [200] * 20 and time.monotonic() - started < 4


@pytest.mark.parametrize("name", ["flask", "bottle", "webpy", "cherrypy", "webob", "basehttp"])
def test_greeting(example, name):
    assert "Hello from" in text(example(name).get("/"))


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_missing_page(example, name):
    assert example(name).get("/no/such/page")[0] == 404


# ---- Flask ----


def test_flask_session(example):
    server = example("flask")
    cookie = server.get("/")[1]["Set-Cookie"].split(";")[0]
    assert "visit 2" in text(server.get("/", {"Cookie": cookie}))


def test_flask_urls_are_the_clients(example):
    server = example("flask")
    assert json.loads(text(server.get("/hello/J%C3%BCrgen"))) == {
        "hello": "Jürgen", "url": f"http://127.0.0.1:{server.port}/hello/J%C3%BCrgen"}


def test_flask_form_and_upload(example):
    server = example("flask")
    status, headers, _ = server.request("POST", "/form", FORM, "name=A+B")
    assert (status, headers["Location"]) == (302, "/hello/A%20B")
    sizes = {"a": b"x" * 100000, "b": b""}
    assert json.loads(text(server.request("POST", "/upload", MULTIPART, multipart(sizes)))) == {"a": 100000, "b": 0}


def test_flask_file_ranges_and_conditions(example):
    server = example("flask")
    assert server.get("/file", {"Range": "bytes=2-4"})[::2] == (206, b"234")
    assert server.get("/file", {"If-None-Match": '"ten"'})[::2] == (304, b"")


def test_flask_error_is_a_page_and_a_traceback_in_the_log(example):
    server = example("flask")
    assert server.get("/error")[0] == 500
    server.wait_log("RuntimeError: the example's error")


# ---- Bottle, web.py, CherryPy, WebOb, BaseHTTPRequestHandler ----


def test_bottle(example):
    server = example("bottle")
    assert "&lt;me&gt;" in text(server.get("/", {"User-Agent": "<me>"}))
    assert json.loads(text(server.request("POST", "/sum", JSON, "[1, 2, 3]"))) == {"sum": 6}
    assert http.cookies.SimpleCookie(server.get("/cookie/x")[1]["Set-Cookie"])["name"].value == "x"
    assert server.get("/teapot")[0] == 418


def test_webpy(example):
    server = example("webpy")
    assert text(server.get("/?name=you")) == "Hello from web.py, you!\n"
    assert server.request("POST", "/echo", {}, b"\x00\xff" * 5000)[2] == b"\x00\xff" * 5000
    status, headers, _ = server.get("/old")
    assert status == 303 and headers["Location"] == f"http://127.0.0.1:{server.port}/?name=moved"


def test_cherrypy(example):
    server = example("cherrypy")
    assert text(server.get("/?name=you")) == "Hello from CherryPy, you!\n"
    assert json.loads(text(server.request("POST", "/sum", JSON, "[4, 5]"))) == {"sum": 9}
    assert server.get("/gone")[0] == 410


def test_webob(example):
    server = example("webob")
    assert json.loads(text(server.request("POST", "/upload", MULTIPART, multipart({"f": b"abc"})))) == {"f": 3}
    assert server.get("/ranges", {"Range": "bytes=-3"})[::2] == (206, b"789")
    assert server.get("/ranges", {"If-None-Match": '"ten"'})[::2] == (304, b"")


def test_basehttp(example):
    server = example("basehttp")
    assert server.request("POST", "/", {}, "shout")[2] == b"SHOUT"
    assert server.request("DELETE", "/")[0] == 501


@pytest.mark.parametrize("name", ["flask", "bottle", "cherrypy", "basehttp"])
def test_stream_arrives_in_pieces(example, name):
    """The first line arrives before the last one is produced."""
    connection = example(name).http()
    connection.request("GET", "/stream")
    response = connection.getresponse()
    first, started = response.readline(), time.monotonic()
    rest = response.read()
    assert first.endswith(b" 0\n") and rest.count(b"\n") == 2 and time.monotonic() - started > 0.15
    connection.close()


# ---- Django ----


class Browser:
    """Keeps cookies and the CSRF token between requests."""

    def __init__(self, server):
        self.server, self.cookies, self.page = server, {}, ""

    def send(self, method, path, form=None):
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.page)
            form = urllib.parse.urlencode({**form, "csrfmiddlewaretoken": token[1] if token else ""})
            headers.update(FORM)
        status, fields, body = self.server.request(method, path, headers, form)
        for field in fields.get_all("Set-Cookie", []):
            for name, morsel in http.cookies.SimpleCookie(field).items():
                self.cookies[name] = morsel.value
        self.page = body.decode()
        return status, fields


def test_django_guestbook(example):
    browser = Browser(example("django"))
    assert browser.send("GET", "/")[0] == 200 and "Nobody has written yet." in browser.page
    status, fields = browser.send("POST", "/", {"name": "<Ann>", "text": "one\ntwo"})
    assert (status, fields["Location"]) == (302, "/")
    browser.send("GET", "/")
    assert "Thank you, &lt;Ann&gt;." in browser.page and "one<br>two" in browser.page and "Visit 2 " in browser.page
    assert json.loads(text(browser.server.get("/entry/1/"))) == {"name": "<Ann>", "text": "one\ntwo"}
    assert text(browser.server.get("/entries.csv")).startswith("1,<Ann>,")


def test_django_refuses_a_form_without_its_token(example):
    assert example("django").request("POST", "/", FORM, "name=x&text=y")[0] == 403


def test_django_file_response(example):
    server = example("django")
    assert text(server.get("/source")) == (ROOT / "examples/django/guestbook/views.py").read_text()


def test_django_error(example):
    server = example("django")
    assert server.get("/error")[0] == 500
    server.wait_log("RuntimeError: the example's error")


def test_django_admin(example):
    """Django's own views: log in, list, add, change, delete, log out, with the style sheets from the static module."""
    server = example("django")
    make_superuser(server)
    browser = Browser(server)
    status, fields = browser.send("GET", "/admin/")
    assert (status, fields["Location"]) == (302, "/admin/login/?next=/admin/")
    browser.send("GET", "/admin/login/?next=/admin/")
    sheet = re.search(r'href="(/static/admin/css/base\.css)"', browser.page)[1]
    assert server.get(sheet)[1]["Content-Type"].startswith("text/css")
    assert browser.send("POST", "/admin/login/?next=/admin/", {"username": "root", "password": "wrong"})[0] == 200
    assert browser.send("POST", "/admin/login/?next=/admin/", {"username": "root", "password": "secret"})[0] == 302
    for path in ("/admin/", "/admin/guestbook/entry/", "/admin/auth/user/", "/admin/jsi18n/",
                 "/admin/guestbook/entry/add/"):
        assert browser.send("GET", path)[0] == 200, path
    assert browser.send("POST", "/admin/guestbook/entry/add/", {"name": "Admin", "text": "written"})[0] == 302
    browser.send("GET", "/admin/guestbook/entry/?q=Admin")
    number = re.search(r"/admin/guestbook/entry/(\d+)/change/", browser.page)[1]
    browser.send("GET", f"/admin/guestbook/entry/{number}/delete/")
    assert browser.send("POST", f"/admin/guestbook/entry/{number}/delete/", {"post": "yes"})[0] == 302
    browser.send("GET", "/admin/guestbook/entry/add/")  # a page with a CSRF token
    assert browser.send("POST", "/admin/logout/", {})[0] == 200  # Django 5 takes no GET for that


def make_superuser(server):
    """With the project's own manage.py, in the database that the server has open."""
    env = dict(item.split("=", 1) for item in open(f"/proc/{server.pid}/environ").read().split("\0") if "=" in item)
    env.update({"DJANGO_SUPERUSER_PASSWORD": "secret"})
    subprocess.run(["/usr/bin/python3", ROOT / "examples/django/manage.py", "createsuperuser", "--noinput",
                    "--username", "root", "--email", "root@example.org"], env=env, check=True, timeout=30)


def test_django_orm_from_many_requests_at_once(example):
    server = example("django")
    before = text(server.get("/entries.csv")).count("\n")

    def write(number):
        browser = Browser(server)
        browser.send("GET", "/")
        return browser.send("POST", "/", {"name": f"writer {number}", "text": "x"})[0]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(write, range(48))) == [302] * 48
    assert text(server.get("/entries.csv")).count("\n") == before + 48


# ---- the C handler over libpq ----


@pytest.fixture
def libpq(daemon, tmp_path):
    """examples/libpq, built, and served with a PostgreSQL server of its own."""
    folder = shutil.copytree(ROOT / "examples/libpq", tmp_path / "libpq")
    subprocess.run(["make", "-C", folder, f"SYNCLESS=-I{ROOT}/include"], check=True, capture_output=True, timeout=30)
    postgres = Postgres()
    try:
        args = ["-c", folder / "syncless.ini", "-o", "server.bind=127.0.0.1:0", "-o", f"server.module-path={folder}"]
        yield daemon(None, args=args, env=postgres.env)
    finally:
        postgres.end()


def test_libpq_queries_run_side_by_side(libpq):
    """40 queries of 0.3 s that libpq waits for in plain blocking style, in one worker and one OS thread."""
    text(libpq.get("/tables"))
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda number: text(libpq.get(f"/sleep?{number}")), range(40)))
    assert time.monotonic() - started < (10 if libpq.sanitized else 3)
    assert all(answer.rstrip("\n").endswith(f"\t{number}") for number, answer in enumerate(answers))


# ---- the filter in C ----


@pytest.fixture(scope="module")
def filter_example(tmp_path_factory):
    """A copy of examples, with examples/filter made, as its README says."""
    folder = shutil.copytree(ROOT / "examples", tmp_path_factory.mktemp("filter") / "examples")
    subprocess.run(["make", "-C", folder / "filter", f"SYNCLESS=-I{ROOT}/include"],
                   check=True, capture_output=True, timeout=30)
    return folder / "filter"


def basic(credentials):
    return {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}


def module_path(folder):
    return ["-o", f"server.module-path={folder}"]


def test_filter_example(daemon, filter_example):
    args = ["-c", filter_example / "syncless.ini", "-o", "server.bind=127.0.0.1:0", "-o", "server.workers=1",
            *module_path(filter_example)]
    server = daemon(None, args=args)
    assert server.get("/demo.css")[0] == 200
    status, headers, body = server.get("/admin/env/")
    assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="the administration", charset="UTF-8"')
    assert "\nREMOTE_USER=ann\n" in text(server.get("/admin/env/", basic("ann:secret")))
    assert server.get("/admin/nothing", basic("bob:hidden"))[0] == 404
    server.wait_log(r' - bob \[.*"GET /admin/nothing')


USERS = """
def app(environ, start_response):
    start_response('200 OK', [])
    return [environ.get('REMOTE_USER', 'nobody').encode()]
"""


def test_filter_example_in_front_of_an_application(daemon, filter_example):
    users = {"a": "a:", "ab": "ab:x", "abc": "abc:xy", "Ünï": "Ünï:pässwörd:with:colons"}
    ini = ("[auth /]\n" + "".join(f"user = {user}\n" for user in users.values())
           + "[wsgi /]\napp = app:app\n[static /files]\nroot = files\n")
    server = daemon(ini, {"app.py": USERS, "files/f": "file"}, args=module_path(filter_example))
    for name, credentials in users.items():
        assert text(server.get("/", basic(credentials))).encode("latin-1").decode() == name
        assert text(server.get("/files/f", basic(credentials))) == "file"
    assert [server.get(path)[0] for path in ("/", "/files/f", "/files/none")] == [401] * 3
    connection = server.http()
    for headers in (basic("a:x"), basic("ab:"), {"Authorization": "Bearer YTo="}, {"Authorization": "Basic"},
                    basic("ab:x")):
        connection.request("GET", "/files/f", headers=headers)
        response = connection.getresponse()
        response.read()
    assert response.status == 200
    connection.close()


def test_wrong_passwords_wait_side_by_side(daemon, filter_example):
    server = daemon("[auth /]\nuser = a:b\n[hello /]\n", args=module_path(filter_example))
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        statuses = list(pool.map(lambda number: server.get("/", basic(f"a:{number}"))[0], range(100)))
    assert statuses == [401] * 100
    assert 1 <= time.monotonic() - started < (20 if server.sanitized else 5)


# ---- the demo site ----


def test_every_link_of_the_demo_works(example):
    server = example("demo")
    page = text(server.get("/"))
    links = set(re.findall(r'(?:href|src)="([^":]+)"', page))
    assert len(links) >= 7 and "/app/live" in links
    for link in links - {"/app/live"}:  # that one never ends: test_demo_live_numbers
        assert server.get(urllib.parse.urljoin("/", link))[0] == 200, link
    assert not re.search(r'(href|src)="https?://', page)


def test_demo_command_of_1000_sleepers(example, many_files):
    """The command of the page, run by the shell."""
    server = example("demo")
    page = text(server.get("/"))
    command = re.search(r'<pre id="command">(.*?)</pre>', page, re.S)[1]
    command = command.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{server.port}").replace("time ", "", 1)
    started = time.monotonic()
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=50)
    assert done.stdout.split() == ["1000", "200"], done
    assert time.monotonic() - started < (20 if server.sanitized else 5)


def test_demo_live_numbers(example):
    connection = example("demo").http()
    connection.request("GET", "/app/live")
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "text/event-stream"
    states = []
    while len(states) < 3:
        line = response.readline()
        if line.startswith(b"data: "):
            states.append(json.loads(line[6:]))
    assert all(state["megabytes"] > 1 for state in states)
    connection.close()


def test_demo_shows_the_configuration_it_has(example):
    """What the page shows of syncless.ini is what the file has, apart from comments."""
    shown = re.search(r"<pre>(\[server\].*?)</pre>", text(example("demo").get("/")), re.S)[1]
    real = [line.partition(";")[0].strip() for line in (ROOT / "syncless.ini").read_text().splitlines()]
    real = [line for line in real if line and not line.startswith("workers")]
    assert [line for line in shown.splitlines() if line] == real
