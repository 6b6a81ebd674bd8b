"""examples/webapp2, with webapp2 from the registry: skipped where that cannot be reached."""
import concurrent.futures
import json
import subprocess
import time

import pytest

from conftest import BUILD, ROOT
from test_examples import FORM, MULTIPART, multipart, text

SECONDS = 120  # for the installation


def install(venv, executable):
    for step in ([executable, "-m", "venv", "--clear", venv],
                 [venv / "bin/python", "-m", "pip", "install", "-q", "webapp2==3.0.0b1"]):
        done = subprocess.run(step, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
        if done.returncode != 0:
            pytest.skip("cannot install webapp2: " + done.stdout.strip().split("\n")[-1])
    (venv / "complete").touch()


@pytest.fixture(scope="module")
def server(shared_daemon):
    command = [BUILD / "syncless-python", "-c", "import sys; print(sys.executable, *sys.version_info[:2])"]
    executable, major, minor = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.split()
    venv = BUILD / f"webapp2-{major}.{minor}"
    if not (venv / "complete").exists():
        install(venv, executable)
    ini = (ROOT / "examples/webapp2/syncless.ini").read_text().replace("127.0.0.1:8080", "127.0.0.1:0")
    code = (ROOT / "examples/webapp2/app.py").read_text()
    return shared_daemon(ini + f"virtualenv = {venv}\n", {"app.py": code})


@pytest.mark.limit(2 * SECONDS)
def test_greeting(server):
    assert text(server.get("/?name=you")) == "Hello from webapp2, you!\n"


def test_sleepers_sleep_side_by_side(server):
    text(server.get("/sleep"))
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: server.get("/sleep")[0], range(20)))
    assert answers == [200] * 20 and time.monotonic() - started < 4


def test_urls_and_forms(server):
    base = f"http://127.0.0.1:{server.port}"
    assert json.loads(text(server.get("/hello/you"))) == {"hello": "you", "url": f"{base}/hello/you"}
    status, headers, _ = server.request("POST", "/form", FORM, "name=A+B")
    assert (status, headers["Location"]) == (302, f"{base}/hello/A%20B")
    assert text(server.request("POST", "/upload", MULTIPART, multipart({"file": b"x" * 5000}))) == "5000"


def test_errors(server):
    assert server.get("/no/such/page")[0] == 404 and server.request("DELETE", "/")[0] == 405
    assert server.get("/error")[0] == 500
    server.wait_log("RuntimeError: the example's error")
