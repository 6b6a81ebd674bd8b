"""Mistakes in debian/ that can be found without building packages; tests/packaging/deb (`make test-deb`) does that."""
import os
import re
import shutil
import subprocess

import pytest

from conftest import ROOT

DEBIAN = ROOT / "debian"
SCRIPTS = [*DEBIAN.glob("*.p*inst"), *DEBIAN.glob("*.p*rm"), DEBIAN / "tests/serve"]


def fields(path):
    """The paragraphs of a file in the format of debian/control, each as {field: value}."""
    return [dict(re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", paragraph, re.M))
            for paragraph in re.sub(r"^#.*\n", "", path.read_text(), flags=re.M).strip().split("\n\n")]


def test_version_is_that_of_the_makefile():
    version = re.search(r"^VERSION *= *(\S+)", (ROOT / "Makefile").read_text(), re.M)[1]
    assert re.match(r"syncless \(([^)]*)\) ", (DEBIAN / "changelog").read_text())[1] == version


@pytest.mark.skipif(not shutil.which("dpkg-parsechangelog"), reason="dpkg-dev is not installed")
def test_changelog_has_no_mistakes():
    command = ["dpkg-parsechangelog", "--all", "--file", DEBIAN / "changelog"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""


def test_control_has_the_packages_and_what_they_install():
    source, *packages = fields(DEBIAN / "control")
    names = [package["Package"] for package in packages]
    assert source["Source"] == "syncless" and names == ["syncless", "python3-syncless", "syncless-dev"]
    assert {path.stem for path in DEBIAN.glob("*.install")} == set(names)
    for package in packages:
        assert {"Architecture", "Depends", "Description"} <= set(package)
        assert all(len(line) <= 80 for line in package["Description"].split("\n"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_can_be_parsed(path):
    subprocess.run(["sh", "-n", path], check=True)


def test_autopkgtests_are_there():
    names = [test["Tests"] for test in fields(DEBIAN / "tests/control")]
    assert len(names) >= 3
    for name in names:
        assert os.access(DEBIAN / "tests" / name, os.X_OK), name
        subprocess.run(["sh", "-n", DEBIAN / "tests" / name], check=True)
