"""The benchmark runs and writes its results, and a request takes no more instructions than recorded."""
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("SYNCLESS_BUILD", "build")
GROWTH = 1.03  # allowed growth of an instruction count


def load(name):
    """A program of benchmark/, as a module."""
    loader = importlib.machinery.SourceFileLoader(name, str(ROOT / "benchmark" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def run(*arguments):
    return subprocess.run([ROOT / "benchmark/run", *arguments], capture_output=True, text=True, timeout=50)


def test_small_run_writes_results_and_plots(tmp_path):
    done = run("--build", BUILD, "--only", "hello,floor,syncless,syncless C", "--rounds", "1", "--seconds", "1",
               "--results", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "results.json").read_text())["measurements"]
    assert [row["server"] for row in rows] == ["floor", "syncless", "syncless C"]
    for row in rows:
        assert row["requests"] > 0 and row["errors"] == 0, row
        assert 0.1 < row["cpu_us"] < 1000 and row["p50"] <= row["p99"] and row["rss"] > 100_000, row
    page = (tmp_path / "results.md").read_text()
    assert "| floor |" in page and "| WSGI hello: CPU / the floor's | <= 1.18 |" in page and "CPython: Python 3" in page
    assert all((tmp_path / name).read_text().startswith("<?xml") for name in ("cpu.svg", "rate.svg"))


def test_unknown_name_is_refused():
    done = run("--only", "hello,apache")
    assert done.returncode != 0 and "apache" in done.stderr


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="valgrind cannot run programs built with AddressSanitizer")
def test_instructions_do_not_grow():
    callgrind = load("callgrind")
    toolchain, recorded = callgrind.toolchain(BUILD), callgrind.recorded()
    if toolchain not in recorded:
        pytest.skip(f"{callgrind.README} has no instruction counts of this toolchain: {toolchain}")
    before, now = recorded[toolchain], callgrind.measure(BUILD)
    assert before.keys() == now.keys()
    grown = {name: f"{before[name]} -> {now[name]}" for name in now if now[name] > before[name] * GROWTH}
    assert not grown, f"instructions per request; find the cause, or record the count in {callgrind.README}: {grown}"


def test_recorded_instructions_are_those_of_all_paths():
    callgrind = load("callgrind")
    recorded = callgrind.recorded()
    assert len(recorded) >= 2 and all(row.keys() == callgrind.PATHS.keys() for row in recorded.values())
    assert all(1000 < count < 100_000 for row in recorded.values() for count in row.values())
