"""tests/deps.sh, with stand-ins for what it calls: nothing is installed."""
import os
import subprocess

import pytest

from conftest import ROOT, write_files

COMMANDS = {
    "id": 'if [ "$1" = -u ]; then echo 1000; else echo jane; fi',
    "dpkg-query": "for package; do :; done; [ $package = make ] && echo installed",
    "pkg-config": "exit 1",
    "apt-get": 'echo "apt-get $*" >>$CALLS',
    "apt-cache": "true",
    "sudo": 'echo "sudo $*" >>$CALLS; [ $SUDOER = yes ]',
}


@pytest.fixture
def deps(tmp_path):
    """deps(NAME, sudoer) -> its exit code, what it wrote to stderr, and the calls of sudo"""
    write_files(tmp_path, {f"bin/{name}": f"#!/bin/sh\n{text}\n" for name, text in COMMANDS.items()})
    calls = tmp_path / "calls"
    calls.write_text("")

    def run(name, sudoer):
        env = {**os.environ, "PATH": f"{tmp_path}/bin:/usr/bin:/bin", "CALLS": str(calls), "SUDOER": sudoer}
        done = subprocess.run([ROOT / "tests/deps.sh", name], env=env, capture_output=True, text=True, timeout=50)
        return done.returncode, done.stderr, calls.read_text().splitlines()
    return run


def test_user_without_sudo_is_told_what_root_has_to_run(deps):
    code, said, calls = deps("fuzz", "no")
    assert code == 1 and "sudo does not make jane root: have root run this, then try again" in said
    line = next(line for line in said.splitlines() if "apt-get" in line)
    assert line.startswith("    apt-get update && apt-get install --no-install-recommends gcc ")
    assert line.endswith(" libclang-rt-dev") and " make " not in line
    assert calls == ["sudo true"]


def test_user_with_sudo(deps):
    code, said, calls = deps("types", "yes")
    assert code == 0 and not said
    assert calls[0] == "sudo true"
    assert "sudo env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends mypy" in calls
