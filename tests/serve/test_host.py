"""The Python interpreter in whose process the server runs: which one it is, what is seen of it, which ones cannot."""
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess

import pytest

from conftest import BUILD, PYTHON_HOST, SANITIZED, SERVER

WSGI = "[wsgi /]\napp = app\npythonpath = %(here)\n"
APP = {"app.py": """
import os, subprocess, sys
def application(environ, start_response):
    start_response('200 OK', [])
    names = '; '.join(name for name in os.environ if 'PRELOAD' in name or 'SYNCLESS_H' in name)
    comm = open('/proc/self/comm').read().strip()
    child = subprocess.run(['/bin/sh', '-c', 'echo ${LD_PRELOAD-unset}'], capture_output=True, text=True).stdout.strip()
    return ['\\n'.join([sys.executable, sys.prefix, comm, names, child]).encode()]
"""}


def facts(server):
    """sys.executable, sys.prefix, the name of the process, our variables in os.environ, a child's LD_PRELOAD."""
    return server.get("/")[2].decode().split("\n")


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    path = tmp_path_factory.mktemp("host") / "venv"
    subprocess.run([PYTHON_HOST, "-m", "venv", "--without-pip", path], check=True)
    return path


def executable(path, source, *flags):
    """Compile a program that could be taken for an interpreter."""
    path.parent.mkdir(exist_ok=True)
    command = ["cc", "-w", "-rdynamic", "-o", path, "-xc", "-", "-xnone", *flags]
    subprocess.run(command, input=source, text=True, check=True)
    return path


def claiming(version):
    """The source of a program that says it is CPython of that version."""
    return f'const char *Py_GetVersion(void) {{ return "{version}"; }} int main(void) {{ return 9; }}'


# ---- what is seen of it ----


def test_process_is_the_server(daemon):
    server = daemon(WSGI, APP)
    found, _, comm, names, preload = facts(server)
    assert (found, comm, names, preload) == (str(PYTHON_HOST), "syncless-server", "", "unset")
    for pid in [server.pid, *server.worker_pids()]:
        assert pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0] == os.fsencode(SERVER)
        assert os.path.samefile(f"/proc/{pid}/exe", PYTHON_HOST)
    server.wait_log(rf"\[info\] .*Python runs in {PYTHON_HOST}, CPython 3\.\d+\.\d+\S*, by .*/wsgi-3\.\d+\.so")


def test_without_python_it_runs_by_itself(daemon):
    server = daemon("[hello /]\n", env={"PATH": "/nowhere"})
    assert os.path.samefile(f"/proc/{server.pid}/exe", SERVER)
    assert "Python" not in server.log


def test_a_preloaded_library_of_the_user_stays(daemon, tmp_path):
    library = tmp_path / "mine.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-xc", "-", "-o", library], input="int x;", text=True, check=True)
    server = daemon(WSGI, APP, env={"LD_PRELOAD": library})
    assert facts(server)[4] == str(library)
    assert str(library) in pathlib.Path(f"/proc/{server.pid}/maps").read_text()


@pytest.mark.parametrize("name", ["with space", "with:colon", "a$b"])
def test_any_path_of_the_server(daemon, tmp_path, name, monkeypatch):
    """The loader's list of preloaded libraries has separators, which may be in a path."""
    folder = shutil.copytree(BUILD, tmp_path / name, ignore=shutil.ignore_patterns("*.o", "*.d", "tests", "ucontext"))
    monkeypatch.setattr("conftest.SERVER", folder / "syncless-server")
    server = daemon(WSGI, APP)
    assert facts(server)[2:] == ["syncless-server", "", "unset"]
    held = [os.readlink(path) for path in pathlib.Path(f"/proc/{server.pid}/fd").iterdir()]
    assert not [path for path in held if path.endswith("libsyncless.so")]


def test_version_names_the_interpreter(run_server):
    done = run_server(["--version"])
    assert done.returncode == 0
    assert re.fullmatch(rf"syncless-server \d\S+\npython: {PYTHON_HOST}, CPython 3\.\d+\.\d+\S*\n"
                        r"bridge: /.*/modules/wsgi-3\.\d+\.so\n", done.stdout)
    done = run_server(["-v", "-o", "server.python=/nowhere/python"])
    assert done.returncode == 0 and done.stdout.endswith("\npython: python: there is no Python at /nowhere/python\n")


# ---- which one ----


