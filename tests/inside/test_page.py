"""The page of [status]: what it shows in a browser, and what other pages cannot do by it."""
import json
import pathlib
import re
import threading

import pytest

from browser import CHROMIUM, Browser
from conftest import TIMEOUT, wait_until

WAITS = (pathlib.Path(__file__).parent / "waits.py").read_text()
INI = """
[server]
workers = 2
shutdown-timeout = 100ms
[status /_status]
allow = 127.0.0.1
{status}
[wsgi /]
app = waits:app
env = TOKEN=hidden-from-everybody
"""
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ACTION = {"X-Syncless-Action": "cancel"}


@pytest.fixture
def serve(daemon):
    socks = []

    def start(status="allow-cancel = 127.0.0.1", **options):
        running = daemon(INI.format(status=status), {"waits.py": WAITS}, **options)
        running.wait_log("#0 all workers are ready")
        running.begin = lambda target: begin(running, target)
        return running

    def begin(running, target):
        sock = running.connect()
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        socks.append(sock)
        return sock
    yield start
    for sock in socks:
        sock.close()


@pytest.fixture
def browse(tmp_path):
    """browse(url, ...) -> a browser with that page."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium")
    opened = []

    def start(url, **options):
        opened.append(Browser(tmp_path / f"chromium{len(opened)}", **options))
        opened[-1].open(url)
        return opened[-1]
    yield start
    for browser in opened:
        browser.close()


def url_of(server):
    return f"http://127.0.0.1:{server.port}/_status"


def path_of_request(server, target):
    """The ID of the request, which runs."""
    answer = json.loads(server.get("/_status/requests")[2])
    return next((request["id"] for worker in answer["workers"] for request in worker["requests"]
                 if request["target"] == target), None)


# ---- without a browser ----


def test_browsers_get_the_page_and_programs_json(serve):
    server = serve()
    for path in ("/_status", "/_status/"):
        status, fields, body = server.get(path, HTML)
        assert (status, fields["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert server.get(path, {"Accept": "*/*"})[1]["Content-Type"] == "application/json"
        assert fields["X-Content-Type-Options"] == "nosniff" and fields["Cache-Control"] == "no-store"
    nonce = re.search(r"script-src 'nonce-(\w{32})'", fields["Content-Security-Policy"])[1]
    assert fields["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert body.decode().count(f'nonce="{nonce}"') == 2
    again = server.get("/_status", HTML)
    assert nonce not in again[1]["Content-Security-Policy"] and nonce.encode() not in again[2]
    for foreign in (rb"https?://(?!www\.w3\.org/2000/svg)", rb"@\w+@", rb"innerHTML", rb"\son\w+=", rb"style=\""):
        assert not re.search(foreign, body), foreign
    assert server.request("HEAD", "/_status", HTML)[1]["Content-Length"] == str(len(body))


def test_others_get_no_page(serve):
    server = serve("allow = 10.0.0.0/8\nallow-cancel = 127.0.0.1".replace("allow = 10", "allow-probes = 10"))
    assert server.get("/_status", HTML)[0] == 200
    foreign = serve("auth = me:secret")
    status, fields, body = foreign.get("/_status", HTML)
    assert status == 401 and b"script" not in body
    assert foreign.get("/_status", {**HTML, "Authorization": "Basic bWU6c2VjcmV0"})[0] == 200


def test_only_our_own_page_may_cancel(serve):
    server = serve()
    sock = server.begin("/lock?60")
    request = wait_until(lambda: path_of_request(server, "/lock?60"))
    host, path = f"127.0.0.1:{server.port}", f"/_status/cancel/{request}"
    refused = [{}, {"Sec-Fetch-Site": "same-origin"},  # without our field
               {**ACTION, "Sec-Fetch-Site": "cross-site"}, {**ACTION, "Sec-Fetch-Site": "same-site"},
               {**ACTION, "Sec-Fetch-Site": "none"},
               {**ACTION, "Origin": "http://evil.example"}, {**ACTION, "Origin": "null"}, {**ACTION, "Origin": ""},
               {**ACTION, "Origin": f"http://{host}.evil.example"}, {**ACTION, "Origin": f"http://evil.example/{host}"},
               {**ACTION, "Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
               {**ACTION, "Host": "127.0.0.1.evil.example"}, {**ACTION, "Host": "1.2.3.4.evil.example"}]
    for headers in refused:
        status, fields, body = server.request("POST", path, headers)
        assert (status, fields["Content-Type"]) == (403, "application/json"), (headers, body)
    for method in ("GET", "HEAD", "PUT", "OPTIONS"):
        status, fields, _ = server.request(method, path, ACTION)
        assert (status, fields["Allow"]) == (405, "POST"), method
    assert not [name for name in fields if name.lower().startswith("access-control-")]
    for wrong in ("1.1", "0", "", "../status", f"{request}x"):
        assert server.request("POST", f"/_status/cancel/{wrong}", ACTION)[0] in (404, 405), wrong
    assert path_of_request(server, "/lock?60") == request
    status, _, body = server.request("POST", path, {**ACTION, "Origin": f"http://{host}"})
    assert (status, body) == (200, b'{"version":1,"done":"cancelled"}\n')
    assert sock.recv(100).startswith(b"HTTP/1.1 503 ")
    server.wait_log(rf"cancels request {request}")
    assert server.request("POST", path, ACTION)[0] == 404


@pytest.mark.parametrize("status, host, code", [
    ("", "127.0.0.1", 403),  # nobody by default
    ("allow-cancel = 10.0.0.0/8", "127.0.0.1", 403),
    ("allow-cancel = 127.0.0.1", "status.example", 403),  # a name that may be anybody's
    ("allow-cancel = 127.0.0.1", "localhost:80", 404), ("allow-cancel = 127.0.0.1", "[::1]:80", 404),
    ("allow-cancel = 127.0.0.1\nauth = me:secret", "status.example", 404)])
def test_who_may_cancel(serve, status, host, code):
    server = serve(status)
    headers = {**ACTION, "Host": host, "Authorization": "Basic bWU6c2VjcmV0"}
    assert server.request("POST", "/_status/cancel/1.1", headers)[0] == code
    if "auth" in status:
        assert server.request("POST", "/_status/cancel/1.1", {**headers, "Authorization": "Basic eA=="})[0] == 401


def test_about_has_no_secrets(serve):
    server = serve("auth = me:secret-word")
    status, _, body = server.get("/_status/about", {"Authorization": "Basic bWU6c2VjcmV0LXdvcmQ="})
    about = json.loads(body)
    assert status == 200 and about["versions"]["syncless-server"]
    assert about["versions"]["python"].startswith("CPython 3.")
    assert "secret-word" not in body.decode() and "hidden-from-everybody" not in body.decode()
    assert "auth = me:*** ; " in about["configuration"] and "env = TOKEN=*** ; " in about["configuration"]
    assert "\nworkers = 2 ; " in about["configuration"]


def test_paths_take_filters(serve):
    server = serve()
    for _ in range(4):
        server.begin("/lock?60")
    wait_until(lambda: path_of_request(server, "/lock?60"))

    def count(query):
        answer = json.loads(server.get(f"/_status/requests{query}")[2])
        return max(len(worker["requests"]) for worker in answer["workers"])
    assert count("?limit=1") == 1 and count("?older=1h&limit=5") == 0
    request = path_of_request(server, "/lock?60")
    answer = json.loads(server.get(f"/_status/trace/{request}")[2])
    assert [r["id"] for worker in answer["workers"] for r in worker["requests"]] == [request]
    for bad in ("?limit=x", "?limit", "?older=5x", "?a=b", "?limit=1&limit=2&limit=3", "?" + "x" * 2000):
        assert server.get(f"/_status/requests{bad}")[0] == 400, bad
    assert server.get("/_status/status?x=y")[0] == 400 and server.get("/_status/trace/x")[0] == 404


# ---- in Chromium ----


def test_charts_move_and_a_request_is_cancelled(serve, browse):
    server = serve()
    browser = browse(url_of(server))
    wait_until(lambda: browser.run("document.body?.dataset.state") == "serving")
    load = threading.Event()

    def ask_all():
        connection = server.http()
        while not load.wait(0.005):
            connection.request("GET", "/sleep?0.002")
            connection.getresponse().read()
    thread = threading.Thread(target=ask_all)
    thread.start()
    try:
        curve = ("[...document.querySelectorAll('[data-chart=\"{}\"] svg .{}')]"
                 ".map(path => path.getAttribute('d')).join()")
        for title, kind in (("Requests per second", "area"), ("Duration", "curve"), ("Workers", "area"),
                            ("CPU and waits, seconds per second", "area")):
            script = curve.format(title, kind)
            before = wait_until(lambda: len(browser.run(script)) > 20 and browser.run(script))
            wait_until(lambda: browser.run(script) != before)
        tile = "document.querySelector('#tiles dd').textContent"
        wait_until(lambda: re.match(r"[1-9]", browser.run(tile)))
        label = "document.querySelector('[data-chart=\"Requests per second\"] svg').getAttribute('aria-label')"
        assert re.match(r"Requests per second, now: .*2xx \d", browser.run(label))
    finally:
        load.set()
        thread.join()
    sock = server.begin("/lock?60&%3Cb%3E<i>")
    row = ("[...document.querySelectorAll('#requests .open')]"
           ".find(row => row.textContent.includes('/lock?60&%3Cb%3E<i>'))")
    wait_until(lambda: browser.run(f"!!{row}"))
    browser.run(f"{row}.click()")
    text = "document.querySelector('#requests .detail')?.innerText || ''"
    wait_until(lambda: re.search(r"waits\.py\", line \d+ in wait_for_lock", browser.run(text)))
    wait_until(lambda: "/lock?60" in browser.run("document.querySelector('#slow').innerText"))  # after a second
    button = "document.querySelector('#requests .detail button')"
    browser.run(f"{button}.click()")
    assert "Really" in browser.run(f"{button}.textContent") and path_of_request(server, "/lock?60&%3Cb%3E<i>")
    browser.run(f"{button}.click()")
    assert sock.recv(100).startswith(b"HTTP/1.1 503 ")
    wait_until(lambda: "It has ended" in browser.run(text))
    assert "ended" in browser.run("document.querySelector('#slow').innerText")
    browser.run("document.querySelector('#about summary').click()")
    wait_until(lambda: "workers = 2" in browser.run("document.querySelector('#about').innerText"))
    assert browser.errors == []


def test_stuck_workers_and_phones(serve, browse):
    server = serve("")
    browser = browse(url_of(server), width=390, height=800, dark=True)
    wait_until(lambda: browser.run("document.body?.dataset.state") == "serving")
    server.begin("/hog?" + "x" * 300)
    shown = "document.querySelector('#workers').innerText"
    wait_until(lambda: re.search(r"stuck\s+GET /hog", browser.run(shown)), 2 * TIMEOUT)
    sock = server.begin("/sleep?60&" + "y" * 300)
    wait_until(lambda: browser.run("document.querySelectorAll('#requests .open').length") > 0)
    browser.run("document.querySelector('#requests .open').click()")
    assert not browser.run("!!document.querySelector('button.danger')")  # nobody may cancel
    assert browser.run("document.documentElement.scrollWidth") <= 390
    assert browser.run("""[...document.querySelectorAll('button, input, select, svg')].every(element =>
        element.labels?.length || element.textContent || element.getAttribute('aria-label'))""")
    assert browser.errors == []
    sock.close()


def test_it_goes_on_after_a_restart(serve, browse):
    server = serve()
    browser = browse(url_of(server))
    state = "document.body?.dataset.state"
    wait_until(lambda: browser.run(state) == "serving")
    server.stop()
    wait_until(lambda: browser.run(state) == "disconnected")
    again = serve(args=["-b", f"127.0.0.1:{server.port}"])
    wait_until(lambda: browser.run(state) == "serving")
    assert str(again.pid) in browser.run("document.querySelector('#facts').textContent")
