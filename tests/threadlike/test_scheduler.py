"""A second of what `fuzz_scheduler.py` runs for minutes: random programs of coroutines, some of them as threads."""
import pathlib
import subprocess

import pytest

from conftest import BUILD, SANITIZED, server_env

FUZZ = pathlib.Path(__file__).resolve().parent / "fuzz_scheduler.py"


@pytest.mark.parametrize("options", [[], ["--coroutine-threads"]], ids=["threads", "coroutines"])
def test_random_programs(options):
    done = subprocess.run([BUILD / "syncless-python", *options, FUZZ, "0.7"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300 if SANITIZED else 120, env=server_env())
    assert done.returncode == 0 and " programs: " in done.stdout, done.stdout
