"""pip with a registry: the newest frameworks in virtualenvs of every CPython of this machine, the newest build tools,
uv. `make test-packaging` runs this after test_pip.py; where no registry can be reached, the tests are skipped."""
import pathlib
import subprocess

import pytest

from wheels import (DEBIAN, PYTHONS, ROOT, Served, clean, files_of, make_venv, pip, run, sdist, source, wheel)

pytestmark = pytest.mark.limit(600)
SECONDS = 500  # to download, and to build from source
FRAMEWORKS = ["flask", "django", "fastapi", "a2wsgi"]
APPS = {
    "flask_app.py": """
import flask, syncless, time
app = flask.Flask(__name__)
@app.get("/")
def index():
    time.sleep(0.2)
    return flask.render_template_string("Flask {{ version }} {{ syncless }}", version=flask.__name__,
                                        syncless=syncless.__version__)
""",
    "django_app.py": """
import django, time
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
def index(request):
    time.sleep(0.2)
    return HttpResponse("Django " + django.get_version())
urlpatterns = [path("", index)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of the test")
application = get_wsgi_application()
""",
    "fastapi_app.py": """
import asyncio, fastapi
from a2wsgi import ASGIMiddleware
app = fastapi.FastAPI()
@app.get("/")
async def index():
    await asyncio.sleep(0.2)
    return "FastAPI " + fastapi.__version__
wsgi = ASGIMiddleware(app)
""",
}


