"""pip: what is in the sdist and in the wheel, and what an installation of it does, in every CPython of this machine."""
import email
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import zipfile

import pytest

from wheels import (DEBIAN, PYTHONS, ROOT, Served, build_wheel, files_of, make_venv, pip, run, sdist,
                    source, wheel, write_files)

VERSION = re.search(r"^VERSION *= *(\S+)", (ROOT / "Makefile").read_text(), re.M)[1]
PROGRAMS = ["bin/syncless-server", "bin/syncless-python", "bin/syncless-ctl"]
EXPECTED = [*PROGRAMS, "include/syncless.h", "include/syncless/serve.h", "include/syncless/runtime.h",
            "lib/pkgconfig/syncless.pc", "lib/syncless/libsyncless.so", "lib/syncless/libraries.so",
            "lib/syncless/modules/static.so", "lib/syncless/modules/python/syncless/__init__.py",
            "share/man/man8/syncless-server.8"]


# ---- what is built ----


def test_sdist_has_every_file_of_the_repository(source):
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    tracked = run("git", "-C", ROOT, "ls-files").splitlines()
    there = {path for path in tracked if (ROOT / path).exists()}  # some were perhaps removed, and not committed yet
    made = {path for path in files_of(source) if not path.startswith("build/")}
    assert there - made == set()
    assert made - there - set(run("git", "-C", ROOT, "ls-files", "--others", "--exclude-standard").splitlines()) == \
        {"PKG-INFO"}


@pytest.fixture(scope="module")
def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        yield archive


def data_of(archive):
    """{path below the virtualenv: entry}"""
    prefix = f"syncless-{VERSION}.data/data/"
    return {entry.filename[len(prefix):]: entry for entry in archive.infolist() if entry.filename.startswith(prefix)}


def test_wheel_has_what_make_install_installs(contents):
    data, names = data_of(contents), contents.namelist()
    bridges = [f"lib/syncless/modules/wsgi-{version}.so" for version in {version_of(python) for python in PYTHONS}]
    assert {*EXPECTED, *bridges} <= set(data)
    assert not [name for name in data if name.startswith(("sbin", "share/syncless", "build"))]
    assert all(data[name].external_attr >> 16 & 0o111 == 0o111 for name in PROGRAMS)
    package = {path.name for path in (ROOT / "modules/wsgi/syncless").iterdir() if path.is_file()}
    assert {f"syncless/{name}" for name in package} | {"_syncless-stubs/__init__.pyi"} <= set(names)