def test_order_of_choice(daemon, tmp_path, venv):
    """The key, the virtualenv of a section, $VIRTUAL_ENV, PATH."""
    other = tmp_path / "other"
    subprocess.run([PYTHON_HOST, "-m", "venv", "--without-pip", other], check=True)
    active = {"VIRTUAL_ENV": other}
    assert facts(daemon(WSGI, APP))[0] == str(PYTHON_HOST)
    assert facts(daemon(WSGI, APP, env=active))[:2] == [f"{other}/bin/python", str(other)]
    in_venv = WSGI + f"virtualenv = {venv}\n"
    assert facts(daemon(in_venv, APP, env=active))[:2] == [f"{venv}/bin/python", str(venv)]
    by_default = f"[wsgi]\nvirtualenv = {venv}\n" + WSGI
    assert facts(daemon(by_default, APP, env=active))[:2] == [f"{venv}/bin/python", str(venv)]
    key = f"[server]\npython = {PYTHON_HOST}\n"
    assert facts(daemon(key + WSGI, APP, env=active))[0] == str(PYTHON_HOST)


def test_key_is_a_name_or_a_path_beside_the_file(daemon, venv):
    assert facts(daemon(f"[server]\npython = {PYTHON_HOST.name}\n{WSGI}", APP))[0] == str(PYTHON_HOST)
    server = daemon(f"[server]\npython = env/bin/python\n{WSGI}",
                    {**APP, "env/pyvenv.cfg": (venv / "pyvenv.cfg").read_text(),
                     "env/bin/python": f"#!/bin/sh\nexec {venv}/bin/python \"$@\"\n"})
    assert facts(server)[:2] == [f"{venv}/bin/python", str(venv)]  # of a script, what it starts


def test_environment_of_conda(daemon, tmp_path):
    """It has a bin/python of its own, and no pyvenv.cfg."""
    (tmp_path / "conda/bin").mkdir(parents=True)
    (tmp_path / "conda/bin/python").symlink_to(PYTHON_HOST)
    server = daemon(WSGI + f"virtualenv = {tmp_path}/conda\n", APP)
    assert facts(server)[0] == f"{tmp_path}/conda/bin/python"


@pytest.mark.skipif(SANITIZED, reason="AddressSanitizer needs /proc")
def test_without_proc(tmp_path):
    """In a mount namespace where /proc is empty, the executable is found by the name it was started by."""
    code = f"mount -t tmpfs none /proc && LD_LIBRARY_PATH={BUILD} exec {SERVER} --version"
    done = subprocess.run(["unshare", "--mount", "/bin/sh", "-c", code], capture_output=True, text=True)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("cannot make a mount namespace: " + done.stderr)
    assert f"python: {PYTHON_HOST}, CPython" in done.stdout, done


def test_beside_the_executable(daemon, venv, monkeypatch):
    """As pip installs it into a virtualenv."""
    library = venv / "lib/syncless"
    if not library.exists():
        shutil.copytree(BUILD / "modules", library / "modules", ignore=shutil.ignore_patterns("*.o", "*.d"))
        for name in ("libsyncless.so", "libraries.so"):
            shutil.copy(BUILD / name, library)
        shutil.copy(SERVER, venv / "bin")
    monkeypatch.setattr("conftest.SERVER", venv / "bin/syncless-server")
    assert facts(daemon(WSGI, APP))[:2] == [f"{venv}/bin/python3", str(venv)]


def test_one_without_a_bridge_is_passed_over_on_path(daemon, tmp_path):
    old = executable(tmp_path / "old/python3.7", claiming("3.7.1 (old)"))
    (old.parent / "python3").symlink_to(old.name)
    server = daemon(WSGI, APP, env={"PATH": f"{old.parent}:{os.environ['PATH']}"})
    assert facts(server)[0] == str(PYTHON_HOST)


def test_bridge_of_a_version_comes_before_one_of_none(daemon, tmp_path):
    """Such as an older build has left in the same folder."""
    for path in (BUILD / "modules").iterdir():
        (tmp_path / path.name).symlink_to(path.resolve())
    (tmp_path / "wsgi.so").write_text("not a module\n")
    server = daemon(f"[server]\nmodule-path = {tmp_path}\n{WSGI}", APP)
    assert facts(server)[0] == str(PYTHON_HOST)


# ---- those that cannot ----