def install(python, venv, *packages):
    """Install packages from the registry, or skip the test."""
    done = subprocess.run([python, "-m", "pip", "--python", venv / "bin/python3", "install", "-q", *packages],
                          env=clean({}), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
    if done.returncode:
        pytest.skip(f"pip install {' '.join(packages)}: {done.stdout.strip().splitlines()[-1]}")


@pytest.fixture(scope="module", params=PYTHONS, ids=lambda path: "-".join(path.parts[-3:]))
def frameworks(request, wheel, tmp_path_factory):
    """A virtualenv with the wheel and the newest frameworks that there are for its Python."""
    venv = make_venv(request.param, tmp_path_factory.mktemp("venv") / "my venv")
    install(request.param, venv, *FRAMEWORKS)
    pip(request.param, venv, "install", "--no-index", wheel)
    return venv


@pytest.mark.parametrize("app, expected", [("flask_app:app", "Flask flask 0.1"), ("django_app:application", "Django "),
                                           ("fastapi_app:wsgi", '"FastAPI ')])
def test_newest_framework(frameworks, tmp_path, app, expected):
    """20 requests, each of which waits for 0.2 s."""
    with Served(tmp_path, [frameworks / "bin/syncless-server", app], APPS) as server:
        texts, seconds = server.get_all(["/"] * 20)
        assert all(text.startswith(expected) for text in texts), texts
        assert seconds < 2


def test_asgi_application_is_refused_by_name(frameworks, tmp_path):
    for name, text in APPS.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run([frameworks / "bin/syncless-server", "fastapi_app:app", "-b", "127.0.0.1:0"], cwd=tmp_path,
                          env=clean({}), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
    assert done.returncode == 4 and "fastapi_app:app is an ASGI application" in done.stdout


# ---- copies of the libraries of the server ----

COPIES = {
    "uvloop": """
import asyncio, uvloop
async def main():
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    process = await asyncio.create_subprocess_exec("echo", "x", stdout=-1)
    print(await process.communicate(), [len(await asyncio.get_running_loop().getaddrinfo("localhost", 80)) > 0])
uvloop.run(main())
""",
    "pycares": """
import pycares, socket, threading
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
def serve():
    query, client = server.recvfrom(512)
    end = query.index(b"\\0", 12) + 5
    answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\1\\2\\3\\4"
    server.sendto(query[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + query[12:end] + answer, client)
threading.Thread(target=serve, daemon=True).start()
channel = pycares.Channel(servers=["127.0.0.1:%d" % server.getsockname()[1]], timeout=5, tries=1)
done = threading.Event()
channel.query("example.org", pycares.QUERY_TYPE_A, callback=lambda *result: (print(result), done.set()))
print(done.wait(10), pycares.ARES_VERSION)
""",
    "httptools": """
import httptools
class Protocol:
    def on_header(self, name, value): print(name, value)
parser = httptools.HttpRequestParser(Protocol())
parser.feed_data(b"GET /x HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
print(parser.get_method(), parser.should_keep_alive())
""",
}


@pytest.mark.parametrize("name", COPIES)
def test_extension_with_a_copy_of_a_library(wheel, tmp_path, name):
    """It does the same as under python3: its calls do not find the functions of the server's libraries."""
    venv = make_venv(DEBIAN, tmp_path / "venv")
    install(DEBIAN, venv, name)
    pip(DEBIAN, venv, "install", "--no-index", wheel)
    expected, found = (run(venv / "bin" / program, "-c", COPIES[name]) for program in ("python3", "syncless-python"))
    assert found == expected and found


# ---- tools ----


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    venv = make_venv(DEBIAN, tmp_path_factory.mktemp("tools") / "venv")
    install(DEBIAN, venv, "build", "twine", "auditwheel", "uv", "mypy")
    return venv


def test_auditwheel_agrees(tools, wheel):
    platform = wheel.stem.split("-")[-1]
    shown = " ".join(run(tools / "bin/python3", "-m", "auditwheel", "show", wheel).split())
    assert f'is consistent with the following platform tag: "{platform}"' in shown, shown


def test_newest_build_tools(tools, source, wheel, tmp_path):
    """python -m build, with the newest hatchling in an environment of its own."""
    run(tools / "bin/python3", "-m", "build", "--outdir", tmp_path, source, timeout=SECONDS)
    made = {path.suffix: path for path in tmp_path.iterdir()}
    assert set(made) == {".gz", ".whl"} and made[".whl"].stem.split("-")[-1] == wheel.stem.split("-")[-1]
    assert "FAILED" not in run(tools / "bin/python3", "-m", "twine", "check", "--strict", *made.values())
    venv = make_venv(DEBIAN, tmp_path / "venv")
    pip(DEBIAN, venv, "install", "--no-index", made[".whl"])
    assert "\nbridge: " in run(venv / "bin/syncless-server", "-v")


def test_pip_install_of_a_clone(tools, tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    run("git", "clone", "-q", ROOT, tmp_path / "clone")
    venv = make_venv(DEBIAN, tmp_path / "venv")
    pip(DEBIAN, venv, "install", tmp_path / "clone", timeout=SECONDS)
    assert "\nbridge: " in run(venv / "bin/syncless-server", "-v")
    assert run("git", "-C", tmp_path / "clone", "status", "--short") == ""


def test_uv(tools, wheel, tmp_path):
    venv, uv = tmp_path / "venv", tools / "bin/uv"
    run(uv, "venv", "--offline", "--python", PYTHONS[0], venv)
    before = files_of(venv)
    run(uv, "pip", "install", "--offline", "--no-index", "--python", venv, wheel,
        env={"UV_CACHE_DIR": tmp_path / "cache"})
    with Served(tmp_path, [venv / "bin/syncless-server", "app:application"]) as server:
        assert server.get("/")[2].decode().split("\n")[0] == f"{venv}/bin/python3"
    run(uv, "pip", "uninstall", "--python", venv, "syncless")
    assert files_of(venv) - before <= {".lock"}  # uv's own


def test_types_in_the_newest_mypy(tools, wheel, tmp_path):
    venv = make_venv(DEBIAN, tmp_path / "venv")
    pip(DEBIAN, venv, "install", "--no-index", wheel)
    run(tools / "bin/python3", "-m", "mypy", "--strict", "--python-executable", venv / "bin/python3", "--cache-dir",
        tmp_path / "cache", ROOT / "tests/types/uses.py", cwd=tmp_path, timeout=120)
