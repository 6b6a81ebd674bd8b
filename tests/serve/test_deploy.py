"""What README.md and docs/deploy.md promise: nginx in front, `make install`, units, modules for the header."""
import concurrent.futures
import fnmatch
import os
import pathlib
import queue
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from conftest import BUILD, ROOT, TIMEOUT
from nginx import documented

APP = """
import time
def app(environ, start_response):
    if environ['PATH_INFO'] == '/big':
        start_response('200 OK', [])
        return (b'x' * 65536 for _ in range(64))
    body = environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('X-Host', environ['HTTP_HOST'])])
    return [b'%d bytes' % len(body)]
"""


@pytest.mark.parametrize("page", ["README.md", "docs/deploy.md"])
def test_behind_nginx(daemon, tmp_path, page):
    server = daemon("[server]\nbind = unix:%(here)/shop.sock\n[limits]\nmax-body-size = 20m\n"
                    "[wsgi /]\napp = shop:app\npythonpath = %(here)\n", {"shop.py": APP})
    nginx = documented(tmp_path, server.path, page)
    try:
        for size in (0, 10, 100000, 5000000):
            status, headers, body = nginx.request("POST", "/", {"Host": "shop.example"}, b"x" * size)
            assert (status, body, headers["X-Host"]) == (200, b"%d bytes" % size, "shop.example")
        assert len(nginx.get("/big")[2]) == 64 * 65536
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: nginx.get("/"), range(160), timeout=TIMEOUT))
        assert [(status, body) for status, _, body in answers] == [(200, b"0 bytes")] * 160
    finally:
        nginx.end()


ENDLESS = """
import time
def app(environ, start_response):
    seen = [environ.get(name) for name in ('HTTP_HOST', 'REMOTE_ADDR', 'wsgi.url_scheme', 'HTTP_ORIGIN')]
    if environ['PATH_INFO'] == '/ws':
        ws = environ['syncless.websocket']()
        ws.send(repr([*seen, ws.recv()]))
        return []
    start_response('200 OK', [('Content-Type', 'text/event-stream')])
    def events():
        yield b'data: %s\\n\\n' % repr(seen).encode()
        time.sleep(30)
    return events()
"""


def receive_until(sock, end):
    received = b""
    while end not in received:
        received += sock.recv(1000)
    return received


