"""The harness of the tests of syncless-python: short scripts, run in a process of its own each, bounded in time."""
import os
import pathlib
import subprocess
import textwrap

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("SYNCLESS_BUILD", "build")
PYTHON = BUILD / "syncless-python"
SANITIZED = "ASAN_OPTIONS" in os.environ  # set by `make asan`
TIMEOUT = 120 if SANITIZED else 30       # seconds that a script may take


def run_python(*arguments, python=PYTHON, **options):
    """Run a process and return it with its output as text. It does not inherit PYTHON* variables."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if options.pop("leaks", True) is False and SANITIZED:  # children that exit leave what is their parent's
        env["ASAN_OPTIONS"] += ":detect_leaks=0"
    return subprocess.run([python, *arguments], env={**env, **options.pop("env", {})}, text=True, timeout=TIMEOUT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.fixture
def python():
    return run_python


@pytest.fixture
def script():
    """Run a script, which must exit with 0 and write nothing to stderr. Return what it printed."""
    def run(source, *arguments, **options):
        done = run_python("-c", textwrap.dedent(source), *arguments, **options)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return run
