"""What others in the process find in libsyncless.so: names of libc, of its loader and of the C++ runtime, as they must,
and sl_*. No other name of ours, and none of the libraries that the server uses, can clash with one of theirs."""
import re
import shutil
import subprocess

import pytest

from conftest import BUILD, ROOT, SANITIZED, TIMEOUT

LIBRARY = BUILD / "libsyncless.so"


def names(path):
    done = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True)
    return {line.split()[-1].split("@")[0] for line in done.stdout.splitlines()}


def libc():
    done = subprocess.run(["ldd", LIBRARY], capture_output=True, text=True, check=True)
    return re.search(r"libc\.so\.6 => (\S+)", done.stdout)[1]


def test_every_interposed_call_is_exported():
    source = "".join(path.read_text() for path in (ROOT / "server/libc").rglob("*.c"))
    defined = set(re.findall(r"^\w[\w *]*?\b(\w+)\([^;{]*\)\n\{", source, re.M)) & names(libc())
    assert {"read", "poll", "sem_wait", "getaddrinfo", "__recv_chk"} <= defined and len(defined) > 80
    assert defined <= names(LIBRARY)


def test_the_module_api_is_exported():
    headers = [ROOT / "include/syncless.h", *(ROOT / "include/syncless").glob("*.h")]
    text = "".join(path.read_text() for path in headers)
    declared = set(re.findall(r"\b(sl_\w+)\([^;{]*\)(?: SL_PRINTF\(.*\))?;", text))
    assert {"sl_reply", "sl_log", "sl_serve_end", "sl_runtime"} <= declared
    assert declared <= names(LIBRARY)


@pytest.mark.skipif(SANITIZED, reason="sanitizers export names of their own")
def test_no_internal_name_is_exported():
    others = names(LIBRARY) - names(libc())
    ours = re.compile(r"sl_|syncless_(server|python)$|__cxa_get_globals|__cxa_thread_atexit$|__tls_get_addr$|openat2$")
    assert {name for name in others if not ours.match(name)} == set()


# ---- the libraries of the server ----

FUNCTIONS = ["uv_loop_init", "ares_init_options", "ini_parse_stream", "llhttp_init"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_extension_calls_its_own_copy_of_a_library(tmp_path, name):
    """pycares has c-ares in it, uvloop libuv, aiohttp llhttp: other versions than ours."""
    library = tmp_path / "extension.so"
    source = f"int {name}(void) {{ return 42; }} int ask(void) {{ return {name}(); }}"
    subprocess.run(["cc", "-w", "-shared", "-fPIC", "-xc", "-", "-o", library], input=source, text=True, check=True)
    script = f"import ctypes; print(ctypes.CDLL({str(library)!r}).ask(), hasattr(ctypes.CDLL(None), {name!r}))"
    done = subprocess.run([BUILD / "syncless-python", "-c", script], capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.stdout, done.stderr) == ("42 False\n", "")


def test_they_are_missing(tmp_path):
    for name in ("syncless-server", "libsyncless.so"):
        shutil.copy(BUILD / name, tmp_path)
    done = subprocess.run([tmp_path / "syncless-server", "-v"], capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 3 and done.stdout == ""
    assert re.fullmatch(r"syncless-server: cannot load the libraries of the server: /\S*/libraries\.so: .*\n",
                        done.stderr)
