"""With reload-on-change: tells the server of the files of imported modules."""
from __future__ import annotations

import os
import sys
import sysconfig
import time

from ._inside import _syncless
from .coroutine import spawn

EVERY = 0.5  # seconds
MOST = 40000  # characters of one message
OURS = os.path.dirname(__file__)


def _is_of_python(path: str) -> bool:
    """Whether a file belongs to the interpreter, and changes with it only."""
    inside = path.removeprefix(sysconfig.get_path("stdlib") + os.sep)
    return inside != path and not inside.startswith(("site-packages" + os.sep, "dist-packages" + os.sep))


def _new_files(seen: set[str]) -> list[str]:
    files = []
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if not isinstance(path, str) or path in seen:
            continue
        seen.add(path)
        real = os.path.realpath(path)
        if "\n" not in real and not _is_of_python(real) and not real.startswith(OURS):
            files.append(real)
    return files


def _tell(files: list[str]) -> None:
    while files:
        lines, size = "", 0
        while size < len(files) and len(lines) + len(files[size]) < MOST:
            lines += files[size] + "\n"
            size += 1
        if _syncless.watch_files(lines):
            del files[:max(size, 1)]
        else:
            time.sleep(EVERY)


def _watch() -> None:
    seen: set[str] = set()
    count = 0
    while True:
        if len(sys.modules) != count:
            count = len(sys.modules)
            _tell(_new_files(seen))
        time.sleep(EVERY)


_watching = False


def begin() -> None:
    """Once for each worker, whose applications share the modules."""
    global _watching
    if not _watching:
        _watching = True
        spawn(_watch).name = "reload-on-change"