def test_streams_and_websockets_behind_nginx(daemon, tmp_path):
    """By the blocks of deploy.md: the first event comes before the last, the handshake passes, and in both places the
    application sees the client and the host: not nginx, nor what the client says of itself."""
    server = daemon("[server]\nbind = unix:%(here)/shop.sock\ntrusted-proxies = unix\nshutdown-timeout = 500ms\n"
                    "[wsgi /]\napp = shop:app\n", {"shop.py": ENDLESS})
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    nginx = documented(tmp_path, server.path, "docs/deploy.md", f"listen 127.0.0.1:{port};")
    head = b"GET %s HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 203.0.113.9\r\nOrigin: http://a\r\n%s\r\n"
    upgrade = (b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
    try:
        for path, fields, end in ((b"/events", b"", b"\n\n"), (b"/ws", upgrade, b"hello']")):
            with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
                sock.sendall(head % (path, fields))
                if fields:
                    assert receive_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
                    sock.sendall(b"\x81\x85\0\0\0\0hello")
                received = receive_until(sock, end)
            assert b"['shop.example', '127.0.0.1', 'http', 'http://a'" in received, received
    finally:
        nginx.end()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The PREFIX of a `make install`, from a copy of the build folder in which only what must be is made again."""
    folder = tmp_path_factory.mktemp("install")
    build = shutil.copytree(BUILD, folder / "build", ignore=shutil.ignore_patterns("sources", "tests"))
    made_in = str(BUILD.relative_to(ROOT) if ROOT in BUILD.parents else BUILD)
    for path in build.rglob("*.d"):  # they name the folder they were made in
        path.write_text(path.read_text().replace(made_in, str(build)))
    command = ["make", "-C", ROOT, f"BUILD={build}", f"PREFIX={folder}/usr", "install"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return folder / "usr"


def check(installed, ini):
    done = subprocess.run([installed / "sbin/syncless-server", "--check", "-c", ini], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_installed_server_finds_its_modules(installed, tmp_path):
    ini = tmp_path / "a.ini"
    ini.write_text("[hello /]\n[static /static/]\nroot = .\n[wsgi /app]\napp = a:a\n[cgi /cgi]\nroot = .\n")
    check(installed, ini)


def test_installed_example_configuration_works(installed):
    check(installed, installed / "share/doc/syncless/syncless.ini")
    assert os.access(installed / "share/doc/syncless/examples/demo/cgi/env.sh", os.X_OK)


def test_installed_python_finds_its_module_and_library(installed):
    code = "import sys, _syncless, email; print(sys.executable, sys.prefix in email.__file__)"
    done = subprocess.run([installed / "bin/syncless-python", "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == f"{installed}/bin/syncless-python True\n", done.stderr


def test_debian_packages_have_every_installed_file(installed):
    lists = [path.read_text().splitlines() for path in (*(ROOT / "debian").glob("*.install"),
                                                        ROOT / "debian/not-installed")]
    patterns = [line.split()[0].replace("/${DEB_HOST_MULTIARCH}", "")
                for lines in lists for line in lines if line.startswith("usr/")]
    paths = [f"usr/{path.relative_to(installed)}" for path in installed.rglob("*") if path.is_file()]
    assert len(paths) > 50
    for path in paths:
        names = [path, *map(str, pathlib.PurePath(path).parents)]
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns for name in names), path


# ---- systemd and logrotate ----


def test_installed_unit_names_the_installed_server(installed):
    unit = (installed / "share/syncless/syncless@.service").read_text()
    assert f"ExecStart={installed}/sbin/syncless-server -F -c /etc/syncless/%i.ini" in unit and "@PREFIX@" not in unit
    assert (installed / "share/syncless/syncless@.socket").exists()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_units_have_no_mistakes_and_a_sandbox(installed):
    units = installed / "share/syncless"
    for command in (["verify", "--man=no", units / "syncless@.service"],
                    ["verify", "--man=no", units / "syncless@.socket"],
                    ["security", "--offline=true", "--threshold=50", units / "syncless@.service"]):
        done = subprocess.run(["systemd-analyze", *command], capture_output=True, text=True, timeout=TIMEOUT)
        assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("logrotate"), reason="logrotate is not installed")
def test_logrotate_file_has_no_mistakes(installed, tmp_path):
    command = ["logrotate", "--debug", "--state", tmp_path / "state", installed / "share/syncless/logrotate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0 and "error:" not in done.stderr, done.stderr


def run_exec_reload(installed, ini, pid, env):
    """Run the commands ExecReload= of the unit, as systemd does: one after the other, up to one that fails. Returns the
    CompletedProcess of the last."""
    unit = (installed / "share/syncless/syncless@.service").read_text().replace("/etc/syncless/%i.ini", str(ini))
    for command in re.findall(r"^ExecReload=(.*)$", unit.replace("$MAINPID", str(pid)), re.M):
        done = subprocess.run(shlex.split(command), env={**os.environ, **env}, capture_output=True, text=True,
                              timeout=TIMEOUT)
        if done.returncode:
            break
    return done


@pytest.fixture
def systemd(tmp_path):
    """The socket of a service manager, and a queue of the messages that it receives."""
    messages = queue.Queue()

    def receive():
        while message := sock.recv(2000).decode():
            messages.put(message)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        thread = threading.Thread(target=receive)
        thread.start()
        yield {"NOTIFY_SOCKET": str(tmp_path / "notify")}, messages
        sock.shutdown(socket.SHUT_RD)
        thread.join()


def test_reload_by_the_unit(installed, daemon, systemd):
    """systemd hears of the reload and of its end from the master before the command has ended. A bad application or
    configuration makes the command fail, and the master hears nothing."""
    env, received = systemd
    server = daemon("[wsgi /]\napp = shop:app\n", {"shop.py": APP}, env=env)
    ini = server.dir / "server.ini"

    def reload():
        return run_exec_reload(installed, ini, server.pid, env)

    assert received.get(timeout=TIMEOUT).startswith("READY=1\n")
    assert reload().returncode == 0
    assert [received.get(timeout=TIMEOUT).split("\n")[0] for _ in range(2)] == ["RELOADING=1", "READY=1"]
    (server.dir / "shop.py").write_text("import nothing_such\n")
    done = reload()
    assert done.returncode == 4 and "No module named 'nothing_such'" in done.stderr
    ini.write_text("[server]\nwrokers = 2\n")
    done = reload()
    assert done.returncode == 78 and 'did you mean "workers"?' in done.stderr
    server.process.send_signal(signal.SIGUSR1)
    server.wait_log("log files reopened")
    assert server.log.count("reloading configuration") == 1 and received.empty()


def test_reload_that_fails_after_the_check(installed, daemon, systemd):
    """What only the start finds out: the command fails, and the status names the reason."""
    env, received = systemd
    server = daemon("[wsgi /]\napp = shop:app\n", {"shop.py": APP}, env=env)
    ini = server.dir / "server.ini"
    assert received.get(timeout=TIMEOUT).startswith("READY=1\n")
    (server.dir / "shop.py").write_text("open('loaded', 'x')\n" + APP)
    done = run_exec_reload(installed, ini, server.pid, env)
    reason = "no worker could start with the new one, since the application cannot be loaded"
    assert done.returncode != 0 and reason in done.stderr, done
    assert received.get(timeout=TIMEOUT).startswith("RELOADING=1\n")
    assert reason in received.get(timeout=TIMEOUT)


# ---- modules ----


def test_module_built_against_the_installed_header(installed, tmp_path):
    env = {**os.environ, "PKG_CONFIG_PATH": str(installed / "lib/pkgconfig")}

    def pkg_config(*args):
        command = ["pkg-config", *args, "syncless"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()

    shutil.copy(ROOT / "modules/hello/hello.c", tmp_path)
    cflags = pkg_config("--cflags")
    subprocess.run(["cc", "-shared", "-fPIC", *cflags, "hello.c", "-o", "hello.so"], cwd=tmp_path, check=True)
    for name in ("syncless/serve.h", "syncless/runtime.h"):
        command = ["cc", "-fsyntax-only", *cflags, "-xc", "-"]
        subprocess.run(command, input=f"#include <{name}>\n", text=True, check=True)
    assert os.path.realpath(pkg_config("--variable=moduledir")[0]) == str(installed / "lib/syncless/modules")
    assert re.fullmatch(r"\d+\.\d+\.\d+", pkg_config("--modversion")[0])
    (tmp_path / "a.ini").write_text("[server]\nmodule-path = .\n[hello /]\n")
    check(installed, tmp_path / "a.ini")
