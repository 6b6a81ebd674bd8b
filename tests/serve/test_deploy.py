"""What README.md and docs/deploy.md promise: nginx in front, `make install`, modules for the installed header."""
import concurrent.futures
import os
import re
import shutil
import subprocess

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


def test_installed_unit_names_the_installed_server(installed):
    unit = (installed / "share/syncless/syncless@.service").read_text()
    assert f"ExecStart={installed}/sbin/syncless-server -F -c /etc/syncless/%i.ini" in unit and "@PREFIX@" not in unit
    assert (installed / "share/syncless/syncless@.socket").exists()


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
