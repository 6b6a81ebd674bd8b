"""tests/run and .ci/run count every test, their exit code and last line agree, and tests get signals."""
import os
import subprocess

from conftest import ROOT, write_files

UNITS = {
    "test_good": "echo 1..3; echo ok 1 - a; echo ok 2 - b; echo not ok 3 \\# SKIP",
    "test_bad": "echo ok 1 - a; echo not ok 2 - b; exit 1",
    "test_crash": "echo ok 1 - a; kill -SEGV $$",
    "test_empty": "true",
}
KEYS = "grep -q 'SigIgn:.*[0189]$' /proc/self/status && echo ok 1 - a"  # the last digit has SIGINT (2), SIGQUIT (4)
PARTS = {
    "good": "echo 4 passed, 0 failed, 1 skipped",
    "bad": "echo 9 passed in 1 s; echo 2 passed, 1 failed; exit 2",
    "quiet": "true",
    "broken": "echo 7 passed, 0 failed; exit 2",
}


def script(text):
    return f"#!/bin/sh\n{text}\n"


def run(command, **env):
    env = {**os.environ, **env}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    return done.stdout.splitlines()[-1], done.returncode


def run_units(tmp_path, names):
    write_files(tmp_path, {f"tests/{name}": script(UNITS[name]) for name in names})
    return run(["tests/run", "--units"], SYNCLESS_BUILD=str(tmp_path), SYNCLESS_WRAPPER="")


def run_parts(tmp_path, names):
    cases = "".join(f"{name}) {text};;\n" for name, text in PARTS.items())
    write_files(tmp_path, {"make": script(f'for part; do :; done; case "$part" in\n{cases}esac')})
    return run([".ci/run", *names], PATH=f"{tmp_path}:{os.environ['PATH']}")


def test_units(tmp_path):
    assert run_units(tmp_path, ["test_good"]) == ("2 passed, 0 failed, 1 skipped", 0)


def test_units_that_fail_crash_or_test_nothing(tmp_path):
    assert run_units(tmp_path, UNITS) == ("4 passed, 3 failed, 1 skipped", 1)


def test_units_get_the_signals_that_a_script_ignores(tmp_path):
    write_files(tmp_path, {"tests/test_keys": script(KEYS)})
    command = ["sh", "-c", "trap '' INT QUIT; exec tests/run --units"]
    assert run(command, SYNCLESS_BUILD=str(tmp_path), SYNCLESS_WRAPPER="") == ("1 passed, 0 failed", 0)


def test_parts(tmp_path):
    """A part without tests counts as one."""
    assert run_parts(tmp_path, ["good", "quiet"]) == ("5 passed, 0 failed, 1 skipped", 0)


def test_parts_that_fail(tmp_path):
    assert run_parts(tmp_path, PARTS) == ("14 passed, 2 failed, 1 skipped", 1)
