"""The harness of the tests of pip: a wheel for every CPython of this machine, made from an sdist, and virtualenvs with
it. Neither needs a network."""
import functools
import importlib.util
import os
import pathlib
import subprocess
import sys
import tarfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from conftest import ROOT, TIMEOUT, Daemon, server_env, write_files

DEBIAN = pathlib.Path("/usr/bin/python3")  # which builds, since it has hatchling
BUILD_SECONDS = 300
SOURCE_OF_APP = """
import sys, importlib.metadata, syncless
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    task = syncless.spawn(lambda: [sys.executable, sys.prefix, syncless.__version__,
                                   importlib.metadata.version("syncless"), syncless.__file__])
    return ["\\n".join(task.get()).encode()]
"""


def run(*command, env={}, timeout=60, **options):
    """Run a command; its output. It must not fail."""
    done = subprocess.run([str(word) for word in command], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=clean(env), timeout=timeout, **options)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}"
    return done.stdout


def clean(env):
    """An environment in which nothing but env leads pip, make and Python elsewhere."""
    led = ("MAKE", "MFLAGS", "PYTHON", "PIP_", "SYNCLESS_", "CFLAGS", "LD_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(led)}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore",
            **{name: str(value) for name, value in env.items()}}


def pythons():
    """Debian's CPython and those of pyenv for which a bridge can be built; one of each minor version of pyenv."""
    found = sorted(pathlib.Path("/root/.pyenv/versions").glob("3.*/bin/python3")) if os.access("/root", os.R_OK) else []
    return [path for path in [DEBIAN, *found]
            if path.exists() and not run(path, ROOT / "modules/wsgi/describe.py").startswith("error")]


PYTHONS = pythons()


# ---- what is built, once for all files ----


@functools.lru_cache(None)
def make_sdist(base):
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not there: apt install python3-hatchling")
    folder = base / "sdist"
    folder.mkdir()
    run(DEBIAN, "-c", "import sys, hatchling.build; hatchling.build.build_sdist(sys.argv[1])", folder, cwd=ROOT)
    return next(folder.iterdir())


@functools.lru_cache(None)
def unpack_source(base):
    folder = base / "my projects"
    with tarfile.open(make_sdist(base)) as archive:
        archive.extractall(folder)
    return next(folder.iterdir())


def build_wheel(source, folder, env={}):
    return run(DEBIAN, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", folder, source,
               env=env, timeout=BUILD_SECONDS)


@functools.lru_cache(None)
def make_wheel(base):
    folder = base / "wheel"
    build_wheel(unpack_source(base), folder, {"SYNCLESS_PYTHONS": " ".join(map(str, PYTHONS))})
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def sdist(tmp_path_factory):
    """The source distribution."""
    return make_sdist(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """What is in it, in a directory whose path has a blank."""
    return unpack_source(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """One wheel for all of PYTHONS. It is built when the source is not used for something else."""
    return make_wheel(tmp_path_factory.getbasetemp())


# ---- where it is installed ----


def pip(python, environment, *args, **options):
    """Run the pip of an interpreter for a virtualenv."""
    return run(python, "-m", "pip", "--python", environment / "bin/python3", *args, **options)


def make_venv(python, path, *args):
    run(python, "-m", "venv", "--without-pip", *args, path)
    return path


def files_of(path):
    return {str(found.relative_to(path)) for found in path.rglob("*") if not found.is_dir()}


class Served(Daemon):
    """A server that was started by a command and must be ended by it too; for a with statement."""

    def __init__(self, directory, command, files={"app.py": SOURCE_OF_APP}, env={}):
        write_files(directory, files)
        words = [*command, "-b", "127.0.0.1:0"]
        super().__init__(directory, [str(word) for word in words], clean(env))

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self.end()
