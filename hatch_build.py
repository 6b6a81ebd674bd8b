"""Builds the wheel: what `make install` installs, with the libraries that the server needs.

pip puts it below the directory of the virtualenv: bin/syncless-server beside bin/python3, in which the server runs,
lib/syncless with libsyncless.so, include and share. The package syncless is in site-packages too.

The wheel is for the interpreter that builds it, or for those of SYNCLESS_PYTHONS, a list of paths as in `make
PYTHONS="..."`. CFLAGS and the like are the Makefile's.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILD = pathlib.Path("build/wheel")  # pyproject.toml has the same paths
INSTALLED = BUILD / "install/usr"
LIBRARY = INSTALLED / "lib/syncless"
LICENSES = BUILD / "licenses"
EDITABLE = BUILD / "editable"
LLHTTP = pathlib.Path("/usr/share/llhttp/llhttp.c")  # Debian 12: compiled into libraries.so
LIBC = r"(ld-linux.*|lib(c|m|dl|rt|pthread|resolv))\.so\.\d+"  # libraries of glibc: never carried


def main(version):
    """Build everything. Returns the tag of the wheel."""
    check_tools()
    pythons = find_pythons()
    shutil.rmtree(BUILD / "install", ignore_errors=True)
    make("install", f"BUILD={BUILD}", "PREFIX=/usr", "SBINDIR=/usr/bin", "LIBDIR=/usr/lib",
         f"DESTDIR={BUILD / 'install'}", f"PYTHONS={' '.join(pythons)}")
    left_out = carry_libraries()
    if version == "editable":
        link_package()
    tags = ".".join(sorted(f"cp{name.replace('.', '')}" for name in bridges()))
    return f"{tags}-{tags}-{platform_tag(left_out)}"


class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        os.chdir(self.root)
        build_data["pure_python"] = False
        build_data["tag"] = main(version)


# ---- what is there ----


def fail(text):
    """End with a message, and without a traceback in front of it."""
    sys.exit(f"\nsyncless cannot be built here: {text}\n")


def has_library(name):
    return subprocess.run(["pkg-config", "--exists", name]).returncode == 0


def is_debian_12():
    version = pathlib.Path("/etc/debian_version")
    return version.exists() and version.read_text().startswith("12")


def check_tools():
    """Fail if something that the Makefile needs is not there, and say all that is missing."""
    if not sys.platform.startswith("linux"):
        fail("it runs on Linux only")
    missing = [package for command, package in
               [(os.environ.get("CC", "cc"), "gcc libc6-dev"), ("make", "make"), ("pkg-config", "pkg-config")]
               if not shutil.which(command.split()[0])]
    if "pkg-config" not in missing:
        missing += [package for name, package in
                    [("libuv", "libuv1-dev"), ("libcares", "libc-ares-dev"), ("inih", "libinih-dev")]
                    if not has_library(name)]
        if not has_library("libllhttp") and not LLHTTP.exists():
            missing.append("node-llhttp" if is_debian_12() else "libllhttp-dev")
    if missing:
        fail(f"it needs a C compiler and libraries.\nWhat is missing, in Debian's names:\n\n"
             f"    apt install {' '.join(missing)}")


def find_pythons():
    """The interpreters for which the bridge is built."""
    own = os.path.realpath(sys.executable)  # of a virtualenv: the interpreter that made it
    if " " in own:
        fail(f"make cannot use a Python whose path has a blank in it: {own}")
    pythons = (os.environ.get("SYNCLESS_PYTHONS") or own).split()
    for path in pythons:
        command = [path, "modules/wsgi/describe.py"]
        found = shutil.which(path) and subprocess.run(command, text=True, capture_output=True)
        if not found or found.returncode:
            fail(f"SYNCLESS_PYTHONS: {path} cannot be executed")
        if found.stdout.startswith("error "):
            fail(f"{path} {found.stdout[len('error '):].strip()}")
    return pythons


# ---- building ----


def make(*args):
    environ = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    environ.setdefault("CFLAGS", "-O2")  # without the debugging information of the Makefile's default
    jobs = len(os.sched_getaffinity(0))
    done = subprocess.run(["make", "-s", f"-j{jobs}", *args], env=environ)
    if done.returncode:
        fail("make failed; its messages are above")


def bridges():
    return [path.name[len("wsgi-"):-len(".so")] for path in (LIBRARY / "modules").glob("wsgi-*.so")]


def link_package():
    """For pip install -e: a directory for sys.path in which nothing but the package is. The server uses it as well."""
    shutil.rmtree(EDITABLE, ignore_errors=True)
    shutil.rmtree(LIBRARY / "modules/python")
    EDITABLE.mkdir()
    (EDITABLE / "syncless").symlink_to(pathlib.Path("modules/wsgi/syncless").resolve())


# ---- the libraries ----


def carry_libraries():
    """Put the libraries that libraries.so needs beside it. Returns the names of those that were left out.

    They get a name of their own, sl-uv.so.1 for libuv.so.1: an extension that needs libuv.so.1 must get the system's. A
    library is left out, and then the system's is used, if its license, which must go with it, is not found.
    """
    user = LIBRARY / "libraries.so"
    shutil.rmtree(LICENSES, ignore_errors=True)
    LICENSES.mkdir()
    left_out = []
    if not has_library("libllhttp"):
        terms = find_license(LLHTTP)
        if terms:
            shutil.copy(terms, LICENSES / "llhttp")
        else:
            left_out.append("llhttp")
    for name, path in needed(user):
        terms = find_license(path)
        if not terms or not name.startswith("lib"):
            left_out.append(name)
            continue
        carried = "sl-" + name[len("lib"):]
        shutil.copy(os.path.realpath(path), LIBRARY / carried)
        shutil.copy(terms, LICENSES / name.split(".")[0])
        for file in (user, LIBRARY / carried):
            rename(file, name, carried)
    return left_out


def needed(path):
    """(name, path) of each library that a file loads, but those of libc."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LD_")}
    output = subprocess.run(["ldd", path], env=environ, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^\t(\S+) => (\S+)", output, re.M)
    return [(name, path) for name, path in found if not re.fullmatch(LIBC, name)]


def find_license(path):
    """The file with the license of a library, of the Debian package that it is from."""
    real = os.path.realpath(path)
    for name in (real, real.removeprefix("/usr")) if shutil.which("dpkg-query") else ():
        done = subprocess.run(["dpkg-query", "-S", name], text=True, capture_output=True)
        terms = pathlib.Path("/usr/share/doc", done.stdout.split(":")[0], "copyright")
        if done.returncode == 0 and terms.exists():
            return terms
    return None


def rename(path, name, other):
    """Replace a name of the same length in the string table of an ELF file."""
    before, after = (b"\0%s\0" % text.encode() for text in (name, other))
    content = path.read_bytes()
    assert len(before) == len(after) and before in content, (path, name)
    path.write_bytes(content.replace(before, after))


# ---- the tag ----


def platform_tag(left_out):
    """manylinux_2_34_x86_64, for the glibc of the newest symbol that is needed. linux_x86_64 if a library
    of the system is needed."""
    machine = sysconfig.get_platform().split("-")[-1]
    if left_out:
        return f"linux_{machine}"
    files = [*LIBRARY.rglob("*.so*"), *(INSTALLED / "bin").glob("syncless-*")]
    output = subprocess.run(["readelf", "--version-info", "--wide", *files], check=True, capture_output=True, text=True,
                            env={**os.environ, "LC_ALL": "C"}).stdout
    versions = re.findall(r"Name: GLIBC_(\d+)\.(\d+)", output)
    major, minor = max((int(major), int(minor)) for major, minor in versions)
    return f"manylinux_{major}_{minor}_{machine}"
