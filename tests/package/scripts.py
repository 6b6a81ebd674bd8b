"""The harness of the tests of the package syncless: scripts under syncless-python, as in tests/python."""
import pathlib
import subprocess
import sys
import textwrap

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
from scripted import PYTHON, ROOT, TIMEOUT, run_python

HEAD = "import socket, sys, threading, time\nimport syncless\nfrom syncless import *\n"


def make_certificate(folder, name="localhost"):
    """Make a self-signed certificate for name and 127.0.0.1. Return its path and that of its key."""
    cert, key = folder / f"{name}-cert.pem", folder / f"{name}-key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True, timeout=60)
    return str(cert), str(key)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def script():
    """Run a script, which has all names of syncless. Return what it printed.

    It must exit with 0 and write nothing to stderr, unless stderr is given: a list to which that is appended.
    """
    def run(source, *arguments, stderr=None, **options):
        done = run_python("-c", HEAD + textwrap.dedent(source), *arguments, **options)
        assert done.returncode == 0, done.stderr
        if stderr is None:
            assert done.stderr == ""
        else:
            stderr.append(done.stderr)
        return done.stdout

    return run