def version_of(python):
    return run(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()


def test_wheel_carries_its_libraries_with_their_licenses(contents, tmp_path):
    """No file needs a library that is neither of libc nor in the wheel, and no other file has the name of one."""
    contents.extractall(tmp_path)
    folder = tmp_path / f"syncless-{VERSION}.data/data"
    libraries = {path.name for path in (folder / "lib/syncless").glob("*.so*")}
    carried = libraries - {"libsyncless.so", "libraries.so"}
    assert {name.split(".")[0] for name in carried} >= {"sl-uv", "sl-cares", "sl-inih"}
    for path in [*folder.rglob("*.so*"), *(folder / name for name in PROGRAMS)]:
        dynamic = run("readelf", "--dynamic", "--wide", path, env={"LC_ALL": "C"})
        needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
        assert not [name for name in needed - libraries if not re.match(r"(libc|libm|libresolv|ld-linux-.*)\.so", name)]
        if path.name in carried:
            assert f"soname: [{path.name}]" in dynamic
    licenses = {path.name for path in (folder / "share/doc/syncless/licenses").iterdir()}
    assert licenses >= {"lib" + name.split(".")[0][len("sl-"):] for name in carried}


def test_tag_says_where_the_wheel_runs(wheel, contents, tmp_path):
    contents.extractall(tmp_path)
    files = [*tmp_path.rglob("*.so*"), *tmp_path.rglob("bin/*")]
    symbols = run("objdump", "-T", *files)
    newest = max((int(major), int(minor)) for major, minor in re.findall(r"\(?GLIBC_(\d+)\.(\d+)", symbols))
    name = re.fullmatch(rf"syncless-{VERSION}-(\S+)-(\S+)-manylinux_(\d+)_(\d+)_(\w+)\.whl", wheel.name)
    interpreters = {f"cp{version_of(python).replace('.', '')}" for python in PYTHONS}
    assert name and (int(name[3]), int(name[4])) == newest and name[5] == os.uname().machine
    assert set(name[1].split(".")) == set(name[2].split(".")) == interpreters


def test_metadata(contents):
    metadata = email.message_from_bytes(contents.read(f"syncless-{VERSION}.dist-info/METADATA"))
    beside_the_bridge = email.message_from_string((ROOT / "modules/wsgi/METADATA.in").read_text())
    assert metadata["Version"] == VERSION and not metadata.get_all("Requires-Dist")
    for field in "Name", "Summary", "Requires-Python":
        assert metadata[field] == beside_the_bridge[field]
    assert f"syncless-{VERSION}.dist-info/licenses/LICENSE" in contents.namelist()


def refused(source, tmp_path, env):
    with pytest.raises(AssertionError) as failed:
        build_wheel(source, tmp_path, env)
    text = str(failed.value)
    assert "Traceback" not in text
    return text


def test_what_is_missing_is_named(source, wheel, tmp_path):
    """wheel: the build must not make another one in the same directory at the same time."""
    for name in ("pkg-config", "sh", "dpkg-query"):
        (tmp_path / name).symlink_to(shutil.which(name))
    said = refused(source, tmp_path, {"PATH": tmp_path})
    assert re.search(r"cannot be built here: .*compiler.*\n.*\n.*\n\s+apt install gcc libc6-dev make\n", said), said
    said = refused(source, tmp_path, {"PKG_CONFIG_LIBDIR": "/nowhere"})
    assert re.search(r"\n\s+apt install libuv1-dev libc-ares-dev libinih-dev\b", said), said
    said = refused(source, tmp_path, {"SYNCLESS_PYTHONS": "/nowhere/python3"})
    assert "cannot be built here: SYNCLESS_PYTHONS: /nowhere/python3 cannot be executed" in said


# ---- in a virtualenv ----


@pytest.fixture(scope="module", params=PYTHONS, ids=lambda path: "-".join(path.parts[-3:]))
def installed(request, wheel, tmp_path_factory):
    """A virtualenv of each interpreter with the wheel, in a path with a blank."""
    path = make_venv(request.param, tmp_path_factory.mktemp("venv") / "my venv")
    pip(request.param, path, "install", "--no-index", wheel)
    return path


@pytest.fixture(scope="module")
def venv(wheel, tmp_path_factory):
    """A virtualenv of the first interpreter."""
    path = make_venv(PYTHONS[0], tmp_path_factory.mktemp("venv") / "venv")
    pip(PYTHONS[0], path, "install", "--no-index", wheel)
    return path


def ask(server):
    """sys.executable, sys.prefix, syncless.__version__, that of its metadata, and its file."""
    status, _, body = server.get("/")
    assert status == 200, body
    return body.decode().split("\n")


def test_it_serves(installed, tmp_path):
    with Served(tmp_path, [installed / "bin/syncless-server", "app:application"]) as server:
        executable, prefix, version, metadata, package = ask(server)
        assert (executable, prefix, version, metadata) == (f"{installed}/bin/python3", str(installed), VERSION, VERSION)
        assert re.fullmatch(rf"{installed}/lib/python3\.\d+/site-packages/syncless/__init__\.py", package)
        maps = pathlib.Path(f"/proc/{server.worker_pids()[0]}/maps").read_text()
        assert f"{installed}/lib/syncless/sl-uv.so.1" in maps and "/libuv.so" not in maps


def test_python_module_serves(installed, tmp_path):
    with Served(tmp_path, [installed / "bin/python3", "-m", "syncless", "app:application"]) as server:
        assert ask(server)[:3] == [f"{installed}/bin/python3", str(installed), VERSION]
    assert run(installed / "bin/python3", "-m", "syncless", "--help").startswith("usage: syncless-server")


def test_python_module_leaves_the_interpreter_to_its_arguments(venv):
    shown = run(venv / "bin/python3", "-m", "syncless", "-v", "-o", f"server.python={PYTHONS[0]}")
    assert f"\npython: {PYTHONS[0]}, CPython" in shown
    assert f"\npython: {venv}/bin/python3, CPython" in run(venv / "bin/syncless-python", "-m", "syncless", "-v")


def test_syncless_python(installed):
    script = "import sys, syncless; print(sys.prefix, syncless.__version__, syncless.spawn(len, 'abc').get())"
    assert run(installed / "bin/syncless-python", "-c", script) == f"{installed} {VERSION} 3\n"


def test_plain_python_can_import_the_package(installed):
    script = "import syncless, importlib.metadata as m; print(syncless.__version__, m.version('syncless'))"
    assert run(installed / "bin/python3", "-c", script) == f"{VERSION} {VERSION}\n"


def test_uninstall_leaves_no_file(wheel, tmp_path):
    """Neither what was installed nor what Python has compiled since."""
    venv = make_venv(PYTHONS[-1], tmp_path / "venv")
    before = files_of(venv)
    pip(PYTHONS[-1], venv, "install", "--no-index", wheel)
    assert files_of(venv) > before
    run(venv / "bin/syncless-python", "-c", "import syncless.wsgi")
    pip(PYTHONS[-1], venv, "uninstall", "-y", "syncless")
    assert files_of(venv) == before


def test_c_handler(venv, tmp_path):
    """Its flags come from pkg-config."""
    env = {"PKG_CONFIG_PATH": venv / "lib/pkgconfig"}
    flags = shlex.split(run("pkg-config", "--cflags", "syncless", env=env))
    run("cc", "-shared", "-fPIC", "-D_GNU_SOURCE", *flags, "-o", tmp_path / "greet.so", ROOT / "modules/hello/hello.c")
    folder = run("pkg-config", "--variable=moduledir", "syncless", env=env).strip()
    assert os.path.samefile(folder, venv / "lib/syncless/modules")
    ini = f"[server]\nmodule-path = {tmp_path}\n[greet /]\n"
    with Served(tmp_path, [venv / "bin/syncless-server", "-c", "server.ini"], {"server.ini": ini}) as server:
        assert server.get("/")[0] == 200


def test_link_to_the_program(venv, tmp_path):
    """As pipx makes it."""
    (tmp_path / "syncless-server").symlink_to(venv / "bin/syncless-server")
    with Served(tmp_path, [tmp_path / "syncless-server", "app:application"]) as server:
        assert ask(server)[:2] == [f"{venv}/bin/python3", str(venv)]


def test_server_of_one_virtualenv_for_the_active_one(venv, tmp_path):
    """The package is the server's own, whatever the active one has."""
    active = make_venv(PYTHONS[0], tmp_path / "active")
    packages = next(active.glob("lib/python3.*/site-packages"))
    write_files(packages, {"syncless/__init__.py": "__version__ = '9.9'", "syncless/_inside.py": "",
                           "syncless-9.9.dist-info/METADATA": "Metadata-Version: 2.1\nName: syncless\nVersion: 9.9\n"})
    command = [venv / "bin/syncless-server", "app:application"]
    with Served(tmp_path, command, env={"VIRTUAL_ENV": active}) as server:
        assert ask(server) == [f"{active}/bin/python", str(active), VERSION, VERSION,
                               f"{venv}/lib/syncless/modules/python/syncless/__init__.py"]


def test_editable(source, wheel, tmp_path):
    """A change of the package is seen; the programs are copies."""
    venv = make_venv(PYTHONS[0], tmp_path / "venv", "--system-site-packages")
    before = files_of(venv)
    pip(PYTHONS[0], venv, "install", "--no-build-isolation", "--no-index", "--editable", source)
    module = source / "modules/wsgi/syncless/changed.py"
    module.write_text("value = 42\n")
    for program in "python3", "syncless-python":
        script = "import syncless.changed; print(syncless.__version__, syncless.changed.value)"
        assert run(venv / "bin" / program, "-B", "-c", script) == f"{VERSION} 42\n"
    module.unlink()
    pip(PYTHONS[0], venv, "uninstall", "-y", "syncless")
    assert files_of(venv) == before


@pytest.mark.parametrize("scheme", ["user", "prefix"])
def test_outside_of_a_virtualenv(wheel, tmp_path, scheme):
    env = {"PYTHONUSERBASE": tmp_path / "base", "PIP_BREAK_SYSTEM_PACKAGES": 1, "PATH": f"{DEBIAN.parent}:/bin"}
    where = ["--user"] if scheme == "user" else ["--prefix", tmp_path / "base"]
    run(DEBIAN, "-m", "pip", "install", "--no-index", "--ignore-installed", *where, wheel, env=env)
    server = next((tmp_path / "base").rglob("bin/syncless-server"))  # with --prefix, Debian adds a directory local
    packages = [path.parents[1] for path in (tmp_path / "base").rglob("syncless/__main__.py")]
    with Served(tmp_path, [server, "app:application"], env=env) as served:
        assert ask(served)[0] == str(DEBIAN)
    assert len(packages) == 2, "that of Python, and that of the server, which has no list of its files"
    for path in packages:
        served = Served(tmp_path, [DEBIAN, "-m", "syncless", "app:application"], env={**env, "PYTHONPATH": path})
        with served:
            assert ask(served)[0] == str(DEBIAN)
            assert pathlib.Path(f"/proc/{served.pid}/cmdline").read_bytes().startswith(os.fsencode(server.resolve()))


def test_types_of_the_installed_package(venv, tmp_path):
    """_syncless-stubs is where mypy looks."""
    if subprocess.run([DEBIAN, "-c", "import mypy"], capture_output=True).returncode:
        pytest.skip("mypy is not there: apt install mypy")
    run(DEBIAN, "-m", "mypy", "--strict", "--python-executable", venv / "bin/python3", "--cache-dir", tmp_path,
        ROOT / "tests/types/uses.py", cwd=tmp_path, timeout=120)
