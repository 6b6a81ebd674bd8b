"""What libsyncless.so exports: names of libc, which libraries must find there, and sl_*; no other name can clash with
one of a module."""
import re
import subprocess

import pytest

from conftest import BUILD, ROOT, SANITIZED

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
    assert {name for name in others if not re.match(r"sl_|syncless_(server|python)$|__cxa_get_globals", name)} == set()
