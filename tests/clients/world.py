"""Fixtures: a daemon with the pages of app.py and two C handlers, and the servers that these talk to."""
import contextlib
import pathlib
import subprocess

import pytest

from backends import DNS, HTTPS
from conftest import ROOT, Starter
from databases import MariaDB, Postgres, Redis

HERE = pathlib.Path(__file__).parent
WAIT = 0.3  # as in app.py

MODULES = {"pq": (ROOT / "examples/libpq/pq.c", "libpq"), "fetch": (HERE / "modules/fetch.c", "libcurl")}

INI = """
[server]
module-path = {modules}
[wsgi /]
app = {app}
[pq /pq]
query = SELECT 'waited' || pg_sleep({wait})
connections = 100
[fetch /fetch]
url = {env[HTTPS_URL]}/{wait}
ca = {env[HTTPS_CA]}
"""


def pkg_config(library):
    command = ["pkg-config", "--cflags", "--libs", library]
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout.split()


@pytest.fixture(scope="session")
def client_modules(c_modules):
    """The directory of c_modules, with the handlers that use client libraries."""
    for name, (source, library) in MODULES.items():
        subprocess.run(["cc", "-O1", "-g", "-Wall", "-Werror", "-fPIC", "-shared", f"-I{ROOT}/include", source,
                        "-o", c_modules / f"{name}.so", *pkg_config(library)], check=True)
    return c_modules


@pytest.fixture(scope="session")
def backends_env():
    """Start all backends; returns the variables that tell clients where they are."""
    with contextlib.ExitStack() as stack:
        env = {}
        for backend in (Postgres, MariaDB, Redis, HTTPS, DNS):
            started = backend()
            stack.callback(started.end)
            env.update(started.env)
        yield {name: str(value) for name, value in env.items()}


@pytest.fixture(scope="session")
def start_world(backends_env, client_modules, tmp_path_factory):
    """start_world(app) -> a new daemon that uses the backends."""
    starter = Starter(lambda: tmp_path_factory.mktemp("world"))

    def start(app):
        ini = INI.format(app=app, modules=client_modules, wait=WAIT, env=backends_env)
        return starter(ini, {path.name: path.read_text() for path in HERE.glob("*app.py")}, env=backends_env)

    yield start
    starter.end()


@pytest.fixture(scope="session")
def world(start_world):
    return start_world("app")
