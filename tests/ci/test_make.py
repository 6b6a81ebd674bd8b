"""What make says about a Python that it cannot build for: at once, and in one line."""
import os
import subprocess
import sys

import pytest

from conftest import ROOT, write_files

OLD = "#!/bin/sh\nexec %s -c 'import sys; sys.version_info = (3, 9, 2); exec(open(sys.argv[1]).read())' \"$@\"\n"
MESSAGES = {
    "PYTHONS=/nosuch": "PYTHONS: /nosuch cannot be executed\n",
    "PYTHONS=%s/old": "PYTHONS: %s/old is CPython 3.9, and the bridge is for 3.10 to 3.15\n",
    "PYTHON=/usr/bin/python3": "PYTHON is PYTHONS now, one interpreter or several: make PYTHONS=",
}


@pytest.mark.parametrize("argument", MESSAGES)
def test_python_that_cannot_be_used(tmp_path, argument):
    write_files(tmp_path, {"old": OLD % sys.executable})
    argument, said = (text.replace("%s", str(tmp_path)) for text in (argument, MESSAGES[argument]))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", "-s", f"BUILD={tmp_path}/build", argument], cwd=ROOT, env=env, capture_output=True,
                          text=True, timeout=50)
    assert done.returncode == 2 and said in done.stderr
    assert not list(tmp_path.rglob("*.o"))