LOADER = "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"
REFUSED = {
    "nowhere": (None, [], "there is no Python at .*/nowhere"),
    ".": (None, [], "this is a directory: write the path of its python, such as .*/bin/python"),
    "static": ("int main(void) { return 9; }", ["-static"], "is linked statically, and cannot load the server"),
    "musl": ("int main(void) { return 9; }", [LOADER], "was built for another C library, whose loader is /lib/ld-musl"),
    "true": ("int main(void) { return 9; }", [], "cannot run in .*/true: it is not CPython"),
    "old": (claiming("3.9.2 (main)"), [], r"old is CPython 3.9.2, and this server was built for 3\.\d+.*PYTHONS="),
    "free": (claiming("3.13.0 experimental free-threading build (main)"), [], "it is a free-threaded build"),
    "free14": (claiming("3.14.1 free-threading build (main)"), [], "it is a free-threaded build"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_interpreter_that_cannot_be_the_host(run_server, tmp_path, name):
    source, flags, expected = REFUSED[name]
    path = tmp_path / name
    if source:
        executable(path, source, *flags)
    done = run_server(ini=f"[server]\npython = {path}\n{WSGI}", files=APP)
    assert done.returncode == 78 and done.stdout == ""
    assert re.search(rf"server.ini:3: \[wsgi /\].*{expected}", done.stderr), done.stderr


def test_interpreter_with_privileges(run_server, tmp_path):
    path = executable(tmp_path / "privileged", claiming("3.11.1 (main)"))
    path.chmod(path.stat().st_mode | stat.S_ISGID)
    done = run_server(ini=f"[server]\npython = {path}\n{WSGI}", files=APP)
    assert done.returncode == 78 and "has privileges of its own" in done.stderr


@pytest.mark.parametrize("content, expected", [
    ("#!/bin/sh\nexit 1\n", "is a script, and did not say"),
    ("#!/bin/sh\necho words\n", "is a script, and did not say"),
    ("words\n", "is not an executable of this machine"),
])
def test_file_that_is_no_interpreter(run_server, tmp_path, content, expected):
    path = tmp_path / "python"
    path.write_text(content)
    path.chmod(0o755)
    done = run_server(ini=f"[server]\npython = {path}\n{WSGI}", files=APP)
    assert done.returncode == 78 and expected in done.stderr, done.stderr


def test_no_python_at_all(run_server):
    done = run_server(ini=WSGI, files=APP, env={"PATH": "/nowhere"})
    assert done.returncode == 78
    assert re.search(r'server.ini:1: \[wsgi /\] needs Python: there is no python3 on PATH: install .*"python"',
                     done.stderr), done.stderr


def test_virtualenv_that_is_none(run_server):
    done = run_server(ini=WSGI + "virtualenv = nowhere\n", files=APP)
    assert done.returncode == 78 and re.search(r"virtualenv = /.*/nowhere: this is not a virtualenv", done.stderr)
    done = run_server(ini=WSGI, files=APP, env={"VIRTUAL_ENV": "/nowhere"})
    assert done.returncode == 78 and "VIRTUAL_ENV = /nowhere: this is not a virtualenv" in done.stderr


def test_reload_cannot_add_python(daemon):
    server = daemon("[hello /]\n")
    (server.dir / "app.py").write_text(APP["app.py"])
    (server.dir / "server.ini").write_text("[hello /]\n" + WSGI.replace("/]", "/app]"))
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log(r"server.ini:2: \[wsgi /app\] needs Python, and this server was started without: upgrade it")
    server.wait_log("reload failed, keeping the old configuration")
    assert server.get("/")[0] == 200


# ---- other builds of CPython ----


def bridges():
    return {path.name[len("wsgi-"):-len(".so")] for path in (BUILD / "modules").glob("wsgi-*.so")}


def pythons():
    """Interpreters of pyenv for which there is a bridge: most have no shared libpython."""
    found = sorted(pathlib.Path("/root/.pyenv/versions").glob("3.*/bin/python3")) if os.access("/root", os.R_OK) else []
    return [path for path in found if ".".join(path.parts[-3].split(".")[:2]) in bridges()]


@pytest.mark.parametrize("python", pythons() or [None], ids=str)
def test_another_build_of_the_same_version(daemon, tmp_path, python):
    """A virtualenv is served by the interpreter that made it."""
    if not python:
        pytest.skip("there is no other build of a CPython for which there is a bridge")
    subprocess.run([python, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    server = daemon(WSGI + f"virtualenv = {tmp_path}/venv\n", APP)
    assert facts(server)[:2] == [f"{tmp_path}/venv/bin/python", f"{tmp_path}/venv"]
    assert os.path.samefile(f"/proc/{server.pid}/exe", python)


EMBEDDING = "int Py_BytesMain(int, char **); int main(int argc, char **argv) { return Py_BytesMain(argc, argv); }"


def test_interpreter_that_is_linked_to_libpython(daemon, tmp_path):
    """As Fedora's python3 is: the executable is a few lines, and CPython a shared library."""
    ask = "import sys, sysconfig as s; print(sys.prefix, *s.get_config_vars('LIBDIR', 'INSTSONAME'))"
    done = subprocess.run([PYTHON_HOST, "-c", ask], capture_output=True, text=True, check=True)
    prefix, folder, name = done.stdout.split()
    if not name.startswith("libpython") or ".so" not in name or not os.path.exists(f"{folder}/{name}"):
        pytest.skip(f"this CPython has no shared library, but {name}")
    python = executable(tmp_path / "bin/python3", EMBEDDING, f"{folder}/{name}", f"-Wl,-rpath,{folder}")
    server = daemon(f"[server]\npython = {python}\n{WSGI}", APP, env={"PYTHONHOME": prefix})
    assert facts(server)[0] == str(python)
    assert name in pathlib.Path(f"/proc/{server.pid}/maps").read_text()
