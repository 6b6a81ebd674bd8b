"""python -m syncless: syncless-server, in this Python.

The server is the one that was installed with this package, or by the system. The arguments are those of
syncless-server.
"""
from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import sysconfig

from . import _IS_INSIDE

NAME = "syncless-server"


def find_server() -> str | None:
    """The path of syncless-server: that of this distribution or installation, or the first one where programs are."""
    try:
        files = importlib.metadata.files("syncless") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = os.path.realpath(str(file.locate()))
        if file.name == NAME and os.access(path, os.X_OK):
            return path
    prefix = os.path.realpath(f"{__file__}/../../../../../..")  # of PREFIX/lib/syncless/modules/python/syncless
    beside = os.path.dirname(sys.executable)
    directories = [f"{prefix}/bin", f"{prefix}/sbin", sysconfig.get_path("scripts"), beside, f"{beside}/../sbin",
                   os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"]
    return shutil.which(NAME, path=os.pathsep.join(directories))


def choose_python(args: list[str]) -> list[str]:
    """The option by which the server runs in this Python, unless the arguments say in which. Inside of syncless-python,
    which is no interpreter, the server finds the same one as that did."""
    if _IS_INSIDE or not sys.executable or any("server.python" in arg for arg in args):
        return []
    return ["-o", f"server.python={sys.executable}"]


def main(args: list[str]) -> None:
    server = find_server()
    if not server:
        sys.exit(f"python -m syncless: there is no {NAME}, neither beside {sys.executable} nor on PATH: install it")
    os.execv(server, [server, *choose_python(args), *args])


if __name__ == "__main__":
    main(sys.argv[1:])
