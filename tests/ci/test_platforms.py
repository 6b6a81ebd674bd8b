"""tests/platforms leaves no process and no mount behind, and removes no tree that has one."""
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from conftest import ROOT, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make namespaces and mounts")
LOAD = f"""
import importlib.machinery, importlib.util, pathlib, subprocess, sys
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("platforms", {str(ROOT / "tests/platforms")!r})
platforms = importlib.util.module_from_spec(importlib.util.spec_from_loader("platforms", loader))
loader.exec_module(platforms)
"""
PARENT = LOAD + """
script = "mount -t tmpfs none /mnt; setsid sleep $1 & echo >$2; sleep $1"
subprocess.run(platforms.isolated(["sh", "-c", script, "sh", *sys.argv[1:]]))
"""
REMOVE = LOAD + """
folder = pathlib.Path(sys.argv[1])
(folder / "trixie/proc").mkdir(parents=True)
subprocess.run(["mount", "-t", "tmpfs", "none", folder / "trixie/proc"], check=True)
try:
    platforms.Chroot(folder, "trixie", None).remove()
except platforms.Failure as failure:
    print(failure)
subprocess.run(["umount", folder / "trixie/proc"], check=True)
platforms.Chroot(folder, "trixie", None).remove()
"""


@pytest.fixture(autouse=True)
def namespaces():
    done = subprocess.run(["unshare", "--mount", "--pid", "--ipc", "--fork", "true"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no namespaces here: {done.stderr}")


def sleepers(seconds):
    """The processes that run `sleep SECONDS`."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [path.parent.name] * (path.read_bytes() == b"sleep\0%s\0" % seconds.encode())
        except OSError:
            pass  # it has ended
    return found


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_what_a_command_has_started_ends_with_the_program(tmp_path, signum):
    seconds, started = f"1000.{os.getpid()}", tmp_path / "started"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, seconds, started], stderr=subprocess.DEVNULL)
    wait_until(lambda: started.exists() and len(sleepers(seconds)) == 2)
    parent.send_signal(signum)
    assert parent.wait(20)
    wait_until(lambda: not sleepers(seconds))
    assert not any(line.split()[4] == "/mnt" for line in open("/proc/self/mountinfo"))


def test_tree_with_a_mount_is_not_removed(tmp_path):
    command = ["unshare", "--mount", sys.executable, "-c", REMOVE, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/trixie is not removed: something is mounted at {tmp_path}/trixie/proc\n"
    assert not (tmp_path / "trixie").exists() and not (tmp_path / "trixie.old").exists()


@pytest.mark.parametrize("text", ["trixie:nosuch", "sid/2.7", "../etc", "sid:"])
def test_wrong_configurations_are_refused(text):
    done = subprocess.run([ROOT / "tests/platforms", text], capture_output=True, text=True, timeout=50)
    assert done.returncode == 1 and f"{text} is not RELEASE[/3.N][:GROUP,...] with groups of bench" in done.stderr
