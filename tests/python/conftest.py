"""Fixtures of the tests of syncless-python."""
import textwrap

import pytest

from harness import run_python


@pytest.fixture
def python():
    return run_python


@pytest.fixture
def script():
    """Run a script that must end well without a word on stderr; returns what it printed."""
    def run(source, *arguments, **options):
        done = run_python("-c", textwrap.dedent(source), *arguments, **options)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return run
