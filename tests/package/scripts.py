"""The harness of the tests of the package syncless: scripts under syncless-python, as in tests/python."""
import pathlib
import sys
import textwrap

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
from harness import PYTHON, ROOT, TIMEOUT, run_python

HEAD = "import socket, sys, threading, time\nimport syncless\nfrom syncless import *\n"


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
