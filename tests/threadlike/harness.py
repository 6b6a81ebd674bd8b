"""Scenes: Python programs that run on OS threads under python3, and on coroutines under syncless-python and in requests
of a server. What they report must be the same.

A scene is the text of a module with a function scene() that returns something JSON can hold. It uses these names:

    together(*functions)  call them at once, each on a thread or coroutine of its own; returns their results, or the
                          names of the exceptions that they raised
    start(function)       the same for one, in the background; returns a function that waits for its result
    beats(function)       call it; returns how often another thread or coroutine, which only sleeps, went on meanwhile
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from conftest import BUILD, PYTHON_HOST, SANITIZED, server_env

NATIVE = pathlib.Path(__file__).parent / "native"
SCENE_SECONDS = 120 if SANITIZED else 40

PRELUDE = '''
import os as _os, threading as _threading, time as _time

if _os.environ["SCENE_ON"] == "threads":
    class _Task(_threading.Thread):
        def __init__(self, function):
            super().__init__(daemon=True)
            self.function, self.result = function, None
            self.start()

        def run(self):
            self.result = _outcome(self.function)

    def start(function):
        task = _Task(function)
        return lambda: (task.join(), task.result)[1]
else:
    import syncless as _syncless

    def start(function):
        return _syncless.spawn(_outcome, function).get


def _outcome(function):
    try:
        return function()
    except BaseException as error:
        return type(error).__name__


def together(*functions):
    return [result() for result in [start(function) for function in functions]]


def beats(function):
    count, over = 0, False

    def beat():
        nonlocal count
        while not over:
            _time.sleep(0.002)
            count += 1

    result = start(beat)
    function()
    over = True
    result()
    return count
'''

MAIN = '''
import json as _json, sys as _sys
print("scene:", _json.dumps(scene()))
_sys.stdout.flush()
'''

APPLICATION = '''
import json


def application(environ, start_response):
    body = json.dumps(scene()).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
'''


def leaky_env(env={}):
    """Libraries of others leak, and so do scenes; a forked child leaves its parent's event loop where it is."""
    return server_env({"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0", **env})


def scene_env(on, site, env):
    return leaky_env({"SCENE_ON": on, "PYTHONPATH": site, **env})


def run_program(program, on, scene, site, env):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "scene.py"
        path.write_text(PRELUDE + scene + MAIN)
        done = subprocess.run([program, path], env=scene_env(on, site, env), stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=SCENE_SECONDS)
    found = [line for line in done.stdout.splitlines() if line.startswith("scene: ")]
    assert done.returncode == 0 and found, f"{program}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return json.loads(found[-1][7:])


def on_threads(scene, site=None, env={}):
    return run_program(PYTHON_HOST, "threads", scene, site, env)


def on_coroutines(scene, site=None, env={}):
    return run_program(BUILD / "syncless-python", "coroutines", scene, site, env)


def in_requests(daemon, scene, site=None, env={}, count=3):
    """The results of so many requests at once, of one worker."""
    server = daemon("[wsgi /]\napp = scene_app:application\n", {"scene_app.py": PRELUDE + scene + APPLICATION},
                    env=scene_env("coroutines", site, env))
    texts, _ = server.get_all(["/"] * count)
    return [json.loads(text) for text in texts]


def same(daemon, scene, site=None, env={}, requests=3):
    """Compare all ways of running a scene, and return the result."""
    expected = on_threads(scene, site, env)
    assert on_coroutines(scene, site, env) == expected
    if requests:
        assert in_requests(daemon, scene, site, env, requests) == [expected] * requests
    return expected


# ---- what scenes need ----


def host_version():
    command = [PYTHON_HOST, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def pip_command():
    for command in [PYTHON_HOST, "-m", "pip"], [sys.executable, "-m", "pip"], ["pip3"]:
        if shutil.which(command[0]) and subprocess.run([*command, "--version"], capture_output=True).returncode == 0:
            return list(map(str, command))
    return None


def wheels(*packages):
    """A folder with these packages of PyPI and all that they need, for PYTHONPATH. Kept for later runs. The test is
    skipped if they cannot be had."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"syncless-wheels-{os.getuid()}-{host_version()}"
    site = folder / "+".join(packages)
    if site.exists():
        return site
    pip = pip_command()
    if not pip:
        pytest.skip("there is no pip")
    folder.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as new:
        command = [*pip, "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--only-binary=:all:",
                   "--python-version", host_version(), "--target", f"{new}/site", *packages]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            pytest.skip(f"pip cannot install {' '.join(packages)}: {(done.stderr.splitlines() or [''])[-1]}")
        if not site.exists():
            os.rename(f"{new}/site", site)
    return site


def library(folder, source, *flags):
    """Compile a shared object of tests/threadlike/native; returns its path."""
    path = folder / (pathlib.Path(source).stem + ".so")
    compiler = ["c++", "-std=c++20"] if source.endswith(".cc") else ["cc", "-std=gnu11"]
    command = [*compiler, "-Wall", "-Werror", "-O1", "-g", "-fPIC", "-shared", "-D_GNU_SOURCE", *flags,
               NATIVE / source, "-o", path, "-lpthread"]
    subprocess.run(command, check=True)
    return path
