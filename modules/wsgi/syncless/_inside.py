"""The module in C behind this package, which is part of the server."""
from . import _IS_INSIDE

if not _IS_INSIDE:
    raise ImportError("the package syncless works in programs run by syncless-python and in applications of "
                      "syncless-server, not in other Pythons: start the program with syncless-python PROGRAM")

import _syncless as _syncless
from _syncless import Killed as Killed
