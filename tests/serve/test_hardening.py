"""The programs and modules are built with Debian's hardening, and nothing that was linked in has taken it away."""
import re
import subprocess

import pytest

from conftest import BUILD, SANITIZED, SERVER

PROGRAMS = [SERVER, BUILD / "syncless-python"]
LIBRARY = BUILD / "libsyncless.so"
FILES = [*PROGRAMS, LIBRARY, BUILD / "libraries.so", *sorted((BUILD / "modules").glob("*.so"))]


def readelf(option, path):
    done = subprocess.run(["readelf", "--wide", option, path], capture_output=True, text=True, check=True)
    return done.stdout


def segments(path):
    """[(type, flags)] of the program headers."""
    row = r"^  ([A-Z_]+) +0x\S+ 0x\S+ 0x\S+ 0x\S+ 0x\S+ ([RWE ]{3}) "
    return re.findall(row, readelf("--program-headers", path), re.M)


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def path(request):
    return request.param


def test_position_independent(path):
    kind = "Position-Independent Executable" if path in PROGRAMS else "Shared object"
    assert re.search(rf"Type: +DYN \({kind}", readelf("--file-header", path))
    assert "TEXTREL" not in readelf("--dynamic", path)


def test_full_relro(path):
    """All addresses are looked up at start, and their table is read-only after that."""
    assert "GNU_RELRO" in dict(segments(path))
    assert re.search(r"\(FLAGS\).*\bBIND_NOW\b", readelf("--dynamic", path))


def test_no_memory_is_writable_and_executable(path):
    found = segments(path)
    assert {"R E", "RW "} <= {flags for kind, flags in found if kind == "LOAD"}
    assert dict(found)["GNU_STACK"] == "RW "
    assert not [kind for kind, flags in found if "W" in flags and "E" in flags]


@pytest.mark.skipif(SANITIZED, reason="sanitizers come in place of _FORTIFY_SOURCE")
@pytest.mark.parametrize("path", [LIBRARY, *(BUILD / "modules").glob("wsgi-*.so")], ids=lambda path: path.name)
def test_stack_protector_and_fortify(path):
    if "-O0" in subprocess.run([SERVER, "-V"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("_FORTIFY_SOURCE needs optimisation")
    wanted = set(re.findall(r"\bUND (\w+)", readelf("--dyn-syms", path)))
    assert {"__stack_chk_fail", "__snprintf_chk"} <= wanted


@pytest.mark.parametrize("path", [*PROGRAMS, LIBRARY], ids=lambda path: path.name)
def test_no_shadow_stack(path):
    """The switch of coroutines would break one, so no program may ask for it, even where it is gcc's default."""
    assert "SHSTK" not in readelf("--notes", path)
