"""The table peers.def: what the keys of other servers are here."""
from __future__ import annotations

import ast
import dataclasses
import os
import re
from typing import List, Optional

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers.def")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of peers.def, which explains the columns."""
    server: str
    name: str
    relation: str
    kind: str
    section: str
    key: str
    note: str


def read_table(path: str = TABLE) -> List[Row]:
    """The rows are calls, in C and in Python."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"^/\*.*?\*/", "", file.read(), flags=re.M | re.S)
    rows = []
    for statement in ast.parse(text, path).body:
        assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
        rows.append(Row(*(arg.id if isinstance(arg, ast.Name) else ast.literal_eval(arg)
                          for arg in statement.value.args)))
    return rows


def find_row(rows: List[Row], server: str, name: str) -> Optional[Row]:
    own = [row for row in rows if row.server == server]
    for row in own:
        if row.name == name:
            return row
    for row in own:
        if row.name.endswith("*") and name.startswith(row.name[:-1]):
            return row
    return None
