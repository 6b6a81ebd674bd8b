"""Convert the configuration of uWSGI or gunicorn to an ini file of syncless-server, on standard output.

    syncless-server --migrate uwsgi.ini                  # .ini, or FILE:SECTION; .yaml, .json
    syncless-server --migrate gunicorn.conf.py shop:app
    python3 -m syncless.migrate FILE

The second argument is the application, if the file does not name it.

The table peers.def says what a key is here. Each line of the result names the line that it comes from, and what has no
counterpart is in a comment with what to do instead. What the other server does without being asked for, and this one
does not, is made explicit.

This package imports nothing of the one that it is in, so that every Python can run it, also as `python3 DIRECTORY`.
"""
from __future__ import annotations

import os
import re
import sys
from typing import Optional

from .gunicorn import Gunicorn
from .gunicorn_file import read_gunicorn
from .result import Result, fail
from .table import read_table
from .uwsgi import Uwsgi
from .uwsgi_file import read_uwsgi


def migrate(path: str, app: Optional[str] = None) -> str:
    """The ini file for that configuration."""
    rows = read_table()
    name = re.sub("^(file:|python:)", "", path)
    result = Result(os.path.basename(name))
    ending = os.path.splitext(name.partition(":")[0])[1]
    if path.startswith("python:"):
        fail(f"{path}: name the file of the module {name}")
    if ending == ".xml":
        fail(f"{path}: XML is not read; write it as an ini file, a line KEY = VALUE for each element")
    if ending == ".py":
        Gunicorn(rows, result, app).convert_all(read_gunicorn(path, rows))
    else:
        uwsgi = Uwsgi(rows, result, app)
        uwsgi.convert_all(read_uwsgi(path, rows, result))
        uwsgi.finish()
    return result.write()


def main() -> None:
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        print("\n\n".join((__doc__ or "").split("\n\n")[:3]), file=sys.stderr)
        sys.exit(2)
    try:
        text = migrate(*sys.argv[1:])
    except OSError as error:
        fail(f"cannot read {error.filename}: {error.strerror}")
    sys.stdout.write(text)
